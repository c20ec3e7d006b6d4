import { setImmediate } from 'node:timers/promises';
import { Problem } from '../domain/problem.js';

/** How a {@link Batcher} is bounded. */
export interface BatcherBounds {
  /** Orders one batch takes at most. */
  readonly maxBatch: number;
  /** Batches under way at once. */
  readonly maxInFlight: number;
  /** Orders that may wait for a batch; one more is refused at once. */
  readonly maxWaiting: number;
}

/**
 * Outcomes given in one turn of the event loop. Each is signed and sent at once, which takes a while: in
 * between, what the database answers to the next batch is heard, so that it has work meanwhile.
 */
const ANSWERED_AT_ONCE = 8;

interface Waiting<Order, Outcome> {
  readonly order: Order;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: orders that arrive while a batch is under way join the next one. There is no timer: a
 * lone order starts at once, and batches grow only as far as the load makes them.
 */
export class Batcher<Order, Outcome> {
  #waiting: Waiting<Order, Outcome>[] = [];
  #inFlight = 0;

  /**
   * @param run - carries a batch out, all of it or nothing, and settles every order on its own: an
   *   order that is refused or malformed must not fail its neighbours.
   */
  constructor(
    private readonly run: (
      orders: readonly Order[],
    ) => Promise<readonly PromiseSettledResult<Outcome>[]>,
    private readonly bounds: BatcherBounds,
  ) {}

  /**
   * Joins the next batch.
   *
   * @throws Problem `unavailable` at once when too many orders wait already.
   */
  join(order: Order): Promise<Outcome> {
    if (this.#waiting.length >= this.bounds.maxWaiting) {
      return Promise.reject(
        new Problem(
          'unavailable',
          `${this.#waiting.length} payments are waiting already; try again, with the same Idempotency-Key`,
          { retryAfterSeconds: 1 },
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ order, resolve, reject });
      // After the present turn of the event loop, so that requests read from one socket go together.
      if (this.#inFlight < this.bounds.maxInFlight) void setImmediate().then(() => this.start());
    });
  }

  private start(): void {
    if (this.#waiting.length === 0 || this.#inFlight >= this.bounds.maxInFlight) return;
    const batch = this.#waiting.splice(0, this.bounds.maxBatch);
    this.#inFlight += 1;
    void this.carryOut(batch);
  }

  private async carryOut(batch: readonly Waiting<Order, Outcome>[]): Promise<void> {
    let answer: (index: number) => void;
    try {
      const outcomes = await this.run(batch.map(({ order }) => order));
      // An outcome too few would give everybody behind it somebody else's.
      if (outcomes.length !== batch.length) throw new Error('a batch forgot one of its orders');
      answer = (index) => {
        const outcome = outcomes[index];
        if (outcome?.status === 'fulfilled') batch[index]?.resolve(outcome.value);
        else batch[index]?.reject(outcome?.reason);
      };
    } catch (error) {
      answer = (index) => batch[index]?.reject(error);
    }
    this.#inFlight -= 1;
    this.start();
    for (let index = 0; index < batch.length; index += 1) {
      if (index > 0 && index % ANSWERED_AT_ONCE === 0) await setImmediate();
      answer(index);
    }
  }
}
