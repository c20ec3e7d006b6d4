import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay, setImmediate as immediate } from 'node:timers/promises';
import type { Scheduler } from 'fast-check';
import type pg from 'pg';
import type { Database } from '../../src/database/database.js';

/** How long nothing may move before a run counts as stuck, in milliseconds. */
const STUCK_MS = 10_000;

/** Fate of an actor at the step at which it is cut off: its process died, or an answer got lost. */
export class Cut extends Error {
  override readonly name = 'Cut';
}

/** One thread of what happens: a request, a job, a turn of the chain. */
interface Actor {
  readonly name: string;
  /** The number of the step at which it is cut off. */
  readonly diesAt: number | undefined;
  steps: number;
  /** Steps that wait for their turn, and steps on their way. */
  waiting: number;
  flying: number;
  isDone: boolean;
}

/**
 * Lets a fast-check scheduler decide in which order actors take their steps: every statement to Postgres
 * and every call to a port is one. The next is chosen once all else stands still, which includes
 * statements that wait for a row lock in Postgres. So a seed gives the same order every time, over the
 * real SQL.
 */
export class Interleaving {
  readonly #actors: Actor[] = [];
  readonly #current = new AsyncLocalStorage<Actor>();
  readonly #flights = new Set<{ session: number | undefined }>();
  readonly #running: Promise<void>[] = [];
  #hasCommitted = false;
  /** How often a statement stood in a lock's queue when a next step was chosen. */
  lockWaits = 0;

  /**
   * @param monitor - connections that are no actor's.
   */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly monitor: pg.Pool,
  ) {}

  /** Makes every statement of a database's sessions a step of the actor that sends it. */
  static through(database: Database, current: () => Interleaving | undefined): void {
    for (const lane of ['payments', 'reads', 'work'] as const) {
      Interleaving.throughLane(database.poolOf(lane), current);
    }
  }

  private static throughLane(
    pool: ReturnType<Database['poolOf']>,
    current: () => Interleaving | undefined,
  ): void {
    const step = <T>(sql: unknown, session: number | undefined, work: () => Promise<T>) =>
      current()?.step(wordsOf(sql), work, session) ?? work();
    const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    const connect = pool.connectAnyScope.bind(pool);
    Object.assign(pool, {
      query: (...args: unknown[]) => step(args[0], undefined, () => query(...args)),
      connectAnyScope: async () => {
        const client = await connect();
        const { processID } = client as unknown as { processID: number };
        const send = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
        // A session sends its statements in their order, also those that travel together. Once it is cut
        // off, nothing more is sent on it but the end of its transaction.
        let last: Promise<unknown> = Promise.resolve();
        let isCut = false;
        const inTurn = (args: unknown[]) => {
          const turn = last.then(async () => {
            const isEnd = wordsOf(args[0]) === 'ROLLBACK';
            if (isCut && !isEnd) throw new Cut(wordsOf(args[0]));
            try {
              return await step(args[0], processID, () => send(...args));
            } catch (error) {
              isCut = error instanceof Cut;
              throw error;
            }
          });
          last = turn.catch(() => {});
          return turn;
        };
        return new Proxy(client, {
          get: (target, name) => {
            if (name === 'query') {
              return (...args: unknown[]) => inTurn(args);
            }
            const value = Reflect.get(target, name);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    });
  }

  /** Adds an actor. What it throws is its own to handle. */
  start(name: string, diesAt: number | undefined, work: () => Promise<void>): void {
    const actor: Actor = { name, diesAt, steps: 0, waiting: 0, flying: 0, isDone: false };
    this.#actors.push(actor);
    const running = this.#current.run(actor, async () => {
      await this.step('begins', async () => {});
      await work();
    });
    this.#running.push(
      running.finally(() => {
        actor.isDone = true;
      }),
    );
    // Reported by run(), once all have ended.
    running.catch(() => {});
  }

  /** Takes one step when its turn comes. Outside an actor it is taken at once. */
  async step<T>(what: string, work: () => Promise<T>, session?: number): Promise<T> {
    const actor = this.#current.getStore();
    if (!actor) return work();
    actor.waiting += 1;
    await this.scheduler.schedule(Promise.resolve(), `${actor.name}: ${what}`);
    actor.steps += 1;
    const isCut = actor.steps === actor.diesAt;
    const flight = { session };
    this.#flights.add(flight);
    actor.flying += 1;
    actor.waiting -= 1;
    try {
      // Cut at its COMMIT, the answer is lost; anywhere else, it was never sent.
      if (isCut && what !== 'COMMIT') throw new Cut(what);
      const answer = await work();
      if (what === 'COMMIT') this.#hasCommitted = true;
      if (isCut) throw new Cut(what);
      return answer;
    } finally {
      this.#flights.delete(flight);
      actor.flying -= 1;
    }
  }

  /**
   * Runs all actors to their ends.
   *
   * @param check - asked after every commit.
   * @throws what an actor or the check throws, Error when nothing moves any more.
   */
  async run(check: () => Promise<void>): Promise<void> {
    let moved = performance.now();
    for (;;) {
      await this.still();
      if (this.#hasCommitted) {
        this.#hasCommitted = false;
        await check();
      }
      if (this.scheduler.count() > 0) {
        await this.scheduler.waitOne();
        moved = performance.now();
        continue;
      }
      if (this.#actors.every(({ isDone }) => isDone)) break;
      // Everybody left waits for a lock: Postgres ends a deadlock after a second, and tells one of them.
      if (performance.now() - moved > STUCK_MS) throw new Error('nothing moves any more');
      await delay(5);
    }
    await Promise.all(this.#running);
  }

  /** Waits until every actor waits for its turn or for a lock, or has ended. */
  private async still(): Promise<void> {
    const began = performance.now();
    for (let turn = 0; ; turn += 1) {
      await immediate();
      if (performance.now() - began > STUCK_MS) throw new Error('an actor does not come to rest');
      const living = this.#actors.filter(({ isDone }) => !isDone);
      if (living.some(({ waiting, flying }) => waiting + flying === 0)) continue;
      const waiting = living.reduce((sum, actor) => sum + actor.waiting, 0);
      if (waiting !== this.scheduler.count()) continue;
      if (this.#flights.size === 0) return;
      if (turn < 3) continue;
      const before = [...this.#flights];
      const sessions = before.flatMap(({ session }) => session ?? []);
      // A statement outside a transaction takes no lock that is held for long: it is about to answer.
      if (sessions.length < before.length) continue;
      const { rows } = await this.monitor.query<{ blocked: number }>(
        `SELECT count(*)::int AS blocked FROM unnest($1::int[]) AS s (pid)
         WHERE cardinality(pg_blocking_pids(s.pid)) > 0`,
        [sessions],
      );
      const isSame = before.every((flight) => this.#flights.has(flight));
      if (isSame && rows[0]?.blocked === before.length) {
        this.lockWaits += before.length;
        return;
      }
    }
  }
}

/** A statement's first words, for the report of a schedule. */
function wordsOf(sql: unknown): string {
  const text = typeof sql === 'string' ? sql : ((sql as { text?: string })?.text ?? '');
  return text.replace(/\s+/g, ' ').trim().slice(0, 48);
}
