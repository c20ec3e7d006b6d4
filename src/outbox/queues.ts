import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Job } from 'bullmq';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { currentTrace, formatTraceparent } from '../tracing/trace-scope.js';
import { Tracing } from '../tracing/tracing.js';
import { within } from '../within.js';
import { JOBS, type JobName, type JobPayload, QUEUES, type QueueName } from './jobs.js';
import { Liveness } from './liveness.js';
import { ONCE, TURN } from './settings.js';
import {
  messageOf,
  openStore,
  type QueueStore,
  type StoredQueue,
  type StoredWorker,
  type StoreSettings,
} from './stores.js';

/** How often a worker looks whether its schedules are still there, in milliseconds. */
const REPLAN_MS = 5_000;

/** A schedule this late has lost its next job, in milliseconds. */
const OVERDUE_MS = 15_000;

/** How long closing may wait for running jobs and connections, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;

/** Jobs of a queue that may wait for somebody outside at once, beside the scheduled ones. */
const RECEIVERS_AT_ONCE: Partial<Record<QueueName, number>> = { webhooks: 16 };

/** How many canaries a worker may miss before it counts as hung. */
const CANARIES_PER_SILENCE = 4;

/** How often a canary is passed on by workers it is not for, and how long each waits, in milliseconds. */
const CANARY_HOPS = 100;
const CANARY_HOP_MS = 50;

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
  readonly #workers = new Map<QueueName, StoredWorker>();
  /** The worker's name on its canaries. */
  readonly #id = randomUUID();
  readonly #liveness: Liveness;
  readonly #failures = new Map<string, number>();
  /** The schedules whose turn runs in this process. */
  readonly #turns = new Set<string>();
  #store: QueueStore | undefined;
  #replan: NodeJS.Timeout | undefined;
  #canaries: NodeJS.Timeout | undefined;
  #resting: Promise<void> | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: StoreSettings & Pick<Config, 'workerSilenceMs'>,
    private readonly database: Database,
    private readonly tracing: Tracing,
  ) {
    this.#liveness = new Liveness(config.workerSilenceMs);
    for (const queue of QUEUES) {
      this.handle(`${queue}.canary`, (payload) => this.passOn(queue, payload));
    }
  }

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
    const complain = (message: string) => this.#log.warn(message);
    const store = await openStore(this.config, this.database, namespace, complain);
    this.#store = store;
    for (const name of QUEUES) this.#queues.set(name, store.queue(name));
    if (this.config.role === 'api') return;
    for (const name of QUEUES) {
      await this.dropOldSchedules(name);
      await this.plan(name);
      this.startWorker(name);
      this.#liveness.saw(name);
    }
    this.#replan = setTimeout(() => void this.planAgain(), REPLAN_MS).unref();
    this.#canaries = setInterval(
      () => this.sendCanaries(),
      this.#liveness.limitMs / CANARIES_PER_SILENCE,
    ).unref();
  }

  /**
   * The queues whose worker in this process hangs: it has neither taken nor ended a job for so long,
   * although one was offered. None in a role without workers.
   */
  hung(): { queue: QueueName; seconds: number }[] {
    const silences = this.#liveness.silences();
    return this.#liveness
      .silent()
      .map((queue) => ({ queue, seconds: Math.floor((silences.get(queue) ?? 0) / 1000) }));
  }

  /** How long the workers of this process have shown no life, in seconds. */
  silences(): { queue: QueueName; seconds: number }[] {
    return [...this.#liveness.silences()].map(([queue, ms]) => ({ queue, seconds: ms / 1000 }));
  }

  /** How often jobs failed in this process, by job. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  /**
   * Adds a job. With an id, a job that already waits is not added twice, and one that is added while it runs is run
   * once more afterwards; with a delay, all that are added within it are one.
   */
  async add<Name extends JobName>(
    job: Name,
    payload: JobPayload<Name>,
    deduplicationId?: string,
    delayMs = 0,
  ): Promise<void> {
    const trace = currentTrace();
    await this.queue(queueOf(job)).add(job, payload, {
      ...ONCE,
      delay: delayMs,
      ...(trace && { telemetry: { metadata: formatTraceparent(trace.span.spanContext()) } }),
      ...(deduplicationId === undefined
        ? {}
        : { deduplication: { id: deduplicationId, keepLastIfActive: true } }),
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

  /** Takes no more jobs, and lets those that run finish, within a bound. Bells can still be rung. */
  rest(): Promise<void> {
    clearTimeout(this.#replan);
    clearInterval(this.#canaries);
    this.#replan = undefined;
    this.#liveness.end();
    this.#resting ??= this.closeInTime([...this.#workers.values()]);
    return this.#resting;
  }

  /** Rests, then closes everything, within a bound, even when the queues' store does not answer. */
  async stop(): Promise<void> {
    await this.rest();
    await this.closeInTime([...this.#queues.values()]);
    this.#store?.close();
  }

  private async closeInTime(closing: readonly { close(): Promise<void> }[]): Promise<void> {
    const closed = Promise.allSettled(closing.map((each) => each.close()));
    if (await within(closed, CLOSE_TIMEOUT_MS)) return;
    this.#log.warn('the queues did not close in time; unfinished jobs will be done again');
  }

  private startWorker(name: QueueName): void {
    if (!this.#store) throw new Error('the queues are not started');
    // One more than the schedules: a canary finds a free place though all of them take their time.
    const scheduled = this.#schedules.filter((s) => queueOf(s.job) === name).length;
    const concurrency = 1 + scheduled + (RECEIVERS_AT_ONCE[name] ?? 0);
    this.#workers.set(
      name,
      this.#store.worker(name, (job) => this.run(name, job), concurrency),
    );
  }

  /** Sends each of this process's workers a canary, and replaces those that hang. */
  private sendCanaries(): void {
    for (const { queue, seconds } of this.hung()) {
      if (!this.#liveness.isDue(queue)) continue;
      this.#log.error(
        `the worker of queue ${queue} has neither taken nor ended a job for ${seconds} s; it is replaced`,
      );
      this.replace(queue);
    }
    for (const queue of this.#workers.keys()) {
      const payload = { worker: this.#id, hops: CANARY_HOPS };
      this.add(`${queue}.canary`, payload, `canary-${this.#id}`).catch(() => {
        // Another place tells that the store does not answer.
      });
    }
  }

  /** The old one's work is given up, and done again. The new one is silent until it shows life. */
  private replace(queue: QueueName): void {
    this.#workers
      .get(queue)
      ?.close(true)
      .catch((error: unknown) => this.#log.warn(`the old worker: ${messageOf(error)}`));
    this.startWorker(queue);
  }

  private async passOn(
    queue: QueueName,
    { worker, hops }: JobPayload<'audit.canary'>,
  ): Promise<void> {
    if (worker === this.#id || hops === 0) return;
    await this.add(`${queue}.canary`, { worker, hops: hops - 1 }, undefined, CANARY_HOP_MS);
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
      const template = { name: job, data: payload, opts: TURN };
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

  private async run(queue: QueueName, job: Job): Promise<void> {
    this.#liveness.saw(queue);
    // BullMQ makes a schedule's next turn when one is taken, not when it is done. A turn that takes long
    // must not fill every place of the worker with more of itself; the next one comes soon enough.
    const turn = job.repeatJobKey;
    if (turn !== undefined && this.#turns.has(turn)) return;
    if (turn !== undefined) this.#turns.add(turn);
    try {
      const name = job.name as JobName;
      const handler = this.#handlers.get(name);
      if (!handler) throw new Error('no such job');
      const payload = JOBS[name].payload.parse(job.data);
      await this.tracing.inJob(name, job.opts.telemetry?.metadata, () => handler(payload));
    } catch (error) {
      this.#log.error(`job ${job.name}: ${messageOf(error)}`);
      this.#failures.set(job.name, (this.#failures.get(job.name) ?? 0) + 1);
      throw error;
    } finally {
      if (turn !== undefined) this.#turns.delete(turn);
      this.#liveness.saw(queue);
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
