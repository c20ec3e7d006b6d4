import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { runCheck } from '../src/check/check.js';
import { COLUMNS } from '../src/check/columns.js';
import type { Report } from '../src/check/report.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { createCloneOf, type TestDatabase } from './support/database.js';
import { ended, present, SHORT, settle } from './support/settle.js';
import { order, orderV1 } from './support/terms.js';
import { until } from './support/until.js';

/** Books with a row in every table that is checked; each test spoils one column of a clone, and puts it back. */
let stack: TestStack;
let clone: TestDatabase;
let vandal: pg.Client;
/** Payments by what became of them. */
const ids = { settled: '', open: '', waiting: '', approved: '', seen: '' };

beforeAll(async () => {
  stack = await startTestStack({
    environment: { BURSAR_WITNESS_FILE: join(tmpdir(), `bursar-columns-${process.pid}.txt`) },
  });
  const { admin, chain } = stack;
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    format: 'jwk',
  });
  const windows = [{ seconds: 3600, amount: '5.00', payments: 100 }];
  const root = await admin.mint({ budget: '50.00', delegationDepth: 3, windows, purpose: 'all' });
  await admin.mint({ budget: '1.00', holderKey: { kty: 'EC', crv: 'P-256', x, y } });
  const parent = admin.as(root.token);
  const agent = admin.as(
    (await parent.mint({ budget: '5.00', maxPerPayment: '1.00', maxPayments: 50 })).token,
  );
  const asking = admin.as((await parent.mint({ budget: '1.00', approvalAbove: '0.001' })).token);
  const paused = await parent.mint({ budget: '1.00', funding: 'reserved', labels: { a: 'b' } });
  const over = await parent.mint({ budget: '1.00', funding: 'reserved' });
  await admin.post(`/v1/grants/${paused.grant.id}/suspend`, { reason: 'look' });
  await admin.post(`/v1/grants/${over.grant.id}/revoke`, { reason: 'done' });
  await admin.post(`/v1/grants/${over.grant.id}/token`, {});
  await agent.post('/v1/grant-requests', { budget: '6.00', reason: 'more' });
  const token = await stack.service.mintAdminToken({ name: 'gone', role: 'auditor' }, 3600);
  const revoked = await fetch(`${stack.service.url}/v1/revoke`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await stack.service.mintAdminToken({ name: 'tester', role: 'admin' }, 3600)}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ token }),
  });
  expect(revoked.status).toBe(200);

  const released = await agent.paid(order(chain, SHORT));
  const settled = await agent.paid(order(chain, {}, { memo: 'page 7' }));
  const cancelled = await agent.paid(orderV1(chain));
  await agent.post(`/v1/payments/${cancelled.payment.id}/cancel`, {});
  const wait = async (key: string) =>
    (await asking.pay<{ payment: { id: string } }>(order(chain), key)).body.payment.id;
  ids.waiting = await wait('waiting');
  ids.approved = await wait('approved');
  await admin.post(`/v1/payments/${ids.approved}/approve`, { reason: 'yes' });
  const cautious = admin.as((await parent.mint({ budget: '1.00', approveNewPayees: true })).token);
  const first = await cautious.pay<{ payment: { id: string } }>(order(chain), 'first');
  await admin.post(`/v1/payments/${first.body.payment.id}/approve`, {});
  await cautious.paid(order(chain), 'first');
  await settle(stack, settled);
  ids.settled = settled.payment.id;
  const receipt = { success: true, transaction: `0x${'12'.repeat(32)}`, network: chain.network };
  const handed = await agent.post(`/v1/payments/${ids.settled}/receipt`, {
    paymentResponse: Buffer.from(JSON.stringify(receipt)).toString('base64'),
  });
  expect(handed.status).toBe(202);
  await ended(stack, released.payment.id, 'released');
  await until('the cancellation is final', async () => {
    return (await admin.payment(cancelled.payment.id)).status === 'cancelled';
  });
  const seen = await agent.paid(order(chain));
  ids.seen = seen.payment.id;
  ids.open = (await agent.paid(order(chain))).payment.id;
  await present(stack, seen);
  await chain.pauseMining();
  const found = async (sql: string) => (await stack.db.query(sql)).rows.length > 0;
  await until('it is seen', () => found('SELECT 1 FROM sightings'));
  await agent.post(`/v1/payments/${ids.open}/cancel`, {});
  const [main] = await admin.all<{ id: string }>('/v1/treasuries');
  await admin.post(`/v1/treasuries/${main?.id}/suspend`, { reason: 'drill' });
  await until('every event is sealed', async () => {
    return !(await found('SELECT 1 FROM unsealed_events'));
  });
  await until('every leaf is folded', async () => {
    return !(await found(
      'SELECT 1 FROM leaves l LEFT JOIN spend_cursors c USING (treasury_id) WHERE l.leaf_index >= coalesce(c.leaf_index, 0)',
    ));
  });
  await until('a witness has it', () => found('SELECT 1 FROM log_witnesses'));
  await stack.service.stop();
  // A database that anybody is connected to cannot be cloned.
  await stack.db.end();
  stack.db.end = async () => {};
  clone = await createCloneOf(stack.databaseUrl);
  vandal = new pg.Client({ connectionString: clone.url });
  await vandal.connect();
  await vandal.query(UNGUARDED);
  for (const table of Object.keys(COLUMNS)) {
    await vandal.query(`CREATE TABLE kept.${table} AS TABLE ${table}`);
  }
}, 120_000);

afterAll(async () => {
  await vandal?.end();
  await clone?.drop();
  await stack?.stop();
});

/** Lets a clone be written as nobody could: no trigger, no CHECK, no key that is unique. */
const UNGUARDED = `CREATE SCHEMA kept;
  SET session_replication_role = replica;
  DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
      WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP;
    FOR c IN SELECT i.indexrelid::regclass AS t FROM pg_index i JOIN pg_class r ON r.oid = i.indrelid
      WHERE i.indisunique AND NOT i.indisprimary AND r.relnamespace = 'public'::regnamespace
    LOOP EXECUTE format('DROP INDEX %s', c.t); END LOOP;
  END $$;`;

/** Another value of each type. */
const OTHER: Readonly<Record<string, (column: string) => string>> = {
  text: (column) => `coalesce(${column}, '') || 'x'`,
  integer: (column) => `coalesce(${column}, 0) + 1`,
  // No key of another row.
  bigint: (column) => `coalesce(${column}, 0) + 100000`,
  numeric: (column) => `coalesce(${column}, 0) + 1`,
  boolean: (column) => `NOT ${column}`,
  'timestamp with time zone': (column) => `coalesce(${column}, now()) + interval '1 hour'`,
  jsonb: () => `'[{"seconds": 7, "amount": "7", "payments": 7, "period": 7}]'::jsonb`,
  ARRAY: (column) => `${column} || 'grt_x'::text`,
  bytea: (column) => `${column} || '\\x00'::bytea`,
};

/** Which row is spoilt, where not any row's column is used. */
const ROW: Readonly<Record<string, string>> = {
  'cancellations.is_over': `payment_id = '$open'`,
  'payments.approved_at': `id = '$approved'`,
  'payments.approval_lapses_at': `id = '$approved'`,
  'payments.approval_from_above': `id = '$approved'`,
  'payments.decided_by': `id = '$approved'`,
  'payments.decided_reason': `id = '$approved'`,
  'grants.alive': `parent_id IS NULL`,
  'grants.window_usage': `windows <> '[]' AND payments > 0`,
  'grants.lineage': 'parent_id IS NOT NULL',
  'signing_keys.public_jwk': 'true',
  'wallet_balances.network': 'reserved > 0',
  'wallet_balances.asset': 'reserved > 0',
  'wallet_balances.treasury_id': 'reserved > 0',
  'currencies.decimals': `code = 'USDC'`,
  'currencies.code': `code = 'USDC'`,
};

/** A row of payments that were signed, unless said otherwise. */
const ROW_OF: Readonly<Record<string, string>> = { payments: `id = '$settled'` };

const named = (where: string) =>
  where.replace(/\$(\w+)/g, (_, name: string) => ids[name as keyof typeof ids]);

/** Columns that the chain alone can contradict. */
const BY_CHAIN = [
  'wallet_balances.balance',
  'currencies.decimals',
  'chain_blocks.hash',
  'chain_blocks.time',
];

/**
 * The columns of a table that this run spoils: a third, another one each day. BURSAR_ALL_COLUMNS has all of them
 * spoilt.
 */
function triedOf(table: string): string[] {
  const { checked = [] } = COLUMNS[table] ?? {};
  if (process.env.BURSAR_ALL_COLUMNS) return [...checked];
  const today = Math.floor(Date.now() / 86_400_000);
  return checked.filter((_column, place) => (place + today) % 3 === 0);
}

const check = (databaseUrl: string, withChain: boolean): Promise<Report> =>
  runCheck({
    databaseUrl,
    networks: withChain
      ? [{ network: stack.chain.network, rpcUrls: [stack.chain.rpcUrl], finality: { blocks: 2 } }]
      : [],
    headers: [],
    overdueSeconds: 3600,
    show: 10,
    progress: () => {},
  });

const broken = ({ invariants }: Report) =>
  invariants.flatMap(({ id, offenders }) =>
    offenders.map((offender) => `${id} ${offender.id}: ${offender.what} (${offender.detail})`),
  );

async function typesOf(table: string): Promise<Map<string, string>> {
  const { rows } = await vandal.query<{ column_name: string; data_type: string }>(
    `SELECT column_name, data_type FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = $1`,
    [table],
  );
  return new Map(rows.map(({ column_name, data_type }) => [column_name, data_type]));
}

describe('the columns of the database', () => {
  it('are all checked, or stand on the list of those that nothing depends on', async () => {
    const { rows } = await vandal.query<{ name: string }>(
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       JOIN information_schema.tables USING (table_schema, table_name)
       WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> '_prisma_migrations'`,
    );
    const known = Object.entries(COLUMNS).flatMap(([table, { checked, free }]) =>
      [...checked, ...Object.keys(free)].map((column) => `${table}.${column}`),
    );
    expect(known.toSorted()).toEqual(rows.map(({ name }) => name).toSorted());
  });

  it('are told of when this version does not know them', async () => {
    await vandal.query('ALTER TABLE grants ADD COLUMN invented TEXT');
    try {
      const report = await check(clone.url, false);
      expect(report.invariants[7]?.unchecked).toContainEqual(
        expect.stringContaining('grants.invented'),
      );
    } finally {
      await vandal.query('ALTER TABLE grants DROP COLUMN invented');
    }
  });

  it('are in order when nobody changed them', async () => {
    expect(broken(await check(stack.databaseUrl, true))).toEqual([]);
  });

  it.each(Object.keys(COLUMNS).filter((table) => triedOf(table).length))(
    'are found out when one of %s is changed',
    async (table) => {
      const types = await typesOf(table);
      const unnoticed: string[] = [];
      for (const column of triedOf(table)) {
        const name = `${table}.${column}`;
        const where = named(ROW[name] ?? ROW_OF[table] ?? 'true');
        const value = OTHER[types.get(column) ?? '']?.(`"${column}"`);
        const { rowCount } = await vandal.query(
          `UPDATE ${table} SET "${column}" = ${value}
           WHERE ctid = (SELECT ctid FROM ${table} WHERE ${where} ORDER BY ctid LIMIT 1)`,
        );
        try {
          const found = broken(await check(clone.url, BY_CHAIN.includes(name)));
          if (rowCount !== 1 || found.length === 0) unnoticed.push(`${name} (${rowCount} row)`);
        } finally {
          await vandal.query(
            `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept.${table}`,
          );
        }
      }
      expect(unnoticed).toEqual([]);
    },
    120_000,
  );

  it.each([
    'log_checkpoints',
    'log_tiles',
    'revoked_tokens',
    'cancellations',
    'receipts',
    'wallets',
    'grants',
  ])('are found out when a row of %s is gone', async (table) => {
    const { rowCount } = await vandal.query(
      `DELETE FROM ${table} WHERE ctid = (SELECT ctid FROM ${table} ORDER BY ctid LIMIT 1)`,
    );
    try {
      expect(rowCount).toBe(1);
      expect(broken(await check(clone.url, false))).not.toEqual([]);
    } finally {
      await vandal.query(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept.${table}`);
    }
  });
});
