import { type FunctionTool, tool } from '@openai/agents-core';
import type { Bursar } from '../index.js';
import { bursarTools, type ToolOptions } from './index.js';

/**
 * The tools in the form of the OpenAI Agents SDK (`@openai/agents`).
 *
 * @example
 * const agent = new Agent({ name: 'reader', tools: openAIAgentsTools(bursar) });
 */
export function openAIAgentsTools(bursar: Bursar, options?: ToolOptions): FunctionTool[] {
  return bursarTools(bursar, options).map(({ name, description, parameters, execute }) =>
    tool({ name, description, parameters: parameters as never, strict: false, execute }),
  ) as unknown as FunctionTool[];
}
