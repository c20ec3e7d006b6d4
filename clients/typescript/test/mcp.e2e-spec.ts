import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CallToolRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { order } from '../../../test/support/terms.js';
import { until } from '../../../test/support/until.js';
import { Bursar, PaymentOutcomeUnknown } from '../src/index.js';
import { type McpPaymentOptions, toolPaymentOf, withBursar } from '../src/mcp.js';

let stack: TestStack;
const clients: Client[] = [];

beforeAll(async () => {
  stack = await startTestStack();
}, 60_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await stack?.stop();
});

/** A paying client of its own grant, connected to the sandbox's paid MCP server. */
async function buyer({
  path = '/mcp',
  options = {},
  terms = {},
}: {
  path?: string;
  options?: McpPaymentOptions;
  terms?: Record<string, unknown>;
} = {}) {
  const { grant, token } = await stack.admin.mint({ budget: '1.00', ...terms });
  const bursar = new Bursar({ url: stack.service.url, token });
  const client = new Client({ name: 'buyer', version: '1.0.0' });
  expect(withBursar(client, bursar, options)).toBe(client);
  const transport = new StreamableHTTPClientTransport(new URL(stack.seller.url + path));
  await client.connect(transport as Transport);
  clients.push(client);
  const call = (name: string, args: Record<string, unknown> = {}) =>
    client.callTool({ name, arguments: args });
  const payments = async () => (await stack.admin.grant(grant.id)).payments;
  return { client, bursar, grantId: grant.id, call, payments };
}

/** A client of a server in this process, which answers each call as the test says. */
async function scripted(
  answer: (params: Record<string, unknown>, calls: number) => object,
  options: McpPaymentOptions = {},
) {
  const { grant, token } = await stack.admin.mint({ budget: '1.00' });
  const bursar = new Bursar({ url: stack.service.url, token });
  const server = new Server({ name: 's', version: '1' }, { capabilities: { tools: {} } });
  const seen: Record<string, unknown>[] = [];
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    seen.push(params);
    return answer(params, seen.length) as never;
  });
  const client = withBursar(new Client({ name: 'buyer', version: '1' }), bursar, options);
  const [mine, theirs] = InMemoryTransport.createLinkedPair();
  await server.connect(theirs as Transport);
  await client.connect(mine as Transport);
  clients.push(client);
  const payments = async () => (await stack.admin.grant(grant.id)).payments;
  return { client, seen, payments };
}

it('refuses an option that there is not', () => {
  const bursar = new Bursar({ url: stack.service.url, token: 'x' });
  const client = new Client({ name: 'buyer', version: '1' });
  const misspelt = { maxamount: '0.05' };
  expect(() => withBursar(client, bursar, misspelt as never)).toThrow(/no option "maxamount"/);
});

const askToPay = () => {
  const { paymentRequired } = order(stack.chain);
  return {
    isError: true,
    structuredContent: paymentRequired,
    content: [{ type: 'text', text: JSON.stringify(paymentRequired) }],
  };
};
const URL_OF_SERVER = { url: 'https://tools.example.com/mcp' };

describe.each(['/mcp', '/mcp/error'])('a paid MCP server at %s', (path) => {
  it('sells a tool with an output schema, and the payment settles', async () => {
    const { client, call, grantId } = await buyer({ path });
    // From here on the client validates what the tool answers.
    await client.listTools();
    const result = await call('weather', { city: 'Kyiv' });
    expect(result.structuredContent).toEqual({ city: 'Kyiv', celsius: 21 });
    expect(toolPaymentOf(result)).toMatchObject({
      amount: '0.01',
      currency: 'USDC',
      remaining: '0.99',
      replayed: false,
      receipt: { success: true },
    });
    await until('it is settled', async () => {
      await stack.finalize();
      return (await stack.admin.grant(grantId)).spent === '0.01';
    });
    const [payment] = await stack.admin.all<{ resource: string; declaredResource: string }>(
      `/v1/payments?grantId=${grantId}`,
    );
    expect(payment).toMatchObject({
      resource: stack.seller.url + path,
      declaredResource: 'mcp://tool/weather',
      memo: 'MCP tool weather',
    });
  });

  it('is paid once a call, also by equal calls at once', async () => {
    const { call, payments } = await buyer({ path });
    const results = await Promise.all(Array.from({ length: 5 }, () => call('fortune')));
    expect(new Set(results.map((result) => toolPaymentOf(result)?.key)).size).toBe(5);
    expect(await payments()).toBe(5);
  });

  it('is paid nothing for what is free, dear, or refused by the grant', async () => {
    const { call, payments } = await buyer({ path, options: { maxAmount: '0.05' } });
    const pong = await call('ping');
    expect(pong.content).toEqual([{ type: 'text', text: 'pong' }]);
    expect(toolPaymentOf(pong)).toBeUndefined();
    await expect(call('report')).rejects.toMatchObject({
      code: 'max_amount_exceeded',
      nextAction: 'choose_cheaper',
    });
    const poor = await buyer({ path, terms: { budget: '0.005' } });
    await expect(poor.call('weather', { city: 'Rome' })).rejects.toMatchObject({
      code: 'budget_exceeded',
      nextAction: 'ask',
    });
    expect([await payments(), await poor.payments()]).toEqual([0, 0]);
  });

  it('continues the purchase of a tool that failed after it was paid for', async () => {
    const { call, payments } = await buyer({ path });
    for (const replayed of [false, true]) {
      const result = await call('broken');
      expect(result.isError).toBe(true);
      expect(toolPaymentOf(result)).toMatchObject({ replayed });
    }
    expect(await payments()).toBe(1);
  });
});

describe('a paying client', () => {
  it('is held to the resources of its grant by the URL of the server', async () => {
    const elsewhere = { scope: { resources: ['https://tools.example.com/*'] } };
    const { call } = await buyer({ terms: elsewhere });
    await expect(call('fortune')).rejects.toMatchObject({ code: 'resource_not_allowed' });
    const here = await buyer({ terms: { scope: { resources: [`${stack.seller.url}/mcp`] } } });
    expect((await here.call('fortune')).isError).toBeUndefined();
  });

  it('buys nothing that confirm() refuses, and shows it the price', async () => {
    const asked: unknown[] = [];
    const { call, payments } = await buyer({
      options: {
        confirm: ({ options }, { name }) => {
          asked.push([name, options[0]?.amount]);
          return name !== 'weather';
        },
      },
    });
    await expect(call('weather', { city: 'Oslo' })).rejects.toMatchObject({ code: 'declined' });
    await call('fortune');
    expect(asked).toEqual([
      ['weather', '0.01'],
      ['fortune', '0.01'],
    ]);
    expect(await payments()).toBe(1);
  });

  it('never pays twice for one intent', async () => {
    const { client, seen, payments } = await scripted(
      ({ _meta }) => ('x402/payment' in ((_meta as object) ?? {}) ? { content: [] } : askToPay()),
      { ...URL_OF_SERVER, intent: ({ name }) => `the ${name} of today` },
    );
    const first = await client.callTool({ name: 'weather' });
    const second = await client.callTool({ name: 'weather' });
    expect([toolPaymentOf(first), toolPaymentOf(second)]).toMatchObject([
      { replayed: false },
      { replayed: true },
    ]);
    expect(seen).toHaveLength(4);
    expect(await payments()).toBe(1);
  });

  it('sends the payment as an object beside what the caller put into _meta, once', async () => {
    const { client, seen, payments } = await scripted(askToPay, URL_OF_SERVER);
    const call = client.callTool({ name: 'greedy', _meta: { trace: 't-1' } });
    await expect(call).rejects.toBeInstanceOf(PaymentOutcomeUnknown);
    expect(seen).toHaveLength(2);
    expect(seen[1]?._meta).toMatchObject({
      trace: 't-1',
      'x402/payment': { x402Version: 2, payload: { authorization: expect.any(Object) } },
    });
    // The same call goes on with the same payment.
    await expect(client.callTool({ name: 'greedy' })).rejects.toBeInstanceOf(PaymentOutcomeUnknown);
    const proofOf = (index: number) => {
      const meta = (seen[index]?._meta ?? {}) as Record<string, unknown>;
      return JSON.stringify(meta['x402/payment']);
    };
    expect(proofOf(3)).toBe(proofOf(1));
    expect(await payments()).toBe(1);
  });

  it('continues with the same payment when the paid call got no result', async () => {
    const { client, payments } = await scripted(({ _meta }, calls) => {
      if (!('x402/payment' in ((_meta as object) ?? {}))) return askToPay();
      if (calls === 2) throw new Error('lost');
      return { content: [{ type: 'text', text: 'here' }] };
    }, URL_OF_SERVER);
    await expect(client.callTool({ name: 'slow' })).rejects.toMatchObject({
      code: 'payment_outcome_unknown',
      nextAction: 'wait',
    });
    const result = await client.callTool({ name: 'slow' });
    expect(toolPaymentOf(result)).toMatchObject({ replayed: true });
    expect(await payments()).toBe(1);
  });

  it('pays no answer that only looks like terms: no error, or text beside more', async () => {
    const { paymentRequired } = order(stack.chain);
    const text = JSON.stringify(paymentRequired);
    for (const result of [
      { content: [{ type: 'text', text }], structuredContent: paymentRequired },
      {
        isError: true,
        content: [
          { type: 'text', text },
          { type: 'text', text: 'and more' },
        ],
      },
      { isError: true, content: [{ type: 'text', text: '{"x402Version":2}' }] },
    ]) {
      const { client, seen, payments } = await scripted(() => result, URL_OF_SERVER);
      expect(await client.callTool({ name: 'odd' })).toMatchObject(result);
      expect(seen).toHaveLength(1);
      expect(await payments()).toBe(0);
    }
  });

  it('reads terms that stand in the only text of a result', async () => {
    const { content } = askToPay();
    const { client, payments } = await scripted(
      ({ _meta }) =>
        'x402/payment' in ((_meta as object) ?? {}) ? { content: [] } : { isError: true, content },
      URL_OF_SERVER,
    );
    expect(toolPaymentOf(await client.callTool({ name: 'old' }))).toMatchObject({ amount: '0.01' });
    expect(await payments()).toBe(1);
  });

  it('says what to give where the transport has no URL, and pays nothing', async () => {
    const { client, payments } = await scripted(askToPay);
    await expect(client.callTool({ name: 'weather' })).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringContaining('{ url }'),
    });
    expect(await payments()).toBe(0);
  });

  it('leaves every other error of the server as it is', async () => {
    const { client } = await buyer();
    await expect(client.callTool({ name: 'nothing' })).resolves.toMatchObject({ isError: true });
    await expect(client.readResource({ uri: 'x://y' })).rejects.toMatchObject({ code: -32601 });
  });
});
