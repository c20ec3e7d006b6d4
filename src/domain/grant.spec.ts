import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  attenuate,
  effectiveStatus,
  type GrantRequest,
  type GrantSnapshot,
  type GrantTerms,
  headroom,
  remaining,
  rootTerms,
  type StoredStatus,
} from './grant.js';
import { currencyOf } from './money.js';
import { Problem } from './problem.js';
import { scopeExceeds } from './scope.js';

const USDC = currencyOf('USDC');
const NOW = new Date('2026-11-21T10:00:00.000Z');
const ALICE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const BOB = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';

function after(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

const PARENT: GrantTerms & { id: string } = {
  id: 'grt_parent',
  currency: 'USDC',
  budget: 25_000_000n,
  maxPerPayment: 500_000n,
  maxPayments: 100,
  scope: {
    networks: ['eip155:84532'],
    payTo: [ALICE],
    resources: ['https://api.example.com/data/*'],
  },
  startsAt: after(-60),
  expiresAt: after(3600),
  delegationDepth: 2,
};

const REQUEST: GrantRequest = {
  budget: 1_000_000n,
  expiry: { field: 'ttlSeconds', at: after(600) },
};

function grant(changes: Partial<GrantSnapshot> = {}): GrantSnapshot {
  return {
    ...PARENT,
    status: 'active',
    reserved: 0n,
    spent: 0n,
    allocated: 0n,
    payments: 0,
    ...changes,
  };
}

function refusalOf(mint: () => unknown): Problem {
  try {
    mint();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was minted');
}

describe('rootTerms', () => {
  it('leaves unrestricted what is left out, starts now, and lets nobody delegate unasked', () => {
    expect(rootTerms(REQUEST, USDC, NOW)).toEqual({
      currency: 'USDC',
      budget: 1_000_000n,
      maxPerPayment: undefined,
      maxPayments: undefined,
      scope: {},
      startsAt: NOW,
      expiresAt: after(600),
      delegationDepth: 0,
    });
  });

  it('keeps everything that is given', () => {
    const given = {
      budget: 5n,
      maxPerPayment: 2n,
      maxPayments: 0,
      scope: { networks: [] },
      startsAt: after(10),
      expiry: { field: 'expiresAt', at: after(20) } as const,
      delegationDepth: 8,
    };
    const { expiry, ...rest } = given;
    expect(rootTerms(given, USDC, NOW)).toEqual({
      ...rest,
      currency: 'USDC',
      expiresAt: expiry.at,
    });
  });

  it.each([
    ['ends as it starts', { startsAt: after(600) }],
    ['ends before it starts', { startsAt: after(601) }],
    ['ended before now', { startsAt: after(-20), expiry: { field: 'expiresAt', at: after(-10) } }],
    ['ends now', { startsAt: after(-20), expiry: { field: 'expiresAt', at: NOW } }],
  ] as const)('refuses a grant that %s', (_what, changes) => {
    const request = { ...REQUEST, ...changes };
    expect(refusalOf(() => rootTerms(request, USDC, NOW))).toMatchObject({
      code: 'invalid_request',
      fields: { field: request.expiry.field },
    });
  });
});

describe('attenuate', () => {
  it('gives a child what its parent has where the request is silent', () => {
    expect(attenuate(PARENT, REQUEST, USDC, NOW)).toEqual({
      currency: 'USDC',
      budget: 1_000_000n,
      maxPerPayment: 500_000n,
      maxPayments: 100,
      scope: PARENT.scope,
      startsAt: NOW,
      expiresAt: after(600),
      delegationDepth: 1,
    });
  });

  it('starts a child no earlier than a parent that did not start yet', () => {
    const parent = { ...PARENT, startsAt: after(60) };
    expect(attenuate(parent, REQUEST, USDC, NOW).startsAt).toEqual(after(60));
  });

  it('inherits the dimensions of the scope one by one', () => {
    const request = { ...REQUEST, scope: { resources: ['https://api.example.com/data/7'] } };
    expect(attenuate(PARENT, request, USDC, NOW).scope).toEqual({
      ...PARENT.scope,
      resources: ['https://api.example.com/data/7'],
    });
  });

  it('lets a child have all of its parent, except for one level of delegation', () => {
    const request: GrantRequest = {
      ...PARENT,
      expiry: { field: 'expiresAt', at: PARENT.expiresAt },
      delegationDepth: PARENT.delegationDepth - 1,
    };
    const { id: _id, ...terms } = PARENT;
    expect(attenuate(PARENT, request, USDC, NOW)).toEqual({ ...terms, delegationDepth: 1 });
  });

  it('narrows what an unrestricted parent leaves open', () => {
    const open = { ...PARENT, maxPerPayment: undefined, maxPayments: undefined, scope: {} };
    const request = { ...REQUEST, maxPerPayment: 1n, maxPayments: 1, scope: { payTo: [BOB] } };
    expect(attenuate(open, request, USDC, NOW)).toMatchObject({
      maxPerPayment: 1n,
      maxPayments: 1,
      scope: { payTo: [BOB] },
    });
    expect(attenuate(open, REQUEST, USDC, NOW)).toMatchObject({
      maxPerPayment: undefined,
      maxPayments: undefined,
      scope: {},
    });
  });

  it('takes a zero for zero, not for something left out', () => {
    const request = { ...REQUEST, maxPerPayment: 0n, maxPayments: 0, delegationDepth: 0 };
    expect(attenuate(PARENT, request, USDC, NOW)).toMatchObject({
      maxPerPayment: 0n,
      maxPayments: 0,
      delegationDepth: 0,
    });
  });

  it.each([
    ['budget', { budget: 25_000_001n }, '25.00'],
    ['maxPerPayment', { maxPerPayment: 500_001n }, '0.50'],
    ['maxPayments', { maxPayments: 101 }, '100'],
    ['startsAt', { startsAt: after(-61) }, after(-60).toISOString()],
    ['ttlSeconds', { expiry: { field: 'ttlSeconds', at: after(3601) } }, after(3600).toISOString()],
    ['expiresAt', { expiry: { field: 'expiresAt', at: after(3601) } }, after(3600).toISOString()],
    ['delegationDepth', { delegationDepth: 2 }, '1'],
    ['scope.networks', { scope: { networks: ['eip155:8453'] } }, 'eip155:84532'],
    ['scope.payTo', { scope: { payTo: [ALICE, BOB] } }, ALICE],
    [
      'scope.resources',
      { scope: { resources: ['https://api.example.com/*'] } },
      'https://api.example.com/data/*',
    ],
  ] as const)(
    'refuses a wider %s by that name, with the parent and its limit',
    (field, changes, limit) => {
      const problem = refusalOf(() => attenuate(PARENT, { ...REQUEST, ...changes }, USDC, NOW));
      expect(problem).toMatchObject({
        code: 'attenuation_violation',
        fields: { field, grantId: 'grt_parent', limit },
        detail: expect.stringContaining(`${field} is wider than its parent's (${limit})`),
      });
    },
  );

  it('refuses a child of a grant that may not delegate', () => {
    const leaf = { ...PARENT, delegationDepth: 0 };
    expect(refusalOf(() => attenuate(leaf, REQUEST, USDC, NOW))).toMatchObject({
      code: 'delegation_not_allowed',
      fields: { grantId: 'grt_parent' },
    });
  });

  it('refuses a child whose life is empty', () => {
    const request = { ...REQUEST, startsAt: after(600) };
    expect(refusalOf(() => attenuate(PARENT, request, USDC, NOW))).toMatchObject({
      code: 'invalid_request',
      fields: { field: 'ttlSeconds' },
    });
  });

  it('lets no chain of delegations go deeper than the root allows', () => {
    let parent: GrantTerms & { id: string } = { ...PARENT, delegationDepth: 8 };
    let levels = 0;
    for (; parent.delegationDepth > 0; levels += 1) {
      parent = { id: `grt_${levels}`, ...attenuate(parent, REQUEST, USDC, NOW) };
    }
    expect(levels).toBe(8);
    expect(refusalOf(() => attenuate(parent, REQUEST, USDC, NOW)).code).toBe(
      'delegation_not_allowed',
    );
  });

  it('never makes a child wider than its parent in anything, whatever is asked', () => {
    const seen = { minted: 0, refused: 0 };
    const scope = fc.record(
      {
        networks: fc.subarray(['eip155:1', 'eip155:8453']),
        payTo: fc.subarray([ALICE, BOB]),
        resources: fc.subarray([
          'https://a.example/*',
          'https://a.example/x',
          'https://*.b.example/*',
        ]),
      },
      { requiredKeys: [] },
    );
    const small = fc.bigInt({ min: 0n, max: 6n });
    const count = fc.integer({ min: 0, max: 6 });
    const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const parents = fc.record({
      id: fc.constant('grt_parent'),
      currency: fc.constant('USDC'),
      budget: fc.bigInt({ min: 3n, max: 9n }),
      maxPerPayment: maybe(small),
      maxPayments: maybe(count),
      scope,
      startsAt: fc.integer({ min: -5, max: 5 }).map(after),
      expiresAt: fc.integer({ min: 6, max: 12 }).map(after),
      delegationDepth: fc.integer({ min: 0, max: 4 }),
    });
    const requests = fc.record({
      budget: small,
      maxPerPayment: maybe(small),
      maxPayments: maybe(count),
      scope: fc.option(scope, { nil: undefined, freq: 1 }),
      startsAt: fc.option(fc.integer({ min: -5, max: 8 }).map(after), { nil: undefined, freq: 1 }),
      expiry: fc.record({
        field: fc.constantFrom('ttlSeconds' as const, 'expiresAt' as const),
        at: fc.integer({ min: -1, max: 12 }).map(after),
      }),
      delegationDepth: maybe(fc.integer({ min: 0, max: 3 })),
    });
    fc.assert(
      fc.property(parents, requests, (parent, request) => {
        let child: GrantTerms;
        try {
          child = attenuate(parent, request, USDC, NOW);
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
          seen.refused += 1;
          return;
        }
        seen.minted += 1;
        const within = <T extends bigint | number>(own: T | undefined, limit: T | undefined) =>
          limit === undefined || (own !== undefined && own <= limit);
        expect(child.currency).toBe(parent.currency);
        expect(within(child.budget, parent.budget)).toBe(true);
        expect(within(child.maxPerPayment, parent.maxPerPayment)).toBe(true);
        expect(within(child.maxPayments, parent.maxPayments)).toBe(true);
        expect(child.delegationDepth).toBeLessThan(parent.delegationDepth);
        expect(child.startsAt.getTime()).toBeGreaterThanOrEqual(parent.startsAt.getTime());
        expect(child.expiresAt.getTime()).toBeLessThanOrEqual(parent.expiresAt.getTime());
        expect(child.expiresAt.getTime()).toBeGreaterThan(child.startsAt.getTime());
        expect(scopeExceeds(parent.scope, child.scope)).toBeUndefined();
      }),
      { numRuns: 5_000 },
    );
    expect(seen.minted).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(100);
  });
});

describe('effectiveStatus', () => {
  const ended = { expiresAt: NOW };
  const unstarted = { startsAt: after(1) };

  it.each([
    ['active', []],
    ['revoked', [{ status: 'revoked' }]],
    ['suspended', [{ status: 'suspended' }]],
    ['expired', [ended]],
    ['not_started', [unstarted]],
    ['revoked', [{ status: 'suspended' }, { status: 'revoked' }]],
    ['revoked', [ended, { status: 'revoked' }]],
    ['revoked', [unstarted, { status: 'revoked' }]],
    ['suspended', [ended, { status: 'suspended' }]],
    ['suspended', [unstarted, { status: 'suspended' }]],
    ['expired', [unstarted, ended]],
  ] as [string, Partial<GrantSnapshot>[]][])(
    'is %s whichever grants of the chain are %j',
    (status, changes) => {
      const chain = [grant(), ...changes.map(grant), grant()];
      expect(effectiveStatus(chain, NOW)).toBe(status);
      expect(effectiveStatus(chain.toReversed(), NOW)).toBe(status);
    },
  );

  it('ends a grant at its last instant, not after it, and starts it at its first', () => {
    const chain = [grant({ startsAt: NOW, expiresAt: after(1) })];
    const at = (ms: number) => effectiveStatus(chain, new Date(NOW.getTime() + ms));
    expect([at(-1), at(0), at(999), at(1000)]).toEqual([
      'not_started',
      'active',
      'active',
      'expired',
    ]);
  });
});

describe('headroom', () => {
  it('is the budget less what is held, spent and set aside', () => {
    expect(headroom(grant({ budget: 100n, reserved: 1n, spent: 20n, allocated: 30n }))).toBe(49n);
  });

  it('is nothing, not negative, where more is held than the budget', () => {
    expect(headroom(grant({ budget: 1n, spent: 2n }))).toBe(0n);
  });
});

describe('remaining', () => {
  it('is the least headroom of the chain, wherever it lies', () => {
    const left = (...budgets: bigint[]) =>
      remaining(
        budgets.map((budget) => grant({ budget, spent: 1n })),
        NOW,
      );
    expect(left(11n, 6n, 9n)).toBe(5n);
    expect(left(4n, 6n, 9n)).toBe(3n);
    expect(left(11n, 6n, 2n)).toBe(1n);
  });

  it.each([
    [{ status: 'revoked' }],
    [{ status: 'suspended' }],
    [{ expiresAt: NOW }],
    [{ startsAt: after(1) }],
    [{ maxPayments: 3, payments: 3 }],
    [{ maxPayments: 0 }],
  ] as [Partial<GrantSnapshot>][])('is nothing under an ancestor with %j', (changes) => {
    expect(remaining([grant(), grant(changes), grant()], NOW)).toBe(0n);
    expect(remaining([grant(), grant()], NOW)).toBe(PARENT.budget);
  });

  it('counts a last payment that is left', () => {
    expect(remaining([grant({ maxPayments: 3, payments: 2 })], NOW)).toBe(PARENT.budget);
  });

  it('is nothing without a grant', () => {
    expect(remaining([], NOW)).toBe(0n);
  });

  it('is never more than any grant of the chain has left', () => {
    const grants = fc
      .record({
        status: fc.constantFrom<StoredStatus>('active', 'active', 'active', 'suspended', 'revoked'),
        budget: fc.bigInt({ min: 0n, max: 20n }),
        reserved: fc.bigInt({ min: 0n, max: 5n }),
        spent: fc.bigInt({ min: 0n, max: 5n }),
        allocated: fc.bigInt({ min: 0n, max: 5n }),
      })
      .map(grant);
    let positive = 0;
    fc.assert(
      fc.property(fc.array(grants, { minLength: 1, maxLength: 4 }), (chain) => {
        const left = remaining(chain, NOW);
        if (left > 0n) positive += 1;
        for (const { status, budget, reserved, spent, allocated } of chain) {
          const own = budget - reserved - spent - allocated;
          expect(left === 0n || (status === 'active' && left <= own)).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(positive).toBeGreaterThan(50);
  });
});
