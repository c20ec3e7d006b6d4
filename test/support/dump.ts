import { execFile, spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const MIGRATIONS = new URL('../../prisma/migrations/', import.meta.url).pathname;

/** Whether the programs are there that restore a dump. */
export const hasPsql = spawnSync('psql', ['--version']).status === 0;

/** The major version of pg_dump here; 0 where there is none. */
function dumpersMajor(): number {
  const program = spawnSync('pg_dump', ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)/.exec(program.stdout ?? '')?.[1] ?? 0);
}

/** Whether the pg_dump here is as new as the server that a client is connected to: it dumps no newer one. */
async function canDump(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query(`SELECT current_setting('server_version_num')::int AS v`);
  return dumpersMajor() >= Math.floor(rows[0].v / 10_000);
}

/**
 * Finds a server that the pg_dump here can dump: one of those given, or the one that distributions start on the default
 * port, if it lets this user in without a password.
 *
 * @returns its URL; undefined where there is none.
 */
export async function dumpableServer(...urls: string[]): Promise<string | undefined> {
  for (const url of [...urls, 'postgresql://postgres@127.0.0.1:5432/postgres']) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    try {
      await client.connect();
      if (await canDump(client)) return url;
    } catch {
      // Nobody listens, or a password is wanted.
    } finally {
      await client.end().catch(() => {});
    }
  }
  return undefined;
}

/** Dumps a database into a file of pg_dump's own format. */
export async function dumpCustom(url: string, file: string): Promise<void> {
  await promisify(execFile)('pg_dump', ['--format=custom', '--no-owner', `--file=${file}`, url]);
}

/**
 * Dumps a database into a file: with pg_dump, or, where there is none as new as the server, as the statements that pg_dump
 * would write as far as roles are concerned. Those grant to a role that the dump does not make.
 */
export async function dump(url: string, file: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    if (await canDump(client)) {
      await promisify(execFile)('pg_dump', ['--no-owner', `--file=${file}`, url]);
      return;
    }
    await writeFile(file, await statements(client));
  } finally {
    await client.end();
  }
}

async function statements(client: pg.Client): Promise<string> {
  const names = (await readdir(MIGRATIONS)).filter((name) => /^\d/.test(name)).sort();
  const schema = await Promise.all(
    names.map((name) => readFile(`${MIGRATIONS}${name}/migration.sql`, 'utf8')),
  );
  const history = `CREATE TABLE "_prisma_migrations" (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL,
    finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count int NOT NULL DEFAULT 0)`;
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT quote_ident(relname) AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`,
  );
  const data: string[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query(
      `SELECT quote_literal(coalesce(json_agg(t), '[]')::text) AS all_rows FROM ${name} t`,
    );
    data.push(`TRUNCATE ${name} CASCADE`);
    data.push(
      `INSERT INTO ${name} SELECT * FROM json_populate_recordset(NULL::${name}, ${rows[0].all_rows})`,
    );
  }
  const { rows: sequences } = await client.query(
    `SELECT format('SELECT setval(%L, %s)', schemaname || '.' || sequencename, coalesce(last_value, 1)) AS sql
     FROM pg_sequences WHERE schemaname = 'public'`,
  );
  return [
    history,
    ...schema.map((sql) => sql.replace('CREATE ROLE "bursar_service" NOLOGIN', 'PERFORM 1')),
    'SET session_replication_role = replica',
    // Emptied first, all of them: a later table's TRUNCATE would take an earlier one's rows along.
    ...data.filter((sql) => sql.startsWith('TRUNCATE')),
    ...data.filter((sql) => sql.startsWith('INSERT')),
    ...sequences.map(({ sql }) => sql),
    'RESET session_replication_role',
    ...tables.map(({ name }) => `GRANT SELECT ON TABLE ${name} TO bursar_service`),
  ]
    .map((sql) => `${sql.trim().replace(/;$/, '')};`)
    .join('\n');
}
