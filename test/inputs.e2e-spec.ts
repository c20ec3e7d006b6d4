import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { newId } from '../src/ids.js';
import { type Api, expectProblem, type Minted, type Paid } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';

let stack: TestStack;
let admin: Api;
let parent: Minted;
let beside: Minted;
let paid: Paid;

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
  parent = await admin.mint({ budget: '5.00', delegationDepth: 2 });
  beside = await admin.mint({ budget: '5.00' });
  paid = await admin.as(beside.token).paid(order(stack.chain));
});

afterAll(() => stack?.stop());

const holder = () => admin.as(parent.token);

describe('a list', () => {
  const expectRefused = async (caller: Api, path: string, field: string) => {
    expectProblem(await caller.get(path), 400, 'invalid_request', { field });
  };

  it.each([
    ['/v1/payments?grantId=', 'grantId', () => newId('grt')],
    ['/v1/grants?parentId=', 'parentId', () => newId('grt')],
    ['/v1/grants?cursor=', 'cursor', () => newId('grt')],
    ['/v1/audit/events?grantId=', 'grantId', () => newId('grt')],
    ['/v1/audit/events?paymentId=', 'paymentId', () => newId('pay')],
    ['/v1/audit/events?cursor=', 'cursor', () => newId('evt')],
    ['/v1/audit/events?kind=', 'kind', () => 'payment.payed'],
    ['/v1/audit/events?actor=', 'actor', () => 'somebody'],
    ['/v1/audit/events?from=2026-02-01T00:00:00Z&to=', 'from', () => '2026-01-01T00:00:00Z'],
    ['/v1/wallets?treasuryId=', 'treasuryId', () => newId('trs')],
    ['/v1/payments?treasuryId=', 'treasuryId', () => newId('trs')],
    ['/v1/reports/spend?treasuryId=', 'treasuryId', () => newId('trs')],
    ['/v1/reports/refusals?treasuryId=', 'treasuryId', () => newId('trs')],
    ['/v1/gateway/sales?treasuryId=', 'treasuryId', () => newId('trs')],
    // A cursor of another list.
    ['/v1/payments?cursor=', 'cursor', () => newId('grt')],
    ['/v1/grants?cursor=', 'cursor', () => newId('evt')],
    ['/v1/audit/events?cursor=', 'cursor', () => newId('pay')],
    ['/v1/treasuries?cursor=', 'cursor', () => newId('wal')],
    ['/v1/wallets?cursor=', 'cursor', () => newId('trs')],
  ])('%s is refused with %s that names nothing', async (path, field, value) => {
    await expectRefused(admin, `${path}${encodeURIComponent(value())}`, field);
  });

  it('tells a holder the same of what it may not see', async () => {
    const other = beside.grant.id;
    await expectRefused(holder(), `/v1/payments?grantId=${other}`, 'grantId');
    await expectRefused(holder(), `/v1/grants?parentId=${other}`, 'parentId');
    await expectRefused(holder(), `/v1/grants?cursor=${other}`, 'cursor');
    await expectRefused(holder(), `/v1/grants/${parent.grant.id}/tree?cursor=${other}`, 'cursor');
    await expectRefused(holder(), `/v1/audit/events?grantId=${other}`, 'grantId');
    await expectRefused(holder(), `/v1/audit/events?paymentId=${paid.payment.id}`, 'paymentId');
    const [there, nowhere] = await Promise.all(
      [other, newId('grt')].map((id) => holder().get(`/v1/payments?grantId=${id}`)),
    );
    expect(there?.text.replaceAll(/grt_\w+/g, 'ID')).toBe(
      nowhere?.text.replaceAll(/grt_\w+/g, 'ID'),
    );
  });

  it('takes what names something', async () => {
    await admin.read(`/v1/audit/events?paymentId=${paid.payment.id}&kind=payment.authorized`);
    await admin.read(`/v1/audit/events?actor=grant:${beside.grant.id}`);
    await admin.read(`/v1/payments?grantId=${beside.grant.id}`);
    await admin.read(`/v1/wallets?treasuryId=${parent.grant.treasuryId}`);
    expect(await holder().all('/v1/grants')).toHaveLength(1);
  });
});

describe('what a route would ignore', () => {
  it('is refused: a parameter', async () => {
    for (const path of [
      `/v1/grants/${parent.grant.id}?expand=tree`,
      '/v1/grants/self?verbose=1',
      `/v1/payments/${paid.payment.id}?full=1`,
    ]) {
      const caller = path.includes('self') ? holder() : admin;
      expectProblem(await caller.get(path), 400, 'invalid_request', {
        field: /\?(\w+)/.exec(path)?.[1],
      });
    }
    const created = await holder().post('/v1/payments?dryRun=true', order(stack.chain), {
      'idempotency-key': randomUUID(),
    });
    expectProblem(created, 400, 'invalid_request', { field: 'dryRun' });
    // A stranger learns nothing of what a route takes.
    expectProblem(await admin.as(undefined).get('/v1/grants/self?x=1'), 401, 'invalid_token');
  });

  it('is refused: a body, and any member of one that is not known', async () => {
    const { id } = parent.grant;
    const reissued = await admin.post(`/v1/grants/${id}/token`, { ttlSeconds: 60 });
    expectProblem(reissued, 400, 'invalid_request', { field: 'body' });
    for (const [path, body] of [
      [`/v1/grants/${id}/suspend`, { reason: 'x', until: 'x' }],
      [`/v1/grants/${id}/revoke`, { cancel: true }],
      ['/v1/payments/quote', { ...order(stack.chain), key: 'x' }],
      ['/v1/treasuries', { name: 'x', currency: 'USDC' }],
    ] as const) {
      const caller = path.endsWith('quote') ? holder() : admin;
      expectProblem(await caller.post(path, body), 400, 'invalid_request');
    }
    expect((await admin.grant(id)).status).toBe('active');
  });

  it('is not refused of a probe', async () => {
    expect((await admin.get('/healthz?from=balancer')).status).toBe(200);
  });
});

describe('an empty body of type application/json', () => {
  const empty = { 'content-type': 'application/json' };

  it('is fine where no body is needed', async () => {
    const { grant } = await admin.mint({ budget: '1.00' });
    for (const act of ['token', 'suspend', 'resume', 'revoke']) {
      const answer = await admin.post(`/v1/grants/${grant.id}/${act}`, '', empty);
      expect({ act, status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
    }
  });

  it('misses by name what is needed', async () => {
    const answer = await admin.post('/v1/grants', '', empty);
    expectProblem(answer, 400, 'invalid_request', {
      field: 'holder',
      detail: 'holder: is required',
    });
    const twice = await admin.get('/v1/grants?limit=1&limit=2');
    expect(twice.body.detail).toBe('limit: must be one value, not several');
    expect((await admin.get('/v1/grant')).body.detail).toMatch(/; \/docs lists every route$/);
    const key = { 'idempotency-key': randomUUID() };
    const payment = await holder().post('/v1/payments', '', { ...empty, ...key });
    expectProblem(payment, 400, 'invalid_request', { field: 'paymentRequired' });
  });
});

describe('a token', () => {
  it('is handed out with its end, at the minting, its repetition and the re-issue', async () => {
    const terms = { holder: 'x', budget: '1.00', ttlSeconds: 600 };
    const key = { 'idempotency-key': randomUUID() };
    const minted = await admin.post<Minted>('/v1/grants', terms, key);
    const again = await admin.post<Minted>('/v1/grants', terms, key);
    const reissued = await admin.post<Minted>(`/v1/grants/${minted.body.grant.id}/token`);
    for (const { body } of [minted, again, reissued]) {
      const { exp = 0 } = decodeJwt(body.token);
      expect(Date.parse(body.tokenExpiresAt)).toBe(exp * 1000);
    }
  });
});

describe('an error about time', () => {
  it('has no amount of money in it', async () => {
    const later = new Date(Date.parse(parent.grant.expiresAt) + 60_000).toISOString();
    const child = { holder: 'x', budget: '1.00', expiresAt: later };
    expectProblem(await holder().post('/v1/grants', child), 403, 'attenuation_violation', {
      field: 'expiresAt',
      limit: parent.grant.expiresAt,
      remaining: undefined,
    });
    expectProblem(
      await holder().post('/v1/grants', { holder: 'x', budget: '1.00', delegationDepth: 2 }),
      403,
      'attenuation_violation',
      { field: 'delegationDepth', limit: '1', remaining: undefined },
    );
    expectProblem(
      await holder().post('/v1/grants', { holder: 'x', budget: '9.00' }),
      403,
      'attenuation_violation',
      { field: 'budget', limit: '5.00', remaining: '5.00' },
    );
  });
});

describe('a child grant', () => {
  it('may not delegate unless that was said', async () => {
    const child = await holder().mint({ budget: '1.00', delegationDepth: undefined });
    expect(child.grant.delegationDepth).toBe(0);
    const refused = await admin.as(child.token).post('/v1/grants', { holder: 'x', budget: '0.10' });
    expectProblem(refused, 403, 'delegation_not_allowed');
    const told = await holder().mint({ budget: '1.00', delegationDepth: 1 });
    expect(told.grant.delegationDepth).toBe(1);
  });

  it('ends with its parent when it asks for no end, or for as long or longer', async () => {
    const mint = async (by: Api, terms: object) => {
      const answer = await by.post<Minted>('/v1/grants', { holder: 'x', budget: '0.50', ...terms });
      expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 201 });
      return answer.body;
    };
    const root = await mint(admin, { ttlSeconds: 3600, delegationDepth: 2 });
    const { expiresAt } = root.grant;
    const child = await mint(admin.as(root.token), { ttlSeconds: 3600, delegationDepth: 1 });
    expect(child.grant.expiresAt).toBe(expiresAt);
    // A child of a child, with its parent's own ttl.
    const grandchild = await mint(admin.as(child.token), { ttlSeconds: 3600 });
    expect(grandchild.grant.expiresAt).toBe(expiresAt);
    const long = await mint(admin.as(child.token), { ttlSeconds: 315_360_000 });
    expect(long.grant.expiresAt).toBe(expiresAt);
    const silent = await mint(admin.as(child.token), {});
    expect(silent.grant.expiresAt).toBe(expiresAt);
    const short = await mint(admin.as(child.token), { ttlSeconds: 60 });
    expect(short.grant.expiresAt < expiresAt).toBe(true);
  });

  it('is refused an exact end later than its parent’s, and two ends; a root needs one', async () => {
    const late = new Date(Date.parse(parent.grant.expiresAt) + 1_000).toISOString();
    const child = { holder: 'x', budget: '0.50' };
    expectProblem(
      await holder().post('/v1/grants', { ...child, expiresAt: late }),
      403,
      'attenuation_violation',
      { field: 'expiresAt' },
    );
    const both = { ...child, expiresAt: parent.grant.expiresAt, ttlSeconds: 60 };
    expectProblem(await holder().post('/v1/grants', both), 400, 'invalid_request', {
      field: 'ttlSeconds',
    });
    expectProblem(await admin.post('/v1/grants', child), 400, 'invalid_request', {
      field: 'ttlSeconds',
    });
  });
});
