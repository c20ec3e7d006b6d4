import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import {
  Api,
  type EventAnswer,
  expectProblem,
  type Listed,
  type Minted,
  type Paid,
} from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { settle } from './support/settle.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** The bounds as grant/root/treasury: small enough to be reached. */
const ENVIRONMENT = {
  BURSAR_MAX_ALIVE_GRANTS: '6/12/80',
  BURSAR_MAX_WAITING_APPROVALS: '3/5/7',
  BURSAR_MAX_OPEN_PAYMENTS: '3/5/9',
  BURSAR_MAX_EVENTS_PER_HOUR: '60/90/5000',
  BURSAR_APPROVAL_SECONDS: '600',
};

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack({ environment: ENVIRONMENT, movableClock: true });
  admin = stack.admin;
}, 60_000);

afterAll(async () => {
  await stack?.stop();
});

const TERMS = { budget: '10.00', delegationDepth: 3 };
const root = (terms: object = {}) => admin.mint({ ...TERMS, ...terms });
const below = (parent: Minted, terms: object = {}) =>
  admin
    .as(parent.token)
    .mint({ budget: '10.00', delegationDepth: parent.grant.depth === 0 ? 2 : 1, ...terms });
const pay = (payer: Minted, api = admin) => api.as(payer.token).pay<Paid>(order(stack.chain));
const full = (answer: Parameters<typeof expectProblem>[0], grantId: string | undefined) => {
  expectProblem(answer, 429, 'rate_limited', {
    grantId,
    nextAction: 'wait',
    retryAfter: expect.any(Number) as unknown as number,
    remaining: undefined,
  });
  expect(answer.headers.get('retry-after')).toMatch(/^[1-9][0-9]*$/);
};
const usage = async () => {
  const { rows } = await stack.db.query('SELECT alive, waiting, open_payments FROM treasury_usage');
  return rows[0];
};

/** Lets every approval that somebody waits for lapse. */
async function lapse(): Promise<void> {
  await stack.passTime(600);
  // Or its newest block is too old to pay by.
  await stack.finalize();
  await until('all have lapsed', async () => (await usage()).waiting === 0);
}

describe('payments that wait for an approval', () => {
  it('count to every grant above, so that delegating gives no more of them', async () => {
    const top = await root({ approvalAbove: '0' });
    const [left, right] = [await below(top), await below(top)];
    const leaves = [await below(left), await below(left), await below(left)] as const;
    const waiting: string[] = [];
    for (const leaf of [leaves[0], leaves[0], leaves[1]].slice(0, 2)) {
      const answer = await pay(leaf);
      expect(answer.status).toBe(202);
      waiting.push(answer.body.payment.id);
    }
    // Half of the root's five is two.
    full(await pay(leaves[2]), left.grant.id);
    for (let n = 0; n < 2; n += 1) expect((await pay(right)).status).toBe(202);
    expectProblem(await pay(right), 429, 'rate_limited', {
      grantId: right.grant.id,
      limit: '2',
      remaining: '0',
    });
    expect((await pay(top)).status).toBe(202);
    full(await pay(await below(top)), top.grant.id);
    const other = await root({ approvalAbove: '0' });
    for (let n = 0; n < 2; n += 1) expect((await pay(other)).status).toBe(202);
    full(await pay(other), undefined);

    // A payment that no longer waits makes room, on every level.
    await admin.post(`/v1/payments/${waiting[0]}/reject`, {});
    expect((await pay(leaves[2])).status).toBe(202);
    await admin.post(`/v1/payments/${waiting[1]}/approve`, {});
    full(await pay(leaves[2]), top.grant.id);
    await lapse();
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('make room when they are collected', async () => {
    const top = await root({ approvalAbove: '0' });
    const child = await below(top);
    const keys = ['first', 'second'];
    for (const key of keys) {
      const asked = await admin.as(child.token).pay<Paid>(order(stack.chain), key);
      await admin.post(`/v1/payments/${asked.body.payment.id}/approve`, {});
    }
    expectProblem(await pay(child), 429, 'rate_limited', { grantId: child.grant.id });
    await admin.as(child.token).paid(order(stack.chain), 'first');
    expect((await pay(child)).status).toBe(202);
    expect(await brokenInvariants(stack.db)).toEqual([]);
    await lapse();
  });

  it('are bounded however many are asked at once, over two replicas', async () => {
    const replica = await startReplica(stack, 'api', undefined, ENVIRONMENT);
    try {
      const there = new Api(replica.url, admin.token);
      const top = await root({ approvalAbove: '0' });
      const children = await Promise.all([below(top), below(top), below(top)]);
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, n) =>
          pay(children[n % 3] as Minted, n % 2 === 0 ? admin : there),
        ),
      );
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter((status) => status === 202)).toHaveLength(5);
      expect(statuses.filter((status) => status === 429)).toHaveLength(25);
      expect(await usage()).toMatchObject({ waiting: 5 });
    } finally {
      await replica.stop();
    }
  });
});

describe('open payments', () => {
  it('count to every grant above and the treasury, and make room when they end', async () => {
    const before = (await usage()).open_payments;
    const top = await root();
    const middle = await below(top);
    const leaves = [await below(middle), await below(middle)] as const;
    const first = await admin.as(leaves[0].token).paid(order(stack.chain));
    await admin.as(leaves[0].token).paid(order(stack.chain));
    const refused = await pay(leaves[1]);
    full(refused, middle.grant.id);
    expect(await admin.grant(leaves[1].grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
    for (let n = 0; n < 3; n += 1) expect((await pay(top)).status).toBe(201);
    full(await pay(await below(top)), top.grant.id);
    const other = await root();
    for (let n = before + 5; n < 9; n += 1) expect((await pay(other)).status).toBe(201);
    full(await pay(other), undefined);
    await settle(stack, first);
    expect((await pay(leaves[1])).status).toBe(201);
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });
});

describe('grants', () => {
  const child = (parent: Minted, terms: object = {}) =>
    admin
      .as(parent.token)
      .post<Minted>('/v1/grants', { holder: 'child', budget: '1.00', ttlSeconds: 600, ...terms });

  it('that are alive count to every grant above, until they are revoked or over', async () => {
    const top = await root();
    const middle = await below(top);
    const short = await child(middle, { ttlSeconds: 2 });
    const made = [short];
    for (let n = 0; n < 4; n += 1) made.push(await child(middle));
    expect(made.map(({ status }) => status)).toEqual(Array(5).fill(201));
    expectProblem(await child(middle), 429, 'rate_limited', {
      grantId: middle.grant.id,
      limit: '6',
    });
    const leaf = made[1]?.body as Minted;
    await admin.post(`/v1/grants/${leaf.grant.id}/revoke`, {});
    expect((await child(middle)).status).toBe(201);
    await until('the short one is counted out', async () => (await child(middle)).status === 201);
    for (let n = 0; n < 5; n += 1) expect((await child(top)).status).toBe(201);
    // The root has twelve: itself, the one between and its five, and these five.
    expectProblem(await child(top), 429, 'rate_limited', { grantId: top.grant.id, limit: '12' });
  });

  it('are bounded in a treasury, whoever mints them', async () => {
    let last: Awaited<ReturnType<typeof child>> | undefined;
    for (let n = 0; n < 90 && last?.status !== 429; n += 1) {
      last = await admin.post<Minted>('/v1/grants', {
        holder: 'one more',
        budget: '1.00',
        ttlSeconds: 600,
      });
    }
    full(last as NonNullable<typeof last>, undefined);
    expect(await usage()).toMatchObject({ alive: 80 });
    expect(await brokenInvariants(stack.db)).toEqual([]);
    // All later tests need room.
    const { rows } = await stack.db.query<{ id: string }>(
      `SELECT id FROM grants WHERE parent_id IS NULL AND status = 'active'`,
    );
    for (const { id } of rows) await admin.post(`/v1/grants/${id}/revoke`, {});
    expect(await usage()).toMatchObject({ alive: 0 });
  });

  it('have terms of a bounded size, what they inherit included', async () => {
    const resources = Array.from(
      { length: 32 },
      (_, n) => `https://host-${n}.example.com/${'a'.repeat(470)}`,
    );
    const long = { budget: '1.00', holder: 'large', ttlSeconds: 600, delegationDepth: 1 };
    const fits = await admin.post<Minted>('/v1/grants', {
      ...long,
      scope: { resources: resources.slice(0, 30) },
    });
    expect(fits.status).toBe(201);
    const refused = await admin.post('/v1/grants', {
      ...long,
      scope: { resources },
      purpose: 'b'.repeat(1000),
    });
    expectProblem(refused, 400, 'invalid_request', { field: 'scope' });
    const labels = Object.fromEntries(
      Array.from({ length: 16 }, (_, n) => [`l${n}`, 'c'.repeat(255)]),
    );
    const inherits = await admin.as(fits.body.token).post('/v1/grants', {
      holder: 'child',
      budget: '1.00',
      ttlSeconds: 60,
      labels,
    });
    expectProblem(inherits, 400, 'invalid_request', { field: 'scope' });
  });
});

describe('a page', () => {
  it('is bounded in bytes, and what did not fit is on the next', async () => {
    const resources = Array.from(
      { length: 30 },
      (_, n) => `https://host-${n}.example.com/${'a'.repeat(470)}`,
    );
    const ids: string[] = [];
    for (let n = 0; n < 50; n += 1) {
      const { grant } = await admin.mint({ holder: 'paged', budget: '1.00', scope: { resources } });
      ids.push(grant.id);
    }
    const first = await admin.get<Listed<GrantView>>('/v1/grants?holder=paged&limit=200');
    expect(first.status).toBe(200);
    expect(first.text.length).toBeLessThan(700_000);
    expect(first.body.items.length).toBeGreaterThan(20);
    expect(first.body.items.length).toBeLessThan(50);
    const all = await admin.all<GrantView>('/v1/grants?holder=paged');
    expect(all.map(({ id }) => id).sort()).toEqual(ids.sort());
    const events = await admin.get<Listed<EventAnswer>>(
      '/v1/audit/events?kind=grant.minted&limit=200',
    );
    expect(events.text.length).toBeLessThan(700_000);
    expect(events.body.nextCursor).not.toBeNull();
    for (const id of ids) await admin.post(`/v1/grants/${id}/revoke`, {});
  });
});

describe('repetitions', () => {
  const act = (api: Api, what: string, id: string) => api.post(`/v1/grants/${id}/${what}`, {});

  it('of resuming are refused past twenty a minute by one caller, and stopping never is', async () => {
    const top = await root();
    const holder = admin.as(top.token);
    const kid = await below(top);
    for (let n = 0; n < 20; n += 1) {
      expect((await act(holder, 'suspend', kid.grant.id)).status).toBe(200);
      expect((await act(holder, 'resume', kid.grant.id)).status).toBe(200);
    }
    expect((await act(holder, 'suspend', kid.grant.id)).status).toBe(200);
    expectProblem(await act(holder, 'resume', kid.grant.id), 429, 'rate_limited', {
      grantId: kid.grant.id,
      nextAction: 'wait',
    });
    expect((await admin.grant(kid.grant.id)).status).toBe('suspended');
    expect((await act(admin, 'resume', kid.grant.id)).status).toBe(200);
  });

  it('of replacing a token are refused past twenty a minute by one caller', async () => {
    const top = await root();
    const kid = await below(top);
    const holder = admin.as(top.token);
    for (let n = 0; n < 20; n += 1) {
      expect((await act(holder, 'token', kid.grant.id)).status).toBe(200);
    }
    expectProblem(await act(holder, 'token', kid.grant.id), 429, 'rate_limited', {
      grantId: kid.grant.id,
    });
    expect((await act(admin, 'token', kid.grant.id)).status).toBe(200);
    const { rows } = await stack.db.query('SELECT token_generation FROM grants WHERE id = $1', [
      kid.grant.id,
    ]);
    expect(rows[0].token_generation).toBe(22);
  });

  it('of refusals are folded past the hour’s events of a tree, however many grants they come from', async () => {
    const top = await root();
    const middle = await below(top);
    const leaves = await Promise.all(
      [1, 2, 3, 4].map(() => below(middle, { maxPerPayment: '0.001' })),
    );
    for (const leaf of leaves) {
      for (let n = 0; n < 20; n += 1) expect((await pay(leaf)).status).toBe(403);
    }
    const told = await admin.all<EventAnswer>(
      `/v1/audit/events?grantId=${middle.grant.id}&kind=payment.refused`,
    );
    // Half of the root's ninety, of which its children took some.
    expect(told.length).toBeLessThanOrEqual(45);
    expect(told.length).toBeGreaterThan(35);
    const { rows } = await stack.db.query<{ counted: string }>(
      'SELECT sum(counted) AS counted FROM refusal_tallies WHERE grant_id = ANY ($1)',
      [leaves.map(({ grant }) => grant.id)],
    );
    expect(Number(rows[0]?.counted) + told.length).toBe(80);
    const more = await admin
      .as(middle.token)
      .post('/v1/grants', { holder: 'one more', budget: '1.00', ttlSeconds: 60 });
    full(more, middle.grant.id);
    // Money and stopping go on.
    expect((await act(admin, 'suspend', middle.grant.id)).status).toBe(200);
    expect((await act(admin, 'resume', middle.grant.id)).status).toBe(200);
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });
});

describe('requests', () => {
  it('of one tree share its rate, of which one grant takes half at most', async () => {
    const replica = await startReplica(stack, 'api', undefined, {
      BURSAR_RATE_LIMIT_PER_ROOT: '20',
    });
    try {
      const top = await root();
      const grants = [top, await below(top), await below(top)];
      const apis = grants.map(({ token }) => new Api(replica.url, token));
      const ask = async (api: Api | undefined, times: number) => {
        const statuses: number[] = [];
        for (let n = 0; n < times; n += 1) {
          statuses.push((await (api as Api).get('/v1/grants/self')).status);
        }
        return statuses.filter((status) => status === 200).length;
      };
      // Within one window of ten seconds.
      await until('a window begins', async () => Date.now() % 10_000 < 1_000);
      expect(await ask(apis[1], 15)).toBe(10);
      expect((await ask(apis[2], 15)) + (await ask(apis[0], 15))).toBe(10);
    } finally {
      await replica.stop();
    }
  });
});
