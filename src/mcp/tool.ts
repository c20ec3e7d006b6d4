import { z } from 'zod';
import type { Desk, ToolProblem } from './desk.js';

/** How a host may treat a call of the tool. Hints: the grant's limits hold whatever they say. */
export interface ToolAnnotations {
  readonly title: string;
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

type JsonSchema = { readonly type: 'object'; readonly [member: string]: unknown };

/** A tool as `tools/list` shows it. */
export interface ToolDescriptor {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema;
  readonly annotations: ToolAnnotations;
}

/** A tool for a model, on either transport. */
export interface Tool {
  readonly descriptor: ToolDescriptor;
  /**
   * Runs it. Never throws: a refusal is a result that says what to do next.
   *
   * @param signal - aborted when the caller has gone away.
   */
  call(desk: Desk, given: unknown, signal: AbortSignal): Promise<ToolResult>;
}

/** Answer to a call: the same JSON as text, for hosts that read no structured content. */
export interface ToolResult {
  readonly content: { type: 'text'; text: string }[];
  readonly structuredContent: Record<string, unknown>;
  readonly isError?: true;
  readonly [member: string]: unknown;
}

interface Definition<Input extends z.ZodType, Output extends z.ZodType> {
  readonly name: string;
  readonly title: string;
  /** For a model, in at most 60 words. */
  readonly description: string;
  readonly input: Input;
  readonly output: Output;
  readonly annotations: Omit<ToolAnnotations, 'title'>;
  run(desk: Desk, input: z.output<Input>, signal: AbortSignal): Promise<z.input<Output>>;
}

/** Every error of a tool: it stands in the output schema beside the result, since hosts validate both. */
const problemSchema = z.object({
  code: z.string().describe('stable: what is wrong'),
  detail: z.string(),
  nextAction: z
    .string()
    .describe(
      'stop, wait, ask, choose_cheaper, fix_request, renew_token, use_payment, or new_key; only new_key says that a new idempotencyKey is safe',
    ),
  retryAfter: z.number().optional().describe('seconds'),
  traceId: z.string().optional().describe('trace of the call, where the service traces'),
});

/** Makes a tool of its definition. */
export function tool<Input extends z.ZodType, Output extends z.ZodType>({
  name,
  title,
  description,
  input,
  output,
  annotations,
  run,
}: Definition<Input, Output>): Tool {
  const descriptor = {
    name,
    title,
    description,
    inputSchema: jsonSchema(input, 'input'),
    outputSchema: {
      type: 'object' as const,
      anyOf: [jsonSchema(output, 'output'), jsonSchema(problemSchema, 'output')],
    },
    annotations: { title, ...annotations },
  };
  const call: Tool['call'] = async (desk, given, signal) => {
    const read = readArguments(input, given, desk.token);
    if ('problem' in read) return refused(read.problem);
    try {
      return answered(await run(desk, read.input, signal));
    } catch (error) {
      return refused(desk.problemOf(error));
    }
  };
  return { descriptor, call };
}

function answered(value: unknown): ToolResult {
  // Members that are undefined are left out, as in the text.
  const text = JSON.stringify(value);
  return { content: [{ type: 'text', text }], structuredContent: JSON.parse(text) };
}

function refused(problem: ToolProblem): ToolResult {
  return { ...answered(problem), isError: true };
}

function readArguments<Input extends z.ZodType>(
  schema: Input,
  given: unknown,
  token: string,
): { input: z.output<Input> } | { problem: ToolProblem } {
  const value = given ?? {};
  if (JSON.stringify(value).includes(token)) {
    return {
      problem: wrongArgument('arguments: they hold your token; leave it out, no tool needs it'),
    };
  }
  const parsed = safeParse(schema, value);
  if (parsed?.success) return { input: parsed.data };
  const issue = parsed?.error.issues[0];
  const field = issue?.path.map(String).join('.') || 'arguments';
  return { problem: wrongArgument(`${field}: ${issue?.message ?? 'is not valid'}`, field) };
}

/** zod measures whatever has a `length`, and throws where that is no number: the input's fault. */
function safeParse<Schema extends z.ZodType>(schema: Schema, value: unknown) {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function wrongArgument(detail: string, field = 'arguments'): ToolProblem {
  return { code: 'invalid_request', detail, nextAction: 'fix_request', field };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io });
  if (io === 'input') return rest as JsonSchema;
  // Answers may grow: a host must not refuse one for a member that it does not know.
  return JSON.parse(
    JSON.stringify(rest, (name, value: unknown) =>
      name === 'additionalProperties' && value === false ? undefined : value,
    ),
  );
}
