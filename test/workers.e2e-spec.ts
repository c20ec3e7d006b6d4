import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startProxy, type TcpProxy } from '../faults/proxy.js';
import { Database } from '../src/database/database.js';
import { printDeadLetters, retryDeadLetters } from '../src/outbox/commands.js';
import { QUEUES } from '../src/outbox/jobs.js';
import {
  openStore,
  type QueueStore,
  type StoredQueue,
  type StoreSettings,
} from '../src/outbox/stores.js';
import type { Service } from '../src/service.js';
import { Api, type ProblemAnswer } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
import { hasRedis, type OwnRedis, startRedis } from './support/redis.js';
import { settle } from './support/settle.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** How long a worker may be silent here; by default it is 45 s, so that a minute is enough to see it. */
const SILENCE_SECONDS = 3;

/** Redis only where there is one to start: without, there is no case to pass or to skip. */
const STORES = ['Postgres', ...(hasRedis() ? ['Redis'] : [])];

describe.each(STORES)('with the queues on %s', (name) => {
  let stack: TestStack;
  let admin: Api;
  let redis: OwnRedis | undefined;
  let proxy: TcpProxy | undefined;
  /** Another worker on the same queues, whom nothing hits: it does all the jobs there are. */
  let neighbour: Service | undefined;
  let redisUrl: string | undefined;
  let database: Database;
  let store: QueueStore;
  let audit: StoredQueue;
  let config: StoreSettings;

  beforeAll(async () => {
    if (name === 'Redis') {
      redis = await startRedis();
      proxy = await startProxy(redis.port);
      redisUrl = `redis://127.0.0.1:${proxy.port}`;
    }
    stack = await startTestStack({
      redisUrl,
      environment: { BURSAR_WORKER_SILENCE_SECONDS: String(SILENCE_SECONDS) },
    });
    const environment = { BURSAR_WORKER_SILENCE_SECONDS: String(SILENCE_SECONDS) };
    if (redis) neighbour = await startReplica(stack, 'all', redis.url, environment);
    ({ admin } = stack);
    config = {
      role: 'all',
      databaseUrl: stack.databaseUrl,
      redisUrl: redis?.url,
    };
    database = new Database(stack.databaseUrl);
    const { rows } = await stack.db.query<{ id: string }>('SELECT id FROM treasuries');
    store = await openStore(config, database, rows[0]?.id ?? '', () => {});
    audit = store.queue('audit');
  }, 60_000);

  afterAll(async () => {
    await audit?.close();
    store?.close();
    await database?.close();
    await neighbour?.stop();
    await stack?.stop();
    await proxy?.stop();
    await redis?.stop();
  });

  const readiness = () => admin.get<ProblemAnswer>('/readyz');
  const isReady = async () => (await readiness()).status === 200;

  /** Has every worker wait for an answer that does not come, as after an outage that told nobody. */
  const hang = async (): Promise<() => Promise<void>> => {
    if (proxy) {
      // Old connections are lost for good: only new ones get through.
      proxy.freeze();
      return async () => {};
    }
    const holder = await stack.db.connect();
    await holder.query('BEGIN; LOCK TABLE bullmq.job IN ACCESS EXCLUSIVE MODE');
    return async () => {
      await holder.query('ROLLBACK');
      holder.release();
    };
  };

  const said = async (work: () => Promise<void>): Promise<string> => {
    let text = '';
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      text += chunk;
      return true;
    });
    try {
      await work();
    } finally {
      write.mockRestore();
    }
    return text;
  };

  it('says that all is well while jobs flow, however little there is to do', async () => {
    await until('it is ready', isReady);
    // Longer than the silence: canaries come through where nothing else happens.
    const seen = new Map<string, number>();
    const began = performance.now();
    await until('it was watched for longer than a worker may be silent', async () => {
      expect((await readiness()).status).toBe(200);
      const text = await metricsOf(stack.service);
      for (const [, queue = '', seconds] of text.matchAll(
        /^bursar_worker_silence_seconds\{queue="(\w+)"\} ([\d.]+)$/gm,
      )) {
        seen.set(queue, Math.max(seen.get(queue) ?? 0, Number(seconds)));
      }
      return performance.now() - began > SILENCE_SECONDS * 1_000 + 500;
    });
    expect([...seen.keys()].sort()).toEqual([...QUEUES].sort());
    expect(Math.max(...seen.values())).toBeLessThan(SILENCE_SECONDS);
  });

  // Before workers hang: a bell that one of them held rings again only once its lock has run out.
  it('shows a job that failed for good, why, and has it tried again', async () => {
    const treasuryId = (await admin.mint({ budget: '1.00' })).grant.treasuryId;
    await until('every event is sealed', async () => {
      const { rows } = await stack.db.query('SELECT 1 FROM unsealed_events');
      return rows.length === 0;
    });
    let id: string | undefined;
    // Without more tries: five of them take 15 s. In the place of the bell that is rung for the next
    // event, which would fail beside it; the one for the last may still be ringing.
    await until('the only bell is one without more tries', async () => {
      ({ id } = await audit.add(
        'audit.seal',
        { treasuryId },
        { delay: 2_000, attempts: 1, deduplication: { id: `seal-${treasuryId}` } },
      ));
      return (await audit.getJob(id ?? ''))?.opts.attempts === 1;
    });
    await stack.db.query('ALTER TABLE log_checkpoints RENAME TO log_checkpoints_gone');
    try {
      await admin.mint({ budget: '1.00' });
      const hasFailed = async () => (await audit.getJobCounts('failed')).failed === 1;
      await until('it has failed', hasFailed, 40_000);
    } finally {
      await stack.db.query('ALTER TABLE log_checkpoints_gone RENAME TO log_checkpoints');
    }
    const list = () => said(() => printDeadLetters(database, config));
    const listed = await list();
    expect(listed).toContain(`audit/${id}  audit.seal  {"treasuryId":"${treasuryId}"}  20`);
    expect(listed).toContain('relation "log_checkpoints" does not exist');
    expect(listed).toContain('1 failed for good');
    const { queues } = await admin.read<{ queues: object }>(`/v1/summary?treasuryId=${treasuryId}`);
    expect(queues).toMatchObject({ audit: { failed: 1 }, settlement: { failed: 0 } });
    await until('the metrics tell', async () => {
      const text = await metricsOf(stack.service);
      // The worker that failed tells it, whichever that was.
      const other = neighbour ? await metricsOf(neighbour) : '';
      return (
        text.includes('bursar_queue_jobs{queue="audit",state="failed"} 1') &&
        /bursar_jobs_failed_total\{job="audit.seal"\} [1-9]/.test(text + other)
      );
    });

    await expect(retryDeadLetters(database, config, 'audit/nothing')).rejects.toThrow(
      'there is no dead letter audit/nothing; see: npx bursar jobs',
    );
    expect(await said(() => retryDeadLetters(database, config, 'all'))).toBe(
      `audit/${id} is tried again\n`,
    );
    await until('it is done', async () => {
      return (await (await audit.getJob(id ?? ''))?.getState()) === 'completed';
    });
    expect(await list()).toBe('no job has failed for good\n');
  });

  it('sees workers that hang, says which, replaces them, and loses nothing', async () => {
    const { token } = await admin.mint({ budget: '1.00' });
    const agent = admin.as(token);
    await agent.paid(order(stack.chain));
    const release = await hang();
    let during: Awaited<ReturnType<typeof agent.paid>>;
    try {
      // Each by itself: one may be well again while the next is only found out. On Redis some never are
      // silent for so long: BullMQ gives a blocking connection up by itself when its time is long over.
      const named = new Set<string>();
      // `until` waits for less than the default silence, 45 s.
      await until('it is not ready, for its workers', async () => {
        const { status, body } = await readiness();
        if (status !== 503) return false;
        for (const [, queue = ''] of body.detail.matchAll(
          /queue (\w+): the worker here has neither taken nor ended a job for/g,
        )) {
          named.add(queue);
        }
        return named.size >= (redis ? 1 : 3);
      });
      if (neighbour) expect((await fetch(`${neighbour.url}/readyz`)).status).toBe(200);
      // Payments do not wait for workers.
      during = await agent.paid(order(stack.chain));
    } finally {
      await release();
    }
    await until('it is ready again, without a restart', isReady, 40_000);
    await settle(stack, during);
    await until('every event is sealed', async () => {
      const { rows } = await stack.db.query('SELECT 1 FROM unsealed_events');
      return rows.length === 0;
    });
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  if (name === 'Redis') {
    it('lets an API stay in service while Redis answers nobody: payments need none', async () => {
      const apis = [await startReplica(stack, 'api', redis?.url)];
      try {
        const { token } = await admin.mint({ budget: '1.00' });
        redis?.signal('SIGSTOP');
        // One that starts meanwhile does too.
        apis.push(await startReplica(stack, 'api', redis?.url));
        const paid = [];
        for (const { url } of apis) {
          expect((await fetch(`${url}/readyz`)).status).toBe(200);
          paid.push(await new Api(url, token).paid(order(stack.chain)));
        }
        // A worker can do nothing without it, and says so.
        const { status, body } = await readiness();
        expect(status).toBe(503);
        expect(body.detail).toContain('the queues cannot be reached');
        redis?.signal('SIGCONT');
        await until('all is ready again', isReady, 40_000);
        for (const each of paid) await settle(stack, each);
      } finally {
        redis?.signal('SIGCONT');
        for (const api of apis) await api.stop();
      }
    });
  }
});
