import type { Database } from '../database/database.js';
import { QUEUES, type QueueName } from './jobs.js';
import { openStore, type QueueStore, type StoredQueue, type StoreSettings } from './stores.js';

/** A job that failed every time it was tried. */
export interface DeadLetter {
  /** Its queue and its id there, such as `audit/17`. */
  readonly id: string;
  readonly job: string;
  readonly payload: string;
  readonly failedAt: Date;
  readonly tries: number;
  readonly reason: string;
}

/** How many dead letters one look shows of a queue; as many are kept. */
const MOST = 1_000;

/**
 * Looks at the dead letters of all queues, the newest first.
 *
 * @param namespace - what the service's queues are kept under: the id of its main treasury.
 */
export function deadLetters(
  config: StoreSettings,
  database: Database,
  namespace: string,
): Promise<DeadLetter[]> {
  return withQueues(config, database, namespace, async (queues) => {
    const letters: DeadLetter[] = [];
    for (const [name, queue] of queues) {
      for (const job of await queue.getFailed(0, MOST - 1)) {
        letters.push({
          id: `${name}/${job.id}`,
          job: job.name,
          payload: JSON.stringify(job.data),
          failedAt: new Date(job.finishedOn ?? job.timestamp),
          tries: job.attemptsMade,
          reason: job.failedReason ?? '',
        });
      }
    }
    return letters.sort((a, b) => b.failedAt.getTime() - a.failedAt.getTime());
  });
}

/**
 * Adds the jobs of dead letters again, with all their tries. It overrides nothing: a job says where to
 * look and never what is true, and its handler does what the database says is to be done.
 *
 * @param ids - see {@link DeadLetter.id}.
 * @returns those that were added; without those that are no dead letters, or no longer.
 */
export function retry(
  config: StoreSettings,
  database: Database,
  namespace: string,
  ids: readonly string[],
): Promise<string[]> {
  return withQueues(config, database, namespace, async (queues) => {
    const retried: string[] = [];
    for (const id of ids) {
      const [name = '', ...rest] = id.split('/');
      const job = await queues.get(name as QueueName)?.getJob(rest.join('/'));
      if (!job || !(await job.isFailed())) continue;
      await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
      retried.push(id);
    }
    return retried;
  });
}

async function withQueues<T>(
  config: StoreSettings,
  database: Database,
  namespace: string,
  work: (queues: ReadonlyMap<QueueName, StoredQueue>) => Promise<T>,
): Promise<T> {
  // Errors in the background fail the look itself, too.
  const store: QueueStore = await openStore(config, database, namespace, () => {});
  const queues = new Map(QUEUES.map((name) => [name, store.queue(name)]));
  try {
    return await work(queues);
  } finally {
    await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    store.close();
  }
}
