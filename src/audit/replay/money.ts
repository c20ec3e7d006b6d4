import type { Grant, OpenPayment, Window } from './history.js';
import { Contradiction } from './record.js';

/**
 * The grants of a chain that bear a payment of its last one themselves: the deepest carve-out and all
 * below it, or the whole chain.
 */
export function bearing(chain: readonly Grant[]): readonly Grant[] {
  for (let at = chain.length - 1; at > 0; at -= 1) {
    if (chain[at]?.isCarveOut) return chain.slice(at);
  }
  return chain;
}

/** @throws Contradiction when more is held, spent and set aside than there is. */
export function requireBudget(grant: Grant, what: string): void {
  const { reserved, spent, allocated, budget } = grant;
  if (reserved + spent + allocated <= budget) return;
  throw new Contradiction(
    `${what} overspends grant ${grant.id}: ${reserved} reserved, ${spent} spent and ${allocated} set aside of ${budget}`,
  );
}

/** Sets a carve-out's budget aside on the grants above it. */
export function setAside(grant: Grant, ancestors: readonly Grant[]): void {
  for (const each of bearing(ancestors)) {
    each.allocated += grant.budget;
    requireBudget(each, `grant ${grant.id} is set aside`);
  }
}

/** Holds a payment on its whole chain. @throws Contradiction when a limit of a grant does not allow it. */
export function charge(payment: OpenPayment): void {
  const { path } = payment.grant;
  const bears = new Set(bearing(path));
  for (const grant of path) {
    grant.reserved += payment.value;
    grant.payments += 1;
    // The grants above a carve-out have set the money aside already.
    if (!bears.has(grant)) grant.allocated -= payment.value;
    if (grant.allocated < 0n) {
      throw new Contradiction(
        `payment ${payment.paymentId} spends more than grant ${grant.id} has set aside`,
      );
    }
    requireBudget(grant, `payment ${payment.paymentId}`);
    if (grant.maxPayments !== undefined && grant.payments > grant.maxPayments) {
      throw new Contradiction(
        `payment ${payment.paymentId} is number ${grant.payments} of grant ${grant.id}, which may make ${grant.maxPayments}`,
      );
    }
    for (const window of grant.windows) takeFrom(window, grant, payment);
  }
}

/** Amounts that the end of a payment leaves. Atomic units. */
interface Ending {
  /** Amount spent; the rest of what was held is free again. */
  readonly paid: bigint;
  /** Amount that goes on counting in windows; undefined when the payment counts no more, nor in `payments`. */
  readonly counted: bigint | undefined;
}

/** Turns what a payment held into spent, or gives it back. */
export function credit({ grant, value, decidedAt }: OpenPayment, { paid, counted }: Ending): void {
  const bears = new Set(bearing(grant.path));
  for (const each of grant.path) {
    each.reserved -= value;
    each.spent += paid;
    if (!bears.has(each)) each.allocated += value - paid;
    if (counted === undefined) each.payments -= 1;
    for (const window of each.windows) {
      if (window.period !== periodOf(window, each, decidedAt)) continue;
      window.taken -= value - (counted ?? 0n);
      if (counted === undefined) window.count -= 1;
    }
  }
}

function takeFrom(
  window: Window,
  grant: Grant,
  { paymentId, value, decidedAt }: OpenPayment,
): void {
  const period = periodOf(window, grant, decidedAt);
  // A clock that was set back opens no period anew: the later one goes on counting.
  if (period > window.period) Object.assign(window, { period, taken: 0n, count: 0 });
  window.taken += value;
  window.count += 1;
  const isOver =
    (window.amount !== undefined && window.taken > window.amount) ||
    (window.payments !== undefined && window.count > window.payments);
  if (!isOver) return;
  throw new Contradiction(
    `payment ${paymentId} overruns a window of grant ${grant.id}: ${window.taken} in ${window.count} payments within ${window.seconds} s`,
  );
}

/** Periods follow one another from the grant's start. */
function periodOf({ seconds }: Window, { startsAt }: Grant, at: number): number {
  return Math.max(0, Math.floor((at - startsAt) / (seconds * 1000)));
}
