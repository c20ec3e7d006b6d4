import type { Database } from '../database/database.js';
import { resumeTreasury, suspendTreasury } from '../ledger/suspensions.js';
import { UsageError } from '../options.js';

/** Whom the log names for what is done on the command line. */
const ACTOR = 'admin:cli';

interface Found {
  readonly id: string;
  readonly name: string;
}

/**
 * Stops treasuries, or lets them go on, and prints each one. A failure with one does not spare the others.
 *
 * @param named - their names or ids; undefined for all there are.
 * @throws UsageError for a treasury that is not there: nothing is done then. Error when one could not be stopped.
 */
export async function setRunning(
  database: Database,
  act: 'stop' | 'resume',
  named: readonly string[] | undefined,
  reason: string | undefined,
): Promise<void> {
  if (reason !== undefined && (reason.trim() === '' || reason.length > 1000)) {
    throw new UsageError('--reason takes 1 to 1,000 characters');
  }
  const failures: string[] = [];
  for (const treasury of await find(database, named)) {
    try {
      process.stdout.write(`${treasury.name}: ${await setOne(database, act, treasury, reason)}\n`);
    } catch (error) {
      failures.push(`${treasury.name}: ${(error as Error).message}`);
    }
  }
  if (failures.length > 0) throw new Error(`not done for ${failures.join('; ')}`);
}

async function find(
  database: Database,
  named: readonly string[] | undefined,
): Promise<readonly Found[]> {
  const { rows } = await database.pool.query<Found>(
    `SELECT t.id, t.name FROM treasuries t
     WHERE $1::text[] IS NULL OR t.id = ANY ($1) OR t.name = ANY ($1) ORDER BY t.id`,
    [named ?? null],
  );
  const unknown = named?.find((each) => !rows.some(({ id, name }) => each === id || each === name));
  if (unknown !== undefined) throw new UsageError(`--treasury: there is no treasury "${unknown}"`);
  return rows;
}

async function setOne(
  database: Database,
  act: 'stop' | 'resume',
  { id }: Found,
  reason: string | undefined,
): Promise<string> {
  const by = { actor: ACTOR, reason };
  if (act === 'resume') {
    const isChanged = await database.transaction((tx) => resumeTreasury(tx, id, by));
    return isChanged ? 'it goes on' : 'it was not stopped';
  }
  const isChanged = await database.transaction((tx) => suspendTreasury(tx, id, by));
  const { rows } = await database.pool.query<{ open: number }>(
    'SELECT open_payments AS open FROM treasury_usage WHERE treasury_id = $1',
    [id],
  );
  return (
    `${isChanged ? 'stopped; no grant pays or delegates' : 'it was stopped already'}; ` +
    `${rows[0]?.open ?? 0} payments are signed and may still be spent`
  );
}
