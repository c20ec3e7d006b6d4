import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import type { Service } from '../src/service.js';
import {
  type Answer,
  Api,
  type EventAnswer,
  expectProblem,
  type Minted,
  type Paid,
  type ProblemAnswer,
} from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { ended, release, SHORT, settle } from './support/settle.js';
import { atomic, CENT, order } from './support/terms.js';
import { until } from './support/until.js';

let stack: TestStack;
let replica: Service;
let admin: Api;
let urls: readonly string[];

beforeAll(async () => {
  stack = await startTestStack({ movableClock: true });
  replica = await startReplica(stack);
  ({ admin } = stack);
  urls = [stack.service.url, replica.url];
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

afterEach(async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

/** The same caller on each replica in turn. */
function everywhere(token: string | undefined, n: number): Api {
  return new Api(urls[n % urls.length] ?? '', token);
}

/** Rounds of the race across whole trees, one with revocations and one without in turn. */
const ROUNDS = Number(process.env.BURSAR_RACE_ROUNDS ?? 2);

const RESERVED = { funding: 'reserved' };

const root = (terms: Record<string, unknown> = {}) =>
  admin.mint({ budget: '1.00', delegationDepth: 8, ...terms });
const below = (parent: Minted, terms: Record<string, unknown>) =>
  admin.as(parent.token).mint(terms);
const paid = (payer: Minted, changes: Record<string, unknown> = {}) =>
  admin.as(payer.token).paid(order(stack.chain, changes));
const cents = (count: number) => ({ amount: (CENT * BigInt(count)).toString() });
const now = ({ grant }: Minted) => admin.grant(grant.id);
const revoke = async ({ grant }: Minted) => {
  expect((await admin.post(`/v1/grants/${grant.id}/revoke`, {})).status).toBe(200);
};

/** Waits until a grant's money is so. */
async function becomes(minted: Minted, money: Partial<GrantView>): Promise<void> {
  const entries = Object.entries(money) as [keyof GrantView, unknown][];
  await until(`grant ${minted.grant.id} shows ${JSON.stringify(money)}`, async () => {
    const grant = await now(minted);
    return entries.every(([name, value]) => grant[name] === value);
  });
}

async function returns({ grant }: Minted): Promise<EventAnswer[]> {
  const events = await admin.all<EventAnswer>(
    `/v1/audit/events?grantId=${grant.id}&kind=grant.returned`,
  );
  return events.filter(({ grantId }) => grantId === grant.id);
}

describe('a carve-out', () => {
  it('is taken from its parent, which can no longer spend it, and moves as it is paid', async () => {
    const top = await root();
    const carved = await below(top, { budget: '0.40', ...RESERVED });
    expect(carved.grant).toMatchObject({ funding: 'reserved', remaining: '0.40' });
    expect(await now(top)).toMatchObject({
      allocated: '0.40',
      remaining: '0.60',
      reserved: '0.00',
    });

    await paid(carved, cents(10));
    expect(await now(top)).toMatchObject({
      allocated: '0.30',
      reserved: '0.10',
      remaining: '0.60',
    });
    await settle(stack, await paid(carved, cents(5)));
    expect(await now(top)).toMatchObject({ allocated: '0.25', reserved: '0.10', spent: '0.05' });
    expect(await now(carved)).toMatchObject({ reserved: '0.10', spent: '0.05', remaining: '0.25' });

    const refused = await admin.as(top.token).pay(order(stack.chain, { amount: '600001' }));
    expectProblem(refused, 403, 'budget_exceeded', {
      grantId: top.grant.id,
      limit: '1.00',
      remaining: '0.60',
    });
    await paid(top, cents(60));
    // Its parent has nothing left, and the carve-out all of what was set aside.
    expect(await now(top)).toMatchObject({ remaining: '0.00', allocated: '0.25' });
    await paid(carved, cents(25));
  });

  it('is set aside by every grant above it up to the nearest carve-out, and by none further', async () => {
    const top = await root();
    const shared = await below(top, { budget: '0.90' });
    const outer = await below(shared, { budget: '0.50', ...RESERVED });
    const within = await below(outer, { budget: '0.45' });
    const inner = await below(within, { budget: '0.20', ...RESERVED });
    const allocated = async () =>
      Promise.all(
        [top, shared, outer, within, inner].map(async (one) => (await now(one)).allocated),
      );
    expect(await allocated()).toEqual(['0.50', '0.50', '0.20', '0.20', '0.00']);
    await paid(inner, cents(5));
    expect(await allocated()).toEqual(['0.45', '0.45', '0.15', '0.15', '0.00']);
    await paid(within, cents(10));
    expect(await allocated()).toEqual(['0.35', '0.35', '0.15', '0.15', '0.00']);
    await paid(top, cents(10));
    expect(await allocated()).toEqual(['0.35', '0.35', '0.15', '0.15', '0.00']);
  });

  it.each([
    ['its parent', 2, '0.20'],
    ['its root', 0, '0.30'],
    ['the grant between', 1, '0.25'],
  ])('that does not fit is refused by who has too little: %s', async (_who, place, budget) => {
    const budgets = ['1.00', '0.90', '0.80'];
    const top = await root({ budget: budgets[0] });
    const middle = await below(top, { budget: budgets[1] });
    const parent = await below(middle, { budget: budgets[2] });
    const named = [top, middle, parent][place];
    if (!named) throw new Error('no such grant');
    const taken = atomic(named.grant.budget) - atomic(budget);
    await paid(named, { amount: taken.toString() });
    const ask = (atoms: bigint) =>
      admin.as(parent.token).post<Minted & ProblemAnswer>('/v1/grants', {
        holder: 'carved',
        ttlSeconds: 60,
        budget: `0.${atoms.toString().padStart(6, '0')}`,
        ...RESERVED,
      });
    expectProblem(await ask(atomic(budget) + 1n), 403, 'budget_exceeded', {
      field: 'budget',
      grantId: named.grant.id,
      // The figures of a grant above the caller's are not for the caller to know.
      ...(named === parent
        ? { limit: named.grant.budget, remaining: budget }
        : { limit: undefined, remaining: undefined }),
    });
    expect((await ask(atomic(budget))).status).toBe(201);
    expect((await now(named)).remaining).toBe('0.00');
  });

  it('of nothing, or paid to the end, goes on answering', async () => {
    const top = await root();
    const carved = await below(top, { budget: '0.05', ...RESERVED });
    const empty = await below(top, { budget: '0', ...RESERVED });
    await settle(stack, await paid(carved, cents(5)));
    // One that ends meanwhile shows that the sweep has looked.
    const other = await below(top, { budget: '0.05', ttlSeconds: 1, ...RESERVED });
    await stack.passTime(2);
    await until('the sweep looked', async () => (await returns(other)).length === 1);
    for (const one of [carved, empty]) {
      await paid(one, { amount: '0' });
      expectProblem(
        await admin.as(one.token).pay(order(stack.chain, { amount: '1' })),
        403,
        'budget_exceeded',
        { grantId: one.grant.id, remaining: '0.00' },
      );
    }
    expect(await now(top)).toMatchObject({ allocated: '0.00', spent: '0.05' });
  });

  it('is shared by grants below it, which may promise more than it has', async () => {
    const top = await root();
    const carved = await below(top, { budget: '0.10', ...RESERVED });
    const [one, two] = [
      await below(carved, { budget: '0.10' }),
      await below(carved, { budget: '0.10' }),
    ];
    await paid(one, cents(7));
    const refused = await admin.as(two.token).pay(order(stack.chain, cents(4)));
    expectProblem(refused, 403, 'budget_exceeded', {
      grantId: carved.grant.id,
      limit: undefined,
      remaining: undefined,
    });
    await paid(two, cents(3));
    expect(await now(top)).toMatchObject({
      allocated: '0.00',
      reserved: '0.10',
      remaining: '0.90',
    });
  });
});

describe('what is left of a carve-out returns', () => {
  it('at once when it is revoked, in one event, and can be carved out anew', async () => {
    const top = await root();
    const shared = await below(top, { budget: '0.90' });
    const carved = await below(shared, { budget: '0.90', ...RESERVED });
    await settle(stack, await paid(carved, cents(7)));
    await revoke(carved);
    const money = { allocated: '0.00', spent: '0.07', reserved: '0.00' };
    expect(await now(shared)).toMatchObject({ ...money, remaining: '0.83' });
    expect(await now(top)).toMatchObject({ ...money, remaining: '0.93' });
    await revoke(carved);
    const again = await below(shared, { budget: '0.83', ...RESERVED });
    await paid(again, cents(83));
    expect(await returns(carved)).toMatchObject([
      {
        actor: 'system:grants',
        data: { amount: '830000', to: [top.grant.id, shared.grant.id] },
      },
    ]);
  });

  it('soon after one above it is revoked, each to where it came from', async () => {
    const top = await root();
    const shared = await below(top, { budget: '0.90' });
    const outer = await below(shared, { budget: '0.50', ...RESERVED });
    const inner = await below(outer, { budget: '0.20', ...RESERVED });
    await settle(stack, await paid(inner, cents(4)));
    await settle(stack, await paid(outer, cents(3)));
    await revoke(shared);
    await becomes(top, { allocated: '0.00', remaining: '0.93', spent: '0.07' });
    await becomes(shared, { allocated: '0.00' });
    await becomes(outer, { allocated: '0.00' });
    const told = [await returns(outer), await returns(inner)];
    expect(told).toMatchObject([
      [{ data: { amount: '430000', to: [top.grant.id, shared.grant.id] } }],
      [{ data: { amount: '160000', to: [outer.grant.id] } }],
    ]);
  });

  it('only after everything open of it has ended: settled is gone, released comes back', async () => {
    const top = await root();
    const carved = await below(top, { budget: '0.50', ...RESERVED });
    const within = await below(carved, { budget: '0.50' });
    const submitted = await paid(within, cents(7));
    const short = await paid(carved, { ...cents(9), ...SHORT });
    await revoke(carved);
    expect(await now(top)).toMatchObject({
      allocated: '0.34',
      reserved: '0.16',
      remaining: '0.50',
    });

    await settle(stack, submitted);
    expect((await admin.payment(short.payment.id)).status).toBe('authorized');
    expect(await returns(carved)).toEqual([]);
    await release(stack, short);
    await becomes(top, { allocated: '0.00', reserved: '0.00', spent: '0.07', remaining: '0.93' });
    const [told] = await returns(carved);
    expect(told?.data).toMatchObject({ amount: '430000' });
    // It comes after the open payment's end, not before it.
    const order = await admin.all<EventAnswer>(`/v1/audit/events?grantId=${carved.grant.id}`);
    const kinds = order.map(({ kind }) => kind);
    expect(kinds.indexOf('grant.returned')).toBeLessThan(kinds.indexOf('payment.released'));
  });

  it('when it expires, but not while a payment of it is open', async () => {
    const top = await root();
    const carved = await below(top, { budget: '0.50', ttlSeconds: 8, ...RESERVED });
    const { payment } = await paid(carved, cents(9));
    await stack.chain.pauseMining();
    try {
      const idle = await below(top, { budget: '0.20', ttlSeconds: 9, ...RESERVED });
      expect(await now(top)).toMatchObject({ allocated: '0.61', reserved: '0.09' });
      await stack.passTime(10);
      // The sweep that returns it has looked at both.
      await until('the one that is idle returned', async () => (await returns(idle)).length === 1);
      expect((await now(carved)).status).toBe('expired');
      expect(await returns(carved)).toEqual([]);
      expect(await now(top)).toMatchObject({ allocated: '0.41', reserved: '0.09' });
    } finally {
      await stack.chain.resumeMining();
    }
    await stack.finalize();
    await ended(stack, payment.id, 'released');
    await becomes(top, { allocated: '0.00', remaining: '1.00' });
    expect(await returns(carved)).toMatchObject([{ data: { amount: '500000' } }]);
  });

  it('when its count is used up, but not while one of them may yet be released', async () => {
    const top = await root();
    const carved = await below(top, { budget: '0.50', maxPayments: 2, ...RESERVED });
    await settle(stack, await paid(carved, cents(1)));
    const short = await paid(carved, { ...cents(2), ...SHORT });
    expect(await now(carved)).toMatchObject({ payments: 2, remaining: '0.00' });
    expect(await now(top)).toMatchObject({ allocated: '0.47' });
    await release(stack, short);
    // The count has room again: nothing returned, and it can be paid.
    expect(await now(carved)).toMatchObject({ payments: 1, remaining: '0.49' });
    expect(await now(top)).toMatchObject({ allocated: '0.49' });
    await settle(stack, await paid(carved, cents(3)));
    await becomes(top, { allocated: '0.00', spent: '0.04', remaining: '0.96' });
    const refused = await admin.as(carved.token).pay(order(stack.chain));
    expectProblem(refused, 403, 'payments_exceeded', { grantId: carved.grant.id });
    expect(await returns(carved)).toMatchObject([{ data: { amount: '460000' } }]);
    await revoke(carved);
    expect(await returns(carved)).toHaveLength(1);
  });
});

describe('racing replicas', () => {
  it('carve a budget out to its last atomic unit, and not one further', async () => {
    const top = await root({ budget: '1.000003' });
    const shared = await below(top, { budget: '1.000003' });
    const ask = (n: number, budget: string) =>
      everywhere(n % 3 ? top.token : shared.token, n).post<Minted & ProblemAnswer>('/v1/grants', {
        holder: 'carved',
        ttlSeconds: 600,
        budget,
        ...RESERVED,
      });
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => ask(n, '0.100001')));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(9);
    for (const [n, answer] of answers.entries()) {
      if (answer.status === 201) continue;
      expectProblem(answer, 403, 'budget_exceeded', {
        grantId: top.grant.id,
        // The rest of the root is for its own holder to know, and not for one below.
        remaining: n % 3 ? '0.099994' : undefined,
      });
    }
    const last = await Promise.all(Array.from({ length: 20 }, (_, n) => ask(n, '0.099994')));
    expect(last.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await now(top)).toMatchObject({ allocated: '1.000003', remaining: '0.00' });
    expectProblem(await ask(1, '0.000001'), 403, 'budget_exceeded', { remaining: '0.00' });
  });

  it('set aside once for one key, whoever asks where how often', async () => {
    const top = await root();
    const key = { 'idempotency-key': randomUUID() };
    const body = { holder: 'carved', ttlSeconds: 600, budget: '0.30', ...RESERVED };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        everywhere(top.token, n).post<Minted>('/v1/grants', body, key),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map((answer) => answer.body.grant.id)).size).toBe(1);
    expect(await now(top)).toMatchObject({ allocated: '0.30', remaining: '0.70' });
  });

  it('pay from a parent and its carve-outs at once, each its own to the last atomic unit', async () => {
    const top = await root({ budget: '0.100003' });
    const carved = await below(top, { budget: '0.050001', ...RESERVED });
    const inner = await below(carved, { budget: '0.020001', ...RESERVED });
    const share = await below(carved, { budget: '0.050001' });
    const payers = [top, carved, inner, share];
    const answers = await Promise.all(
      Array.from({ length: 160 }, (_, n) =>
        everywhere(payers[n % payers.length]?.token, n >> 2).pay(
          order(stack.chain, { amount: '3001' }),
        ),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 403]));
    // 0.050002 of its own: 16 times 0.003001. 0.030000 between those who share: 9. 0.020001: 6.
    expect(await money(top)).toEqual({ own: 16n, left: 50_002n - 16n * 3001n });
    expect(await money(inner)).toEqual({ own: 6n, left: 20_001n - 6n * 3001n });
    const [{ own: one }, { own: two, left }] = [await money(carved), await money(share)];
    expect(one + two).toBe(9n);
    expect(left).toBe(30_000n - 9n * 3001n);
    for (const payer of [top, inner, share]) {
      await paid(payer, { amount: atomic((await now(payer)).remaining).toString() });
      expect((await now(payer)).remaining).toBe('0.00');
    }
    // All of it is held, and nothing is set aside any more.
    expect(await now(top)).toMatchObject({ reserved: '0.100003', allocated: '0.00' });
  });

  it('mint, pay and revoke across trees of both nestings, and lose nothing', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const top = await root({ budget: '0.300007' });
      const carved = await below(top, { budget: '0.100003', ...RESERVED });
      const sharedIn = await below(carved, { budget: '0.100003' });
      const inner = await below(sharedIn, { budget: '0.040001', ...RESERVED });
      const shared = await below(top, { budget: '0.300007' });
      const carvedIn = await below(shared, { budget: '0.090001', ...RESERVED });
      const payers = [top, carved, sharedIn, inner, shared, carvedIn];
      const minters = [top, carved, sharedIn, shared, carvedIn];
      const doomed = [inner, carvedIn, sharedIn, carved, shared];
      const answers: Promise<Answer<Paid | Minted | ProblemAnswer>>[] = [];
      for (let n = 0; n < 60; n++) {
        answers.push(
          everywhere(payers[n % payers.length]?.token, n).pay(
            // Twelve of them are more than `carved` has left: some are refused before anything is revoked.
            order(stack.chain, { amount: String(5001 + n) }),
          ),
        );
        if (n % 4 === 1) {
          const terms = {
            holder: 'racer',
            ttlSeconds: 600,
            budget: `0.0${10_001 + n}`,
            ...RESERVED,
          };
          answers.push(
            everywhere(minters[(n >> 2) % minters.length]?.token, n).post('/v1/grants', terms),
          );
        }
        const victim = n % 12 === 11 ? doomed[(n - 11) / 12] : undefined;
        if (victim && round % 2 === 0) {
          // Not before some of it was answered, so that it comes between.
          await answers[n - 6];
          answers.push(everywhere(admin.token, n).post(`/v1/grants/${victim.grant.id}/revoke`, {}));
        }
      }
      const outcomes = new Map<string, number>();
      for (const { status, body, text } of await Promise.all(answers)) {
        const outcome = 'code' in body ? body.code : String(status);
        if (status >= 500) throw new Error(text);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      expect([...outcomes.keys()].sort()).toEqual(
        round % 2 === 0
          ? ['200', '201', 'budget_exceeded', 'grant_revoked']
          : ['201', 'budget_exceeded'],
      );
      expect(await brokenInvariants(stack.db)).toEqual([]);
      if (round % 2 === 0) {
        // All that is not held or spent is the root's own again, once the carve-outs of it returned.
        for (const one of await admin.all<GrantView>(`/v1/grants?parentId=${top.grant.id}`)) {
          if (one.status !== 'revoked') await admin.post(`/v1/grants/${one.id}/revoke`, {});
        }
        await becomesOwn(top);
      }
      const { remaining } = await now(top);
      await paid(top, { amount: atomic(remaining).toString() });
      expect((await now(top)).remaining).toBe('0.00');
    }
  });

  it('revoke a carve-out that is being paid: what was not paid is back, whoever was first', async () => {
    const firsts = { paid: 0, refused: 0 };
    for (let round = 0; round < 12; round++) {
      const top = await root({ budget: '0.100001' });
      const carved = await below(top, { budget: '0.050001', ...RESERVED });
      const attempts = Array.from({ length: 3 }, (_, n) =>
        everywhere(carved.token, n + round).pay(order(stack.chain, SHORT)),
      );
      const revoked = everywhere(admin.token, round).post(`/v1/grants/${carved.grant.id}/revoke`);
      const answers = await Promise.all(attempts);
      expect((await revoked).status).toBe(200);
      const held = answers.filter(({ status }) => status === 201).length;
      firsts[held > 0 ? 'paid' : 'refused'] += 1;
      const grant = await now(top);
      expect(atomic(grant.reserved)).toBe(BigInt(held) * CENT);
      expect(atomic(grant.allocated)).toBe(held === 0 ? 0n : 50_001n - BigInt(held) * CENT);
    }
    expect(firsts.paid).toBeGreaterThan(0);
    await stack.passTime(SHORT.maxTimeoutSeconds + 3);
    await stack.finalize();
    await until('everything was released and returned', async () => {
      const { rows } = await stack.db.query(
        `SELECT 1 FROM grants c JOIN grants p ON p.id = c.parent_id
         WHERE c.budget = 50001 AND p.budget = 100001 AND c.status = 'revoked'
           AND (c.returned_at IS NULL OR p.allocated <> 0 OR p.reserved <> 0)`,
      );
      return rows.length === 0;
    });
  });
});

/** How many payments of 3001 a grant itself has made, and what of its budget is nobody's. */
async function money({ grant }: Minted): Promise<{ own: bigint; left: bigint }> {
  const { rows } = await stack.db.query<{ own: string }>(
    'SELECT count(*) AS own FROM payments WHERE grant_id = $1',
    [grant.id],
  );
  return { own: BigInt(rows[0]?.own ?? 0), left: atomic((await admin.grant(grant.id)).remaining) };
}

/** Waits until a grant has set aside no more than what its open payments could give back. */
async function becomesOwn(top: Minted): Promise<void> {
  await until('nothing idle is set aside', async () => {
    const { rows } = await stack.db.query(
      `SELECT 1 FROM grants WHERE $1 = ANY (path) AND funding = 'reserved' AND parent_id IS NOT NULL
         AND returned_at IS NULL AND open_payments = 0`,
      [top.grant.id],
    );
    return rows.length === 0;
  });
}
