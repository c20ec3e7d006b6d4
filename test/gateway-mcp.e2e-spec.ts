import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { x402Client } from '@x402/core/client';
import type { PaymentRequired } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { type GatewayStack, type Payer, startGatewayStack, THINGS } from './support/gateway.js';

// The operations of a gateway as paid MCP tools, asked by the protocol's own client.

const DOCUMENT = {
  ...THINGS,
  paths: {
    ...THINGS.paths,
    '/things/gold': {
      get: { operationId: 'get gold!', responses: { 200: { description: 'ok' } } },
    },
  },
};

describe('the MCP tools of a gateway', () => {
  let stack: GatewayStack;
  let payer: Payer;
  let url: string;
  const clients: Client[] = [];

  beforeAll(async () => {
    stack = await startGatewayStack();
    payer = await stack.payer();
    const operations = { getFree: { free: true }, 'get gold!': { price: '5' } };
    ({ url } = await stack.start({}, await stack.write({ operations }, DOCUMENT)));
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await stack?.stop();
  });
  beforeEach(() => {
    stack.upstream.calls.length = 0;
  });

  async function connected(): Promise<Client> {
    const client = new Client({ name: 'agent', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)) as Transport);
    clients.push(client);
    return client;
  }

  const call = async (
    client: Client,
    name: string,
    given: Record<string, unknown> = {},
    payment?: object,
  ) =>
    (await client.callTool({
      name,
      arguments: given,
      ...(payment ? { _meta: { 'x402/payment': payment } } : {}),
    })) as CallToolResult;
  const textOf = ({ content: [first] }: CallToolResult) =>
    first?.type === 'text' ? first.text : undefined;
  /** Signs what a result asks for. */
  const signed = (result: CallToolResult) =>
    new x402Client()
      .register('eip155:*', new ExactEvmScheme(payer.account))
      .setSpendControls(false)
      .createPaymentPayload(result.structuredContent as unknown as PaymentRequired);

  it('lists what is served, with prices and the schemas of arguments', async () => {
    const { tools } = await (await connected()).listTools();
    expect(tools.map(({ name }) => name).sort()).toEqual([
      ...['addThing', 'getFree', 'getReport', 'getThing', 'get_gold', 'hidden', 'listThings'],
    ]);
    const byName = new Map(tools.map((tool) => [tool.name, tool]));
    expect(byName.get('getThing')).toMatchObject({
      description: 'One thing — “with” ünïcode (0.01 USDC a request)',
      inputSchema: { type: 'object', properties: { id: {} }, required: ['id'] },
    });
    expect(byName.get('listThings')?.inputSchema.properties).toEqual({ page: { type: 'integer' } });
    expect(byName.get('getFree')?.description).toContain('(free)');
  });

  it('asks for a payment, takes it once, and answers the same again', async () => {
    const client = await connected();
    const asked = await call(client, 'getThing', { id: 'a b' });
    expect(asked).toMatchObject({
      isError: true,
      structuredContent: {
        x402Version: 2,
        resource: { url: 'mcp://tool/getThing' },
        accepts: [{ amount: '10000', payTo: stack.payTo }],
      },
    });
    expect(stack.upstream.calls).toHaveLength(0);
    const before = await stack.income();
    const payment = await signed(asked);
    const paid = await call(client, 'getThing', { id: 'a b' }, payment);
    expect(paid.isError).toBeUndefined();
    expect(JSON.parse(textOf(paid) ?? '')).toMatchObject({ url: '/things/a%20b' });
    expect(paid._meta?.['x402/payment-response']).toMatchObject({
      success: true,
      payer: payer.account.address,
    });
    expect(textOf(await call(client, 'getThing', { id: 'a b' }, payment))).toBe(textOf(paid));
    // The payment is the call's: other arguments are another purchase.
    const other = await call(client, 'getThing', { id: 'c' }, payment);
    expect(textOf(other)).toContain('"code":"conflict"');
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await stack.income()).toBe(before + 10_000n);
  });

  it('sends arguments as query and body, and serves free operations', async () => {
    const client = await connected();
    expect(JSON.parse(textOf(await call(client, 'getFree')) ?? '')).toMatchObject({ url: '/free' });
    const body = { name: 'ünïcode', parts: [1, 2] };
    const asked = await call(client, 'addThing', { body });
    const payment = await signed(asked);
    expect((await call(client, 'addThing', { body }, payment)).isError).toBeUndefined();
    const list = await call(client, 'listThings', { page: 2 });
    await call(client, 'listThings', { page: 2 }, await signed(list));
    expect(stack.upstream.calls).toMatchObject([
      { method: 'GET', url: '/free' },
      { method: 'POST', url: '/things', body: JSON.stringify(body) },
      { method: 'GET', url: '/things?page=2' },
    ]);
  });

  it('reaches no other operation by its arguments, and calls nothing for bad ones', async () => {
    const client = await connected();
    for (const [id, wrong] of [
      ['gold', 'is another operation'],
      ['../report', 'encoded slash'],
      ['..', 'a segment of dots'],
      ['%2e%2e', 'encoded twice'],
      ['', 'is required'],
    ]) {
      const result = await call(client, 'getThing', { id });
      expect([id, result.isError, textOf(result)]).toEqual([
        id,
        true,
        expect.stringContaining(wrong ?? ''),
      ]);
      expect(result.structuredContent).toBeUndefined();
    }
    const unknown = await call(client, 'getThing', { id: '7', token: 'x' });
    expect(textOf(unknown)).toBe('there is no argument token');
    await expect(call(client, 'no such tool')).rejects.toThrow('there is no tool');
    const gold = await call(client, 'get_gold');
    const thing = await call(client, 'getThing', { id: '7' });
    // A payment for a cheap tool pays for no dear one.
    const cheap = await call(client, 'get_gold', {}, await signed(thing));
    expect(cheap.structuredContent).toMatchObject({ accepts: [{ amount: '5000000' }] });
    expect(gold.structuredContent).toMatchObject({ accepts: [{ amount: '5000000' }] });
    expect(stack.upstream.calls).toHaveLength(0);
  });

  it('hands out a failure of the API as an error, uncharged', async () => {
    const usual = stack.upstream.answer;
    stack.upstream.answer = (_call, response) =>
      void response.writeHead(404, { 'content-type': 'application/json' }).end('{"no":1}');
    const client = await connected();
    const before = await stack.income();
    const payment = await signed(await call(client, 'getThing', { id: 'none' }));
    const result = await call(client, 'getThing', { id: 'none' }, payment);
    stack.upstream.answer = usual;
    expect([result.isError, textOf(result), result._meta]).toEqual([true, '{"no":1}', undefined]);
    expect(await stack.income()).toBe(before);
  });

  it('has no stream and no session, and refuses what is no message', async () => {
    for (const method of ['GET', 'DELETE']) {
      const { status, headers } = await fetch(`${url}/mcp`, { method });
      expect([status, headers.get('allow')]).toEqual([405, 'POST']);
    }
    const preflight = await fetch(`${url}/mcp`, { method: 'OPTIONS' });
    expect(preflight.headers.get('access-control-allow-methods')).toBe('POST');
    for (const body of ['no JSON', '[]']) {
      expect((await fetch(`${url}/mcp`, { method: 'POST', body })).status).toBe(400);
    }
  });
});
