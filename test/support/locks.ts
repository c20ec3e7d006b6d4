import type { ClientBase, Pool } from 'pg';
import { until } from './until.js';

/**
 * Holds a grant's row lock while requests queue up behind it, so that they are carried out in the order in which
 * they came.
 *
 * @param queue - requests; each is sent once the one before it waits for a lock. Every one that was sent must wait.
 * @param meanwhile - SQL that runs under the lock, after the last request has come to wait.
 * @returns the answers, in the order of `queue`.
 */
export async function queueBehindGrant<T>(
  db: Pool,
  grantId: string,
  queue: readonly (() => Promise<T>)[],
  meanwhile?: string,
): Promise<T[]> {
  const holder = await db.connect();
  const answers: Promise<T>[] = [];
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM grants WHERE id = $1 FOR NO KEY UPDATE', [grantId]);
    for (const send of queue) {
      answers.push(send());
      await until(`${answers.length} requests wait for the grant's lock`, async () => {
        // Count waits for this table only: a worker may wait for something else.
        const { rows } = await db.query<{ waiting: number }>(
          `SELECT count(*)::int AS waiting FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%grants%'`,
        );
        return rows[0]?.waiting === answers.length;
      });
    }
    if (meanwhile !== undefined) await holder.query(meanwhile, [grantId]);
    await holder.query('COMMIT');
  } finally {
    // Ends the transaction too, when the test failed before its commit.
    holder.release(true);
  }
  return Promise.all(answers);
}

/** Waits until so many sessions of a database wait for a lock. @param db - in no transaction: it would see what was at first. */
export async function untilWaiting(db: Pool | ClientBase, sessions: number): Promise<void> {
  await until(`${sessions} sessions wait for a lock`, async () => {
    const { rowCount } = await db.query(
      `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    );
    return rowCount === sessions;
  });
}
