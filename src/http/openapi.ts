import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { ProblemCode } from '../domain/problem.js';
import { FAILS, jsonSchema, problemSchema, takeDefinitions } from './contract.js';
import { NEXT_ACTION, PROBLEM_MEDIA_TYPE, PROBLEM_STATUS, problemBody } from './problem.js';
import { PROBLEM_GUIDE } from './problem-guide.js';

/** The sections of the browsable page, in its order. */
const TAGS: readonly (readonly [name: string, description: string])[] = [
  ['Payments', 'Quote, pay, collect the header again, approve and cancel.'],
  ['Grants', 'Mint, delegate, suspend, resume and revoke bounded authority to spend.'],
  ['Audit', 'Events, proofs and the export of the tamper-evident log.'],
  ['Webhooks', 'Events that are sent to you, signed, in order, at least once.'],
  ['Reports', 'Who spent what, by day, holder, payee, host or label.'],
  [
    'Catalogs',
    'What may be bought: origins that admins subscribed to, and the operations that they sell.',
  ],
  ['Gateway', 'What gateways sold, and who paid for it.'],
  ['Treasury', 'Treasuries and their wallets.'],
  ['OAuth', 'Introspection, revocation and metadata for OAuth libraries.'],
  ['Operations', 'Health, keys and totals.'],
];

const DESCRIPTION = `Bounded, revocable, auditable money that one AI agent can give another.

- **Amounts** are decimal strings in currency units, such as \`"0.05"\`. Times are RFC 3339 in UTC.
- **Errors** are problems (RFC 9457). \`nextAction\` says what an agent should do, and \`code\` never changes its meaning.
- **One \`Idempotency-Key\` is one purchase.** Keep it over retries and restarts.
- **Lists** are pages: hand \`nextCursor\` back as \`cursor\`.

Start with \`POST /v1/grants\` (an admin's token), then \`POST /v1/payments\` (the token that it answers with).`;

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']> & Record<string, unknown>;

/** The codes that any route may answer with. */
const EVERYWHERE: readonly ProblemCode[] = [
  'invalid_request',
  'rate_limited',
  'internal_error',
  'unavailable',
];

/** Description of the service that serves the document. */
export interface DocumentedService {
  /** Where callers reach the service; undefined for where the document was read. */
  readonly publicUrl: string | undefined;
  /** A token that can be paid with here, for the examples; undefined for USDC on Base Sepolia. */
  readonly token: ExampleToken | undefined;
}

/** A token of an example. */
export interface ExampleToken {
  readonly network: string;
  readonly address: string;
  readonly name: string;
  readonly version: string;
}

/** The token that the examples of the source name. */
const SOURCE_TOKEN: ExampleToken = {
  network: 'eip155:84532',
  address: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
  name: 'USDC',
  version: '2',
};

/**
 * Builds the OpenAPI 3.0 document: named schemas, one operation id a route, and for each route every code it
 * may answer with, with its `nextAction` and an example.
 */
export function openApiDocument(
  app: INestApplication,
  { publicUrl, token }: DocumentedService,
): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setTitle('Bursar')
    .setDescription(DESCRIPTION)
    .setVersion('v1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer(publicUrl ?? '/')
    .addSecurity('bearer', {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: "An admin's token, or the token of a grant that is not bound to a key.",
    })
    .addSecurity('dpop', {
      type: 'http',
      scheme: 'DPoP',
      description:
        'The token of a grant that is bound to a key: `Authorization: DPoP <token>`, with a proof in the `DPoP` header (RFC 9449).',
    });
  for (const [name, description] of TAGS) builder.addTag(name, description);
  const document = SwaggerModule.createDocument(app, builder.build(), {
    operationIdFactory: (_controller, method) => method,
  });
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const operation of Object.values(methods) as Operation[]) {
      describeErrors(path, operation);
      operation.security ??= [];
    }
  }
  document.paths = inOrderOfTags(document.paths);
  document.components = {
    ...document.components,
    examples: problemExamples(),
    schemas: { ...document.components?.schemas, ...takeDefinitions() },
  };
  return token ? withToken(document, token) : document;
}

/** Replaces the list of codes that {@link FAILS} holds by the route's responses. */
function describeErrors(path: string, operation: Operation): void {
  const codes = new Set<ProblemCode>(EVERYWHERE);
  const schemes = (operation.security ?? []).flatMap((each) => Object.keys(each));
  if (schemes.length > 0) {
    for (const code of ['invalid_token', 'forbidden'] as const) codes.add(code);
  }
  if (schemes.includes('dpop')) codes.add('invalid_dpop_proof');
  if (path.includes('{')) codes.add('not_found');
  if (operation.requestBody !== undefined) {
    for (const code of ['payload_too_large', 'unsupported_media_type'] as const) codes.add(code);
  }
  for (const code of (operation[FAILS] ?? []) as ProblemCode[]) codes.add(code);
  delete operation[FAILS];
  for (const status of [...new Set([...codes].map((code) => PROBLEM_STATUS[code]))].sort()) {
    const listed = [...codes].filter((code) => PROBLEM_STATUS[code] === status);
    operation.responses[String(status)] = {
      description: listed
        .map((code) => `\`${code}\` (\`nextAction\`: \`${NEXT_ACTION[code]}\`)`)
        .join(', '),
      content: {
        [PROBLEM_MEDIA_TYPE]: {
          schema: jsonSchema(problemSchema, 'output'),
          examples: Object.fromEntries(
            listed.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
          ),
        },
      },
    };
  }
}

/** One example of each code. */
function problemExamples() {
  return Object.fromEntries(
    (Object.keys(PROBLEM_STATUS) as ProblemCode[]).map((code) => {
      const { means, remedy } = PROBLEM_GUIDE[code];
      return [code, { summary: code, value: problemBody(code, `${means} ${remedy}`) }];
    }),
  );
}

/** Nest lists routes as their modules are imported; a reader wants the sections' order. */
function inOrderOfTags(paths: OpenAPIObject['paths']): OpenAPIObject['paths'] {
  const names = TAGS.map(([name]) => name);
  const placeOf = (methods: object) =>
    Math.min(
      ...(Object.values(methods) as Operation[]).map(({ tags = [] }) =>
        names.indexOf(tags[0] ?? ''),
      ),
    );
  return Object.fromEntries(Object.entries(paths).sort(([, a], [, b]) => placeOf(a) - placeOf(b)));
}

/** The examples with a token that can be paid with here, so that they work as they are. */
function withToken(document: OpenAPIObject, token: ExampleToken): OpenAPIObject {
  const { network, address, name, version } = token;
  const text = JSON.stringify(document)
    .replaceAll(JSON.stringify(SOURCE_TOKEN.network), JSON.stringify(network))
    .replaceAll(JSON.stringify(SOURCE_TOKEN.address), JSON.stringify(address))
    .replaceAll(
      JSON.stringify({ name: SOURCE_TOKEN.name, version: SOURCE_TOKEN.version }),
      JSON.stringify({ name, version }),
    );
  return JSON.parse(text) as OpenAPIObject;
}
