import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  endOfPeriod,
  exceededWindow,
  fullWindow,
  periodAt,
  returnToWindows,
  takeFromWindows,
  UNUSED,
  usageAt,
  type Window,
  type WindowHolder,
  type WindowUsage,
  windowHeadroom,
} from './window.js';

const START = new Date('2026-11-21T10:00:00.000Z');

/** An instant that many milliseconds after the start. */
function ms(milliseconds: number): Date {
  return new Date(START.getTime() + milliseconds);
}

function window(seconds: number, amount?: bigint | undefined, payments?: number): Window {
  return { seconds, amount, payments };
}

function used(period: number, amount: bigint, payments: number): WindowUsage {
  return { period, amount, payments };
}

function windowed(windows: Window[], windowUsage: WindowUsage[] = []): WindowHolder {
  return { startsAt: START, windows, windowUsage };
}

const seconds = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(3600, 86_400, 31_536_000),
);

describe('periods', () => {
  const minute = window(60);

  it.each([
    [0, 0],
    [1, 0],
    [59_999, 0],
    [60_000, 1],
    [119_999, 1],
    [120_000, 2],
    // Before the start there is no period of its own.
    [-1, 0],
    [-600_000, 0],
  ])('at %i ms of a 60 s window it is period %i', (at, period) => {
    expect(periodAt(START, minute, ms(at))).toBe(period);
    expect(endOfPeriod(START, minute, period)).toEqual(ms((period + 1) * 60_000));
  });

  it('follow one another to the millisecond, without a gap or an overlap', () => {
    const starts = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(starts, seconds, fc.nat({ max: 10_000 }), (startsAt, length, period) => {
        const each = window(length);
        const first = new Date(startsAt.getTime() + period * length * 1000);
        const last = new Date(first.getTime() + length * 1000 - 1);
        const next = new Date(last.getTime() + 1);
        expect(periodAt(startsAt, each, first)).toBe(period);
        expect(periodAt(startsAt, each, last)).toBe(period);
        expect(periodAt(startsAt, each, next)).toBe(period + 1);
        expect(endOfPeriod(startsAt, each, periodAt(startsAt, each, first))).toEqual(next);
        expect(endOfPeriod(startsAt, each, periodAt(startsAt, each, last))).toEqual(next);
      }),
    );
  });
});

describe('usageAt', () => {
  const windows = [window(60, 10n), window(3600, 10n)];

  it('is nothing of a window that was never used', () => {
    expect(usageAt(windowed(windows), ms(60_000))).toEqual([used(1, 0n, 0), used(0, 0n, 0)]);
    expect(usageAt(windowed([]), START)).toEqual([]);
  });

  it('is what was taken in the period of the instant, each window for itself', () => {
    const grant = windowed(windows, [used(0, 3n, 1), used(0, 4n, 2)]);
    expect(usageAt(grant, ms(59_999))).toEqual([used(0, 3n, 1), used(0, 4n, 2)]);
    expect(usageAt(grant, ms(60_000))).toEqual([used(1, 0n, 0), used(0, 4n, 2)]);
    expect(usageAt(grant, ms(3_600_000))).toEqual([used(60, 0n, 0), used(1, 0n, 0)]);
  });

  it('stands when the clock is set back: no window opens anew', () => {
    const grant = windowed(windows, [used(2, 3n, 1), used(0, 4n, 2)]);
    expect(usageAt(grant, ms(0))).toEqual([used(2, 3n, 1), used(0, 4n, 2)]);
  });
});

describe('takeFromWindows', () => {
  it('counts a payment to every window, and begins a fresh period at nothing', () => {
    const grant = windowed([window(60, 10n), window(3600)], [used(0, 3n, 1), used(0, 4n, 2)]);
    expect(takeFromWindows(grant, 5n, ms(59_999))).toEqual([used(0, 8n, 2), used(0, 9n, 3)]);
    expect(takeFromWindows(grant, 5n, ms(60_000))).toEqual([used(1, 5n, 1), used(0, 9n, 3)]);
  });

  it('counts to the later period when the clock was set back', () => {
    const grant = windowed([window(60, 10n)], [used(7, 3n, 1)]);
    expect(takeFromWindows(grant, 5n, ms(0))).toEqual([used(7, 8n, 2)]);
  });

  it('counts a payment before the start to the first period', () => {
    expect(takeFromWindows(windowed([window(60, 10n)]), 5n, ms(-1))).toEqual([used(0, 5n, 1)]);
  });
});

describe('returnToWindows', () => {
  const windows = [window(60, 10n), window(3600, 10n)];
  const grant = windowed(windows, [used(2, 3n, 1), used(0, 7n, 3)]);

  it('gives back to the periods that the payment was made in', () => {
    expect(returnToWindows(grant, { amount: 3n, payments: 1 }, ms(120_000))).toEqual([
      used(2, 0n, 0),
      used(0, 4n, 2),
    ]);
    expect(returnToWindows(grant, { amount: 3n, payments: 1 }, ms(179_999))).toEqual([
      used(2, 0n, 0),
      used(0, 4n, 2),
    ]);
  });

  it('gives nothing back to a period that began after the payment', () => {
    expect(returnToWindows(grant, { amount: 4n, payments: 1 }, ms(119_999))).toEqual([
      used(2, 3n, 1),
      used(0, 3n, 2),
    ]);
  });

  it('gives back to its own period what nothing has followed yet', () => {
    const rolled = windowed([window(60, 10n)], [used(0, 4n, 1)]);
    const after = {
      ...rolled,
      windowUsage: returnToWindows(rolled, { amount: 4n, payments: 1 }, START),
    };
    expect(after.windowUsage).toEqual([used(0, 0n, 0)]);
    expect(usageAt(after, ms(60_000))).toEqual([used(1, 0n, 0)]);
  });

  it('never gives back to another period what a clock that was set back made it count there', () => {
    const late = windowed([window(60, 10n)], [used(7, 3n, 1)]);
    const taken = { ...late, windowUsage: takeFromWindows(late, 5n, START) };
    expect(returnToWindows(taken, { amount: 5n, payments: 1 }, START)).toEqual([used(7, 8n, 2)]);
  });
});

describe('windowHeadroom and fullWindow', () => {
  const hour = window(3600, 10n, 3);

  it('say how much a window leaves, and which has no room for more than that', () => {
    const grant = windowed([window(86_400, 20n), hour], [used(0, 4n, 1), used(0, 4n, 1)]);
    expect(windowHeadroom(grant, START)).toBe(6n);
    expect(fullWindow(grant, 6n, START)).toBeUndefined();
    expect(fullWindow(grant, 7n, START)).toEqual({
      window: hour,
      by: 'amount',
      usage: used(0, 4n, 1),
      until: ms(3_600_000),
    });
  });

  it('leave nothing when no payment is left', () => {
    const grant = windowed([hour], [used(0, 4n, 3)]);
    expect(windowHeadroom(grant, START)).toBe(0n);
    expect(fullWindow(grant, 0n, ms(3_599_999))).toEqual({
      window: hour,
      by: 'payments',
      usage: used(0, 4n, 3),
      until: ms(3_600_000),
    });
    expect(fullWindow(grant, 10n, ms(3_600_000))).toBeUndefined();
  });

  it('name the first window without room', () => {
    const windows = [window(60, 5n), window(60, 4n), window(60, 3n)];
    expect(fullWindow(windowed(windows), 5n, START)?.window).toBe(windows[1]);
  });

  it('know no bound without windows, or with none of an amount', () => {
    expect(windowHeadroom(windowed([]), START)).toBeUndefined();
    expect(windowHeadroom(windowed([window(60, undefined, 1)]), START)).toBeUndefined();
    expect(fullWindow(windowed([window(60, undefined, 1)]), 10n ** 30n, START)).toBeUndefined();
  });

  it('are never negative, whatever was taken', () => {
    expect(windowHeadroom(windowed([window(60, 1n)], [used(0, 5n, 1)]), START)).toBe(0n);
  });

  it('do not open when the clock is set back, and say when they really will', () => {
    const grant = windowed([window(60, 1n)], [used(2, 1n, 1)]);
    expect(windowHeadroom(grant, START)).toBe(0n);
    expect(fullWindow(grant, 1n, ms(120_000))?.until).toEqual(ms(180_000));
    expect(fullWindow(grant, 1n, START)?.until).toEqual(ms(180_000));
  });
});

// Short windows and times around their edges, so that periods change often.
const windows = fc.array(
  fc.record({
    seconds: fc.integer({ min: 1, max: 4 }),
    amount: fc.option(fc.bigInt({ min: 0n, max: 12n }), { nil: undefined }),
    payments: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 4 },
);
const elapsed = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(-1, 0, 0, 1))
  .map(([whole, edge]) => Math.max(0, whole * 1000 + edge));
const steps = (time: fc.Arbitrary<number>) =>
  fc.array(
    fc.record({
      time,
      amount: fc.bigInt({ min: 0n, max: 6n }),
      // Which of the payments made so far is released; none for undefined.
      release: fc.option(fc.nat({ max: 9 }), { nil: undefined, freq: 2 }),
    }),
    { maxLength: 25, size: 'max' },
  );

function texts(usages: readonly WindowUsage[]): string {
  return usages
    .map(({ period, amount, payments }) => `${period}: ${amount}/${payments}`)
    .join(', ');
}

/** Whether a usage is no less than nothing and no more than its window allows. */
function within(limits: readonly Window[]) {
  return ({ amount, payments }: WindowUsage, index: number): boolean =>
    amount >= 0n &&
    payments >= 0 &&
    amount <= (limits[index]?.amount ?? amount) &&
    payments <= (limits[index]?.payments ?? payments);
}

describe('a history of payments and releases', () => {
  it('leaves in each window what a list of the payments says, and never less than nothing', () => {
    const seen = { rolled: 0, refused: 0, returned: 0 };
    fc.assert(
      fc.property(windows, steps(elapsed), (limits, history) => {
        let grant = windowed(limits);
        const made: { amount: bigint; at: Date; released: boolean }[] = [];
        let now = START;
        for (const { time, amount, release } of history) {
          now = new Date(now.getTime() + time);
          const released = made.filter((each) => !each.released)[release ?? made.length];
          if (released) {
            released.released = true;
            grant = {
              ...grant,
              windowUsage: returnToWindows(
                grant,
                { amount: released.amount, payments: 1 },
                released.at,
              ),
            };
            seen.returned += 1;
          } else if (fullWindow(grant, amount, now)) {
            seen.refused += 1;
          } else {
            made.push({ amount, at: now, released: false });
            grant = { ...grant, windowUsage: takeFromWindows(grant, amount, now) };
          }
          const expected = limits.map((limit) => {
            const length = limit.seconds * 1000;
            const period = Math.floor((now.getTime() - START.getTime()) / length);
            const counted = made.filter(
              (each) =>
                !each.released &&
                Math.floor((each.at.getTime() - START.getTime()) / length) === period,
            );
            if (made.length > counted.length) seen.rolled += 1;
            const sum = counted.reduce((total, each) => total + each.amount, 0n);
            return used(period, sum, counted.length);
          });
          expect(texts(usageAt(grant, now))).toBe(texts(expected));
          expect(expected.every(within(limits))).toBe(true);
          expect(grant.windowUsage.every(within(limits))).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(seen.rolled).toBeGreaterThan(500);
    expect(seen.refused).toBeGreaterThan(500);
    expect(seen.returned).toBeGreaterThan(500);
  });

  it('with a clock that jumps both ways leaves no less than nothing, and opens no window anew', () => {
    const seen = { back: 0, returned: 0 };
    const anyTime = elapsed.chain((time) => fc.constantFrom(time, time, -time));
    fc.assert(
      fc.property(windows, steps(anyTime), (limits, history) => {
        let grant = windowed(limits);
        const open: { amount: bigint; at: Date }[] = [];
        let now = START;
        for (const { time, amount, release } of history) {
          if (time < 0) seen.back += 1;
          now = new Date(now.getTime() + time);
          const before = grant.windowUsage;
          const [released] = release === undefined ? [] : open.splice(release, 1);
          if (released) {
            seen.returned += 1;
            grant = {
              ...grant,
              windowUsage: returnToWindows(
                grant,
                { amount: released.amount, payments: 1 },
                released.at,
              ),
            };
          } else if (!fullWindow(grant, amount, now)) {
            open.push({ amount, at: now });
            grant = { ...grant, windowUsage: takeFromWindows(grant, amount, now) };
          }
          expect(grant.windowUsage.every(within(limits))).toBe(true);
          const later = ({ period }: WindowUsage, index: number) =>
            period >= (before[index]?.period ?? 0);
          expect(grant.windowUsage.every(later)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(seen.back).toBeGreaterThan(500);
    expect(seen.returned).toBeGreaterThan(500);
  });

  it('fills a window exactly when its headroom says so', () => {
    const usage = fc.record({
      period: fc.nat({ max: 3 }),
      amount: fc.bigInt({ min: 0n, max: 14n }),
      payments: fc.nat({ max: 6 }),
    });
    const usages = fc.array(usage, { maxLength: 4 });
    fc.assert(
      fc.property(windows, usages, elapsed, (limits, taken, at) => {
        const grant = windowed(limits, taken);
        const left = windowHeadroom(grant, ms(at));
        const fits = (amount: bigint) => fullWindow(grant, amount, ms(at)) === undefined;
        if (left === undefined) expect(fits(10n ** 30n)).toBe(true);
        else {
          expect(left >= 0n).toBe(true);
          if (left > 0n) expect(fits(left)).toBe(true);
          expect(fits(left + 1n)).toBe(false);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('counts nothing for what is unused', () => {
    expect(UNUSED).toEqual(used(0, 0n, 0));
    expect(Object.isFrozen(UNUSED)).toBe(true);
  });
});

describe('exceededWindow', () => {
  const hour = window(3600, 10n, 4);
  const terms = (changes: Partial<Parameters<typeof exceededWindow>[1]> = {}) => ({
    budget: 100n,
    maxPayments: undefined,
    windows: [],
    ...changes,
  });

  it.each([
    ['the same window', { windows: [hour] }],
    ['less in the same time', { windows: [window(3600, 9n, 3)] }],
    ['as much in more time', { windows: [window(3601, 10n, 4)] }],
    ['a part of it in a part of the time', { windows: [window(900, 2n, 1)] }],
    ['two windows, one for each bound', { windows: [window(3600, 10n), window(1800, 90n, 2)] }],
    ['no more for life', { budget: 10n, maxPayments: 4 }],
    [
      'no more for life, and a window of the rest',
      { budget: 10n, windows: [window(7200, 90n, 4)] },
    ],
    ['nothing at all', { windows: [window(1, 0n, 0)] }],
  ])('keeps to it with %s', (_what, changes) => {
    expect(exceededWindow([hour], terms(changes))).toBeUndefined();
  });

  it.each([
    ['no window', {}],
    ['one more', { windows: [window(3600, 11n, 4)] }],
    ['one payment more', { windows: [window(3600, 10n, 5)] }],
    ['only an amount', { windows: [window(3600, 10n)] }],
    ['only a count', { windows: [window(3600, undefined, 4)] }],
    ['as much in less time', { windows: [window(3599, 10n, 4)] }],
    ['a part that does not go into the time', { windows: [window(1000, 2n, 1), window(999, 3n)] }],
    ['one more for life', { budget: 11n, maxPayments: 4 }],
    ['one payment more for life', { budget: 10n, maxPayments: 5 }],
  ])('does not keep to it with %s', (what, changes) => {
    const outer = what.startsWith('a part') ? window(3600, 7n, 4) : hour;
    expect(exceededWindow([outer], terms(changes))).toBe(outer);
  });

  it('names the first that is exceeded', () => {
    const outers = [window(60, 50n), window(60, 40n), window(60, 30n)];
    expect(exceededWindow(outers, terms({ windows: [window(60, 45n)] }))).toBe(outers[1]);
    expect(exceededWindow([], terms())).toBeUndefined();
  });

  it('asks nothing of what the parent does not bound', () => {
    expect(exceededWindow([window(60, 5n)], terms({ windows: [window(60, 5n)] }))).toBeUndefined();
    expect(exceededWindow([window(60, undefined, 5)], terms({ maxPayments: 5 }))).toBeUndefined();
    expect(exceededWindow([window(60)], terms())).toBeUndefined();
  });

  it("a child that keeps to it pays no more in a time as long as its parent's window", () => {
    const seen = { kept: 0, bound: 0 };
    const child = fc.record({
      budget: fc.bigInt({ min: 0n, max: 30n }),
      maxPayments: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined }),
      windows,
    });
    const paid = fc.array(fc.tuple(elapsed, fc.bigInt({ min: 0n, max: 6n })), {
      maxLength: 25,
      size: 'max',
    });
    fc.assert(
      fc.property(windows, child, paid, ([outer], inner, payments) => {
        if (!outer || exceededWindow([outer], inner)) return;
        seen.kept += 1;
        let own = windowed(inner.windows);
        let total = 0n;
        let count = 0;
        let now = START;
        for (const [time, amount] of payments) {
          now = new Date(now.getTime() + time);
          if (periodAt(START, outer, now) > 0) break;
          const refused =
            total + amount > inner.budget ||
            (inner.maxPayments !== undefined && count >= inner.maxPayments) ||
            fullWindow(own, amount, now);
          if (refused) {
            seen.bound += 1;
            continue;
          }
          own = { ...own, windowUsage: takeFromWindows(own, amount, now) };
          total += amount;
          count += 1;
        }
        expect(total <= (outer.amount ?? total)).toBe(true);
        expect(count).toBeLessThanOrEqual(outer.payments ?? count);
      }),
      { numRuns: 5_000 },
    );
    expect(seen.kept).toBeGreaterThan(500);
    expect(seen.bound).toBeGreaterThan(500);
  });
});
