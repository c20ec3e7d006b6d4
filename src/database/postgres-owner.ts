import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { type Files, NAME } from './postgres-cluster.js';

/** How long a stopping server may take for its last checkpoint; without it, the next start recovers. */
const STOP_TIMEOUT_MS = 10_000;

/** How often a look is repeated for what nobody tells of. */
export const POLL_MS = 50;

/** Advisory lock under which a process becomes a server's owner: the digits of "bursar". */
const OWNER_LOCK = 2_872_773;

/**
 * Why a process uses the server. A service has it alone, for as long as it runs. A command joins a service's
 * server; without one it has its own for a moment, which others wait for. A gateway joins a service's or another
 * gateway's; without one it has its own for as long as it runs.
 */
export type ServerUse = 'service' | 'command' | 'gateway';

/** A running server. */
export interface EmbeddedPostgres {
  /** A `postgresql://` URL of the database `bursar`, as superuser and with the password. */
  readonly url: string;
  /** On 127.0.0.1; another one after each start. */
  readonly port: number;
  /**
   * Ends the server's sessions and stops it; resolves when its process is gone. Calling it again is
   * harmless. Does nothing when the server belongs to a service that this command has joined.
   */
  stop(): Promise<void>;
}

/** Server that answers. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
}

export async function findServer(files: Files): Promise<RunningServer | undefined> {
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
export function serves(pid: number, cluster: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === cluster;
  } catch (error) {
    // Gone or a zombie; else there is no /proc, or we may not look into this process.
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync('/proc/self');
    return !gone && isAlive(pid);
  }
}

/** Process that a server belongs to. */
export interface Owner {
  readonly pid: number;
  readonly use: ServerUse;
  /** The pid of the server it owns. */
  readonly server: number;
}

/**
 * Becomes the owner of a running server, unless it has one that lives. Of several processes that try, one does:
 * they take turns at a lock in the server itself, which no crash leaves behind.
 *
 * @returns the owner that it has already, or undefined when it is ours now.
 */
export async function claim(
  { pid, port }: RunningServer,
  files: Files,
  use: ServerUse = 'service',
): Promise<Owner | undefined> {
  const password = await readFile(files.password, 'utf8');
  return withClient(urlOf(port, 'postgres', password), async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [OWNER_LOCK]);
    const owner = await readOwner(files);
    // A server of ours that was killed leaves its file behind.
    const isOld = owner?.pid === process.pid && owner.server !== pid;
    if (owner && !isOld) return owner;
    const lines = [process.pid, use, startedAt(process.pid) ?? '', pid];
    await writeFile(files.owner, `${lines.join('\n')}\n`);
    return undefined;
  });
}

/** The process that the server belongs to, while it lives. A number that was given to another process is not it. */
export async function readOwner(files: Files): Promise<Owner | undefined> {
  const [pid, use, began, server] = ((await readIfPresent(files.owner)) ?? '').split('\n');
  if (!Number(pid) || !isAlive(Number(pid))) return undefined;
  if (began && startedAt(Number(pid)) !== began) return undefined;
  return {
    pid: Number(pid),
    use: use === 'command' || use === 'gateway' ? use : 'service',
    server: Number(server),
  };
}

/** When a process started, in the kernel's ticks since boot; undefined where there is no /proc. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold anything; the start is the 20th after it (proc(5), field 22).
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** The duty of the server's owner: stops it, even where the process just ends. */
export function ownServer(
  { pid, port, url }: RunningServer,
  files: Files,
  isPersistent: boolean,
  ended: () => Promise<void>,
): EmbeddedPostgres {
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
    if (!isPersistent) {
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

export function urlOf(port: number, database: string, password: string): string {
  return `postgresql://${NAME}:${password}@127.0.0.1:${port}/${database}`;
}

export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => T | Promise<T>,
): Promise<T> {
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

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function signal(pid: number, files: Files, name: NodeJS.Signals): void {
  if (!serves(pid, files.cluster)) return;
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended just now.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
