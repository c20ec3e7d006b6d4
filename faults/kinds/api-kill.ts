import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, type Outcome } from '../client.js';
import { type Fault, inTime, type Scene, since } from '../fault.js';
import { onCommit, startProxy } from '../proxy.js';
import { madeUpOrder, type ServiceProcess } from '../stack.js';
import { allReady } from '../supervised.js';
import { until } from '../until.js';
import { again } from './witness.js';

const READY_SECONDS = 10;
/** How long is waited before it is a failure, in milliseconds. */
const PATIENCE_MS = 60_000;

/** The steps of a payment at which its process is killed, as they are seen from outside. */
const POINTS = [
  'after the commit, before its answer',
  'before the reply',
  'before the commit',
  'around the signature',
  'at any time',
] as const;

/** SIGKILL of an API replica, at each step of a payment. */
export const apiKill: Fault = {
  name: 'api-kill',
  what: 'SIGKILL of an API replica: before and after commit, before and after signing, before the reply',
  pass: 'ready again in 10 s; the retry gets the one header there is',
  runs: 200,
  shortRuns: 3,
  async inject(scene) {
    const { stack, random, run } = scene;
    const victim = random.pick(stack.apis);
    const point = POINTS[run % POINTS.length] ?? 'at any time';
    const { ended, failures } =
      point === 'at any time' ? await anyTime(scene, victim) : await atPoint(scene, victim, point);
    await allReady([victim], PATIENCE_MS);
    const recoverySeconds = since(ended);
    return {
      kind: point,
      recoverySeconds,
      failures: [...(await failures()), ...inTime('ready', recoverySeconds, READY_SECONDS)],
    };
  },
};

interface Killed {
  /** When the process was gone. */
  readonly ended: number;
  /** The question comes once it is back. */
  failures(): Promise<string[]>;
}

async function anyTime({ random }: Scene, victim: ServiceProcess): Promise<Killed> {
  await delay(random.between(0, 200));
  const end = victim.ended();
  victim.signal('SIGKILL');
  await end;
  return { ended: performance.now(), failures: async () => [] };
}

/** Kills the process when one payment, known by its key, is at a step. Its agent then asks again. */
async function atPoint(
  { stack, agents, random }: Scene,
  victim: ServiceProcess,
  point: (typeof POINTS)[number],
): Promise<Killed> {
  const payer = await agents.newPayer();
  const key = `killed-${randomUUID()}`;
  const body = madeUpOrder(stack);
  const edge = await startProxy(Number(new URL(victim.url).port));
  const end = victim.ended();
  let isKilled = false;
  const kill = (): false => {
    isKilled = true;
    victim.signal('SIGKILL');
    return false;
  };
  if (point === 'before the commit') {
    victim.database.tap(onCommit(key, { sent: kill }));
  } else if (point === 'after the commit, before its answer') {
    victim.database.tap(onCommit(key, { answered: kill }));
  } else if (point === 'around the signature') {
    // The answer to the COMMIT is let through: what follows, within a millisecond or two, is the signature.
    const microseconds = random.between(0, 2_000);
    victim.database.tap(
      onCommit(key, {
        answered: () => {
          const at = performance.now() + microseconds / 1_000;
          const later = (): void => {
            if (performance.now() < at) setImmediate(later);
            else kill();
          };
          later();
          return true;
        },
      }),
    );
  } else {
    edge.tap(() => ({ fromServer: kill }));
  }
  let first: Outcome;
  try {
    // While the process restarts from an earlier fault, or refuses for a moment, the point is not reached.
    first = await until('the payment reaches its step', PATIENCE_MS, async () => {
      const outcome = await stack.tally.count(
        ask(`http://127.0.0.1:${edge.port}/v1/payments`, { token: payer.token, key, body }),
      );
      return isKilled ? outcome : undefined;
    });
    await end;
  } finally {
    victim.database.tap(undefined);
    await edge.stop();
  }
  const ended = performance.now();
  return {
    ended,
    async failures() {
      if (first.kind === 'answer' && first.status === 201) {
        stack.account.received(payer.grantId, key, first.body);
      }
      return again(stack.apis.indexOf(victim), { stack, agents }, payer, key, body);
    },
  };
}
