// The client, in a process of its own: so many keep-alive connections, each with one payment under way at
// a time, over raw sockets. Requests are built beforehand but for their Idempotency-Key, so that on a small
// machine the client takes as little as it can from what it measures.
import { connect, type Socket } from 'node:net';
import { answerOrders } from './helper.js';
import type { LoadOrder, LoadResult } from './protocol.js';
import { quantile } from './sample.js';

/** How long answers may take after the end of a run, in milliseconds. */
const DRAIN_MS = 20_000;

/** The client's keys never repeat, whatever is run after one another. */
let used = 0;

answerOrders<LoadOrder, LoadResult>(run);

async function run(order: LoadOrder): Promise<LoadResult> {
  const requests = order.requests.map(({ token, body }, index) => {
    const { host } = new URL(order.urls[index % order.urls.length] ?? '');
    const head =
      `POST /v1/payments HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nIdempotency-Key: `;
    return { head, tail: `\r\n\r\n${body}` };
  });
  const latencies: number[] = [];
  const refusedMs: number[] = [];
  const refused = new Map<string, number>();
  const kept: string[] = [];
  let paid = 0;
  let measured = 0;
  let turn = 0;
  let slots = 0;
  const began = performance.now();
  const from = began + order.warmUpSeconds * 1_000;
  const until = from + order.seconds * 1_000;

  const client = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(order.urls[index % order.urls.length] ?? '');
      const socket: Socket = connect(Number(port), hostname);
      socket.setNoDelay(true);
      let sentAt = 0;
      let answer = '';
      const next = (): void => {
        if (order.perSecond === undefined) {
          send(performance.now());
          return;
        }
        const due = began + (slots++ * 1_000) / order.perSecond;
        const wait = due - performance.now();
        if (wait <= 0) send(due);
        else setTimeout(() => send(due), wait);
      };
      const send = (due: number): void => {
        sentAt = due;
        if (performance.now() >= until) {
          socket.destroy();
          resolve();
          return;
        }
        const request = requests[turn++ % requests.length];
        if (!request) throw new Error('nothing to send');
        used += 1;
        const key = `bench-${process.pid}-${used}`;
        socket.write(`${request.head}${key}${request.tail}`, 'latin1');
      };
      socket.on('connect', next);
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        answer = answer === '' ? chunk : answer + chunk;
        const headEnd = answer.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const length = contentLength(answer, headEnd);
        if (answer.length < headEnd + 4 + length) return;
        const at = performance.now();
        const status = answer.slice(9, 12);
        const isMeasured = at >= from && at < until;
        if (status === '201') {
          paid += 1;
          if (isMeasured) {
            measured += 1;
            latencies.push(at - sentAt);
          }
          if (kept.length < order.keep) kept.push(answer.slice(headEnd + 4));
        } else {
          refusedMs.push(at - sentAt);
          const why = `${status} ${answer.slice(headEnd + 4, headEnd + 304)}`;
          refused.set(why, (refused.get(why) ?? 0) + 1);
        }
        answer = '';
        next();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the service closed a connection')));
      setTimeout(
        () => {
          reject(new Error('an answer did not come'));
          socket.destroy();
        },
        until - performance.now() + DRAIN_MS,
      ).unref();
    });

  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: order.clients }, (_, index) => client(index)));
  const { user, system } = process.cpuUsage(cpuBefore);
  const at = (share: number): number => quantile(latencies, share);
  return {
    paid,
    perSecond: measured / order.seconds,
    p50Ms: at(0.5),
    p90Ms: at(0.9),
    p99Ms: at(0.99),
    maxMs: at(1),
    refusedP99Ms: quantile(refusedMs, 0.99),
    errors: [...refused].map(([what, count]) => ({ what, count })),
    kept,
    cpuSeconds: (user + system) / 1e6,
  };
}

function contentLength(answer: string, headEnd: number): number {
  const head = answer.slice(0, headEnd).toLowerCase();
  const at = head.indexOf('content-length: ');
  if (at < 0) throw new Error(`an answer without Content-Length:\n${answer.slice(0, headEnd)}`);
  return Number.parseInt(head.slice(at + 16), 10);
}
