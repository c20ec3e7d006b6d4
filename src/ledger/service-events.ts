import type { ClientBase } from 'pg';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow } from './grant-rows.js';

/** The treasury that exists from the first boot. What concerns the whole service is in its log. */
const MAIN_TREASURY = 'main';

/** The main treasury's id, made with its event in the caller's transaction if it is not there yet. */
export function mainTreasury(tx: ClientBase): Promise<string> {
  return treasuryNamed(tx, { name: MAIN_TREASURY, actor: 'system:treasury', position: 0 });
}

/**
 * The id of a treasury that a program needs, made with its event in the caller's transaction if it is not there yet.
 *
 * @param position - its place among the treasuries; the next one where it is left out.
 */
export async function treasuryNamed(
  tx: ClientBase,
  { name, actor, position }: { name: string; actor: string; position?: number },
): Promise<string> {
  const id = newId('trs');
  const now = await databaseNow(tx);
  const [column, value] = position === undefined ? ['', ''] : [', position', `, ${position}`];
  // On any conflict: of two processes that make it at once, the second may meet the first one's name or its position.
  const made = await tx.query(
    `INSERT INTO treasuries (id, name, created_at${column}) VALUES ($1, $2, $3${value})
     ON CONFLICT DO NOTHING`,
    [id, name, now],
  );
  if (made.rowCount === 1) {
    await appendEvents(tx, now, [
      { treasuryId: id, kind: 'treasury.created', actor, data: { name } },
    ]);
    return id;
  }
  const { rows } = await tx.query<{ id: string }>('SELECT id FROM treasuries WHERE name = $1', [
    name,
  ]);
  if (!rows[0]) throw new Error(`the treasury ${name} vanished`);
  return rows[0].id;
}

/**
 * Writes an event that belongs to no one treasury (a key of the service, an admin's token) into the main
 * treasury's log, in the transaction that makes the change.
 */
export async function appendServiceEvent(
  tx: ClientBase,
  event: Omit<NewEvent, 'treasuryId'>,
): Promise<void> {
  const treasuryId = await mainTreasury(tx);
  await appendEvents(tx, await databaseNow(tx), [{ ...event, treasuryId }]);
}
