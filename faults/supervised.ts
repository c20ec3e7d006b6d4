import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { lastWordsOf, type Role, spawnService } from '../bench/service.js';
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

/** A process of the service under a supervisor: whenever it ends, it is started again, on the same port. */
export interface Supervised {
  /** Such as `api 1`. */
  readonly name: string;
  readonly role: Role;
  readonly url: string;
  readonly metricsUrl: string;
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
  /** Whether `/readyz` says so. */
  isReady(): Promise<boolean>;
  lastWords(): Promise<string>;
  stop(): Promise<void>;
}

/** Puts one process of the service under a supervisor. */
export async function supervise(options: {
  readonly name: string;
  readonly role: Role;
  readonly port: number;
  readonly metricsPort: number;
  readonly log: string;
  /** Postgres's own port. */
  readonly postgresPort: number;
  /** The process's variables, for a port of its proxy. */
  readonly environment: (databasePort: number) => Readonly<Record<string, string>>;
}): Promise<Supervised> {
  const { name, role, port, metricsPort, log } = options;
  const database = await startProxy(options.postgresPort);
  const environment = {
    ...options.environment(database.port),
    PORT: String(port),
    BURSAR_METRICS_PORT: String(metricsPort),
  };
  const url = `http://127.0.0.1:${port}`;
  let stopping = false;
  let starts = 0;
  let child: ChildProcess;
  let end: Promise<End>;
  const start = (): void => {
    starts += 1;
    child = spawnService(role, environment, log);
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
    role,
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
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
      const outcome = await ask(`${url}/readyz`, { method: 'GET', timeoutMs: 5_000 });
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
