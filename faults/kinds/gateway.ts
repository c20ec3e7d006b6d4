import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, inTime, since } from '../fault.js';
import type { Bought, Gateways } from '../gateways.js';
import { allReady, type Supervised } from '../supervised.js';

const ANSWERED_SECONDS = 60;
const PATIENCE_MS = 60_000;

/** Purchases under way at once. */
const PURCHASES = 9;

/** How long a replica stands still, in milliseconds: longer than until it is taken for dead. */
const STOPPED_MS = 12_000;

/** Orders of call and charge; purchases take turns. */
const ORDERS = ['after', 'before', 'stream'] as const;

const POINTS = ['killed', 'stopped past being taken for dead', 'cut off from Postgres'] as const;

/** A gateway ends, stands still or loses its database while it sells. */
export const gatewayFaults: Fault = {
  name: 'gateway',
  what: 'a gateway replica killed, stopped for 12 s, or cut off from Postgres, while it sells',
  pass: 'one call and one charge a payment at most; every answer is final in 60 s, and the same again',
  runs: 60,
  shortRuns: 1,
  async inject({ stack, random, run }) {
    const gateways = await stack.gateways();
    const victim = random.pick(gateways.replicas);
    const point = POINTS[run % POINTS.length] ?? 'killed';
    const began = performance.now();
    const purchases = Array.from({ length: PURCHASES }, (_, place) =>
      gateways.buy(`/${ORDERS[place % ORDERS.length]}/${randomUUID()}`, random.below(2)),
    );
    const ends = Promise.allSettled(purchases);
    await delay(random.between(0, 1_500));
    await harm(victim, point);
    const failures: string[] = [];
    for (const end of await ends) {
      if (end.status === 'rejected') failures.push((end.reason as Error).message);
      else failures.push(...(await wrongWith(gateways, end.value)));
    }
    const recoverySeconds = since(began);
    await allReady(gateways.replicas, PATIENCE_MS);
    return {
      kind: point,
      recoverySeconds,
      failures: [...failures, ...inTime('answering all', recoverySeconds, ANSWERED_SECONDS)],
    };
  },
};

async function harm(victim: Supervised, point: (typeof POINTS)[number]): Promise<void> {
  switch (point) {
    case 'killed': {
      const end = victim.ended();
      victim.signal('SIGKILL');
      await end;
      return;
    }
    case 'stopped past being taken for dead':
      victim.signal('SIGSTOP');
      await delay(STOPPED_MS);
      return victim.signal('SIGCONT');
    case 'cut off from Postgres':
      victim.database.cut();
      return;
  }
}

/** Violations by one purchase: its answer must be the same at either replica, after one call at most. */
async function wrongWith(gateways: Gateways, bought: Bought): Promise<string[]> {
  const { path, status, body } = bought;
  const calls = gateways.calls(path);
  const wrong: string[] = [];
  if (calls > 1) wrong.push(`${path}: the API was called ${calls} times for one payment`);
  if (status === 200 && calls !== 1) wrong.push(`${path}: answered without a call`);
  for (const replica of [0, 1]) {
    const again = await gateways.again(path, replica);
    if (again.status === status && (status !== 200 || again.body === body)) continue;
    wrong.push(`${path}: answered ${status}, and then ${again.status}: ${again.body}`);
  }
  if (gateways.calls(path) !== calls) wrong.push(`${path}: asking again called the API again`);
  return wrong;
}
