import { setImmediate } from 'node:timers/promises';
import { Admission, type Place } from './admission.js';

/** How a {@link Batcher} is bounded. */
export interface BatcherBounds {
  /** Orders one batch takes at most. */
  readonly maxBatch: number;
  /** Batches under way at once. */
  readonly maxInFlight: number;
  /** Places that are held at once, from the entry to the answer; one more is refused, however soon it could be answered. */
  readonly maxWaiting: number;
  /** How long an order may have to wait for its answer, in milliseconds. Beyond that only callers with less than their share come in. */
  readonly maxWaitMs: number;
}

/** A batch of at least this part of the largest one is measured: it says how long an order takes when there are many. */
const MEASURED_FROM = 1 / 4;

/** Weight of the newest measurement in the moving average. */
const NEWEST_WEIGHT = 0.3;

/** After this long without a measurement, in milliseconds, nothing is known of how long orders take. */
const FORGET_MS = 2_000;

/**
 * Outcomes given in one turn of the event loop. Each is signed and sent at once, which takes a while. Between such turns the
 * loop reads the database's answers to the next batch, so that the database does not wait.
 */
const ANSWERED_AT_ONCE = 8;

interface WaitingOrder<Order, Outcome> {
  readonly order: Order;
  readonly place: Place;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: orders that arrive while a batch is under way join the next one. There is no timer: a
 * lone order starts at once, and batches grow only as far as the load makes them.
 */
export class Batcher<Order, Outcome> {
  readonly #admission = new Admission(() => this.room());
  /** Those with a place for what exists already; they go before the others. */
  #known: WaitingOrder<Order, Outcome>[] = [];
  #waiting: WaitingOrder<Order, Outcome>[] = [];
  #inFlight = 0;
  /** When the newest batch under way began. */
  #began = 0;
  /** How long one order takes when there are many, in milliseconds; 0 while that is not known. */
  #orderMs = 0;
  #measuredAt = 0;

  /**
   * @param run - carries a batch out, and gives an outcome for each order, in their order. Where it throws, the error
   *   is the outcome of every order, so it must not throw for one that is refused or malformed.
   */
  constructor(
    private readonly run: (
      orders: readonly Order[],
    ) => Promise<readonly PromiseSettledResult<Outcome>[]>,
    private readonly bounds: BatcherBounds,
  ) {}

  /**
   * Asks for a place: as many have one as can be answered in time, by the time that the batches before took.
   *
   * @param path - whose it is, see {@link Admission}.
   * @param isKnown - for an order that has been carried out before: it goes before those that have not.
   * @returns undefined where the answer would come too late. Whoever has a place joins, or leaves it.
   */
  enter(path: readonly string[], isKnown = false): Place | undefined {
    if (this.#admission.held >= this.bounds.maxWaiting) return undefined;
    return this.#admission.enter(path, isKnown);
  }

  /** Joins the next batch. The place is left when the order is answered. */
  join(order: Order, place: Place): Promise<Outcome> {
    place.isTaken = true;
    return new Promise<Outcome>((resolve, reject) => {
      const queue = place.isKnown ? this.#known : this.#waiting;
      queue.push({ order, place, resolve, reject });
      // After the present turn of the event loop, so that requests read from one socket go together.
      if (this.#inFlight < this.bounds.maxInFlight) void setImmediate().then(() => this.start());
    });
  }

  /** How many orders can be answered in time. */
  private room(): number {
    const { maxBatch, maxWaiting, maxWaitMs } = this.bounds;
    const now = performance.now();
    const least = Math.min(maxWaiting, Math.ceil(maxBatch * MEASURED_FROM));
    // The newest batch takes longer than `maxWaitMs`: the database is stuck, and nobody knows for how long.
    if (this.#inFlight > 0 && now - this.#began > maxWaitMs) return least;
    if (this.#orderMs === 0 || now - this.#measuredAt > FORGET_MS) return maxWaiting;
    return Math.min(maxWaiting, Math.max(least, Math.floor(maxWaitMs / this.#orderMs)));
  }

  /** Learns from a batch how long an order takes. */
  private learn(orders: number, took: number, inFlight: number): void {
    const now = performance.now();
    // A small batch takes most of its time for itself, and says little of what a large one would take.
    if (orders < this.bounds.maxBatch * MEASURED_FROM) return;
    const orderMs = took / orders / inFlight;
    const isOld = this.#orderMs === 0 || now - this.#measuredAt > FORGET_MS;
    this.#orderMs = isOld ? orderMs : this.#orderMs + NEWEST_WEIGHT * (orderMs - this.#orderMs);
    this.#measuredAt = now;
  }

  private start(): void {
    if (this.#inFlight >= this.bounds.maxInFlight) return;
    const batch = this.#known.splice(0, this.bounds.maxBatch);
    batch.push(...this.#waiting.splice(0, this.bounds.maxBatch - batch.length));
    if (batch.length === 0) return;
    this.#inFlight += 1;
    void this.carryOut(batch);
  }

  private async carryOut(batch: readonly WaitingOrder<Order, Outcome>[]): Promise<void> {
    let answer: (index: number) => void;
    const began = performance.now();
    const inFlight = this.#inFlight;
    this.#began = began;
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
    this.learn(batch.length, performance.now() - began, inFlight);
    this.#inFlight -= 1;
    this.start();
    for (let index = 0; index < batch.length; index += 1) {
      if (index > 0 && index % ANSWERED_AT_ONCE === 0) await setImmediate();
      answer(index);
      batch[index]?.place.leave();
    }
  }
}
