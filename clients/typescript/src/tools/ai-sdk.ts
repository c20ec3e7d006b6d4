import { jsonSchema, type ToolSet, tool } from 'ai';
import type { Bursar } from '../index.js';
import { bursarTools, type ToolOptions } from './index.js';

/**
 * The tools in the form of the Vercel AI SDK (`ai`).
 *
 * @example
 * await generateText({ model, tools: aiSdkTools(bursar), prompt, stopWhen: stepCountIs(5) });
 */
export function aiSdkTools(bursar: Bursar, options?: ToolOptions): ToolSet {
  return Object.fromEntries(
    bursarTools(bursar, options).map(({ name, description, parameters, execute }) => [
      name,
      tool({ description, inputSchema: jsonSchema(parameters as object), execute }),
    ]),
  );
}
