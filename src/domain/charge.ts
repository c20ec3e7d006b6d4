import { type GrantSnapshot, payingGrants } from './grant.js';
import { returnToWindows, takeFromWindows, type WindowUsage } from './window.js';

/** Counters of a grant that change when money moves. Amounts are atomic units. */
export interface Counters {
  readonly reserved: bigint;
  readonly spent: bigint;
  readonly allocated: bigint;
  readonly payments: number;
  readonly openPayments: number;
  readonly windowUsage: readonly WindowUsage[];
}

/** Terms of a grant that the movements read. */
export type ChargedGrant = Counters & Pick<GrantSnapshot, 'funding' | 'startsAt' | 'windows'>;

/**
 * A chain after a payment of its last grant was reserved: held on every grant, and taken from what the
 * grants above a carve-out have set aside for it.
 *
 * @param chain - from the root down, the paying grant last.
 * @param at - when the payment is decided; it counts to the windows of that instant.
 */
export function reserveOn<T extends ChargedGrant>(
  chain: readonly T[],
  amount: bigint,
  at: Date,
): T[] {
  const setAside = countSettingAside(chain);
  return chain.map((grant, place) => ({
    ...grant,
    reserved: grant.reserved + amount,
    allocated: place < setAside ? grant.allocated - amount : grant.allocated,
    payments: grant.payments + 1,
    openPayments: grant.openPayments + 1,
    windowUsage: takeFromWindows(grant, amount, at),
  }));
}

/** A payment that was held, and what became of it. Amounts are atomic units. */
export interface SettledAmounts {
  /** Amount signed, and held until now. */
  readonly held: bigint;
  /** Amount that was transferred on chain: at most the one held. */
  readonly paid: bigint;
  /** When the payment was decided. */
  readonly decidedAt: Date;
}

/**
 * A chain after a payment of its last grant was settled: what was paid is spent. What was held and not paid returns to
 * every grant, to what was set aside for a carve-out, and to each window that is still in the period of the payment. The
 * payment stays counted.
 */
export function settleOn<T extends ChargedGrant>(
  chain: readonly T[],
  { held, paid, decidedAt }: SettledAmounts,
): T[] {
  const unpaid = held - paid;
  const setAside = countSettingAside(chain);
  return chain.map((grant, place) => ({
    ...grant,
    reserved: grant.reserved - held,
    spent: grant.spent + paid,
    allocated: place < setAside ? grant.allocated + unpaid : grant.allocated,
    openPayments: grant.openPayments - 1,
    windowUsage: returnToWindows(grant, { amount: unpaid, payments: 0 }, decidedAt),
  }));
}

/**
 * A chain after a payment of its last grant was cancelled: what was held returns to every grant and to what was
 * set aside for a carve-out. The payment stays counted, in `payments` and in the windows: its cancellation cost
 * gas, so an endless row of them must meet the limits of the grants.
 */
export function cancelOn<T extends ChargedGrant>(chain: readonly T[], amount: bigint): T[] {
  const setAside = countSettingAside(chain);
  return chain.map((grant, place) => ({
    ...grant,
    reserved: grant.reserved - amount,
    allocated: place < setAside ? grant.allocated + amount : grant.allocated,
    openPayments: grant.openPayments - 1,
  }));
}

/**
 * A chain after a payment of its last grant was released: as after a cancellation, and the payment no longer
 * counts, neither in `payments` nor in the windows that are still in its period.
 *
 * @param decidedAt - when the payment was decided.
 */
export function releaseOn<T extends ChargedGrant>(
  chain: readonly T[],
  amount: bigint,
  decidedAt: Date,
): T[] {
  return cancelOn(chain, amount).map((grant) => ({
    ...grant,
    payments: grant.payments - 1,
    windowUsage: returnToWindows(grant, { amount, payments: 1 }, decidedAt),
  }));
}

/**
 * The grants above a carve-out that set its budget aside: from the nearest ancestor that is a carve-out itself, or else
 * the root, down to its parent. Grants above that ancestor have set all of its budget aside already.
 *
 * @param ancestors - from the root down, the carve-out's parent last.
 */
export function setAsideBy<T extends Pick<GrantSnapshot, 'funding'>>(
  ancestors: readonly T[],
): readonly T[] {
  return payingGrants(ancestors);
}

/**
 * Counts the grants, from the root down, that have set aside what the last one pays with: all above the deepest
 * carve-out. Each of them has the carve-out next below it among its `allocated`.
 */
function countSettingAside(chain: readonly Pick<GrantSnapshot, 'funding'>[]): number {
  return chain.length - payingGrants(chain).length;
}

/**
 * Computes what a carve-out gives back to the grants that set it aside, or undefined while it may still be spent. No payment
 * of it may be open. Either it has made all of its payments, or it or a grant above it was revoked or has expired. The caller
 * sees to it that it gives back once.
 *
 * @param chain - from the root down, the carve-out last.
 */
export function returnable(chain: readonly GrantSnapshot[], now: Date): bigint | undefined {
  const grant = chain.at(-1);
  if (!grant || chain.length < 2 || grant.funding !== 'reserved' || grant.openPayments > 0) {
    return undefined;
  }
  // A budget that is spent is not used up: nothing is left to return, and payments of 0 may follow.
  const isUsedUp = grant.maxPayments !== undefined && grant.payments >= grant.maxPayments;
  const hasEnded = chain.some(({ status, expiresAt }) => status === 'revoked' || now >= expiresAt);
  return hasEnded || isUsedUp ? grant.budget - grant.spent : undefined;
}
