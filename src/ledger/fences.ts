import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { appendEvents } from './events.js';
import { databaseNow } from './grant-rows.js';

/**
 * The longest that a signature of a lost payment can be valid, in seconds: the greatest that
 * `BURSAR_MAX_VALIDITY_SECONDS` may be, since the lost payments may be of another configuration.
 */
const LONGEST_VALIDITY_SECONDS = 300;

/**
 * Fences a treasury's lost keys: until the fence falls, a key without a payment makes none. Its payment may be one that
 * the database lost, and that the chain will still show (semantics.md 36). Fencing again makes it longer.
 */
export async function fence(
  tx: ClientBase,
  treasuryId: string,
  { actor, reason }: { readonly actor: string; readonly reason: string },
): Promise<void> {
  const now = await databaseNow(tx);
  const until = new Date(now.getTime() + LONGEST_VALIDITY_SECONDS * 1000);
  await tx.query('UPDATE treasuries SET fenced_until = $2 WHERE id = $1', [treasuryId, until]);
  await appendEvents(tx, now, [
    { treasuryId, kind: 'treasury.fenced', actor, reason, data: { until: until.toISOString() } },
  ]);
}

/** Takes a treasury's fence down. @returns whether it had one. */
export async function unfence(
  tx: ClientBase,
  treasuryId: string,
  { actor, reason }: { readonly actor: string; readonly reason?: string },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    'UPDATE treasuries SET fenced_until = NULL WHERE id = $1 AND fenced_until IS NOT NULL',
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
