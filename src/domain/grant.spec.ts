import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  attenuate,
  describeWindow,
  effectiveStatus,
  type GrantRequest,
  type GrantSnapshot,
  type GrantTerms,
  headroom,
  MAX_DELEGATION_DEPTH,
  payingGrants,
  remaining,
  rootTerms,
  type StoredStatus,
  uncommitted,
} from './grant.js';
import { currencyOf, formatAmount } from './money.js';
import { Problem } from './problem.js';
import { scopeExceeds } from './scope.js';
import { exceededWindow, type Window } from './window.js';

const USDC = currencyOf('USDC');
const NOW = new Date('2026-11-21T10:00:00.000Z');
const ALICE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const BOB = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';

function after(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

const PARENT: GrantSnapshot = {
  id: 'grt_parent',
  currency: 'USDC',
  budget: 25_000_000n,
  maxPerPayment: 500_000n,
  maxPayments: 100,
  windows: [],
  approvalAbove: undefined,
  scope: {
    networks: ['eip155:84532'],
    payTo: [ALICE],
    resources: ['https://api.example.com/data/*'],
  },
  startsAt: after(-60),
  expiresAt: after(3600),
  delegationDepth: 2,
  approveNewPayees: false,
  breaker: undefined,
  funding: 'shared',
  status: 'active',
  reserved: 0n,
  spent: 0n,
  allocated: 0n,
  payments: 0,
  openPayments: 0,
  windowUsage: [],
};

const REQUEST: GrantRequest = {
  budget: 1_000_000n,
  expiry: { field: 'ttlSeconds', at: after(600) },
};

function grant(changes: Partial<GrantSnapshot> = {}): GrantSnapshot {
  return { ...PARENT, ...changes };
}

function window(
  seconds: number,
  amount: bigint | undefined,
  payments: number | undefined = undefined,
): Window {
  return { seconds, amount, payments };
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
      windows: [],
      approvalAbove: undefined,
      approveNewPayees: false,
      breaker: undefined,
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
      windows: [window(60, 2n, 1)],
      approvalAbove: 0n,
      scope: { networks: [] },
      startsAt: after(10),
      expiry: { field: 'expiresAt', at: after(20) } as const,
      delegationDepth: 8,
    };
    const { expiry, ...rest } = given;
    expect(rootTerms(given, USDC, NOW)).toEqual({
      ...rest,
      currency: 'USDC',
      approveNewPayees: false,
      breaker: undefined,
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
      fields: { field: request.expiry?.field },
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
      windows: [],
      approvalAbove: undefined,
      approveNewPayees: false,
      breaker: undefined,
      scope: PARENT.scope,
      startsAt: NOW,
      expiresAt: after(600),
      delegationDepth: 0,
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
    const terms: GrantTerms = {
      currency: 'USDC',
      budget: 25_000_000n,
      maxPerPayment: 500_000n,
      maxPayments: 100,
      windows: [window(3600, 5_000_000n, 20), window(60, undefined, 2)],
      approvalAbove: 400_000n,
      scope: PARENT.scope,
      startsAt: PARENT.startsAt,
      expiresAt: PARENT.expiresAt,
      delegationDepth: 1,
      approveNewPayees: true,
      breaker: { refusals: 20, seconds: 60 },
    };
    const parent = grant({ ...terms, delegationDepth: 2 });
    const request: GrantRequest = {
      ...terms,
      expiry: { field: 'expiresAt', at: PARENT.expiresAt },
    };
    expect(attenuate(parent, request, USDC, NOW)).toEqual(terms);
  });

  it('inherits the approval of new payees and the breaker, and narrows them only', () => {
    const breaker = { refusals: 20, seconds: 60 };
    const parent = grant({ approveNewPayees: true, breaker });
    const ask = (request: Partial<GrantRequest>) =>
      attenuate(parent, { ...REQUEST, ...request }, USDC, NOW);
    expect(ask({})).toMatchObject({ approveNewPayees: true, breaker });
    for (const narrower of [
      { refusals: 1, seconds: 60 },
      { refusals: 20, seconds: 3600 },
    ]) {
      expect(ask({ breaker: narrower }).breaker).toEqual(narrower);
    }
    for (const [field, request] of [
      ['approveNewPayees', { approveNewPayees: false }],
      ['breaker', { breaker: { refusals: 21, seconds: 60 } }],
      ['breaker', { breaker: { refusals: 20, seconds: 59 } }],
    ] as const) {
      expect(() => ask(request)).toThrow(
        expect.objectContaining({
          code: 'attenuation_violation',
          fields: expect.objectContaining({ field }),
        }),
      );
    }
  });

  it('narrows what an unrestricted parent leaves open', () => {
    const open = { ...PARENT, maxPerPayment: undefined, maxPayments: undefined, scope: {} };
    const narrowed = {
      maxPerPayment: 1n,
      maxPayments: 1,
      windows: [window(60, 1n)],
      approvalAbove: 1n,
      scope: { payTo: [BOB] },
    };
    expect(attenuate(open, { ...REQUEST, ...narrowed }, USDC, NOW)).toMatchObject(narrowed);
    expect(attenuate(open, REQUEST, USDC, NOW)).toMatchObject({
      maxPerPayment: undefined,
      maxPayments: undefined,
      windows: [],
      approvalAbove: undefined,
      scope: {},
    });
  });

  it('takes a zero for zero, not for something left out', () => {
    const zeros = { maxPerPayment: 0n, maxPayments: 0, approvalAbove: 0n, delegationDepth: 0 };
    const parent = grant({ approvalAbove: 1n });
    expect(attenuate(parent, { ...REQUEST, ...zeros }, USDC, NOW)).toMatchObject(zeros);
  });

  it('asks for approval where the parent does, and may ask for more of it, never for less', () => {
    const parent = grant({ approvalAbove: 200_000n });
    const above = (approvalAbove: bigint | undefined) =>
      attenuate(parent, { ...REQUEST, approvalAbove }, USDC, NOW).approvalAbove;
    expect(above(undefined)).toBe(200_000n);
    expect(above(200_000n)).toBe(200_000n);
    expect(above(199_999n)).toBe(199_999n);
    expect(refusalOf(() => above(200_001n))).toMatchObject({
      code: 'attenuation_violation',
      fields: { field: 'approvalAbove', grantId: 'grt_parent', limit: '0.20', remaining: '25.00' },
    });
  });

  describe('of windows', () => {
    const parent = grant({ maxPayments: undefined, windows: [window(3600, 900_000n, 10)] });
    const minted = (changes: Partial<GrantRequest>) =>
      attenuate(parent, { ...REQUEST, ...changes }, USDC, NOW).windows;

    it("takes the parent's where none are given", () => {
      expect(minted({})).toEqual(parent.windows);
    });

    it('takes narrower ones, and shorter ones that come to no more', () => {
      for (const windows of [
        [window(3600, 1n, 1)],
        [window(7200, 900_000n, 10)],
        [window(1800, 450_000n, 5)],
        [window(60, 1n), window(3600, 900_000n), window(1801, undefined, 5)],
      ]) {
        expect(minted({ windows })).toEqual(windows);
      }
    });

    it('takes none where the budget and the count keep to it for life', () => {
      expect(minted({ windows: [], budget: 900_000n, maxPayments: 10 })).toEqual([]);
    });

    it.each([
      ['dropped', { windows: [] }],
      ['of a larger amount', { windows: [window(3600, 900_001n, 10)] }],
      ['of more payments', { windows: [window(3600, 900_000n, 11)] }],
      ['without the amount', { windows: [window(3600, undefined, 10)] }],
      ['without the count', { windows: [window(3600, 900_000n)] }],
      ['shorter for as much', { windows: [window(3599, 900_000n, 10)] }],
      ['of which two come to one more', { windows: [window(1800, 450_001n, 5)] }],
      ['dropped under a count alone', { windows: [], maxPayments: 10 }],
      ['dropped under a budget alone', { windows: [], budget: 900_000n }],
      ['dropped under a budget of one more', { windows: [], budget: 900_001n, maxPayments: 10 }],
    ] as [string, Partial<GrantRequest>][])('refuses them %s', (_what, changes) => {
      const limit = '0.90 and 10 payments every 3600 s';
      expect(refusalOf(() => minted(changes))).toMatchObject({
        code: 'attenuation_violation',
        detail: expect.stringContaining(`windows is wider than its parent's (${limit})`),
        fields: { field: 'windows', grantId: 'grt_parent', limit, remaining: '25.00' },
      });
    });
  });

  describe('of a life in seconds', () => {
    // The parent began a minute ago and lives 3,660 s in all.
    const endOf = (field: 'ttlSeconds' | 'expiresAt', seconds: number) =>
      attenuate(PARENT, { ...REQUEST, expiry: { field, at: after(seconds) } }, USDC, NOW).expiresAt;

    it('is at most that long: it ends with the parent at the latest', () => {
      expect(endOf('ttlSeconds', 3600)).toEqual(after(3600));
      expect(endOf('ttlSeconds', 3600.001)).toEqual(after(3600));
      expect(endOf('ttlSeconds', 315_360_000)).toEqual(after(3600));
      expect(endOf('ttlSeconds', 3599.999)).toEqual(after(3599.999));
    });

    it('that is left out, as an exact end is, is what the parent has left', () => {
      const request = { ...REQUEST, expiry: undefined };
      expect(attenuate(PARENT, request, USDC, NOW).expiresAt).toEqual(after(3600));
      expect(refusalOf(() => rootTerms(request, USDC, NOW))).toMatchObject({
        code: 'invalid_request',
        fields: { field: 'ttlSeconds' },
      });
    });

    it('leaves an end given as an instant as it is', () => {
      expect(refusalOf(() => endOf('expiresAt', 3600.001))).toMatchObject({
        code: 'attenuation_violation',
        fields: { field: 'expiresAt', limit: after(3600).toISOString() },
      });
    });

    it('is refused when the start asked for lies behind the end that it comes to', () => {
      const request: GrantRequest = {
        ...REQUEST,
        startsAt: after(3600),
        expiry: { field: 'ttlSeconds', at: after(3650) },
      };
      expect(refusalOf(() => attenuate(PARENT, request, USDC, NOW))).toMatchObject({
        fields: { field: expect.stringMatching(/^(ttlSeconds|startsAt)$/) },
      });
    });

    it('is refused under a parent that has ended', () => {
      const parent = grant({ startsAt: after(-3600), expiresAt: NOW });
      expect(() => attenuate(parent, REQUEST, USDC, NOW)).toThrow(Problem);
    });
  });

  it("says what remains of the parent's own budget", () => {
    const parent = grant({ reserved: 1_000_000n, spent: 2_000_000n, allocated: 3_000_000n });
    expect(
      refusalOf(() => attenuate(parent, { ...REQUEST, budget: 25_000_001n }, USDC, NOW)).fields,
    ).toEqual({ field: 'budget', grantId: 'grt_parent', limit: '25.00', remaining: '19.00' });
    // Levels and times are not about money.
    expect(
      refusalOf(() => attenuate(parent, { ...REQUEST, delegationDepth: 2 }, USDC, NOW)).fields,
    ).toEqual({ field: 'delegationDepth', grantId: 'grt_parent', limit: '1' });
  });

  it.each([
    ['budget', { budget: 25_000_001n }, '25.00'],
    ['maxPerPayment', { maxPerPayment: 500_001n }, '0.50'],
    ['maxPayments', { maxPayments: 101 }, '100'],
    ['startsAt', { startsAt: after(-61) }, after(-60).toISOString()],
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
      const isMoney = !/^(startsAt|expiresAt|delegationDepth)$/.test(field);
      expect(problem.fields.remaining).toBe(isMoney ? '25.00' : undefined);
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
      fields: { grantId: 'grt_parent', limit: '0', remaining: '0' },
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
    let parent = grant({ delegationDepth: MAX_DELEGATION_DEPTH });
    let levels = 0;
    for (; parent.delegationDepth > 0; levels += 1) {
      const request = { ...REQUEST, delegationDepth: parent.delegationDepth - 1 };
      parent = grant({ id: `grt_${levels}`, ...attenuate(parent, request, USDC, NOW) });
    }
    expect(levels).toBe(MAX_DELEGATION_DEPTH);
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
    const windows = fc.array(
      fc.record({
        seconds: fc.integer({ min: 1, max: 6 }),
        amount: maybe(small),
        payments: maybe(count),
      }),
      { maxLength: 2 },
    );
    const parents = fc.record({
      budget: fc.bigInt({ min: 3n, max: 9n }),
      maxPerPayment: maybe(small),
      maxPayments: maybe(count),
      windows: fc.oneof(fc.constant([]), windows),
      approvalAbove: maybe(small),
      scope,
      startsAt: fc.integer({ min: -5, max: 5 }).map(after),
      expiresAt: fc.integer({ min: 6, max: 12 }).map(after),
      delegationDepth: fc.integer({ min: 0, max: 4 }),
    });
    const requests = fc.record({
      budget: small,
      maxPerPayment: maybe(small),
      maxPayments: maybe(count),
      windows: fc.option(windows, { nil: undefined, freq: 1 }),
      approvalAbove: maybe(small),
      scope: fc.option(scope, { nil: undefined, freq: 1 }),
      startsAt: fc.option(fc.integer({ min: -5, max: 8 }).map(after), { nil: undefined, freq: 1 }),
      expiry: fc.record({
        field: fc.constantFrom('ttlSeconds' as const, 'expiresAt' as const),
        at: fc.integer({ min: -1, max: 12 }).map(after),
      }),
      delegationDepth: maybe(fc.integer({ min: 0, max: 3 })),
    });
    fc.assert(
      fc.property(parents.map(grant), requests, (parent, request) => {
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
        expect(within(child.approvalAbove, parent.approvalAbove)).toBe(true);
        expect(exceededWindow(parent.windows, child)).toBeUndefined();
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

describe('describeWindow', () => {
  it.each([
    [window(3600, 5_000_000n, 200), '5.00 and 200 payments every 3600 s'],
    [window(60, 500n), '0.0005 every 60 s'],
    [window(86_400, undefined, 1), '1 payment every 86400 s'],
  ])('says %j as %s', (each, text) => {
    expect(describeWindow(each, (atomic) => formatAmount(atomic, USDC))).toBe(text);
  });
});

/** A chain of grants of these kinds: `s` shares its parent's budget, `r` has it set aside. */
function kinds(text: string): GrantSnapshot[] {
  return [...text].map((kind, place) =>
    grant({ id: `g${place}`, funding: kind === 'r' ? 'reserved' : 'shared' }),
  );
}

describe('payingGrants', () => {
  it.each([
    ['s', 'g0'],
    ['ss', 'g0 g1'],
    ['sr', 'g1'],
    ['srs', 'g1 g2'],
    ['ssr', 'g2'],
    ['srr', 'g2'],
    ['srsr', 'g3'],
    ['srsrs', 'g3 g4'],
    ['srsss', 'g1 g2 g3 g4'],
  ])('of %s are %s: the deepest carve-out and all below it', (chain, paying) => {
    expect(
      payingGrants(kinds(chain))
        .map(({ id }) => id)
        .join(' '),
    ).toBe(paying);
  });

  it('are none of none', () => {
    expect(payingGrants([])).toEqual([]);
  });
});

describe('uncommitted', () => {
  it('is the least headroom of the grants that pay, and of no other', () => {
    const chain = (...budgets: bigint[]) =>
      kinds('ssrs').map((each, place) => ({ ...each, budget: budgets[place] ?? 0n }));
    expect(uncommitted(chain(0n, 0n, 7n, 9n))).toBe(7n);
    expect(uncommitted(chain(0n, 0n, 9n, 7n))).toBe(7n);
    expect(uncommitted(chain(5n, 6n, 9n, 7n).slice(0, 2))).toBe(5n);
  });

  it('does not ask whether the money could be paid now', () => {
    const ended = grant({
      status: 'revoked',
      expiresAt: NOW,
      maxPayments: 0,
      windows: [window(60, 0n, 0)],
      budget: 5n,
      spent: 1n,
    });
    expect(uncommitted([ended])).toBe(4n);
  });

  it('is nothing without a grant', () => {
    expect(uncommitted([])).toBe(0n);
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

  describe('with windows', () => {
    const hourly = (taken: bigint, payments = 1, limit: bigint | undefined = 10n, count = 9) =>
      grant({
        startsAt: NOW,
        windows: [window(3600, limit, count)],
        windowUsage: [{ period: 0, amount: taken, payments }],
      });

    it('is no more than any of them leaves, wherever in the chain', () => {
      for (const chain of [
        [hourly(4n), grant(), grant()],
        [grant(), hourly(4n), grant()],
        [grant(), grant(), hourly(4n)],
        [hourly(3n), hourly(4n), grant()],
      ]) {
        expect(remaining(chain, NOW)).toBe(6n);
      }
    });

    it('is bounded by those above a carve-out too: no money is set aside of a window', () => {
      const chain = [{ ...hourly(4n), budget: 0n }, grant({ funding: 'reserved' })];
      expect(remaining(chain, NOW)).toBe(6n);
    });

    it('is nothing while one has no payment left, and all again in the next period', () => {
      const chain = [hourly(4n, 9), grant()];
      expect(remaining(chain, after(3599.999))).toBe(0n);
      expect(remaining([{ ...hourly(4n, 9), expiresAt: after(9999) }], after(3600))).toBe(10n);
    });

    it('is not bounded by one that bounds only the count', () => {
      expect(remaining([grant({ startsAt: NOW, windows: [window(60, undefined, 1)] })], NOW)).toBe(
        PARENT.budget,
      );
    });

    it('is what the budget leaves when that is less', () => {
      expect(remaining([{ ...hourly(4n), budget: 3n }], NOW)).toBe(3n);
    });
  });

  it('of a carve-out is its own, whatever is left above it', () => {
    const parent = grant({ budget: 100n, allocated: 100n });
    const carved = grant({ budget: 40n, spent: 1n, funding: 'reserved' });
    const below = grant({ budget: 50n });
    expect(remaining([parent], NOW)).toBe(0n);
    expect(remaining([parent, carved], NOW)).toBe(39n);
    expect(remaining([parent, carved, below], NOW)).toBe(39n);
    expect(remaining([parent, { ...carved, allocated: 30n }, below], NOW)).toBe(9n);
    expect(remaining([{ ...parent, status: 'revoked' }, carved], NOW)).toBe(0n);
    expect(remaining([{ ...parent, maxPayments: 0 }, carved], NOW)).toBe(0n);
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
