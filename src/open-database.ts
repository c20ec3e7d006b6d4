import type { Logger } from 'pino';
import { migrate } from '../prisma/migrate.js';
import type { GivenConfig, ServiceConfig } from './config/config.js';
import { Database, lanesOf } from './database/database.js';
import { startEmbeddedPostgres } from './database/embedded-postgres.js';
import { hasEmbeddedPostgres } from './database/postgres-cluster.js';
import type { EmbeddedPostgres, ServerUse } from './database/postgres-owner.js';
import { makeSecrets, readSecrets, type Secrets } from './secrets.js';
import { within } from './within.js';

/** How long a stop waits for the database's connections, in milliseconds. */
const CLOSE_MS = 2_000;

/** The error of a data directory that cannot be used. */
const UNUSABLE: readonly (string | undefined)[] = [
  'EACCES',
  'EDQUOT',
  'EEXIST',
  'ELOOP',
  'ENOENT',
  'ENOSPC',
  'ENOTDIR',
  'EPERM',
  'EROFS',
];

/** An open, migrated database, with the settings and the secrets of its service. */
export interface OpenDatabase {
  readonly config: ServiceConfig;
  readonly secrets: Secrets;
  readonly database: Database;
  close(): Promise<void>;
}

/** Opens the database for some work, and says on standard error which one that is. */
export type WithDatabase = (work: (open: OpenDatabase) => Promise<void>) => Promise<void>;

/**
 * Opens the configured database, or starts (or joins) the embedded one, and migrates it. Only a service makes a data
 * directory, its database and its secrets: a command in the wrong place would make a second treasury.
 *
 * @throws Error with one line when it cannot be reached, made or migrated.
 */
export async function openDatabase(
  given: GivenConfig,
  logger: Logger,
  use: ServerUse = 'service',
): Promise<OpenDatabase> {
  const { secrets: _, ...settings } = given;
  const { secrets, server, databaseUrl } = await openFiles(given, logger, use);
  try {
    await migrate(databaseUrl);
  } catch (error) {
    await server?.stop();
    throw error;
  }
  const database = new Database(databaseUrl, {
    maxConnections: lanesOf(settings.databaseConnections),
    onConnectionError: (error) => logger.warn({ room: 'database' }, error.message),
  });
  return {
    config: { ...settings, databaseUrl },
    secrets,
    database,
    close: async () => {
      if (!(await within(database.close(), CLOSE_MS))) {
        logger.warn({ room: 'database' }, 'the connections to the database did not close in time');
      }
      await server?.stop();
    },
  };
}

/** The secrets, and the embedded server where there is no other. */
async function openFiles(
  given: GivenConfig,
  logger: Logger,
  use: ServerUse,
): Promise<{ secrets: Secrets; server: EmbeddedPostgres | undefined; databaseUrl: string }> {
  const { dataDir, databaseUrl } = given;
  const isEmbedded = databaseUrl === undefined;
  const hasDatabase = isEmbedded && hasEmbeddedPostgres(dataDir);
  if (use === 'command' && isEmbedded && !hasDatabase) {
    throw new Error(
      `BURSAR_DATA_DIR: there is no database in ${dataDir}, and only the start of the service makes one; run this ` +
        'where the service runs, or set BURSAR_DATA_DIR or DATABASE_URL as the service has it',
    );
  }
  try {
    const secrets =
      use === 'command'
        ? await readSecrets(given)
        : await makeSecrets(given, hasDatabase, (name, path) =>
            name === 'walletMnemonic'
              ? logger.warn({ room: 'treasury' }, MADE[name](path))
              : logger.info({ room: 'access' }, MADE[name](path)),
          );
    if (!isEmbedded) return { secrets, server: undefined, databaseUrl };
    const log = (line: string) => logger.debug({ room: 'postgres' }, line);
    const server = await startEmbeddedPostgres({ dataDir, use, log });
    return { secrets, server, databaseUrl: server.url };
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException;
    if (path === undefined || !UNUSABLE.includes(code)) throw error;
    const remedy =
      use === 'command'
        ? 'run this as the user of the service'
        : 'set BURSAR_DATA_DIR to a folder that this user may write';
    throw new Error(`BURSAR_DATA_DIR: ${dataDir} cannot be used (${message}); ${remedy}`);
  }
}

const MADE = {
  walletMnemonic: (path: string) =>
    `made the wallets' phrase; its only copy is the file ${path}. Whoever has it has the money, and without it the ` +
    'money is lost: before you fund a wallet, copy the file to a place that is safe and offline',
  masterSecret: (path: string) =>
    `made the master secret; its only copy is the file ${path}. Keep a backup of it with the one of the database, ` +
    'whose signing keys open with nothing else',
};
