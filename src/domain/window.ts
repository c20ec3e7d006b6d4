/** How many windows one grant may have. */
export const MAX_WINDOWS = 4;

/**
 * A limit that holds anew in every period of `seconds`. Periods are fixed: the first begins when the
 * grant starts, each next one where the last ends.
 */
export interface Window {
  readonly seconds: number;
  /** Ceiling of a period, held and spent together; atomic units. */
  readonly amount: bigint | undefined;
  /** How many payments a period may see; cancelled ones count, released ones do not. */
  readonly payments: number | undefined;
}

/** Usage of one window in the last period that saw a payment. */
export interface WindowUsage {
  /** Periods since the grant's start, the first being 0. */
  readonly period: number;
  readonly amount: bigint;
  readonly payments: number;
}

/** Usage of an unused window. */
export const UNUSED: WindowUsage = Object.freeze({ period: 0, amount: 0n, payments: 0 });

/** A grant's windows and what they have taken: usage n belongs to window n. */
export interface WindowHolder {
  readonly startsAt: Date;
  readonly windows: readonly Window[];
  readonly windowUsage: readonly WindowUsage[];
}

/** Which of a window's periods an instant falls into. Instants before the start count to the first. */
export function periodAt(startsAt: Date, window: Window, at: Date): number {
  const elapsed = at.getTime() - startsAt.getTime();
  return Math.max(0, Math.floor(elapsed / (window.seconds * 1000)));
}

/** When one of a window's periods ends, and a fresh one begins. */
export function endOfPeriod(startsAt: Date, window: Window, period: number): Date {
  return new Date(startsAt.getTime() + (period + 1) * window.seconds * 1000);
}

/**
 * Computes the usage of each window in the period of an instant. A usage of a later period stands: a clock
 * that was set back must not open a window anew.
 */
export function usageAt({ startsAt, windows, windowUsage }: WindowHolder, at: Date): WindowUsage[] {
  return windows.map((window, index) => {
    const period = periodAt(startsAt, window, at);
    const usage = windowUsage[index] ?? UNUSED;
    return usage.period >= period ? usage : { period, amount: 0n, payments: 0 };
  });
}

/** The windows' usage with one more payment at an instant. */
export function takeFromWindows(grant: WindowHolder, amount: bigint, at: Date): WindowUsage[] {
  return usageAt(grant, at).map((usage) => ({
    period: usage.period,
    amount: usage.amount + amount,
    payments: usage.payments + 1,
  }));
}

/**
 * The windows' usage with a payment given back: a window takes it back only while the period the
 * payment was made in is the one it counts.
 *
 * @param paidAt - when the payment was decided.
 */
export function returnToWindows(
  grant: WindowHolder,
  returned: Pick<WindowUsage, 'amount' | 'payments'>,
  paidAt: Date,
): WindowUsage[] {
  return grant.windows.map((window, index) => {
    const usage = grant.windowUsage[index] ?? UNUSED;
    if (usage.period !== periodAt(grant.startsAt, window, paidAt)) return usage;
    return {
      period: usage.period,
      amount: usage.amount - returned.amount,
      payments: usage.payments - returned.payments,
    };
  });
}

/** The least amount that a grant's windows leave at an instant; undefined where none bounds it. */
export function windowHeadroom(grant: WindowHolder, at: Date): bigint | undefined {
  let least: bigint | undefined;
  usageAt(grant, at).forEach((usage, index) => {
    const window = grant.windows[index];
    if (!window) return;
    const left = leftIn(window, usage);
    if (left !== undefined && (least === undefined || left < least)) least = left;
  });
  return least;
}

/** Amount that a window leaves in a period; undefined where it bounds no amount and has a payment left. */
export function leftIn(window: Window, usage: WindowUsage): bigint | undefined {
  if (window.payments !== undefined && usage.payments >= window.payments) return 0n;
  if (window.amount === undefined) return undefined;
  const left = window.amount - usage.amount;
  return left > 0n ? left : 0n;
}

/** A window that has no room for one more payment. */
export interface FullWindow {
  readonly window: Window;
  /** Whether the amount or the count is what does not fit. */
  readonly by: 'amount' | 'payments';
  readonly usage: WindowUsage;
  /** When it opens again. */
  readonly until: Date;
}

/** The first window that has no room for a payment of `amount` at an instant. */
export function fullWindow(grant: WindowHolder, amount: bigint, at: Date): FullWindow | undefined {
  const usages = usageAt(grant, at);
  for (const [index, window] of grant.windows.entries()) {
    const usage = usages[index] ?? UNUSED;
    const until = endOfPeriod(grant.startsAt, window, usage.period);
    if (window.amount !== undefined && usage.amount + amount > window.amount) {
      return { window, by: 'amount', usage, until };
    }
    if (window.payments !== undefined && usage.payments >= window.payments) {
      return { window, by: 'payments', usage, until };
    }
  }
  return undefined;
}

/**
 * The first window of a parent that a child's terms do not keep to, or undefined when they keep to all.
 *
 * A child keeps to a window when its budget (for the amount) or its lifetime count (for the payments)
 * is no larger, or when one of its own windows, repeated until it is at least as long, allows no more.
 */
export function exceededWindow(
  windows: readonly Window[],
  child: {
    readonly budget: bigint;
    readonly maxPayments: number | undefined;
    readonly windows: readonly Window[];
  },
): Window | undefined {
  return windows.find((outer) => {
    const { amount, payments } = outer;
    const keepsAmount =
      amount === undefined ||
      child.budget <= amount ||
      child.windows.some(
        (inner) =>
          inner.amount !== undefined && inner.amount * BigInt(repeats(outer, inner)) <= amount,
      );
    const keepsPayments =
      payments === undefined ||
      (child.maxPayments !== undefined && child.maxPayments <= payments) ||
      child.windows.some(
        (inner) =>
          inner.payments !== undefined && inner.payments * repeats(outer, inner) <= payments,
      );
    return !keepsAmount || !keepsPayments;
  });
}

/** How many periods of `inner` it takes to cover one of `outer`. */
function repeats(outer: Window, inner: Window): number {
  return Math.ceil(outer.seconds / inner.seconds);
}
