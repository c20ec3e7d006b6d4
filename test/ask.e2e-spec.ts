import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RequestView } from '../src/grants/requests.dto.js';
import type { Service } from '../src/service.js';
import { type Answer, Api, type EventAnswer, expectProblem, type Minted } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { CENT, order } from './support/terms.js';
import { until } from './support/until.js';

// Holders ask for raises of their own grants, and those above decide, on two replicas.

interface Asked {
  readonly request: RequestView;
}

let stack: TestStack;
let replica: Service;
let admin: Api;

beforeAll(async () => {
  const environment = {
    BURSAR_MAX_WAITING_APPROVALS: '2/3/10000',
    BURSAR_APPROVAL_SECONDS: '3600',
  };
  stack = await startTestStack({ movableClock: true, environment });
  replica = await startReplica(stack, 'api', undefined, environment);
  ({ admin } = stack);
}, 60_000);

afterEach(async () => {
  expect(await wrongInBooks(stack)).toEqual([]);
}, 30_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

const there = (token: string | undefined) => new Api(replica.url, token);
const ask = ({ token }: Minted, body: object): Promise<Answer<Asked>> =>
  there(token).post<Asked>('/v1/grant-requests', body);
const decide = (api: Api, id: string, what: 'approve' | 'reject', body: object = {}) =>
  api.post<Asked>(`/v1/grant-requests/${id}/${what}`, body);

async function asked(minted: Minted, body: object): Promise<RequestView> {
  const answer = await ask(minted, body);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 202 });
  return answer.body.request;
}

const RAISE = { budget: '2.00', reason: 'more pages' };

async function family(): Promise<{ root: Minted; child: Minted }> {
  const life = { ttlSeconds: 36_000 };
  const root = await admin.mint({ budget: '5.00', delegationDepth: 1, ...life });
  return { root, child: await admin.as(root.token).mint({ budget: '1.00', ...life }) };
}

describe('a raise request', () => {
  it('waits, is listed to those who see its grant, and amends the grant once it is approved', async () => {
    const { root, child } = await family();
    const request = await asked(child, RAISE);
    expect(request).toMatchObject({
      status: 'pending',
      grantId: child.grant.id,
      ...RAISE,
      currency: 'USDC',
      expiresAt: null,
      decidedAt: null,
    });
    const stranger = await admin.mint({ budget: '1.00' });
    const listed = async (api: Api, query = '') =>
      (await api.all<RequestView>(`/v1/grant-requests?status=pending${query}`)).map(({ id }) => id);
    for (const api of [admin, there(root.token), there(child.token)]) {
      expect(await listed(api)).toEqual([request.id]);
    }
    expect(await listed(there(stranger.token))).toEqual([]);
    expect(await listed(admin, `&grantId=${stranger.grant.id}`)).toEqual([]);
    const answer = await decide(admin.as(root.token), request.id, 'approve', { reason: 'fine' });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        request: { status: 'approved', decidedBy: `grant:${root.grant.id}`, decidedReason: 'fine' },
      },
    });
    expect((await admin.grant(child.grant.id)).budget).toBe('2.00');
    const events = await admin.all<EventAnswer>(`/v1/audit/events?grantId=${child.grant.id}`);
    expect(events.slice(0, 3).map(({ kind, reason }) => [kind, reason])).toEqual([
      ['grant_request.approved', 'fine'],
      ['grant.amended', 'fine'],
      ['grant_request.created', 'more pages'],
    ]);
    expect(await listed(admin)).toEqual([]);
    const paid = await there(child.token).pay(
      order(stack.chain, { amount: (CENT * 150n).toString() }),
    );
    expect(paid.status).toBe(201);
  });

  it('is decided by an admin or a holder above, and never by whoever asked', async () => {
    const { root, child } = await family();
    const request = await asked(child, RAISE);
    const stranger = await admin.mint({ budget: '1.00' });
    for (const what of ['approve', 'reject'] as const) {
      expectProblem(await decide(there(child.token), request.id, what), 403, 'forbidden');
      expectProblem(await decide(there(stranger.token), request.id, what), 404, 'not_found');
    }
    expect((await decide(there(root.token), request.id, 'reject', { reason: 'no' })).body).toEqual({
      request: expect.objectContaining({ status: 'rejected', decidedReason: 'no' }),
    });
    expect((await admin.grant(child.grant.id)).budget).toBe('1.00');
    for (const what of ['approve', 'reject'] as const) {
      expectProblem(await decide(admin, request.id, what), 409, 'invalid_transition');
    }
  });

  it('is one at a time for a grant, raises something, and says why', async () => {
    const { child } = await family();
    const earlier = new Date(Date.parse(child.grant.expiresAt) - 1).toISOString();
    expectProblem(await ask(child, { budget: '2.00' }), 400, 'invalid_request');
    for (const terms of [{ budget: '1.00' }, { budget: '0.50' }]) {
      expectProblem(await ask(child, { ...terms, reason: 'x' }), 409, 'conflict', {
        limit: '1.00',
      });
    }
    expectProblem(await ask(child, { ...RAISE, expiresAt: earlier }), 409, 'conflict', {
      field: 'expiresAt',
      limit: child.grant.expiresAt,
    });
    const request = await asked(child, RAISE);
    const again = await ask(child, { ...RAISE, budget: '3.00' });
    expectProblem(again, 409, 'conflict', { grantId: child.grant.id });
    expect(again.text).toContain(request.id);
    await decide(admin, request.id, 'reject');
    await asked(child, RAISE);
  });

  it('that has become idle meanwhile is no raise, and one beyond the parent is refused', async () => {
    const { root, child } = await family();
    const request = await asked(child, RAISE);
    await admin.call('PATCH', `/v1/grants/${child.grant.id}`, { budget: '2.00' });
    expectProblem(await decide(admin, request.id, 'approve'), 409, 'conflict', { limit: '2.00' });
    await decide(admin, request.id, 'reject');
    const beyond = await asked(child, { budget: '6.00', reason: 'all of it' });
    const refused = await decide(there(root.token), beyond.id, 'approve');
    expectProblem(refused, 403, 'attenuation_violation', { grantId: root.grant.id, limit: '5.00' });
    await admin.post(`/v1/grants/${root.grant.id}/revoke`, {});
    expectProblem(await decide(admin, beyond.id, 'approve'), 409, 'invalid_transition');
  });

  it('is decided once, whoever decides where at the same moment', async () => {
    for (let round = 0; round < 6; round += 1) {
      const { child } = await family();
      const request = await asked(child, RAISE);
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          decide(
            n % 2 ? admin : there(admin.token),
            request.id,
            (n + round) % 3 ? 'approve' : 'reject',
          ),
        ),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(5);
      const [open] = await Promise.all([
        ask(child, { budget: '3.00', reason: 'x' }),
        ask(child, { budget: '4.00', reason: 'y' }),
      ]);
      expect([202, 409]).toContain(open?.status);
      const { rows } = await stack.db.query(
        `SELECT id FROM grant_requests WHERE grant_id = $1 AND status = 'pending'`,
        [child.grant.id],
      );
      expect(rows).toHaveLength(1);
    }
  });

  it('is bounded with all others of its root', async () => {
    const { root, child } = await family();
    const others: Minted[] = [];
    for (let n = 0; n < 3; n += 1) {
      others.push(await admin.as(root.token).mint({ budget: '1.00', ttlSeconds: 36_000 }));
    }
    for (const each of others) await asked(each, RAISE);
    expectProblem(await ask(child, RAISE), 429, 'rate_limited', { grantId: root.grant.id });
    const [open] = await admin.all<RequestView>(
      `/v1/grant-requests?grantId=${others[0]?.grant.id}`,
    );
    await decide(admin, open?.id ?? '', 'reject');
    await asked(child, RAISE);
  });

  it('lapses, and is not approved after that', async () => {
    const { child } = await family();
    // One that was decided in time keeps its decision.
    const earlier = await asked(child, RAISE);
    expect((await decide(admin, earlier.id, 'reject')).status).toBe(200);
    const request = await asked(child, RAISE);
    await stack.passTime(3_601);
    expectProblem(await decide(admin, request.id, 'approve'), 409, 'invalid_transition');
    await until('it is rejected', async () => {
      const items = await admin.all<RequestView>(`/v1/grant-requests?grantId=${child.grant.id}`);
      const item = items.find(({ id }) => id === request.id);
      return item?.status === 'rejected' && item.decidedBy === 'system:grants';
    });
  });
});

describe('in two-person mode a raise request', () => {
  it('is approved by nobody who had a part in the grant', async () => {
    const environment = { BURSAR_TWO_PERSON: 'true' };
    const strict = await startReplica(stack, 'api', undefined, environment);
    try {
      const { root, child } = await family();
      const request = await asked(child, RAISE);
      const at = (token: string | undefined) => new Api(strict.url, token);
      for (const api of [at(admin.token), at(root.token)]) {
        expectProblem(await decide(api, request.id, 'approve'), 403, 'forbidden');
      }
      const cat = await stack.service.mintAdminToken({ name: 'cat', role: 'admin' }, 600);
      expect((await decide(at(cat), request.id, 'approve')).status).toBe(200);
    } finally {
      await strict.stop();
    }
  });
});

describe('the checker', () => {
  it('finds a request that is not what its events say', async () => {
    const { child } = await family();
    const { id } = await asked(child, RAISE);
    const vandalise = (sql: string) =>
      stack.db.query(`ALTER TABLE grant_requests DISABLE TRIGGER USER; ${sql};
        ALTER TABLE grant_requests ENABLE TRIGGER USER`);
    await vandalise(`UPDATE grant_requests SET budget = 7 WHERE id = '${id}'`);
    expect(await wrongInBooks(stack)).toEqual([
      `I8 ${id}: a request is what its events say: budget`,
    ]);
    await vandalise(`UPDATE grant_requests SET budget = 2000000 WHERE id = '${id}'`);
  });
});
