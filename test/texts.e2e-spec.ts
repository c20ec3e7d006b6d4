import { Agent, request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { collectGarbage } from './support/garbage.js';
import { order } from './support/terms.js';

/** Refused requests for each text. The whole measure: BURSAR_TEXT_FLOOD=10000. */
const REQUESTS = Number(process.env.BURSAR_TEXT_FLOOD ?? 32);

/** The longest text that fits into a body of 64 KiB beside the rest of it. */
const BODY_TEXT = 60_000;

/** Query, path and headers: what Node takes of them. */
const LINE_TEXT = 12_000;

interface Schema {
  readonly type?: string;
  readonly maxLength?: number;
  readonly enum?: unknown[];
  readonly properties?: Record<string, Schema>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: Schema[];
  readonly oneOf?: Schema[];
  readonly allOf?: Schema[];
}

interface Operation {
  readonly parameters?: readonly { name: string; in: string; schema: Schema }[];
  readonly requestBody?: { readonly content: Record<string, { schema: Schema }> };
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}

/** A part of the document with each reference to a named schema replaced by the schema. None refers to itself. */
function withSchemasInPlace(part: unknown, document: Document): unknown {
  if (typeof part !== 'object' || part === null) return part;
  if (Array.isArray(part)) return part.map((each) => withSchemasInPlace(each, document));
  const { $ref } = part as { $ref?: string };
  const name = $ref?.startsWith('#/components/schemas/') && $ref.split('/').at(-1);
  if (name) return withSchemasInPlace(document.components.schemas[name], document);
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, withSchemasInPlace(value, document)]),
  );
}

/** A text of a request: where it stands, and the request with some text there. */
interface Place {
  readonly name: string;
  readonly method: string;
  readonly length: number;
  readonly isBounded: boolean;
  /** Whether the text does not matter: the request is answered. */
  readonly isIgnored?: boolean;
  with(text: string): { path: string; body?: string; headers?: Record<string, string> };
}

let stack: TestStack;
let minted: Minted;
let places: Place[];

beforeAll(async () => {
  stack = await startTestStack();
  minted = await stack.admin.mint({ budget: '1.00', delegationDepth: 1 });
  const document = await stack.admin.read<Document>('/openapi.json');
  const { paths } = withSchemasInPlace(document, document) as Document;
  places = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      placesOf(method.toUpperCase(), path, operation),
    ),
  );
}, 60_000);

afterAll(() => stack?.stop());

/** Every text that an operation takes, by its schema. */
function placesOf(method: string, template: string, operation: Operation): Place[] {
  const path = template.replace('{id}', minted.grant.id);
  const parameters = (operation.parameters ?? [])
    .filter(({ schema }) => isText(schema))
    .map(({ name, in: where, schema }) => ({
      name: `${method} ${template} ?${name}`,
      method,
      length: LINE_TEXT,
      isBounded: isBounded(schema),
      with: (text: string) =>
        where === 'path'
          ? { path: template.replace(`{${name}}`, text) }
          : where === 'query'
            ? { path: `${path}?${name}=${text}` }
            : { path, headers: { [name]: text } },
    }));
  const bodies = Object.entries(operation.requestBody?.content ?? {}).flatMap(
    ([type, { schema }]) =>
      textsOf(schema).map(({ at, schema: member }) => ({
        name: `${method} ${template} ${at.join('.')}`,
        method,
        length: BODY_TEXT,
        isBounded: isBounded(member),
        with: (text: string) => ({
          path,
          headers: { 'content-type': type },
          body: type.includes('json')
            ? JSON.stringify(
                at.reduceRight<unknown>(
                  (value, key) => (key === '[]' ? [value] : { [key]: value }),
                  text,
                ),
              )
            : `${at[0]}=${text}`,
        }),
      })),
  );
  return [...parameters, ...bodies];
}

function textsOf(
  schema: Schema,
  at: readonly string[] = [],
): { at: readonly string[]; schema: Schema }[] {
  const { properties = {}, additionalProperties: more, items } = schema;
  return [
    ...(isText(schema) ? [{ at, schema }] : []),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].flatMap((each) =>
      textsOf(each, at),
    ),
    ...Object.entries(properties).flatMap(([key, member]) => textsOf(member, [...at, key])),
    ...(items ? textsOf(items, [...at, '[]']) : []),
    ...(typeof more === 'object' ? textsOf(more, [...at, 'any']) : []),
  ];
}

function isText({ type, enum: values }: Schema): boolean {
  return type === 'string' && values === undefined;
}

function isBounded({ maxLength = Number.POSITIVE_INFINITY }: Schema): boolean {
  return maxLength <= 65_600;
}

/** Texts inside what a seller wrote, for which there is no schema, and those before any schema. */
function placesWithoutSchema(): Place[] {
  const terms = order(stack.chain);
  const pay = (body: unknown) => ({
    path: '/v1/payments',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
    body: JSON.stringify(body),
  });
  const [entry] = terms.paymentRequired.accepts as Record<string, unknown>[];
  const inEntry = (key: string): Place => ({
    name: `accepts[0].${key}`,
    method: 'POST',
    length: BODY_TEXT / 2,
    isBounded: true,
    with: (text) =>
      pay({
        ...terms,
        paymentRequired: { ...terms.paymentRequired, accepts: [{ ...entry, [key]: text }] },
      }),
  });
  const inHeader = (name: string, value: (text: string) => string): Place => ({
    name: `the header ${name}`,
    method: 'GET',
    length: LINE_TEXT,
    isBounded: true,
    isIgnored: name !== 'authorization',
    with: (text) => ({ path: '/v1/grants/self', headers: { [name]: value(text) } }),
  });
  return [
    ...['scheme', 'network', 'asset', 'payTo', 'amount', 'maxTimeoutSeconds'].map(inEntry),
    inHeader('authorization', (text) => `Bearer ${text}`),
    inHeader('authorization', (text) => `Bearer ${minted.token.split('.')[0]}.${text}.x`),
    inHeader('dpop', (text) => text),
    inHeader('x-forwarded-for', (text) => text),
    {
      name: 'a record of labels by name',
      method: 'POST',
      length: BODY_TEXT,
      isBounded: true,
      with: (text) => ({
        path: '/v1/grants',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ holder: 'x', budget: '1.00', labels: { [text]: 'x' } }),
      }),
    },
  ];
}

describe('a text of a request', () => {
  it('has a maximum in its schema, wherever it stands', () => {
    expect(places.length).toBeGreaterThan(60);
    expect(places.filter(({ isBounded: bounded }) => !bounded).map(({ name }) => name)).toEqual([]);
  });

  it('is not kept when its request is refused, however long it is', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const wrong = new Set<string>();
    let n = 0;
    const ask = async (place: Place) => {
      n += 1;
      const text = `${n}`.padEnd(place.length, 'x');
      const status = await send(agent, place, text);
      if (status >= 500 || (status < 400 && !place.isIgnored))
        wrong.add(`${place.name}: answered ${status}`);
    };
    /** By how much the heap grows, in bytes, when each place gets its texts. */
    const growth = async (flooded: readonly Place[]) => {
      const before = heapBytes();
      for (const place of flooded) {
        // Short texts are sent in as many bytes as long ones: a heap grows by some hundred kilobytes by itself.
        const requests = Math.ceil((REQUESTS * BODY_TEXT) / place.length);
        for (let left = requests; left > 0; left -= 8) {
          await Promise.all(Array.from({ length: Math.min(left, 8) }, () => ask(place)));
        }
      }
      return heapBytes() - before;
    };
    const keeps = (grown: number) => grown > (REQUESTS * BODY_TEXT) / 2;
    const all = [...places, ...placesWithoutSchema()];
    // Terms that were parsed are known again, up to 4 million characters (src/x402/known-terms.ts); an entry of an
    // unknown scheme is parsed. Fill that first.
    const unknownScheme = all.find(({ name }) => name === 'accepts[0].scheme');
    for (let left = 140; unknownScheme && left > 0; left -= 1) await ask(unknownScheme);
    // A full collection costs more than the requests: ten places share one, and are looked at one by one only when
    // the heap has grown.
    for (let start = 0; start < all.length; start += 10) {
      const group = all.slice(start, start + 10);
      if (!keeps(await growth(group))) continue;
      for (const place of group) {
        // Retry: code that a route loads at its first requests is no text, while kept texts show every time.
        let grown = Number.POSITIVE_INFINITY;
        for (let n = 0; n < 3 && keeps(grown); n += 1) grown = await growth([place]);
        if (keeps(grown)) wrong.add(`${place.name}: ${grown} bytes`);
      }
    }
    agent.destroy();
    expect([...wrong]).toEqual([]);
  }, 3_600_000);
});

function send(agent: Agent, place: Place, text: string): Promise<number> {
  const { path, body, headers } = place.with(text);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      stack.service.url + path,
      {
        agent,
        method: place.method,
        headers: { authorization: `Bearer ${minted.token}`, ...headers },
      },
      (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0));
      },
    );
    request.once('error', reject);
    request.end(body);
  });
}

/** The bytes that are alive after a full collection. */
function heapBytes(): number {
  // Twice: what only weak tables held goes with the second.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
