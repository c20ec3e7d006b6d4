import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** A database of one spec's own. */
export interface TestDatabase {
  /** A `postgresql://` URL with superuser rights. */
  readonly url: string;
  /** Drops it, ending whatever sessions are still open. */
  drop(): Promise<void>;
}

/** Clones the migrated, empty template: milliseconds, where migrating takes far longer. */
export function createTestDatabase(): Promise<TestDatabase> {
  return createFrom('bursar_template');
}

/** Clones a database that nobody is connected to. */
export function createCloneOf(database: string): Promise<TestDatabase> {
  return createFrom(new URL(database).pathname.slice(1));
}

/** A database with nothing in it at all, for specs about migrating. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createFrom('template0');
}

async function createFrom(template: string): Promise<TestDatabase> {
  const server = process.env.TEST_POSTGRES_URL;
  if (server === undefined) {
    throw new Error('No test database server: only *.int-spec.ts and *.e2e-spec.ts have one');
  }
  const name = `test_${randomBytes(8).toString('hex')}`;
  await query(server, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => query(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
