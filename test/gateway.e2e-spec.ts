import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createWalletClient, http, publicActions } from 'viem';
import { baseSepolia } from 'viem/chains';
import { wrapFetchWithPayment as wrapV1 } from 'x402-fetch';
import type { Gateway } from '../src/gateway/start-gateway.js';
import { type GatewayStack, type Payer, startGatewayStack } from './support/gateway.js';

const run = promisify(execFile);
const CENT = 10_000n;

/** A header of base64 JSON. */
const decoded = (header: string | null) =>
  JSON.parse(Buffer.from(header ?? '', 'base64').toString('utf8'));

describe('a gateway', () => {
  let stack: GatewayStack;
  let gateway: Gateway;
  let payer: Payer;

  beforeAll(async () => {
    stack = await startGatewayStack();
    gateway = await stack.start();
    payer = await stack.payer();
  });
  afterAll(() => stack?.stop());
  beforeEach(() => {
    stack.upstream.calls.length = 0;
  });

  it('answers an unpaid request with the terms of both versions, for no cache', async () => {
    const answer = await fetch(`${gateway.url}/things/7?x=1`);
    expect(answer.status).toBe(402);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('access-control-expose-headers')).toContain('PAYMENT-REQUIRED');
    const v2 = decoded(answer.headers.get('payment-required'));
    expect(v2).toMatchObject({
      x402Version: 2,
      resource: { url: `${gateway.url}/things/7?x=1`, description: 'One thing — “with” ünïcode' },
      accepts: [
        { scheme: 'exact', network: stack.chain.network, amount: '10000', payTo: stack.payTo },
      ],
    });
    expect(
      Buffer.from(answer.headers.get('payment-required') ?? '', 'base64').toString('latin1'),
    ).toMatch(/^[\x20-\x7e]*$/);
    const v1 = (await answer.json()) as object;
    expect(v1).toMatchObject({
      x402Version: 1,
      accepts: [
        {
          network: 'base-sepolia',
          maxAmountRequired: '10000',
          resource: `${gateway.url}/things/7?x=1`,
        },
      ],
    });
    expect(stack.upstream.calls).toHaveLength(0);
  });

  it('sells to the published v2 client: one call, one transfer, a receipt', async () => {
    const before = await stack.income();
    const answer = await payer.fetch(`${gateway.url}/things/7?x=1`, {
      headers: { 'x-mine': 'yes' },
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ call: 1, url: '/things/7?x=1' });
    expect(decoded(answer.headers.get('payment-response'))).toMatchObject({
      success: true,
      network: stack.chain.network,
      payer: payer.account.address,
    });
    expect(answer.headers.get('cache-control')).toContain('private');
    expect(await stack.income()).toBe(before + CENT);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(stack.upstream.calls[0]?.headers).toMatchObject({ 'x-mine': 'yes' });
    expect(stack.upstream.calls[0]?.headers).not.toHaveProperty('payment-signature');
  });

  it('sells to the published v1 client', async () => {
    const wallet = createWalletClient({
      account: payer.account,
      chain: baseSepolia,
      transport: http(stack.chain.rpcUrl),
    }).extend(publicActions);
    const before = await stack.income();
    const answer = await wrapV1(fetch, wallet as never)(`${gateway.url}/things`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"name":"chair"}',
    });
    expect(answer.status).toBe(200);
    expect(stack.upstream.calls).toMatchObject([{ method: 'POST', body: '{"name":"chair"}' }]);
    expect(decoded(answer.headers.get('x-payment-response'))).toMatchObject({
      success: true,
      network: 'base-sepolia',
    });
    expect(await stack.income()).toBe(before + CENT);
  });

  it('lets everybody have what is free, curl too, and serves nothing that is not listed', async () => {
    const { stdout } = await run('curl', ['-s', `${gateway.url}/free?a=b`]);
    expect(JSON.parse(stdout)).toMatchObject({ url: '/free?a=b' });
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['DELETE', '/things'],
      ['HEAD', '/things/7'],
      ['GET', '/Things'],
    ] as const) {
      expect((await fetch(`${gateway.url}${path}`, { method })).status).toBe(404);
    }
    expect((await fetch(`${gateway.url}/things`, { method: 'OPTIONS' })).status).toBe(204);
    expect((await fetch(`${gateway.url}/nothing`, { method: 'OPTIONS' })).status).toBe(404);
    expect(stack.upstream.calls).toHaveLength(1);
  });

  it.each([
    '/things//7',
    '/things/%2e%2e/free',
    '/things/a%2Fb',
    '/things/a%5cb',
    '/things/..;/free',
    '/things/%zz',
    '/things/a%252fb',
  ])('refuses the ambiguous path %s', async (path) => {
    const { stdout } = await run('curl', [
      '-s',
      '--path-as-is',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      `${gateway.url}${path}`,
    ]);
    expect(stdout).toBe('400');
    expect(stack.upstream.calls).toHaveLength(0);
  });

  it('charges nothing for a failure of the upstream', async () => {
    const usual = stack.upstream.answer;
    stack.upstream.answer = (_call, response) => {
      response.statusCode = 503;
      response.end('out of order');
    };
    const before = await stack.income();
    try {
      const answer = await payer.fetch(`${gateway.url}/things/8`);
      expect(answer.status).toBe(503);
      expect(await answer.text()).toBe('out of order');
      expect(answer.headers.get('payment-response')).toBeNull();
    } finally {
      stack.upstream.answer = usual;
    }
    expect(await stack.income()).toBe(before);
    const { rows } = await stack.db.query(
      `SELECT call, charge FROM gateway_sales WHERE resource = 'GET /things/8'`,
    );
    expect(rows).toEqual([{ call: 'failed', charge: 'none' }]);
  });

  it('charges first where that was said', async () => {
    const before = await stack.income();
    const answer = await payer.fetch(`${gateway.url}/report`);
    expect(answer.status).toBe(200);
    expect(await stack.income()).toBe(before + 25n * CENT);
  });

  it('writes each sale into the log of its own treasury', async () => {
    const { rows } = await stack.db.query(
      `SELECT record FROM events e JOIN treasuries t ON t.id = e.treasury_id WHERE t.name = 'gateway' AND kind = 'sale.settled'`,
    );
    expect(rows).toHaveLength(3);
  });
});
