import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type ChargedGrant,
  type Counters,
  cancelOn,
  releaseOn,
  reserveOn,
  returnable,
  type SettledAmounts,
  setAsideBy,
  settleOn,
} from './charge.js';
import type { GrantSnapshot } from './grant.js';
import type { Window } from './window.js';

const START = new Date('2026-11-21T10:00:00.000Z');

/** An instant that many milliseconds after the grants' start. */
function ms(milliseconds: number): Date {
  return new Date(START.getTime() + milliseconds);
}

type Account = ChargedGrant & { readonly id: string; readonly budget: bigint };

/**
 * A chain of grants of these kinds and budgets, as minting leaves it: `s` shares its parent's budget,
 * `r` is carved out of it.
 */
function minted(
  kinds: string,
  budgets: readonly bigint[],
  windows: readonly Window[] = [],
): Account[] {
  let chain: Account[] = [];
  [...kinds].forEach((kind, place) => {
    const budget = budgets[place] ?? 0n;
    if (kind === 'r') {
      const holders = new Set(setAsideBy(chain).map(({ id }) => id));
      chain = chain.map((each) =>
        holders.has(each.id) ? { ...each, allocated: each.allocated + budget } : each,
      );
    }
    chain.push({
      id: `g${place}`,
      funding: kind === 'r' ? 'reserved' : 'shared',
      budget,
      startsAt: START,
      windows,
      windowUsage: [],
      reserved: 0n,
      spent: 0n,
      allocated: 0n,
      payments: 0,
      openPayments: 0,
    });
  });
  return chain;
}

/** Counters of a chain: `reserved/spent/allocated` of each grant. */
function balances(chain: readonly Pick<Counters, 'reserved' | 'spent' | 'allocated'>[]): string {
  return chain
    .map(({ reserved, spent, allocated }) => `${reserved}/${spent}/${allocated}`)
    .join(' ');
}

/** How many payments each grant has counted, and how many of them are open. */
function counts(chain: readonly Counters[]): number[][] {
  return chain.map(({ payments, openPayments }) => [payments, openPayments]);
}

/** The balances of a chain and how many payments each grant has counted. */
function counters(chain: readonly Omit<Counters, 'windowUsage'>[]): string {
  const counts = chain.map(({ payments, openPayments }) => `${payments}, ${openPayments} open`);
  return `${balances(chain)}; ${counts.join(' ')}`;
}

/** A payment that was paid whole, at the start. */
function whole(amount: bigint): SettledAmounts {
  return { held: amount, paid: amount, decidedAt: START };
}

/** The chain with what was done to the first of its grants, and the rest as it was. */
function over(chain: readonly Account[], changed: readonly Account[]): Account[] {
  return [...changed, ...chain.slice(changed.length)];
}

describe('setAsideBy', () => {
  const holders = (ancestors: string) =>
    setAsideBy(minted(ancestors, []))
      .map(({ id }) => id)
      .join(' ');

  it.each([
    ['the root', 's', 'g0'],
    ['a shared grant', 'sss', 'g0 g1 g2'],
    ['a carve-out', 'sr', 'g1'],
    ['a shared grant within a carve-out', 'srs', 'g1 g2'],
    ['a carve-out within a carve-out', 'srr', 'g2'],
    ['a carve-out within a shared grant', 'ssr', 'g2'],
    ['a carve-out within a shared one within a carve-out', 'srsr', 'g3'],
  ])('of a carve-out below %s (%s) is %s', (_what, ancestors, expected) => {
    expect(holders(ancestors)).toBe(expected);
  });
});

describe('a payment', () => {
  it.each([
    // The kinds of a chain with budgets 100, 80, 60 and 40: after minting, reserving 7 at its last
    // grant, settling it, and releasing it instead.
    ['s', '0/0/0', '7/0/0', '0/7/0'],
    ['ss', '0/0/0 0/0/0', '7/0/0 7/0/0', '0/7/0 0/7/0'],
    ['sr', '0/0/80 0/0/0', '7/0/73 7/0/0', '0/7/73 0/7/0'],
    ['srs', '0/0/80 0/0/0 0/0/0', '7/0/73 7/0/0 7/0/0', '0/7/73 0/7/0 0/7/0'],
    ['srr', '0/0/80 0/0/60 0/0/0', '7/0/73 7/0/53 7/0/0', '0/7/73 0/7/53 0/7/0'],
    ['ssr', '0/0/60 0/0/60 0/0/0', '7/0/53 7/0/53 7/0/0', '0/7/53 0/7/53 0/7/0'],
    [
      'srsr',
      '0/0/80 0/0/40 0/0/40 0/0/0',
      '7/0/73 7/0/33 7/0/33 7/0/0',
      '0/7/73 0/7/33 0/7/33 0/7/0',
    ],
  ])('under %s is held, and taken from what is set aside', (kinds, before, held, spent) => {
    const chain = minted(kinds, [100n, 80n, 60n, 40n]);
    expect(balances(chain)).toBe(before);
    const reserved = reserveOn(chain, 7n, START);
    expect(balances(reserved)).toBe(held);
    expect(counts(reserved)).toEqual(chain.map(() => [1, 1]));
    const settled = settleOn(reserved, whole(7n));
    expect(balances(settled)).toBe(spent);
    expect(counts(settled)).toEqual(chain.map(() => [1, 0]));
    const released = releaseOn(reserved, 7n, START);
    expect(balances(released)).toBe(before);
    expect(counts(released)).toEqual(chain.map(() => [0, 0]));
    const cancelled = cancelOn(reserved, 7n);
    expect(balances(cancelled)).toBe(before);
    expect(counts(cancelled)).toEqual(chain.map(() => [1, 0]));
  });

  it('that settles for less gives the rest back to budgets, to what is set aside and to its windows', () => {
    const windows = [{ seconds: 60, amount: 50n, payments: undefined }];
    const chain = minted('srs', [100n, 80n, 60n], windows);
    const settled = settleOn(reserveOn(chain, 7n, START), { held: 7n, paid: 3n, decidedAt: START });
    expect(balances(settled)).toBe('0/3/77 0/3/0 0/3/0');
    expect(counts(settled)).toEqual(chain.map(() => [1, 0]));
    const used = [{ period: 0, amount: 3n, payments: 1 }];
    expect(settled.map(({ windowUsage }) => windowUsage)).toEqual([used, used, used]);
  });

  it('of the parent of a carve-out takes nothing from what is set aside', () => {
    const chain = minted('srr', [100n, 80n, 60n]);
    const paid = over(chain, reserveOn(chain.slice(0, 2), 7n, START));
    expect(balances(paid)).toBe('7/0/73 7/0/60 0/0/0');
    const above = over(chain, reserveOn(chain.slice(0, 1), 7n, START));
    expect(balances(above)).toBe('7/0/80 0/0/60 0/0/0');
  });

  it('changes nothing of what it is given, and keeps what it does not know', () => {
    const [root] = minted('s', [100n]).map((each) => Object.freeze({ ...each, label: 'x' }));
    if (!root) throw new Error('no root');
    const chain = Object.freeze([root]);
    const [held] = reserveOn(chain, 7n, START);
    expect(held).toMatchObject({ id: 'g0', label: 'x', reserved: 7n });
    expect(settleOn(chain, whole(7n))[0]).toMatchObject({ label: 'x', reserved: -7n, spent: 7n });
    expect(releaseOn(chain, 7n, START)[0]).toMatchObject({ label: 'x', reserved: -7n });
    expect(root.reserved).toBe(0n);
  });

  it('counts to the windows of every grant until it is released; settling and cancelling leave them', () => {
    const windows = [{ seconds: 60, amount: 50n, payments: undefined }];
    const held = reserveOn(minted('sr', [100n, 80n], windows), 7n, ms(60_000));
    const counted = [{ period: 1, amount: 7n, payments: 1 }];
    expect(held.map(({ windowUsage }) => windowUsage)).toEqual([counted, counted]);
    expect(settleOn(held, whole(7n)).map(({ windowUsage }) => windowUsage)).toEqual([
      counted,
      counted,
    ]);
    expect(cancelOn(held, 7n).map(({ windowUsage }) => windowUsage)).toEqual([counted, counted]);
    const back = [{ period: 1, amount: 0n, payments: 0 }];
    const released = releaseOn(held, 7n, ms(119_999));
    expect(released.map(({ windowUsage }) => windowUsage)).toEqual([back, back]);
  });

  it('that is released after its period gives nothing back to the period that runs', () => {
    const windows = [{ seconds: 60, amount: 50n, payments: undefined }];
    const first = reserveOn(minted('sr', [100n, 80n], windows), 7n, ms(59_999));
    const both = reserveOn(first, 5n, ms(60_000));
    const released = releaseOn(both, 7n, ms(59_999));
    for (const { windowUsage, reserved, payments } of released) {
      expect(windowUsage).toEqual([{ period: 1, amount: 5n, payments: 1 }]);
      expect(reserved).toBe(5n);
      expect(payments).toBe(1);
    }
    expect(balances(released)).toBe('5/0/75 5/0/0');
  });
});

describe('returnable', () => {
  const END = ms(60_000);
  const grants = (kinds: string, ...changes: Partial<GrantSnapshot>[]) =>
    minted(kinds, [100n, 80n, 60n]).map(
      (account, place): GrantSnapshot => ({
        ...account,
        currency: 'USDC',
        maxPerPayment: undefined,
        maxPayments: undefined,
        approvalAbove: undefined,
        scope: {},
        expiresAt: END,
        delegationDepth: 0,
        approveNewPayees: false,
        breaker: undefined,
        status: 'active',
        ...changes[place],
      }),
    );

  it.each([
    ['was revoked', [{}, { status: 'revoked', spent: 7n }], 73n],
    ['is below a revoked grant', [{ status: 'revoked' }, { spent: 7n }], 73n],
    ['has made all of its payments', [{}, { spent: 7n, maxPayments: 2, payments: 2 }], 73n],
    ['may make no payment at all', [{}, { maxPayments: 0 }], 80n],
    ['ended with nothing left', [{}, { status: 'revoked', spent: 80n }], 0n],
  ] as [string, Partial<GrantSnapshot>[], bigint][])(
    'is what is left of a carve-out that %s',
    (_what, changes, left) => {
      expect(returnable(grants('sr', ...changes), START)).toBe(left);
    },
  );

  it('is what is left of a carve-out from the instant it ends', () => {
    const chain = grants('ssr', {}, {}, { spent: 7n });
    expect(returnable(chain, new Date(END.getTime() - 1))).toBeUndefined();
    expect(returnable(chain, END)).toBe(53n);
  });

  it.each([
    ['is spent to the last unit: a payment of nothing is still allowed', [{}, { spent: 80n }]],
    ['may still be spent', [{}, { spent: 79n, maxPayments: 3, payments: 2 }]],
    ['is suspended: it can be resumed', [{}, { status: 'suspended' }]],
    ['is below a grant that is', [{ status: 'suspended' }, {}]],
    ['is below one that is used up', [{ maxPayments: 0 }, {}]],
    ['has an open payment', [{}, { status: 'revoked', reserved: 7n, openPayments: 1 }]],
    ['has an open payment of nothing', [{}, { status: 'revoked', openPayments: 1 }]],
  ] as [string, Partial<GrantSnapshot>[]][])(
    'is undefined of a carve-out that %s',
    (_what, changes) => {
      expect(returnable(grants('sr', ...changes), START)).toBeUndefined();
    },
  );

  it('is undefined of a shared grant and of a root, which nobody set aside for', () => {
    expect(returnable(grants('ss', {}, { status: 'revoked' }), START)).toBeUndefined();
    expect(returnable(grants('srs', { status: 'revoked' }), START)).toBeUndefined();
    expect(returnable(grants('r', { status: 'revoked' }), START)).toBeUndefined();
    expect(returnable([], START)).toBeUndefined();
  });
});

describe('any history of payments under nested carve-outs', () => {
  it('keeps every sum: held, spent and set aside are what the payments come to', () => {
    const seen = { reserved: 0, settled: 0, released: 0, nested: 0 };
    const kinds = fc
      .array(fc.constantFrom('s', 'r'), { maxLength: 8, size: 'max' })
      .map((below) => ['s', ...below].join(''));
    const windows = fc.constantFrom<Window[]>([], [{ seconds: 2, amount: 99n, payments: 9 }]);
    const steps = fc.array(
      fc.record({
        place: fc.nat({ max: 8 }),
        amount: fc.bigInt({ min: 0n, max: 9n }),
        elapsed: fc.constantFrom(0, 1, 999, 1000, 2000),
        what: fc.constantFrom('reserve', 'reserve', 'settle', 'release'),
      }),
      { maxLength: 20, size: 'max' },
    );
    fc.assert(
      fc.property(kinds, windows, steps, (shape, limits, history) => {
        const budgets = [...shape].map((_kind, place) => 1000n - 100n * BigInt(place));
        let chain = minted(shape, budgets, limits);
        if (shape.includes('rsr') || shape.includes('rr')) seen.nested += 1;
        const made: Made[] = [];
        let now = START;
        for (const { place, amount, elapsed, what } of history) {
          now = new Date(now.getTime() + elapsed);
          const before = chain;
          const open = made.filter(({ state }) => state === 'open');
          const payment: Made | undefined =
            what === 'reserve'
              ? { place: place % chain.length, amount, at: now, state: 'open' }
              : open[place % Math.max(open.length, 1)];
          if (!payment) continue;
          const paying = chain.slice(0, payment.place + 1);
          if (what === 'reserve') {
            made.push(payment);
            chain = over(chain, reserveOn(paying, amount, now));
            // Nothing else than a release takes it back, to the last counter.
            const back = releaseOn(chain.slice(0, paying.length), amount, now);
            expect(counters(back)).toBe(counters(paying));
            seen.reserved += 1;
          } else if (what === 'settle') {
            payment.state = 'settled';
            chain = over(chain, settleOn(paying, whole(payment.amount)));
            expect(chain.map(total).join()).toBe(before.map(total).join());
            seen.settled += 1;
          } else {
            payment.state = 'released';
            chain = over(chain, releaseOn(paying, payment.amount, payment.at));
            seen.released += 1;
          }
          expect(counters(chain)).toBe(
            counters(
              chain.map((_grant, index) => {
                const below = made.filter((each) => each.place >= index);
                const carved = chain.slice(index + 1).find(({ funding }) => funding === 'reserved');
                return {
                  reserved: sumOf(below, 'open'),
                  spent: sumOf(below, 'settled'),
                  allocated: carved ? carved.budget - carved.reserved - carved.spent : 0n,
                  payments: below.filter(({ state }) => state !== 'released').length,
                  openPayments: below.filter(({ state }) => state === 'open').length,
                };
              }),
            ),
          );
          const usages = chain.flatMap(({ windowUsage }) => windowUsage);
          expect(usages.every(({ amount: taken, payments }) => taken >= 0n && payments >= 0)).toBe(
            true,
          );
        }
      }),
      { numRuns: 1_000 },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(300);
  });
});

function total({ reserved, spent, allocated }: Counters): bigint {
  return reserved + spent + allocated;
}

interface Made {
  readonly place: number;
  readonly amount: bigint;
  readonly at: Date;
  state: 'open' | 'settled' | 'released';
}

function sumOf(payments: readonly Made[], state: Made['state']): bigint {
  return payments
    .filter((each) => each.state === state)
    .reduce((sum, { amount }) => sum + amount, 0n);
}
