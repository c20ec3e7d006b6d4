import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { OnJob } from '../outbox/on-job.js';
import { factsOf, SPEND_KINDS } from './spend-facts.js';

/** How many leaves of a log one transaction folds at most. */
const BATCH = 5_000n;

/** How often what was sealed is folded, in milliseconds. */
const FOLD_MS = 2_000;

/**
 * Folds the endings and refusals of the sealed log into sums by hour. The log's order is total and never changes, so the
 * leaf where the fold goes on, kept in the same transaction as the sums, says exactly what they hold: each event once.
 */
@Injectable()
export class SpendFold {
  constructor(private readonly database: Database) {}

  /** Folds all that was sealed of every log. Idempotent; goes on after any crash. */
  @OnJob('reports.fold', { everyMs: FOLD_MS })
  async foldAll(): Promise<void> {
    const { rows } = await this.database.pool.query<{ id: string }>(
      `SELECT t.id FROM treasuries t LEFT JOIN spend_cursors c ON c.treasury_id = t.id
       -- The highest leaf is one look into an index, whatever Postgres takes the table for.
       WHERE (SELECT max(l.leaf_index) FROM leaves l WHERE l.treasury_id = t.id) >= coalesce(c.leaf_index, 0)`,
    );
    for (const { id } of rows) {
      while (await this.fold(id));
    }
  }

  /** Folds the next leaves of a log. @returns whether there may be more. */
  private fold(treasuryId: string): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      await tx.query(
        'INSERT INTO spend_cursors (treasury_id, leaf_index) VALUES ($1, 0) ON CONFLICT DO NOTHING',
        [treasuryId],
      );
      // Two workers may meet here: the second goes on where the first ended.
      const { rows } = await tx.query<{ leaf_index: string }>(
        'SELECT leaf_index FROM spend_cursors WHERE treasury_id = $1 FOR NO KEY UPDATE',
        [treasuryId],
      );
      const from = BigInt(rows[0]?.leaf_index ?? 0);
      const { rows: sealed } = await tx.query<{ leaves: string }>(
        'SELECT coalesce(max(leaf_index) + 1, 0) AS leaves FROM leaves WHERE treasury_id = $1',
        [treasuryId],
      );
      const leaves = BigInt(sealed[0]?.leaves ?? 0);
      if (leaves <= from) return false;
      const isLast = leaves <= from + BATCH;
      const until = isLast ? leaves : from + BATCH;
      await tx.query(FOLD, [treasuryId, from, until, [...SPEND_KINDS]]);
      await tx.query('UPDATE spend_cursors SET leaf_index = $2 WHERE treasury_id = $1', [
        treasuryId,
        until,
      ]);
      return !isLast;
    });
  }
}

const EVENTS = `SELECT * FROM log_events WHERE treasury_id = $1 AND leaf_index >= $2 AND leaf_index < $3
  AND kind = ANY ($4::text[])`;

const FOLD = `
  WITH facts AS MATERIALIZED (
    SELECT grant_id, network, pay_to, host, at AS hour, status,
      sum(payments) AS payments, sum(amount) AS amount
    FROM (${factsOf(EVENTS)}) f GROUP BY 1, 2, 3, 4, 5, 6),
  named AS (SELECT DISTINCT grant_id, network, pay_to, host FROM facts),
  made AS (
    INSERT INTO spend_series (treasury_id, grant_id, network, pay_to, host)
    SELECT $1, grant_id, network, pay_to, host FROM named
    WHERE NOT EXISTS (SELECT FROM spend_series s WHERE s.treasury_id = $1 AND s.grant_id = named.grant_id
      AND s.network = named.network AND s.pay_to = named.pay_to AND s.host = named.host)
    RETURNING id, grant_id, network, pay_to, host),
  series AS (
    SELECT * FROM made UNION ALL
    SELECT s.id, s.grant_id, s.network, s.pay_to, s.host FROM spend_series s JOIN named n
      ON s.treasury_id = $1 AND s.grant_id = n.grant_id AND s.network = n.network AND s.pay_to = n.pay_to
        AND s.host = n.host)
  INSERT INTO spend_hours AS h (treasury_id, series_id, hour, status, payments, amount)
  SELECT $1, series.id, f.hour, f.status, f.payments, f.amount
  FROM facts f JOIN series USING (grant_id, network, pay_to, host)
  ON CONFLICT (treasury_id, series_id, hour, status)
    DO UPDATE SET payments = h.payments + excluded.payments, amount = h.amount + excluded.amount`;
