import type { Counters } from './charge.js';
import { UNUSED, type Window } from './window.js';

/** Shares of a budget or of a window at which an event tells, in percent. */
export const THRESHOLDS = [50, 80, 100] as const;
/** See {@link THRESHOLDS}. */
export type Threshold = (typeof THRESHOLDS)[number];

/** Actor of the events. */
export const THRESHOLD_ACTOR = 'system:thresholds';

/** A grant as far as its thresholds go. */
export interface LimitUsage
  extends Pick<Counters, 'reserved' | 'spent' | 'allocated' | 'windowUsage'> {
  readonly id: string;
  readonly budget: bigint;
  readonly windows: readonly Window[];
}

/** A threshold that a grant's usage came to from below. */
export interface Crossing {
  readonly grantId: string;
  /** Place of the window among the grant's; undefined for the budget. */
  readonly window: number | undefined;
  /** The window's period; 0 for the budget. */
  readonly period: number;
  readonly percent: Threshold;
  /** Whether amounts (atomic units) or payments are counted. */
  readonly unit: 'amount' | 'payments';
  readonly used: bigint;
  readonly limit: bigint;
}

/**
 * Finds the thresholds that a grant's usage came to from below: what is spent, reserved and set aside of its budget, and
 * what each window's period has taken. Of a window that bounds an amount and a number of payments, the greater share counts.
 */
export function crossings(before: LimitUsage, after: LimitUsage): Crossing[] {
  const { id: grantId, budget } = after;
  const found: Crossing[] = [];
  const usage = [{ unit: 'amount' as const, limit: budget, was: used(before), used: used(after) }];
  for (const crossing of crossed(usage)) {
    found.push({ grantId, window: undefined, period: 0, ...crossing });
  }
  after.windows.forEach(({ amount, payments }, window) => {
    const now = after.windowUsage[window] ?? UNUSED;
    const last = before.windowUsage[window] ?? UNUSED;
    const was = last.period === now.period ? last : UNUSED;
    const bounds = [
      ...(amount === undefined
        ? []
        : [{ unit: 'amount' as const, limit: amount, was: was.amount, used: now.amount }]),
      ...(payments === undefined
        ? []
        : [
            {
              unit: 'payments' as const,
              limit: BigInt(payments),
              was: BigInt(was.payments),
              used: BigInt(now.payments),
            },
          ]),
    ];
    for (const crossing of crossed(bounds)) {
      found.push({ grantId, window, period: now.period, ...crossing });
    }
  });
  return found;
}

interface Bound {
  readonly unit: 'amount' | 'payments';
  readonly limit: bigint;
  readonly was: bigint;
  readonly used: bigint;
}

/** The thresholds that one of some bounds came to, and none of them had come to before. */
function crossed(bounds: readonly Bound[]): Omit<Crossing, 'grantId' | 'window' | 'period'>[] {
  // Most payments leave everything below the first threshold.
  if (!bounds.some(({ used: now, limit }) => 2n * now >= limit)) return [];
  return THRESHOLDS.flatMap((percent) => {
    const isAt = (amount: bigint, limit: bigint) =>
      limit > 0n && 100n * amount >= BigInt(percent) * limit;
    if (bounds.some(({ was, limit }) => isAt(was, limit))) return [];
    const bound = bounds.find(({ used: now, limit }) => isAt(now, limit));
    return bound ? [{ percent, unit: bound.unit, used: bound.used, limit: bound.limit }] : [];
  });
}

function used({ reserved, spent, allocated }: LimitUsage): bigint {
  return reserved + spent + allocated;
}
