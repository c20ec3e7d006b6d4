import type { Bounds, TreasuryUsage } from '../domain/bounds.js';
import { remaining } from '../domain/grant.js';
import type { WalletSnapshot } from '../domain/policy.js';
import type { BreakerCounts, BreakerWrites } from './breakers.js';
import type { NewEvent } from './events.js';
import type { ActorsOf } from './grant-actors.js';
import type { LockedGrant } from './grant-rows.js';
import type { KnownPayees, LearntPayee } from './known-payees.js';
import { keyOf } from './order.js';
import type { PaymentRecord } from './payment-rows.js';
import type { Crossings } from './thresholds.js';

/**
 * Everything a batch of orders is decided over: what is locked, and what was decided so far. Each
 * decision changes it for the next one.
 */
export interface LockedState {
  /** By id. */
  readonly grants: Map<string, LockedGrant>;
  /** In the order of their locks. */
  wallets: WalletSnapshot[];
  /** By grant and key, see {@link keyOf}. */
  readonly payments: Map<string, PaymentRecord>;
  /** The treasury's counts of living grants, waiting payments and open payments, the decisions of this batch included. */
  usage: TreasuryUsage;
  readonly bounds: Bounds;
  /** The actors of the grants whose approved payments may be handed over now. */
  readonly actorsOf: ActorsOf;
  /** The payees that each grant with `approveNewPayees` knows. */
  readonly knownPayees: KnownPayees;
  /** The refusals that the breakers of the grants count. */
  readonly breakerCounts: BreakerCounts;
  /** The database's time, read after the locks were taken. */
  readonly now: Date;
  /** Whether the treasury is suspended, read under the lock that a suspension waits for. */
  readonly isStopped: boolean;
  /** Whether the treasury pays amounts of 0. */
  readonly paysZero: boolean;
  /** The earliest end of the treasury's fence, during which only keys that have a payment are answered (fences.ts). */
  readonly fencedUntil: Date | undefined;
}

/** Rows that deciding a batch wants written. */
export interface PendingWrites {
  readonly payments: PaymentRecord[];
  /** Payments that waited and were handed over. */
  readonly handedOver: PaymentRecord[];
  readonly events: NewEvent[];
  /** Grants whose counters changed, by id. */
  readonly charged: Set<string>;
  readonly knownPayees: LearntPayee[];
  readonly breakers: BreakerWrites;
  /** Thresholds that grants came to. Their events are among `events`, and are left out where they were told before. */
  readonly crossings: Crossings;
  /** The change of the treasury's counts. */
  usage: TreasuryUsage;
}

/** The grants of a chain as the state has them now. */
export function chainIn(
  state: LockedState,
  chain: readonly Pick<LockedGrant, 'id'>[],
): LockedGrant[] {
  return chain.map(({ id }) => {
    const grant = state.grants.get(id);
    if (!grant) throw new Error(`grant ${id} is not locked`);
    return grant;
  });
}

export function remainingIn(state: LockedState, chain: readonly LockedGrant[]): bigint {
  return remaining(chainIn(state, chain), state.now);
}

/** Counts a waiting payment to its chain and the treasury, or out of them. */
export function changeWaiting(
  state: LockedState,
  writes: PendingWrites,
  chain: readonly LockedGrant[],
  by: 1 | -1,
): void {
  for (const grant of chain) {
    state.grants.set(grant.id, { ...grant, waiting: grant.waiting + by });
    writes.charged.add(grant.id);
  }
  state.usage = { ...state.usage, waiting: state.usage.waiting + by };
  writes.usage = { ...writes.usage, waiting: writes.usage.waiting + by };
}

/** Makes the payee of an approved payment known to every grant of the chain that asks for approvals of new ones. */
export function learnPayee(
  { id: paymentId, network, payTo }: PaymentRecord,
  chain: readonly LockedGrant[],
  { knownPayees }: LockedState,
  writes: PendingWrites,
): void {
  for (const { id: grantId, approveNewPayees } of chain) {
    if (!approveNewPayees || knownPayees.isKnown(grantId, network, payTo)) continue;
    knownPayees.add({ grantId, network, payTo });
    writes.knownPayees.push({ grantId, network, payTo, paymentId });
  }
}
