import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Database } from '../src/database/database.js';
import type { Network } from '../src/domain/network.js';
import { fence, fenceOnSight, unfence } from '../src/ledger/fences.js';
import {
  adoptSpends,
  finishSpends,
  type OutsideSpend,
  sightSpends,
} from '../src/ledger/outside-spends.js';
import type { Networks } from '../src/treasury/networks.js';
import { MnemonicSigner } from '../src/treasury/signer.js';
import { Wallets } from '../src/treasury/wallets.js';
import { STACK_MNEMONIC } from './support/bursar.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { untilWaiting } from './support/locks.js';

const ASSET = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
const NETWORK = {
  network: 'eip155:1',
  assets: [{ currency: 'USDC', address: ASSET, decimals: 6, name: 'USDC', version: '2' }],
} as unknown as Network;
const BY = { actor: 'admin:tester', reason: 'a withdrawal of ours' };

let test: TestDatabase;
let database: Database;
let treasuryId: string;
/** An authorization that no payment has. */
let lost: OutsideSpend;
/** Another one, of another wallet. */
let other: OutsideSpend;

beforeEach(async () => {
  test = await createTestDatabase();
  database = new Database(test.url);
  const networks = { all: () => [NETWORK] } as unknown as Networks;
  await new Wallets(database, new MnemonicSigner(STACK_MNEMONIC, 2), networks).enrol();
  const { rows } = await database.pool.query<{ treasury_id: string; id: string; address: string }>(
    'SELECT treasury_id, id, address FROM wallets',
  );
  const [wallet, second] = rows;
  if (!wallet || !second) throw new Error('there are no two wallets');
  treasuryId = wallet.treasury_id;
  lost = {
    treasuryId,
    walletId: wallet.id,
    address: wallet.address,
    network: NETWORK.network,
    asset: ASSET,
    transaction: `0x${'1'.repeat(64)}`,
    place: 0,
    nonce: `0x${'a'.repeat(64)}`,
    payTo: '0x1111111111111111111111111111111111111111',
    amount: 7n,
    blockNumber: 100n,
  };
  other = {
    ...lost,
    walletId: second.id,
    address: second.address,
    nonce: `0x${'c'.repeat(64)}`,
    transaction: `0x${'2'.repeat(64)}`,
  };
});

afterEach(async () => {
  await database.close();
  await test.drop();
});

const fenceOf = async () => {
  const { rows } = await database.pool.query<{ until: Date | null }>(
    'SELECT fenced_until AS until FROM treasuries',
  );
  return rows[0]?.until?.getTime();
};

describe('a fence', () => {
  it('falls when no final block shows the spend that put it up', async () => {
    await sightSpends(database, [lost]);
    expect(await fenceOf()).toBeDefined();
    await finishSpends(database, lost.network, lost.blockNumber, []);
    expect(await fenceOf()).toBeUndefined();
    const { rows } = await database.pool.query<{ record: string }>(
      `SELECT record FROM events WHERE kind LIKE 'treasury.%fenced' ORDER BY seq`,
    );
    expect(rows.map(({ record }) => JSON.parse(record))).toMatchObject([
      { kind: 'treasury.fenced' },
      { kind: 'treasury.unfenced', reason: `no final block shows transaction ${lost.transaction}` },
    ]);
  });

  it('stands as long as another sighting put it up, explained or not', async () => {
    await sightSpends(database, [lost]);
    const until = await fenceOf();
    await sightSpends(database, [other]);
    expect(await fenceOf()).toBeGreaterThan(until ?? 0);
    await finishSpends(database, lost.network, lost.blockNumber, [lost]);
    expect(await fenceOf()).toBe(until);
    await adoptSpends(database, lost.transaction, BY);
    await sightSpends(database, [other]);
    await finishSpends(database, lost.network, lost.blockNumber, []);
    expect(await fenceOf()).toBe(until);
  });

  it('stands when another sighting puts it up while the first is withdrawn', async () => {
    await sightSpends(database, [other]);
    await finishSpends(database, other.network, other.blockNumber, []);
    await sightSpends(database, [lost]);
    const [owner, watcher] = [new pg.Client(test.url), new pg.Client(test.url)];
    await Promise.all([owner.connect(), watcher.connect()]);
    try {
      await owner.query('BEGIN');
      const { rows } = await owner.query(
        `UPDATE outside_spends SET status = 'seen', seen_at = now(), ended_at = NULL WHERE transaction = $1 RETURNING seen_at`,
        [other.transaction],
      );
      await fenceOnSight(owner, treasuryId, rows[0].seen_at, BY);
      const finished = finishSpends(database, lost.network, lost.blockNumber, []);
      await untilWaiting(watcher, 1);
      await owner.query('COMMIT');
      await finished;
      expect(await fenceOf()).toBe(rows[0].seen_at.getTime() + 300_000);
    } finally {
      await Promise.all([owner.end(), watcher.end()]);
    }
  });

  it('stands as long as an admin put it up', async () => {
    await database.transaction((tx) => fence(tx, treasuryId, BY));
    const until = await fenceOf();
    await sightSpends(database, [lost]);
    expect(await fenceOf()).toBeGreaterThan(until ?? 0);
    await finishSpends(database, lost.network, lost.blockNumber, []);
    expect(await fenceOf()).toBe(until);
  });

  it('that an admin took down stays down when the sighting is withdrawn', async () => {
    await sightSpends(database, [lost]);
    await database.transaction((tx) => unfence(tx, treasuryId, BY));
    await finishSpends(database, lost.network, lost.blockNumber, []);
    expect(await fenceOf()).toBeUndefined();
  });
});
