import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ask } from '../client.js';
import { type Fault, inTime, since } from '../fault.js';
import { onCommit } from '../proxy.js';
import { madeUpOrder } from '../stack.js';
import { allReady } from '../supervised.js';
import { until } from '../until.js';
import { again } from './witness.js';

const RECOVERED_SECONDS = 30;
const PATIENCE_MS = 90_000;

const WAYS = [
  'COMMIT’s answer lost',
  'cut before COMMIT',
  'COMMIT’s answer swallowed',
  'all connections cut',
  'all delayed',
  'half open',
] as const;

/** The way to Postgres breaks; Postgres itself does not. */
export const cutOff: Fault = {
  name: 'cut',
  what: 'connections to Postgres cut, delayed, half open; COMMIT lost, its answer lost or swallowed',
  pass: 'the retry gets the same header',
  runs: 50,
  shortRuns: 3,
  async inject(scene) {
    const { stack, agents, random, run } = scene;
    const way = WAYS[run % WAYS.length] ?? 'all connections cut';
    const place = random.below(2) as 0 | 1;
    const api = stack.apis[place];
    const { database } = api;
    const payer = await agents.newPayer();
    const key = `cut-${randomUUID()}`;
    const body = madeUpOrder(stack);
    const once = () =>
      stack.tally
        .count(ask(`${api.url}/v1/payments`, { token: payer.token, key, body }))
        .then((outcome) => {
          if (outcome.kind === 'answer' && outcome.status === 201) {
            stack.account.received(payer.grantId, key, outcome.body);
          }
          return outcome;
        });
    let isHit = false;
    const hit = (cut?: () => void): false => {
      isHit = true;
      cut?.();
      return false;
    };
    try {
      if (way === 'all delayed') {
        database.delay(random.between(50, 300));
        await once();
        await delay(2_000);
      } else if (way === 'half open') {
        database.swallow(true);
        const asked = once();
        await delay(random.between(1_000, 4_000));
        database.swallow(false);
        database.cut();
        await asked;
      } else if (way === 'all connections cut') {
        const asked = once();
        await delay(random.between(0, 20));
        database.cut();
        await asked;
      } else {
        database.tap(
          onCommit(
            key,
            way === 'cut before COMMIT'
              ? { sent: hit }
              : { answered: way === 'COMMIT’s answer lost' ? hit : () => hit() },
          ),
        );
        const asked = until('the COMMIT passes', PATIENCE_MS, async () => {
          await once();
          return isHit;
        });
        await until('the COMMIT is lost', PATIENCE_MS, () => isHit);
        // Swallowed: the connection stands, and nobody will ever answer on it.
        if (way === 'COMMIT’s answer swallowed') await delay(random.between(200, 2_000));
        database.tap(undefined);
        database.cut();
        await asked;
      }
    } finally {
      database.tap(undefined);
      database.delay(0);
      database.swallow(false);
    }
    const over = performance.now();
    await allReady([api], PATIENCE_MS);
    const recoverySeconds = since(over);
    return {
      kind: way,
      recoverySeconds,
      failures: [
        ...(await again(place, scene, payer, key, body)),
        ...inTime('ready', recoverySeconds, RECOVERED_SECONDS),
      ],
    };
  },
};
