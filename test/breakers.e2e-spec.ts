import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCheck } from '../src/check/check.js';
import type { Service } from '../src/service.js';
import {
  Api,
  type EventAnswer,
  expectProblem,
  type Paid,
  type ProblemAnswer,
} from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { OTHER_PAYEE, order, PAYEE } from './support/terms.js';

let stack: TestStack;
let replica: Service;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack();
  replica = await startReplica(stack);
  ({ admin } = stack);
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

/** A grant's holder, on either replica in turn. */
async function holder(by: Api, terms: Record<string, unknown>) {
  const { grant, token } = await by.mint({ budget: '10.00', ...terms });
  const api = admin.as(token);
  const elsewhere = new Api(replica.url, token);
  return { id: grant.id, api, at: (n: number) => (n % 2 === 0 ? api : elsewhere) };
}

/** More than `maxPerPayment` of 0.001 allows. */
const tooMuch = () => order(stack.chain);

const events = (filter: string) => admin.all<EventAnswer>(`/v1/audit/events?${filter}`);

describe('a breaker', () => {
  it('trips at exactly the n-th refusal of its subtree, whatever replicas refuse', async () => {
    const parent = await holder(admin, {
      delegationDepth: 1,
      breaker: { refusals: 7, seconds: 600 },
    });
    const children = await Promise.all(
      [0, 1, 2].map(() =>
        holder(parent.api, { maxPerPayment: '0.001', breaker: { refusals: 7, seconds: 3_600 } }),
      ),
    );
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        const child = children[n % 3];
        if (!child) throw new Error('no child');
        return child.at(n).pay<ProblemAnswer>(tooMuch());
      }),
    );
    const refused = answers.filter(({ body }) => body.code === 'per_payment_exceeded');
    const stopped = answers.filter(({ body }) => body.code === 'grant_suspended');
    expect(refused).toHaveLength(7);
    expect(stopped).toHaveLength(53);
    const [trip, ...more] = await events(`kind=grant.tripped&grantId=${parent.id}`);
    expect(more).toEqual([]);
    expect(trip).toMatchObject({
      grantId: parent.id,
      actor: 'system:breaker',
      data: { refusals: 7, seconds: 600, unrecorded: 0, isLastRecorded: true, to: 'suspended' },
    });
    expect((await admin.grant(parent.id)).status).toBe('suspended');
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('is counted by the deepest first, and does not count above it when it trips there', async () => {
    const parent = await holder(admin, {
      delegationDepth: 1,
      breaker: { refusals: 4, seconds: 600 },
    });
    const child = await holder(parent.api, {
      maxPerPayment: '0.001',
      breaker: { refusals: 2, seconds: 600 },
    });
    for (const _ of [1, 2])
      expectProblem(await child.api.pay(tooMuch()), 403, 'per_payment_exceeded');
    expectProblem(await child.api.pay(tooMuch()), 403, 'grant_suspended', { grantId: child.id });
    const { rows } = await stack.db.query(
      'SELECT grant_id, cardinality(times) AS counted FROM breaker_counts WHERE grant_id = ANY ($1) ORDER BY counted',
      [[parent.id, child.id]],
    );
    expect(rows).toEqual([
      { grant_id: child.id, counted: 0 },
      { grant_id: parent.id, counted: 1 },
    ]);
    expectProblem(await child.api.post(`/v1/grants/${child.id}/resume`, {}), 403, 'forbidden');
    const resumed = await parent.api.post(`/v1/grants/${child.id}/resume`, {});
    expect(resumed.status).toBe(200);
    expectProblem(await child.api.pay(tooMuch()), 403, 'per_payment_exceeded');
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('counts nothing but denials by limits and scope', async () => {
    const grant = await holder(admin, {
      maxPerPayment: '0.02',
      breaker: { refusals: 1, seconds: 60 },
    });
    const { api } = grant;
    const cheap = await api.pay({ ...order(stack.chain), maxAmount: '0.001' });
    expectProblem(cheap, 403, 'max_amount_exceeded');
    expectProblem(await api.pay({ nothing: true }), 400, 'invalid_request');
    await api.paid(order(stack.chain), 'one');
    await api.paid(order(stack.chain), 'one');
    expect((await admin.grant(grant.id)).status).toBe('active');
    expectProblem(
      await api.pay(order(stack.chain, { amount: '30000' })),
      403,
      'per_payment_exceeded',
    );
    expectProblem(await api.pay(order(stack.chain), 'two'), 403, 'grant_suspended');
  });

  it('trips by refusals that are only counted as well, and says how many these are', async () => {
    const grant = await holder(admin, {
      maxPerPayment: '0.001',
      breaker: { refusals: 30, seconds: 600 },
    });
    for (let n = 0; n < 30; n++) await grant.api.pay(tooMuch());
    const [trip] = await events(`kind=grant.tripped&grantId=${grant.id}`);
    expect(trip?.data).toMatchObject({ refusals: 30, unrecorded: 10, isLastRecorded: false });
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('writes nothing for healthy traffic', async () => {
    const grant = await holder(admin, { breaker: { refusals: 3, seconds: 600 } });
    await grant.api.paid(order(stack.chain));
    const { rows } = await stack.db.query('SELECT 1 FROM breaker_counts WHERE grant_id = $1', [
      grant.id,
    ]);
    expect(rows).toEqual([]);
  });

  it.each([
    ['refusals', { refusals: 0, seconds: 60 }],
    ['refusals', { refusals: 101, seconds: 60 }],
    ['seconds', { refusals: 1, seconds: 0 }],
    ['seconds', { refusals: 1, seconds: 86_401 }],
    ['seconds', { refusals: 1 }],
  ])('is refused with wrong %s', async (_field, breaker) => {
    const answer = await admin.post('/v1/grants', {
      holder: 'a',
      budget: '1',
      ttlSeconds: 60,
      breaker,
    });
    expectProblem(answer, 400, 'invalid_request');
  });
});

describe('a grant that asks for approvals of new payees', () => {
  it('lets each first payment wait, and none after an approved one was collected', async () => {
    const root = await holder(admin, { approveNewPayees: true, delegationDepth: 1 });
    const agent = await holder(root.api, {});
    expect((await admin.grant(agent.id)).approveNewPayees).toBe(true);
    const first = await Promise.all(
      Array.from({ length: 12 }, (_, n) => agent.at(n).pay<Paid>(order(stack.chain), `new-${n}`)),
    );
    expect(first.map(({ status }) => status)).toEqual(Array(12).fill(202));
    const [one, two] = first.map(({ body }) => body.payment.id);
    const [pending] = await events(`kind=payment.pending&paymentId=${one}`);
    expect(pending?.data).toMatchObject({ askedBy: root.id, newPayee: true, approvalAbove: null });
    // The holder of the grant that asks may not approve it, and approving alone makes nobody known.
    expectProblem(await root.api.post(`/v1/payments/${one}/approve`, {}), 403, 'forbidden');
    expect((await admin.post(`/v1/payments/${one}/approve`, {})).status).toBe(200);
    expect((await agent.api.pay(order(stack.chain), 'before')).status).toBe(202);
    await agent.api.paid(order(stack.chain), 'new-0');
    expect((await agent.at(1).pay(order(stack.chain), 'after')).status).toBe(201);
    expect(
      (await agent.at(1).pay(order(stack.chain, { payTo: OTHER_PAYEE }), 'other')).status,
    ).toBe(202);
    // A payment that was asked before keeps waiting for its own approval.
    expect((await agent.api.pay(order(stack.chain), 'new-1')).status).toBe(202);
    expect((await agent.api.payment(two ?? '')).status).toBe('pending_approval');
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('knows a payee from one moment on, whatever replicas pay it just then', async () => {
    const root = await holder(admin, { approveNewPayees: true, delegationDepth: 1 });
    const agents = await Promise.all([0, 1].map(() => holder(root.api, {})));
    const [first] = agents as [(typeof agents)[0]];
    const asked = await first.api.pay<Paid>(order(stack.chain), 'first');
    await admin.post(`/v1/payments/${asked.body.payment.id}/approve`, {});
    const racing = (n: number) => {
      const agent = agents[n % 2] ?? first;
      return agent.at(n >> 1).pay<Paid>(order(stack.chain), `racing-${n}`);
    };
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, (_, n) => racing(n)),
      first.at(1).pay<Paid>(order(stack.chain), 'first'),
      ...Array.from({ length: 20 }, (_, n) => racing(20 + n)),
    ]);
    expect(answers[20]?.status).toBe(201);
    // Each grant asks by its own knowledge too, and the second has none: its root does not ask any more, but it does.
    const outcomes = await stack.db.query<{ kind: string }>(
      `SELECT kind FROM events WHERE grant_id = $1 AND kind IN ('payment.pending', 'payment.authorized')
       ORDER BY seq OFFSET 1`,
      [first.id],
    );
    const kinds = outcomes.rows.map(({ kind }) => kind);
    const known = kinds.indexOf('payment.authorized');
    expect(kinds.slice(0, known)).toEqual(kinds.slice(0, known).map(() => 'payment.pending'));
    expect(kinds.slice(known)).toEqual(kinds.slice(known).map(() => 'payment.authorized'));
    expect(kinds).toHaveLength(21);
    const askers = await stack.db.query<{ by: string; grant_id: string; seq: string }>(
      `SELECT record::jsonb -> 'data' ->> 'askedBy' AS by, grant_id, seq FROM events
       WHERE grant_id = ANY ($1) AND kind = 'payment.pending' ORDER BY seq`,
      [agents.map(({ id }) => id)],
    );
    const collected = await stack.db.query<{ seq: string }>(
      `SELECT min(seq) AS seq FROM events WHERE grant_id = $1 AND kind = 'payment.authorized'`,
      [first.id],
    );
    for (const { by, grant_id, seq } of askers.rows) {
      const isBefore = BigInt(seq) < BigInt(collected.rows[0]?.seq ?? 0);
      expect({ grant_id, by }).toEqual({ grant_id, by: isBefore ? root.id : agents[1]?.id });
    }
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('quotes the approval, and asks per grant that carries the term', async () => {
    const root = await holder(admin, { delegationDepth: 2, approveNewPayees: true });
    const team = await holder(root.api, { delegationDepth: 1 });
    const agent = await holder(team.api, {});
    const quote = await agent.api.post<{ decision: string; options: { reasons: object[] }[] }>(
      '/v1/payments/quote',
      order(stack.chain),
    );
    expect(quote.body.decision).toBe('require_approval');
    expect(quote.body.options[0]?.reasons).toMatchObject([
      { code: 'approval_required', grantId: root.id },
    ]);
    const waiting = await agent.api.pay<Paid>(order(stack.chain), 'x');
    await admin.post(`/v1/payments/${waiting.body.payment.id}/approve`, {});
    await agent.api.paid(order(stack.chain), 'x');
    const { rows } = await stack.db.query(
      'SELECT grant_id FROM known_payees WHERE pay_to = $1 AND grant_id = ANY ($2)',
      [PAYEE, [root.id, team.id, agent.id]],
    );
    expect(rows.map(({ grant_id }) => grant_id).sort()).toEqual(
      [root.id, team.id, agent.id].sort(),
    );
    const newer = await holder(root.api, {});
    // The newcomer's own term knows nobody yet; the grants above do.
    const asked = await newer.api.pay<Paid>(order(stack.chain), 'y');
    expect(asked.status).toBe(202);
    expect((await root.api.post(`/v1/payments/${asked.body.payment.id}/approve`, {})).status).toBe(
      200,
    );
    expect((await newer.api.pay(order(stack.chain), 'y')).status).toBe(201);
    const answer = await root.api.post('/v1/grants', {
      holder: 'a',
      budget: '1',
      approveNewPayees: false,
    });
    expectProblem(answer, 403, 'attenuation_violation', { field: 'approveNewPayees' });
  });

  it('leaves nothing for the checker to find', async () => {
    expect(await brokenInvariants(stack.db)).toEqual([]);
    const report = await runCheck({
      databaseUrl: stack.databaseUrl,
      networks: [],
      headers: [],
      overdueSeconds: 60,
      show: 20,
      progress: () => {},
    });
    const broken = report.invariants.flatMap(({ offenders }) => offenders);
    expect(broken).toEqual([]);
  });
});
