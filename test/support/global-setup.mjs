// One Postgres for all database specs of a run, with a migrated template that each spec clones.
import { mkdtemp, rm } from 'node:fs/promises';
import { register } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/**
 * A server that runs already, with such a template, is used as it is: TEST_POSTGRES_URL names it. Temporary files are the run's
 * own all the same: what one run built says nothing of another.
 */
export default async function setup() {
  const directory = await mkdtemp(join(tmpdir(), 'bursar-test-'));
  // Files that an interrupted run leaves in its temporary directories go too.
  process.env.TMPDIR = directory;
  let server;
  let cleaned;
  const cleanUp = () => {
    // Retries, since an interrupted run's workers may still be writing.
    cleaned ??= Promise.resolve(server?.stop()).then(() =>
      rm(directory, { recursive: true, force: true, maxRetries: 10 }),
    );
    return cleaned;
  };
  // Jest runs the teardown only after a setup that succeeded, and not when it is interrupted; then a
  // signal may come twice, from the terminal and from npm.
  globalThis.cleanUpTestDatabase = cleanUp;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => cleanUp().finally(() => process.exit(1)));
  }
  if (process.env.TEST_POSTGRES_URL) return;
  register('./typescript-hooks.mjs', import.meta.url);
  const { startEmbeddedPostgres } = await import('../../src/database/embedded-postgres.ts');
  const { migrate } = await import('../../prisma/migrate.ts');
  try {
    server = await startEmbeddedPostgres({
      dataDir: join(directory, 'server'),
      // Nothing in here outlives the run; only speed counts. Autovacuum would visit the template, and
      // a database that somebody is connected to cannot be cloned.
      postgresFlags: [
        'max_connections=300',
        'fsync=off',
        'full_page_writes=off',
        'autovacuum=off',
      ].flatMap((flag) => ['-c', flag]),
    });
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    try {
      await admin.query('CREATE DATABASE bursar_template');
      await migrate(server.url.replace(/[^/]*$/, 'bursar_template'));
    } finally {
      await admin.end();
    }
    // The workers that Jest starts after this inherit it.
    process.env.TEST_POSTGRES_URL = server.url;
  } catch (error) {
    await cleanUp();
    throw error;
  }
}
