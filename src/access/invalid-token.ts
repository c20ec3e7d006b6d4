import { Problem } from '../domain/problem.js';

/** Why a token is refused. */
export interface TokenFault {
  readonly why: string;
  /** Whether the caller is told: only what helps nobody to guess. The log has every reason. */
  readonly isTold: boolean;
}

const told = (why: string): TokenFault => ({ why, isTold: true });
const untold = (why: string): TokenFault => ({ why, isTold: false });

/** Faults of a token, or of how it is sent. */
export const TOKEN_FAULTS = {
  missing: told(
    'there is no token: send "Authorization: Bearer <token>", or "Authorization: DPoP <token>" with a proof for a grant that is bound to a key',
  ),
  scheme: told('the Authorization header must be "Bearer <token>" or "DPoP <token>"'),
  bound: told(
    'this token is bound to a key: send "Authorization: DPoP <token>" and a proof in the DPoP header (RFC 9449)',
  ),
  unbound: told('this token is not bound to a key: send "Authorization: Bearer <token>"'),
  replaced: told(
    'this token was replaced by a newer one; use that one, or have an admin or a holder above issue a fresh one with POST /v1/grants/:id/token',
  ),
  session: told('the session of the console has ended; sign in again'),
  unconfirmed: told(
    'this takes a fresh confirmation: show the token of the session again, then repeat the same request',
  ),
  revoked: told('this token was revoked; ask an admin for another one'),
  form: untold('the token is not a compact JWS in canonical form'),
  header: untold('the header of the token lacks alg ES256, typ or kid'),
  claims: untold('the token lacks a claim that every token of this service has'),
  gone: untold('the grant of the token is not in this database'),
} satisfies Record<string, TokenFault>;

/** A grant token past its end, whose signature holds. */
export function expiredGrantToken(grantId: string, at: number): TokenFault {
  return told(
    `this token expired at ${timeOf(at)}; an admin or a holder above issues a fresh one with POST /v1/grants/${grantId}/token`,
  );
}

/** An admin token past its end, whose signature holds. */
export function expiredAdminToken(at: number): TokenFault {
  return told(
    `this token expired at ${timeOf(at)}; an operator mints a fresh one with npx bursar admin-token`,
  );
}

/** A sign-in past its end, whose signature holds. */
export function expiredSignIn(at: unknown): TokenFault {
  return told(`your sign-in expired at ${timeOf(at)}; sign in again`);
}

/** Reason that only the log tells: a token that may be forged must not tell its maker what to change. */
export function unsaidFault(why: string): TokenFault {
  return untold(why);
}

/** The answer to a token that does not hold. */
export function invalidToken({ why, isTold }: TokenFault): Problem {
  const detail = isTold
    ? why
    : 'the token is malformed or not from here; ask whoever minted it for a fresh one';
  return new Problem('invalid_token', detail, {}, why);
}

/** @param seconds - a claim, in Unix seconds. */
function timeOf(seconds: unknown): string {
  const at = new Date(Number(seconds) * 1000);
  return Number.isNaN(at.getTime()) ? 'some time before' : at.toISOString();
}
