import { declareDiscoveryExtension } from '@x402/extensions/bazaar';
import type { ImportedOperation, Json } from './openapi-import.js';

/** The longest declaration, in bytes of JSON: it travels in a header, and clients read headers of 16 KiB altogether. */
const MAX_BYTES = 3_072;

const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * How an operation is called, as catalogues read it (x402's extension `bazaar`): its parameters and its body's schema.
 *
 * @returns nothing where it would be too long for a header, or refers to other parts of the document.
 */
export function bazaarOf(operation: ImportedOperation): Readonly<Record<string, unknown>> {
  const { method, path, parameters, bodySchema } = operation;
  const ofKind = (kind: string) => schemaOf(parameters.filter((each) => each.in === kind));
  const pathParams = ofKind('path');
  const withPath = pathParams ? { pathParamsSchema: pathParams } : {};
  const query = ofKind('query');
  const declared = (WITH_BODY.has(method)
    ? declareDiscoveryExtension({
        bodyType: 'json',
        input: {},
        inputSchema:
          typeof bodySchema === 'object' && bodySchema !== null ? (bodySchema as Json) : {},
        ...withPath,
      } as never)
    : declareDiscoveryExtension({
        ...(query ? { inputSchema: query } : {}),
        ...withPath,
      } as never)) as unknown as {
    bazaar: { info: { input: Record<string, unknown> } } & Record<string, unknown>;
  };
  declared.bazaar.info.input = { ...declared.bazaar.info.input, method };
  if (path.includes('{')) declared.bazaar.routeTemplate = path.replace(/\{([^{}]+)\}/g, ':$1');
  const text = JSON.stringify(declared);
  // A reference leads nowhere once its schema stands alone.
  return text.length > MAX_BYTES || text.includes('"$ref"')
    ? {}
    : (declared as Record<string, unknown>);
}

function schemaOf(
  parameters: readonly Json[],
): { properties: Record<string, unknown>; required?: string[] } | undefined {
  if (parameters.length === 0) return undefined;
  const required = parameters
    .filter((each) => each.required === true)
    .map(({ name }) => String(name));
  return {
    properties: Object.fromEntries(
      parameters.map(({ name, schema }) => [String(name), schema ?? {}]),
    ),
    ...(required.length > 0 ? { required } : {}),
  };
}
