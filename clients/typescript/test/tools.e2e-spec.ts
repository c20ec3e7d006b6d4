import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Agent, type Model, run, setTracingDisabled, Usage } from '@openai/agents-core';
import { generateText, stepCountIs } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { AIMessage, createAgent, fakeModel } from 'langchain';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { Bursar } from '../src/index.js';
import { aiSdkTools } from '../src/tools/ai-sdk.js';
import { bursarTools } from '../src/tools/index.js';
import { langChainTools } from '../src/tools/langchain.js';
import { openAIAgentsTools } from '../src/tools/openai-agents.js';

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(() => stack?.stop());

async function agent(budget = '1'): Promise<Bursar> {
  const { token } = await stack.admin.mint({ budget, delegationDepth: 1 });
  return new Bursar({ url: stack.service.url, token });
}

/** Runs one tool by name, as plain function calling does. */
async function call(bursar: Bursar, name: string, input: unknown, options = {}) {
  const found = bursarTools(bursar, options).find((each) => each.name === name);
  if (!found) throw new Error(`no tool ${name}`);
  const result = await found.execute(input);
  expect(result).not.toContain(bursar.token);
  return JSON.parse(result);
}

describe('the tools', () => {
  it('fetch and pay, quote, and tell the budget', async () => {
    const bursar = await agent();
    const url = `${stack.seller.url}/data/7`;
    expect(await call(bursar, 'quote_payment', { url })).toMatchObject({
      decision: 'allow',
      amount: '0.01',
      remainingAfter: '0.99',
    });
    const fetched = await call(bursar, 'fetch_paid_url', JSON.stringify({ url, intent: null }));
    expect(fetched).toMatchObject({ status: 200, paid: { amount: '0.01' }, remaining: '0.99' });
    expect(JSON.parse(fetched.body)).toMatchObject({ page: '7' });
    expect(await call(bursar, 'get_budget', {})).toMatchObject({ remaining: '0.99' });
    const { payments } = await call(bursar, 'list_payments', {});
    expect(payments).toMatchObject([{ amount: '0.01', resource: url }]);
  });

  it('answer a refusal with what to do next, and never throw', async () => {
    const bursar = await agent('0.005');
    const url = `${stack.seller.url}/data/7`;
    expect(await call(bursar, 'fetch_paid_url', { url })).toEqual({
      error: 'budget_exceeded',
      message: expect.stringMatching(/0\.005 of 0\.005\)\. Ask the person/),
    });
    const capped = { maxAmount: '0.001' };
    expect(await call(bursar, 'fetch_paid_url', { url, maxAmount: '9' }, capped)).toMatchObject({
      error: 'max_amount_exceeded',
    });
    for (const input of [{}, { url: 'file:///etc/passwd' }, { url, token: 'x' }, 'no json']) {
      expect(await call(bursar, 'fetch_paid_url', input)).toHaveProperty('error');
    }
    const allowUrl = ({ hostname }: URL) => hostname === 'example.com';
    expect(await call(bursar, 'fetch_paid_url', { url }, { allowUrl })).toMatchObject({
      error: 'invalid_input',
    });
  });

  it('keep to the maximum of the client that made them', async () => {
    const { token } = await agent();
    const defaults = { maxAmount: '0.001' };
    const bursar = new Bursar({ url: stack.service.url, token, defaults });
    const url = `${stack.seller.url}/data/7`;
    expect(await call(bursar, 'fetch_paid_url', { url })).toMatchObject({
      error: 'max_amount_exceeded',
    });
    const misspelt = { maxamount: '0.05' };
    expect(() => bursarTools(bursar, misspelt as never)).toThrow(/no option "maxamount"/);
  });

  it('delegate only where somebody carries the token, which no result shows', async () => {
    const bursar = await agent();
    await expect(call(bursar, 'delegate_budget', {})).rejects.toThrow(/no tool/);
    const children: Bursar[] = [];
    const input = { holder: 'sub', budget: '0.50', ttlSeconds: 600 };
    const onDelegate = (child: Bursar) => void children.push(child);
    const result = await call(bursar, 'delegate_budget', input, { onDelegate });
    expect(result).toMatchObject({ holder: 'sub', budget: '0.50' });
    expect(JSON.stringify(result)).not.toContain(children[0]?.token);
    expect((await children[0]?.grants.self())?.id).toBe(result.grantId);
  });
});

describe('request_raise', () => {
  it('asks whoever is above, who decides', async () => {
    const parent = await agent();
    const child = await parent.delegate({ holder: 'asker', budget: '0.10', ttlSeconds: 600 });
    const asked = await call(child, 'request_raise', { budget: '0.50', reason: 'more pages' });
    expect(asked).toMatchObject({ status: 'pending', budget: '0.50', currency: 'USDC' });
    expect((await child.grants.self()).budget).toBe('0.10');
    await parent.raises.approve(asked.id);
    expect(await call(child, 'get_budget', {})).toMatchObject({ budget: '0.50' });
    expect(
      await call(child, 'request_raise', { budget: '0.50', reason: 'the same' }),
    ).toMatchObject({ error: 'conflict' });
  });
});

describe('the adapters, each with its package and a scripted model', () => {
  it('Vercel AI SDK', async () => {
    const bursar = await agent();
    const url = `${stack.seller.url}/data/7`;
    const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } } as never;
    let turn = 0;
    const model = new MockLanguageModelV3({
      doGenerate: async ({ prompt }) =>
        turn++ === 0
          ? {
              content: [
                {
                  type: 'tool-call',
                  toolCallId: '1',
                  toolName: 'fetch_paid_url',
                  input: JSON.stringify({ url }),
                },
              ],
              finishReason: { unified: 'tool-calls', raw: undefined },
              usage,
              warnings: [],
            }
          : {
              content: [{ type: 'text', text: `read: ${JSON.stringify(prompt.at(-1))}` }],
              finishReason: { unified: 'stop', raw: undefined },
              usage,
              warnings: [],
            },
    });
    const result = await generateText({
      model,
      tools: aiSdkTools(bursar),
      prompt: 'Read page 7.',
      stopWhen: stepCountIs(3),
    });
    // The paid answer came back to the model.
    expect(result.text).toMatch(/^read: .*"tool-result".*0\.01.*alpha/s);
    expect((await bursar.grants.self()).payments).toBe(1);
  });

  it('LangChain', async () => {
    const bursar = await agent();
    const url = `${stack.seller.url}/data/7`;
    const model = fakeModel()
      .respondWithTools([{ name: 'fetch_paid_url', args: { url }, id: '1' }])
      .respond((messages) => new AIMessage(`read: ${messages.at(-1)?.content}`));
    const reader = createAgent({ model, tools: langChainTools(bursar) });
    const { messages } = await reader.invoke({
      messages: [{ role: 'user', content: 'Read page 7.' }],
    });
    expect(messages.map((each) => each.type)).toEqual(['human', 'ai', 'tool', 'ai']);
    // The paid answer came back to the model.
    expect(String(messages.at(-1)?.content)).toMatch(/^read: .*"amount":"0\.01".*alpha/s);
    expect((await bursar.grants.self()).payments).toBe(1);
  });

  it('OpenAI Agents', async () => {
    setTracingDisabled(true);
    const bursar = await agent();
    const url = `${stack.seller.url}/data/7`;
    let turn = 0;
    const model = {
      async getResponse({ input }: { input: unknown[] }) {
        const usage = new Usage();
        const output =
          turn++ === 0
            ? {
                type: 'function_call',
                callId: '1',
                name: 'fetch_paid_url',
                status: 'completed',
                arguments: JSON.stringify({ url }),
              }
            : {
                type: 'message',
                role: 'assistant',
                status: 'completed',
                content: [{ type: 'output_text', text: `read: ${JSON.stringify(input.at(-1))}` }],
              };
        return { usage, output: [output] };
      },
      getStreamedResponse() {
        throw new Error('not streamed');
      },
    } as unknown as Model;
    const reader = new Agent({ name: 'reader', model, tools: openAIAgentsTools(bursar) });
    const result = await run(reader, 'Read page 7.');
    // The paid answer came back to the model.
    expect(result.finalOutput).toMatch(/^read: .*"function_call_result".*0\.01.*alpha/s);
    expect((await bursar.grants.self()).payments).toBe(1);
  });
});
