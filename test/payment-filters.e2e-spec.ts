import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { type Api, expectProblem, type Listed } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { rowsRead } from './support/rows-read.js';
import { OTHER_PAYEE, order, PAYEE } from './support/terms.js';

let stack: TestStack;
let admin: Api;
/** Two trees: the first has a child with a label. */
let root: { id: string; api: Api };
let child: { id: string; api: Api };
let other: { id: string; api: Api };
/** In the order in which they were made. */
const made: PaymentView[] = [];

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
  const holder = async (by: Api, terms: Record<string, unknown>) => {
    const { grant, token } = await by.mint(terms);
    return { id: grant.id, api: admin.as(token) };
  };
  root = await holder(admin, { budget: '10.00', delegationDepth: 1 });
  child = await holder(root.api, { budget: '5.00', labels: { task: 't-42', 'team.x': 'a:b' } });
  other = await holder(admin, { budget: '5.00', holder: 'scribe', labels: { task: 't-7' } });
  const pay = async (by: Api, url: string, payTo: string, key?: string) => {
    made.push((await by.paid(order(stack.chain, { payTo }, { url }), key)).payment);
  };
  await pay(root.api, 'https://api.example.com/data/1', PAYEE);
  await pay(child.api, 'https://API.example.com:8443/data/2', PAYEE, 'page-2');
  await pay(child.api, 'https://other.example.org/', OTHER_PAYEE);
  await pay(other.api, 'http://127.0.0.1:4040/x', PAYEE);
  await pay(other.api, 'https://b%C3%BCcher.example/', OTHER_PAYEE);
}, 60_000);

afterAll(() => stack?.stop());

/** The places in {@link made} of what a filter gives. */
async function places(api: Api, filter: string): Promise<number[]> {
  const items = await api.all<PaymentView>(`/v1/payments?${filter}`);
  return items.map(({ id }) => made.findIndex((each) => each.id === id));
}

describe('a list of payments', () => {
  it.each([
    ['payee', `payTo=${OTHER_PAYEE}`, [2, 4]],
    ['payee in capitals', `payTo=0x${'2'.repeat(40).toUpperCase()}`, [2, 4]],
    ['host, whatever its port', 'host=api.example.com', [0, 1]],
    ['host in capitals', 'host=OTHER.EXAMPLE.ORG', [2]],
    ['host and port', 'host=api.example.com:8443', [1]],
    ['IP address', 'host=127.0.0.1:4040', [3]],
    ['host of other alphabets', `host=${encodeURIComponent('bücher.example')}`, [4]],
    ['label of the paying grant', 'label=task:t-42', [1, 2]],
    ['label with a colon', 'label=team.x:a:b', [1, 2]],
    ['holder of the paying grant', 'holder=scribe', [3, 4]],
    ['holder and label', 'holder=scribe&label=task:t-7', [3, 4]],
    ['holder of no such label', 'holder=scribe&label=task:t-42', []],
    ['another network', 'network=eip155:1', []],
    ['key', 'idempotencyKey=page-2', [1]],
    ['status', 'status=settled', []],
    ['several at once', `label=task:t-7&payTo=${PAYEE}&status=authorized`, [3]],
    ['nothing that is there', 'host=api.example.org', []],
  ])('filters by %s', async (_what, filter, expected) => {
    expect(await places(admin, filter)).toEqual(expected);
  });

  it('filters by the time a payment was made, both ends included', async () => {
    const [from, to] = [made[1]?.createdAt, made[3]?.createdAt];
    const between = await places(admin, `from=${from}&to=${to}`);
    expect(between).toEqual(expect.arrayContaining([1, 2, 3]));
    expect(await places(admin, 'from=2100-01-01T00:00:00Z')).toEqual([]);
    expect(await places(admin, 'to=2020-01-01T00:00:00Z')).toEqual([]);
  });

  it('filters by network and by treasury', async () => {
    const { treasuryId } = await admin.grant(root.id);
    const all = [0, 1, 2, 3, 4];
    expect(await places(admin, `network=${stack.chain.network}`)).toEqual(all);
    expect(await places(admin, `treasuryId=${treasuryId}`)).toEqual(all);
    expect(await places(child.api, `treasuryId=${treasuryId}`)).toEqual([1, 2]);
  });

  it('gives the newest first where asked, page by page and each once', async () => {
    expect(await places(admin, 'order=asc')).toEqual([0, 1, 2, 3, 4]);
    const found: string[] = [];
    let cursor = '';
    do {
      const page: Listed<PaymentView> = await admin.read(
        `/v1/payments?order=desc&limit=2${cursor}`,
      );
      found.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`;
    } while (cursor !== '');
    expect(found).toEqual(made.map(({ id }) => id).reverse());
  });

  it('shows a holder no more by any filter than without one', async () => {
    expect(await places(root.api, `payTo=${PAYEE}`)).toEqual([0, 1]);
    expect(await places(child.api, 'order=desc')).toEqual([2, 1]);
    expect(await places(child.api, 'label=task:t-7')).toEqual([]);
    expect(await places(other.api, 'host=api.example.com')).toEqual([]);
    const elsewhere = await root.api.get(`/v1/payments?treasuryId=trs_${'0'.repeat(26)}`);
    expectProblem(elsewhere, 400, 'invalid_request', { field: 'treasuryId' });
    const foreign = await child.api.get(`/v1/payments?grantId=${other.id}`);
    expectProblem(foreign, 400, 'invalid_request', { field: 'grantId' });
    expect(await places(root.api, `grantId=${child.id}&host=other.example.org`)).toEqual([2]);
  });

  it.each([
    ['payTo', 'payTo=0x12'],
    ['payTo', `payTo=${PAYEE}0`],
    ['host', 'host=https%3A%2F%2Fapi.example.com'],
    ['host', 'host=a.example/path'],
    ['host', 'host=user%40a.example'],
    ['host', 'host='],
    ['label', 'label=task'],
    ['label', 'label=:t-42'],
    ['from', 'from=yesterday'],
    ['from', 'from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z'],
    ['to', 'to=2026-13-01T00:00:00Z'],
    ['holder', 'holder='],
    ['network', 'network=base'],
    ['order', 'order=newest'],
    ['cursor', 'cursor=pay_00000000000000000000000000'],
  ])('refuses a wrong %s: ?%s', async (field, filter) => {
    expectProblem(await admin.get(`/v1/payments?${filter}`), 400, 'invalid_request', { field });
  });

  describe('among twenty thousand', () => {
    const MANY = 20_000;

    beforeAll(async () => {
      // They are from a long time ago; the copies differ in what must be unique.
      await stack.db.query(
        `INSERT INTO payments
         SELECT (jsonb_populate_record(p, jsonb_build_object('id', 'pay_' || lpad(n::text, 26, '0'),
           'idempotency_key', 'many-' || n, 'nonce', '0x' || lpad(to_hex(n), 64, '0'),
           'created_at', timestamptz '2026-01-01' + n * interval '1 second'))).*
         FROM payments p, generate_series(1, ${MANY}) n WHERE p.id = $1`,
        [made[0]?.id],
      );
      await stack.db.query('ANALYZE payments');
    }, 120_000);

    it.each([
      ['payee', () => `payTo=${OTHER_PAYEE}`, 2],
      ['host', () => 'host=other.example.org', 1],
      ['label', () => 'label=task:t-42', 2],
      ['holder', () => 'holder=scribe', 2],
      ['network', () => 'network=eip155:1', 0],
      ['time', () => `from=${made[0]?.createdAt}`, 5],
      ['newest', () => 'order=desc&limit=3', 3],
    ])('finds what is asked for without reading the others: by %s', async (_by, filter, count) => {
      const { answer, rows } = await rowsRead(
        stack.db,
        (sql) => String(sql).includes('FROM treasuries t, LATERAL'),
        () => admin.read<Listed<PaymentView>>(`/v1/payments?${filter()}`),
      );
      expect(answer.items).toHaveLength(count);
      expect(rows).toBeLessThan(300);
    });
  });
});
