import type { ClientBase } from 'pg';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow } from './grant-rows.js';

/** The treasury that exists from the first boot. What concerns the whole service is in its log. */
const MAIN_TREASURY = 'main';

/** The main treasury's id, made with its event in the caller's transaction if it is not there yet. */
export async function mainTreasury(tx: ClientBase): Promise<string> {
  const id = newId('trs');
  const now = await databaseNow(tx);
  const made = await tx.query(
    `INSERT INTO treasuries (id, name, created_at, position) VALUES ($1, $2, $3, 0)
     ON CONFLICT (name) DO NOTHING`,
    [id, MAIN_TREASURY, now],
  );
  if (made.rowCount === 1) {
    await appendEvents(tx, now, [
      {
        treasuryId: id,
        kind: 'treasury.created',
        actor: 'system:treasury',
        data: { name: MAIN_TREASURY },
      },
    ]);
    return id;
  }
  const { rows } = await tx.query<{ id: string }>('SELECT id FROM treasuries WHERE name = $1', [
    MAIN_TREASURY,
  ]);
  if (!rows[0]) throw new Error('the main treasury vanished');
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
