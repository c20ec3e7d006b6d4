import { createHash } from 'node:crypto';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { CURRENCY_CODE } from '../domain/money.js';
import { addressSchema } from '../evm.js';

/** A price in currency units, such as `"0.001"`. Quoted: YAML would read a number, and 0.10 is not one amount of money. */
const price = z
  .string('must be a quoted amount, such as "0.001"')
  .regex(/^(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?$/, 'must be an amount, such as "0.001"')
  .refine(
    (text) => /[1-9]/.test(text),
    'must be above 0; an operation without a price is `free: true`',
  );

const seconds = (max: number) => z.int().min(1).max(max);
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });
const oneOrMore = <T extends z.ZodType>(schema: T) =>
  z.union([schema.transform((one) => [one]), z.array(schema).min(1)]);

/** Values of a request for which a price holds, by name. All of them must be there. */
const conditions = z.record(
  z.string(),
  z.union([z.string(), z.strictObject({ upTo: z.number() })], {
    error: 'must be a quoted text, or { upTo: NUMBER }',
  }),
);

const priceRule = z.strictObject({
  query: conditions.optional(),
  headers: conditions.optional(),
  body: conditions.optional(),
  price,
});

/** When a payment is settled: after the call, before it, or when its answer begins. */
const settle = z.enum(['after', 'before', 'first_byte']);

const operation = z
  .strictObject({
    price: price.optional(),
    rules: z.array(priceRule).min(1).optional(),
    free: z.boolean().optional(),
    settle: settle.optional(),
    stream: z.boolean().optional(),
    timeoutSeconds: seconds(600).optional(),
    description: z.string().max(500).optional(),
  })
  .refine(
    ({ price: amount, rules, free }) => !(free && (amount !== undefined || rules !== undefined)),
    'is free and has a price; give one of the two',
  );

const gatewaySchema = z.strictObject({
  openapi: z.string().min(1),
  upstream: httpUrl.optional(),
  network: oneOrMore(
    z.string().regex(/^eip155:[1-9][0-9]{0,15}$/, 'must be CAIP-2, such as eip155:8453'),
  ),
  payTo: addressSchema('is not a checksummed address'),
  currency: oneOrMore(z.string().regex(CURRENCY_CODE)).default(['USDC']),
  facilitator: z.union([z.literal('self'), oneOrMore(httpUrl)]).default('self'),
  price: price.optional(),
  free: z.boolean().default(false),
  settle: settle.default('after'),
  operations: z.record(z.string(), operation).default({}),
  upstreamHeaders: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string()).default({}),
  upstreamOAuth: z
    .strictObject({
      tokenUrl: httpUrl,
      clientId: z.string().min(1),
      clientSecret: z.string().min(1),
      scope: z.string().min(1).optional(),
      audience: z.string().min(1).optional(),
    })
    .optional(),
  refunds: z.strictObject({ service: httpUrl, token: z.string().min(1) }).optional(),
  treasury: z.string().min(1).max(100).default('gateway'),
  host: z.string().default('127.0.0.1'),
  port: z.int().min(0).max(65_535).default(4030),
  publicUrl: httpUrl.optional(),
  timeoutSeconds: seconds(600).default(30),
  settleSeconds: seconds(300).default(20),
  answerSeconds: seconds(86_400).default(600),
  graceSeconds: z.int().min(0).max(86_400).default(300),
  maxBodyBytes: z.int().min(0).max(1_073_741_824).default(1_048_576),
  maxAnswerBytes: z.int().min(1_024).max(67_108_864).default(8_388_608),
  concurrencyPerPayer: z.int().min(1).max(10_000).default(32),
  ratePerPayer: z.int().min(1).max(1_000_000).optional(),
  freePerPayer: z.int().min(0).max(1_000_000).default(0),
});

/** The gateway's file, as it stands. */
export type GatewayFile = z.output<typeof gatewaySchema> & {
  /** SHA-256 of the file's text: which configuration a sale was made under. */
  readonly hash: string;
};

/** A file that cannot be used: one line a problem, each with its place. */
export class GatewayFileError extends Error {
  override readonly name = 'GatewayFileError';
}

/** Gives the place of a part of the file, for errors that are found later. */
export type PlaceOf = (path: readonly PropertyKey[]) => string;

/**
 * Reads the gateway's file.
 *
 * @param text - YAML (JSON is YAML).
 * @param name - for errors: `name:line: path: what is wrong`.
 * @param environment - holds the `${VARIABLE}`s of `upstreamHeaders`, of the client's secret, and of the refund grant's token.
 * @throws GatewayFileError listing every problem with its line.
 */
export function parseGatewayFile(
  text: string,
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): { file: GatewayFile; placeOf: PlaceOf } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const placeOf: PlaceOf = (path) => {
    const line = lineOf(document, lines, path);
    return `${name}:${line}: ${path.length > 0 ? `${path.map(String).join('.')}: ` : ''}`;
  };
  if (document.errors.length > 0) {
    const problems = document.errors.map(
      (error) => `${name}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]}`,
    );
    throw new GatewayFileError(problems.join('\n'));
  }
  const parsed = gatewaySchema.safeParse(document.toJS() ?? {});
  const problems: string[] = [];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      problems.push(...describe(issue, placeOf, document.hasIn([...issue.path])));
    }
    throw new GatewayFileError(problems.join('\n'));
  }
  const filled = (value: string, path: readonly PropertyKey[]) =>
    value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, variable: string) => {
      const found = environment[variable];
      if (found === undefined || found === '') {
        problems.push(
          `${placeOf(path)}the variable ${variable} is not set; set it, or take it out`,
        );
      }
      return found ?? '';
    });
  const upstreamHeaders = Object.fromEntries(
    Object.entries(parsed.data.upstreamHeaders).map(([header, value]) => {
      const path = ['upstreamHeaders', header];
      const text = filled(value, path);
      if (/[^\t\x20-\x7e]/.test(text)) {
        problems.push(`${placeOf(path)}has a character that no header may have`);
      }
      return [header.toLowerCase(), text];
    }),
  );
  const { refunds, upstreamOAuth: client } = parsed.data;
  const refunding = refunds && { ...refunds, token: filled(refunds.token, ['refunds', 'token']) };
  const upstreamOAuth = client && {
    ...client,
    clientSecret: filled(client.clientSecret, ['upstreamOAuth', 'clientSecret']),
  };
  if (client && upstreamHeaders.authorization !== undefined) {
    problems.push(
      `${placeOf(['upstreamOAuth'])}sets the header authorization, which upstreamHeaders sets too; keep one`,
    );
  }
  if (problems.length > 0) throw new GatewayFileError(problems.join('\n'));
  const hash = createHash('sha256').update(text).digest('hex');
  const file = { ...parsed.data, upstreamHeaders, upstreamOAuth, refunds: refunding, hash };
  return { file, placeOf };
}

function describe(issue: z.core.$ZodIssue, placeOf: PlaceOf, isThere: boolean): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${placeOf([...issue.path, key])}is not known`);
  }
  if (issue.code === 'invalid_union' && isThere) {
    const [first] = issue.errors.flat().filter(({ code }) => code !== 'invalid_type');
    return [`${placeOf(issue.path)}${first?.message ?? issue.message}`];
  }
  return [`${placeOf(issue.path)}${isThere ? issue.message : 'is required'}`];
}

/** The line of the deepest part of a path that is there. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? key.value : key) === part);
      if (!pair) break;
      if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0];
      node = pair.value;
    } else {
      const next = (node as { items?: unknown[] } | null)?.items?.[Number(part)];
      if (!isNode(next)) break;
      if (next.range) offset = next.range[0];
      node = next;
    }
  }
  return lines.linePos(offset).line;
}
