import { type Denial, lifeDenial, MIN_VALIDITY_SECONDS } from '../domain/denials.js';
import { Problem, type ProblemPayment } from '../domain/problem.js';
import type { LockedGrant } from './grant-rows.js';
import type { PaymentRecord } from './payment-rows.js';

/**
 * Tests whether a payment's header may be handed out again, or at last. Whether the signature of an open
 * payment ever reached the agent is unknown: after a revocation it is not handed out again, so that what
 * was never delivered stays so.
 *
 * @param chain - the payment's grants, locked.
 * @param now - the database's time, read after the locks.
 * @param isStopped - whether the treasury is suspended, read under its lock.
 * @returns the refusal of a grant of the chain or of the treasury, or undefined when it may be handed out.
 * @throws Problem `payment_ended`, `payment_expiring`.
 */
export function refuseHandOut(
  payment: PaymentRecord,
  chain: readonly LockedGrant[],
  now: Date,
  isStopped: boolean,
): Denial | undefined {
  refuseEnded(payment, now);
  const { id, status, authorization } = payment;
  if (status === 'settled') return undefined;
  const denial = lifeDenial(chain, now, isStopped);
  if (denial && denial.code !== 'grant_expired') return denial;
  if (payment.cancelRequestedAt) {
    throw new Problem(
      'payment_expiring',
      `payment ${id} is being cancelled on chain; ask again with the same Idempotency-Key when it has ended`,
    );
  }
  if (authorization && secondsLeft(authorization.validBefore, now) < MIN_VALIDITY_SECONDS) {
    throw new Problem(
      'payment_expiring',
      `payment ${id} is signed and stays valid for less than ${MIN_VALIDITY_SECONDS} s, too short to settle; ` +
        'ask again with the same Idempotency-Key when the chain has decided',
    );
  }
  return denial;
}

/**
 * Refuses a payment that ended without settling, or whose approval has lapsed, whatever is asked with its key.
 *
 * @throws Problem `payment_ended`.
 */
export function refuseEnded(payment: PaymentRecord, now: Date): void {
  const { id, status, decidedReason, approval } = payment;
  if (status === 'released' || status === 'cancelled') {
    throw new Problem(
      'payment_ended',
      `payment ${id} was ${status} without settling; pay again under a new Idempotency-Key or intent`,
    );
  }
  if (status === 'rejected') {
    const why = decidedReason === undefined ? '' : `: ${decidedReason}`;
    throw new Problem('payment_ended', `payment ${id} was rejected${why}`, { nextAction: 'stop' });
  }
  // The sweep that rejects it may still be to come.
  if (status === 'pending_approval' && approval && now >= approval.lapsesAt) {
    throw new Problem(
      'payment_ended',
      approval.approvedAt === undefined
        ? `payment ${id} was not approved in time`
        : `payment ${id} was approved and not collected in time`,
      { nextAction: 'stop' },
    );
  }
}

/** Makes every problem that an act throws name a payment. */
export function namingPayment<T>(payment: PaymentRecord, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof Problem ? withPayment(error, payment) : error;
  }
}

/** A problem that names the payment which has the key of the call already. */
export function withPayment({ code, detail, fields }: Problem, payment: PaymentRecord): Problem {
  return new Problem(code, detail, { ...fields, payment: problemPayment(payment) });
}

function problemPayment({ id, status, authorization }: PaymentRecord): ProblemPayment {
  const seconds = authorization && Number(authorization.validBefore);
  const validBefore = seconds === undefined ? null : new Date(seconds * 1000).toISOString();
  return { id, status, validBefore };
}

function secondsLeft(validBefore: bigint, now: Date): number {
  return Number(validBefore) - Math.floor(now.getTime() / 1000);
}
