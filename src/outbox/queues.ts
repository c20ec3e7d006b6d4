import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Job } from 'bullmq';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import { within } from '../within.js';
import { JOBS, type JobName, type JobPayload, QUEUES, type QueueName } from './jobs.js';
import {
  messageOf,
  postgresStore,
  type QueueStore,
  redisStore,
  type StoredQueue,
  type StoredWorker,
} from './stores.js';

/** How many finished jobs are kept to look at. The truth is in Postgres; these are only traces. */
const RETENTION = { removeOnComplete: { count: 100 }, removeOnFail: { count: 1_000 } } as const;

/** How often a worker looks whether its schedules are still there, in milliseconds. */
const REPLAN_MS = 5_000;

/** A schedule this late has lost its next job, in milliseconds. */
const OVERDUE_MS = 15_000;

/** How long closing may wait for running jobs and connections, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;

/** How many jobs a queue has, by state. */
export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
}

type Handler = (payload: unknown) => Promise<void>;

interface Schedule {
  readonly id: string;
  readonly job: JobName;
  readonly payload: object;
  readonly everyMs: number;
}

/**
 * The BullMQ queues and workers: on Redis where there is one, else on Postgres. Rooms name their
 * handlers before {@link start}; a job without exactly one stops the boot.
 */
@Injectable()
export class Queues {
  readonly #log = new Logger('queues');
  readonly #handlers = new Map<JobName, Handler>();
  readonly #schedules: Schedule[] = [];
  readonly #queues = new Map<QueueName, StoredQueue>();
  readonly #workers: StoredWorker[] = [];
  #store: QueueStore | undefined;
  #replan: NodeJS.Timeout | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
  ) {}

  /** Names the one handler of a job. Handlers are idempotent: a job may be done twice. */
  handle<Name extends JobName>(
    job: Name,
    handler: (payload: JobPayload<Name>) => Promise<void>,
  ): void {
    if (this.#handlers.has(job)) throw new Error(`job ${job} has two handlers`);
    this.#handlers.set(job, handler as Handler);
  }

  /** Has a job done every `everyMs` milliseconds, once over all workers. */
  schedule<Name extends JobName>(
    id: string,
    job: Name,
    payload: JobPayload<Name>,
    everyMs: number,
  ): void {
    this.#schedules.push({ id, job, payload, everyMs });
  }

  /**
   * Connects the queues and, in a role that works, starts the schedules and workers.
   *
   * @param namespace - what is unique to this service's database.
   */
  async start(namespace: string): Promise<void> {
    const missing = Object.keys(JOBS).filter((job) => !this.#handlers.has(job as JobName));
    if (missing.length > 0) throw new Error(`jobs without a handler: ${missing.join(', ')}`);
    const store = await this.openStore(namespace);
    this.#store = store;
    for (const name of QUEUES) this.#queues.set(name, store.queue(name));
    if (this.config.role === 'api') return;
    for (const name of QUEUES) {
      await this.dropOldSchedules(name);
      await this.plan(name);
      const concurrency = Math.max(
        1,
        this.#schedules.filter((s) => queueOf(s.job) === name).length,
      );
      this.#workers.push(store.worker(name, (job) => this.run(job), concurrency));
    }
    this.#replan = setTimeout(() => void this.planAgain(), REPLAN_MS).unref();
  }

  /**
   * Rings a job's bell. With an id, a bell that already rings is not rung twice; with a delay, all that
   * ring within it are one.
   */
  async add<Name extends JobName>(
    job: Name,
    payload: JobPayload<Name>,
    deduplicationId?: string,
    delayMs = 0,
  ): Promise<void> {
    await this.queue(queueOf(job)).add(job, payload, {
      ...RETENTION,
      delay: delayMs,
      ...(deduplicationId === undefined ? {} : { deduplication: { id: deduplicationId } }),
    });
  }

  /** @throws what the queues' store says when it does not answer. */
  async ping(): Promise<void> {
    await this.queue(QUEUES[0]).getJobCounts('waiting');
  }

  /**
   * How many jobs of each queue wait, run, are for later, and failed of late.
   *
   * @throws what the queues' store says when it does not answer.
   */
  async counts(): Promise<Record<QueueName, QueueCounts>> {
    const entries = QUEUES.map(async (name) => {
      const {
        waiting = 0,
        active = 0,
        delayed = 0,
        failed = 0,
      } = await this.queue(name).getJobCounts('waiting', 'active', 'delayed', 'failed');
      return [name, { waiting, active, delayed, failed }] as const;
    });
    return Object.fromEntries(await Promise.all(entries)) as Record<QueueName, QueueCounts>;
  }

  /** Lets running jobs finish, within a bound, then closes everything. */
  async stop(): Promise<void> {
    clearTimeout(this.#replan);
    this.#replan = undefined;
    const closeAll = async () => {
      await Promise.allSettled(this.#workers.map((worker) => worker.close()));
      await Promise.allSettled([...this.#queues.values()].map((queue) => queue.close()));
    };
    if (!(await within(closeAll(), CLOSE_TIMEOUT_MS))) {
      this.#log.warn('the queues did not close in time; unfinished jobs will be done again');
    }
    this.#store?.close();
  }

  private openStore(namespace: string): Promise<QueueStore> {
    const { redisUrl, databaseUrl } = this.config;
    const complain = (message: string) => this.#log.warn(message);
    if (redisUrl !== undefined) return redisStore(redisUrl, namespace, complain);
    if (databaseUrl === undefined) throw new Error('no database was resolved');
    return postgresStore(databaseUrl, this.database, complain);
  }

  /** Drops the schedules of an earlier configuration, such as of a network that is gone. */
  private async dropOldSchedules(name: QueueName): Promise<void> {
    const queue = this.queue(name);
    for (const { key } of await queue.getJobSchedulers()) {
      if (!this.#schedules.some(({ id }) => id === key)) await queue.removeJobScheduler(key);
    }
  }

  /** Makes the schedules that are missing, changed or stuck; a good one keeps its next time. */
  private async plan(name: QueueName): Promise<void> {
    const queue = this.queue(name);
    const present = new Map((await queue.getJobSchedulers()).map((each) => [each.key, each]));
    for (const { id, job, payload, everyMs } of this.#schedules) {
      if (queueOf(job) !== name) continue;
      const found = present.get(id);
      const isStuck = (found?.next ?? 0) < Date.now() - everyMs - OVERDUE_MS;
      if (found && Number(found.every) === everyMs && !isStuck) continue;
      const template = { name: job, data: payload, opts: RETENTION };
      await queue.upsertJobScheduler(id, { every: everyMs }, template);
    }
  }

  /** A store that was wiped has lost the schedules, and with them the sweeps: they are made anew. */
  private async planAgain(): Promise<void> {
    try {
      for (const name of QUEUES) await this.plan(name);
    } catch (error) {
      this.#log.warn(`the schedules could not be checked: ${messageOf(error)}`);
    }
    this.#replan?.refresh();
  }

  private async run(job: Job): Promise<void> {
    try {
      const name = job.name as JobName;
      const handler = this.#handlers.get(name);
      if (!handler) throw new Error('no such job');
      await handler(JOBS[name].payload.parse(job.data));
    } catch (error) {
      this.#log.error(`job ${job.name}: ${messageOf(error)}`);
      throw error;
    }
  }

  private queue(name: QueueName): StoredQueue {
    const queue = this.#queues.get(name);
    if (!queue) throw new Error('the queues are not started');
    return queue;
  }
}

function queueOf(job: JobName): QueueName {
  return JOBS[job].queue;
}
