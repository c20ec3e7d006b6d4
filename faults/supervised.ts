import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { lastWordsOf } from '../bench/service.js';
import { ask } from './client.js';
import { startProxy, type TcpProxy } from './proxy.js';
import { until } from './until.js';

/** How long a supervisor waits before it starts again what ended, in milliseconds. */
const RESTART_MS = 100;

/** How long a stop may take before it is a kill, in milliseconds. */
const STOP_TIMEOUT_MS = 20_000;

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process under a supervisor: whenever it ends, it is started again, on the same port. */
export interface Supervised {
  /** Such as `api 1`. */
  readonly name: string;
  readonly url: string;
  /** Its way to Postgres, and nobody else's. */
  readonly database: TcpProxy;
  /** How often it was started. */
  readonly starts: number;
  /** The process of now, or of a moment ago. */
  readonly pid: number;
  /** Signals the process of now. */
  signal(signal: NodeJS.Signals): void;
  /** How the process of now ends. */
  ended(): Promise<End>;
  /** Whether its page of readiness says so. */
  isReady(): Promise<boolean>;
  lastWords(): Promise<string>;
  stop(): Promise<void>;
}

/** Puts one process under a supervisor. */
export async function supervise(options: {
  readonly name: string;
  readonly url: string;
  /** The path that answers 200 once it is ready. */
  readonly readyPath: string;
  readonly log: string;
  /** Postgres's own port. */
  readonly postgresPort: number;
  /** The process's variables, for a port of its proxy. */
  readonly environment: (databasePort: number) => Readonly<Record<string, string>>;
  /** Starts it, and does not wait. */
  readonly spawn: (environment: Readonly<Record<string, string>>, log: string) => ChildProcess;
}): Promise<Supervised> {
  const { name, url, readyPath, log } = options;
  const database = await startProxy(options.postgresPort);
  const environment = options.environment(database.port);
  let stopping = false;
  let starts = 0;
  let child: ChildProcess;
  let end: Promise<End>;
  const start = (): void => {
    starts += 1;
    child = options.spawn(environment, log);
    end = once(child, 'exit').then(([code, signal]) => ({ code, signal }) as End);
  };
  start();
  const keepUp = async (): Promise<void> => {
    while (!stopping) {
      await end;
      await delay(RESTART_MS);
      if (!stopping) start();
    }
  };
  void keepUp();
  return {
    name,
    url,
    database,
    get starts() {
      return starts;
    },
    get pid() {
      return child.pid ?? 0;
    },
    signal: (signal) => void child.kill(signal),
    ended: () => end,
    async isReady() {
      const outcome = await ask(`${url}${readyPath}`, { method: 'GET', timeoutMs: 5_000 });
      return outcome.kind === 'answer' && outcome.status === 200;
    },
    lastWords: () => lastWordsOf(log),
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      child.kill('SIGCONT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await end;
      clearTimeout(timer);
      await database.stop();
    },
  };
}

/** Waits until processes are ready. @returns after how many seconds. */
export async function allReady(
  processes: readonly Supervised[],
  withinMs: number,
): Promise<number> {
  const began = performance.now();
  for (const each of processes) {
    const left = Math.max(1, withinMs - (performance.now() - began));
    await until(`${each.name} is ready`, left, () => each.isReady());
  }
  return (performance.now() - began) / 1_000;
}
