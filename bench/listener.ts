// Listeners of the service's events: streams, and the receiver of a webhook. Both count what they hear.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { answerOrders } from './helper.js';
import type { Listened, ListenOrder } from './protocol.js';

/** The beginning of the line that each event has once. Its data is one line, too. */
const EVENT = Buffer.from('\nevent: ');

let deliveries = 0;
let webhookUrl: string | undefined;
const streams: { events: number; isOpen: boolean }[] = [];
// A stream stays open without an event for as long as it likes.
const dispatcher = new Agent({ bodyTimeout: 0, headersTimeout: 0 });

answerOrders<ListenOrder, Listened>(async (order) => {
  for (const { url, token, kinds } of order.streams ?? []) await openStream(url, token, kinds);
  webhookUrl ??= await receive();
  return { webhookUrl, deliveries, streams };
});

async function openStream(url: string, token: string, kinds: readonly string[]): Promise<void> {
  const { statusCode, body } = await request(`${url}/v1/events?kind=${kinds.join(',')}`, {
    dispatcher,
    headers: { authorization: `Bearer ${token}` },
  });
  if (statusCode !== 200) throw new Error(`a stream was answered ${statusCode}`);
  const stream = { events: 0, isOpen: true };
  streams.push(stream);
  let rest = Buffer.from('\n');
  body.on('data', (chunk: Buffer) => {
    const text = Buffer.concat([rest, chunk]);
    let read = 0;
    for (let at = text.indexOf(EVENT); at >= 0; at = text.indexOf(EVENT, read)) {
      stream.events += 1;
      read = at + EVENT.length;
    }
    rest = text.subarray(Math.max(read, text.length - EVENT.length + 1));
  });
  body.once('close', () => {
    stream.isOpen = false;
  });
  // The end is told by `isOpen`; only Node wants a listener.
  body.on('error', () => {});
}

async function receive(): Promise<string> {
  const server = createServer((incoming, answer) => {
    deliveries += 1;
    incoming.resume().once('end', () => answer.writeHead(204).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
