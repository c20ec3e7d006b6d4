import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Minted } from '../../../test/support/api.js';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { order } from '../../../test/support/terms.js';
import { until } from '../../../test/support/until.js';
import {
  Bursar,
  type BursarEvent,
  type EventOptions,
  generateHolderKey,
  publicJwk,
} from '../src/index.js';

let stack: TestStack;
let minted: Minted;

beforeAll(async () => {
  stack = await startTestStack();
  minted = await stack.admin.mint({ budget: '50', delegationDepth: 2 });
}, 60_000);
afterAll(() => stack?.stop());

/** A proxy whose connections a test can break. */
async function startProxy(fixed = 0): Promise<{ url: string; cut(): void; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = connect(Number(new URL(stack.service.url).port), '127.0.0.1');
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(from);
      from
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
      from.pipe(to);
    }
  }).listen(fixed, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    server,
  };
}

/** Collects events until it is stopped. */
function collect(bursar: Bursar, options: EventOptions = {}) {
  const events: BursarEvent[] = [];
  const stop = new AbortController();
  const done = (async () => {
    for await (const event of bursar.events({ ...options, signal: stop.signal }))
      events.push(event);
  })();
  done.catch(() => {});
  return { events, done, stop: () => stop.abort() };
}

const pay = () => stack.admin.as(minted.token).paid(order(stack.chain));

describe('events()', () => {
  it('yields what happens to the grant and below it, and ends quietly when it is aborted', async () => {
    const bursar = new Bursar({ url: stack.service.url, token: minted.token });
    let begun: string | undefined;
    const { events, done, stop } = collect(bursar, {
      types: ['payment.*', 'grant.delegated'],
      onOpen: (cursor) => {
        begun = cursor;
      },
    });
    await until('it is open', () => begun);
    const child = await bursar.delegate({ holder: 'reader', budget: '1', ttlSeconds: 600 });
    const { payment } = await pay();
    await until('both', () => events.length >= 2);
    stop();
    await done;
    expect(events).toMatchObject([
      { kind: 'grant.delegated', grantId: child.grant.id, data: { holder: 'reader' } },
      { kind: 'payment.authorized', paymentId: payment.id },
    ]);
    expect(events[0]).not.toHaveProperty('version');
    expect(events.every(({ cursor }) => cursor !== '')).toBe(true);
  });

  it('goes on behind a cursor after a restart, and loses and doubles nothing over broken connections', async () => {
    const proxy = await startProxy();
    try {
      const bursar = new Bursar({ url: proxy.url, token: minted.token });
      const first = collect(bursar, { types: ['payment.authorized'], after: '0-0' });
      const paid: string[] = [];
      for (let n = 0; n < 8; n += 1) {
        paid.push((await pay()).payment.id);
        if (n % 2 === 1) proxy.cut();
      }
      const ids = ({ events }: typeof first) =>
        events.map(({ paymentId }) => paymentId).filter((id) => paid.includes(id ?? ''));
      await until('all of them', () => ids(first).length >= paid.length);
      first.stop();
      await first.done;
      expect(ids(first)).toEqual(paid);
      const third = first.events.find(({ paymentId }) => paymentId === paid[2]);
      const again = collect(bursar, { types: ['payment.authorized'], after: third?.cursor });
      await until('the rest', () => again.events.length >= 5);
      again.stop();
      expect(ids(again)).toEqual(paid.slice(3));
    } finally {
      proxy.cut();
      proxy.server.close();
    }
  });

  it('waits for a service that is away, from the first connection on', async () => {
    const proxy = await startProxy();
    const { port } = new URL(proxy.url);
    proxy.server.close();
    const bursar = new Bursar({ url: proxy.url, token: minted.token });
    const following = collect(bursar, { after: '0-0' });
    const late = await startProxy(Number(port));
    await until('events', () => following.events.length > 0);
    following.stop();
    await following.done;
    late.cut();
    late.server.close();
  });

  it('gives up on an address where no service ever was, and says why before', async () => {
    const errors: string[] = [];
    const onRetry = (error: unknown) => errors.push(String(error));
    const dead = collect(new Bursar({ url: 'http://127.0.0.1:9', token: 'x' }), { onRetry });
    await expect(dead.done).rejects.toMatchObject({ code: 'unreachable' });
    expect(errors).toHaveLength(3);
    expect(errors[0]).toContain('no answer from http://127.0.0.1:9; check the address');
    const page = createHttpServer((_request, response) => void response.end('<html>'));
    page.listen(0, '127.0.0.1');
    await once(page, 'listening');
    const { port } = page.address() as { port: number };
    const url = `http://127.0.0.1:${port}`;
    const lost = collect(new Bursar({ url, token: 'x' }));
    await expect(lost.done).rejects.toThrow(/answered 200; is that Bursar\?/);
    page.close();
  });

  it('takes one kind without a list, and no option that it does not know', async () => {
    const bursar = new Bursar({ url: stack.service.url, token: minted.token });
    const following = collect(bursar, { types: 'payment.*', after: '0-0' });
    await pay();
    await until('a payment', () => following.events.length > 0);
    following.stop();
    await following.done;
    const misspelt = collect(bursar, { kinds: ['payment.*'] } as never);
    await expect(misspelt.done).rejects.toThrow('invalid_request: there is no option "kinds"');
  });

  it('proves its key, and throws where another connection would not help', async () => {
    const key = await generateHolderKey();
    const bound = await stack.admin.mint({ budget: '1', holderKey: await publicJwk(key) });
    const bursar = new Bursar({ url: stack.service.url, token: bound.token, key });
    for await (const { kind } of bursar.events({ after: '0-0' })) {
      expect(kind).toBe('grant.minted');
      break;
    }
    await stack.admin.post(`/v1/grants/${bound.grant.id}/token`);
    await expect(collect(bursar).done).rejects.toMatchObject({ code: 'invalid_token' });
    const wrong = collect(new Bursar({ url: stack.service.url, token: minted.token }), {
      types: ['payment.nothing' as never],
    });
    await expect(wrong.done).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('renews a token that is about to end, and goes on with the next one', async () => {
    const short = await startTestStack({ environment: { BURSAR_TOKEN_TTL_SECONDS: '60' } });
    try {
      const { grant, token } = await short.admin.mint({ budget: '1' });
      const renewed: string[] = [];
      const bursar = new Bursar({
        url: short.service.url,
        token,
        onToken: (next) => renewed.push(next),
      });
      const following = collect(bursar, { after: '0-0' });
      await until('the first', () => following.events.length >= 1);
      await short.admin.post(`/v1/grants/${grant.id}/suspend`, {});
      await until('the suspension', () =>
        following.events.some(({ kind }) => kind === 'grant.suspended'),
      );
      await until('it is renewed', () => renewed.length > 0, 75_000);
      await short.admin.post(`/v1/grants/${grant.id}/resume`, {});
      await until('the resumption', () =>
        following.events.some(({ kind }) => kind === 'grant.resumed'),
      );
      following.stop();
      await following.done;
      expect(new Set(following.events.map(({ id }) => id)).size).toBe(following.events.length);
    } finally {
      await short.stop();
    }
  }, 150_000);
});
