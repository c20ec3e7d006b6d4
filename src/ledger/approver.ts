import { Problem } from '../domain/problem.js';
import { sameHands } from '../domain/two-person.js';
import type { GrantRecord } from './grant-rows.js';
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
 * @param twoPerson - whether nobody may approve what he made possible himself.
 * @returns why not, or undefined.
 */
export function approverProblem(
  actor: string,
  payment: PaymentRecord,
  chain: readonly GrantRecord[],
  twoPerson: boolean,
): Problem | undefined {
  const standing = standingProblem(actor, payment, chain);
  if (standing || !twoPerson) return standing;
  const minters = chain.map(({ mintedBy }) => mintedBy);
  if (sameHands(actor, minters, `grant:${payment.grantId}`) === undefined) return undefined;
  return new Problem(
    'forbidden',
    'two-person mode: you minted a grant that this payment is made under; somebody else must approve it',
  );
}

/** Why a holder does not stand above what asks for the approval, or undefined when it does. */
export function standingProblem(
  actor: string,
  { amount, approval }: PaymentRecord,
  chain: readonly GrantRecord[],
): Problem | undefined {
  if (!actor.startsWith('grant:')) return undefined;
  const asking = chain.findIndex(
    ({ id, approvalAbove }) =>
      id === approval?.fromAbove || (approvalAbove !== undefined && amount > approvalAbove),
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
  chain: readonly GrantRecord[],
  twoPerson: boolean,
): boolean {
  const { approval, decidedBy } = payment;
  if (approval?.approvedAt === undefined || decidedBy === undefined) return false;
  return approverProblem(decidedBy, payment, chain, twoPerson) === undefined;
}
