import type { ClientBase, Pool } from 'pg';
import { Problem } from '../domain/problem.js';
import { appendEvents } from './events.js';
import { databaseNow } from './grant-rows.js';

/** Actor who stops or resumes a treasury, and the reason. */
export interface SuspensionChange {
  readonly actor: string;
  readonly reason: string | undefined;
  readonly requestId?: string | undefined;
}

/**
 * The lock of a treasury's suspension. An advisory lock queues its waiters. A row lock does not: transactions that share
 * it overtake whoever waits for it alone, so that a busy treasury could not be stopped (docs/adr/0074-stop-everything.md).
 */
const LOCK = `hashtextextended('suspension ' || $1, 0)`;

/**
 * Keeps a treasury's suspension as it is until the transaction ends. Take it before every other lock of the ledger, and
 * read {@link isSuspended} behind it.
 */
export async function holdSuspension(tx: ClientBase, treasuryId: string): Promise<void> {
  await tx.query({
    name: 'hold-suspension',
    text: `SELECT pg_advisory_xact_lock_shared(${LOCK})`,
    values: [treasuryId],
  });
}

/** Whether a treasury is suspended: to decide by it, {@link holdSuspension} first. */
export async function isSuspended(tx: Pool | ClientBase, treasuryId: string): Promise<boolean> {
  const { rowCount } = await tx.query('SELECT FROM treasury_suspensions WHERE treasury_id = $1', [
    treasuryId,
  ]);
  return rowCount === 1;
}

/**
 * Holds a treasury's suspension for something that a suspended treasury does not do.
 *
 * @param what - what is refused, as the end of a sentence.
 * @throws Problem `treasury_suspended`.
 */
export async function refuseSuspended(
  tx: ClientBase,
  treasuryId: string,
  what: string,
): Promise<void> {
  await holdSuspension(tx, treasuryId);
  if (!(await isSuspended(tx, treasuryId))) return;
  throw new Problem(
    'treasury_suspended',
    `the whole treasury is suspended, so ${what}; an admin can resume it`,
  );
}

/**
 * Stops a treasury: it waits for the decisions under way, and every later one sees it, on every replica. It writes one
 * row and one event, however many grants there are.
 *
 * @returns whether it was running.
 */
export async function suspendTreasury(
  tx: ClientBase,
  treasuryId: string,
  { actor, reason, requestId }: SuspensionChange,
): Promise<boolean> {
  await tx.query(`SELECT pg_advisory_xact_lock(${LOCK})`, [treasuryId]);
  const now = await databaseNow(tx);
  const { rowCount } = await tx.query(
    `INSERT INTO treasury_suspensions (treasury_id, suspended_at, suspended_by, reason)
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
    [treasuryId, now, actor, reason ?? null],
  );
  if (rowCount !== 1) return false;
  await appendEvents(tx, now, [
    {
      treasuryId,
      kind: 'treasury.suspended',
      actor,
      reason,
      requestId,
      data: { from: 'active', to: 'suspended' },
    },
  ]);
  return true;
}

/** Lets a treasury go on, and waits for nobody. @returns whether it was suspended. */
export async function resumeTreasury(
  tx: ClientBase,
  treasuryId: string,
  { actor, reason, requestId }: SuspensionChange,
): Promise<boolean> {
  const { rowCount } = await tx.query('DELETE FROM treasury_suspensions WHERE treasury_id = $1', [
    treasuryId,
  ]);
  if (rowCount !== 1) return false;
  await appendEvents(tx, await databaseNow(tx), [
    {
      treasuryId,
      kind: 'treasury.resumed',
      actor,
      reason,
      requestId,
      data: { from: 'suspended', to: 'active' },
    },
  ]);
  return true;
}
