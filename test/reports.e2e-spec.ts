import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
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
