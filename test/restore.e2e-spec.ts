import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { loadConfig } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import type { EmbeddedPostgres } from '../src/database/postgres-owner.js';
import { createLogger } from '../src/ops/logger.js';
import { type Service, startService } from '../src/service.js';
import { Api, expectProblem, type Minted, type Paid } from './support/api.js';
import { environmentOf, startTestStack, type TestStack } from './support/bursar.js';
import { dump, dumpableServer, dumpCustom, hasPsql } from './support/dump.js';
import { build, bursar } from './support/program.js';
import { order } from './support/terms.js';

const run = promisify(execFile);

let stack: TestStack;
let folder: string;
let file: string;
let minted: Minted;
let paid: Paid;
/** A server on which nothing of Bursar ever was, no role either. */
let fresh: EmbeddedPostgres;

beforeAll(async () => {
  await build();
  stack = await startTestStack();
  minted = await stack.admin.mint({ budget: '5.00' });
  paid = await stack.admin.as(minted.token).paid(order(stack.chain), 'before');
  folder = await mkdtemp(join(tmpdir(), 'bursar-restore-'));
  file = join(folder, 'bursar.sql');
  await dump(stack.databaseUrl, file);
  fresh = await startEmbeddedPostgres({ dataDir: join(folder, 'server'), persistent: false });
}, 180_000);

afterAll(async () => {
  await fresh?.stop();
  await stack?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

async function emptyDatabase(name: string): Promise<string> {
  const client = new pg.Client({ connectionString: fresh.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return fresh.url.replace(/[^/]*$/, name);
}

const environmentFor = (url: string) => ({ ...environmentOf(stack), DATABASE_URL: url });
const start = (url: string): Promise<Service> =>
  startService(
    loadConfig({ ...environmentFor(url), PORT: '0', BURSAR_METRICS_PORT: '0', BURSAR_ROLE: 'api' }),
    createLogger('silent'),
  );
async function isApart(url: string): Promise<boolean> {
  const database = new Database(url, { maxConnections: 1 });
  try {
    return await database.keepsTreasuriesApart();
  } finally {
    await database.close();
  }
}
/** Restores by Postgres's manual, where errors are passed over. */
const naively = (url: string) => run('psql', ['-X', '-q', '-o', '/dev/null', '-f', file, url]);

(hasPsql ? describe : describe.skip)('a dump on a fresh server', () => {
  let byHand: string;

  it('that was restored without the role does not start, and says what to run', async () => {
    byHand = await emptyDatabase('by_hand');
    await naively(byHand);
    expect(await isApart(byHand)).toBe(false);
    await expect(start(byHand)).rejects.toThrow(
      /row-level security held for this database, and does not hold now: .* run: npx bursar restore/,
    );
  }, 60_000);

  it('is restored by one command, with row-level security and its keys fenced', async () => {
    const url = await emptyDatabase('whole');
    expect(await bursar(environmentFor(url), 'restore', file)).toBe(
      [
        'row-level security holds',
        'main: no key without a payment makes one, until the chains have shown what may be lost',
        'restored; start the service, then run: npx bursar check',
      ].join('\n'),
    );
    expect(await isApart(url)).toBe(true);
    const service = await start(url);
    try {
      const agent = new Api(service.url, minted.token);
      const again = await agent.pay<Paid>(order(stack.chain), 'before');
      expect(again).toMatchObject({ status: 201, body: { header: paid.header } });
      expectProblem(await agent.pay(order(stack.chain), 'after'), 503, 'unavailable');
    } finally {
      await service.stop();
    }
    await expect(bursar(environmentFor(url), 'restore', file)).rejects.toThrow(
      'has tables of Bursar already',
    );
  }, 60_000);

  it('that was restored without the role starts once the command has put it right', async () => {
    expect(await bursar(environmentFor(byHand), 'restore')).toBe('row-level security holds');
    await (await start(byHand)).stop();
    expect(await isApart(byHand)).toBe(true);
  }, 60_000);

  it('is restored whole or not at all', async () => {
    const url = await emptyDatabase('torn');
    const torn = join(folder, 'torn.sql');
    await writeFile(torn, 'CREATE TABLE first (id int);\nCREATE TABLE second (id nothing);\n');
    await expect(bursar(environmentFor(url), 'restore', torn)).rejects.toThrow(
      /psql could not restore .*, and changed nothing: .*type "nothing" does not exist/,
    );
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query(`SELECT to_regclass('first') AS first`);
    await client.end();
    expect(rows).toEqual([{ first: null }]);
  });
});

describe('a dump of pg_dump’s own format', () => {
  it('is restored whole by the same command', async () => {
    const server = await dumpableServer(fresh.url);
    if (server === undefined) {
      console.warn('skipped: no server that the pg_dump here can dump, or no pg_dump');
      return;
    }
    const admin = new pg.Client({ connectionString: server });
    await admin.connect();
    const [source, target] = ['source', 'target'].map(
      (name) => `bursar_test_${name}_${randomBytes(6).toString('hex')}`,
    ) as [string, string];
    const urlOf = (name: string) => server.replace(/[^/]*$/, name);
    try {
      for (const name of [source, target]) await admin.query(`CREATE DATABASE ${name}`);
      const before = await start(urlOf(source));
      const token = await before.mintAdminToken({ name: 'tester', role: 'admin' }, 3_600);
      const { grant } = await new Api(before.url, token).mint({ budget: '7.00', holder: 'kept' });
      await before.stop();
      const custom = join(folder, 'bursar.dump');
      await dumpCustom(urlOf(source), custom);
      expect(await bursar(environmentFor(urlOf(target)), 'restore', custom)).toMatch(
        /^row-level security holds\n.*\nrestored; /,
      );
      expect(await isApart(urlOf(target))).toBe(true);
      const after = await start(urlOf(target));
      try {
        const kept = await new Api(after.url, token).grant(grant.id);
        expect(kept).toMatchObject({ holder: 'kept', budget: '7.00' });
      } finally {
        await after.stop();
      }
    } finally {
      for (const name of [source, target]) {
        await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      }
      await admin.end();
    }
  }, 120_000);
});
