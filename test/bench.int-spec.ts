import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { violations } from '../bench/checks.js';
import { load, loadTree, parseGrowth } from '../bench/loading.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
let db: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  db = new pg.Pool({ connectionString: database.url, max: 2 });
  await db.query(`INSERT INTO treasuries (id, name) VALUES ('trs_1', 'main')`);
  await db.query(
    `INSERT INTO wallets (treasury_id, id, address, position) VALUES ('trs_1', 'wal_1', '0x01', 0)`,
  );
  await db.query(
    `INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset, balance)
     VALUES ('trs_1', 'wal_1', 'eip155:84532', '0x02', 1000000)`,
  );
  await load(db, parseGrowth('200x400'));
});

afterAll(async () => {
  await db?.end();
  await database?.drop();
});

test('what is loaded before a measurement holds every invariant, without a foreign key looked up', async () => {
  await loadTree(db, 1_000, 100);
  await loadTree(db, 2_000, 1);
  expect(await violations(db, 0)).toEqual([]);
  const { rows } = await db.query(
    `SELECT (SELECT count(*) FROM grants)::int AS grants, (SELECT count(*) FROM payments)::int AS payments,
       (SELECT count(*) FROM grants g WHERE alive <> (SELECT count(*) FROM grants o WHERE g.id = ANY (o.path)))::int AS miscounted,
       (SELECT count(*) FROM grants g WHERE parent_id IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM grants p WHERE p.treasury_id = g.treasury_id AND p.id = g.parent_id))::int
       + (SELECT count(*) FROM payments p WHERE NOT EXISTS (SELECT 1 FROM grants g
         WHERE g.treasury_id = p.treasury_id AND g.id = p.grant_id))::int AS orphans`,
  );
  expect(rows[0]).toEqual({ grants: 301, payments: 400, miscounted: 0, orphans: 0 });
});

test.each(['', '100', '0x0', '150x150', '100x150', '100x-100', '1e2x100', '100x100x100'])(
  'a growth of "%s" is refused',
  (text) => {
    expect(() => parseGrowth(text)).toThrow(/--growth takes GRANTSxPAYMENTS/);
  },
);

describe('a run fails when', () => {
  let place = 10_000;
  let grant: string;
  beforeEach(async () => {
    place += 10;
    grant = await loadTree(db, place, 1);
  });

  /** Writes a payment as a ledger that forgets something would, looks, and takes it all back. */
  async function found(...wrong: string[]): Promise<string[]> {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      await client.query('BEGIN');
      for (const sql of wrong) await client.query(sql);
      // The check opens a transaction of its own: a savepoint's worth of pool is all it needs.
      const pool = { connect: async () => ({ query: asInner(client), release: () => {} }) };
      return await violations(pool as unknown as pg.Pool, 0);
    } finally {
      await client.end();
    }
  }

  const paid = (changes: Record<string, string> = {}): string => {
    const row = {
      treasury_id: `'trs_1'`,
      id: `'pay_01zzzzzzzzzzzzzzzzzzzzzzzz'`,
      grant_id: `'${grant}'`,
      idempotency_key: `'k'`,
      status: `'authorized'`,
      currency: `'USDC'`,
      amount: '100',
      network: `'eip155:84532'`,
      scheme: `'exact'`,
      x402_version: '2',
      asset: `'0x02'`,
      pay_to: `'0x03'`,
      wallet_id: `'wal_1'`,
      payer: `'0x01'`,
      nonce: `'0x' || encode(sha256('{}'), 'hex')`,
      valid_after: '0',
      valid_before: '1',
      requirement: `''`,
      request_method: `'GET'`,
      request_url: `''`,
      decision: `'{}'`,
      authorized_at: 'now()',
      created_at: 'now()',
      ...changes,
    };
    return `INSERT INTO payments (${Object.keys(row)}) VALUES (${Object.values(row)})`;
  };
  const counted = () =>
    `UPDATE grants SET reserved = 100, payments = 1, open_payments = 1, last_valid_before = 1 WHERE id = '${grant}'`;
  const held = 'UPDATE wallet_balances SET reserved = 100';
  const told = `INSERT INTO events (treasury_id, id, kind, actor, grant_id, payment_id, record, created_at)
    VALUES ('trs_1', 'evt_1', 'payment.authorized', 'x', NULL, 'pay_01zzzzzzzzzzzzzzzzzzzzzzzz', '', now())`;

  test('nothing is forgotten: it passes', async () => {
    expect(await found(paid(), counted(), held, told)).toEqual([]);
  });
  test('a grant was not charged', async () => {
    expect(await found(paid(), held, told)).toEqual([expect.stringMatching(/^I2/)]);
  });
  test('a wallet holds nothing for it', async () => {
    expect(await found(paid(), counted(), told)).toEqual([expect.stringMatching(/^I7/)]);
  });
  test('nobody was told', async () => {
    expect(await found(paid(), counted(), held)).toEqual([expect.stringMatching(/^I8/)]);
  });
  test('the nonce is not the decision’s', async () => {
    const other = paid({ decision: `'{"other":1}'` });
    expect(await found(other, counted(), held, told)).toEqual([expect.stringMatching(/^I3/)]);
  });
  test('it was reserved after a revocation', async () => {
    const revoked = `UPDATE grants SET status = 'revoked', revoked_at = now() - interval '1 s' WHERE id = '${grant}'`;
    expect(await found(paid(), counted(), held, told, revoked)).toEqual([
      expect.stringMatching(/^I5/),
    ]);
  });
  test('an answered payment is not there', async () => {
    expect(await violations(db, 1)).toEqual(['1 payments were answered, and only 0 are there']);
  });
});

/** A client's queries without the transaction that the caller wants around them: there is one already. */
function asInner(client: pg.Client) {
  return (sql: string, values?: unknown[]) =>
    /^(BEGIN|COMMIT)/.test(sql) ? Promise.resolve({ rows: [] }) : client.query(sql, values);
}
