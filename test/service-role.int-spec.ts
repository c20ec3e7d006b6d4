import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { migrate } from '../prisma/migrate.js';
import { Database } from '../src/database/database.js';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import type { EmbeddedPostgres } from '../src/database/postgres-owner.js';
import { restore } from '../src/restore.js';

/** A server of this spec's own: roles belong to a whole server, and these tests make and drop `bursar_service`. */
let server: EmbeddedPostgres;
let folder: string;
let superuser: pg.Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-service-role-'));
  server = await startEmbeddedPostgres({ dataDir: join(folder, 'server'), persistent: false });
  superuser = new pg.Client({ connectionString: server.url });
  await superuser.connect();
}, 60_000);

afterAll(async () => {
  await superuser?.end();
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** Makes a role that is no superuser, and a database that it owns; drops both afterwards, and the service's role. */
async function withOwner(options: string, work: (url: string) => Promise<void>): Promise<void> {
  await superuser.query(`CREATE ROLE plain LOGIN ${options} PASSWORD 'secret'`);
  await superuser.query('CREATE DATABASE plain OWNER plain');
  const url = new URL(server.url);
  Object.assign(url, { username: 'plain', password: 'secret', pathname: '/plain' });
  try {
    await work(url.href);
  } finally {
    await superuser.query('DROP DATABASE IF EXISTS plain WITH (FORCE)');
    await superuser.query('DROP ROLE IF EXISTS bursar_service');
    await superuser.query('DROP ROLE plain');
  }
}

/** Runs statements in the database of a URL, each in a transaction of its own. */
async function asSuperuser(url: string, statements: readonly string[]): Promise<void> {
  const { pathname } = new URL(url);
  const client = new pg.Client({
    connectionString: Object.assign(new URL(server.url), { pathname }).href,
  });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Opens a connection as the service does, and tells its role and whether row-level security holds for it. */
async function sessionOf(url: string): Promise<{ role: string; apart: boolean }> {
  const database = new Database(url, { maxConnections: 1 });
  try {
    const { rows } = await database.pool.query('SELECT current_user AS role');
    return { role: rows[0].role, apart: await database.keepsTreasuriesApart() };
  } finally {
    await database.close();
  }
}

const APART = { role: 'bursar_service', apart: true };
const NOT_APART = { role: 'plain', apart: false };

describe('a database user who is no superuser', () => {
  it('and may make roles gets row-level security by migrating', () =>
    withOwner('CREATEROLE', async (url) => {
      await migrate(url);
      expect(await sessionOf(url)).toEqual(APART);
    }));

  it('and whose database older migrations left without it gets it by the next migration', () =>
    withOwner('CREATEROLE', async (url) => {
      await migrate(url);
      await asSuperuser(url, [
        'REVOKE bursar_service FROM plain GRANTED BY plain',
        `DELETE FROM _prisma_migrations WHERE migration_name = '20261201110000_set_service_role'`,
      ]);
      expect(await sessionOf(url)).toEqual(NOT_APART);
      expect(await migrate(url)).toEqual(['20261201110000_set_service_role']);
      expect(await sessionOf(url)).toEqual(APART);
    }));

  it('and may make roles gets it by restore, where the role is missing', () =>
    withOwner('CREATEROLE', async (url) => {
      await migrate(url);
      await asSuperuser(url, ['DROP OWNED BY bursar_service', 'DROP ROLE bursar_service']);
      expect(await sessionOf(url)).toEqual(NOT_APART);
      await restore(url, undefined, undefined, {});
      expect(await sessionOf(url)).toEqual(APART);
    }));

  it('and was granted the role by an administrator gets it by migrating', () =>
    withOwner('', async (url) => {
      await superuser.query('CREATE ROLE bursar_service NOLOGIN; GRANT bursar_service TO plain');
      await migrate(url);
      expect(await sessionOf(url)).toEqual(APART);
    }));

  it('and may not make roles is served without', () =>
    withOwner('', async (url) => {
      await migrate(url);
      expect(await sessionOf(url)).toEqual(NOT_APART);
    }));

  it('and is a member of the role that may not SET ROLE to it is served without', () =>
    withOwner('', async (url) => {
      await superuser.query(
        'CREATE ROLE bursar_service NOLOGIN; GRANT bursar_service TO plain WITH SET FALSE',
      );
      await migrate(url);
      expect(await sessionOf(url)).toEqual(NOT_APART);
      await expect(restore(url, undefined, undefined, {})).rejects.toThrow(
        /may not make the role bursar_service; have an administrator/,
      );
    }));
});
