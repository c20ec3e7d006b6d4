import { Problem } from '../domain/problem.js';
import type { LockedGrant } from './grant-rows.js';

/** Which of a grant's tokens was presented. */
export interface PresentedToken {
  readonly tokenGeneration: number;
  /** The thumbprint of the key it is bound to; undefined for a token that is bound to none. */
  readonly keyThumbprint: string | undefined;
}

/**
 * Refuses a token that was replaced since it came in, or that is not bound to the grant's key. Requests that
 * waited for a lock behind the replacement must not go on.
 *
 * @param grant - locked.
 * @throws Problem `invalid_token`.
 */
export function refuseReplacedToken(token: PresentedToken, grant: LockedGrant | undefined): void {
  if (
    grant?.tokenGeneration === token.tokenGeneration &&
    grant.holderKeyThumbprint === token.keyThumbprint
  ) {
    return;
  }
  throw new Problem('invalid_token', 'the token was replaced; use the one that replaced it');
}

/**
 * Refuses a holder whose token was replaced since it came in, see {@link refuseReplacedToken}.
 *
 * @param chain - locked; the caller's grant is in it.
 * @throws Problem `invalid_token`.
 */
export function refuseReplaced(
  caller:
    | { readonly kind: 'admin' }
    | ({ readonly kind: 'holder'; readonly grantId: string } & PresentedToken),
  chain: readonly LockedGrant[],
): void {
  if (caller.kind === 'admin') return;
  refuseReplacedToken(
    caller,
    chain.find(({ id }) => id === caller.grantId),
  );
}
