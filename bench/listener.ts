// Listeners of the service's events: streams, and the receiver of a webhook. Both count what they hear.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { answerOrders } from './helper.js';
import type { Listened, ListenOrder } from './protocol.js';

let deliveries = 0;
let webhookUrl: string | undefined;
const streams: { events: number }[] = [];
// Streams stay open without an event for as long as they like.
const dispatcher = new Agent({ bodyTimeout: 0, headersTimeout: 0 });

answerOrders<ListenOrder, Listened>(async (order) => {
  if (order.streams) {
    const { url, token, count, kinds } = order.streams;
    await Promise.all(Array.from({ length: count }, () => openStream(url, token, kinds)));
  }
  webhookUrl ??= await receive();
  return { webhookUrl, deliveries, streams: streams.map(({ events }) => events) };
});

async function openStream(url: string, token: string, kinds: readonly string[]): Promise<void> {
  const { statusCode, body } = await request(`${url}/v1/events?kind=${kinds.join(',')}`, {
    dispatcher,
    headers: { authorization: `Bearer ${token}` },
  });
  if (statusCode !== 200) throw new Error(`a stream was answered ${statusCode}`);
  const stream = { events: 0 };
  streams.push(stream);
  body.setEncoding('utf8');
  let rest = '';
  body.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    stream.events += lines.filter((line) => line.startsWith('event:')).length;
  });
  // The service stops while it is open; what was heard until then is what counts.
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
