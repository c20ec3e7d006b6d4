import { describe, expect, it } from '@jest/globals';
import { type BindingLimit, bindingLimit } from './binding.js';
import { type GrantSnapshot, remaining } from './grant.js';

const NOW = new Date('2026-11-21T10:20:00.000Z');
const START = new Date('2026-11-21T10:00:00.000Z');
const HOUR = { seconds: 3_600, amount: 5_000_000n, payments: undefined };

function grant(id: string, changes: Partial<GrantSnapshot> = {}): GrantSnapshot {
  return {
    id,
    currency: 'USDC',
    budget: 10_000_000n,
    maxPerPayment: undefined,
    maxPayments: undefined,
    windows: [],
    approvalAbove: undefined,
    approveNewPayees: false,
    breaker: undefined,
    scope: {},
    startsAt: START,
    expiresAt: new Date('2026-11-22T10:00:00.000Z'),
    delegationDepth: 2,
    funding: 'shared',
    status: 'active',
    reserved: 0n,
    spent: 0n,
    allocated: 0n,
    payments: 0,
    openPayments: 0,
    windowUsage: [],
    ...changes,
  };
}

const usage = (amount: bigint) => ({ period: 0, amount, payments: 1 });

describe('the limit that binds', () => {
  it.each<[string, GrantSnapshot[], Partial<BindingLimit>, bigint]>([
    [
      'is its own budget',
      [grant('root'), grant('leaf', { budget: 3n })],
      { grantId: 'leaf', by: 'budget' },
      3n,
    ],
    [
      'is the budget above, when less is left there',
      [grant('root', { spent: 9_999_998n }), grant('leaf')],
      { grantId: 'root', by: 'budget' },
      2n,
    ],
    [
      'is a window above, with the time it opens again',
      [grant('root', { windows: [HOUR], windowUsage: [usage(4_880_000n)] }), grant('leaf')],
      {
        grantId: 'root',
        by: 'window',
        window: HOUR,
        reopensAt: new Date('2026-11-21T11:00:00.000Z'),
      },
      120_000n,
    ],
    [
      'is a number of payments that is used up',
      [grant('root', { maxPayments: 3, payments: 3 }), grant('leaf')],
      { grantId: 'root', by: 'payments' },
      0n,
    ],
    [
      'is no budget above a carve-out, which set the money aside',
      [grant('root', { spent: 10_000_000n }), grant('leaf', { funding: 'reserved', budget: 7n })],
      { grantId: 'leaf', by: 'budget' },
      7n,
    ],
    [
      'is the deeper of two that leave the same',
      [grant('root'), grant('leaf')],
      { grantId: 'leaf', by: 'budget' },
      10_000_000n,
    ],
    [
      'is the status of whichever is not active',
      [grant('root', { status: 'suspended' }), grant('leaf')],
      { grantId: 'root', by: 'status' },
      0n,
    ],
    [
      'is the end of a grant that is over',
      [grant('root'), grant('leaf', { expiresAt: NOW })],
      { grantId: 'leaf', by: 'status' },
      0n,
    ],
  ])('%s', (_, chain, binding, left) => {
    expect(bindingLimit(chain, NOW)).toMatchObject(binding);
    expect(remaining(chain, NOW)).toBe(left);
  });
});
