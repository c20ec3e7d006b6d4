import type { Database } from '../database/database.js';
import { printJson } from '../terminal.js';
import { deadLetters, retry } from './dead-letters.js';
import type { StoreSettings } from './stores.js';

/** Prints every job that failed all its tries, the newest first. */
export async function printDeadLetters(
  database: Database,
  config: StoreSettings,
  asJson = false,
): Promise<void> {
  const letters = await deadLetters(config, database, await namespaceOf(database));
  if (asJson) return printJson(letters);
  for (const { id, job, payload, failedAt, tries, reason } of letters) {
    process.stdout.write(
      `${id}  ${job}  ${payload}  ${failedAt.toISOString()}, try ${tries}\n    ${reason}\n`,
    );
  }
  process.stdout.write(
    letters.length === 0
      ? 'no job has failed for good\n'
      : `${letters.length} failed for good; to have one tried again: npx bursar jobs retry ID\n`,
  );
}

/**
 * Has dead letters tried again.
 *
 * @param wanted - one's id, or `all`.
 * @throws Error when there is no such dead letter.
 */
export async function retryDeadLetters(
  database: Database,
  config: StoreSettings,
  wanted: string,
): Promise<void> {
  const namespace = await namespaceOf(database);
  const ids =
    wanted === 'all'
      ? (await deadLetters(config, database, namespace)).map(({ id }) => id)
      : [wanted];
  const retried = await retry(config, database, namespace, ids);
  for (const id of retried) process.stdout.write(`${id} is tried again\n`);
  if (retried.length > 0) return;
  if (wanted !== 'all') throw new Error(`there is no dead letter ${wanted}; see: npx bursar jobs`);
  process.stdout.write('no job has failed for good\n');
}

/** Namespace of the service's queues. */
async function namespaceOf(database: Database): Promise<string> {
  const { rows } = await database.pool.query<{ id: string }>(
    `SELECT id FROM treasuries WHERE name = 'main'`,
  );
  const [main] = rows;
  if (!main) throw new Error('this database has not been served yet: it has no treasury');
  return main.id;
}
