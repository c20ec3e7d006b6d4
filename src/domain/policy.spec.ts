import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { GrantSnapshot } from './grant.js';
import { currencyOf } from './money.js';
import {
  type Decision,
  type Denial,
  decide,
  lifeDenial,
  MIN_VALIDITY_SECONDS,
  type PaymentOption,
  preferredWallets,
  type WalletSnapshot,
} from './policy.js';
import { parseResource, type Resource } from './scope.js';

const USDC = currencyOf('USDC');
const NOW = new Date('2026-11-21T10:00:00.000Z');
const NOW_SECONDS = NOW.getTime() / 1000;
const NETWORK = 'eip155:84532';
const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const ALICE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const BOB = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';
const MAX_VALIDITY_SECONDS = 120;

function after(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

function resource(url: string): Resource {
  const parsed = parseResource(url);
  if (!parsed) throw new Error(`${url} is no resource`);
  return parsed;
}

function grant(id: string, changes: Partial<GrantSnapshot> = {}): GrantSnapshot {
  return {
    id,
    currency: 'USDC',
    budget: 10_000_000n,
    maxPerPayment: undefined,
    maxPayments: undefined,
    scope: {},
    startsAt: after(-60),
    expiresAt: after(3600),
    delegationDepth: 0,
    status: 'active',
    reserved: 0n,
    spent: 0n,
    allocated: 0n,
    payments: 0,
    ...changes,
  };
}

function option(changes: Partial<PaymentOption> = {}): PaymentOption {
  return {
    index: 0,
    scheme: 'exact',
    network: NETWORK,
    asset: TOKEN,
    currency: 'USDC',
    amount: 1_000_000n,
    payTo: ALICE,
    maxTimeoutSeconds: 60,
    resources: [resource('https://api.example.com/data/7')],
    ...changes,
  };
}

function wallet(id: string, changes: Partial<WalletSnapshot> = {}): WalletSnapshot {
  return {
    id,
    address: `0x${id}`,
    network: NETWORK,
    asset: TOKEN,
    balance: 100_000_000n,
    reserved: 0n,
    ...changes,
  };
}

function decided({
  chain = [grant('root'), grant('self')],
  wallets = [wallet('w1')],
  options = [option()],
  now = NOW,
  maxValiditySeconds = MAX_VALIDITY_SECONDS,
} = {}): Decision {
  return decide(chain, wallets, options, USDC, now, maxValiditySeconds);
}

function denialOf(given: Parameters<typeof decided>[0]): Denial {
  const decision = decided(given);
  if (decision.outcome === 'allow') throw new Error('it was allowed');
  return decision.denial;
}

function allowed(given: Parameters<typeof decided>[0] = {}) {
  const decision = decided(given);
  if (decision.outcome === 'deny') throw new Error(decision.denial.detail);
  return decision;
}

/** A chain of three whose grant at `place` is changed. */
function chainWith(place: number, changes: Partial<GrantSnapshot>): GrantSnapshot[] {
  return ['root', 'middle', 'self'].map((id, index) => grant(id, index === place ? changes : {}));
}

describe('decide', () => {
  it('allows what every grant of the chain and a wallet can carry', () => {
    const decision = allowed();
    expect(decision.option.index).toBe(0);
    expect(decision.wallet.id).toBe('w1');
    expect(decision.validBefore).toBe(BigInt(NOW_SECONDS + 60));
  });

  it('changes nothing of what it is given', () => {
    const chain = [Object.freeze(grant('root'))];
    const options = Object.freeze([option({ index: 1 }), option({ index: 0, amount: 1n })]);
    const wallets = Object.freeze([Object.freeze(wallet('w1'))]);
    expect(decide(Object.freeze(chain), wallets, options, USDC, NOW, 120).outcome).toBe('allow');
  });

  it('says that it was called wrongly rather than deny, when there is nothing to decide', () => {
    expect(() => decided({ options: [] })).toThrow('at least one option');
  });

  describe.each([
    ['the root', 0, 'root'],
    ['a grant between', 1, 'middle'],
    ['the paying grant', 2, 'self'],
  ])('names %s when it refuses', (_who, place, grantId) => {
    it.each([
      ['grant_revoked', { status: 'revoked' }, undefined, undefined],
      ['grant_suspended', { status: 'suspended' }, undefined, undefined],
      ['grant_expired', { expiresAt: NOW }, NOW.toISOString(), undefined],
      ['grant_not_started', { startsAt: after(1) }, after(1).toISOString(), undefined],
      [
        'network_not_allowed',
        { scope: { networks: ['eip155:1', 'eip155:10'] } },
        'eip155:1, eip155:10',
        undefined,
      ],
      ['payee_not_allowed', { scope: { payTo: [BOB] } }, BOB, undefined],
      ['payee_not_allowed', { scope: { payTo: [] } }, '', undefined],
      [
        'resource_not_allowed',
        { scope: { resources: ['https://api.example.com/other/*'] } },
        'https://api.example.com/other/*',
        undefined,
      ],
      ['per_payment_exceeded', { maxPerPayment: 999_999n, spent: 500_000n }, '0.999999', '9.50'],
      ['payments_exceeded', { maxPayments: 3, payments: 3 }, '3', '0'],
      ['payments_exceeded', { maxPayments: 0 }, '0', '0'],
      ['budget_exceeded', { budget: 999_999n }, '0.999999', '0.999999'],
      ['budget_exceeded', { spent: 9_000_001n }, '10.00', '0.999999'],
      ['budget_exceeded', { reserved: 9_000_001n }, '10.00', '0.999999'],
      ['budget_exceeded', { allocated: 9_000_001n }, '10.00', '0.999999'],
      [
        'budget_exceeded',
        { reserved: 3_000_001n, spent: 3_000_000n, allocated: 3_000_000n },
        '10.00',
        '0.999999',
      ],
    ] as [string, Partial<GrantSnapshot>, string | undefined, string | undefined][])(
      'with %s for %j',
      (code, changes, limit, left) => {
        const denial = denialOf({ chain: chainWith(place, changes) });
        expect(denial).toMatchObject({ code, grantId });
        expect(denial.limit).toBe(limit);
        expect(denial.remaining).toBe(left);
        expect(denial.detail).toContain(grantId);
      },
    );

    it.each([
      [{ budget: 1_000_000n }],
      [{ spent: 4_000_000n, reserved: 3_000_000n, allocated: 2_000_000n }],
      [{ maxPerPayment: 1_000_000n }],
      [{ maxPayments: 3, payments: 2 }],
      [{ startsAt: NOW }],
      [{ expiresAt: after(6) }],
      [
        {
          scope: { networks: [NETWORK], payTo: [ALICE], resources: ['https://api.example.com/*'] },
        },
      ],
    ] as [Partial<GrantSnapshot>][])('and does not where %j is just enough', (changes) => {
      expect(decided({ chain: chainWith(place, changes) }).outcome).toBe('allow');
    });
  });

  it.each([
    ['grant_revoked', [{ status: 'suspended' }, { status: 'revoked' }]],
    ['grant_revoked', [{ expiresAt: NOW }, { status: 'revoked' }]],
    ['grant_suspended', [{ expiresAt: NOW }, { status: 'suspended' }]],
    ['grant_suspended', [{ budget: 0n, scope: { networks: [] } }, { status: 'suspended' }]],
    ['network_not_allowed', [{ budget: 0n }, { scope: { networks: [] } }]],
  ] as [string, Partial<GrantSnapshot>[]][])(
    'gives %s as the reason when the chain is %j',
    (code, changes) => {
      const chain = changes.map((each, index) => grant(`g${index}`, each));
      expect(denialOf({ chain }).code).toBe(code);
      expect(denialOf({ chain: chain.toReversed() }).code).toBe(code);
    },
  );

  it("gives the holder's own bound first when several grants refuse", () => {
    const tight = { maxPerPayment: 1n };
    const chain = [grant('root', tight), grant('self', tight)];
    expect(denialOf({ chain }).grantId).toBe('self');
    const scoped = { scope: { payTo: [] } };
    expect(denialOf({ chain: [grant('root', scoped), grant('self', scoped)] }).grantId).toBe(
      'self',
    );
  });

  it('pays only when the URL that was asked and the declared one are both in scope', () => {
    const chain = [grant('self', { scope: { resources: ['https://api.example.com/data/*'] } })];
    const declared = (url: string) => [
      option({ resources: [resource('https://api.example.com/data/7'), resource(url)] }),
    ];
    expect(decided({ chain, options: declared('https://api.example.com/data/') }).outcome).toBe(
      'allow',
    );
    expect(denialOf({ chain, options: declared('https://api.example.com/x') }).code).toBe(
      'resource_not_allowed',
    );
  });

  describe('over several options', () => {
    const cheap = option({ index: 1, amount: 400_000n });
    const dear = option({ index: 0, amount: 2_000_000n });

    it('selects the cheapest, wherever it stands', () => {
      expect(allowed({ options: [dear, cheap] }).option).toBe(cheap);
      expect(allowed({ options: [cheap, dear] }).option).toBe(cheap);
    });

    it("selects the seller's first of two equally cheap ones", () => {
      const twin = option({ index: 4, amount: 400_000n, payTo: BOB });
      expect(allowed({ options: [twin, dear, cheap] }).option).toBe(cheap);
    });

    it('checks the cap on the option it selects, not on the first', () => {
      const chain = [grant('self', { maxPerPayment: 500_000n, budget: 500_000n })];
      expect(allowed({ chain, options: [dear, cheap] }).option).toBe(cheap);
    });

    it('never selects a dearer one past the cap because the first was within it', () => {
      const chain = [grant('self', { maxPerPayment: 500_000n, scope: { payTo: [BOB] } })];
      const dearToBob = { ...dear, index: 2, payTo: BOB };
      const denial = denialOf({ chain, options: [cheap, dearToBob] });
      expect(denial).toMatchObject({ code: 'payee_not_allowed', grantId: 'self' });
    });

    it('falls back on a dearer one that is allowed, and charges what that one asks', () => {
      const chain = [grant('self', { scope: { payTo: [BOB] } })];
      const dearToBob = { ...dear, index: 2, payTo: BOB };
      expect(allowed({ chain, options: [cheap, dearToBob] }).option).toBe(dearToBob);
    });

    it('falls back on one that the treasury can pay', () => {
      const elsewhere = { ...dear, network: 'eip155:1' };
      const decision = allowed({
        options: [cheap, elsewhere],
        wallets: [wallet('w1', { network: 'eip155:1' })],
      });
      expect(decision.option).toBe(elsewhere);
    });

    it('gives the reason of the cheapest when none can be paid', () => {
      const chain = [grant('self', { maxPerPayment: 1n, scope: { networks: [NETWORK] } })];
      const elsewhere = { ...dear, network: 'eip155:1' };
      expect(denialOf({ chain, options: [elsewhere, cheap] }).code).toBe('per_payment_exceeded');
    });

    it('takes amounts for amounts, not for text or floating-point numbers', () => {
      const small = option({ index: 0, amount: 9n });
      const large = option({ index: 1, amount: 10n });
      expect(allowed({ options: [large, small] }).option).toBe(small);
      const big = 2n ** 53n;
      const budget = big * 4n;
      const decision = allowed({
        chain: [grant('self', { budget })],
        wallets: [wallet('w1', { balance: budget })],
        options: [option({ index: 0, amount: big + 1n }), option({ index: 1, amount: big })],
      });
      expect(decision.option.index).toBe(1);
    });
  });

  describe('choosing a wallet', () => {
    it('takes the first that has enough free', () => {
      const wallets = [
        wallet('poor', { balance: 999_999n }),
        wallet('held', { balance: 5_000_000n, reserved: 4_000_001n }),
        wallet('exact', { balance: 5_000_000n, reserved: 4_000_000n }),
        wallet('rich'),
      ];
      expect(allowed({ wallets }).wallet.id).toBe('exact');
    });

    it.each([
      ['of another network', [wallet('w', { network: 'eip155:1' })]],
      ['of another token', [wallet('w', { asset: BOB })]],
      ['with too little', [wallet('w', { balance: 999_999n })]],
      ['with all of it held', [wallet('w', { reserved: 100_000_000n })]],
      ['with less than is held', [wallet('w', { balance: 0n, reserved: 5n })]],
      [
        'that share what one would need',
        [wallet('a', { balance: 500_000n }), wallet('b', { balance: 500_000n })],
      ],
      ['at all: none', []],
    ])('blames the treasury, and no grant, for wallets %s', (_what, wallets) => {
      const denial = denialOf({ wallets });
      expect(denial).toEqual({
        code: 'treasury_insufficient',
        detail: `no wallet of the treasury has 1.00 USDC free on ${NETWORK}`,
      });
    });

    it('does not tell of the treasury where a grant refuses anyway', () => {
      const chain = [grant('self', { budget: 1n })];
      expect(denialOf({ chain, wallets: [] }).code).toBe('budget_exceeded');
    });
  });

  describe('setting the end of the signature', () => {
    const validFor = (given: Parameters<typeof decided>[0]) =>
      Number(allowed(given).validBefore) - NOW_SECONDS;

    it('takes what the seller asks, up to the cap', () => {
      const asking = (maxTimeoutSeconds: number) => [option({ maxTimeoutSeconds })];
      expect(validFor({ options: asking(30) })).toBe(30);
      expect(validFor({ options: asking(120) })).toBe(120);
      expect(validFor({ options: asking(300) })).toBe(120);
      expect(validFor({ options: asking(300), maxValiditySeconds: 10 })).toBe(10);
    });

    it.each([0, 1, 2])('never goes past the end of any grant (at %i)', (place) => {
      expect(validFor({ chain: chainWith(place, { expiresAt: after(20) }) })).toBe(20);
    });

    it('goes by whole seconds that lie within the grant', () => {
      expect(validFor({ chain: chainWith(1, { expiresAt: after(20.999) }) })).toBe(20);
      const late = new Date(NOW.getTime() + 999);
      expect(validFor({ now: late })).toBe(60);
    });

    it.each([5.999, 5, 1, 0.5])(
      'refuses under a grant that ends in %d s, too soon for a payment to settle',
      (seconds) => {
        const denial = denialOf({ chain: chainWith(0, { expiresAt: after(seconds) }) });
        expect(denial).toMatchObject({
          code: 'grant_expired',
          grantId: 'root',
          limit: after(seconds).toISOString(),
          detail: expect.stringContaining('too soon'),
        });
      },
    );

    it('allows under a grant that ends in exactly the seconds a facilitator wants', () => {
      expect(validFor({ chain: chainWith(0, { expiresAt: after(MIN_VALIDITY_SECONDS) }) })).toBe(6);
    });
  });

  it('allows exactly when a naive model does, and no counter ever passes its limit', () => {
    const seen = { allowed: 0, denied: 0, dearer: 0, codes: new Set<string>() };
    const seconds = fc.oneof(fc.constant(3600), fc.integer({ min: -10, max: 20 }));
    const small = fc.bigInt({ min: 0n, max: 12n });
    const grants = fc.record({
      budget: fc.bigInt({ min: 0n, max: 60n }),
      maxPerPayment: fc.option(small, { nil: undefined }),
      maxPayments: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined }),
      scope: fc.record(
        {
          networks: fc.constantFrom([NETWORK], [NETWORK, 'eip155:1'], ['eip155:1']),
          payTo: fc.constantFrom([ALICE], [ALICE, BOB], [BOB.toLowerCase()]),
        },
        { requiredKeys: [] },
      ),
      startsAt: fc.oneof(
        { weight: 9, arbitrary: fc.constant(-60) },
        fc.integer({ min: -1, max: 2 }),
      ),
      expiresAt: fc.oneof({ weight: 9, arbitrary: fc.constant(3600) }, seconds),
      status: fc.constantFrom(...Array(18).fill('active'), 'suspended', 'revoked'),
    });
    const options = fc.record({
      amount: small,
      network: fc.constantFrom(NETWORK, 'eip155:1'),
      payTo: fc.constantFrom(ALICE, BOB),
      maxTimeoutSeconds: fc.integer({ min: 6, max: 300 }),
    });
    const wallets = fc.record({
      balance: fc.bigInt({ min: 0n, max: 40n }),
      network: fc.constantFrom(NETWORK, 'eip155:1'),
    });
    const requests = fc.array(fc.array(options, { minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(
        fc.array(grants, { minLength: 1, maxLength: 4 }),
        fc.array(wallets, { maxLength: 3 }),
        requests,
        (terms, funds, asked) => {
          let chain = terms.map((each, index) =>
            grant(`g${index}`, {
              ...each,
              startsAt: after(each.startsAt),
              expiresAt: after(each.expiresAt),
            } as Partial<GrantSnapshot>),
          );
          let pool = funds.map((each, index) => wallet(`w${index}`, each));
          for (const request of asked) {
            const offered = request.map((each, index) => option({ ...each, index }));
            const payable = offered.filter((each) => modelAllows(chain, pool, each));
            const decision = decided({ chain, wallets: pool, options: offered });
            expect(decision.outcome).toBe(payable.length > 0 ? 'allow' : 'deny');
            if (decision.outcome === 'deny') {
              seen.denied += 1;
              seen.codes.add(decision.denial.code);
              continue;
            }
            seen.allowed += 1;
            const { option: selected, wallet: paying } = decision;
            expect(payable).toContain(selected);
            for (const each of payable) expect(each.amount >= selected.amount).toBe(true);
            if (offered.some((each) => each.amount < selected.amount)) seen.dearer += 1;
            const validFor = Number(decision.validBefore) - NOW_SECONDS;
            expect(validFor).toBeGreaterThanOrEqual(MIN_VALIDITY_SECONDS);
            expect(validFor).toBeLessThanOrEqual(Math.min(120, selected.maxTimeoutSeconds));
            chain = chain.map((each) => ({
              ...each,
              reserved: each.reserved + selected.amount,
              payments: each.payments + 1,
            }));
            pool = pool.map((each) =>
              each.id === paying.id ? { ...each, reserved: each.reserved + selected.amount } : each,
            );
            for (const each of chain) {
              expect(each.reserved <= each.budget).toBe(true);
              expect(each.payments).toBeLessThanOrEqual(each.maxPayments ?? 100);
              expect(after(validFor).getTime()).toBeLessThanOrEqual(each.expiresAt.getTime());
            }
            for (const each of pool) expect(each.reserved <= each.balance).toBe(true);
          }
        },
      ),
      { numRuns: 3_000 },
    );
    expect(seen.allowed).toBeGreaterThan(300);
    expect(seen.denied).toBeGreaterThan(300);
    expect(seen.dearer).toBeGreaterThan(10);
    expect([...seen.codes].sort()).toEqual([
      'budget_exceeded',
      'grant_expired',
      'grant_not_started',
      'grant_revoked',
      'grant_suspended',
      'network_not_allowed',
      'payee_not_allowed',
      'payments_exceeded',
      'per_payment_exceeded',
      'treasury_insufficient',
    ]);
  });
});

/** The rules once more, each as a plain sentence, with no regard to which reason comes first. */
function modelAllows(
  chain: readonly GrantSnapshot[],
  pool: readonly WalletSnapshot[],
  { amount, network, payTo }: PaymentOption,
): boolean {
  for (const each of chain) {
    if (each.status !== 'active') return false;
    if (each.startsAt.getTime() > NOW.getTime()) return false;
    if (each.expiresAt.getTime() < NOW.getTime() + 6_000) return false;
    if (each.spent + each.reserved + each.allocated + amount > each.budget) return false;
    if (each.maxPerPayment !== undefined && each.maxPerPayment < amount) return false;
    if (each.maxPayments !== undefined && each.maxPayments < each.payments + 1) return false;
    if (each.scope.networks && each.scope.networks.indexOf(network) < 0) return false;
    const payees = each.scope.payTo?.map((payee) => payee.toLowerCase());
    if (payees && payees.indexOf(payTo.toLowerCase()) < 0) return false;
  }
  return pool.some((each) => each.network === network && each.reserved + amount <= each.balance);
}

describe('lifeDenial', () => {
  it('finds nothing wrong with a chain that can pay', () => {
    expect(lifeDenial([grant('root'), grant('self')], NOW)).toBeUndefined();
  });

  it('gives the ancestor as the reason when both it and the grant ended', () => {
    const chain = [grant('root', { status: 'revoked' }), grant('self', { status: 'revoked' })];
    expect(lifeDenial(chain, NOW)).toMatchObject({ code: 'grant_revoked', grantId: 'root' });
    const expired = [grant('root', { expiresAt: NOW }), grant('self', { expiresAt: NOW })];
    expect(lifeDenial(expired, NOW)).toMatchObject({ code: 'grant_expired', grantId: 'root' });
  });

  it('tells a grant that expired from one about to', () => {
    const detailAt = (seconds: number) =>
      lifeDenial([grant('self', { expiresAt: after(seconds) })], NOW)?.detail;
    expect(detailAt(0)).toContain('expired at');
    expect(detailAt(1)).toContain('too soon');
  });
});

describe('preferredWallets', () => {
  const wallets = ['a', 'b', 'c', 'd'].map((id) => wallet(id));
  const orderFor = (rootId: string) => preferredWallets(wallets, rootId).map(({ id }) => id);

  it('gives a tree of grants the same order every time, with every wallet once', () => {
    expect(orderFor('grt_1')).toEqual(orderFor('grt_1'));
    expect(orderFor('grt_1').toSorted()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('spreads trees over all wallets', () => {
    const firsts = new Map<string | undefined, number>();
    for (let root = 0; root < 400; root += 1) {
      const [first] = orderFor(`grt_${root}`);
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    expect([...firsts.keys()].toSorted()).toEqual(['a', 'b', 'c', 'd']);
    for (const count of firsts.values()) expect(count).toBeGreaterThan(50);
  });

  it('has nothing to order without wallets', () => {
    expect(preferredWallets([], 'grt_1')).toEqual([]);
  });
});
