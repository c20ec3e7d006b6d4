import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import pg from 'pg';
import { migrate } from '../prisma/migrate.js';
import { Database, MAY_SET_ROLE } from './database/database.js';
import { UsageError } from './options.js';
import { setFences } from './treasury/spend-commands.js';

/** Magic number of pg_dump's own format. */
const CUSTOM_FORMAT = 'PGDMP';

/**
 * Restores a dump into an empty database, with row-level security: makes the role that the dump's grants name, has psql or
 * pg_restore restore the dump, migrates, lets the service's user use the role, and fences the keys that the dump may not
 * know. Without a dump it does the same but for the restoring and the fence, in a database that was restored by other means.
 *
 * @param url - of the database; its user owns it.
 * @param environment - of Postgres's programs, which are found by its PATH.
 * @throws Error with one line, and the remedy.
 */
export async function restore(
  url: string | undefined,
  file: string | undefined,
  reason: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  if (url === undefined) {
    throw new UsageError(
      'restore works on DATABASE_URL; with the embedded database, restore a copy of BURSAR_DATA_DIR instead',
    );
  }
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    const isBursars = await hasTables(client);
    if (file !== undefined && isBursars) {
      throw new Error(
        'the database of DATABASE_URL has tables of Bursar already; restore into a new, empty database',
      );
    }
    if (file === undefined && !isBursars) {
      throw new Error('the database of DATABASE_URL has no tables of Bursar; name the dump');
    }
    await makeRole(client);
    if (file !== undefined) await load(file, url, environment);
    await migrate(url);
    // pg_dump's scripts leave an empty search path behind, and so may whoever restored by other means.
    await client.query('SET search_path TO public; SELECT keep_treasuries_apart()');
  } finally {
    await client.end();
  }
  const database = new Database(url, { maxConnections: 2 });
  try {
    if (!(await database.keepsTreasuriesApart())) {
      throw new Error(`row-level security still does not hold; ${BY_HAND}`);
    }
    await database.markApart();
    process.stdout.write('row-level security holds\n');
    if (file === undefined) return;
    await setFences(database, 'fence', undefined, reason ?? `restored ${file.slice(-900)}`);
    process.stdout.write('restored; start the service, then run: npx bursar check\n');
  } finally {
    await database.close();
  }
}

const BY_HAND =
  'have an administrator of the server run: CREATE ROLE bursar_service NOLOGIN; GRANT bursar_service TO <the user of ' +
  'DATABASE_URL>; (on Postgres 16 and newer with: WITH SET TRUE); and then run this again';

async function hasTables(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT to_regclass('public.treasuries') IS NOT NULL AS found`,
  );
  return rows[0]?.found === true;
}

/** Makes the role that sessions step down to, and lets the user use it. */
async function makeRole(client: pg.Client): Promise<void> {
  try {
    await client.query(`DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_service') THEN
        CREATE ROLE bursar_service NOLOGIN;
      END IF;
      IF NOT pg_has_role(current_user, 'bursar_service', ${MAY_SET_ROLE}) THEN
        EXECUTE format('GRANT bursar_service TO %I', current_user)
          || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH SET TRUE' ELSE '' END;
      END IF;
    END $$`);
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
    throw new Error(`this user may not make the role bursar_service; ${BY_HAND}`);
  }
}

/** Has Postgres's own programs restore a dump, all of it or nothing. */
async function load(file: string, url: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const isCustom = await startsWith(file, CUSTOM_FORMAT);
  const whole = '--single-transaction';
  const [program, args] = isCustom
    ? ['pg_restore', ['--exit-on-error', whole, '--no-owner', `--dbname=${databaseOf(url)}`, file]]
    : ['psql', ['-X', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', whole, '-f', file]];
  const child = spawn(program, args, {
    env: { ...environment, ...libpqEnvironment(url) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  const [code] = await once(child, 'close').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new Error(`${program} is not installed here; install the client programs of Postgres`);
  });
  if (code === 0) return;
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const line = lines.find((each) => /error/i.test(each)) ?? lines.at(-1) ?? `exit code ${code}`;
  throw new Error(
    `${program} could not restore ${file}, and changed nothing: ${line.trim()}. Make dumps with pg_dump --no-owner`,
  );
}

async function startsWith(file: string, text: string): Promise<boolean> {
  const handle = await open(file).catch((error: Error) => {
    throw new UsageError(`the dump cannot be read: ${error.message}`);
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(text.length), 0, text.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === text;
  } finally {
    await handle.close();
  }
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

/** Connection settings of Postgres's programs: not on their command line, which everybody on the machine can read. */
function libpqEnvironment(url: string): Record<string, string> {
  const { hostname, port, username, password, searchParams } = new URL(url);
  const members: Record<string, string | null> = {
    PGDATABASE: databaseOf(url),
    PGHOST: searchParams.get('host') ?? decodeURIComponent(hostname),
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGSSLMODE: searchParams.get('sslmode'),
    PGSSLROOTCERT: searchParams.get('sslrootcert'),
  };
  return Object.fromEntries(
    Object.entries(members).filter((each): each is [string, string] => Boolean(each[1])),
  );
}
