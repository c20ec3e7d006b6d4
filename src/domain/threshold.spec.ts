import { describe, expect, it } from '@jest/globals';
import { crossings, type LimitUsage } from './threshold.js';

const grant = (changes: Partial<LimitUsage> = {}): LimitUsage => ({
  id: 'grt_1',
  budget: 100n,
  reserved: 0n,
  spent: 0n,
  allocated: 0n,
  windows: [],
  windowUsage: [],
  ...changes,
});

const percents = (before: Partial<LimitUsage>, after: Partial<LimitUsage>) =>
  crossings(grant(before), grant(after)).map(({ percent, window }) => [percent, window]);

describe('crossings', () => {
  it('tells each value that the budget came to from below, counting what is spent, reserved and set aside', () => {
    expect(percents({}, { reserved: 49n })).toEqual([]);
    expect(percents({ reserved: 49n }, { reserved: 50n })).toEqual([[50, undefined]]);
    expect(percents({ spent: 20n }, { spent: 20n, reserved: 20n, allocated: 40n })).toEqual([
      [50, undefined],
      [80, undefined],
    ]);
    expect(percents({ spent: 80n }, { spent: 100n })).toEqual([[100, undefined]]);
    expect(percents({ spent: 50n }, { spent: 79n })).toEqual([]);
    expect(percents({ reserved: 60n }, { spent: 60n })).toEqual([]);
    expect(percents({ reserved: 60n }, { reserved: 10n })).toEqual([]);
    expect(percents({ budget: 0n }, { budget: 0n })).toEqual([]);
    expect(percents({ budget: 3n }, { budget: 3n, spent: 2n })).toEqual([[50, undefined]]);
  });

  it('tells of a window what its period came to, the greater share of amount and payments', () => {
    const windows = [{ seconds: 60, amount: 100n, payments: 4 }];
    const usage = (period: number, amount: bigint, payments: number) => ({
      windows,
      windowUsage: [{ period, amount, payments }],
    });
    expect(percents(usage(3, 10n, 1), usage(3, 20n, 2))).toEqual([[50, 0]]);
    expect(percents(usage(3, 20n, 2), usage(3, 60n, 3))).toEqual([]);
    // A new period begins at nothing.
    expect(percents(usage(3, 90n, 3), usage(4, 60n, 1))).toEqual([[50, 0]]);
    const [found] = crossings(grant(usage(1, 60n, 2)), grant(usage(1, 85n, 3)));
    expect(found).toMatchObject({ percent: 80, unit: 'amount', used: 85n, limit: 100n, period: 1 });
  });
});
