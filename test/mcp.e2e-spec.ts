import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EventAnswer, Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { newProver } from './support/dpop.js';
import { McpHost } from './support/mcp.js';
import { order, PAYEE } from './support/terms.js';
import { until } from './support/until.js';

let stack: TestStack;
const hosts: McpHost[] = [];

beforeAll(async () => {
  stack = await startTestStack();
}, 60_000);

afterAll(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  await stack?.stop();
});

async function hostOf(token: string): Promise<McpHost> {
  const host = await McpHost.overHttp(stack.service.url, token);
  hosts.push(host);
  return host;
}

async function holder(terms: Record<string, unknown> = {}): Promise<Minted & { host: McpHost }> {
  const minted = await stack.admin.mint({ budget: '1.00', ...terms });
  return { ...minted, host: await hostOf(minted.token) };
}

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'raw', version: '1' },
  },
};
const ACCEPT = { accept: 'application/json, text/event-stream' };

function raw(body: unknown, headers: Record<string, string>, url = stack.service.url) {
  return fetch(`${url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...ACCEPT, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

describe('the tools', () => {
  it('are listed with schemas, annotations and short descriptions', async () => {
    const { host } = await holder();
    const { tools } = await host.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      'get_budget',
      'quote_payment',
      'pay',
      'delegate_budget',
      'revoke_grant',
      'request_raise',
      'list_payments',
      'search_services',
    ]);
    for (const { description = '', inputSchema, outputSchema, annotations, title } of tools) {
      expect(description.split(/\s+/).length).toBeLessThanOrEqual(60);
      expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(outputSchema).toMatchObject({ type: 'object' });
      expect(title).toMatch(/./);
      expect(annotations).toMatchObject({ openWorldHint: false });
    }
    for (const { inputSchema } of tools) {
      expect(JSON.stringify(inputSchema)).not.toMatch(/"(?:access_?)?token"|authorization/i);
    }
    const pay = tools.find(({ name }) => name === 'pay');
    expect(Object.keys(pay?.inputSchema.properties ?? {}).sort()).toEqual([
      'idempotencyKey',
      'maxAmount',
      'option',
      'paymentRequired',
      'request',
    ]);
    expect(pay?.annotations).toMatchObject({ readOnlyHint: false, idempotentHint: true });
  });

  it('tell the whole story: budget, quote, pay at a seller, delegate, revoke', async () => {
    const { seller, chain, service } = stack;
    const { host, grant, token } = await holder({ delegationDepth: 1 });
    expect(await host.answer('get_budget')).toMatchObject({
      grantId: grant.id,
      remaining: '1.00',
      status: 'active',
    });

    const url = `${seller.url}/data/7`;
    const unpaid = await fetch(url);
    const bought = {
      paymentRequired: unpaid.headers.get('payment-required') ?? '',
      request: { url },
    };
    expect(await host.answer('quote_payment', bought)).toMatchObject({
      decision: 'allow',
      remaining: '1.00',
      remainingAfter: '0.99',
    });
    const paid = await host.answer('pay', { ...bought, idempotencyKey: 'page 7' });
    expect(paid).toMatchObject({ replayed: false, remaining: '0.99', payment: { amount: '0.01' } });
    const again = await host.answer('pay', { ...bought, idempotencyKey: 'page 7' });
    expect(again).toMatchObject({ replayed: true, header: paid.header });
    const page = await fetch(url, { headers: { [paid.header.name]: paid.header.value } });
    expect(await page.json()).toMatchObject({ page: '7' });

    const prover = await newProver();
    const child = await host.answer('delegate_budget', {
      holder: 'reader',
      budget: '0.10',
      ttlSeconds: 600,
      holderKey: prover.publicJwk,
    });
    expect(child.grant).toMatchObject({ holder: 'reader', remaining: '0.10' });
    const reader = await McpHost.withProofs(service.url, child.token, prover);
    hosts.push(reader);
    await reader.answer('pay', { ...order(chain), idempotencyKey: 'its page' });

    const { payments, nextCursor } = await host.answer('list_payments');
    expect(payments.map(({ grantId }) => grantId)).toEqual([grant.id, child.grant.grantId]);
    expect(nextCursor).toBeNull();

    const revoked = await host.answer('revoke_grant', { grantId: child.grant.grantId });
    expect(revoked).toMatchObject({
      revokedGrants: 1,
      grant: { status: 'revoked' },
      exposure: { payments: 1, amount: '0.01' },
    });
    const refused = await reader.call('pay', { ...order(chain), idempotencyKey: 'after' });
    expect(refused).toMatchObject({
      isError: true,
      data: { code: 'grant_revoked', nextAction: 'stop' },
    });

    for (const result of [paid, child, payments, revoked]) {
      expect(JSON.stringify(result)).not.toContain(token);
    }
  });

  it('go the way of the REST routes: the same payments, refusals and events', async () => {
    const { admin, chain } = stack;
    const { host, grant, token } = await holder({ maxPerPayment: '0.005' });
    const refused = await host.call('pay', { ...order(chain), idempotencyKey: 'dear' });
    expect(refused).toMatchObject({
      isError: true,
      data: {
        code: 'per_payment_exceeded',
        nextAction: 'ask',
        grantId: grant.id,
        limit: '0.005',
      },
    });
    const rest = await admin.as(token).pay(order(chain), 'dear');
    expect(rest.body).toMatchObject({ code: 'per_payment_exceeded', detail: refused.data.detail });
    await until('the refusal is in the log', async () => {
      const events = await admin.all<EventAnswer>(`/v1/audit/events?grantId=${grant.id}`);
      const found = events.find(({ kind }) => kind === 'payment.refused');
      return found?.actor === `grant:${grant.id}`;
    });
  });

  it('say that a payment waits for an approval, and pay it once it is approved', async () => {
    const { admin, chain } = stack;
    const { host } = await holder({ approvalAbove: '0.001' });
    const waiting = await host.answer('pay', { ...order(chain), idempotencyKey: 'dear' });
    expect(waiting).toMatchObject({ payment: { status: 'pending_approval' }, retryAfter: 5 });
    expect(waiting.header).toBeUndefined();
    await admin.post(`/v1/payments/${waiting.payment.id}/approve`, {});
    const paid = await host.answer('pay', { ...order(chain), idempotencyKey: 'dear' });
    expect(paid).toMatchObject({ payment: { id: waiting.payment.id, status: 'authorized' } });
    expect(paid.header.value).toMatch(/./);
  });

  it('spend one budget exactly when 50 pay at once, on two replicas', async () => {
    const { grant, token, host } = await holder({ budget: '0.20' });
    const replica = await startReplica(stack);
    const other = await McpHost.overHttp(replica.url, token);
    try {
      const calls = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          (index % 2 === 0 ? host : other).call('pay', {
            ...order(stack.chain),
            idempotencyKey: `page ${index}`,
          }),
        ),
      );
      const refused = calls.filter(({ isError }) => isError);
      expect(calls.length - refused.length).toBe(20);
      expect(new Set(refused.map(({ data }) => data.code))).toEqual(new Set(['budget_exceeded']));
      expect(await stack.admin.grant(grant.id)).toMatchObject({ reserved: '0.20', payments: 20 });
    } finally {
      await other.close();
      await replica.stop();
    }
  });

  it.each([
    ['pay', { request: { url: 'https://a.example/' }, idempotencyKey: 'k' }, 'paymentRequired'],
    ['pay', { paymentRequired: {}, request: { url: 'ftp://a' }, idempotencyKey: 'k' }, undefined],
    ['pay', { paymentRequired: { length: { valueOf: 1 } }, request: 7 }, undefined],
    ['list_payments', { limit: 1_000 }, 'limit'],
    ['list_payments', { order: 'asc' }, 'arguments'],
    ['revoke_grant', { grantId: "grt_'; DROP" }, 'id'],
    ['delegate_budget', { holder: 'x', budget: '0.10' }, 'holderKey'],
    ['get_budget', { token: 'x' }, 'arguments'],
  ])('%s refuses wrong arguments, and says which', async (name, args, field) => {
    const { host } = await holder({ delegationDepth: 1 });
    const { isError, data } = await host.call(name, args as Record<string, unknown>);
    expect(isError).toBe(true);
    expect(data).toMatchObject({
      code: expect.stringMatching(/^(invalid_request|requirements_invalid)$/),
      detail: expect.stringMatching(/./),
      nextAction: 'fix_request',
      ...(field === undefined ? {} : { field }),
    });
  });

  it("take the caller's token in no argument, and keep it out of the log", async () => {
    const { host, grant, token } = await holder({ delegationDepth: 1 });
    const { isError, data } = await host.call('revoke_grant', {
      grantId: grant.id,
      reason: `my token is ${token}`,
    });
    expect(isError).toBe(true);
    expect(data).toMatchObject({ code: 'invalid_request', nextAction: 'fix_request' });
    expect((await stack.admin.grant(grant.id)).status).toBe('active');
  });

  it('are refused by name when there is none such', async () => {
    const { host } = await holder();
    await expect(host.client.callTool({ name: 'fetch_paid_url' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('it is one of get_budget'),
    });
  });

  it('see nothing above or beside their own grant', async () => {
    const { host } = await holder();
    const { grant } = await stack.admin.mint({ budget: '1.00' });
    const revoke = await host.call('revoke_grant', { grantId: grant.id });
    expect(revoke).toMatchObject({
      isError: true,
      data: { code: 'not_found', nextAction: 'stop' },
    });
    const list = await host.call('list_payments', { grantId: grant.id });
    expect(list).toMatchObject({ isError: true, data: { code: 'invalid_request' } });
    expect((await stack.admin.grant(grant.id)).status).toBe('active');
  });
});

describe('the resources', () => {
  it('are the budget and the payments', async () => {
    const { host, grant } = await holder();
    await host.answer('pay', { ...order(stack.chain), idempotencyKey: 'one' });
    const { resources } = await host.client.listResources();
    expect(resources.map(({ uri }) => uri)).toEqual(['bursar://budget', 'bursar://payments']);
    const read = async (uri: string) => {
      const { contents } = await host.client.readResource({ uri });
      const [content] = contents as { text: string; mimeType: string }[];
      expect(content?.mimeType).toBe('application/json');
      return JSON.parse(content?.text ?? '');
    };
    expect(await read('bursar://budget')).toMatchObject({ grantId: grant.id, remaining: '0.99' });
    expect(await read('bursar://payments')).toMatchObject({
      payments: [{ idempotencyKey: 'one', payTo: PAYEE }],
      nextCursor: null,
    });
    await expect(host.client.readResource({ uri: 'file:///etc/passwd' })).rejects.toMatchObject({
      code: -32002,
    });
  });
});

describe('the endpoint', () => {
  it('answers 401 without a token that holds, and says where to read what it takes', async () => {
    const { url } = stack.service;
    for (const [headers, error] of [
      [{}, ''],
      [{ authorization: 'Bearer garbage' }, 'error="invalid_token", '],
    ] as const) {
      const answer = await raw(INITIALIZE, headers);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      const challenge = answer.headers.get('www-authenticate') ?? '';
      expect(challenge).toMatch(/^Bearer realm="bursar"/);
      expect(challenge).toContain(error.slice(0, -2));
      const [, metadata = ''] = /resource_metadata="([^"]+)"/.exec(challenge) ?? [];
      expect(await (await fetch(metadata)).json()).toEqual({
        resource: `${url}/mcp`,
        resource_name: 'Bursar',
        bearer_methods_supported: ['header'],
        dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
        resource_documentation: `${url}/docs`,
      });
    }
    // Other routes are no resource of their own.
    const other = await fetch(`${url}/v1/grants/self`);
    expect(other.headers.get('www-authenticate')).not.toContain('resource_metadata');
  });

  it('refuses a key-bound token without its proof, and an admin', async () => {
    const { publicJwk } = await newProver();
    const { token } = await stack.admin.mint({ budget: '1.00', holderKey: publicJwk });
    const bound = await raw(INITIALIZE, { authorization: `Bearer ${token}` });
    expect(bound.status).toBe(401);
    const admin = await raw(INITIALIZE, { authorization: `Bearer ${stack.admin.token}` });
    expect(admin.status).toBe(403);
  });

  it('refuses bodies that are too large, no JSON, of two names, or a batch', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const authorization = `Bearer ${token}`;
    const large = { ...INITIALIZE, params: { pad: 'x'.repeat(1_200_000) } };
    expect((await raw(large, { authorization })).status).toBe(413);
    expect((await raw('{', { authorization })).status).toBe(400);
    expect((await raw('{"a":1,"a":2}', { authorization })).status).toBe(400);
    const batch = await raw([INITIALIZE, INITIALIZE], { authorization });
    expect(batch.status).toBe(400);
    expect(await batch.json()).toMatchObject({ code: 'invalid_request', field: 'body' });
    const form = await raw('a=b', { authorization, 'content-type': 'text/plain' });
    expect(form.status).toBe(415);
    const plain = await raw(INITIALIZE, { authorization, accept: 'application/json' });
    expect(plain.status).toBe(406);
  });

  it('has no stream to open and no session to end', async () => {
    for (const method of ['GET', 'DELETE']) {
      const answer = await fetch(`${stack.service.url}/mcp`, { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('POST');
    }
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const answer = await raw(INITIALIZE, { authorization: `Bearer ${token}` });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.headers.get('mcp-session-id')).toBeNull();
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('answers no page of an origin that the operator did not name', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const replica = await startReplica(stack, 'api', undefined, {
      BURSAR_CORS_ORIGINS: 'https://console.example.com',
    });
    try {
      const ask = (origin: string) =>
        raw(INITIALIZE, { authorization: `Bearer ${token}`, origin }, replica.url);
      expect((await ask('https://console.example.com')).status).toBe(200);
      expect((await ask('https://evil.example')).status).toBe(403);
    } finally {
      await replica.stop();
    }
  });

  it('counts each call against the rate limits of its caller', async () => {
    const replica = await startReplica(stack, 'api', undefined, {
      BURSAR_RATE_LIMIT_PER_CALLER: '8',
    });
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const host = await McpHost.overHttp(replica.url, token);
    try {
      const calls = await Promise.allSettled(
        Array.from({ length: 12 }, () => host.call('get_budget')),
      );
      const refused = calls.filter(({ status }) => status === 'rejected');
      // Beside initialize, its notification and the list.
      expect(refused.length).toBeGreaterThanOrEqual(7);
      expect(String((refused[0] as PromiseRejectedResult).reason)).toContain('rate_limited');
    } finally {
      await host.close();
      await replica.stop();
    }
  });
});
