// An agent of the Vercel AI SDK that pays for what it reads. The model is scripted, so that this needs no account.
//   BURSAR_URL=... BURSAR_TOKEN=... SELLER=... node examples/ai-sdk.mjs
import { Bursar } from '@bursar/sdk';
import { aiSdkTools } from '@bursar/sdk/tools/ai-sdk';
import { generateText, stepCountIs } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';

const script = [
  {
    type: 'tool-call',
    toolCallId: '1',
    toolName: 'fetch_paid_url',
    input: JSON.stringify({ url: `${process.env.SELLER}/data/7` }),
  },
  { type: 'text', text: 'I have read page 7.' },
];
const model = new MockLanguageModelV3({
  doGenerate: async () => {
    const part = script.shift();
    const unified = part.type === 'text' ? 'stop' : 'tool-calls';
    const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
    return { content: [part], finishReason: { unified, raw: undefined }, usage, warnings: [] };
  },
});

const bursar = Bursar.fromEnv();
const { text, steps } = await generateText({
  model,
  tools: aiSdkTools(bursar, { maxAmount: '0.05' }),
  prompt: 'Read page 7 and tell me about it.',
  stopWhen: stepCountIs(5),
});
console.log(steps[0].toolResults[0].output);
console.log(text);
