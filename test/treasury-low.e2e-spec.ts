import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { Service } from '../src/service.js';
import type { EventAnswer } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { until } from './support/until.js';

jest.setTimeout(120_000);

let stack: TestStack;
let replica: Service | undefined;

afterEach(async () => {
  await replica?.stop();
  replica = undefined;
  await stack?.stop();
});

const lows = () => stack.admin.all<EventAnswer>('/v1/audit/events?kind=treasury.low');

describe('a treasury', () => {
  it('that has less than it spent in a day is told once, and again after it had more', async () => {
    stack = await startTestStack();
    replica = await startReplica(stack, 'all');
    const { admin, chain, db } = stack;
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
    await until('it is told', async () => (await lows()).length > 0);
    const [event] = await lows();
    expect(event).toMatchObject({
      actor: 'system:treasury',
      data: { network: chain.network, currency: 'USDC', below: `1${'0'.repeat(30)}` },
    });
    await db.query('DELETE FROM spend_hours');
    const isFree = async () => (await db.query('SELECT FROM treasury_lows')).rowCount === 0;
    await until('it has enough again', isFree);
    await spend();
    await until('it is told anew', async () => (await lows()).length >= 2);
    // Two workers looked several times meanwhile.
    expect(await lows()).toHaveLength(2);
    expect(await wrongInBooks(stack)).toEqual([]);
  });

  it('that has less than the amount that is set is told, whatever it spends', async () => {
    stack = await startTestStack({ environment: { BURSAR_TREASURY_LOW: '900000000000.00' } });
    await until('it is told', async () => (await lows()).length > 0);
    const [event] = await lows();
    expect(event?.data).toMatchObject({ currency: 'USDC', below: '900000000000000000' });
  });
});
