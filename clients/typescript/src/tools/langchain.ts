import { DynamicStructuredTool } from '@langchain/core/tools';
import type { Bursar } from '../index.js';
import { bursarTools, type ToolOptions } from './index.js';

/**
 * The tools in the form of LangChain (`@langchain/core`).
 *
 * @example
 * const agent = createAgent({ model, tools: langChainTools(bursar) });
 */
export function langChainTools(bursar: Bursar, options?: ToolOptions): DynamicStructuredTool[] {
  return bursarTools(bursar, options).map(
    ({ name, description, parameters, execute }) =>
      new DynamicStructuredTool({
        name,
        description,
        schema: parameters as never,
        func: (input: unknown) => execute(input),
      }) as unknown as DynamicStructuredTool,
  );
}
