import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { limitDenial } from './denials.js';
import type { GrantSnapshot } from './grant.js';
import { currencyOf } from './money.js';
import { type PastPayment, REPLAY_EXAMPLES, replaySteps } from './policy-replay.js';
import { parseResource } from './scope.js';
import { returnToWindows, takeFromWindows } from './window.js';

const USDC = currencyOf('USDC');
const START = Date.parse('2026-11-20T00:00:00.000Z');
const ALICE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

const at = (seconds: number) => new Date(START + seconds * 1_000);

function grant(changes: Partial<GrantSnapshot> = {}): GrantSnapshot {
  return {
    id: 'grt_1',
    currency: 'USDC',
    budget: 1_000n,
    maxPerPayment: undefined,
    maxPayments: undefined,
    windows: [],
    windowUsage: [],
    approvalAbove: undefined,
    approveNewPayees: false,
    breaker: undefined,
    funding: 'shared',
    scope: {},
    startsAt: at(0),
    expiresAt: at(1e6),
    delegationDepth: 0,
    status: 'active',
    reserved: 0n,
    spent: 0n,
    allocated: 0n,
    payments: 0,
    openPayments: 0,
    ...changes,
  };
}

let count = 0;
function payment(seconds: number, amount: bigint, changes: Partial<PastPayment> = {}): PastPayment {
  return {
    id: `pay_${count++}`,
    amount,
    network: 'eip155:8453',
    payTo: ALICE,
    resources: [],
    at: at(seconds),
    gaveBackAt: undefined,
    staysCounted: false,
    isSetAside: false,
    wasApproved: false,
    ...changes,
  };
}

/** All steps of a replay at once. */
function replayPolicy(...given: Parameters<typeof replaySteps>) {
  const steps = replaySteps(...given);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

const replay = (terms: Partial<GrantSnapshot>, payments: readonly PastPayment[], from = at(0)) =>
  replayPolicy(grant(terms), payments, USDC, from);

describe('a policy replay', () => {
  it('counts what other terms would have refused, by code, and names the payments', () => {
    const big = payment(2, 90n);
    const outcome = replay({ maxPerPayment: 50n }, [payment(1, 50n), big, payment(3, 10n)]);
    expect(outcome.allowed).toEqual({ payments: 2, amount: 60n });
    expect(outcome.refused).toEqual({ payments: 1, amount: 90n });
    expect([...outcome.refusedBy]).toEqual([
      ['per_payment_exceeded', { payments: 1, amount: 90n }],
    ]);
    expect(outcome.examples).toMatchObject([
      { payment: big, code: 'per_payment_exceeded', limit: '0.00005' },
    ]);
  });

  it('takes nothing for a refused payment, so that a later, smaller one fits', () => {
    const outcome = replay({ budget: 100n }, [payment(1, 80n), payment(2, 30n), payment(3, 20n)]);
    expect(outcome.allowed).toEqual({ payments: 2, amount: 100n });
    expect([...outcome.refusedBy.keys()]).toEqual(['budget_exceeded']);
  });

  it('gives back what was released, when it was', () => {
    const released = payment(1, 80n, { gaveBackAt: at(5) });
    const payments = [released, payment(2, 80n), payment(6, 80n)];
    expect(replay({ budget: 100n }, payments).refused).toEqual({ payments: 1, amount: 80n });
    expect(replay({ maxPayments: 1 }, payments).refused.payments).toBe(1);
    const cancelled = { ...released, staysCounted: true };
    const after = [cancelled, payment(6, 80n)];
    expect(replay({ budget: 100n }, after).refused.payments).toBe(0);
    expect(replay({ maxPayments: 1 }, after).refused.payments).toBe(1);
  });

  it('does not give back what a refused payment never took', () => {
    const refused = payment(1, 120n, { gaveBackAt: at(2) });
    const outcome = replay({ budget: 100n }, [refused, payment(3, 100n), payment(4, 1n)]);
    expect(outcome.refused).toEqual({ payments: 2, amount: 121n });
  });

  it('lets payments before the beginning fill the windows, without judging them', () => {
    const windows = [{ seconds: 60, amount: 100n, payments: undefined }];
    const outcome = replay(
      { windows },
      [payment(1, 500n), payment(30, 1n), payment(61, 100n)],
      at(30),
    );
    expect(outcome.refused).toEqual({ payments: 1, amount: 1n });
    expect(outcome.allowed).toEqual({ payments: 1, amount: 100n });
  });

  it('asks no budget where a carve-out had set the money aside, and every other limit', () => {
    const aside = { isSetAside: true };
    const payments = [payment(1, 60n, aside), payment(2, 90n, aside), payment(3, 50n)];
    const outcome = replay({ budget: 100n, allocated: 50n, maxPerPayment: 80n }, payments);
    expect([...outcome.refusedBy.keys()]).toEqual(['per_payment_exceeded']);
    expect(outcome.allowed).toEqual({ payments: 2, amount: 110n });
  });

  it('tells scope and approvals', () => {
    const resources = [parseResource('https://api.example.com/a') ?? fail()];
    const scope = { resources: ['https://api.example.com/b'] };
    expect([...replay({ scope }, [payment(1, 1n, { resources })]).refusedBy.keys()]).toEqual([
      'resource_not_allowed',
    ]);
    const payments = [payment(1, 60n), payment(2, 60n, { wasApproved: true }), payment(3, 50n)];
    expect(replay({ approvalAbove: 50n }, payments).waiting).toEqual({ payments: 1, amount: 60n });
  });

  it('shows the first refused payments alone', () => {
    const payments = Array.from({ length: REPLAY_EXAMPLES + 5 }, (_, n) => payment(n, 2n));
    const { examples, refused } = replay({ maxPerPayment: 1n }, payments);
    expect(refused.payments).toBe(REPLAY_EXAMPLES + 5);
    expect(examples.map((each) => each.payment)).toEqual(payments.slice(0, REPLAY_EXAMPLES));
  });

  it('refuses nothing of what its own terms allowed', () => {
    const terms = fc.record({
      budget: fc.bigInt(0n, 500n),
      maxPayments: fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }),
      windows: fc.array(
        fc.record({
          seconds: fc.integer({ min: 1, max: 40 }),
          amount: fc.option(fc.bigInt(0n, 200n), { nil: undefined }),
          payments: fc.integer({ min: 1, max: 6 }),
        }),
        { maxLength: 2 },
      ),
    });
    const asked = fc.array(
      fc.record({
        wait: fc.integer({ min: 0, max: 15 }),
        amount: fc.bigInt(0n, 120n),
        heldFor: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
        staysCounted: fc.boolean(),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(terms, asked, (changes, wishes) => {
        const made = lived(grant(changes), wishes);
        const outcome = replayPolicy(grant(changes), made, USDC, at(0));
        expect(outcome.refused).toEqual({ payments: 0, amount: 0n });
        expect(outcome.allowed.payments).toBe(made.length);
      }),
      { numRuns: 300 },
    );
  });
});

/** The payments that a grant allows when these are asked of it, one after the other: by the ledger's own movements. */
function lived(
  terms: GrantSnapshot,
  wishes: readonly {
    wait: number;
    amount: bigint;
    heldFor: number | undefined;
    staysCounted: boolean;
  }[],
): PastPayment[] {
  let state = terms;
  let seconds = 0;
  const made: PastPayment[] = [];
  const open: PastPayment[] = [];
  for (const { wait, amount, heldFor, staysCounted } of wishes) {
    seconds += wait;
    const now = at(seconds);
    open.sort((a, b) => Number(a.gaveBackAt) - Number(b.gaveBackAt));
    while (open[0] && Number(open[0].gaveBackAt) < now.getTime()) {
      const back = open.shift() as PastPayment;
      state = {
        ...state,
        reserved: state.reserved - back.amount,
        payments: state.payments - (back.staysCounted ? 0 : 1),
        windowUsage: back.staysCounted
          ? state.windowUsage
          : returnToWindows(state, { amount: back.amount, payments: 1 }, back.at),
      };
    }
    if (limitDenial([state], { amount }, USDC, now)) continue;
    const gaveBackAt = heldFor === undefined ? undefined : at(seconds + heldFor);
    const paid = payment(seconds, amount, { gaveBackAt, staysCounted });
    made.push(paid);
    if (gaveBackAt) open.push(paid);
    state = {
      ...state,
      reserved: state.reserved + amount,
      payments: state.payments + 1,
      windowUsage: takeFromWindows(state, amount, now),
    };
  }
  return made;
}

function fail(): never {
  throw new Error('not a resource');
}
