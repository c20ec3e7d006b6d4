import { approvalBy, type IsKnownPayee } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { hadNoPart } from '../domain/two-person.js';
import type { ActorsOf } from './grant-actors.js';
import type { LockedGrant } from './grant-rows.js';
import type { PaymentRecord } from './payment-rows.js';

/**
 * Tests whether somebody may approve a waiting payment. It is tested under the locks of the chain, when the
 * approval is given and again when the payment is handed over.
 *
 * Admins and approvers may. A holder may where it stands above every grant that asks for an approval,
 * now or when the payment was made: otherwise it could delegate to itself and approve what its own limit
 * holds up.
 *
 * @param actor - who approves, as events name actors.
 * @param chain - the payment's grants from the root down, as they are now.
 * @param actorsOf - who acted on each grant of the chain, in two-person mode; undefined without that mode.
 * @param isKnownPayee - which grants know the payee now.
 * @returns why not, or undefined.
 */
export function approverProblem(
  actor: string,
  payment: PaymentRecord,
  chain: readonly LockedGrant[],
  actorsOf: ActorsOf | undefined,
  isKnownPayee: IsKnownPayee,
): Problem | undefined {
  const standing = standingProblem(actor, payment, chain, isKnownPayee);
  if (standing || !actorsOf) return standing;
  const actors = chain.flatMap(({ id }) => actorsOf(id));
  if (hadNoPart(actor, actors)) return undefined;
  return new Problem(
    'forbidden',
    'two-person mode: you were handed a token of a grant that this payment is made under, or resumed it; ' +
      'an admin or approver who had no part in it must approve',
  );
}

/** Why a holder does not stand above what asks for the approval, or undefined when it does. */
export function standingProblem(
  actor: string,
  payment: PaymentRecord,
  chain: readonly LockedGrant[],
  isKnownPayee: IsKnownPayee,
): Problem | undefined {
  if (!actor.startsWith('grant:')) return undefined;
  const { approval } = payment;
  const asking = chain.findIndex(
    (grant) =>
      grant.id === approval?.fromAbove || approvalBy(grant, payment, isKnownPayee) !== undefined,
  );
  const approver = chain.findIndex(({ id }) => actor === `grant:${id}`);
  if (approver >= 0 && approver < asking) return undefined;
  const topmost = chain[asking]?.id ?? approval?.fromAbove ?? '';
  return new Problem(
    'forbidden',
    `grant ${topmost} asks for the approval; it takes an admin, an approver, or a holder above that grant`,
    { grantId: topmost },
  );
}

/** Whether a waiting payment was approved by somebody who may still approve it. */
export function isApproved(
  payment: PaymentRecord,
  chain: readonly LockedGrant[],
  actorsOf: ActorsOf | undefined,
  isKnownPayee: IsKnownPayee,
): boolean {
  const { approval, decidedBy } = payment;
  if (approval?.approvedAt === undefined || decidedBy === undefined) return false;
  return approverProblem(decidedBy, payment, chain, actorsOf, isKnownPayee) === undefined;
}
