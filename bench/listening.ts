import { setTimeout as delay } from 'node:timers/promises';
import { type Comparison, type Reading, serve, type Turns, takeTurns } from './comparing.js';
import { type Helper, type Lab, startHelper } from './lab.js';
import { openPaying, type Paying } from './payments.js';
import type { Listened, ListenOrder } from './protocol.js';

/** Kinds of events that an orchestrator reacts to. A payment that goes through makes none of them. */
const ATTENTION = ['grant.*', 'approval.needed', 'payment.refused', 'treasury.*'];

/** Streams of {@link ATTENTION} in a world that is listened to. Its webhook gets the same. */
const STREAMS = 49;

const POLL_MS = 50;
const MAX_POLLS = 1_200;

/** The kinds that one more stream gets, by the name of the world. */
const ONE_MORE: Readonly<Record<string, readonly string[]>> = {
  '50 streams and a webhook': ATTENTION,
  'one of the streams gets every payment': ['payment.*'],
};

/** A world that is listened to. */
interface Heard {
  readonly paying: Paying;
  readonly listener: Helper<ListenOrder, Listened>;
  /** The kinds of its last stream. */
  readonly kinds: readonly string[];
}

/** Compares the hot path while nobody listens to events, and while streams and a webhook do. */
export async function compareListening(
  lab: Lab,
  turns: Turns,
  progress: (what: string) => void,
): Promise<Comparison> {
  const closers: (() => Promise<void>)[] = [];
  const open = async (environment?: Readonly<Record<string, string>>): Promise<Paying> => {
    const paying = await openPaying(lab, 'hot-root', 'api', { environment });
    closers.push(() => paying.stop());
    return paying;
  };
  try {
    const unheard = await open();
    const readings: Record<string, () => Promise<Reading>> = {
      'nobody listens': () => serve(unheard, turns.seconds),
    };
    const heard: Heard[] = [];
    for (const [name, kinds] of Object.entries(ONE_MORE)) {
      const paying = await open({ BURSAR_WEBHOOK_ALLOW: '127.0.0.1/32' });
      const listener: Helper<ListenOrder, Listened> = startHelper('listener');
      closers.push(() => listener.stop());
      const world = { paying, listener, kinds };
      heard.push(world);
      await listen(world);
      readings[name] = () => serve(paying, turns.seconds);
    }
    const worlds = [unheard, ...heard.map(({ paying }) => paying)];
    const compared = await takeTurns(turns, readings, worlds, progress);
    for (const each of heard) await checkStreams(each);
    return compared;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Opens the streams and the webhook as an admin, and waits until each of them has told of something. */
async function listen({ paying, listener, kinds }: Heard): Promise<void> {
  const [api] = paying.apis;
  if (!api) throw new Error('no process answers');
  const token = await paying.world.adminToken();
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await fetch(api.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  const wanted = [...Array.from({ length: STREAMS }, () => ATTENTION), kinds];
  const { webhookUrl } = await listener.run({
    streams: wanted.map((each) => ({ url: api.url, token, kinds: each })),
  });
  await post('/v1/webhooks', { url: webhookUrl, kinds: ATTENTION });
  // An event for everybody: a grant, and a payment.
  await post('/v1/grants', { holder: 'listened to', budget: '1.00', ttlSeconds: 3_600 });
  await serve(paying, 0.5);
  await listened(
    listener,
    ({ streams, deliveries }) => deliveries > 0 && streams.every(({ events }) => events > 0),
  );
}

/** @throws Error for a stream that ended, or that was not told of every payment. */
async function checkStreams({ paying, listener, kinds }: Heard): Promise<void> {
  const { streams } = await listener.run({});
  const ended = streams.filter(({ isOpen }) => !isOpen);
  if (ended.length > 0) throw new Error(`${ended.length} streams ended while they were measured`);
  if (kinds === ATTENTION) return;
  const { rows } = await paying.world.db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM events WHERE kind = 'payment.authorized'`,
  );
  const paid = rows[0]?.count ?? 0;
  await listened(listener, (now) => (now.streams.at(-1)?.events ?? 0) >= paid);
}

/** Waits for what the listeners heard. */
async function listened(
  listener: Heard['listener'],
  isEnough: (heard: Listened) => boolean,
): Promise<void> {
  let heard = await listener.run({});
  for (let polls = 0; !isEnough(heard); polls += 1) {
    const { streams, deliveries } = heard;
    const silent = streams.filter(({ events }) => events === 0).length;
    if (polls === MAX_POLLS) {
      throw new Error(
        `${silent} of ${streams.length} streams are silent, the last has ${streams.at(-1)?.events} events, the webhook had ${deliveries}`,
      );
    }
    await delay(POLL_MS);
    heard = await listener.run({});
  }
}
