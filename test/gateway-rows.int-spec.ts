import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Database } from '../src/database/database.js';
import { disown, insertSale, readSale, type SaleTerms } from '../src/gateway/sale-rows.js';
import { newId } from '../src/ids.js';
import { treasuryNamed } from '../src/ledger/service-events.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { until } from './support/until.js';

let test: TestDatabase;
let database: Database;
let treasuryId: string;

beforeAll(async () => {
  test = await createTestDatabase();
  database = new Database(test.url);
  treasuryId = await database.transaction((tx) =>
    treasuryNamed(tx, { name: 'shop', actor: 'system:gateway' }),
  );
});

afterAll(async () => {
  await database?.close();
  await test?.drop();
});

const termsOf = (id: string): SaleTerms => ({
  ...{ treasuryId, id, network: 'eip155:1', asset: '0x0a', payer: '0x0b', payTo: '0x0c' },
  ...{
    nonce: id,
    credentialHash: 'hash',
    requestHash: 'hash',
    operation: 'get',
    resource: 'GET /',
  },
  ...{ currency: 'USDC', amount: 1n, validBefore: 7n, settle: 'after', configHash: 'hash' },
});
const processOf = async (id: string) => (await readSale(database.pool, treasuryId, id))?.process;

describe('a sale that its process works on', () => {
  it('is kept, though it began while the process looked what errors had left', async () => {
    const working = new Set<string>();
    const [left, begun] = [newId('sal'), newId('sal')];
    await insertSale(database.pool, termsOf(left), { sealedPayment: 'x', process: 'one' });
    const owner = new pg.Client({ connectionString: test.url });
    await owner.connect();
    await owner.query('BEGIN');
    await owner.query('LOCK TABLE gateway_sales IN ACCESS EXCLUSIVE MODE');
    const looked = disown(database.pool, treasuryId, 'one', working);
    await until('it waits', async () => {
      const { rows } = await database.pool.query('SELECT FROM pg_locks WHERE NOT granted');
      return rows.length === 1;
    });
    working.add(begun);
    await insertSale(owner, termsOf(begun), { sealedPayment: 'x', process: 'one' });
    await owner.query('COMMIT');
    await owner.end();
    await looked;
    expect([await processOf(left), await processOf(begun)]).toEqual(['', 'one']);
  });
});
