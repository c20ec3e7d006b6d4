// Applies prisma/migrations with Prisma's own schema engine, in its WebAssembly form: the native one
// is a download that the Prisma CLI makes at run time, which a machine without internet cannot do.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  mockAdapter,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import * as engineBindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

// TypeScript knows WebAssembly only as a part of the DOM.
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: object,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
};

type SchemaEngine = engineBindings.SchemaEngine;
type MigrationList = engineBindings.MigrationList;

/** The advisory lock of whoever migrates. Not 72707369, which the engine locks on another connection meanwhile. */
export const MIGRATION_LOCK = 4026531;
/** How long the database may take to answer a connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
const NO_FILTER = { externalTables: [], externalEnums: [] };

/**
 * Brings a database to the newest schema. Safe to call at every start and from several processes at
 * once: the others wait for the first and then find nothing to do.
 *
 * Each migration is one transaction, so a migration that failed or was interrupted has left nothing
 * behind and is tried again by the next call. A migration file must therefore hold no BEGIN or COMMIT,
 * nor a statement that cannot run in a transaction (CREATE INDEX CONCURRENTLY).
 *
 * @param connectionString a `postgresql://` URL of an existing database, whose user may create tables;
 *   not one of a pooler that hands a session to several clients
 * @param directory where the migrations are; this repository's own unless a test brings others
 * @returns the names of the migrations just applied, oldest first; empty if there were none to apply
 * @throws Error with one line: the migration's name and Postgres's message, or why the database
 *   cannot be reached
 */
export async function migrate(
  connectionString: string,
  directory = join(prismaDirectory(), 'migrations'),
): Promise<string[]> {
  const migrations = await readMigrations(directory);
  const lock = new pg.Client({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // An idle connection that dies has no query to reject; without a listener it would end the process.
  lock.on('error', () => {});
  try {
    await lock.connect();
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    if (await hasHistory(lock)) {
      await forgetUnfinished(lock);
      // The engine would find the same, after half a second of loading.
      if (await hasAll(lock, migrations)) return [];
    }
    return await applyMigrations(connectionString, migrations);
  } catch (error) {
    throw new Error(`Cannot migrate the database: ${oneLine(error)}`, { cause: error });
  } finally {
    // Ending the session frees the lock.
    await lock.end();
  }
}

/**
 * The SQL that makes an empty database what schema.prisma says it is. It lacks what only the migrations
 * can say (CHECK constraints, triggers); the tests compare the rest.
 *
 * @returns an SQL script of several statements
 */
export async function schemaSql(): Promise<string> {
  const path = join(prismaDirectory(), 'schema.prisma');
  const content = await readFile(path, 'utf8');
  const engine = await newEngine(offlineAdapter());
  try {
    const { stdout } = await engine.diff({
      from: { tag: 'empty' },
      to: { tag: 'schemaDatamodel', files: [{ path, content }] },
      script: true,
      exitCode: null,
      filters: NO_FILTER,
    });
    return stdout ?? '';
  } finally {
    engine.free();
  }
}

async function applyMigrations(
  connectionString: string,
  migrations: MigrationList,
): Promise<string[]> {
  // One connection, never closed for idleness: the engine holds its own advisory lock on it.
  const pool = new pg.Pool({ connectionString, max: 1, idleTimeoutMillis: 0 });
  pool.on('error', () => {});
  let failure: string | undefined;
  const adapter = scriptAdapter(pool, (script, error) => {
    const failed = migrations.migrationDirectories.find(
      ({ migrationFile: { content } }) => content.value === script,
    );
    failure = `migration ${failed?.path ?? '(unknown)'} failed: ${oneLine(error)}`;
  });
  try {
    const engine = await newEngine(adapter);
    try {
      const { appliedMigrationNames } = await engine.applyMigrations({
        migrationsList: migrations,
        filters: NO_FILTER,
      });
      return appliedMigrationNames;
    } finally {
      engine.free();
    }
  } catch (error) {
    // The engine's error carries a Rust backtrace; Postgres's own words are better.
    throw failure === undefined ? error : new Error(failure);
  } finally {
    await pool.end();
  }
}

/**
 * PrismaPg with a whole migration sent as one query. Its own executeScript splits the text at every
 * semicolon, comments and function bodies included, and runs the pieces one by one; a single query
 * is parsed by Postgres and is one transaction. The last statement notes the success in that same
 * transaction, so that a migration without `finished_at` is one that certainly left nothing.
 */
function scriptAdapter(
  pool: pg.Pool,
  onFailure: (script: string, error: unknown) => void,
): SqlMigrationAwareDriverAdapterFactory {
  const prismaPg = new PrismaPg(pool);
  return {
    provider: prismaPg.provider,
    adapterName: prismaPg.adapterName,
    connectToShadowDb: () => prismaPg.connectToShadowDb(),
    async connect(): Promise<SqlDriverAdapter> {
      const adapter: SqlDriverAdapter = await prismaPg.connect();
      adapter.executeScript = async (script) => {
        try {
          await pool.query(
            `${script}\n;UPDATE "_prisma_migrations" SET finished_at = now()
               WHERE finished_at IS NULL AND rolled_back_at IS NULL`,
          );
        } catch (error) {
          onFailure(script, error);
          throw error;
        }
      };
      return adapter;
    },
  };
}

/** The engine refuses to go on after a migration that did not finish until it is marked rolled back. */
async function forgetUnfinished(client: pg.Client): Promise<void> {
  await client.query(
    `UPDATE "_prisma_migrations" SET rolled_back_at = now()
       WHERE finished_at IS NULL AND rolled_back_at IS NULL`,
  );
}

async function hasAll(
  client: pg.Client,
  { migrationDirectories }: MigrationList,
): Promise<boolean> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT migration_name AS name FROM "_prisma_migrations"
     WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`,
  );
  const applied = new Set(rows.map(({ name }) => name));
  return migrationDirectories.every(({ path }) => applied.has(path));
}

async function hasHistory(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    `SELECT to_regclass('"_prisma_migrations"') IS NOT NULL AS "exists"`,
  );
  return rows[0]?.exists ?? false;
}

/** The engine asks every adapter for the server's version; a diff of two files needs nothing else. */
function offlineAdapter(): SqlMigrationAwareDriverAdapterFactory {
  const adapter: SqlDriverAdapter = {
    ...mockAdapter('postgres'),
    queryRaw: async () => ({
      columnNames: ['exists', 'version', 'numeric_version'],
      columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
      rows: [[true, 'PostgreSQL 18.0', 180000]],
    }),
  };
  const connect = async (): Promise<SqlDriverAdapter> => adapter;
  return {
    provider: 'postgres',
    adapterName: adapter.adapterName,
    connect,
    connectToShadowDb: connect,
  };
}

async function newEngine(adapter: SqlMigrationAwareDriverAdapterFactory): Promise<SchemaEngine> {
  await loadEngine();
  return engineBindings.SchemaEngine.new(
    { datamodels: undefined },
    () => {},
    bindMigrationAwareSqlAdapterFactory(adapter),
  );
}

let loaded: Promise<void> | undefined;

/** The package's entry point imports a .wasm file, which Node cannot; so it is instantiated here. */
function loadEngine(): Promise<void> {
  loaded ??= (async () => {
    const module = '@prisma/schema-engine-wasm/schema_engine_bg';
    const wasm = new URL('schema_engine_bg.wasm', import.meta.resolve(module));
    const { instance } = await WebAssembly.instantiate(await readFile(fileURLToPath(wasm)), {
      './schema_engine_bg.js': { ...engineBindings, ...quietTimers() },
    });
    const { __wbg_set_wasm } = engineBindings as unknown as {
      __wbg_set_wasm(exports: object): void;
    };
    __wbg_set_wasm(instance.exports);
    instance.exports.__wbindgen_start();
  })();
  return loaded;
}

/**
 * The engine bounds its wait for its lock by a timer of ten seconds that it never clears; the process
 * must not live on for it. The import's name ends in a hash that changes with the version.
 */
function quietTimers(): Record<string, unknown> {
  const unrefTimeout = (callback: () => void, ms: number): unknown =>
    setTimeout(callback, ms).unref();
  const names = Object.keys(engineBindings).filter((name) => name.startsWith('__wbg_setTimeout_'));
  return Object.fromEntries(names.map((name) => [name, unrefTimeout]));
}

async function readMigrations(baseDir: string): Promise<MigrationList> {
  const entries = await readdir(baseDir, { withFileTypes: true });
  // Names begin with a timestamp: their order is the order of application.
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  return {
    baseDir,
    lockfile: {
      path: 'migration_lock.toml',
      content: await readFile(join(baseDir, 'migration_lock.toml'), 'utf8'),
    },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.map(async (name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: {
            tag: 'ok' as const,
            value: await readFile(join(baseDir, name, 'migration.sql'), 'utf8'),
          },
        },
      })),
    ),
  };
}

/** The repository's prisma/ folder; this file runs from it and, compiled, from dist/prisma/. */
function prismaDirectory(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = dirname(directory)) {
    const candidate = join(directory, 'prisma');
    if (existsSync(join(candidate, 'schema.prisma'))) return candidate;
    if (directory === dirname(directory)) {
      throw new Error(`No prisma/schema.prisma in ${start} or above it`);
    }
  }
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s+/g, ' ').trim();
}
