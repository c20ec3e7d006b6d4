import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A public test phrase (BIP-39's own vectors). Never one that holds anything. */
export const TEST_MNEMONIC =
  'legal winner thank year wave sausage worth useful legal winner thank yellow';

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 10;

/** dist/ of this build. */
export const DIST = fileURLToPath(new URL('..', import.meta.url));

/** The options of node that docs/going-live.md gives a process: those of `npm start`, and none for a worker. */
function startOptions(role: Role): string[] {
  if (role === 'worker') return [];
  const { scripts } = JSON.parse(readFileSync(join(DIST, '..', 'package.json'), 'utf8'));
  return (scripts.start as string).split(' ').filter((word) => word.startsWith('--'));
}

/** The kinds of process the service can be. */
export type Role = 'api' | 'worker' | 'all';

/** A process of the service. */
export interface ServiceProcess {
  readonly role: Role;
  readonly pid: number;
  /** Where it listens. */
  readonly url: string;
  /** From its start to its line "ready". */
  readonly readyMs: number;
  /** The end of its log. */
  lastWords(): Promise<string>;
  /** SIGTERM, and its end awaited. */
  stop(): Promise<void>;
}

/** Starts one process of the service, and does not wait. Its log goes to a file, as it would in use. */
export function spawnService(
  role: Role,
  environment: Readonly<Record<string, string>>,
  log: string,
): ChildProcess {
  return spawnProgram(['main.js'], { ...environment, BURSAR_ROLE: role }, log, startOptions(role));
}

/**
 * Starts a program of dist/, and does not wait. Its log goes to a file.
 *
 * @param command - the program and its arguments.
 */
export function spawnProgram(
  [program = '', ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
  log: string,
  nodeOptions: readonly string[] = [],
): ChildProcess {
  const file = openSync(log, 'a');
  const options = [...nodeOptions, ...(environment.BENCH_NODE_OPTIONS?.split(' ') ?? [])];
  const child = spawn(process.execPath, [...options, join(DIST, program), ...args], {
    env: { ...environment },
    stdio: ['ignore', file, file],
    // A process group of its own, so that Ctrl-C reaches only us and we stop it in order.
    detached: true,
  });
  closeSync(file);
  return child;
}

/** The end of a log. */
export async function lastWordsOf(log: string): Promise<string> {
  return (await readFile(log, 'utf8')).slice(-2_000);
}

/** Starts one process of the service, and waits until it is ready. */
export async function startService(
  role: Role,
  environment: Readonly<Record<string, string>>,
  log: string,
): Promise<ServiceProcess> {
  const began = performance.now();
  const child = spawnService(role, environment, log);
  const stop = stopper(child);
  const lastWords = () => lastWordsOf(log);
  for (;;) {
    const text = await readFile(log, 'utf8');
    const url = /Bursar is ready on (http:\/\/[0-9.:]+)/.exec(text)?.[1];
    if (url !== undefined) {
      const readyMs = performance.now() - began;
      return { role, pid: child.pid ?? 0, url, readyMs, lastWords, stop };
    }
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the service (${role}) ended:\n${await lastWords()}`);
    }
    if (performance.now() - began > READY_TIMEOUT_MS) {
      await stop();
      throw new Error(`the service (${role}) is not ready:\n${await lastWords()}`);
    }
    await delay(POLL_MS);
  }
}

/** A bearer token for an admin, from the service's own command. */
export async function mintAdminToken(
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const { stdout } = await run(process.execPath, [join(DIST, 'cli.js'), 'admin-token'], {
    env: environment,
  });
  return stdout.trim();
}

/** Ends a process: SIGTERM, SIGKILL when it takes too long, and its end awaited. */
export function stopper(child: ChildProcess): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
  };
  return () => {
    stopping ??= stop();
    return stopping;
  };
}
