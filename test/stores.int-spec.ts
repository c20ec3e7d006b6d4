import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { ServiceConfig } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { JOBS, type JobName } from '../src/outbox/jobs.js';
import { Queues } from '../src/outbox/queues.js';
import { ONCE, TURN } from '../src/outbox/settings.js';
import { DeadlockRetryingClient, postgresStore } from '../src/outbox/stores.js';
import { Tracing } from '../src/tracing/tracing.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { hasRedis, startRedis } from './support/redis.js';
import { until } from './support/until.js';

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  database = new Database(test.url);
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

it('a worker whose Postgres accepts and hangs up leaves the process its turns, and is given up', async () => {
  // Behaves as a pooler without its server, or another program on the port of one that is gone.
  let connections = 0;
  const deaf = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await once(deaf.listen(0, '127.0.0.1'), 'listening');
  const { port } = deaf.address() as AddressInfo;
  const complaints: string[] = [];
  const store = await postgresStore(`postgres://nobody@127.0.0.1:${port}/none`, database, (why) => {
    complaints.push(why);
    // Or this test would wait forever, as everything else would.
    if (complaints.length > 10_000) throw new Error('it complains without end');
  });
  const worker = store.worker('audit', async () => {}, 2);
  try {
    await until('it has given up', async () => complaints.length >= 50);
    expect(connections).toBeGreaterThan(0);
    const told = complaints.length;
    // Turns of the event loop come, and it uses none of them to ask again.
    await delay(200);
    expect(complaints.length).toBeLessThan(told + 10);
  } finally {
    await worker.close(true);
    store.close();
    deaf.close();
  }
});

it('a statement that Postgres ended to resolve a deadlock is sent again', async () => {
  const owner = new pg.Client({ connectionString: test.url });
  const retrying = new DeadlockRetryingClient({ connectionString: test.url });
  await Promise.all([owner.connect(), retrying.connect()]);
  const isWaiting = async () => {
    const { rows } = await database.pool.query<{ count: number }>(
      'SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted',
    );
    return rows[0]?.count === 1;
  };
  try {
    await owner.query(`
      CREATE TABLE rows_to_lock (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
      INSERT INTO rows_to_lock (id) VALUES (1), (2);
      CREATE FUNCTION lock_both() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        UPDATE rows_to_lock SET n = n + 1 WHERE id = 1;
        UPDATE rows_to_lock SET n = n + 1 WHERE id = 2;
      END $$`);
    // The session that looks for a deadlock first is the one that Postgres ends: never this one.
    await owner.query("SET deadlock_timeout = '1min'");
    await owner.query('BEGIN');
    await owner.query('UPDATE rows_to_lock SET n = n + 10 WHERE id = 2');
    // It asks with a callback, like BullMQ.
    const sent = new Promise<void>((resolve, reject) => {
      retrying.query('SELECT lock_both()', (error: Error | null) =>
        error ? reject(error) : resolve(),
      );
    });
    const outcome = sent.then(
      () => 'done',
      (error: Error) => error.message,
    );
    await until('it waits', isWaiting);
    await owner.query('UPDATE rows_to_lock SET n = n + 10 WHERE id = 1');
    await owner.query('COMMIT');
    expect(await outcome).toBe('done');
    const { rows } = await owner.query('SELECT n FROM rows_to_lock ORDER BY id');
    expect(rows).toEqual([{ n: 11 }, { n: 11 }]);
  } finally {
    await Promise.all([owner.end(), retrying.end()]);
  }
});

it('a worker uses one connection, whatever it has to do at once', async () => {
  const named = (name: string) => `${test.url}?application_name=${name}`;
  const [store, other] = [
    await postgresStore(named('of_worker'), database, () => {}),
    await postgresStore(named('of_queue'), database, () => {}),
  ];
  const queue = other.queue('audit');
  let done = 0;
  let most = 0;
  const worker = store.worker(
    'audit',
    async () => {
      const { rows } = await database.pool.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'of_worker'`,
      );
      most = Math.max(most, rows[0]?.count ?? 0);
      done += 1;
    },
    20,
  );
  try {
    await Promise.all(Array.from({ length: 60 }, (_, n) => queue.add(`n${n}`, {}, ONCE)));
    await until('all is done', () => done === 60);
    expect(most).toBe(1);
  } finally {
    await worker.close();
    await queue.close();
  }
});

/** How many schedules are due at the same moments, and for how long they run, in milliseconds. */
const SCHEDULES = 8;
const BUSY_MS = 8_000;

describe('schedules that are due at the same moment', () => {
  const complaints: string[] = [];

  /** Runs the schedules on so many stores' workers. @returns how many deadlocks Postgres resolved. */
  async function run(queueName: 'audit' | 'settlement', count: number): Promise<number> {
    const before = await deadlocks();
    complaints.length = 0;
    const opened = await Promise.all(
      Array.from({ length: count }, () =>
        postgresStore(test.url, database, (why) => complaints.push(why)),
      ),
    );
    const queues = opened.map((store) => store.queue(queueName));
    const [queue] = queues;
    if (!queue) throw new Error('no store');
    for (let n = 0; n < SCHEDULES; n += 1) {
      const every = [100, 200, 300, 500][n % 4] ?? 100;
      await queue.upsertJobScheduler(`s${n}`, { every }, { name: 'x', data: {}, opts: TURN });
    }
    let done = 0;
    const workers = opened.map((store) =>
      store.worker(
        queueName,
        async () => {
          done += 1;
          await delay(10);
        },
        SCHEDULES + 1,
      ),
    );
    const end = performance.now() + BUSY_MS;
    while (performance.now() < end) {
      await Promise.all(
        queues.map((each, n) =>
          each.add('y', {}, { ...ONCE, delay: 50, deduplication: { id: `d${n}` } }),
        ),
      );
      await delay(30);
    }
    expect(done).toBeGreaterThan(100);
    for (const { key } of await queue.getJobSchedulers()) await queue.removeJobScheduler(key);
    await Promise.all(workers.map((worker) => worker.close()));
    await Promise.all(queues.map((each) => each.close()));
    return (await deadlocks()) - before;
  }

  async function deadlocks(): Promise<number> {
    const { rows } = await database.pool.query<{ deadlocks: number }>(
      'SELECT deadlocks::int AS deadlocks FROM pg_stat_database WHERE datname = current_database()',
    );
    return rows[0]?.deadlocks ?? Number.NaN;
  }

  it('do not deadlock within one process', async () => {
    expect(await run('audit', 1)).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('are done without a complaint where several processes deadlock over them', async () => {
    await run('settlement', 5);
    expect(complaints).toEqual([]);
  });
});

describe.each(hasRedis() ? ['Postgres', 'Redis'] : ['Postgres'])(
  'with the queues on %s',
  (store) => {
    it('a job that is rung for while it runs is run once more, for all who rang', async () => {
      const redis = store === 'Redis' ? await startRedis() : undefined;
      const config = {
        role: 'all',
        workerSilenceMs: 60_000,
        databaseUrl: test.url,
      } as ServiceConfig;
      const queues = new Queues(
        redis ? { ...config, redisUrl: redis.url } : config,
        database,
        new Tracing(config),
      );
      const began: string[] = [];
      let letGo = () => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      for (const job of Object.keys(JOBS) as JobName[]) {
        if (job.endsWith('.canary')) continue;
        queues.handle(job, async (payload) => {
          began.push((payload as { treasuryId: string }).treasuryId);
          if (began.length === 1) await held;
        });
      }
      try {
        await queues.start('bell');
        const ring = () => queues.add('audit.seal', { treasuryId: 'tre_1' }, 'seal-tre_1');
        await ring();
        await until('the job runs', async () => began.length === 1);
        for (let n = 0; n < 5; n += 1) await ring();
        letGo();
        await until('it runs once more', async () => began.length === 2);
        await until('no job is left', async () => {
          const { waiting, active, delayed, failed } = (await queues.counts()).audit;
          return waiting + active + delayed + failed === 0;
        });
        expect(began).toEqual(['tre_1', 'tre_1']);
      } finally {
        letGo();
        await queues.stop();
        await redis?.stop();
      }
    });
  },
);
