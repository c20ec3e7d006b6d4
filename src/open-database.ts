import type { Logger } from 'pino';
import { migrate } from '../prisma/migrate.js';
import type { Config } from './config.js';
import { Database } from './database/database.js';
import { startEmbeddedPostgres } from './database/embedded-postgres.js';
import { resolveSecrets } from './secrets.js';
import { within } from './within.js';

/** How long a stop waits for the database's connections, in milliseconds. */
const CLOSE_MS = 2_000;

/** An open, migrated database, and the configuration with everything resolved that it left out. */
export interface OpenDatabase {
  readonly config: Config;
  readonly database: Database;
  close(): Promise<void>;
}

/**
 * Opens the configured database, or starts (or joins) the embedded one, and migrates it.
 *
 * @throws Error with one line when it cannot be reached or migrated.
 */
export async function openDatabase(given: Config, logger: Logger): Promise<OpenDatabase> {
  const resolved = await resolveSecrets(given);
  const server =
    resolved.databaseUrl === undefined
      ? await startEmbeddedPostgres({
          dataDir: resolved.dataDir,
          log: (line) => logger.debug({ room: 'postgres' }, line),
        })
      : undefined;
  const databaseUrl = server?.url ?? resolved.databaseUrl ?? '';
  try {
    await migrate(databaseUrl);
  } catch (error) {
    await server?.stop();
    throw error;
  }
  const database = new Database(databaseUrl, {
    maxConnections: resolved.databaseConnections,
    onConnectionError: (error) => logger.warn({ room: 'database' }, error.message),
  });
  return {
    config: { ...resolved, databaseUrl },
    database,
    close: async () => {
      if (!(await within(database.close(), CLOSE_MS))) {
        logger.warn({ room: 'database' }, 'the connections to the database did not close in time');
      }
      await server?.stop();
    },
  };
}
