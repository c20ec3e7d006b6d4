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
import type { Database } from '../database/database.js';

/** What the service needs of a BullMQ queue, whatever store it is on. */
export type StoredQueue = Pick<
  Queue,
  | 'add'
  | 'upsertJobScheduler'
  | 'removeJobScheduler'
  | 'getJobSchedulers'
  | 'getJobCounts'
  | 'close'
>;
/** What the service needs of a BullMQ worker, whatever store it is on. */
export type StoredWorker = Pick<Worker, 'close'>;

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

/** Where BullMQ keeps its tables when the queues are on Postgres. */
const SCHEMA = 'bullmq';

/**
 * Queues on Redis, through ioredis. Redis must not evict (`maxmemory-policy noeviction`).
 *
 * @param namespace - what is unique to this service's database: services that share a Redis must
 *   never take each other's jobs.
 * @throws Error with one line when Redis does not answer: BullMQ itself would wait for ever.
 */
export async function redisStore(
  url: string,
  namespace: string,
  complain: Complain,
): Promise<QueueStore> {
  await knock(url);
  // The curly braces keep all keys of the queues in one slot of a Redis cluster.
  const prefix = `{bursar:${namespace}}`;
  const connect = (options: { maxRetriesPerRequest: number | null; commandTimeout?: number }) => {
    const redis = new Redis(url, options);
    redis.on('error', (error) => complain(`Redis: ${error.message}`));
    return redis;
  };
  // A worker waits for Redis as long as it takes. A request must not: its bell fails at once, and the
  // sweep finds what it would have rung for.
  const forQueues = connect({ maxRetriesPerRequest: 1, commandTimeout: REDIS_TIMEOUT_MS });
  const forWorkers = connect({ maxRetriesPerRequest: null });
  return {
    queue: (name) => {
      const options: QueueOptions = { connection: forQueues, prefix };
      return listened(new Queue(name, options), complain);
    },
    worker: (name, run, concurrency) => {
      const options: WorkerOptions = { connection: forWorkers, prefix, concurrency };
      return listened(new Worker(name, run, options), complain);
    },
    close: () => {
      forQueues.disconnect();
      forWorkers.disconnect();
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
  const connection = { connectionString, schema: SCHEMA, max: 3 };
  return {
    queue: (name) => listened(new PostgresQueue(name, { connection }), complain),
    worker: (name, run, concurrency) =>
      listened(new PostgresWorker(name, run, { connection, concurrency }), complain),
    close: () => {},
  };
}

/** What an error says, whatever was thrown. */
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
