import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database } from '../src/database/database.js';
import { appendEvents } from '../src/ledger/events.js';
import { type Api, expectProblem, type Listed, type Paid } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { settle } from './support/settle.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

interface Item {
  readonly group: Record<string, string | null>;
  readonly payments: number;
  readonly settled: string;
  readonly open: string;
  readonly refused: number;
}

let stack: TestStack;
let admin: Api;
let rootsOwn: Paid;
let holder: { id: string; api: Api };
let stranger: { id: string; api: Api };

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
  const root = await admin.mint({ budget: '10.00', delegationDepth: 1, holder: 'orchestrator' });
  const child = await admin
    .as(root.token)
    .mint({ budget: '5.00', holder: '=HYPERLINK("http://evil")', labels: { task: '+t-1' } });
  const other = await admin.mint({ budget: '5.00', maxPerPayment: '0.01', holder: 'stranger' });
  holder = { id: child.grant.id, api: admin.as(child.token) };
  stranger = { id: other.grant.id, api: admin.as(other.token) };
  rootsOwn = await admin.as(root.token).paid(order(stack.chain));
  await holder.api.paid(order(stack.chain, { amount: '20000' }));
  await stranger.api.paid(order(stack.chain));
  await stranger.api.pay(order(stack.chain, { amount: '30000' }));
}, 60_000);

afterAll(() => stack?.stop());

const report = (api: Api, query: string) => api.read<Listed<Item>>(`/v1/reports/spend?${query}`);

describe('GET /v1/reports/spend', () => {
  it('tells an admin who spent what, before and after it is folded', async () => {
    await settle(stack, rootsOwn);
    const expected = [
      { group: { holder: '=HYPERLINK("http://evil")' }, payments: 1, open: '0.02', refused: 0 },
      { group: { holder: 'orchestrator' }, payments: 1, settled: '0.01', open: '0.00', refused: 0 },
      { group: { holder: 'stranger' }, payments: 1, open: '0.01', refused: 1 },
    ];
    expect((await report(admin, 'groupBy=holder')).items).toMatchObject(expected);
    await until('all is folded', async () => {
      const { rows } = await stack.db.query(
        'SELECT array_agg(status ORDER BY status) AS statuses FROM spend_hours WHERE payments = 1',
      );
      return String(rows[0].statuses) === 'refused,settled';
    });
    expect((await report(admin, 'groupBy=holder')).items).toMatchObject(expected);
    const [total] = (await report(admin, '')).items;
    expect(total).toMatchObject({
      group: {},
      payments: 3,
      settled: '0.01',
      open: '0.03',
      refused: 1,
    });
  });

  it('tells a holder of its own subtree, whatever is asked', async () => {
    const { items } = await report(holder.api, 'groupBy=label:task,host');
    expect(items).toMatchObject([
      { group: { 'label:task': '+t-1', host: 'api.example.com' }, payments: 1 },
    ]);
    expectProblem(
      await holder.api.get(`/v1/reports/spend?grantId=${stranger.id}`),
      400,
      'invalid_request',
      { field: 'grantId' },
    );
    expectProblem(
      await holder.api.get('/v1/reports/spend?treasuryId=trs_01kb5w7z9ge8vb2q5t4n6m1c0a'),
      400,
      'invalid_request',
      { field: 'treasuryId' },
    );
  });

  it('is CSV that no spreadsheet runs, where that is accepted', async () => {
    const answer = await admin.call(
      'GET',
      '/v1/reports/spend?groupBy=holder,label:task',
      undefined,
      {
        accept: 'text/csv',
      },
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const lines = answer.text.split('\r\n');
    expect(lines[0]).toBe(
      '"holder","label:task","currency","payments","settled","open","released","refused"',
    );
    expect(lines[1]).toBe(
      `"'=HYPERLINK(""http://evil"")","'+t-1","USDC","1","0.00","0.02","0.00","0"`,
    );
    expect(lines).toHaveLength(5);
  });

  it.each([
    ['groupBy', 'groupBy=week'],
    ['groupBy', 'groupBy=day,hour,grant,root'],
    ['groupBy', 'groupBy=day,day'],
    ['groupBy', 'groupBy=label:'],
    ['from', 'from=today'],
    ['from', 'from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z'],
    ['limit', 'limit=1001'],
    ['cursor', 'cursor=x'],
    ['cursor', `cursor=${Buffer.from('["a","b"]').toString('base64url')}`],
    ['treasuryId', 'treasuryId=main'],
  ])('refuses a wrong %s: ?%s', async (field, query) => {
    expectProblem(await admin.get(`/v1/reports/spend?${query}`), 400, 'invalid_request', { field });
  });
});

interface Refusals {
  readonly from: string;
  readonly to: string;
  readonly items: readonly { code: string; refusals: number; grants: number; latestAt: string }[];
}

describe('GET /v1/reports/refusals', () => {
  const refusals = (api: Api, query = '') => api.read<Refusals>(`/v1/reports/refusals?${query}`);

  it('counts what was refused in the last 24 hours, by code, also what was only counted', async () => {
    await holder.api.pay(order(stack.chain, { amount: '9000000' }));
    await holder.api.pay(order(stack.chain, { amount: '8000000' }));
    const { treasuryId } = await admin.grant(stranger.id);
    const database = new Database(stack.databaseUrl);
    const now = new Date();
    await database.transaction((tx) =>
      appendEvents(tx, now, [
        {
          treasuryId,
          grantId: stranger.id,
          kind: 'payment.refused_more',
          actor: 'system:audit',
          reason: 'per_payment_exceeded',
          data: {
            code: 'per_payment_exceeded',
            refusals: '41',
            from: now.toISOString(),
            to: now.toISOString(),
          },
        },
      ]),
    );
    await database.close();
    const { from, to, items } = await refusals(admin);
    expect(Date.parse(to) - Date.parse(from)).toBe(86_400_000);
    expect(items).toEqual([
      { code: 'per_payment_exceeded', refusals: 42, grants: 1, latestAt: now.toISOString() },
      { code: 'budget_exceeded', refusals: 2, grants: 1, latestAt: expect.any(String) },
    ]);
    expect((await refusals(admin, `to=${from}`)).items).toEqual([]);
    expect((await refusals(admin, `grantId=${holder.id}`)).items).toMatchObject([
      { code: 'budget_exceeded', refusals: 2 },
    ]);
  });

  it('tells a holder of its own subtree', async () => {
    expect((await refusals(holder.api)).items).toMatchObject([{ code: 'budget_exceeded' }]);
    for (const [field, id] of [
      ['grantId', stranger.id],
      ['treasuryId', 'trs_01kb5w7z9ge8vb2q5t4n6m1c0a'],
    ]) {
      expectProblem(
        await holder.api.get(`/v1/reports/refusals?${field}=${id}`),
        400,
        'invalid_request',
        { field },
      );
    }
  });

  it('leads to the events of a code', async () => {
    const { items } = await admin.read<Listed<{ kind: string; reason: string }>>(
      '/v1/audit/events?code=per_payment_exceeded',
    );
    expect(items.map(({ kind, reason }) => ({ kind, reason }))).toEqual([
      { kind: 'payment.refused_more', reason: 'per_payment_exceeded' },
      { kind: 'payment.refused', reason: 'per_payment_exceeded' },
    ]);
    expectProblem(await admin.get('/v1/audit/events?code=Budget'), 400, 'invalid_request', {
      field: 'code',
    });
  });
});
