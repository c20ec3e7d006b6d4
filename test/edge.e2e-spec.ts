import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Service } from '../src/service.js';
import { Api, type EventAnswer, expectProblem, type Listed, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { until } from './support/until.js';

const LIMITED = { BURSAR_RATE_LIMIT_PER_ADDRESS: '60', BURSAR_RATE_LIMIT_PER_CALLER: '20' };
/** Believed by the limited replicas only. */
const PROXY = { BURSAR_TRUSTED_PROXIES: '127.0.0.1' };

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({
    environment: { BURSAR_PUBLIC_URL: 'https://bursar.example.com' },
  });
}, 60_000);

afterAll(() => stack?.stop());

/** Windows begin at whole tens of seconds: one that is long enough for a test is waited for. */
async function freshWindow(): Promise<void> {
  await until('a window begins', () => Date.now() % 10_000 < 2_000, 11_000);
}

/** Asks as a client behind a proxy, at an address of its own. */
function from(address: string, url: string, token?: string): Api {
  const api = new Api(url, token);
  const call = api.call.bind(api);
  api.call = (method, path, body, headers) =>
    call(method, path, body, { 'x-forwarded-for': address, ...headers });
  return api;
}

describe('whoever asks too often', () => {
  let replica: Service;
  let token: string;

  beforeAll(async () => {
    replica = await startReplica(stack, 'api', undefined, { ...LIMITED, ...PROXY });
    ({ token } = await stack.admin.mint({ budget: '1.00' }));
  });
  afterAll(() => replica?.stop());

  it('is told to wait, as a caller, until the next window; others are not', async () => {
    await freshWindow();
    const ask = (n: number) => from(`192.0.2.${n}`, replica.url, token).get('/v1/grants/self');
    for (let n = 0; n < 20; n += 1) expect((await ask(n)).status).toBe(200);
    const refused = await ask(99);
    expectProblem(refused, 429, 'rate_limited');
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(10);
    const other = await stack.admin.mint({ budget: '1.00' });
    const { status } = await from('192.0.2.99', replica.url, other.token).get('/v1/grants/self');
    expect(status).toBe(200);
    await until('the next window begins', async () => (await ask(98)).status === 200, 12_000);
  });

  it('is told to wait, as an address, whatever it says it is and before its token is looked at', async () => {
    await freshWindow();
    const ask = (address: string) => from(address, replica.url, 'x').get('/v1/grants/self');
    for (let n = 0; n < 60; n += 1) {
      expect((await ask(`2001:db8::${n.toString(16)}`)).status).toBe(401);
    }
    expectProblem(await ask('2001:db8::ffff'), 429, 'rate_limited');
    expect((await ask('2001:db8:0:1::1')).status).toBe(401);
  });

  it('cannot pass for another address where no proxy is trusted', async () => {
    const strict = await startReplica(stack, 'api', undefined, LIMITED);
    try {
      await freshWindow();
      let status = 0;
      for (let n = 0; n <= 60; n += 1) {
        ({ status } = await from(`192.0.2.${n}`, strict.url).get('/healthz'));
      }
      expect(status).toBe(429);
    } finally {
      await strict.stop();
    }
  });
});

const redisUrl = process.env.REDIS_URL;
(redisUrl === undefined ? describe.skip : describe)('two replicas that share a Redis', () => {
  it('count a caller together', async () => {
    const start = () => startReplica(stack, 'api', redisUrl, { ...LIMITED, ...PROXY });
    const [first, second] = [await start(), await start()];
    try {
      const { token } = await stack.admin.mint({ budget: '1.00' });
      await freshWindow();
      let address = 0;
      const ask = async (service: Service) => {
        address += 1;
        const answer = await from(`192.0.2.${address}`, service.url, token).get('/v1/grants/self');
        return answer.status;
      };
      for (let n = 0; n < 18; n += 1) expect(await ask(first)).toBe(200);
      // Alone it would let twenty through; it hears of the eighteen within a second or two.
      expect(await ask(second)).toBe(200);
      let more = 0;
      await until('the second has heard', async () => {
        // Seldom enough that it cannot have used up twenty of its own by then.
        await delay(250);
        const status = await ask(second);
        if (status === 200) more += 1;
        return status === 429;
      });
      expect(more).toBeLessThan(19);
    } finally {
      await first.stop();
      await second.stop();
    }
  });
});

describe('every answer', () => {
  it('tells browsers to keep, frame, guess and send on nothing, and to stay with TLS', async () => {
    for (const path of ['/healthz', '/v1/grants', '/nothing', '/openapi.json']) {
      const { headers } = await stack.admin.get(path);
      expect(Object.fromEntries(headers)).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'strict-transport-security': 'max-age=31536000',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
    }
    const docs = await fetch(`${stack.service.url}/docs`);
    expect(docs.headers.get('content-security-policy')).toMatch(/^default-src 'self'; /);
  });

  it('names its request as the events of that do', async () => {
    const answer = await stack.admin.post<Minted>('/v1/grants', {
      holder: 'named',
      budget: '1.00',
      ttlSeconds: 60,
    });
    const { items } = await stack.admin.read<Listed<EventAnswer>>(
      `/v1/audit/events?grantId=${answer.body.grant.id}&kind=grant.minted`,
    );
    expect(items[0]?.requestId).toBe(answer.headers.get('x-request-id'));
  });

  it('lets no page of another origin in, preflight or not', async () => {
    const origin = 'https://evil.example.com';
    for (const method of ['OPTIONS', 'GET', 'POST']) {
      const { headers } = await stack.admin.call(method, '/v1/grants', undefined, {
        origin,
        'access-control-request-method': 'POST',
      });
      for (const [name] of headers) expect(name).not.toMatch(/^access-control-/);
    }
  });

  it('lets in pages of the origins that are configured, and of no other', async () => {
    const origin = 'https://console.example.com';
    const replica = await startReplica(stack, 'api', undefined, { BURSAR_CORS_ORIGINS: origin });
    try {
      const ask = async (from: string) => {
        const response = await fetch(`${replica.url}/v1/grants`, {
          method: 'OPTIONS',
          headers: { origin: from, 'access-control-request-method': 'GET' },
        });
        return response.headers.get('access-control-allow-origin');
      };
      expect(await ask(origin)).toBe(origin);
      expect(await ask('https://evil.example.com')).toBeNull();
    } finally {
      await replica.stop();
    }
  });
});

describe('a request', () => {
  const mint = (more: Record<string, unknown>) =>
    stack.admin.post('/v1/grants', { holder: 'x', budget: '1.00', ttlSeconds: 60, ...more });

  it('with more than a hundred headers, or 16 KiB of them, is refused', async () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`x-${n}`, 'a']));
    expectProblem(
      await stack.admin.call('GET', '/healthz', undefined, many),
      400,
      'invalid_request',
    );
    const large = await fetch(`${stack.service.url}/healthz`, {
      headers: { 'x-large': 'a'.repeat(16_384) },
    });
    expect(large.status).toBe(431);
    const fitting = await fetch(`${stack.service.url}/healthz`, {
      headers: { 'x-large': 'a'.repeat(15_000) },
    });
    expect(fitting.status).toBe(200);
  });

  it.each([
    'http://evil.example/healthz',
    '//evil.example/healthz',
    '*',
    '/v1/../healthz',
    '/v1/%2e%2E/healthz',
    '/./healthz',
    '/v1/..',
    '/v1//grants',
    '/v1%2fgrants',
    '/v1\\\\grants',
    '/v1/grants%00',
  ])('for the target %s, which is no plain path, is refused', async (target) => {
    for (const method of ['GET', 'OPTIONS', 'POST']) {
      const { hostname, port } = new URL(stack.service.url);
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => {
          socket.end(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        });
        let text = '';
        socket.setEncoding('utf8').on('data', (more) => {
          text += more;
        });
        socket.once('end', () => resolve(text));
        socket.once('error', reject);
      });
      expect(answer).toMatch(/^HTTP\/1.1 400 /);
      expect(answer).toContain('invalid_request');
    }
  });

  it('that names a member twice is refused, at any depth and however it is spelled', async () => {
    const start = '{"holder":"x","ttlSeconds":60,"budget":"1.00"';
    for (const body of [
      `${start},"budget":"9.00"}`,
      `${start},"\\u0062udget":"9.00"}`,
      `${start},"scope":{"networks":[],"networks":["eip155:1"]}}`,
      `${start},"windows":[{"seconds":1,"payments":1,"seconds":9}]}`,
    ]) {
      expectProblem(await stack.admin.post('/v1/grants', body), 400, 'invalid_request', {
        field: 'body',
      });
    }
    expect((await stack.admin.post('/v1/grants', `${start}}`)).status).toBe(201);
  });

  it('that names a prototype is refused, at any depth and however it is spelled', async () => {
    const start = '{"holder":"x","ttlSeconds":60,"budget":"1.00"';
    for (const member of [
      '"__proto__":{"budget":"9.00"}',
      '"__prot\\u006f__":{"budget":"9.00"}',
      '"constructor":{"prototype":{}}',
      '"\\u0063onstructor":{"prototype":{}}',
      '"scope":{"__proto__":{"networks":[]}}',
    ]) {
      const answer = await stack.admin.post('/v1/grants', `${start},${member}}`);
      expectProblem(answer, 400, 'invalid_request', { field: 'body' });
      expect(answer.text).toMatch(/member named __proto__/);
    }
    // A value may be of any text.
    for (const labels of ['{"a":"__proto__"}', '{"a":"\\u0063onstructor"}']) {
      const answer = await stack.admin.post('/v1/grants', `${start},"labels":${labels}}`);
      expect(answer.status).toBe(201);
    }
    expect((await stack.admin.post('/v1/grants', `\ufeff${start}}`)).status).toBe(201);
  });

  it('of JSON without a body needs none where none is needed', async () => {
    const { grant } = await stack.admin.mint({ budget: '1.00' });
    const type = { 'content-type': 'application/json' };
    const answer = await stack.admin.post(`/v1/grants/${grant.id}/token`, undefined, type);
    expect(answer.status).toBe(200);
    expectProblem(await stack.admin.post('/v1/grants', undefined, type), 400, 'invalid_request');
    const broken = await stack.admin.post('/v1/grants', '{"holder":"secret",}', type);
    expectProblem(broken, 400, 'invalid_request', {
      field: 'body',
      detail: 'the body is not valid JSON at character 20',
    });
  });

  it.each(['nonsense', 'grt_1', 'pay_01h2xcejqtf2nbrexx3vqjhp41', '%27', 'a%20b', 'x'.repeat(90)])(
    'about the id %s, which is none of a grant, is refused in path, query and body',
    async (id) => {
      const { admin } = stack;
      expectProblem(await admin.get(`/v1/grants/${id}`), 400, 'invalid_request', { field: 'id' });
      expectProblem(await admin.post(`/v1/grants/${id}/revoke`, {}), 400, 'invalid_request');
      expectProblem(await admin.get(`/v1/payments?grantId=${id}`), 400, 'invalid_request');
      expectProblem(await mint({ parentId: id }), 400, 'invalid_request', { field: 'parentId' });
    },
  );

  it('with a body too deep or of too many members is refused by name', async () => {
    const deep = JSON.parse(`${'[['.repeat(10)}${']]'.repeat(10)}`);
    expectProblem(await mint({ labels: deep }), 400, 'invalid_request', { field: 'body' });
    const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`k${n}`, '']));
    expectProblem(await mint({ labels: wide }), 400, 'invalid_request', { field: 'body' });
    const bottomless = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    const answer = await stack.admin.post('/v1/grants', bottomless);
    expectProblem(answer, 400, 'invalid_request');
    expect((await stack.admin.get('/healthz')).status).toBe(200);
  });

  it('for a proof behind a proxy is known by the public URL, not by what the client says', async () => {
    const metadata = await new Api(stack.service.url).read<{ jwks_uri: string }>(
      '/.well-known/oauth-authorization-server',
    );
    expect(metadata.jwks_uri).toBe('https://bursar.example.com/.well-known/jwks.json');
  });
});
