import { afterEach, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import type { Config } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import type { Notifier } from '../src/outbox/notifier.js';
import { SpendFold } from '../src/reports/spend-fold.js';
import type { Service } from '../src/service.js';
import { LowTreasuries } from '../src/treasury/low-treasuries.js';
import type { Networks } from '../src/treasury/networks.js';
import type { EventAnswer } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { createTestDatabase } from './support/database.js';
import { NETWORKS, SpendLedger } from './support/spend-ledger.js';
import { until } from './support/until.js';

jest.setTimeout(120_000);

let stack: TestStack | undefined;
let replica: Service | undefined;

afterEach(async () => {
  await replica?.stop();
  replica = undefined;
  await stack?.stop();
  stack = undefined;
});

const lows = ({ admin }: TestStack) => admin.all<EventAnswer>('/v1/audit/events?kind=treasury.low');

describe('a treasury', () => {
  it('that has less than it spent in a day is told once, and again after it had more', async () => {
    const own = await startTestStack();
    stack = own;
    replica = await startReplica(own, 'all');
    const { admin, chain, db } = own;
    const { grant } = await admin.mint({ budget: '1.00' });
    const spend = () =>
      db.query(
        `WITH s AS (INSERT INTO spend_series (treasury_id, grant_id, network, pay_to, host)
           VALUES ($1, $2, $3, '0x1', 'h') ON CONFLICT (treasury_id, grant_id, network, pay_to, host)
             DO UPDATE SET host = 'h' RETURNING id)
         INSERT INTO spend_hours (treasury_id, series_id, hour, status, payments, amount)
         SELECT $1, id, date_trunc('hour', now(), 'UTC'), 'settled', 1, 10::numeric ^ 30 FROM s`,
        [grant.treasuryId, grant.id, chain.network],
      );
    await spend();
    await until('it is told', async () => (await lows(own)).length > 0);
    const [event] = await lows(own);
    expect(event).toMatchObject({
      actor: 'system:treasury',
      data: { network: chain.network, currency: 'USDC', below: `1${'0'.repeat(30)}` },
    });
    await db.query('DELETE FROM spend_hours');
    const isFree = async () => (await db.query('SELECT FROM treasury_lows')).rowCount === 0;
    await until('it has enough again', isFree);
    await spend();
    await until('it is told anew', async () => (await lows(own)).length >= 2);
    // Two workers looked several times meanwhile.
    expect(await lows(own)).toHaveLength(2);
    // The sums are of no payment, which the checker would tell.
    await db.query('DELETE FROM spend_hours; DELETE FROM spend_series');
    expect(await wrongInBooks(own)).toEqual([]);
  });

  it('that has less than the amount that is set is told, whatever it spends', async () => {
    const own = await startTestStack({ environment: { BURSAR_TREASURY_LOW: '900000000000.00' } });
    stack = own;
    await until('it is told', async () => (await lows(own)).length > 0);
    const [event] = await lows(own);
    expect(event?.data).toMatchObject({ currency: 'USDC', below: '900000000000000000' });
  });
});

describe('the spend of a day', () => {
  const MINUTE = 60_000;
  const DAY = 24 * 60 * MINUTE;

  it('counts a payment of 23 h 59 min ago, and none of 24 h 1 min ago', async () => {
    const test = await createTestDatabase();
    const db = new pg.Pool({ connectionString: test.url, max: 2 });
    const database = new Database(test.url, { maxConnections: 2 });
    try {
      const ledger = new SpendLedger(db, 'trs_day');
      await ledger.open();
      const [network, other] = NETWORKS;
      const pay = async (ago: number, amount: bigint, status: string, on: string = network) => {
        const of = { grant: 'grt_b', payTo: '0xAa', host: 'a.example', network: on };
        const payment = await ledger.pay({ ...of, amount, at: Date.now() - ago }, false);
        if (status !== 'authorized') await ledger.move(payment, status, Date.now());
      };
      // The ledger's payments settle for half of what was signed.
      await pay(DAY - MINUTE, 2n, 'settled');
      await pay(DAY - 90 * MINUTE, 20n, 'settled');
      await pay(5 * MINUTE, 200n, 'settled');
      await pay(DAY + MINUTE, 2_000n, 'settled');
      await pay(DAY + 90 * MINUTE, 20_000n, 'settled');
      await pay(DAY - MINUTE, 200_000n, 'released');
      await pay(5 * MINUTE, 2_000_000n, 'released');
      // Nothing is spent on the other network.
      await pay(DAY - MINUTE, 2n, 'authorized', other);
      await ledger.seal(100);
      await new SpendFold(database).foldAll();
      const lows = new LowTreasuries(
        database,
        { eventsWritten: () => {} } as unknown as Notifier,
        { asset: () => ({ currency: 'USDC' }) } as unknown as Networks,
        {} as Config,
      );
      await lows.sweep();
      const { rows } = await db.query(
        `SELECT record::jsonb -> 'data' AS data FROM events WHERE kind = 'treasury.low'`,
      );
      expect(rows).toEqual([{ data: { network, currency: 'USDC', free: '0', below: '111' } }]);
    } finally {
      await database.close();
      await db.end();
      await test.drop();
    }
  });
});
