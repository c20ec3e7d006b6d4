import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { Service } from '../src/service.js';
import { type Answer, Api, type Minted, type Paid, type ProblemAnswer } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Orders that may wait behind a batch that is stuck: a quarter of the largest batch. */
const ROOM = 4;
const WAIT_MS = 200;

let stack: TestStack;
let service: Service;
let root: Minted;
let greedy: Minted;
let sibling: Minted;

beforeAll(async () => {
  stack = await startTestStack();
  service = await startReplica(stack, 'api', undefined, {
    BURSAR_MAX_BATCH: '16',
    BURSAR_MAX_PAYMENT_WAIT_MS: String(WAIT_MS),
  });
  root = await stack.admin.mint({ budget: '1000.00', delegationDepth: 2 });
  greedy = await stack.admin.as(root.token).mint({ budget: '1000.00' });
  sibling = await stack.admin.as(root.token).mint({ budget: '1000.00' });
}, 60_000);

afterAll(async () => {
  await service?.stop();
  await stack?.stop();
});

const as = ({ token }: Minted): Api => new Api(service.url, token);
const pay = (who: Minted, key?: string) =>
  as(who).pay<Paid & ProblemAnswer>(order(stack.chain), key);

/** Keeps a grant's row, so that a batch which needs it is stuck, while something happens. */
async function whileStuck(work: () => Promise<void>): Promise<void> {
  const client: pg.PoolClient = await stack.db.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT 1 FROM grants WHERE id = $1 FOR UPDATE', [root.grant.id]);
    await work();
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

const untilStuck = () =>
  until('a batch is stuck for longer than anybody may wait', async () => {
    const { rows } = await stack.db.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
       AND now() - query_start > interval '${WAIT_MS + 50} milliseconds'`,
    );
    return rows.length > 0;
  });

it('turns away what would wait too long, at once and before anything is read, and nobody else', async () => {
  // Tokens and grants are known before.
  const earlier = randomUUID();
  const first = await pay(greedy, earlier);
  expect(first.status).toBe(201);
  expect((await pay(sibling)).status).toBe(201);
  expect((await pay(root)).status).toBe(201);
  const before = await stack.db.query('SELECT count(*)::int AS count FROM payments');

  let waiting: Promise<Answer<Paid & ProblemAnswer>>[] = [];
  await whileStuck(async () => {
    const stuck = pay(greedy);
    await untilStuck();
    waiting = [stuck, ...Array.from({ length: ROOM - 1 }, () => pay(greedy))];
    // Two bodies that are no JSON: whoever is turned away is told before anybody reads them.
    await until('there is no more room', async () => {
      const answer = await as(greedy).post('/v1/payments', '{ not read', {
        'idempotency-key': randomUUID(),
      });
      return answer.status === 503;
    });
    // Without a key nothing is looked up.
    expect((await as(greedy).post('/v1/payments', '{ not read')).status).toBe(503);
    const began = performance.now();
    const refused = await as(greedy).post<ProblemAnswer>('/v1/payments', '{ not read', {
      'idempotency-key': randomUUID(),
    });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(refused.headers.get('x-content-type-options')).toBe('nosniff');
    expect(refused.headers.get('retry-after')).toMatch(/^[123]$/);
    expect(refused.body).toMatchObject({ code: 'unavailable', nextAction: 'wait' });
    expect(performance.now() - began).toBeLessThan(2_000);

    // A payment that exists, a sibling and the grant above come in all the same.
    waiting.push(pay(greedy, earlier), pay(sibling), pay(root));
    const known = (
      await until('all of them wait', async () => {
        const { body } = await as(sibling).get<{ items: unknown[] }>('/v1/payments');
        return body;
      })
    ).items;
    expect(known).toHaveLength(1);
    // A second treasury has a queue and connections of its own.
    const { body: second } = await stack.admin.post<{ id: string }>('/v1/treasuries', {
      name: `second-${randomUUID().slice(0, 8)}`,
    });
    const other = await stack.admin.mint({ budget: '1.00', treasuryId: second.id });
    expect((await pay(other)).body.code).toBe('treasury_insufficient');
  });
  const answers = await Promise.all(waiting);
  expect(answers.map(({ status }) => status)).toEqual(Array(ROOM + 3).fill(201));
  expect(answers[ROOM]?.body.header).toEqual(first.body.header);
  const after = await stack.db.query('SELECT count(*)::int AS count FROM payments');
  expect(after.rows[0].count - before.rows[0].count).toBe(ROOM + 2);
  expect(await brokenInvariants(stack.db)).toEqual([]);
  await until('the metrics count who was turned away', async () =>
    /^bursar_payments_total\{outcome="turned_away"\} [1-9]/m.test(await metricsOf(service)),
  );
}, 60_000);

it('forgets a caller that hangs up, and lets everybody in again', async () => {
  await whileStuck(async () => {
    for (let n = 0; n < 20; n += 1) {
      const hangUp = new AbortController();
      const lost = fetch(`${service.url}/v1/payments`, {
        method: 'POST',
        signal: hangUp.signal,
        headers: {
          authorization: `Bearer ${greedy.token}`,
          'content-type': 'application/json',
          'idempotency-key': randomUUID(),
        },
        body: JSON.stringify(order(stack.chain)),
      }).catch(() => {});
      setTimeout(() => hangUp.abort(), 20);
      await lost;
    }
  });
  await until('all have left', async () => (await pay(greedy)).status === 201);
  await until('so has its sibling', async () => (await pay(sibling)).status === 201);
}, 60_000);

it('forgets a request that ends before it comes to the ledger', async () => {
  // Its token is known before: a stranger gets no place.
  expect((await pay(greedy)).status).toBe(201);
  let stuck: Promise<Answer<Paid & ProblemAnswer>> | undefined;
  await whileStuck(async () => {
    stuck = pay(root);
    await untilStuck();
    for (let n = 0; n < 3 * ROOM; n += 1) {
      const headers = { 'idempotency-key': randomUUID() };
      const { status } = await as(greedy).post('/v1/payments', '{ no JSON', headers);
      expect(status).toBe(400);
    }
  });
  expect((await stuck)?.status).toBe(201);
}, 60_000);
