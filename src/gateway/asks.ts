import type { Pool } from 'pg';

/** Counts the unpaid requests of each operation that were answered with a 402, and writes them down now and then. */
export class Asks {
  #counts = new Map<string, number>();

  constructor(private readonly treasuryId: string) {}

  count(operation: string): void {
    this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + 1);
  }

  /** Adds what was counted to the day's sums. What cannot be written is kept for the next time. */
  async write(pool: Pool): Promise<void> {
    if (this.#counts.size === 0) return;
    const counts = this.#counts;
    this.#counts = new Map();
    try {
      await pool.query(
        `INSERT INTO gateway_asks AS a (treasury_id, operation, day, asked)
         SELECT $1, operation, (now() AT TIME ZONE 'UTC')::date, asked
         FROM unnest($2::text[], $3::bigint[]) AS counted (operation, asked) ORDER BY operation
         ON CONFLICT (treasury_id, operation, day) DO UPDATE SET asked = a.asked + excluded.asked`,
        [this.treasuryId, [...counts.keys()], [...counts.values()]],
      );
    } catch (error) {
      for (const [operation, asked] of counts) {
        this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + asked);
      }
      throw error;
    }
  }
}
