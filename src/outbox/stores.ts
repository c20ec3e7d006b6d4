import {
  createPostgresBackend,
  type Job,
  Queue,
  type QueueOptions,
  runMigrations,
  Worker,
  type WorkerOptions,
  withBackend,
} from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { ServiceConfig } from '../config/config.js';
import type { Database } from '../database/database.js';
import { HOLDING, TRACE } from './settings.js';

/** Part of a BullMQ queue that the service needs, whatever store it is on. */
export type StoredQueue = Pick<
  Queue,
  | 'add'
  | 'upsertJobScheduler'
  | 'removeJobScheduler'
  | 'getJobSchedulers'
  | 'getJobCounts'
  | 'getFailed'
  | 'getJob'
  | 'close'
>;
/** Part of a BullMQ worker that the service needs, whatever store it is on. */
export interface StoredWorker {
  /**
   * Takes no more jobs, waits for those it runs, and closes.
   *
   * @param force - waits for nothing: whatever it was doing is given up.
   */
  close(force?: boolean): Promise<void>;
}

/** Hears of trouble in the background; BullMQ reconnects by itself. */
export type Complain = (message: string) => void;

/** Where the queues are kept: makes BullMQ's classes over it. */
export interface QueueStore {
  queue(name: string): StoredQueue;
  worker(name: string, run: (job: Job) => Promise<void>, concurrency: number): StoredWorker;
  /** Closes the store's own connections, after its queues and workers are closed. */
  close(): void;
}

/** How long Redis may take to answer a command that nobody should wait for, in milliseconds. */
const REDIS_TIMEOUT_MS = 5_000;

/** How long a statement of the queues may take on Postgres, in milliseconds: each is short. */
const POSTGRES_TIMEOUT_MS = 10_000;

/** How often a statement of the queues is sent again when Postgres has ended it to resolve a deadlock. */
const DEADLOCK_TRIES = 5;

/** How long a worker hears nothing of its store, in milliseconds. It asks every 10 s at least. */
const WORKER_TIMEOUT_MS = 30_000;

/** Where BullMQ keeps its tables when the queues are on Postgres. */
const SCHEMA = 'bullmq';

/** Settings that say which store the queues have. */
export type StoreSettings = Pick<ServiceConfig, 'redisUrl' | 'databaseUrl' | 'role'>;

/**
 * Opens the queues' store: Redis where there is one, else Postgres.
 *
 * @param namespace - what is unique to this service's database.
 */
export function openStore(
  { redisUrl, databaseUrl, role }: StoreSettings,
  database: Database,
  namespace: string,
  complain: Complain,
): Promise<QueueStore> {
  if (redisUrl !== undefined) return redisStore(redisUrl, namespace, complain, role !== 'api');
  return postgresStore(databaseUrl, database, complain);
}

/**
 * Queues on Redis, through ioredis. Redis must not evict (`maxmemory-policy noeviction`).
 *
 * @param namespace - what is unique to this service's database: services that share a Redis must
 *   never take each other's jobs.
 * @param isNeeded - whether nothing goes without: who only adds jobs starts without a Redis too.
 * @throws Error with one line when it is needed and does not answer: BullMQ itself would wait for ever.
 */
export async function redisStore(
  url: string,
  namespace: string,
  complain: Complain,
  isNeeded = true,
): Promise<QueueStore> {
  await knock(url).catch((error: unknown) => {
    if (isNeeded) throw error;
    complain(messageOf(error));
  });
  // The curly braces keep all keys of the queues in one slot of a Redis cluster.
  const prefix = `{bursar:${namespace}}`;
  // `socketTimeout` ends a connection on which nothing comes back, or it would be waited on for ever: what
  // cut it off, such as a firewall that forgot it, told nobody.
  const connect = (options: {
    maxRetriesPerRequest: number | null;
    commandTimeout?: number;
    socketTimeout: number;
  }) => {
    const redis = new Redis(url, options);
    redis.on('error', (error) => complain(`Redis: ${error.message}`));
    return redis;
  };
  // A worker waits for Redis as long as it takes. A request must not: what it adds fails at once, and
  // the sweep finds the work.
  const forQueues = connect({
    maxRetriesPerRequest: 1,
    commandTimeout: REDIS_TIMEOUT_MS,
    socketTimeout: REDIS_TIMEOUT_MS,
  });
  const forWorkers = new Set<Redis>();
  return {
    queue: (name) => {
      const options: QueueOptions = { connection: forQueues, prefix, ...TRACE };
      return listened(new Queue(name, options), complain);
    },
    worker: (name, run, concurrency) => {
      // One of its own, so that a worker that is replaced leaves its dead connection behind.
      const connection = connect({
        maxRetriesPerRequest: null,
        socketTimeout: WORKER_TIMEOUT_MS,
      });
      forWorkers.add(connection);
      const options: WorkerOptions = { connection, prefix, concurrency, ...HOLDING };
      const worker = listened(new Worker(name, run, options), complain);
      return {
        close: async (force) => {
          // First, or a command that nobody answers would hold up what is to be given up.
          if (force) connection.disconnect();
          await worker.close(force);
          connection.disconnect();
          forWorkers.delete(connection);
        },
      };
    },
    close: () => {
      forQueues.disconnect();
      for (const connection of forWorkers) connection.disconnect();
    },
  };
}

/** Queues on Postgres, in a schema of their own: the default where there is no Redis. */
export async function postgresStore(
  connectionString: string,
  database: Database,
  complain: Complain,
): Promise<QueueStore> {
  const { Queue: PostgresQueue, Worker: PostgresWorker } = withBackend(createPostgresBackend);
  const client = await database.pool.connect();
  try {
    // The queues' tables belong to the database's own user, whom this session has stepped down from.
    await client.query('RESET ROLE');
    await runMigrations(client, SCHEMA);
  } finally {
    // The migrations may leave a search_path behind: nobody else gets this connection.
    client.release(true);
  }
  const connection = {
    connectionString,
    schema: SCHEMA,
    max: 3,
    connectionTimeoutMillis: POSTGRES_TIMEOUT_MS,
    query_timeout: POSTGRES_TIMEOUT_MS,
    Client: DeadlockRetryingClient,
  };
  // BullMQ promotes all delayed jobs that are due with one UPDATE, in whatever order its plan finds them. Two
  // sessions that do so at once deadlock. With one connection a worker cannot deadlock with itself.
  const ofWorker = { ...connection, max: 1 };
  return {
    queue: (name) => listened(new PostgresQueue(name, { connection, ...TRACE }), complain),
    worker: (name, run, concurrency) => {
      const worker = new PostgresWorker(name, run, {
        ...{ connection: ofWorker, concurrency },
        ...HOLDING,
      });
      giveUpWhenDeaf(worker);
      return listened(worker, complain);
    },
    close: () => {},
  };
}

/**
 * Sends a statement again that Postgres ended to resolve a deadlock: workers of several processes can lock the
 * same jobs in different orders. Each statement of BullMQ is a transaction by itself, so nothing of it was done.
 */
export class DeadlockRetryingClient extends pg.Client {
  // pg's pool passes a callback last; its overloads cannot be repeated here.
  override query(...args: unknown[]): never {
    const send = super.query.bind(this) as (...args: unknown[]) => never;
    const callback = args.at(-1);
    if (typeof callback !== 'function') return send(...args);
    const attempt = (triesLeft: number): never =>
      send(...args.slice(0, -1), (error: unknown, result: unknown) => {
        if (triesLeft > 0 && isDeadlock(error)) attempt(triesLeft - 1);
        else callback(error, result);
      });
    return attempt(DEADLOCK_TRIES);
  }
}

function isDeadlock(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '40P01';
}

/** Errors of one worker in one turn of the event loop that cannot be a few connections lost at once. */
const DEAF_ERRORS = 50;

/**
 * BullMQ's worker on Postgres never asks again once its first connection has failed, as with a pooler that
 * accepts and hangs up: every look for a job fails at once, and it looks again without letting anything
 * else of this process have its turn. Closed, it counts as hung, and is replaced.
 */
function giveUpWhenDeaf(worker: {
  on(event: 'error', listener: () => void): unknown;
  close(force: boolean): Promise<void>;
}): void {
  let errors = 0;
  worker.on('error', () => {
    if (errors === 0) setImmediate(() => (errors = 0));
    errors += 1;
    if (errors === DEAF_ERRORS) worker.close(true).catch(() => {});
  });
}

/** Text of an error, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Asks a Redis once whether it is there. */
async function knock(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: REDIS_TIMEOUT_MS,
    commandTimeout: REDIS_TIMEOUT_MS,
    retryStrategy: () => null,
  });
  let reason = '';
  redis.on('error', (error) => {
    reason = error.message;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    const words = reason || messageOf(error);
    throw new Error(`REDIS_URL: Redis does not answer (${words}); start it, or unset the variable`);
  } finally {
    // Once it has ended by itself, disconnecting would only start a timer that holds the process.
    if (redis.status !== 'end') redis.disconnect();
  }
}

/** Without an `error` listener, a lost connection would end the process. */
function listened<T extends { on(event: 'error', listener: (error: Error) => void): unknown }>(
  emitter: T,
  complain: Complain,
): T {
  emitter.on('error', (error) => complain(error.message));
  return emitter;
}
