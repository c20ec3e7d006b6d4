// The Postgres and the Redis of a run: processes of its own, to be stopped, killed and started again.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { isFree } from '../sandbox/ports.js';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import type { EmbeddedPostgres } from '../src/database/postgres-owner.js';
import { random } from './random.js';
import { until } from './until.js';

const run = promisify(execFile);

/** Where a server's port is picked: below what systems hand out for outgoing connections. */
const PORTS = { from: 12_000, to: 30_000 } as const;
const picking = random(process.pid, 'ports');

/** A free port that no outgoing connection takes meanwhile: a server that is started again finds it free. */
export async function pickPort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + picking.below(PORTS.to - PORTS.from);
    if (await isFree(port)) return port;
  }
}

/** A Postgres with a cluster of its own. */
export interface PostgresServer {
  /** A URL for the superuser; the port is another one after each start. */
  readonly url: string;
  readonly port: number;
  /** The file system that holds the cluster, when it is a small one that can be filled. */
  readonly smallDisk: string | undefined;
  /** Signals the postmaster; SIGQUIT is its immediate shutdown. Resolves when it is gone. */
  end(signal: 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  /** Whether the postmaster still lives. */
  isUp(): boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** How big the small disk is, in MiB: the cluster of a run and its log fit, with some to spare. */
const SMALL_DISK_MIB = 1_536;

/** Room for two APIs and two workers whose queues are on Postgres, too. */
const FLAGS = ['max_connections=200', 'max_wal_size=128MB', 'min_wal_size=32MB'];

/**
 * Starts a Postgres.
 *
 * @param smallDisk - puts the cluster on a file system of its own, which needs the right to mount one.
 */
export async function startPostgres(
  directory: string,
  smallDisk: boolean,
): Promise<PostgresServer> {
  await mkdir(directory, { mode: 0o711 });
  if (smallDisk) await run('mount', mountArguments(directory));
  let server: EmbeddedPostgres | undefined;
  let pid = 0;
  const isUp = (): boolean => isAlive(pid);
  const start = async (): Promise<void> => {
    server = await startEmbeddedPostgres({
      dataDir: directory,
      postgresFlags: FLAGS.flatMap((flag) => ['-c', flag]),
    });
    pid = Number.parseInt(
      await readFile(join(directory, 'postgres', 'postmaster.pid'), 'utf8'),
      10,
    );
  };
  await start();
  const running = (): EmbeddedPostgres => {
    if (!server) throw new Error('Postgres was never started');
    return server;
  };
  return {
    get url() {
      return running().url;
    },
    get port() {
      return running().port;
    },
    smallDisk: smallDisk ? directory : undefined,
    isUp,
    start,
    async end(signal) {
      signalIfAlive(pid, signal);
      // Also waits for the sessions' processes, which notice by and by.
      await until('the postmaster is gone', 30_000, () => !isUp());
      await running().stop();
    },
    async stop() {
      await running().stop();
      if (smallDisk) await run('umount', ['-l', directory]);
    },
  };
}

/** Why a small file system cannot be mounted here; undefined when it can. */
export async function whyNoSmallDisk(directory: string): Promise<string | undefined> {
  const place = join(directory, 'probe');
  await mkdir(place);
  try {
    await run('mount', mountArguments(place));
    await run('umount', [place]);
    return undefined;
  } catch (error) {
    const words = (error as { stderr?: string }).stderr || String(error);
    return `a small file system cannot be mounted here: ${words.trim().split('\n')[0]}`;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

function mountArguments(place: string): string[] {
  return ['-t', 'tmpfs', '-o', `size=${SMALL_DISK_MIB}m,mode=0711`, 'bursar-faults', place];
}

/** A Redis of our own, which keeps its data over a restart as one in use would. */
export interface RedisServer {
  readonly url: string;
  /** For looking behind. */
  readonly client: Redis;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** SIGKILL, its end awaited. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Why there can be no Redis here; undefined when there can. */
export async function whyNoRedis(): Promise<string | undefined> {
  return run('redis-server', ['--version']).then(
    () => undefined,
    () => 'there is no redis-server on this machine',
  );
}

/** Starts a Redis. */
export async function startRedis(directory: string): Promise<RedisServer> {
  await mkdir(directory);
  const port = await pickPort();
  let child: ChildProcess | undefined;
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: 5_000,
    retryStrategy: () => 200,
  });
  client.on('error', () => {});
  const start = async (): Promise<void> => {
    const options = {
      port,
      bind: '127.0.0.1',
      dir: directory,
      save: '',
      appendonly: 'yes',
      'maxmemory-policy': 'noeviction',
    };
    child = spawn(
      'redis-server',
      Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
      { stdio: 'ignore', detached: true },
    );
    await until('Redis answers', 20_000, async () => (await client.ping()) === 'PONG');
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    // One that is paused hears of nothing but this.
    child.kill('SIGCONT');
    await gone;
  };
  await client.connect().catch(() => {});
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    signal: (signal) => void child?.kill(signal),
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      client.disconnect();
      await end('SIGTERM');
    },
  };
}

/** Takes all the room that is left on a file system. @returns gives it back. */
export async function fill(directory: string): Promise<() => Promise<void>> {
  const ballast = join(directory, 'ballast');
  // Until it fails: there is no room for one byte more.
  const chunk = Buffer.alloc(1 << 20);
  try {
    for (let n = 0; n < SMALL_DISK_MIB; n += 1) await writeFile(ballast, chunk, { flag: 'a' });
    throw new Error(`${directory} holds more than ${SMALL_DISK_MIB} MiB: it is no small disk`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return () => rm(ballast, { force: true });
}

/** Whether a process lives. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Signals a process, unless it is gone. */
function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  if (pid > 0 && isAlive(pid)) process.kill(pid, signal);
}
