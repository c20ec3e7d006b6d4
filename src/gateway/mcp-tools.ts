import { object } from './openapi-import.js';
import type { Shop, SoldOperation } from './shop.js';
import { encodeSegment, parseTarget, type RequestTarget } from './target.js';

/** The longest name of a tool: what hosts take. */
const MAX_NAME = 64;

/** Methods of operations that are tools. */
const CALLABLE: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** An argument of a tool, and where it stands in the request. */
interface ToolArgument {
  readonly key: string;
  readonly in: 'path' | 'query' | 'body';
  readonly name: string;
  readonly isRequired: boolean;
  readonly schema: object;
}

/** An operation as an MCP tool. */
export interface OperationTool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly inputSchema: { readonly type: 'object'; readonly [member: string]: unknown };
  readonly operation: SoldOperation;
  readonly arguments: readonly ToolArgument[];
}

/** Arguments of a call that make no request. The message is for whoever called. */
export class InvalidArguments extends Error {}

/** Every operation of a shop as a tool, by its name. */
export function toolsOf(shop: Shop): ReadonlyMap<string, OperationTool> {
  const tools = new Map<string, OperationTool>();
  for (const operation of shop.operations) {
    if (!CALLABLE.has(operation.method)) continue;
    const args = argumentsOf(operation);
    const name = freeName(operation.id, tools);
    tools.set(name, {
      name,
      description: `${operation.description} (${shop.costOf(operation)})`,
      inputSchema: {
        type: 'object',
        properties: Object.fromEntries(args.map(({ key, schema }) => [key, schema])),
        required: args.filter(({ isRequired }) => isRequired).map(({ key }) => key),
        additionalProperties: false,
      },
      operation,
      arguments: args,
    });
  }
  return tools;
}

/**
 * The request that a call of a tool makes.
 *
 * @throws InvalidArguments, or AmbiguousTarget for a path that two programs could read differently.
 */
export function requestOf(
  { operation, arguments: known }: OperationTool,
  given: Readonly<Record<string, unknown>>,
): { target: RequestTarget; body: Buffer | undefined } {
  const unknown = Object.keys(given).find((key) => !known.some((each) => each.key === key));
  if (unknown !== undefined) throw new InvalidArguments(`there is no argument ${unknown}`);
  const givenFor = (place: ToolArgument['in'], name: string) => {
    const argument = known.find((each) => each.in === place && each.name === name);
    return argument && given[argument.key];
  };
  const path = operation.path.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = givenFor('path', name);
    if (value === undefined || value === null || value === '') {
      throw new InvalidArguments(`the argument ${name} is required`);
    }
    return encodeSegment(textOf(value));
  });
  const query = known.flatMap(({ in: place, key, name }) => {
    const value = place === 'query' ? given[key] : undefined;
    if (value === undefined || value === null) return [];
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.map((each) => `${encodeURIComponent(name)}=${encodeURIComponent(textOf(each))}`);
  });
  const body = givenFor('body', 'body');
  return {
    target: parseTarget(query.length > 0 ? `${path}?${query.join('&')}` : path),
    body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function argumentsOf({ path, parameters, bodySchema, hasBody }: SoldOperation): ToolArgument[] {
  const found: ToolArgument[] = [];
  const add = (argument: Omit<ToolArgument, 'key'>) => {
    const { in: place, name } = argument;
    const isTaken = found.some(({ key }) => key === name) || (name === 'body' && hasBody);
    found.push({ ...argument, key: isTaken && place !== 'body' ? `${place}_${name}` : name });
  };
  for (const name of path.match(/\{[^{}]*\}/g) ?? []) {
    const bare = name.slice(1, -1);
    const parameter = parameters.find((each) => each.in === 'path' && each.name === bare);
    const { schema, description } = parameter ?? {};
    add({ in: 'path', name: bare, isRequired: true, schema: schemaOf(schema, description) });
  }
  for (const { in: place, name, required, schema, description } of parameters) {
    if (place !== 'query' || typeof name !== 'string') continue;
    const isRequired = required === true;
    add({ in: 'query', name, isRequired, schema: schemaOf(schema, description) });
  }
  if (hasBody) {
    add({ in: 'body', name: 'body', isRequired: false, schema: schemaOf(bodySchema, undefined) });
  }
  return found;
}

/** A schema that stands alone; one that refers to other parts of the document leads nowhere, and takes anything. */
function schemaOf(schema: unknown, description: unknown): object {
  const whole = object(schema);
  const kept = JSON.stringify(whole).includes('"$ref"') ? {} : whole;
  const about = typeof description === 'string' ? { description: description.slice(0, 500) } : {};
  return { ...about, ...kept };
}

function freeName(id: string, taken: ReadonlyMap<string, unknown>): string {
  const plain = id.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^_+|_+$/g, '') || 'operation';
  for (let count = 1; ; count += 1) {
    const end = count === 1 ? '' : `_${count}`;
    const name = `${plain.slice(0, MAX_NAME - end.length)}${end}`;
    if (!taken.has(name)) return name;
  }
}
