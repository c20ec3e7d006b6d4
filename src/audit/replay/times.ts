import { type AuditRecord, Contradiction, time } from './record.js';

/**
 * How much older a record may be than one that stands before it, in milliseconds. A record's time is read in its
 * transaction, and its place is given after the commit: no transaction of the service takes that long.
 */
const LONGEST_TRANSACTION_MS = 60_000;

/** The corrections of a clock that an order of times has to bear, in milliseconds. */
export const CLOCK_CORRECTION_MS = 1_000;

/** Requires that the times of a log do not run backwards. */
export class Clock {
  #latest = Number.NEGATIVE_INFINITY;

  /** Takes the next record. @returns its time in Unix milliseconds. @throws Contradiction */
  read({ at }: AuditRecord): number {
    const now = time(at, 'at');
    if (now < this.#latest - LONGEST_TRANSACTION_MS) {
      throw new Contradiction(
        `it is of ${at}, and a record before it is of ${new Date(this.#latest).toISOString()}: the log's time runs backwards`,
      );
    }
    if (now > this.#latest) this.#latest = now;
    return now;
  }
}
