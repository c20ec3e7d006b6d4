import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { appendEvents } from './events.js';
import { databaseNow } from './grant-rows.js';

/**
 * The longest that a signature of a lost payment can be valid, in seconds: the greatest that
 * `BURSAR_MAX_VALIDITY_SECONDS` may be, since the lost payments may be of another configuration.
 */
const LONGEST_VALIDITY_SECONDS = 300;

/** The author of a fence, or of its end, and why. */
interface Author {
  readonly actor: string;
  readonly reason: string;
}

/**
 * Fences a treasury's lost keys by the word of an admin: until the fence falls, a key without a payment makes none. Its
 * payment may be one that the database lost, and that the chain will still show (semantics.md 36). Fencing again makes
 * it longer.
 */
export async function fence(tx: ClientBase, treasuryId: string, by: Author): Promise<void> {
  await putUp(
    tx,
    'UPDATE treasuries SET fenced_until = $2, fence_announced_until = $2 WHERE id = $1',
    treasuryId,
    await databaseNow(tx),
    by,
  );
}

/** Fences a treasury's lost keys because a spend was seen. This fence falls with the sighting: {@link withdrawFence}. */
export function fenceOnSight(
  tx: ClientBase,
  treasuryId: string,
  seenAt: Date,
  by: Author,
): Promise<void> {
  return putUp(tx, 'UPDATE treasuries SET fenced_until = $2 WHERE id = $1', treasuryId, seenAt, by);
}

async function putUp(
  tx: ClientBase,
  update: string,
  treasuryId: string,
  now: Date,
  { actor, reason }: Author,
): Promise<void> {
  const until = new Date(now.getTime() + LONGEST_VALIDITY_SECONDS * 1000);
  await tx.query(update, [treasuryId, until]);
  await appendEvents(tx, now, [
    { treasuryId, kind: 'treasury.fenced', actor, reason, data: { until: until.toISOString() } },
  ]);
}

/**
 * Shortens the fence of a treasury in which a sighting was withdrawn to what the others and the admins have put up; with
 * none of them, the fence falls.
 */
export async function withdrawFence(tx: ClientBase, treasuryId: string, by: Author): Promise<void> {
  // A statement of its own, before the spends are read: a sighting that had the row until now is seen by what follows.
  await tx.query('SELECT FROM treasuries WHERE id = $1 FOR NO KEY UPDATE', [treasuryId]);
  const { rows } = await tx.query<{ until: Date | null }>(
    `SELECT greatest(t.fence_announced_until, (SELECT max(s.seen_at) + make_interval(secs => $2)
       FROM outside_spends s
       WHERE s.treasury_id = t.id AND s.nonce IS NOT NULL AND s.status <> 'withdrawn')) AS until
     FROM treasuries t WHERE t.id = $1 AND t.fenced_until IS NOT NULL`,
    [treasuryId, LONGEST_VALIDITY_SECONDS],
  );
  const [standing] = rows;
  if (!standing) return;
  if (!standing.until) return void (await unfence(tx, treasuryId, by));
  await tx.query('UPDATE treasuries SET fenced_until = least(fenced_until, $2) WHERE id = $1', [
    treasuryId,
    standing.until,
  ]);
}

/** Takes a treasury's fence down. @returns whether it had one. */
export async function unfence(
  tx: ClientBase,
  treasuryId: string,
  { actor, reason }: Pick<Author, 'actor'> & Partial<Author>,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE treasuries SET fenced_until = NULL, fence_announced_until = NULL
     WHERE id = $1 AND fenced_until IS NOT NULL`,
    [treasuryId],
  );
  if (rowCount !== 1) return false;
  await appendEvents(tx, await databaseNow(tx), [
    { treasuryId, kind: 'treasury.unfenced', actor, reason, data: {} },
  ]);
  return true;
}

/**
 * Takes down the fences that are no longer needed: every signature that could have been lost has run out, every chain
 * of the treasury's wallets was read to a final block beyond that, and no wallet has an unexplained spend.
 *
 * @returns the treasuries whose fence fell.
 */
export function dropFences(database: Database): Promise<string[]> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: string }>(
      `SELECT t.id FROM treasuries t
       WHERE t.fenced_until < clock_timestamp()
         AND NOT EXISTS (SELECT FROM wallet_balances b LEFT JOIN chain_cursors c ON c.network = b.network
           WHERE b.treasury_id = t.id
             AND (c.block_time IS NULL OR c.block_time <= extract(epoch FROM t.fenced_until)))
         AND NOT EXISTS (SELECT FROM wallet_balances b WHERE b.treasury_id = t.id AND b.held_since IS NOT NULL)
       ORDER BY t.id FOR NO KEY UPDATE`,
    );
    for (const { id } of rows) await unfence(tx, id, { actor: 'system:settlement' });
    return rows.map(({ id }) => id);
  });
}
