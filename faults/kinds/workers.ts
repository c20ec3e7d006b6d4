import { setTimeout as delay } from 'node:timers/promises';
import { drained } from '../check.js';
import { type Fault, inTime, type Scene, since } from '../fault.js';
import { allReady, type Supervised } from '../supervised.js';
import { until } from '../until.js';

const DRAINED_SECONDS = 60;
const PATIENCE_MS = 150_000;
const STAYS_MS = 1_500;

/** BullMQ's lock lasts 30 s, and stalled jobs are looked for as often. */
const STOPPED_MS = 35_000;
const SHORT_STOPPED_MS = 5_000;

const POINTS = ['before a commit', 'after a commit', 'at any time'] as const;

/** Texts in a worker's transaction that ends payments, or seals events. */
const WORK = /UPDATE payments p SET|INSERT INTO leaves/;

/** Does something when a job of a worker is at a point: in its transaction, as it passes to Postgres. */
async function inJob(
  { random }: Scene,
  worker: Supervised,
  point: (typeof POINTS)[number],
  act: () => void,
): Promise<void> {
  if (point === 'at any time') {
    await delay(random.between(0, 1_000));
    act();
    return;
  }
  let isDone = false;
  const once = (passes: boolean): boolean => {
    if (isDone) return true;
    isDone = true;
    act();
    return passes;
  };
  worker.database.tap(() => {
    let works = false;
    return {
      fromClient(chunk) {
        if (!works && WORK.test(chunk.toString('latin1'))) works = true;
        return works && point === 'before a commit' && chunk.includes('COMMIT\0')
          ? once(false)
          : true;
      },
      fromServer(chunk) {
        if (!works || !chunk.includes('COMMIT\0')) return true;
        works = false;
        return point === 'after a commit' ? once(false) : true;
      },
    };
  });
  try {
    await until(`a job of ${worker.name} is ${point}`, PATIENCE_MS, () => isDone);
  } finally {
    worker.database.tap(undefined);
  }
}

/** SIGKILL of a worker in the middle of a job. */
export const workerKilled: Fault = {
  name: 'worker-killed',
  what: 'SIGKILL of a worker in a job: before and after the commit of its work',
  pass: 'each effect once; the backlog is drained in 60 s',
  runs: 200,
  shortRuns: 2,
  shortOnPostgres: true,
  async inject(scene) {
    const { stack, random, run } = scene;
    const worker = random.pick(stack.workers);
    const point = POINTS[run % POINTS.length] ?? 'at any time';
    const end = worker.ended();
    await inJob(scene, worker, point, () => worker.signal('SIGKILL'));
    await end;
    const recoverySeconds = await drained(stack, STAYS_MS, PATIENCE_MS);
    await allReady([worker], PATIENCE_MS);
    return {
      kind: point,
      recoverySeconds,
      failures: inTime('draining the backlog', recoverySeconds, DRAINED_SECONDS),
    };
  },
};

/** A worker stands still longer than its lock lasts: the other does its job, and then it goes on. */
export const workerStopped: Fault = {
  name: 'worker-stopped',
  what: 'a worker stopped in a job (SIGSTOP) for 35 s, past its lock of 30 s, then let go on',
  pass: 'each effect once; the backlog is drained in 60 s',
  runs: 30,
  shortRuns: 1,
  async inject(scene) {
    const { stack, random, run, isShort } = scene;
    const worker = random.pick(stack.workers);
    const point = POINTS[run % POINTS.length] ?? 'at any time';
    await inJob(scene, worker, point, () => worker.signal('SIGSTOP'));
    const stopped = performance.now();
    let alone = Number.NaN;
    try {
      // The other worker has the work, whatever locks and rows the stopped one holds.
      alone = await drained(stack, STAYS_MS, PATIENCE_MS);
    } finally {
      const left = (isShort ? SHORT_STOPPED_MS : STOPPED_MS) - since(stopped) * 1_000;
      await delay(Math.max(0, left));
      worker.signal('SIGCONT');
    }
    const after = await drained(stack, STAYS_MS, PATIENCE_MS);
    await allReady([worker], PATIENCE_MS);
    return {
      kind: point,
      recoverySeconds: Math.max(alone, after),
      failures: [
        ...inTime('the other worker alone', alone, DRAINED_SECONDS),
        ...inTime('draining the backlog', after, DRAINED_SECONDS),
      ],
    };
  },
};
