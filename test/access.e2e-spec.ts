import { createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { Server } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader, exportJWK, importPKCS8, type JWK, SignJWT } from 'jose';
import { currentTreasuries } from '../src/database/treasury-scope.js';
import { newId } from '../src/ids.js';
import {
  type Answer,
  Api,
  type EventAnswer,
  expectProblem,
  type Listed,
  type Minted,
} from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { flood } from './support/flood.js';
import { signingKeyOf } from './support/signing-key.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** A word in everything that only some may see. */
const TARGET = 'the-target-of-the-matrix';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

const ROLES = ['admin', 'approver', 'auditor', 'holder'] as const;
type Role = (typeof ROLES)[number];

/**
 * Where a caller stands to the grant or payment a route is asked about: admins of every treasury, of
 * its treasury and of another; the holder of the grant above it, of itself, of one below, of one beside,
 * and of one in another treasury.
 */
const PLACES = {
  admin: ['everywhere', 'here', 'elsewhere'],
  approver: ['everywhere', 'here', 'elsewhere'],
  auditor: ['everywhere', 'here', 'elsewhere'],
  holder: ['above', 'own', 'below', 'beside', 'elsewhere'],
} as const satisfies Record<Role, readonly string[]>;
type Place = (typeof PLACES)[Role][number];

/** A kind of caller: one column of the matrix. */
interface Column {
  readonly role: Role;
  readonly place: Place;
  readonly sees: boolean;
}

const COLUMNS: readonly Column[] = ROLES.flatMap((role) =>
  PLACES[role].map((place) => ({
    role,
    place,
    sees: ['everywhere', 'here', 'above', 'own'].includes(place),
  })),
);

/**
 * How a route is asked, who may, and what it answers to whom. A route about one thing (`{id}`) answers
 * 404 to those allowed who may not see it; any other answers them too, but shows nothing of it.
 */
interface Row {
  readonly allowed: readonly Role[] | 'everybody';
  readonly status: number;
  readonly path?: () => string;
  readonly body?: () => unknown;
  readonly headers?: Record<string, string>;
  /** Where a cell is another than those rules make it. */
  readonly cell?: (column: Column) => number | undefined;
  /** A further condition on an answer of 2xx. */
  readonly check?: (
    column: Column,
    answer: Answer<Record<string, unknown>>,
  ) => Promise<void> | void;
}

/** A grant with one below it and a payment of its own, to be asked about and acted on. */
interface Family {
  readonly target: Minted;
  /** A raise request of the target. */
  readonly requestId: string;
  readonly below: Minted;
  readonly paymentId: string;
  /** The event of the payment, once it is sealed. */
  eventId: string;
  readonly webhookId: string;
  /** A delivery of that event. */
  deliveryId: string;
}

/** A webhook at whose address nobody listens. */
const HOOK = { url: 'http://127.0.0.1:9/', kinds: ['webhook.deleted'] };

const READERS: readonly Role[] = ['admin', 'approver', 'auditor', 'holder'];
const ADMINS: readonly Role[] = ['admin', 'approver', 'auditor'];

let stack: TestStack;
let tokens: Record<Role, string>;
/** The tokens of every column but those of a family's own grants. */
let columnTokens: Map<string, string>;
/** Every cell that changes a grant changes the first one's, and drops it. */
let families: Family[];
/** The treasury that everything asked about is in, and one that has nothing to do with it. */
let treasuryId: string;
let otherTreasuryId: string;
let walletId: string;
/** A catalog of an origin that is not there. */
let catalogId: string;
/** The service's own signing key, as only the service should have it. */
let own: { kid: string; privatePem: string; publicPem: string };
let openapi: OpenApi;

interface OpenApi {
  paths: Record<
    string,
    Record<string, { security?: unknown[]; responses: Record<string, { content?: object }> }>
  >;
}

const ROWS: Readonly<Record<string, Row>> = {
  'GET /healthz': { allowed: 'everybody', status: 200 },
  'GET /readyz': { allowed: 'everybody', status: 200 },
  'GET /.well-known/jwks.json': { allowed: 'everybody', status: 200 },
  'GET /.well-known/oauth-authorization-server': { allowed: 'everybody', status: 200 },
  'GET /.well-known/oauth-protected-resource/mcp': { allowed: 'everybody', status: 200 },
  'POST /v1/introspect': {
    allowed: READERS,
    status: 200,
    headers: FORM,
    body: () => `token=${family().target.token}`,
    check: ({ sees }, { body }) => {
      expect(body.active).toBe(sees);
      if (!sees) expect(body).toEqual({ active: false });
    },
  },
  'POST /v1/revoke': {
    allowed: READERS,
    status: 200,
    headers: FORM,
    body: () => `token=${family().target.token}`,
    // Those who see the token and may not end it are told; the others learn nothing.
    cell: ({ role, sees }) => (sees && ['approver', 'auditor'].includes(role) ? 403 : undefined),
    check: async ({ sees }) => {
      const { status } = await anonymous().as(family().target.token).get('/v1/grants/self');
      expect(status).toBe(sees ? 401 : 200);
      if (sees) families.shift();
    },
  },
  'POST /v1/grants': {
    allowed: ['admin', 'holder'],
    status: 201,
    body: () => ({ holder: 'matrix', budget: '0.10', ttlSeconds: 60 }),
  },
  'GET /v1/grants': { allowed: READERS, status: 200 },
  'GET /v1/grants/self': { allowed: ['holder'], status: 200 },
  'GET /v1/grants/{id}': { allowed: READERS, status: 200, path: () => victimPath('') },
  'PATCH /v1/grants/{id}': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => victimPath(''),
    body: () => ({ purpose: 'amended' }),
    cell: ({ role, place }) => (role === 'holder' && place === 'own' ? 403 : undefined),
  },
  'POST /v1/grants/{id}/revoke': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => victimPath('/revoke'),
    body: () => ({}),
    check: () => void families.shift(),
  },
  'POST /v1/grants/{id}/token': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => victimPath('/token'),
    check: () => void families.shift(),
  },
  'POST /v1/grant-requests': {
    allowed: ['holder'],
    status: 202,
    body: () => ({ budget: '90.00', reason: 'matrix' }),
    // The target has one open request already.
    cell: ({ role, place }) => (role === 'holder' && place === 'own' ? 409 : undefined),
  },
  'GET /v1/grant-requests': { allowed: READERS, status: 200 },
  'POST /v1/grant-requests/{id}/approve': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/grant-requests/${family().requestId}/approve`,
    body: () => ({}),
    cell: ({ role, place }) => (role === 'holder' && place === 'own' ? 403 : undefined),
    check: () => void families.shift(),
  },
  'POST /v1/grant-requests/{id}/reject': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/grant-requests/${family().requestId}/reject`,
    body: () => ({}),
    cell: ({ role, place }) => (role === 'holder' && place === 'own' ? 403 : undefined),
    check: () => void families.shift(),
  },
  'POST /v1/payments': {
    allowed: ['holder'],
    status: 201,
    body: () => order(stack.chain),
    // The other treasury has no wallet to pay from.
    cell: ({ role, place }) => (role === 'holder' && place === 'elsewhere' ? 503 : undefined),
  },
  'GET /v1/payments': { allowed: READERS, status: 200 },
  'GET /v1/payments/{id}': {
    allowed: READERS,
    status: 200,
    path: () => `/v1/payments/${family().paymentId}`,
  },
  'GET /v1/payments/{id}/header': {
    allowed: ['holder'],
    status: 200,
    path: () => `/v1/payments/${family().paymentId}/header`,
    // A holder above sees the payment, and is not the one who pays.
    cell: ({ role, place }) => (role === 'holder' && place === 'above' ? 403 : undefined),
  },
  'GET /v1/grants/{id}/revocation': {
    allowed: READERS,
    status: 200,
    path: () => victimPath('/revocation'),
  },
  'POST /v1/grants/{id}/replay': {
    allowed: READERS,
    status: 200,
    path: () => victimPath('/replay'),
    body: () => ({}),
  },
  'POST /v1/grants/bulk/preview': {
    allowed: READERS,
    status: 200,
    body: () => ({ act: 'suspend', holder: TARGET }),
  },
  'POST /v1/grants/bulk': {
    allowed: ['admin', 'holder'],
    status: 200,
    body: () => ({ act: 'suspend', holder: TARGET, expected: [], reason: 'matrix' }),
    // Nobody expected the grants that are found. A caller finds those it sees, but never its own.
    cell: ({ role, place, sees }) =>
      sees && place !== 'own' && ['admin', 'holder'].includes(role) ? 409 : undefined,
  },
  'GET /v1/grants/{id}/tree': { allowed: READERS, status: 200, path: () => victimPath('/tree') },
  'POST /v1/grants/{id}/suspend': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => victimPath('/suspend'),
    body: () => ({}),
    check: () => void families.shift(),
  },
  'POST /v1/grants/{id}/resume': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => victimPath('/resume'),
    body: () => ({}),
  },
  'POST /v1/payments/quote': { allowed: ['holder'], status: 200, body: () => order(stack.chain) },
  // The payment was authorized already: those who may decide are told, the others nothing.
  'POST /v1/payments/{id}/approve': {
    allowed: ['admin', 'approver', 'holder'],
    status: 200,
    path: () => `/v1/payments/${family().paymentId}/approve`,
    body: () => ({}),
    cell: ({ role, sees }) => (sees && role !== 'auditor' ? 409 : undefined),
  },
  'POST /v1/payments/{id}/reject': {
    allowed: ['admin', 'approver', 'holder'],
    status: 200,
    path: () => `/v1/payments/${family().paymentId}/reject`,
    body: () => ({}),
    cell: ({ role, sees }) => (sees && role !== 'auditor' ? 409 : undefined),
  },
  'POST /v1/payments/{id}/receipt': {
    allowed: ['admin', 'holder'],
    status: 202,
    path: () => `/v1/payments/${family().paymentId}/receipt`,
    body: () => ({
      paymentResponse: Buffer.from(
        JSON.stringify({
          success: true,
          transaction: `0x${'ab'.repeat(32)}`,
          network: stack.chain.network,
        }),
      ).toString('base64'),
    }),
  },
  'GET /v1/events': { allowed: READERS, status: 200 },
  'POST /v1/webhooks': {
    allowed: ['admin', 'holder'],
    status: 201,
    body: () => HOOK,
  },
  'GET /v1/webhooks': { allowed: READERS, status: 200 },
  'GET /v1/webhooks/{id}': {
    allowed: READERS,
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}`,
  },
  'PATCH /v1/webhooks/{id}': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}`,
    body: () => ({ description: 'matrix' }),
  },
  'DELETE /v1/webhooks/{id}': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}`,
    check: ({ sees }) => void (sees && families.shift()),
  },
  'POST /v1/webhooks/{id}/rotate': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}/rotate`,
  },
  'POST /v1/webhooks/{id}/test': {
    allowed: ['admin', 'holder'],
    status: 202,
    path: () => `/v1/webhooks/${family().webhookId}/test`,
  },
  'GET /v1/webhooks/{id}/deliveries': {
    allowed: READERS,
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}/deliveries`,
  },
  'POST /v1/webhooks/{id}/deliveries/{deliveryId}/redeliver': {
    allowed: ['admin', 'holder'],
    status: 202,
    path: () => `/v1/webhooks/${family().webhookId}/deliveries/${family().deliveryId}/redeliver`,
  },
  'POST /v1/webhooks/{id}/replay': {
    allowed: ['admin', 'holder'],
    status: 202,
    path: () => `/v1/webhooks/${family().webhookId}/replay`,
    body: () => ({ from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }),
  },
  // Nothing is paused: those who may are told so.
  'POST /v1/webhooks/{id}/resume': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}/resume`,
    body: () => ({}),
    cell: ({ role, sees }) => (sees && ['admin', 'holder'].includes(role) ? 409 : undefined),
  },
  'POST /v1/webhooks/{id}/pause': {
    allowed: ['admin', 'holder'],
    status: 200,
    path: () => `/v1/webhooks/${family().webhookId}/pause`,
    body: () => ({}),
    check: ({ sees }) => void (sees && families.shift()),
  },
  'POST /v1/catalogs': {
    allowed: ['admin'],
    status: 201,
    body: () => ({ url: `http://127.0.0.1:9/${randomUUID()}` }),
  },
  'GET /v1/catalogs': { allowed: ADMINS, status: 200 },
  'GET /v1/catalogs/{id}': {
    allowed: ADMINS,
    status: 200,
    path: () => `/v1/catalogs/${catalogId}`,
  },
  'POST /v1/catalogs/{id}/refresh': {
    allowed: ['admin'],
    status: 202,
    path: () => `/v1/catalogs/${catalogId}/refresh`,
  },
  'DELETE /v1/catalogs/{id}': {
    allowed: ['admin'],
    status: 200,
    path: () => `/v1/catalogs/${catalogId}`,
    check: async ({ sees }) => {
      if (sees) catalogId = await subscribe();
    },
  },
  'GET /v1/services': { allowed: READERS, status: 200 },
  'GET /v1/audit/events': { allowed: READERS, status: 200 },
  'GET /v1/audit/events/{id}/proof': {
    allowed: READERS,
    status: 200,
    path: () => `/v1/audit/events/${family().eventId}/proof`,
  },
  'GET /v1/audit/checkpoint': { allowed: READERS, status: 200 },
  'GET /v1/audit/consistency': {
    allowed: READERS,
    status: 200,
    path: () => '/v1/audit/consistency?from=1',
  },
  'GET /v1/audit/key': { allowed: READERS, status: 200 },
  'GET /v1/audit/export': { allowed: ['admin', 'auditor'], status: 200 },
  'GET /v1/treasuries': { allowed: ADMINS, status: 200 },
  'POST /v1/treasuries': {
    allowed: ['admin'],
    status: 201,
    body: () => ({ name: `t-${randomUUID()}` }),
    // It would not see what it made.
    cell: ({ role, place }) => (role === 'admin' && place !== 'everywhere' ? 403 : undefined),
  },
  'PATCH /v1/treasuries/{id}': {
    allowed: ['admin'],
    status: 200,
    path: () => `/v1/treasuries/${treasuryId}`,
    body: () => ({ zeroPayments: true }),
  },
  'POST /v1/treasuries/{id}/suspend': {
    allowed: ['admin'],
    status: 200,
    path: () => `/v1/treasuries/${treasuryId}/suspend`,
    body: () => ({ reason: 'matrix' }),
    check: async () => {
      const { status } = await stack.admin.post(`/v1/treasuries/${treasuryId}/resume`, {});
      expect(status).toBe(200);
    },
  },
  'POST /v1/treasuries/{id}/resume': {
    allowed: ['admin'],
    status: 200,
    path: () => `/v1/treasuries/${treasuryId}/resume`,
    body: () => ({}),
  },
  'GET /v1/wallets': { allowed: ADMINS, status: 200 },
  'POST /v1/wallets/{id}/status': {
    allowed: ['admin'],
    status: 200,
    path: () => `/v1/wallets/${walletId}/status`,
    body: () => ({ status: 'active' }),
  },
  'POST /v1/payments/{id}/cancel': {
    allowed: ['admin', 'holder'],
    status: 202,
    path: () => `/v1/payments/${family().paymentId}/cancel`,
    body: () => ({}),
    check: () => void families.shift(),
  },
  'GET /v1/summary': { allowed: ADMINS, status: 200 },
  'GET /v1/reports/spend': { allowed: READERS, status: 200 },
  'GET /v1/reports/refusals': { allowed: READERS, status: 200 },
  'GET /v1/reports/revenue': { allowed: ADMINS, status: 200 },
  'GET /v1/reports/conversion': { allowed: ADMINS, status: 200 },
  'GET /v1/gateway/sales': { allowed: ADMINS, status: 200 },
};

beforeAll(async () => {
  stack = await startTestStack({
    environment: {
      BURSAR_MAX_VALIDITY_SECONDS: '300',
      BURSAR_WEBHOOKS_PER_ROOT: '1000',
      BURSAR_WEBHOOKS_PER_TREASURY: '1000',
    },
  });
  const { service, admin } = stack;
  const root = await admin.mint({ budget: '9.00', delegationDepth: 3 });
  treasuryId = root.grant.treasuryId;
  otherTreasuryId = newId('trs');
  await stack.db.query('INSERT INTO treasuries (id, name) VALUES ($1, $2)', [
    otherTreasuryId,
    'other',
  ]);
  const holder = admin.as(root.token);
  const beside = await holder.mint({ budget: '1.00', delegationDepth: 1 });
  const elsewhere = await admin.mint({
    budget: '1.00',
    delegationDepth: 1,
    treasuryId: otherTreasuryId,
  });
  columnTokens = new Map([
    ['holder above', root.token],
    ['holder beside', beside.token],
    ['holder elsewhere', elsewhere.token],
  ]);
  const treasuriesAt: Record<string, string[] | undefined> = {
    everywhere: undefined,
    here: [treasuryId],
    elsewhere: [otherTreasuryId],
  };
  for (const role of ['admin', 'approver', 'auditor'] as const) {
    for (const place of PLACES[role]) {
      const identity = { name: `${role}-${place}`, role, treasuries: treasuriesAt[place] };
      columnTokens.set(`${role} ${place}`, await service.mintAdminToken(identity, 600));
    }
  }
  tokens = {
    admin: columnTokens.get('admin everywhere') ?? '',
    approver: columnTokens.get('approver everywhere') ?? '',
    auditor: columnTokens.get('auditor everywhere') ?? '',
    holder: root.token,
  };
  families = [];
  const newFamily = async (): Promise<Family> => {
    const target = await holder.mint({
      budget: '1.00',
      holder: TARGET,
      delegationDepth: 2,
      approvalAbove: '0.10',
    });
    const asTarget = holder.as(target.token);
    const below = await asTarget.mint({ budget: '0.50', delegationDepth: 1 });
    // Open for as long as all rows may take.
    const terms = order(stack.chain, { maxTimeoutSeconds: 300 }, { memo: TARGET });
    const { payment } = await asTarget.paid(terms);
    const raise = await asTarget.post<{ request: { id: string } }>('/v1/grant-requests', {
      budget: '2.00',
      reason: TARGET,
    });
    const requestId = raise.body.request.id;
    const hook = await asTarget.post<{ webhook: { id: string } }>('/v1/webhooks', HOOK);
    const webhookId = hook.body.webhook.id;
    return {
      ...{ target, below, requestId, webhookId },
      ...{ paymentId: payment.id, eventId: '', deliveryId: '' },
    };
  };
  while (families.length < 56) {
    families.push(...(await Promise.all(Array.from({ length: 8 }, newFamily))));
  }
  for (const each of families) {
    each.eventId = await until('the payment is sealed', async () => {
      const { items } = await admin.read<Listed<EventAnswer>>(
        `/v1/audit/events?paymentId=${each.paymentId}`,
      );
      return items[0]?.leafIndex ? items[0].id : undefined;
    });
    each.deliveryId = newId('whd');
    await stack.db.query(
      `INSERT INTO webhook_deliveries (treasury_id, id, webhook_id, event_id, leaf_index, kind, origin, status, created_at)
       SELECT treasury_id, $1, $2, id, leaf_index, kind, 'log', 'delivered', now() FROM log_events WHERE id = $3`,
      [each.deliveryId, each.webhookId, each.eventId],
    );
  }
  const { items } = await admin.read<{ items: [{ id: string }] }>('/v1/wallets');
  walletId = items[0].id;
  catalogId = await subscribe();
  own = await signingKeyOf(stack);
  openapi = await anonymous().read<OpenApi>('/openapi.json');
}, 180_000);

afterAll(() => stack?.stop());

async function subscribe(): Promise<string> {
  const body = { url: 'http://127.0.0.1:9/', description: TARGET };
  const made = await stack.admin.post<{ catalog: { id: string } }>('/v1/catalogs', body);
  return made.body.catalog.id;
}

function anonymous(): Api {
  return new Api(stack.service.url);
}

function family(): Family {
  const [first] = families;
  if (!first) throw new Error('no grant to act on is left');
  return first;
}

function victimPath(action: string): string {
  return `/v1/grants/${family().target.grant.id}${action}`;
}

function tokenOf({ role, place }: Column): string {
  if (place === 'own') return family().target.token;
  if (place === 'below') return family().below.token;
  return columnTokens.get(`${role} ${place}`) ?? '';
}

describe('every route', () => {
  const operations = () =>
    Object.entries(openapi.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );

  it('has a row in the matrix below, so that none is added without a thought of who may', () => {
    expect(operations().sort()).toEqual(Object.keys(ROWS).sort());
  });

  it('documents its answer, its errors as problems, and that it takes a token', () => {
    for (const [path, methods] of Object.entries(openapi.paths)) {
      for (const [method, { responses, security }] of Object.entries(methods)) {
        const name = `${method.toUpperCase()} ${path}`;
        const row = ROWS[name];
        expect(Object.keys(responses)).toEqual(
          expect.arrayContaining([String(row?.status), '400', '429', '500', '503']),
        );
        for (const [status, { content = {} }] of Object.entries(responses)) {
          if (Number(status) < 400) continue;
          expect(Object.keys(content)).toEqual(['application/problem+json']);
        }
        expect({ name, secured: (security ?? []).length > 0 }).toEqual({
          name,
          secured: row?.allowed !== 'everybody',
        });
      }
    }
  });

  it.each(Object.entries(ROWS))(
    '%s answers every role in every place as it should',
    async (name, row) => {
      const [method = '', template = ''] = name.split(' ');
      const ask = (token: string | undefined) =>
        anonymous()
          .as(token)
          .call<Record<string, unknown>>(method, row.path?.() ?? template, row.body?.(), {
            ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}),
            ...row.headers,
          });
      if (row.allowed === 'everybody') {
        expect((await ask(undefined)).status).toBe(row.status);
        return;
      }
      const refused = await ask(undefined);
      expectProblem(refused, 401, 'invalid_token');
      expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer realm="bursar", DPoP /);
      for (const column of COLUMNS) {
        const { role, place, sees } = column;
        const answer = await ask(tokenOf(column));
        const byRule = !row.allowed.includes(role)
          ? 403
          : template.includes('{id}') && !sees
            ? 404
            : row.status;
        const expected = row.cell?.(column) ?? byRule;
        expect({ role, place, status: answer.status }).toEqual({ role, place, status: expected });
        if (expected === 403) expectProblem(answer, 403, 'forbidden');
        if (expected === 404) expectProblem(answer, 404, 'not_found');
        if (answer.status >= 300) continue;
        if (!sees) expect(answer.text).not.toContain(TARGET);
        if (place === 'elsewhere') expect(answer.text).not.toContain(treasuryId);
        await row.check?.(column, answer);
      }
    },
  );

  it('about what may not be seen says, word for word, what it says about what is not there', async () => {
    const nowhere = (id: string) => `${id.slice(0, 4)}${'0'.repeat(26)}`;
    const { target, paymentId } = family();
    for (const [path, id] of [
      ['/v1/grants/', target.grant.id],
      ['/v1/payments/', paymentId],
    ] as const) {
      for (const column of COLUMNS.filter(({ sees }) => !sees)) {
        const api = anonymous().as(tokenOf(column));
        const hidden = await api.get(path + id);
        const missing = await api.get(path + nowhere(id));
        expectProblem(hidden, 404, 'not_found');
        expect(hidden.text.replaceAll(id, nowhere(id))).toBe(missing.text);
      }
    }
  });
});

describe('a request without a scope', () => {
  it('sees no treasury, as before its scope is set', async () => {
    const seen = new Set<unknown>();
    const emit = Server.prototype.emit;
    // The moment before anything of the service hears of the request: what a lost scope falls back to.
    Server.prototype.emit = function (this: Server, ...event: Parameters<typeof emit>) {
      if (String(event[0]) === 'request') seen.add(JSON.stringify(currentTreasuries()));
      return emit.apply(this, event);
    } as typeof emit;
    try {
      for (let n = 0; n < 3; n += 1) await stack.admin.get('/v1/grants');
    } finally {
      Server.prototype.emit = emit;
    }
    expect([...seen]).toEqual(['[]']);
  });
});

describe('a cursor', () => {
  it("made of somebody else's id is one of nobody's", async () => {
    const { target } = family();
    const sibling = await stack.admin.mint({ budget: '1.00' });
    const [theirs] = (
      await stack.admin.read<Listed<{ id: string }>>(`/v1/audit/events?grantId=${sibling.grant.id}`)
    ).items;
    const nobodys = { grant: `grt_${'7'.repeat(26)}`, event: `evt_${'7'.repeat(26)}` };
    for (const [path, hidden, missing] of [
      ['/v1/grants', sibling.grant.id, nobodys.grant],
      [`/v1/grants/${target.grant.id}/tree`, sibling.grant.id, nobodys.grant],
      ['/v1/audit/events', theirs?.id, nobodys.event],
    ] as const) {
      const api = anonymous().as(target.token);
      const told = async (cursor = '') => {
        const { status, text } = await api.get(`${path}?cursor=${cursor}`);
        return { path, status, text: text.replaceAll(cursor, 'it') };
      };
      expect(await told(hidden)).toEqual(await told(missing));
      expectProblem(await api.get(`${path}?cursor=${hidden}`), 400, 'invalid_request');
    }
  });
});

describe('a token', () => {
  const past = () => Math.floor(Date.now() / 1000) - 10;
  const soon = () => Math.floor(Date.now() / 1000) + 600;

  /** The claims and header of a real token, to be changed by one thing at a time. */
  const parts = (role: Role) => ({
    header: decodeProtectedHeader(tokens[role]) as { alg: string; kid: string; typ: string },
    claims: decodeJwt(tokens[role]) as Record<string, unknown>,
  });

  const signed = async (
    claims: Record<string, unknown>,
    header: Record<string, unknown>,
    key?: KeyObject | Uint8Array,
  ) =>
    new SignJWT(claims)
      .setProtectedHeader(header as { alg: string })
      .sign(key ?? (await importPKCS8(own.privatePem, 'ES256')));

  const unsigned = (claims: unknown, header: unknown, signature = '') =>
    [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .concat(signature)
      .join('.');

  /** The request goes where the claimed role would be let in. */
  const expectRefused = async (token: string, role: Role = 'admin') => {
    const path = role === 'holder' ? '/v1/grants/self' : '/v1/wallets';
    const answer = await anonymous().as(token).get(path);
    expectProblem(answer, 401, 'invalid_token');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /);
    return answer.text;
  };

  it('made like the real ones is taken, so that the refusals below mean something', async () => {
    for (const [role, path] of [
      ['admin', '/v1/wallets'],
      ['holder', '/v1/grants/self'],
    ] as const) {
      const { header, claims } = parts(role);
      const answer = await anonymous()
        .as(await signed(claims, header))
        .get(path);
      expect(answer.status).toBe(200);
    }
  });

  it('that is garbage gets the one answer that tells nothing', async () => {
    const answers = new Set<string>();
    for (const token of [
      'x',
      'a.b.c',
      '....',
      'e30.e30.',
      `${'a'.repeat(4000)}`,
      tokens.admin.slice(0, -5),
    ]) {
      answers.add(await expectRefused(token));
    }
    expect(answers.size).toBe(1);
  });

  it('of another scheme, in the wrong place, or twice is no token', async () => {
    const path = `${stack.service.url}/v1/wallets`;
    for (const authorization of [
      `Basic ${tokens.admin}`,
      tokens.admin,
      `Bearer ${tokens.admin} ${tokens.admin}`,
      `Bearer ${tokens.admin}, Bearer ${tokens.admin}`,
      'Bearer',
    ]) {
      expect((await fetch(path, { headers: { authorization } })).status).toBe(401);
    }
    const query = await fetch(`${stack.service.url}/v1/grants?access_token=${tokens.admin}`);
    expect(query.status).toBe(401);
  });

  it.each(['none', 'None', 'NONE'])('with alg %s is refused', async (alg) => {
    for (const role of ['admin', 'holder'] as const) {
      const { header, claims } = parts(role);
      await expectRefused(unsigned(claims, { ...header, alg }), role);
      await expectRefused(unsigned(claims, { ...header, alg }, tokens[role].split('.')[2]), role);
    }
  });

  it('signed by HS256 with the public key as its secret is refused', async () => {
    for (const role of ['admin', 'holder'] as const) {
      const { header, claims } = parts(role);
      for (const secret of [
        own.publicPem,
        own.publicPem.trim(),
        JSON.stringify(await publicJwk()),
      ]) {
        const token = await signed(claims, { ...header, alg: 'HS256' }, Buffer.from(secret));
        await expectRefused(token, role);
      }
    }
  });

  it("signed by a stranger's key is refused, under its own kid, ours, or with the key enclosed", async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = await exportJWK(publicKey);
    for (const role of ['admin', 'holder'] as const) {
      const { header, claims } = parts(role);
      for (const change of [
        {},
        { kid: 'another-service' },
        { kid: '__proto__' },
        { jwk },
        { kid: 'x', jwk },
        { jku: 'http://127.0.0.1:9/jwks.json' },
        { x5u: 'http://127.0.0.1:9/cert.pem' },
      ]) {
        await expectRefused(await signed(claims, { ...header, ...change }, privateKey), role);
      }
    }
  });

  it('without a kid is refused, though its signature is ours', async () => {
    const { header, claims } = parts('admin');
    await expectRefused(await signed(claims, { alg: header.alg, typ: header.typ }));
  });

  it('of one kind is never taken for the other', async () => {
    const admin = parts('admin');
    const holder = parts('holder');
    const both = { ...holder.claims, ...admin.claims, sub: holder.claims.sub };
    for (const [claims, typ] of [
      [admin.claims, holder.header.typ],
      [holder.claims, admin.header.typ],
      [{ ...both, aud: admin.claims.aud }, holder.header.typ],
      [{ ...both, aud: holder.claims.aud }, admin.header.typ],
      [admin.claims, 'JWT'],
      [admin.claims, undefined],
    ] as const) {
      const token = await signed(claims, { ...admin.header, typ });
      await expectRefused(token, 'admin');
      await expectRefused(token, 'holder');
    }
  });

  it.each([
    ['expired', () => ({ exp: past() })],
    ['not valid yet', () => ({ nbf: soon() })],
    ['of another issuer', () => ({ iss: 'urn:bursar:other' })],
    ['of no issuer', () => ({ iss: undefined })],
    ['for another audience', () => ({ aud: 'somebody' })],
    ['of a role that is none', () => ({ role: 'root' })],
    ['of no role', () => ({ role: undefined })],
  ])('that is %s is refused', async (_what, changes) => {
    const { header, claims } = parts('admin');
    await expectRefused(await signed({ ...claims, ...changes() }, header));
  });

  it('for a grant that is not there, or of a generation to come, is refused', async () => {
    const { header, claims } = parts('holder');
    for (const change of [
      { sub: 'grt_00000000000000000000000000' },
      { treasury: 'trs_00000000000000000000000000' },
      { generation: 2 },
      { generation: 0 },
      { generation: '1' },
    ]) {
      await expectRefused(await signed({ ...claims, ...change }, header), 'holder');
    }
  });

  it('with one changed character is refused', async () => {
    const [header = '', claims = '', signature = ''] = tokens.holder.split('.');
    const other = family().target.grant.id;
    const stolen = Buffer.from(
      JSON.stringify({ ...decodeJwt(tokens.holder), sub: other }),
    ).toString('base64url');
    await expectRefused(`${header}.${stolen}.${signature}`, 'holder');
    const flipped = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`;
    await expectRefused(`${header}.${claims}.${flipped}`, 'holder');
  });

  it('can be checked by anyone: the key set holds the public key and nothing private', async () => {
    const key = await publicJwk();
    expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: own.kid });
    expect(key).not.toHaveProperty('d');
    const pem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    expect(pem).toBe(own.publicPem);
  });
});

describe('the edge', () => {
  const headers = () => ({
    authorization: `Bearer ${tokens.admin}`,
    'content-type': 'application/json',
  });

  it('answers 413 to a body of 100 MB, announced or not, without reading it', async () => {
    for (const isAnnounced of [true, false]) {
      const { status, body } = await flood(`${stack.service.url}/v1/grants`, tokens.admin, {
        isAnnounced,
        isPatient: true,
      });
      expect({ isAnnounced, status }).toEqual({ isAnnounced, status: 413 });
      expect(JSON.parse(body)).toMatchObject({ code: 'payload_too_large' });
    }
  });

  it.each([
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
  ])('answers 415 to a body of %s', async (type) => {
    const answer = await stack.admin.post('/v1/grants', 'holder=a&budget=1.00', {
      'content-type': type,
    });
    expectProblem(answer, 415, 'unsupported_media_type');
  });

  it.each(['{', '{"holder":', 'nonsense', '{"a":1}}', '"text"', '[]', 'null', '1', '\ufeff{'])(
    'answers 400 to the body %s',
    async (body) => {
      expectProblem(await stack.admin.post('/v1/grants', body), 400, 'invalid_request');
    },
  );

  it('answers 400 to no body at all where one is needed', async () => {
    expectProblem(await stack.admin.post('/v1/grants'), 400, 'invalid_request');
    const empty = await stack.admin.post('/v1/grants', '');
    expectProblem(empty, 400, 'invalid_request');
  });

  it.each([
    '{"holder":"a","budget":"1.00","ttlSeconds":60,"__proto__":{"role":"admin"}}',
    '{"holder":"a","budget":"1.00","ttlSeconds":60,"constructor":{"prototype":{"x":1}}}',
    '{"holder":"a","budget":"1.00","ttlSeconds":60,"prototype":{"x":1}}',
    '{"holder":"a","budget":"1.00","ttlSeconds":60,"labels":{"__proto__":"x"}}',
    '{"holder":"a","budget":"1.00","ttlSeconds":60,"labels":{"constructor":"x"}}',
    '{"holder":"a","budget":"1.00","ttlSeconds":60,"scope":{"__proto__":{"payTo":[]}}}',
  ])('answers 400 to the polluting body %s', async (body) => {
    expectProblem(await stack.admin.post('/v1/grants', body), 400, 'invalid_request');
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it('refuses polluting keys inside the payment requirements, plain or base64', async () => {
    const holder = stack.admin.as(tokens.holder);
    const { paymentRequired, request } = order(stack.chain);
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      const text = JSON.stringify(paymentRequired).replace(
        '"extra":{',
        `"extra":{"${key}":{"a":1},`,
      );
      const plain = await holder.pay(
        `{"paymentRequired":${text},"request":${JSON.stringify(request)}}`,
      );
      expect([400, 422]).toContain(plain.status);
      const encoded = Buffer.from(text).toString('base64');
      const header = await holder.pay({ paymentRequired: encoded, request });
      expectProblem(header, 422, 'requirements_invalid');
    }
  });

  it('answers a flood of headers with 431 and lives on', async () => {
    const line = await raw(
      `GET /healthz HTTP/1.1\r\nHost: x\r\n${'X-Flood: abcdefghijklmnop\r\n'.repeat(4_000)}\r\n`,
    );
    expect(line).toMatch(/^HTTP\/1\.1 431 /);
    expect((await anonymous().get('/healthz')).status).toBe(200);
  });

  it('answers what is no HTTP with 400 and lives on', async () => {
    expect(await raw('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect((await anonymous().get('/healthz')).status).toBe(200);
  });

  it.each(['/v1/nothing', '/v1/grants/self/more'])('answers 404 to GET %s', async (path) => {
    expectProblem(await stack.admin.get(path), 404, 'not_found');
  });

  it.each(['/%00', '/v1/grants/%2e%2e%2fwallets', '/v1/grants/%ZZ', '/v1/grants/%c0%af'])(
    'answers 400 to GET %s',
    async (path) => {
      expectProblem(await stack.admin.get(path), 400, 'invalid_request');
    },
  );

  it('answers 404 to a method that a route does not have', async () => {
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const answer = await stack.admin.call(method, '/v1/grants');
      expectProblem(answer, 404, 'not_found');
    }
  });

  it('repeats nothing of a token in an error, and no header tells what runs here', async () => {
    const response = await fetch(`${stack.service.url}/v1/grants/nothing`, { headers: headers() });
    expect(await response.text()).not.toContain(tokens.admin);
    expect(response.headers.get('x-powered-by')).toBeNull();
    expect(response.headers.get('server')).toBeNull();
  });
});

describe('health', () => {
  it('says that the process answers and that payments can be made', async () => {
    expect(await anonymous().read('/healthz')).toEqual({ status: 'ok', version: '0.1.0' });
    expect(await anonymous().read('/readyz')).toEqual({
      status: 'ready',
      networks: { [stack.chain.network]: 'ready' },
      gas: { [stack.chain.network]: { account: expect.any(String), balance: expect.any(String) } },
    });
  });
});

async function publicJwk(): Promise<JWK> {
  const { keys } = await anonymous().read<{ keys: JWK[] }>('/.well-known/jwks.json');
  expect(keys).toHaveLength(1);
  return keys[0] ?? {};
}

/** Writes bytes to the service and reads what comes back until the connection ends. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(stack.service.url);
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let answer = '';
    socket.setEncoding('utf8').on('data', (part) => (answer += part));
    socket.on('error', (error) => (answer ? undefined : reject(error)));
    socket.once('close', () => resolve(answer));
  });
}
