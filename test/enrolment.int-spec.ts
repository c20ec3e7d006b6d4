import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Keys } from '../src/access/keys.js';
import { MasterSecret } from '../src/access/master-secret.js';
import { Database } from '../src/database/database.js';
import type { Networks } from '../src/treasury/networks.js';
import { MnemonicSigner, type Signer } from '../src/treasury/signer.js';
import { Wallets } from '../src/treasury/wallets.js';
import { STACK_MNEMONIC } from './support/bursar.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { until } from './support/until.js';

const PROCESSES = 8;
const WALLETS = 8;

let test: TestDatabase;
let databases: Database[];

beforeAll(async () => {
  test = await createTestDatabase();
  databases = Array.from({ length: PROCESSES }, () => new Database(test.url));
});
afterAll(async () => {
  for (const database of databases) await database.close();
  await test.drop();
});

it('wallets are enrolled once, in their order, however many processes start at once', async () => {
  const signer = new MnemonicSigner(STACK_MNEMONIC, WALLETS);
  const networks = { all: () => [] } as unknown as Networks;
  await Promise.all(databases.map((database) => new Wallets(database, signer, networks).enrol()));
  const { pool } = databases[0] as Database;
  const { rows } = await pool.query<{ address: string; position: number }>(
    'SELECT address, position FROM wallets ORDER BY position',
  );
  const { addresses } = await signer.wallets({ position: 0 });
  expect(rows).toEqual(addresses.map((address, position) => ({ address, position })));
  const { rows: events } = await pool.query(`SELECT 1 FROM events WHERE kind = 'wallet.added'`);
  expect(events).toHaveLength(WALLETS);
});

it('new keystores are taken only once every wallet of the phrase is retired', async () => {
  const own = await createTestDatabase();
  const database = new Database(own.url);
  try {
    const networks = { all: () => [] } as unknown as Networks;
    const phrase = new Wallets(database, new MnemonicSigner(STACK_MNEMONIC, 2), networks);
    await phrase.enrol();
    const address = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
    const keystores = {
      wallets: async () => ({ addresses: [address], isOrdered: false }),
    } as unknown as Signer;
    const enrol = () => new Wallets(database, keystores, networks).enrol();
    await expect(enrol()).rejects.toThrow('has the key of none of the wallets of treasury "main"');
    const { rows } = await database.pool.query<{ id: string }>('SELECT id FROM wallets');
    for (const { id } of rows) {
      await expect(enrol()).rejects.toThrow('has the key of none of the wallets');
      await phrase.setStatus(id, 'draining', { actor: 'admin:tester' });
      await phrase.setStatus(id, 'retired', { actor: 'admin:tester' });
    }
    await enrol();
    const { rows: wallets } = await database.pool.query(
      'SELECT address, position, status FROM wallets ORDER BY position DESC LIMIT 1',
    );
    expect(wallets).toEqual([{ address, position: 2, status: 'active' }]);
  } finally {
    await database.close();
    await own.drop();
  }
});

it('one signing key is made, however many processes start at once', async () => {
  const secret = new MasterSecret('a secret of more than thirty-two characters');
  const all = databases.map((database) => new Keys(database, secret));
  await Promise.all(all.map((keys) => keys.load()));
  const listed = await Promise.all(all.map((keys) => keys.list()));
  expect(listed[0]).toMatchObject([{ state: 'signing' }]);
  for (const keys of listed) expect(keys).toEqual(listed[0]);
});

it('a wallet retires only after the payments that are in the making', async () => {
  const [database, other] = databases as [Database, Database];
  const signer = new MnemonicSigner(STACK_MNEMONIC, WALLETS);
  const wallets = new Wallets(other, signer, { all: () => [] } as unknown as Networks);
  const { rows } = await database.pool.query<{ id: string }>(
    `INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset, balance)
     SELECT treasury_id, id, 'eip155:1', '0x02', 10 FROM wallets ORDER BY position LIMIT 1
     RETURNING wallet_id AS id`,
  );
  const id = rows[0]?.id ?? '';
  await wallets.setStatus(id, 'draining', { actor: 'admin:tester' });
  // A payment that read the wallet while it was active does the same.
  const retired = await database.transaction(async (tx) => {
    await tx.query('UPDATE wallet_balances SET reserved = 1 WHERE wallet_id = $1', [id]);
    const retiring = wallets.setStatus(id, 'retired', { actor: 'admin:tester' }).then(
      () => 'it retired',
      (error: Error) => error.message,
    );
    await until('it waits for the payment', async () => {
      const { rows: waiting } = await database.pool.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
           AND cardinality(pg_blocking_pids(pid)) > 0`,
      );
      return waiting.length > 0;
    });
    return { retiring };
  });
  expect(await retired.retiring).toContain('still has open payments');
});
