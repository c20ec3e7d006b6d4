import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { deadPort } from './program.js';
import { until } from './until.js';

/** A Redis server of a test's own, which it may freeze and kill. */
export interface OwnRedis {
  readonly url: string;
  readonly port: number;
  /** SIGSTOP freezes it: connections stay, and nobody answers. SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

/** Whether this machine has a Redis server. */
export function hasRedis(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Starts a Redis server that keeps nothing, on a free port of 127.0.0.1. */
export async function startRedis(): Promise<OwnRedis> {
  const port = await deadPort();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore' },
  );
  const gone = once(child, 'exit');
  const url = `redis://127.0.0.1:${port}`;
  await until('Redis answers', async () => {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return await redis.ping();
    } catch {
      return undefined;
    } finally {
      redis.disconnect();
    }
  });
  return {
    url,
    port,
    signal: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
