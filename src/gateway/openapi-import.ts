import { bundle, createConfig } from '@redocly/openapi-core';

/** A JSON object of a document that nobody has checked. */
export type Json = Readonly<Record<string, unknown>>;

/** An operation of an OpenAPI document. */
export interface ImportedOperation {
  /** `operationId`, or the method and path where it has none. */
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** The template as the document has it. */
  readonly path: string;
  readonly summary: string | undefined;
  readonly tags: readonly string[];
  /** Parameters of the path item and of the operation, `$ref`s resolved. */
  readonly parameters: readonly Json[];
  /** Whether it takes a JSON body. */
  readonly hasBody: boolean;
  /** `schema` of the JSON request body; undefined for none. */
  readonly bodySchema: unknown;
  /** `x-payment-info` as it stands. */
  readonly paymentInfo: unknown;
}

/** A document with its references to other files resolved into it. */
export interface ImportedDocument {
  readonly document: Json;
  readonly title: string;
  /** The URL of the first server; undefined where it has none. */
  readonly server: string | undefined;
  readonly operations: readonly ImportedOperation[];
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

/**
 * Reads an OpenAPI document of version 3.0 or 3.1, JSON or YAML. References to other files and URLs are resolved into the
 * document, references within it stay: a document may refer to itself in circles.
 *
 * @param location - a file or a URL.
 * @throws Error with one line for what cannot be read.
 */
export async function importOpenApi(location: string): Promise<ImportedDocument> {
  const document = await readDocument(location);
  const version = String(document.openapi ?? document.swagger ?? '');
  if (!/^3\.[01]\./.test(version)) {
    throw new Error(
      `${location}: is OpenAPI ${version || 'of no version'}, and 3.0 and 3.1 are read; convert it first`,
    );
  }
  const { title } = object(document.info);
  const [server] = list(document.servers).map((each) => serverUrl(object(each)));
  return {
    document,
    title: typeof title === 'string' ? title : 'API',
    server,
    operations: Object.entries(object(document.paths)).flatMap(([path, item]) =>
      path.startsWith('/') ? operationsOf(document, path, object(follow(document, item))) : [],
    ),
  };
}

async function readDocument(location: string): Promise<Json> {
  try {
    const { bundle: found } = await bundle({ ref: location, config: await createConfig({}) });
    return object(found.parsed);
  } catch (error) {
    const [line] = String(error instanceof Error ? error.message : error).split('\n');
    throw new Error(`${location}: cannot be read: ${line}`);
  }
}

function operationsOf(document: Json, path: string, item: Json): ImportedOperation[] {
  return METHODS.flatMap((name) => {
    if (item[name] === undefined) return [];
    const operation = object(follow(document, item[name]));
    const method = name.toUpperCase();
    const body = object(follow(document, operation.requestBody));
    const json = object(body.content)['application/json'];
    const own = parametersOf(document, operation);
    const shared = parametersOf(document, item).filter(
      (each) => !own.some((other) => other.name === each.name && other.in === each.in),
    );
    return [
      {
        id: typeof operation.operationId === 'string' ? operation.operationId : `${method} ${path}`,
        method,
        path,
        summary: text(operation.summary) ?? text(operation.description) ?? text(item.summary),
        tags: list(operation.tags).filter((tag) => typeof tag === 'string'),
        parameters: [...shared, ...own],
        hasBody: json !== undefined,
        bodySchema: object(json).schema,
        paymentInfo: operation['x-payment-info'] ?? item['x-payment-info'],
      },
    ];
  });
}

function parametersOf(document: Json, holder: Json): Json[] {
  return list(holder.parameters).map((each) => object(follow(document, each)));
}

/** Follows a reference within the document, and references that it leads to. @returns undefined for a broken one. */
function follow(document: Json, value: unknown): unknown {
  let found = value;
  // A chain of references is short, and one in a circle leads nowhere.
  for (let steps = 0; steps < 32; steps += 1) {
    const { $ref } = object(found);
    if (typeof $ref !== 'string') return found;
    if (!$ref.startsWith('#/')) return undefined;
    found = $ref
      .slice(2)
      .split('/')
      .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>(
        (at, part) => (Object.hasOwn(object(at), part) ? object(at)[part] : undefined),
        document,
      );
  }
  return undefined;
}

function serverUrl(server: Json): string | undefined {
  const variables = object(server.variables);
  return text(server.url)?.replace(/\{([^{}]+)\}/g, (whole, name: string) => {
    const value = object(variables[name]).default;
    return typeof value === 'string' ? value : whole;
  });
}

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
