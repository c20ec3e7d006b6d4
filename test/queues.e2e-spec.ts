import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Database } from '../src/database/database.js';
import {
  postgresStore,
  type QueueStore,
  redisStore,
  type StoredQueue,
} from '../src/outbox/stores.js';
import type { Service } from '../src/service.js';
import { type Api, Api as Caller, type EventAnswer, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { headOf, linesOf, rootOf } from './support/log.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

// An empty variable is an unset one, as the service reads it.
const REDIS_URL = process.env.REDIS_URL || undefined;

/** Redis only where the environment has one: without, there is no case to pass or to skip. */
const STORES: readonly (readonly [string, string | undefined])[] = [
  ['Postgres', undefined],
  ...(REDIS_URL === undefined ? [] : [['Redis', REDIS_URL] as const]),
];

describe.each(STORES)('with the queues on %s', (_name, redisUrl) => {
  let stack: TestStack;
  let replica: Service;
  let admin: Api;
  let grant: Minted;
  let treasuryId: string;
  let behind: Behind;

  beforeAll(async () => {
    stack = await startTestStack({ redisUrl });
    // A second one that works too: whatever a job does, it may be done by either, or by both.
    replica = await startReplica(stack, 'all', redisUrl);
    ({ admin } = stack);
    grant = await admin.mint({ budget: '5.00' });
    ({ treasuryId } = grant.grant);
    behind = await lookBehind(stack, redisUrl, treasuryId);
  }, 60_000);

  // The workers stop first: a wipe beside live workers can deadlock with them. `stack.stop` drops the
  // database, so it comes last.
  afterAll(() =>
    inOrder([
      async () => replica?.stop(),
      async () => stack?.service.stop(),
      async () => behind?.wipe(),
      async () => behind?.close(),
      async () => stack?.stop(),
    ]),
  );

  /** Buys a page: an authorized payment that the chain will show as used. */
  const buy = async (): Promise<string> => {
    const agent = admin.as(grant.token);
    const url = `${stack.seller.url}/data/7`;
    const unpaid = await fetch(url);
    const { payment, header } = await agent.paid({
      paymentRequired: unpaid.headers.get('payment-required'),
      request: { method: 'GET', url },
    });
    const answer = await fetch(url, { headers: { [header.name]: header.value } });
    expect(answer.status).toBe(200);
    return payment.id;
  };

  const allSettled = async (ids: readonly string[]) => {
    await stack.chain.mineBlocks(3);
    await until('all payments are settled', async () => {
      const payments = await Promise.all(ids.map((id) => admin.payment(id)));
      return payments.every(({ status }) => status === 'settled');
    });
  };

  const allSealed = () =>
    until('every event is sealed', async () => {
      const { rows } = await stack.db.query('SELECT count(*)::int AS open FROM unsealed_events');
      return rows[0].open === 0;
    });

  /** The log has every event once, in one unbroken chain. */
  const expectWholeLog = async () => {
    const events = await admin.all<EventAnswer>('/v1/audit/events');
    events.sort((a, b) => Number(a.leafIndex) - Number(b.leafIndex));
    const lines = linesOf((await admin.get('/v1/audit/export')).text);
    expect(events.map(({ leafIndex }) => leafIndex)).toEqual(lines.map((_, n) => String(n)));
    const head = headOf((await admin.get('/v1/audit/checkpoint')).text);
    expect(head).toEqual({ size: lines.length, root: rootOf(lines) });
    expect(await brokenInvariants(stack.db)).toEqual([]);
  };

  it('settles payments and seals events, and the jobs are where they should be', async () => {
    await allSettled([await buy(), await buy()]);
    await allSealed();
    await expectWholeLog();
    expect(await behind.count()).toBeGreaterThan(0);
  });

  it('settles and seals all the same when the queues lose everything in the middle', async () => {
    const before = await buy();
    const schedules = await behind.schedules();
    expect(schedules.length).toBeGreaterThan(3);
    await behind.wipe();
    const after = await buy();
    await allSettled([before, after]);
    await allSealed();
    await expectWholeLog();
    // Not by luck of what ran already: the schedules are back.
    await until('the schedules are made anew', async () => {
      return (await behind.schedules()).length === schedules.length;
    });
  });

  it('cancels all the same when the queues lose everything at every step', async () => {
    const agent = admin.as(grant.token);
    const id = (await agent.paid(order(stack.chain))).payment.id;
    await behind.wipe();
    expect((await agent.post(`/v1/payments/${id}/cancel`)).status).toBe(202);
    await behind.wipe();
    await until('it is sent', async () => {
      const { rows } = await stack.db.query(
        'SELECT hash FROM gas_transactions WHERE payment_id = $1',
        [id],
      );
      return rows[0]?.hash;
    });
    await behind.wipe();
    await stack.chain.mineBlocks(1);
    await behind.wipe();
    await stack.chain.mineBlocks(3);
    await until('it is cancelled', async () => (await admin.payment(id)).status === 'cancelled');
    await allSealed();
    await expectWholeLog();
    await until('every nonce is done', async () => {
      const { rows } = await stack.db.query(`SELECT 1 FROM gas_transactions WHERE status = 'open'`);
      return rows.length === 0;
    });
  });

  it('does once what a job asks for five times, on two workers', async () => {
    const ids = [await buy(), await buy(), await buy()];
    const network = stack.chain.network;
    await stack.chain.mineBlocks(3);
    const fiveTimes = async () => {
      for (let n = 0; n < 5; n++) {
        await behind.audit.add('audit.seal', { treasuryId });
        await behind.settlement.add('settlement.read', { network });
      }
    };
    await Promise.all([fiveTimes(), fiveTimes()]);
    await allSettled(ids);
    await fiveTimes();
    await until('no job waits', async () => {
      const kinds = ['waiting', 'active'] as const;
      const counts = [
        await behind.audit.getJobCounts(...kinds),
        await behind.settlement.getJobCounts(...kinds),
      ];
      return counts.every(({ waiting, active }) => waiting === 0 && active === 0);
    });
    await allSealed();
    for (const id of ids) {
      const events = await admin.all<EventAnswer>(`/v1/audit/events?paymentId=${id}`);
      const kinds = events.map(({ kind }) => kind).filter((kind) => kind !== 'payment.seen');
      expect(kinds).toEqual(['payment.settled', 'payment.authorized']);
    }
    await expectWholeLog();
    expect(await admin.grant(grant.grant.id)).toMatchObject({ reserved: '0.00', spent: '0.07' });
  });

  it('goes on with its work when the one of two that leaves was in the middle of it', async () => {
    const id = await buy();
    await replica.stop();
    await allSettled([id]);
    await allSealed();
    await expectWholeLog();
    expect((await new Caller(stack.service.url).get('/readyz')).status).toBe(200);
  });

  it('shrugs at a job it does not know and one that makes no sense', async () => {
    await behind.audit.add('audit.nonsense', {});
    await behind.audit.add('audit.seal', { treasury: 1 });
    await behind.settlement.add('settlement.read', { network: 'eip155:1' });
    const id = await buy();
    await allSettled([id]);
    await allSealed();
    await expectWholeLog();
  });
});

/**
 * Runs every step in order, whether or not the steps before it failed.
 *
 * @throws AggregateError with the failures, once all steps have run.
 */
async function inOrder(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) {
    throw new AggregateError(failures, `not everything was closed: ${failures.join('; ')}`);
  }
}

/** SQLSTATE `deadlock_detected`: the statement did nothing and can be repeated. */
const DEADLOCK_DETECTED = '40P01';

/** Contents of the queues' store, seen past the service. */
interface Behind {
  readonly audit: StoredQueue;
  readonly settlement: StoredQueue;
  /** How many rows or keys there are. */
  count(): Promise<number>;
  schedules(): Promise<unknown[]>;
  /** Deletes all of them. */
  wipe(): Promise<void>;
  close(): Promise<void>;
}

async function lookBehind(
  stack: TestStack,
  redisUrl: string | undefined,
  treasuryId: string,
): Promise<Behind> {
  const ignore = () => {};
  const database = new Database(stack.databaseUrl);
  const redis = redisUrl === undefined ? undefined : new Redis(redisUrl);
  const store: QueueStore = await (redisUrl === undefined
    ? postgresStore(stack.databaseUrl, database, ignore)
    : redisStore(redisUrl, treasuryId, ignore));
  const audit = store.queue('audit');
  const settlement = store.queue('settlement');
  const upkeep = store.queue('upkeep');
  const keys = async () => (await redis?.keys(`{bursar:${treasuryId}}:*`)) ?? [];
  return {
    audit,
    settlement,
    async count() {
      if (redis) return (await keys()).length;
      const { rows } = await stack.db.query('SELECT count(*)::int AS count FROM bullmq.job');
      return rows[0].count;
    },
    schedules: async () => [
      ...(await audit.getJobSchedulers()),
      ...(await settlement.getJobSchedulers()),
      ...(await upkeep.getJobSchedulers()),
    ],
    async wipe() {
      if (redis) {
        const found = await keys();
        if (found.length > 0) await redis.del(...found);
        return;
      }
      const { rows } = await stack.db.query<{ name: string }>(
        `SELECT format('bullmq.%I', tablename) AS name FROM pg_tables
         WHERE schemaname = 'bullmq' AND tablename <> 'migration'`,
      );
      const truncate = `TRUNCATE ${rows.map(({ name }) => name).join(', ')}`;
      // Live workers lock the same tables in another order, and Postgres may choose this statement as
      // the victim of a deadlock.
      await until('the tables of the queues are empty', async () => {
        try {
          await stack.db.query(truncate);
          return true;
        } catch (error) {
          if ((error as { code?: string }).code !== DEADLOCK_DETECTED) throw error;
          return false;
        }
      });
    },
    close: () =>
      inOrder([
        () => audit.close(),
        () => settlement.close(),
        () => upkeep.close(),
        async () => store.close(),
        async () => redis?.disconnect(),
        () => database.close(),
      ]),
  };
}
