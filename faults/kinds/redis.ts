import { setTimeout as delay } from 'node:timers/promises';
import { drained } from '../check.js';
import { type Fault, type Injected, inTime, type Scene, since } from '../fault.js';
import type { RedisServer } from '../servers.js';
import { allReady } from '../supervised.js';

const DRAINED_SECONDS = 60;
const PATIENCE_MS = 150_000;
const PAUSE_MS = 60_000;
const SHORT_PAUSE_MS = 8_000;
const STAYS_MS = 6_000;

/** All three share this: payments go on, and a process that lived through it does the work that waited. */
async function through(
  { stack }: Scene,
  kind: string,
  fault: (redis: RedisServer) => Promise<void>,
): Promise<Injected> {
  const { redis } = stack;
  if (!redis) throw new Error('the queues are not on Redis');
  const startsBefore = starts(stack);
  await fault(redis);
  const over = performance.now();
  // Longer than a worker takes to see that its schedules are gone.
  const recoverySeconds = Math.max(
    await drained(stack, STAYS_MS, PATIENCE_MS),
    await readyAfter(stack, over),
  );
  const restarted = starts(stack) - startsBefore;
  return {
    kind,
    recoverySeconds,
    failures: [
      ...inTime('draining the backlog', recoverySeconds, DRAINED_SECONDS),
      ...(restarted > 0 ? [`${restarted} processes ended by themselves`] : []),
    ],
  };
}

async function readyAfter(stack: Scene['stack'], over: number): Promise<number> {
  const before = since(over);
  const took = await allReady(stack.processes, PATIENCE_MS);
  // Those that were ready when first asked were so all the while.
  return took < 1 ? 0 : before + took;
}

const starts = ({ processes }: Scene['stack']): number =>
  processes.reduce((sum, each) => sum + each.starts, 0);

const PASS = 'payments go on (99.9 % answered), the backlog is drained in 60 s, no restart';
const COMMON = {
  pass: PASS,
  runs: 30,
  shortRuns: 1,
  queues: 'redis',
  answeredShare: 0.999,
} as const;

/** Redis stands still for a minute, with its connections up. */
export const redisPaused: Fault = {
  ...COMMON,
  name: 'redis-paused',
  what: 'Redis paused for 60 s (SIGSTOP)',
  inject: (scene) =>
    through(scene, 'paused', async (redis) => {
      redis.signal('SIGSTOP');
      await delay(scene.isShort ? SHORT_PAUSE_MS : PAUSE_MS);
      redis.signal('SIGCONT');
    }),
};

/** Redis is killed, and comes back with what its log has. */
export const redisKilled: Fault = {
  ...COMMON,
  name: 'redis-killed',
  what: 'Redis killed, and back after up to 3 s',
  inject: (scene) =>
    through(scene, 'killed', async (redis) => {
      await delay(scene.random.between(0, 200));
      await redis.kill();
      await delay(scene.random.between(0, 3_000));
      await redis.start();
    }),
};

/** Redis loses everything in the middle. */
export const redisWiped: Fault = {
  ...COMMON,
  name: 'redis-wiped',
  what: 'Redis wiped (FLUSHALL)',
  inject: (scene) =>
    through(scene, 'wiped', async (redis) => {
      await delay(scene.random.between(0, 500));
      await redis.client.flushall();
    }),
};
