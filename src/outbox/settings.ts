import type { QueueOptions, WorkerOptions } from 'bullmq';

/**
 * How workers hold jobs, on Redis and on Postgres alike.
 *
 * - `lockDuration`: a job whose worker died, or hangs with its event loop, is free again so long after. It
 *   is renewed at half its time, so 30 s leaves room for 15 s in which a busy process, or a store that
 *   pauses, does not get to it. Shorter would have jobs done twice for nothing.
 * - `stalledInterval`: how often somebody looks for such jobs. Together: 45 s at most until a dead
 *   worker's job is done by another.
 * - `maxStalledCount`: how often that may happen to one job. BullMQ's own is once, and a second death of a
 *   worker, as a rolling restart brings, would drop the job. Jobs may be done twice (`Queues.handle`), so
 *   they go on; one that kills every worker that takes it still ends among the dead letters.
 */
export const HOLDING = {
  lockDuration: 30_000,
  stalledInterval: 15_000,
  maxStalledCount: 10,
} as const satisfies Partial<WorkerOptions>;

/** BullMQ writes down every step of a job, and keeps the last 10,000. Nobody reads them here. */
export const TRACE = {
  streams: { events: { maxLen: 100 } },
} as const satisfies Partial<QueueOptions>;

/**
 * Nothing is kept of jobs that are done: the truth is in Postgres. To keep the last ones, BullMQ would delete older
 * ones with every job that ends, and on Postgres two such deletes can deadlock.
 */
const DONE = { removeOnComplete: true } as const;

/**
 * A job that is rung for once. It is tried again after 1, 2, 4 and 8 s, which outlasts a database that
 * restarts; what fails five times is a dead letter, kept for a week to be looked at and rung again
 * (`bursar jobs`). A sweep does its work meanwhile, so nothing waits for that.
 */
export const ONCE = {
  ...DONE,
  attempts: 5,
  backoff: { type: 'exponential', delay: 1_000 },
  removeOnFail: { count: 1_000, age: 7 * 86_400 },
} as const;

/**
 * One turn of a schedule. Its next turn is its second try, soon, so a failed one is told in the log and
 * counted (`bursar_jobs_failed_total`), and not kept: at two a second it would push the dead letters out.
 */
export const TURN = { ...DONE, attempts: 1, removeOnFail: true } as const;
