import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { AddressRefused, parseGuardedUrl, requestGuarded } from './guarded-request.js';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A receiver on an address of this machine. */
async function receiver(answer: RequestListener, host = '127.0.0.1', port = 0) {
  const received: string[] = [];
  const server = createServer((request, response) => {
    received.push(`${request.method} ${request.headers.host}${request.url}`);
    answer(request, response);
  }).listen(port, host);
  servers.push(server);
  await once(server, 'listening');
  return { port: (server.address() as { port: number }).port, received };
}

const LOOPBACK = ['127.0.0.0/8'];

function post(url: string, options: Partial<Parameters<typeof requestGuarded>[1]> = {}) {
  const defaults = { method: 'POST', headers: {}, body: '{}', allow: LOOPBACK } as const;
  return requestGuarded(new URL(url), { ...defaults, ...options });
}

const resolving = (...addresses: string[]) => {
  const asked: string[] = [];
  const resolve = async (name: string): Promise<LookupAddress[]> => {
    asked.push(name);
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  return { asked, resolve };
};

describe('parseGuardedUrl', () => {
  it.each([
    ['no URL', 'hooks.example.com'],
    ['another scheme', 'ftp://hooks.example.com'],
    ['http', 'http://hooks.example.com'],
    ['a user', 'https://me@hooks.example.com/'],
    ['a password', 'https://:secret@hooks.example.com/'],
    ['a fragment', 'https://hooks.example.com/#a'],
    ['loopback', 'https://127.0.0.1/'],
    ['loopback in another spelling', 'https://0x7f.1/'],
    ['loopback as one number', 'https://2130706433/'],
    ['a private address', 'https://10.1.2.3/'],
    ['a link-local address', 'https://169.254.169.254/latest/meta-data'],
    ['IPv6 loopback', 'https://[::1]/'],
    ['a mapped address', 'https://[::ffff:10.0.0.1]/'],
    ['a unique local address', 'https://[fd00::1]/'],
    ['an address of NAT64', 'https://[64:ff9b::a00:1]/'],
    ['6to4', 'https://[2002:a00:1::]/'],
    ['shared address space', 'https://100.64.0.1/'],
    ['multicast', 'https://224.0.0.1/'],
    ['nowhere', 'https://0.0.0.0/'],
    ['more than 2,048 characters', `https://hooks.example.com/${'a'.repeat(2_048)}`],
  ])('refuses %s', (_what, text) => {
    expect(typeof parseGuardedUrl(text, [])).toBe('string');
  });

  it.each([
    'https://hooks.example.com/a?b=c',
    'https://93.184.216.34:8443/',
    'https://[2606:4700::1]/',
  ])('takes %s', (text) => {
    expect(parseGuardedUrl(text, [])).toBeInstanceOf(URL);
  });

  it('takes http and private addresses only where they are allowed', () => {
    expect(parseGuardedUrl('http://127.0.0.1:9/', LOOPBACK)).toBeInstanceOf(URL);
    expect(typeof parseGuardedUrl('http://10.0.0.1/', LOOPBACK)).toBe('string');
    expect(typeof parseGuardedUrl('http://93.184.216.34/', LOOPBACK)).toBe('string');
    expect(parseGuardedUrl('https://[fd00::1]/', ['fd00::/8'])).toBeInstanceOf(URL);
  });
});

describe('requestGuarded', () => {
  it('connects to the address that was judged, though the name resolves to another one a moment later', async () => {
    const first = await receiver((_, response) => response.end('judged'), '127.0.0.2');
    const trap = await receiver((_, response) => response.end('trap'), '127.0.0.1', first.port);
    const answers = ['127.0.0.2', '127.0.0.1'];
    const asked: string[] = [];
    const answer = await post(`http://rebinding.test:${first.port}/hook`, {
      allow: ['127.0.0.2'],
      resolve: async (name) => {
        asked.push(name);
        return [{ address: answers.shift() ?? '', family: 4 }];
      },
    });
    expect(answer.body.toString()).toBe('judged');
    expect(asked).toEqual(['rebinding.test']);
    expect(first.received).toEqual([`POST rebinding.test:${first.port}/hook`]);
    expect(trap.received).toEqual([]);
  });

  it.each([
    ['a private address', ['10.0.0.1']],
    ['a mapped private address', ['::ffff:10.0.0.1']],
    ['a public and a private address', ['93.184.216.34', '192.168.0.1']],
    ['no address', []],
  ])('sends nothing to a name with %s', async (_what, addresses) => {
    const { resolve } = resolving(...addresses);
    await expect(post('https://hooks.test/', { allow: [], resolve })).rejects.toThrow(
      AddressRefused,
    );
  });

  it('sends nothing by http to an address that is not allowed by name', async () => {
    const { resolve } = resolving('93.184.216.34');
    await expect(post('http://hooks.test/', { resolve })).rejects.toThrow(/https only/);
  });

  it('does not follow a redirect', async () => {
    const trap = await receiver((_, response) => response.end());
    const { port } = await receiver((_, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${trap.port}/` }).end();
    });
    expect((await post(`http://127.0.0.1:${port}/`)).status).toBe(307);
    expect(trap.received).toEqual([]);
  });

  it.each([
    ['never answers', () => {}],
    [
      'answers drop by drop',
      (response: Parameters<RequestListener>[1]) => {
        const drip = setInterval(() => response.write('.'), 20);
        response.writeHead(200).on('close', () => clearInterval(drip));
      },
    ],
  ])('gives up on a receiver that %s', async (_what, answer) => {
    const { port } = await receiver((_, response) => answer(response));
    await expect(post(`http://127.0.0.1:${port}/`, { timeoutMs: 300 })).rejects.toThrow();
  });

  it('gives up on a name that nobody resolves', async () => {
    const sending = post('https://hooks.test/', {
      timeoutMs: 100,
      resolve: () => new Promise(() => {}),
    });
    await expect(sending).rejects.toThrow(/in time/);
  });

  it('reads 64 KiB of an answer and no more', async () => {
    const { port } = await receiver((_, response) => {
      const flood = () => {
        while (response.write('x'.repeat(16_384)));
      };
      response.on('drain', flood);
      flood();
    });
    const { status, body, isCut } = await post(`http://127.0.0.1:${port}/`);
    expect([status, body.length, isCut]).toEqual([200, 65_536, true]);
  });

  it('reads a whole answer of just the bound, and says when there was more', async () => {
    const { port, received } = await receiver((_, response) => response.end('x'.repeat(100)));
    const read = (maxBytes: number) =>
      requestGuarded(new URL(`http://127.0.0.1:${port}/a?b=c`), {
        ...{ method: 'GET', headers: {}, allow: LOOPBACK, maxBytes },
      });
    expect(await read(100)).toMatchObject({ status: 200, isCut: false });
    expect((await read(99)).isCut).toBe(true);
    expect(received[0]).toBe(`GET 127.0.0.1:${port}/a?b=c`);
  });

  it('fails when the receiver hangs up, before its answer and within it', async () => {
    for (const answer of [
      (_: unknown, response: Parameters<RequestListener>[1]) => response.destroy(),
      (_: unknown, response: Parameters<RequestListener>[1]) => {
        response.writeHead(200, { 'content-length': 100 }).write('half', () => response.destroy());
      },
    ]) {
      const { port } = await receiver(answer as RequestListener);
      await expect(post(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    }
  });
});
