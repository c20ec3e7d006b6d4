import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type GatewayStack,
  type Payer,
  priceOf,
  signFor,
  startGatewayStack,
} from './support/gateway.js';
import { deadPort } from './support/program.js';
import { until } from './support/until.js';

const run = promisify(execFile);

// The pages of a gateway, its prices, and how it changes while it runs.

describe('a gateway', () => {
  let stack: GatewayStack;
  let payer: Payer;

  beforeAll(async () => {
    stack = await startGatewayStack();
    payer = await stack.payer();
  });
  afterAll(() => stack?.stop());
  beforeEach(() => {
    stack.upstream.calls.length = 0;
  });

  it('publishes its prices: OpenAPI, x402, discovery, llms.txt', async () => {
    const { url } = await stack.start();
    const json = async (path: string) => (await fetch(`${url}${path}`)).json() as Promise<object>;
    expect(await json('/openapi.json')).toMatchObject({
      servers: [{ url }],
      paths: {
        '/report': { get: { 'x-payment-info': { price: { mode: 'fixed', amount: '0.25' } } } },
      },
    });
    expect(JSON.stringify(await json('/openapi.json'))).not.toContain(stack.upstream.url);
    expect(await json('/.well-known/x402')).toMatchObject({
      version: 1,
      resources: expect.arrayContaining([`${url}/things/{id}`]),
    });
    expect(await json('/discovery/resources?limit=2&offset=1')).toMatchObject({
      items: [{ method: 'POST', resource: `${url}/things` }, { resource: `${url}/things/{id}` }],
      pagination: { limit: 2, offset: 1, total: 5 },
    });
    expect(await (await fetch(`${url}/llms.txt`)).text()).toContain(
      '- GET /report (0.25 USDC a request)',
    );
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/healthz`, { method: 'POST' })).status).toBe(404);
    expect(stack.upstream.calls).toHaveLength(0);
  });

  it('counts its answers, for this machine alone', async () => {
    const { url } = await stack.start();
    await fetch(`${url}/things`);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain(
      'bursar_gateway_answers_total{operation="listThings",outcome="required"} 1',
    );
    const headers = { 'x-forwarded-for': '203.0.113.7' };
    expect((await fetch(`${url}/metrics`, { headers })).status).toBe(404);
  });

  it('shows people who open a priced URL what it costs, and no markup of others', async () => {
    const { url } = await stack.start();
    const answer = await fetch(`${url}/things/7?q=<b>`, { headers: { accept: 'text/html' } });
    expect(answer.status).toBe(402);
    expect(answer.headers.get('payment-required')).not.toBeNull();
    const page = await answer.text();
    expect(page).toContain('0.01 USDC on eip155:84532');
    expect(page).not.toContain('<b>');
  });

  it('has prices by query and by body, and takes what it asked for', async () => {
    const rules = [
      { query: { size: 'large' }, price: '0.50' },
      { body: { 'options.deep': 'true' }, price: '2' },
    ];
    const operations = { addThing: { price: '0.02', rules } };
    const { url } = await stack.start({ operations });
    const post = (body: object) => ({
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    expect(await priceOf(`${url}/things`, post({}))).toBe('20000');
    expect(await priceOf(`${url}/things?size=large`, post({}))).toBe('500000');
    const deep = post({ options: { deep: true } });
    expect(await priceOf(`${url}/things`, deep)).toBe('2000000');
    const before = await stack.income();
    expect((await (await signFor(payer, `${url}/things`, deep)).send()).status).toBe(200);
    expect(await stack.income()).toBe(before + 2_000_000n);
    // The price of one body does not pay for another.
    const cheap = await signFor(payer, `${url}/things`, post({}));
    expect((await cheap.send(`${url}/things`, deep)).status).toBe(402);
    expect(stack.upstream.calls).toHaveLength(1);
  });

  it('changes its prices while it runs, and keeps those that it quoted', async () => {
    const path = await stack.write();
    const { url } = await stack.start({}, path);
    const quoted = await signFor(payer, `${url}/things/quoted`);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"price": "0.01"', '"price": "0.03"'));
    await until(
      'the price has changed',
      async () => (await priceOf(`${url}/things/1`)) === '30000',
    );
    const before = await stack.income();
    expect((await quoted.send()).status).toBe(200);
    expect(await stack.income()).toBe(before + 10_000n);
    await writeFile(path, text.replace('"price"', '"prize"'));
    await writeFile(path, text.replace('"port": 0', '"port": 1'));
    expect(await priceOf(`${url}/things/1`)).toBe('30000');
  });

  it('keeps prices that it quoted over a start with others', async () => {
    const path = await stack.write({ port: await deadPort() });
    const first = await stack.start({}, path);
    const { url } = first;
    const quoted = await signFor(payer, `${url}/things/quoted`);
    const late = await signFor(payer, `${url}/things/late`);
    await first.stop();
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"price": "0.01"', '"price": "0.03"'));
    const second = await stack.start({}, path);
    expect(await priceOf(`${url}/things/1`)).toBe('30000');
    const before = await stack.income();
    expect((await quoted.send()).status).toBe(200);
    expect(await stack.income()).toBe(before + 10_000n);
    await second.stop();
    // Another start, an hour after the prices changed.
    await stack.db.query(`UPDATE gateway_prices SET served_from = served_from - interval '1 hour'`);
    await stack.start({}, path);
    expect((await late.send()).status).toBe(402);
  });

  it('does not take the price of before once its time is over', async () => {
    const path = await stack.write({ graceSeconds: 0 });
    const { url } = await stack.start({}, path);
    const quoted = await signFor(payer, `${url}/things/quoted`);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"price": "0.01"', '"price": "0.03"'));
    await until(
      'the price has changed',
      async () => (await priceOf(`${url}/things/1`)) === '30000',
    );
    expect((await quoted.send()).status).toBe(402);
    expect(stack.upstream.calls).toHaveLength(0);
  });

  it('asks the next facilitator where one cannot be reached', async () => {
    const dead = `http://127.0.0.1:${await deadPort()}`;
    const { url } = await stack.start({ facilitator: [dead, stack.facilitator.url] });
    expect((await (await signFor(payer, `${url}/things/1`)).send()).status).toBe(200);
  });

  it('reserves nothing while no facilitator answers, and sells later with the same payment', async () => {
    const dead = `http://127.0.0.1:${await deadPort()}`;
    const down = await stack.start({ facilitator: dead });
    const signed = await signFor(payer, `${down.url}/things/1`);
    expect((await signed.send()).status).toBe(503);
    const { resource: _, ...payload } = signed.payload;
    const headers = {
      'payment-signature': Buffer.from(JSON.stringify(payload)).toString('base64'),
    };
    const up = await stack.start();
    expect((await fetch(`${up.url}/things/1`, { headers })).status).toBe(200);
  });

  it('lets one payer have so many sales under way, and no more', async () => {
    const usual = stack.upstream.answer;
    const waiting: (() => void)[] = [];
    stack.upstream.answer = (call, response) => {
      waiting.push(() => void usual(call, response));
    };
    const { url } = await stack.start({ concurrencyPerPayer: 1 });
    const first = (await signFor(payer, `${url}/things/1`)).send();
    await until('the first is called', () => waiting.length === 1);
    const second = await signFor(payer, `${url}/things/2`);
    const busy = await second.send();
    expect(busy.status).toBe(429);
    expect(Number(busy.headers.get('retry-after'))).toBeGreaterThan(0);
    stack.upstream.answer = usual;
    waiting[0]?.();
    expect((await first).status).toBe(200);
    expect((await second.send()).status).toBe(200);
  });

  it('sends the upstream its own headers, and no other method, path or caller', async () => {
    const { url } = await stack.start({
      upstreamHeaders: { authorization: 'Bearer of the seller' },
    });
    const headers = [
      'authorization: Bearer of the buyer',
      'x-http-method-override: DELETE',
      'x-original-url: /report',
      'x-forwarded-host: evil.example',
      'connection: x-hop',
      'x-hop: one',
    ];
    await run('curl', ['-s', ...headers.flatMap((header) => ['-H', header]), `${url}/free`]);
    const [call] = stack.upstream.calls;
    expect(call?.headers.authorization).toBe('Bearer of the seller');
    for (const name of ['x-http-method-override', 'x-original-url', 'x-forwarded-host', 'x-hop']) {
      expect(call?.headers).not.toHaveProperty(name);
    }
  });

  it('answers a redirect of the upstream, and does not follow it', async () => {
    const usual = stack.upstream.answer;
    stack.upstream.answer = (_call, response) => {
      response.writeHead(302, { location: `${stack.upstream.url}/report` });
      response.end();
    };
    const { url } = await stack.start();
    expect((await fetch(`${url}/free`, { redirect: 'manual' })).status).toBe(302);
    stack.upstream.answer = usual;
    expect(stack.upstream.calls).toMatchObject([{ url: '/free' }]);
  });
});
