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

  /** How many orders wait for a batch. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether nothing waits and nothing is under way. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#inFlight === 0;
  }

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
      if (this.#inFlight < this.bounds.maxInFlight) setImmediate(() => this.start());
    });
  }

  private start(): void {
    if (this.#waiting.length === 0 || this.#inFlight >= this.bounds.maxInFlight) return;
    const batch = this.#waiting.splice(0, this.bounds.maxBatch);
    this.#inFlight += 1;
    void this.carryOut(batch).finally(() => {
      this.#inFlight -= 1;
      this.start();
    });
  }

  private async carryOut(batch: readonly Waiting<Order, Outcome>[]): Promise<void> {
    try {
      const outcomes = await this.run(batch.map(({ order }) => order));
      // An outcome too few would give everybody behind it somebody else's.
      if (outcomes.length !== batch.length) throw new Error('a batch forgot one of its orders');
      batch.forEach(({ resolve, reject }, index) => {
        const outcome = outcomes[index];
        if (outcome?.status === 'fulfilled') resolve(outcome.value);
        else reject(outcome?.reason);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
