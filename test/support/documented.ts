import { Ajv, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';
import { EVENT_GUIDE } from '../../src/ledger/event-guide.js';

/** An answer of the service, to be held against the published contract. */
export interface DocumentedAnswer {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  /** Parsed body; undefined where it is no JSON. */
  readonly body: unknown;
}

interface Response {
  readonly content?: Readonly<
    Record<
      string,
      { readonly schema: object; readonly examples?: Readonly<Record<string, unknown>> }
    >
  >;
}

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: Readonly<Record<string, Response>> }>>
    >
  >;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** Paths that the document leaves out: the page, the document itself and the metrics. */
const UNDOCUMENTED = /^\/(?:docs|openapi\.json|metrics|$)/;

/** The document, as the first service that a test file met has it; it is the same for all. */
let contract: Contract | undefined;

/**
 * Holds a 2xx or problem answer against `/openapi.json`: the route, its status, the media type, every member of the
 * body, and for a problem that the route lists its code. Members that the contract does not name are errors here.
 *
 * @throws Error saying what differs.
 */
export async function expectDocumented(url: string, answer: DocumentedAnswer): Promise<void> {
  const isProblem = answer.contentType.startsWith('application/problem+json');
  const isGood = answer.status >= 200 && answer.status < 300;
  if ((!isGood && !isProblem) || answer.method === 'HEAD') return;
  const found = await contractOf(url);
  const fault = found?.faultOf(answer);
  if (fault === undefined) return;
  const { method, path, status, body } = answer;
  throw new Error(
    `${method} ${path} answered ${status} otherwise than /openapi.json says: ${fault}\n${JSON.stringify(body)}`,
  );
}

/** Undefined while the document cannot be had, as behind a rate limit: the next answer asks again. */
async function contractOf(url: string): Promise<Contract | undefined> {
  if (contract) return contract;
  const response = await fetch(`${url}/openapi.json`).catch(() => undefined);
  if (response?.status === 200) contract = new Contract((await response.json()) as Document);
  return contract;
}

class Contract {
  readonly #ajv = new Ajv({ strict: false, allErrors: true });
  readonly #routes: { readonly pattern: RegExp; readonly path: string }[];
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(private readonly document: Document) {
    // A CommonJS module, whose types and value differ in where the default export stands.
    const addFormats = addFormatsModule as unknown as (ajv: Ajv) => void;
    addFormats(this.#ajv);
    const components = closed(this.document.components) as Document['components'];
    this.#ajv.addSchema({ components }, 'document');
    this.#routes = Object.keys(document.paths)
      // A literal segment outranks a parameter.
      .sort((a, b) => a.split('{').length - b.split('{').length)
      .map((path) => ({
        path,
        pattern: new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
      }));
  }

  faultOf({ method, path, status, contentType, body }: DocumentedAnswer): string | undefined {
    const [target = ''] = path.split('?');
    const route = this.#routes.find(({ pattern }) => pattern.test(target));
    const operation = route && this.document.paths[route.path]?.[method.toLowerCase()];
    if (!route || !operation) {
      return status >= 300 || UNDOCUMENTED.test(target) ? undefined : 'it names no such route';
    }
    const response = operation.responses[String(status)];
    // A worker answers no callers, whatever the route.
    if (!response && isOfWorker(body)) return undefined;
    if (!response) return `it names no ${status}`;
    const [mediaType = ''] = contentType.split(';');
    const content = response.content?.[mediaType];
    if (!content) return `${status} is not of type ${mediaType}`;
    if (body === undefined) return undefined;
    const key = `${method} ${route.path} ${status}`;
    const validate = this.#compiled.get(key) ?? this.#ajv.compile(closed(content.schema) as object);
    this.#compiled.set(key, validate);
    if (!validate(body)) return this.#ajv.errorsText(validate.errors, { separator: '\n' });
    const { code } = body as { code?: string };
    if (status >= 400 && content.examples?.[String(code)] === undefined) {
      return `${status} does not list code ${code}`;
    }
    return status === 200 && route.path === '/v1/audit/events' ? undocumentedData(body) : undefined;
  }
}

function isOfWorker(body: unknown): boolean {
  return /^this process is a worker/.test((body as { detail?: string } | undefined)?.detail ?? '');
}

/** Members of an event's data that `docs/events.md` does not explain. */
function undocumentedData(body: unknown): string | undefined {
  const { items } = body as { items: { kind: keyof typeof EVENT_GUIDE; data: object }[] };
  const faults = items.flatMap(({ kind, data }) =>
    Object.keys(data)
      .filter((member) => EVENT_GUIDE[kind].data[member] === undefined)
      .map((member) => `the guide to ${kind} lacks data.${member}`),
  );
  return faults.length > 0 ? [...new Set(faults)].join('\n') : undefined;
}

/** A schema in which every object has the members it names and no others; the published one lets answers grow. */
function closed(schema: unknown): unknown {
  return JSON.parse(
    JSON.stringify(schema, (name, value) => {
      if (name === '$ref') return String(value).replace('#/', 'document#/');
      const isOpen =
        typeof value === 'object' &&
        value !== null &&
        value.properties &&
        !('additionalProperties' in value);
      return isOpen ? { ...value, additionalProperties: false } : value;
    }),
  );
}
