import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from './until.js';

const run = promisify(execFile);
/** A start takes some 2 s of the processor; on a machine with other work that can be many more. */
const READY_TIMEOUT_MS = 90_000;

const ROOT = new URL('../../', import.meta.url).pathname;

/** How long the suite that is first may compile, on a busy machine. */
const BUILD_TIMEOUT_MS = 300_000;

/** Compiles the program as `npm start` does, once in a run of tests: the suite that asks first does it for all. */
export async function build(): Promise<void> {
  // Each run has a temporary directory of its own.
  const mark = join(tmpdir(), 'bursar-build');
  try {
    await mkdir(mark);
  } catch {
    const outcome = await until(
      'another suite has compiled the program',
      () => readFile(join(mark, 'outcome'), 'utf8').catch(() => undefined),
      BUILD_TIMEOUT_MS,
    );
    if (outcome !== BUILT) throw new Error(outcome);
    return;
  }
  const outcome = await run(process.execPath, ['build.mjs'], { cwd: ROOT }).then(
    () => BUILT,
    (error: { stdout?: string }) => `the program does not compile: ${error.stdout ?? error}`,
  );
  await writeFile(join(mark, 'draft'), outcome);
  await rename(join(mark, 'draft'), join(mark, 'outcome'));
  if (outcome !== BUILT) throw new Error(outcome);
}

const BUILT = 'built';

/** The sources that a program loaded, seen through its bundles: paths from the project's folder. */
export async function sourcesOf(urls: readonly string[]): Promise<string[]> {
  const bundles = JSON.parse(await readFile(join(ROOT, 'dist/bundles.json'), 'utf8'));
  return urls.flatMap((url) => {
    const path = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : url;
    return [path, ...(bundles[path] ?? [])];
  });
}

/** The service as its own process. */
export interface Program {
  readonly pid: number;
  /** Everything it has written so far. */
  output(): { stdout: string; stderr: string };
  /** Where it listens, once it says so. */
  ready(): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** Its exit code, once it has ended and everything it wrote was read. */
  readonly exited: Promise<number | null>;
}

const programs = new Set<ChildProcess>();

/**
 * Starts the service, or another command, with these variables and none of ours but PATH and HOME. Told to
 * end, it does so at once, unless said: nobody has to learn of it first.
 */
export function startProgram(
  environment: Record<string, string>,
  [command, ...args]: readonly [string, ...string[]] = [process.execPath, 'dist/main.js'],
): Program {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: '0',
      BURSAR_METRICS_PORT: '0',
      BURSAR_DRAIN_SECONDS: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  programs.add(child);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const exited = once(child, 'close').then(([code]) => {
    programs.delete(child);
    return code as number | null;
  });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ready: () =>
      until(
        'the service is ready',
        () => {
          if (child.exitCode !== null) throw new Error(`it ended: ${output.stderr}`);
          return /Bursar (?:is ready|listens) on (http:\/\/[0-9.:]+)/.exec(output.stdout)?.[1];
        },
        READY_TIMEOUT_MS,
      ),
    signal: (signal) => void child.kill(signal),
    exited,
  };
}

/** Ends whatever a failed test left running. */
export async function killPrograms(): Promise<void> {
  await Promise.all(
    [...programs].map((child) => {
      const gone = once(child, 'close');
      child.kill('SIGKILL');
      return gone;
    }),
  );
}

/** Output of `bursar <args>`, run beside the service with the same environment. */
export async function bursar(
  environment: Record<string, string>,
  ...args: string[]
): Promise<string> {
  const { stdout } = await run(process.execPath, ['dist/cli.js', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
  });
  return stdout.trim();
}

/** A port of 127.0.0.1 where nobody listens. */
export async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Memory of a process now, in bytes; {@link peakMemory} counts from here. Linux only. */
export async function memoryFromNow(pid: number): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  return peakMemory(pid);
}

/** The most memory a process has had at once since {@link memoryFromNow}, in bytes. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
