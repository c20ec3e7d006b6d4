import { setTimeout as delay } from 'node:timers/promises';
import { type Comparison, type Reading, serve, type Turns, takeTurns } from './comparing.js';
import { type Helper, type Lab, startHelper } from './lab.js';
import { openPaying, type Paying } from './payments.js';
import type { Listened, ListenOrder } from './protocol.js';

/** Streams that one process has open. */
const STREAMS = 50;

/** The kinds of events by which an orchestrator reacts: none of them is of a payment that goes through. */
const ATTENTION = ['grant.*', 'approval.needed', 'payment.refused', 'treasury.*'];

const LISTENED: Readonly<Record<string, readonly string[]>> = {
  'streams and a webhook, what needs attention': ATTENTION,
  'streams and a webhook, every payment': ['payment.*'],
};

/** The hot path while nobody listens to events, and while streams and a webhook do. */
export async function compareListening(
  lab: Lab,
  turns: Turns,
  progress: (what: string) => void,
): Promise<Comparison> {
  const worlds: Paying[] = [];
  const listeners: Helper<ListenOrder, Listened>[] = [];
  try {
    const unheard = await openPaying(lab, 'hot-root', 'api');
    worlds.push(unheard);
    const readings: Record<string, () => Promise<Reading>> = {
      unheard: () => serve(unheard, turns.seconds),
    };
    for (const [name, kinds] of Object.entries(LISTENED)) {
      const paying = await openPaying(lab, 'hot-root', 'api', {
        environment: { BURSAR_WEBHOOK_ALLOW: '127.0.0.1/32' },
      });
      worlds.push(paying);
      const listener: Helper<ListenOrder, Listened> = startHelper('listener');
      listeners.push(listener);
      await listen(paying, listener, kinds);
      readings[name] = () => serve(paying, turns.seconds);
    }
    const compared = await takeTurns(turns, readings, worlds, progress);
    for (const [place, listener] of listeners.entries()) {
      const { streams, deliveries } = await listener.run({});
      const events = streams.reduce((sum, each) => sum + each, 0);
      progress(
        `  ${Object.keys(LISTENED)[place]}: ${events} events by streams, ${deliveries} by webhook`,
      );
    }
    return compared;
  } finally {
    for (const listener of listeners) await listener.stop();
    for (const paying of worlds) await paying.stop();
  }
}

/** Opens the streams and the webhook of an admin, and waits until each of them has heard of a payment or a grant. */
async function listen(
  paying: Paying,
  listener: Helper<ListenOrder, Listened>,
  kinds: readonly string[],
): Promise<void> {
  const [api] = paying.apis;
  if (!api) throw new Error('no process answers');
  const token = await paying.world.adminToken();
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await fetch(api.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok)
      throw new Error(`${path} was answered ${answer.status}: ${await answer.text()}`);
  };
  const { webhookUrl } = await listener.run({
    streams: { url: api.url, token, count: STREAMS, kinds },
  });
  await post('/v1/webhooks', { url: webhookUrl, kinds });
  // One event of either sort: a grant, and a payment under it.
  await post('/v1/grants', { holder: 'listened to', budget: '1.00', ttlSeconds: 3_600 });
  await paying.load({ clients: 1, warmUpSeconds: 0, seconds: 0.05 });
  for (let tries = 0; tries < 600; tries += 1) {
    const { streams, deliveries } = await listener.run({});
    if (deliveries > 0 && streams.every((events) => events > 0)) return;
    await delay(50);
  }
  throw new Error('no event came by a stream or the webhook');
}
