import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Database } from '../src/database/database.js';
import type { Network } from '../src/domain/network.js';
import {
  adoptSpends,
  finishSpends,
  type OutsideSpend,
  sightSpends,
} from '../src/ledger/outside-spends.js';
import { rewindCursor } from '../src/ledger/settlement.js';
import type { Networks } from '../src/treasury/networks.js';
import { MnemonicSigner } from '../src/treasury/signer.js';
import { Wallets } from '../src/treasury/wallets.js';
import { STACK_MNEMONIC } from './support/bursar.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { untilWaiting } from './support/locks.js';

const ASSET = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
const BY = { actor: 'admin:tester', reason: 'a withdrawal of ours' };

const networkOf = (network: string) =>
  ({
    network,
    assets: [{ currency: 'USDC', address: ASSET, decimals: 6, name: 'USDC', version: '2' }],
  }) as unknown as Network;

let test: TestDatabase;
let databases: Database[];
let database: Database;
let spend: OutsideSpend;
let count = 0;

const enrol = (...networks: string[]) =>
  new Wallets(database, new MnemonicSigner(STACK_MNEMONIC, 1), {
    all: () => networks.map(networkOf),
  } as unknown as Networks).enrol();

beforeAll(async () => {
  test = await createTestDatabase();
  databases = Array.from({ length: 6 }, () => new Database(test.url));
  database = databases[0] as Database;
  await enrol('eip155:1', 'eip155:10');
});

afterAll(async () => {
  for (const each of databases) await each.close();
  await test.drop();
});

beforeEach(async () => {
  const { rows } = await database.pool.query<{ treasury_id: string; id: string; address: string }>(
    'SELECT treasury_id, id, address FROM wallets',
  );
  const [wallet] = rows;
  if (!wallet) throw new Error('there is no wallet');
  count += 1;
  spend = {
    treasuryId: wallet.treasury_id,
    walletId: wallet.id,
    address: wallet.address,
    network: 'eip155:1',
    asset: ASSET,
    transaction: `0x${String(count).padStart(64, '0')}`,
    place: 0,
    nonce: undefined,
    payTo: '0x1111111111111111111111111111111111111111',
    amount: 7n,
    blockNumber: BigInt(count * 100),
  };
});

const statusOf = async ({ transaction }: OutsideSpend) => {
  const { rows } = await database.pool.query(
    'SELECT status FROM outside_spends WHERE transaction = $1',
    [transaction],
  );
  return rows[0]?.status;
};
const held = async () => {
  const { rows } = await database.pool.query<{ held: boolean }>(
    'SELECT held_since IS NOT NULL AS held FROM wallet_balances ORDER BY network',
  );
  return rows.map((row) => row.held);
};
const kindsOf = async ({ transaction }: OutsideSpend) => {
  const { rows } = await database.pool.query<{ kind: string }>(
    `SELECT kind FROM events WHERE strpos(record, $1) > 0 ORDER BY seq`,
    [transaction],
  );
  return rows.map(({ kind }) => kind);
};

describe('a spend that no payment stands for', () => {
  it('is told once, however many processes see it at once', async () => {
    const told = await Promise.all(databases.map((each) => sightSpends(each, [spend])));
    expect(told.flat()).toEqual([spend]);
    expect(await kindsOf(spend)).toEqual(['wallet.spend_seen']);
    expect(await held()).toEqual([true, true]);
    await finishSpends(database, spend.network, spend.blockNumber, [spend]);
    await adoptSpends(database, spend.transaction, BY);
    expect(await held()).toEqual([false, false]);
  });

  it('holds its wallet while another one of the wallet is explained', async () => {
    const { network, blockNumber } = spend;
    await sightSpends(database, [spend]);
    await finishSpends(database, network, blockNumber, [spend]);
    const another: OutsideSpend = {
      ...spend,
      transaction: `0x${'e'.repeat(64)}`,
      nonce: `0x${'d'.repeat(64)}`,
      blockNumber: blockNumber + 1n,
    };
    const [owner, watcher] = [1, 2].map(() => new pg.Client({ connectionString: test.url })) as [
      pg.Client,
      pg.Client,
    ];
    await Promise.all([owner.connect(), watcher.connect()]);
    // The other one is told of and holds the wallet; its transaction waits to fence the treasury.
    await owner.query('BEGIN');
    await owner.query('SELECT FROM treasuries FOR NO KEY UPDATE');
    const sighted = sightSpends(databases[1] as Database, [another]);
    await untilWaiting(watcher, 1);
    const adopted = adoptSpends(databases[2] as Database, spend.transaction, BY);
    await untilWaiting(watcher, 2);
    await owner.query('ROLLBACK');
    await Promise.all([sighted, adopted]);
    expect(await held()).toEqual([true, true]);
    await finishSpends(database, network, another.blockNumber, [another]);
    await adoptSpends(database, another.transaction, BY);
    expect(await held()).toEqual([false, false]);
    await owner.query('UPDATE treasuries SET fenced_until = NULL');
    await Promise.all([owner.end(), watcher.end()]);
  });

  it('stays final, and stays explained, whatever a lagging RPC shows again', async () => {
    await sightSpends(database, [spend]);
    expect(await finishSpends(database, spend.network, spend.blockNumber, [spend])).toEqual([]);
    expect(await sightSpends(database, [spend])).toEqual([]);
    expect(await statusOf(spend)).toBe('final');
    expect(await held()).toEqual([true, true]);
    await finishSpends(database, spend.network, spend.blockNumber + 1n, []);
    expect(await statusOf(spend)).toBe('final');
    await adoptSpends(database, spend.transaction, BY);
    expect(await sightSpends(database, [spend])).toEqual([]);
    expect(await statusOf(spend)).toBe('adopted');
    expect(await held()).toEqual([false, false]);
  });

  it('is withdrawn only by final blocks at or above its own, of its network, and may come back', async () => {
    await sightSpends(database, [spend]);
    expect(await finishSpends(database, spend.network, spend.blockNumber - 1n, [])).toEqual([]);
    expect(await finishSpends(database, 'eip155:10', spend.blockNumber, [])).toEqual([]);
    expect(await held()).toEqual([true, true]);
    expect(await finishSpends(database, spend.network, spend.blockNumber, [])).toEqual([
      spend.treasuryId,
    ]);
    expect(await statusOf(spend)).toBe('withdrawn');
    expect(await held()).toEqual([false, false]);
    expect(await sightSpends(database, [spend])).toEqual([spend]);
    expect(await held()).toEqual([true, true]);
    await finishSpends(database, spend.network, spend.blockNumber, [spend]);
    await adoptSpends(database, spend.transaction, BY);
    expect(await kindsOf(spend)).toEqual([
      'wallet.spend_seen',
      'wallet.spend_withdrawn',
      'wallet.spend_seen',
      'wallet.spend_adopted',
    ]);
  });

  it('is one of several: the wallet is free when the last is explained', async () => {
    const other = { ...spend, place: 1, nonce: undefined, amount: 8n };
    const later = { ...spend, transaction: spend.transaction.replace('0x0', '0x1') };
    await sightSpends(database, [spend, other, later]);
    await finishSpends(database, spend.network, spend.blockNumber, [spend, other, later]);
    expect(await adoptSpends(database, spend.transaction, BY)).toHaveLength(2);
    expect(await held()).toEqual([true, true]);
    await adoptSpends(database, later.transaction, BY);
    expect(await held()).toEqual([false, false]);
  });

  it('is judged anew when the chain lost its final block', async () => {
    await database.pool.query(
      `INSERT INTO chain_cursors (network, block_number, block_hash, block_time) VALUES ('eip155:1', 5000, '0x1', 1)`,
    );
    await sightSpends(database, [spend]);
    await finishSpends(database, spend.network, spend.blockNumber, [spend]);
    const to = { number: spend.blockNumber - 1n, hash: '0x2', time: 1n };
    expect(await rewindCursor(database, 'eip155:1', 5000n, to)).toBe(true);
    expect(await statusOf(spend)).toBe('seen');
    await finishSpends(database, spend.network, spend.blockNumber, []);
    expect(await held()).toEqual([false, false]);
  });

  it('holds the wallet on a network that is configured meanwhile', async () => {
    await sightSpends(database, [spend]);
    await enrol('eip155:1', 'eip155:10', 'eip155:8453');
    expect(await held()).toEqual([true, true, true]);
    await finishSpends(database, spend.network, spend.blockNumber, []);
    expect(await held()).toEqual([false, false, false]);
    await enrol('eip155:137');
    expect(await held()).toEqual([false, false, false, false]);
  });
});
