// A Postgres of our own, for machines that have none.
import { once } from 'node:events';
import { readFile, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { makeDirectory } from '../make-directory.js';
import { type Files, filesIn, initialise, NAME } from './postgres-cluster.js';
import {
  claim,
  type EmbeddedPostgres,
  findServer,
  isAlive,
  ownServer,
  POLL_MS,
  type RunningServer,
  readIfPresent,
  readOwner,
  type ServerUse,
  serves,
  signal,
  urlOf,
  withClient,
} from './postgres-owner.js';
import { messageOf, type Program, prepareProgram, run, watch } from './postgres-program.js';

/** How long a start waits for somebody else's start, or for a killed server's children to be gone. */
const BUSY_TIMEOUT_MS = 30_000;
/** Where and how {@link startEmbeddedPostgres} runs its server. */
export interface EmbeddedPostgresOptions {
  /** Made if absent. Holds the cluster in `postgres/` and beside it its password and its owner's pid. */
  dataDir: string;
  /** Default `service`. */
  use?: ServerUse;
  /** False removes the cluster when it is stopped. Default true. */
  persistent?: boolean;
  /** Arguments of the server after our own, such as `['-c', 'fsync=off']` in tests. */
  postgresFlags?: readonly string[];
  /** Hears every line that the server writes, and when it ends unasked. */
  log?: (line: string) => void;
}

/** The data directory belongs to another service that runs. */
class DataDirTakenError extends Error {}

/**
 * Starts the Postgres of `dataDir`, initialised on first use, on a free port of 127.0.0.1. If it already runs, a
 * command joins it and a second service is refused; and if whoever started it is gone (killed), takes it over.
 *
 * The server is in a process group of its own, so that Ctrl-C reaches the service and not it; the caller
 * calls `stop()` last. If the process ends without, the server is told to stop then; a SIGKILL leaves
 * it running for the next start to take over.
 *
 * Postgres refuses to run as root: there it runs as the user `postgres`, created if need be.
 *
 * @throws Error with one line, ending in Postgres's own words where it has any; or naming the process that the
 *   directory belongs to
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  await makeDirectory(options.dataDir);
  const files = filesIn(await realpath(options.dataDir));
  const giveUpAt = Date.now() + BUSY_TIMEOUT_MS;
  let program: Program | undefined;
  for (;;) {
    const running = await findServer(files);
    const found = running ? await useServer(running, files, options) : await isOthers(files);
    if (found === 'busy') {
      if (Date.now() > giveUpAt) throw new Error(await whyBusy(files));
      await delay(POLL_MS);
      continue;
    }
    if (found) return found;
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

/** Uses a server that runs: takes it over, joins its owner, or says that its owner needs it for a moment. */
async function useServer(
  running: RunningServer,
  files: Files,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres | 'busy'> {
  const { pid, port, url } = running;
  const owner = await claim(running, files, options.use);
  if (owner === undefined) {
    return ownServer(running, files, options.persistent ?? true, async () => {
      // Not our child, so nobody tells us of its end.
      while (serves(pid, files.cluster)) await delay(POLL_MS);
    });
  }
  if (owner.pid !== process.pid) {
    if (owner.use === 'command') return 'busy';
    if (options.use === undefined || options.use === 'service') {
      throw new DataDirTakenError(
        `BURSAR_DATA_DIR: ${files.directory} is served by process ${owner.pid} already; stop that process, or set ` +
          'BURSAR_DATA_DIR to another folder. Several processes of one service need DATABASE_URL',
      );
    }
  }
  return { port, url, stop: async () => {} };
}

/** Whether a process that runs has lost its server, or is just stopping: nobody else may start one beside it. */
async function isOthers(files: Files): Promise<'busy' | undefined> {
  const owner = await readOwner(files);
  return owner && owner.pid !== process.pid ? 'busy' : undefined;
}

async function whyBusy(files: Files): Promise<string> {
  const pid = (await readOwner(files))?.pid;
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return `BURSAR_DATA_DIR: ${files.directory} is in use by ${who}; try again when it has ended`;
}

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
    const inUse = /lock file "[^"]*" (already exists|is empty)|pre-existing shared memory/;
    return { reason, inUse: inUse.test(reason) };
  }
  const password = await readFile(files.password, 'utf8');
  // It has written a line, so it has a pid.
  const running = { pid: child.pid as number, port, url: urlOf(port, NAME, password) };
  // It is ours, unless another process was faster to find it; then we use it as any other.
  const claimed = await claim(running, files, options.use).catch((error: unknown) => {
    signal(running.pid, files, 'SIGINT');
    throw error;
  });
  if (claimed !== undefined) {
    if (claimed.server !== running.pid) {
      signal(running.pid, files, 'SIGINT');
      await output.ended;
    }
    return { reason: 'it has another owner', inUse: true };
  }
  const server = ownServer(running, files, options.persistent ?? true, () => output.ended);
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
