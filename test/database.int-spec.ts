import { type ChildProcess, spawn } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Database, isDatabaseUnavailable } from '../src/database/database.js';
import {
  findRunningEmbeddedPostgres,
  startEmbeddedPostgres,
} from '../src/database/embedded-postgres.js';
import type { EmbeddedPostgres } from '../src/database/postgres-owner.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { until } from './support/until.js';

/** Resolves once a session of this database waits for a lock. */
async function waitsForLock(admin: pg.Client): Promise<void> {
  await until('somebody waits for the lock', async () => {
    const { rows } = await admin.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows.length > 0;
  });
}

/** Unlike `once` of node:events, an 'error' event before it does not end the wait. */
function emitted(emitter: EventEmitter, event: string): Promise<void> {
  return new Promise((resolve) => emitter.once(event, () => resolve()));
}

describe('Database', () => {
  let test: TestDatabase;
  let database: Database;
  let admin: pg.Client;
  let connectionErrors: Error[];

  beforeAll(async () => {
    test = await createTestDatabase();
    admin = new pg.Client({ connectionString: test.url });
    await admin.connect();
    await admin.query('CREATE TABLE notes (text text PRIMARY KEY)');
    // The service's sessions step down to this role, which owns nothing.
    await admin.query('GRANT ALL ON notes TO bursar_service');
  });
  afterAll(async () => {
    await admin.end();
    await test.drop();
  });

  beforeEach(async () => {
    connectionErrors = [];
    await admin.query('TRUNCATE notes');
    database = open();
  });
  afterEach(() => database.close());

  const open = (options: ConstructorParameters<typeof Database>[1] = {}): Database =>
    new Database(test.url, {
      onConnectionError: (error) => connectionErrors.push(error),
      ...options,
    });
  const notes = async (): Promise<string[]> => {
    const { rows } = await admin.query<{ text: string }>('SELECT text FROM notes ORDER BY text');
    return rows.map(({ text }) => text);
  };
  const note = (client: pg.Pool | pg.PoolClient, text: string): Promise<unknown> =>
    client.query('INSERT INTO notes VALUES ($1)', [text]);
  const pidOf = async (client: pg.Pool | pg.PoolClient): Promise<number> => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid ?? 0;
  };
  /** Ends a session and waits until the server has. */
  const kill = async (pid: number): Promise<void> => {
    await admin.query('SELECT pg_terminate_backend($1, 10000)', [pid]);
  };
  const failureOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );

  describe('transaction', () => {
    it('commits what the work did and returns what it returned', async () => {
      const result = await database.transaction(async (tx) => {
        await note(tx, 'kept');
        expect(await notes()).toEqual([]);
        return 42;
      });
      expect(result).toBe(42);
      expect(await notes()).toEqual(['kept']);
    });

    it('is READ COMMITTED whatever the database’s default', async () => {
      await admin.query(
        `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
           current_database()); END $$`,
      );
      const { rows } = await database.transaction((tx) => tx.query('SHOW transaction_isolation'));
      expect(rows).toEqual([{ transaction_isolation: 'read committed' }]);
    });

    it('rolls back and throws what the work threw', async () => {
      const failure = new Error('no');
      const work = database.transaction(async (tx) => {
        await note(tx, 'undone');
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      expect(await notes()).toEqual([]);
      expect(database.pool).toMatchObject({ totalCount: 1, idleCount: 1 });
    });

    it('throws when the work ignored a failed statement, as nothing was committed', async () => {
      const work = database.transaction(async (tx) => {
        await note(tx, 'lost');
        await tx.query('SELECT 1 / 0').catch(() => {});
      });
      await expect(work).rejects.toThrow('the transaction was rolled back');
      expect(await notes()).toEqual([]);
    });

    it('throws the error of a commit that Postgres refuses', async () => {
      await admin.query(
        `CREATE TEMP TABLE unused (); CREATE TABLE IF NOT EXISTS late
           (text text REFERENCES notes DEFERRABLE INITIALLY DEFERRED);
         GRANT ALL ON late TO bursar_service`,
      );
      const work = database.transaction((tx) => tx.query(`INSERT INTO late VALUES ('nobody')`));
      await expect(work).rejects.toMatchObject({ code: '23503' });
      await admin.query('DROP TABLE late');
      await database.ping();
    });

    it('commits a last statement that it does not wait for', async () => {
      const worked = await database.pipelined(async (tx, { last }) => {
        last(() => note(tx, 'a'));
        return 'worked';
      });
      expect(worked).toBe('worked');
      expect(await notes()).toEqual(['a']);
    });

    it('commits nothing when the last statement fails, and throws its error', async () => {
      await note(database.pool, 'a');
      await expect(
        database.pipelined(async (tx, { last }) => {
          await note(tx, 'b');
          last(() => note(tx, 'a'));
        }),
      ).rejects.toMatchObject({ code: '23505' });
      expect(await notes()).toEqual(['a']);
      await database.transaction((tx) => note(tx, 'c'));
      expect(await notes()).toEqual(['a', 'c']);
    });

    it('commits nothing when the last statement could not even be sent', async () => {
      const circular: Record<string, unknown> = {};
      circular.itself = circular;
      await expect(
        database.pipelined(async (tx, { last }) => {
          last(() => tx.query('INSERT INTO notes VALUES ($1)', [circular]));
        }),
      ).rejects.toThrow(/circular/);
      expect(await notes()).toEqual([]);
      await database.transaction((tx) => note(tx, 'c'));
      expect(await notes()).toEqual(['c']);
    });

    it('reads behind a lock what was committed before it was got, though both were sent at once', async () => {
      await note(database.pool, 'a');
      let hasLocked: () => void = () => {};
      const locked = new Promise<void>((resolve) => {
        hasLocked = resolve;
      });
      const first = database.transaction(async (tx) => {
        await tx.query('SELECT FROM notes FOR UPDATE');
        hasLocked();
        await waitsForLock(admin);
        await note(tx, 'b');
      });
      await locked;
      const second = database.transaction(async (tx) => {
        const [, { rows }] = await Promise.all([
          tx.query(`SELECT FROM notes WHERE text = 'a' FOR UPDATE`),
          tx.query<{ text: string }>('SELECT text FROM notes ORDER BY text'),
        ]);
        return rows.map(({ text }) => text);
      });
      await first;
      expect(await second).toEqual(['a', 'b']);
    });

    it('fails when its session is killed in a statement; the pool goes on', async () => {
      const failure = await failureOf(
        database.transaction(async (tx) => {
          await note(tx, 'lost');
          const sleep = failureOf(tx.query('SELECT pg_sleep(60)'));
          await kill(Number((tx as unknown as { processID: number }).processID));
          throw await sleep;
        }),
      );
      expect(failure).toMatchObject({ code: '57P01' });
      expect(isDatabaseUnavailable(failure)).toBe(true);
      expect(database.pool.totalCount).toBe(0);
      await database.transaction((tx) => note(tx, 'kept'));
      expect(await notes()).toEqual(['kept']);
    });

    it('fails when its session is killed between statements; the pool goes on', async () => {
      const failure = await failureOf(
        database.transaction(async (tx) => {
          const ended = emitted(tx, 'end');
          await kill(await pidOf(tx));
          await ended;
          await note(tx, 'lost');
        }),
      );
      expect(isDatabaseUnavailable(failure)).toBe(true);
      expect(database.pool.totalCount).toBe(0);
      await database.ping();
      expect(await notes()).toEqual([]);
    });

    it('keeps the work’s error when the rollback fails', async () => {
      const failure = new Error('first');
      const work = database.transaction(async (tx) => {
        await kill(await pidOf(tx));
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      expect(database.pool.totalCount).toBe(0);
    });
  });

  it('replaces an idle connection that broke and tells of it', async () => {
    const pid = await pidOf(database.pool);
    const removed = emitted(database.pool, 'remove');
    await kill(pid);
    await removed;
    expect(connectionErrors).toHaveLength(1);
    expect(await pidOf(database.pool)).not.toBe(pid);
  });

  it('reads NUMERIC and int8, alone and in arrays, as exact text; writes bigints', async () => {
    const largest = 10n ** 78n - 1n;
    const { rows } = await database.pool.query(
      `SELECT $1::numeric(78,0) AS "numeric", ARRAY[$1, 1]::numeric(78,0)[] AS numerics,
         $2::int8 AS "int8", ARRAY[$2]::int8[] AS int8s, count(*) AS "count"`,
      [largest, 2n ** 63n - 1n],
    );
    expect(rows).toEqual([
      {
        numeric: '9'.repeat(78),
        numerics: ['9'.repeat(78), '1'],
        int8: '9223372036854775807',
        int8s: ['9223372036854775807'],
        count: '1',
      },
    ]);
  });

  it('has Prisma read the same digits and the same instant over the same pool', async () => {
    const wide = '9'.repeat(78);
    // Far from UTC: PrismaPg takes the session's local time for UTC.
    await admin.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''',
         current_database()); END $$`,
    );
    const createdAt = new Date('2026-11-21T12:34:56.789Z');
    await database.prisma.treasury.create({ data: { id: 'trs_1', name: 'main', createdAt } });
    await database.prisma.wallet.create({
      data: { treasuryId: 'trs_1', id: 'wal_1', address: '0x01', position: 0 },
    });
    await database.prisma.walletBalance.create({
      data: { treasuryId: 'trs_1', walletId: 'wal_1', network: 'n', asset: 'a', balance: wide },
    });
    const balance = await database.prisma.walletBalance.findFirstOrThrow();
    expect(balance.balance.toFixed()).toBe(wide);
    const treasury = await database.prisma.treasury.findFirstOrThrow();
    expect(treasury.createdAt).toEqual(createdAt);
    const { rows } = await database.pool.query(
      'SELECT balance, created_at FROM wallet_balances, treasuries',
    );
    expect(rows).toEqual([{ balance: wide, created_at: createdAt }]);
    expect(database.pool.totalCount).toBe(1);
  });

  describe('bounds', () => {
    it('the time of a statement', async () => {
      const limited = open({ statementTimeoutMs: 50 });
      const failure = await failureOf(limited.pool.query('SELECT pg_sleep(60)'));
      expect(failure).toMatchObject({ code: '57014' });
      expect(isDatabaseUnavailable(failure)).toBe(true);
      await limited.close();
    });

    it('the idle time of a transaction', async () => {
      const limited = open({ idleInTransactionTimeoutMs: 50 });
      const failure = await failureOf(
        limited.transaction(async (tx) => {
          await emitted(tx, 'end');
          await tx.query('SELECT 1');
        }),
      );
      expect(isDatabaseUnavailable(failure)).toBe(true);
      await limited.close();
    });

    it('the wait for a connection', async () => {
      const limited = open({ maxConnections: 1, connectionTimeoutMs: 1_000 });
      const failure = await limited.transaction(() => failureOf(limited.ping()));
      expect(failure).toMatchObject({ message: 'timeout exceeded when trying to connect' });
      expect(isDatabaseUnavailable(failure)).toBe(true);
      await limited.close();
    });
  });

  it('closes after the work under way, once, and then is unavailable', async () => {
    let closed: Promise<void> | undefined;
    await database.transaction(async (tx) => {
      closed = database.close();
      await note(tx, 'kept');
    });
    await closed;
    expect(await notes()).toEqual(['kept']);
    await database.close();
    expect(isDatabaseUnavailable(await failureOf(database.ping()))).toBe(true);
  });

  it('tells an unavailable database from an error of the request', async () => {
    const nowhere = new Database('postgresql://nobody@127.0.0.1:1/nowhere');
    for (const attempt of [() => nowhere.ping(), () => nowhere.prisma.treasury.findFirst()]) {
      expect(isDatabaseUnavailable(await failureOf(attempt()))).toBe(true);
    }
    await nowhere.close();

    await note(database.pool, 'once');
    for (const attempt of [
      () => note(database.pool, 'once'),
      () => database.pool.query('SELECT nonsense'),
      () => database.prisma.treasury.findUniqueOrThrow({ where: { id: 'trs_none' } }),
    ]) {
      const failure = await failureOf(attempt());
      expect(failure).toBeDefined();
      expect(isDatabaseUnavailable(failure)).toBe(false);
    }
    for (const other of [new Error('other'), undefined, null, 'text']) {
      expect(isDatabaseUnavailable(other)).toBe(false);
    }
  });
});

describe('the embedded Postgres', () => {
  let parent: string;
  let dataDir: string;
  let pidFile: string;
  const servers: EmbeddedPostgres[] = [];
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    // For root, this is a directory that the server's user cannot enter.
    parent = await mkdtemp(join(tmpdir(), 'bursar-embedded-'));
    dataDir = join(parent, 'data');
    pidFile = join(dataDir, 'postgres', 'postmaster.pid');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const server of servers.splice(0)) await server.stop();
    // One that a test's child left behind.
    if (await findRunningEmbeddedPostgres(dataDir)) await (await start()).stop();
    await rm(parent, { recursive: true });
  });

  const start = async (
    options: Partial<Parameters<typeof startEmbeddedPostgres>[0]> = {},
  ): Promise<EmbeddedPostgres> => {
    const server = await startEmbeddedPostgres({ dataDir, ...options });
    servers.push(server);
    return server;
  };
  const query = async (url: string, sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    try {
      await client.connect();
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const serverPid = async (): Promise<number> =>
    Number.parseInt(await readFile(pidFile, 'utf8'), 10);

  /** Runs the server in a process of its own; resolves when it is up. */
  const startOwner = async (): Promise<{
    child: ChildProcess;
    url: string;
    next(): Promise<string>;
  }> => {
    const script = fileURLToPath(new URL('support/embedded-postgres-owner.mjs', import.meta.url));
    const child = spawn(process.execPath, [script, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A process group like a terminal's foreground one.
      detached: true,
    });
    children.push(child);
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => String((await lines.next()).value);
    return { child, url: await next(), next };
  };

  it('keeps its data from one start to the next, and its password from others', async () => {
    const first = await start();
    await query(first.url, `CREATE TABLE kept AS SELECT 'π' AS value`);
    expect(new URL(first.url)).toMatchObject({
      hostname: '127.0.0.1',
      port: String(first.port),
      pathname: '/bursar',
    });
    await expect(query(first.url.replace(/:[^:@]*@/, ':guess@'), 'SELECT 1')).rejects.toMatchObject(
      {
        code: '28P01',
      },
    );
    expect((await stat(join(dataDir, 'postgres.password'))).mode & 0o777).toBe(0o600);
    await first.stop();
    await first.stop();
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.password']);

    const second = await start();
    expect(await query(second.url, 'SELECT * FROM kept')).toEqual([{ value: 'π' }]);
  });

  it('is durable, and reachable on this machine’s loopback alone', async () => {
    const { url } = await start();
    const names = ['fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses'];
    expect(
      await query(
        url,
        `SELECT name, setting FROM pg_settings
         WHERE name IN ('${names.join(`', '`)}', 'unix_socket_directories') ORDER BY name`,
      ),
    ).toEqual([
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'listen_addresses', setting: '127.0.0.1' },
      { name: 'synchronous_commit', setting: 'on' },
      { name: 'unix_socket_directories', setting: '' },
    ]);
  });

  it('is found while it runs and only then', async () => {
    expect(await findRunningEmbeddedPostgres(dataDir)).toBeUndefined();
    const server = await start();
    expect(await findRunningEmbeddedPostgres(dataDir)).toBe(server.url);
    await server.stop();
    expect(await findRunningEmbeddedPostgres(dataDir)).toBeUndefined();
  });

  it('is one server when two start at once in an empty directory', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect(first.url).toBe(second.url);
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await readdir(dataDir)).filter((name) => name.includes('init'))).toEqual([]);
  });

  it('is refused to a second service, naming the first, whose server stays', async () => {
    const owner = await startOwner();
    await expect(start()).rejects.toThrow(`is served by process ${owner.child.pid} already`);
    expect(await query(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('is not refused for a process that has the number of the owner that is gone', async () => {
    const { child } = await startOwner();
    child.kill('SIGKILL');
    await once(child, 'exit');
    await writeFile(join(dataDir, 'postgres.owner'), `${process.ppid}\nservice\n1\n`);
    await (await start()).stop();
    expect(await findRunningEmbeddedPostgres(dataDir)).toBeUndefined();
  });

  it('is taken over by one process at a time', async () => {
    const { child, url } = await startOwner();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const rival = new pg.Client({ connectionString: url.replace(/bursar$/, 'postgres') });
    await rival.connect();
    let isOurs = false;
    try {
      // Another process does this that is about to take it over.
      await rival.query('SELECT pg_advisory_lock(2872773)');
      const taking = start().then((server) => {
        isOurs = true;
        return server;
      });
      await until('it waits for its turn', async () => {
        const { rows } = await rival.query(
          `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
        );
        return rows.length > 0 || isOurs;
      });
      expect(isOurs).toBe(false);
      await rival.query('SELECT pg_advisory_unlock_all()');
      await rival.end();
      await (await taking).stop();
    } finally {
      await rival.end().catch(() => {});
    }
  });

  it('is shared with a command, which does not stop it', async () => {
    const owner = await startOwner();
    const guest = await start({ use: 'command' });
    expect(guest.url).toBe(owner.url);
    await guest.stop();
    expect(await query(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('starts after it was killed, whatever its pid file says, and loses nothing', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS value');
    process.kill(await serverPid(), 'SIGKILL');
    const second = await start();
    expect(await query(second.url, 'SELECT * FROM kept')).toEqual([{ value: 1 }]);

    // After a restart of the machine or the container, the number may be any process's.
    await second.stop();
    await writeFile(pidFile, `${process.pid}\n/elsewhere\n0\n${second.port}\n`);
    expect(await findRunningEmbeddedPostgres(dataDir)).toBeUndefined();
    const third = await start();
    expect(await query(third.url, 'SELECT * FROM kept')).toEqual([{ value: 1 }]);
  });

  it('outlives a killed owner and is taken over by the next start', async () => {
    const { child, url } = await startOwner();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const server = await start();
    expect(server.url).toBe(url);
    await server.stop();
    expect(await findRunningEmbeddedPostgres(dataDir)).toBeUndefined();
  });

  it('serves its owner until the owner stops it, though Ctrl-C reaches the whole group', async () => {
    const { child, next } = await startOwner();
    process.kill(-(child.pid as number), 'SIGINT');
    expect(await next()).toBe('still there');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await findRunningEmbeddedPostgres(dataDir)).toBeUndefined();
  });

  it('ends when its owner ends without stopping it', async () => {
    const { child, url } = await startOwner();
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    const ended = emitted(client, 'end');
    child.kill('SIGTERM');
    await ended;
    // The next start waits for the end of the shutdown.
    const next = await start();
    expect(next.url).not.toBe(url);
    expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('leaves nothing behind when it is not to persist', async () => {
    const server = await start({ persistent: false, postgresFlags: ['-c', 'fsync=off'] });
    expect(await query(server.url, 'SHOW fsync')).toEqual([{ fsync: 'off' }]);
    await server.stop();
    expect(await readdir(dataDir)).toEqual([]);
  });

  it('says in one line why it does not start', async () => {
    await expect(start({ postgresFlags: ['-c', 'nonsense=1'] })).rejects.toThrow(
      /^The embedded Postgres did not start: unrecognized configuration parameter "nonsense"$/,
    );
    await rm(join(dataDir, 'postgres.password'));
    await expect(start()).rejects.toThrow(
      /^The embedded Postgres in .*\/postgres has lost its password file .*\/postgres.password$/,
    );
  });
});
