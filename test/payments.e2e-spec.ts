import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import canonicalize from 'canonicalize';
import pg from 'pg';
import {
  type Address,
  createWalletClient,
  type Hex,
  http,
  parseSignature,
  publicActions,
  verifyTypedData,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import { testUsdcAbi } from '../sandbox/contract/testUsdc.js';
import { Database } from '../src/database/database.js';
import { applyReading } from '../src/ledger/settlement.js';
import {
  type Api,
  type EventAnswer,
  expectProblem,
  type Listed,
  type Paid,
  type WalletAnswer,
} from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import {
  atomic,
  CENT,
  decodeHeader,
  type HeaderPayload,
  order,
  orderV1,
  PAYEE,
  RESOURCE_URL,
  requirement,
} from './support/terms.js';
import { until } from './support/until.js';

const MAX_VALIDITY_SECONDS = 10;

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: { BURSAR_MAX_VALIDITY_SECONDS: String(MAX_VALIDITY_SECONDS) },
  });
  ({ admin } = stack);
}, 60_000);

afterAll(() => stack?.stop());

/** A grant's holder. */
async function holder(terms: Record<string, unknown> = {}) {
  const { grant, token } = await admin.mint({ budget: '10.00', ...terms });
  return { grantId: grant.id, api: admin.as(token) };
}

async function paymentsOf(grantId: string): Promise<number> {
  const { rows } = await stack.db.query(
    'SELECT count(*)::int AS count FROM payments WHERE grant_id = $1',
    [grantId],
  );
  return rows[0].count;
}

describe('the same Idempotency-Key', () => {
  it('gives a retry the identical bytes and no second payment', async () => {
    const { grantId, api } = await holder();
    const key = randomUUID();
    const body = order(stack.chain, {}, { memo: 'once' });
    const first = await api.pay<Paid>(body, key);
    expect(first.status).toBe(201);
    expect(first.headers.get('idempotent-replayed')).toBeNull();

    const again = await api.pay<Paid>(body, key);
    expect(again.status).toBe(201);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
    expect(again.body.header.value).toBe(first.body.header.value);
    expect(await paymentsOf(grantId)).toBe(1);
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.01', payments: 1 });
  });

  it('takes a body with its members in another order for the same body', async () => {
    const { api } = await holder();
    const key = randomUUID();
    const { paymentRequired, request } = order(stack.chain);
    const first = await api.paid({ paymentRequired, request }, key);
    const again = await api.paid({ request, paymentRequired }, key);
    expect(again.header.value).toBe(first.header.value);
  });

  it('is one purchase, whatever else the 402 or the memo says', async () => {
    const { grantId, api } = await holder();
    const key = randomUUID();
    const first = await api.paid(order(stack.chain), key);
    const again = await api.pay<Paid>(
      order(stack.chain, { extra: { name: 'USDC', version: '2', nonce: 'x' } }, { memo: 'other' }),
      key,
    );
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const [one, two] = [first, again.body].map(({ header }) => decodeHeader(header.value));
    expect(two?.payload).toEqual(one?.payload);
    expect(two?.accepted).toMatchObject({ extra: { nonce: 'x' } });
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('refuses other material terms and another request, and reserves nothing for them', async () => {
    const { grantId, api } = await holder();
    const key = randomUUID();
    const { payment } = await api.paid(order(stack.chain), key);
    const elsewhere = order(stack.chain, {}, { url: 'https://api.example.com/data/8' });
    for (const other of [
      order(stack.chain, { amount: '10001' }),
      elsewhere,
      { ...order(stack.chain), request: { method: 'POST', url: RESOURCE_URL } },
    ]) {
      expectProblem(await api.pay(other, key), 409, 'idempotency_mismatch', {
        nextAction: 'use_payment',
        payment: { id: payment.id, status: 'authorized', validBefore: payment.validBefore },
      });
    }
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.01', payments: 1 });
  });

  it('makes one payment of 20 that arrive at once, each answered with the same header', async () => {
    const { grantId, api } = await holder();
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api.pay<Paid>(order(stack.chain), key)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(new Set(answers.map(({ body }) => body.header.value)).size).toBe(1);
    const firsts = answers.filter(({ headers }) => headers.get('idempotent-replayed') === null);
    expect(firsts).toHaveLength(1);
    expect(await paymentsOf(grantId)).toBe(1);
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.01', payments: 1 });
  });

  it('means another payment under another grant', async () => {
    const [one, two] = await Promise.all([holder(), holder()]);
    const key = randomUUID();
    const first = await one.api.paid(order(stack.chain), key);
    const second = await two.api.paid(order(stack.chain), key);
    expect(second.payment.id).not.toBe(first.payment.id);
    expect(second.payment.nonce).not.toBe(first.payment.nonce);
  });

  it('may be tried again after a refusal, which uses no key up', async () => {
    const { api } = await holder({ budget: '0.01' });
    const key = randomUUID();
    expectProblem(
      await api.pay(order(stack.chain, { amount: '20000' }), key),
      403,
      'budget_exceeded',
    );
    await api.paid(order(stack.chain), key);
  });

  it('is required, and bounded', async () => {
    const { grantId, api } = await holder();
    const missing = await api.post('/v1/payments', order(stack.chain));
    expectProblem(missing, 400, 'invalid_request', { field: 'Idempotency-Key' });
    for (const key of ['', 'k'.repeat(256), 'caf\u00e9']) {
      expectProblem(await api.pay(order(stack.chain), key), 400, 'invalid_request');
    }
    expect(await paymentsOf(grantId)).toBe(0);
    await api.paid(order(stack.chain), 'k'.repeat(255));
  });

  it('does not give out an unsettled header again once the grant is revoked', async () => {
    const { grantId, api } = await holder();
    const key = randomUUID();
    await api.paid(order(stack.chain), key);
    expect((await admin.post(`/v1/grants/${grantId}/revoke`, {})).status).toBe(200);

    const replay = await api.pay(order(stack.chain), key);
    expectProblem(replay, 403, 'grant_revoked', { grantId });
    expect(replay.text).not.toContain('PAYMENT-SIGNATURE');
  });
});

describe('one payment', () => {
  it('is shown with the 402 as it was received, which lists leave out', async () => {
    const { api } = await holder();
    const asked = order(stack.chain, {
      extra: { name: 'USDC', version: '2', note: 'seller says' },
    });
    const { payment } = await api.paid({
      ...asked,
      paymentRequired: { ...asked.paymentRequired, extensions: { bazaar: { info: 1 } } },
    });
    const { resource, accepts } = asked.paymentRequired;
    const shown = await api.read<Record<string, unknown>>(`/v1/payments/${payment.id}`);
    expect(shown.received).toEqual({
      x402Version: 2,
      requirement: accepts[0],
      resource,
      extensions: { bazaar: { info: 1 } },
    });
    const [listed] = (await api.read<Listed<object>>('/v1/payments')).items;
    expect(listed).not.toHaveProperty('received');
  });
});

describe('x402 v1', () => {
  const v1 = (changes: Record<string, unknown> = {}) => orderV1(stack.chain, changes);

  it('gives an X-PAYMENT header that the published facilitator verifies and settles', async () => {
    const { grantId, api } = await holder();
    const body = v1();
    const { payment, header } = await api.paid(body);
    expect(header.name).toBe('X-PAYMENT');
    expect(payment).toMatchObject({ network: stack.chain.network, amount: '0.01' });
    const payload = decodeHeader(header.value);
    expect(payload).toMatchObject({ x402Version: 1, scheme: 'exact', network: 'base-sepolia' });

    const [requirements] = body.paymentRequired.accepts;
    const before = await stack.chain.usdcBalance(PAYEE);
    expect(await facilitate('verify', payload, requirements)).toMatchObject({
      isValid: true,
      payer: payment.wallet,
    });
    const settlement = await facilitate('settle', payload, requirements);
    expect(settlement).toMatchObject({ success: true });
    expect(await stack.chain.usdcBalance(PAYEE)).toBe(before + CENT);

    await stack.finalize();
    const settled = await until('the payment is settled', async () => {
      const now = await api.payment(payment.id);
      return now.status === 'settled' && now;
    });
    expect(settled.transaction).toBe(settlement.transaction);
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.00', spent: '0.01' });
  });

  it('refuses an amount field of the other version and a network by the other name', async () => {
    const { api } = await holder();
    expectProblem(
      await api.pay(v1({ maxAmountRequired: undefined, amount: '10000' })),
      422,
      'requirements_invalid',
    );
    expectProblem(await api.pay(v1({ network: 'base-moon' })), 422, 'network_not_supported');
  });
});

describe('hostile terms', () => {
  it("get a signature for the registry's domain, whatever else extra says", async () => {
    const { api } = await holder();
    const extra = { name: null, domain: { name: 'Evil Coin' }, salt: 'x', chainId: 84532 };
    const { payment, header } = await api.paid(order(stack.chain, { extra }));
    const { payload, accepted } = decodeHeader(header.value);
    // Echoed as it came, but not signed for.
    expect(accepted).toMatchObject({ extra });
    expect(await isSignedFor(payload, payment.wallet as Address)).toBe(true);
  });

  it('are checked on the option that is signed, not on the first: the cheapest wins', async () => {
    const { grantId, api } = await holder({ maxPerPayment: '0.05' });
    const options = [
      requirement(stack.chain, { amount: '50000' }),
      requirement(stack.chain, { amount: '20000' }),
      requirement(stack.chain, { amount: '9000000' }),
      requirement(stack.chain, { amount: '1', scheme: 'upto' }),
      requirement(stack.chain, { amount: '1', asset: PAYEE }),
    ];
    const body = order(stack.chain, {}, { options });
    const { payment, header, selection } = await api.paid(body, 'three-options');
    expect(payment.amount).toBe('0.02');
    const left = [
      { index: 0, code: 'not_preferred' },
      { index: 2, code: 'per_payment_exceeded', grantId },
      { index: 3, code: 'scheme_not_supported' },
      { index: 4, code: 'asset_not_supported' },
    ];
    expect(selection).toMatchObject({ index: 1, notSelected: left });
    // The replay says the same, and the log what the nonce commits to.
    expect((await api.paid(body, 'three-options')).selection).toEqual(selection);
    const [event] = await admin.all<EventAnswer>(
      `/v1/audit/events?paymentId=${payment.id}&kind=payment.authorized`,
    );
    expect(event?.data.decision).toMatchObject({
      option: '1',
      left: left.map(({ index, ...reason }) => ({ option: String(index), ...reason })),
    });
    const { accepted, payload } = decodeHeader(header.value);
    expect(accepted).toEqual(options[1]);
    expect(payload.authorization.value).toBe('20000');
  });

  it('cannot hide a dearer option behind a cheap one that cannot be paid', async () => {
    const { grantId, api } = await holder({ maxPerPayment: '0.05' });
    const options = [
      requirement(stack.chain, { amount: '1', asset: PAYEE }),
      requirement(stack.chain, { amount: '60000' }),
    ];
    const answer = await api.pay(order(stack.chain, {}, { options }));
    expectProblem(answer, 403, 'per_payment_exceeded', { grantId, limit: '0.05' });
  });

  it.each([
    ['a token that is not registered', { asset: PAYEE }, 'asset_not_supported'],
    ['a network that is not configured', { network: 'eip155:8453' }, 'network_not_supported'],
    ['a network of another family', { network: 'solana:mainnet' }, 'network_not_supported'],
    ['another scheme', { scheme: 'upto' }, 'scheme_not_supported'],
    [
      'another way of transfer',
      { extra: { assetTransferMethod: 'permit2' } },
      'scheme_not_supported',
    ],
    ['an amount in exponents', { amount: '1e3' }, 'requirements_invalid'],
    ['an amount in hexadecimal', { amount: '0x10' }, 'requirements_invalid'],
    ['a negative amount', { amount: '-1' }, 'requirements_invalid'],
    ['an amount with a space', { amount: ' 1' }, 'requirements_invalid'],
    ['an amount of 2^256', { amount: (2n ** 256n).toString() }, 'requirements_invalid'],
    ['an amount that is a number', { amount: 10000 }, 'requirements_invalid'],
    ['a timeout of 0', { maxTimeoutSeconds: 0 }, 'requirements_invalid'],
    ['a negative timeout', { maxTimeoutSeconds: -1 }, 'requirements_invalid'],
    ['half a second', { maxTimeoutSeconds: 1.5 }, 'requirements_invalid'],
    ['a timeout of 6 s', { maxTimeoutSeconds: 6 }, 'requirements_invalid'],
    ["another token's name", { extra: { name: 'Evil Coin' } }, 'requirements_invalid'],
    ["another token's version", { extra: { version: '9' } }, 'requirements_invalid'],
    ['another chain', { extra: { chainId: 1 } }, 'requirements_invalid'],
    ['another contract', { extra: { verifyingContract: PAYEE } }, 'requirements_invalid'],
    ['a payment before the answer', { extra: { paymentFlow: 'upfront' } }, 'scheme_not_supported'],
    [
      'a payee with a wrong checksum',
      { payTo: '0xABCDEFabcdefABCDEFabcdefABCDEFabcdefABCD' },
      'requirements_invalid',
    ],
    ['the zero address as payee', { payTo: `0x${'0'.repeat(40)}` }, 'requirements_invalid'],
  ])('are refused for %s', async (_what, changes, code) => {
    const { grantId, api } = await holder();
    expectProblem(await api.pay(order(stack.chain, changes)), 422, code);
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.00', payments: 0 });
  });

  it.each([86_400, 1e18, '86400'])(
    'are signed for the cap where they ask for %s s',
    async (asked) => {
      const { api } = await holder();
      const before = Math.floor(Date.now() / 1000);
      const { payment } = await api.paid(order(stack.chain, { maxTimeoutSeconds: asked }));
      const validFor = Date.parse(payment.validBefore) / 1000 - before;
      expect(validFor).toBeGreaterThanOrEqual(MAX_VALIDITY_SECONDS);
      expect(validFor).toBeLessThanOrEqual(MAX_VALIDITY_SECONDS + 5);
    },
  );

  it.each([
    ['https://evil.example/data/7', true],
    ['http://api.example.com/data/7', false],
    ['https://api.example.com:8443/data/7', false],
    ['https://user@evil.example/data/7', true],
    ['https://api.example.com.evil.example/data/7', true],
    ['/data/7', false],
  ])('are flagged when they declare the resource %s: %s', async (resourceUrl, resourceMismatch) => {
    const { api } = await holder();
    const { payment } = await api.paid(order(stack.chain, {}, { resourceUrl }));
    expect(payment).toMatchObject({
      resource: RESOURCE_URL,
      declaredResource: resourceUrl,
      resourceMismatch,
    });
  });

  it('are read up to the 64th entry, and refused when too deep or no JSON', async () => {
    const { api } = await holder();
    const options = Array.from({ length: 66 }, () => requirement(stack.chain));
    const { selection } = await api.paid(order(stack.chain, {}, { options }));
    expect(selection).toMatchObject({ index: 0, unread: 2 });
    let deep: unknown = 'x';
    for (let level = 0; level < 16; level++) deep = { deep };
    const extra = { name: 'USDC', version: '2', deep };
    expectProblem(await api.pay(order(stack.chain, { extra })), 400, 'invalid_request');
    const request = { method: 'GET', url: RESOURCE_URL };
    for (const paymentRequired of ['???', 'bm90IGpzb24=', 'W10=', {}, { x402Version: 3 }]) {
      expectProblem(await api.pay({ paymentRequired, request }), 422, 'requirements_invalid');
    }
  });

  it('are refused, and break nothing, where text is asked for and a thing with a length comes', async () => {
    const { api } = await holder();
    const length = { toString: 1, valueOf: 1 };
    const { paymentRequired } = order(stack.chain);
    for (const body of [
      { paymentRequired, request: { url: { length } } },
      { paymentRequired, request: { url: RESOURCE_URL }, memo: { length } },
      { paymentRequired: { length }, request: { url: RESOURCE_URL } },
      { ...order(stack.chain, { payTo: { length } }) },
    ]) {
      const answer = await api.pay(body);
      expect([400, 422]).toContain(answer.status);
      expect(answer.body.code).toMatch(/^(invalid_request|requirements_invalid)$/);
    }
  });

  it('are told to come back when no single wallet can pay, and nothing is held', async () => {
    const { grantId, api } = await holder({ budget: '5000000' });
    const answer = await api.pay(order(stack.chain, { amount: '2000000000000' }));
    expectProblem(answer, 503, 'treasury_insufficient');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.00', payments: 0 });
  });
});

describe('the decision', () => {
  it('is committed to by the nonce, and holds both URLs: the one asked for and the declared one', async () => {
    const { grantId, api } = await holder();
    const declared = 'https://api.example.com/catalogue';
    const body = order(stack.chain, {}, { resourceUrl: declared });
    const { payment, header } = await api.paid(body);
    const [event] = await admin.all<EventAnswer>(
      `/v1/audit/events?paymentId=${payment.id}&kind=payment.authorized`,
    );
    const decision = event?.data.decision as Record<string, unknown>;
    const [accepted] = body.paymentRequired.accepts;
    expect(decision).toMatchObject({
      paymentId: payment.id,
      grants: [grantId],
      request: { method: 'GET', url: RESOURCE_URL },
      resource: declared,
      requirementHash: sha256(canonicalize(accepted)),
    });
    expect(payment).toMatchObject({
      resource: RESOURCE_URL,
      declaredResource: declared,
      nonce: `0x${sha256(canonicalize(decision))}`,
    });
    expect(decodeHeader(header.value).payload.authorization.nonce).toBe(payment.nonce);
    const { rows } = await stack.db.query(
      'SELECT declared_resource, request_url FROM payments WHERE id = $1',
      [payment.id],
    );
    expect(rows).toEqual([{ declared_resource: declared, request_url: RESOURCE_URL }]);
  });
});

describe('the plans of a batch', () => {
  it('go by the indexes, although they are made while the tables are small and kept from then on', async () => {
    const { api } = await holder();
    const spy = jest.spyOn(pg.Client.prototype, 'query');
    let sent: (string | { name?: string; text: string; values: unknown[] })[];
    try {
      await api.paid(order(stack.chain));
      sent = spy.mock.calls.map(([query]) => query as unknown as (typeof sent)[number]);
    } finally {
      spy.mockRestore();
    }
    const settings = sent.find(
      (query) => typeof query === 'string' && /plan_cache_mode/.test(query),
    );
    const kept = new Map(
      sent
        .filter((query) => typeof query === 'object')
        .filter(({ text }) => /\b(grants|payments|wallet_balances)\b/.test(text))
        .flatMap((query) => (query.name === undefined ? [] : [[query.name, query] as const])),
    );
    expect([...kept.keys()].sort()).toEqual([
      'find-by-keys',
      'lock-states',
      'lock-wallets',
      'write',
    ]);
    // Too little in them for Postgres to see any use in an index.
    await stack.db.query('ANALYZE');
    // A treasury's wallets are few.
    kept.delete('lock-wallets');
    const client = await stack.db.connect();
    try {
      await client.query(`BEGIN; SET LOCAL ROLE bursar_service; SET LOCAL bursar.treasuries = '*'`);
      await client.query(settings as string);
      for (const [name, { text, values }] of kept) {
        await client.query(`PREPARE "plan of ${name}" AS ${text}`);
        const { rows } = await client.query(
          `EXPLAIN (FORMAT JSON) EXECUTE "plan of ${name}" (${values.map(() => 'NULL').join(', ')})`,
        );
        const scans = scansOf(rows[0]['QUERY PLAN'][0].Plan);
        expect([name, scans]).not.toEqual([name, []]);
        const all = scans.filter(
          ({ 'Node Type': type, 'Index Cond': condition = '' }) =>
            type !== 'Tid Scan' && !/\(id >= \w|idempotency_key >= \w/.test(condition),
        );
        expect([name, all]).toEqual([name, []]);
      }
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  interface Plan {
    readonly 'Node Type': string;
    readonly 'Relation Name'?: string;
    readonly 'Index Cond'?: string;
    readonly Plans?: readonly Plan[];
  }

  /** How a plan comes to what there may be many of: not the treasury's own wallets. */
  function scansOf(plan: Plan): Plan[] {
    const isScan = /Scan$/.test(plan['Node Type']);
    const isOfMany = /^(grants|payments)$/.test(plan['Relation Name'] ?? '');
    return [...(isScan && isOfMany ? [plan] : []), ...(plan.Plans ?? []).flatMap(scansOf)];
  }
});

describe('the list of payments', () => {
  it('shows a holder its own tree, page by page, and nothing else', async () => {
    const top = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const child = await admin.as(top.token).mint({ budget: '1.00' });
    const stranger = await holder();
    await stranger.api.paid(order(stack.chain));
    const made: string[] = [];
    for (const token of [child.token, child.token, top.token]) {
      made.push((await admin.as(token).paid(order(stack.chain))).payment.id);
    }
    const ids = async (api: Api, query: string) =>
      (await api.read<Listed<{ id: string }>>(`/v1/payments${query}`)).items.map(({ id }) => id);

    expect(await ids(admin.as(top.token), '')).toEqual(made);
    expect(await ids(admin.as(child.token), '')).toEqual(made.slice(0, 2));
    expect(await ids(admin, `?grantId=${top.grant.id}&status=authorized`)).toEqual(made);
    expect(await ids(admin, `?grantId=${top.grant.id}&status=settled`)).toEqual([]);
    const beside = await stranger.api.get(`/v1/payments?grantId=${top.grant.id}`);
    expectProblem(beside, 400, 'invalid_request', { field: 'grantId' });
    const first = await admin.as(top.token).read<Listed<{ id: string }>>('/v1/payments?limit=2');
    expect(first.nextCursor).not.toBeNull();
    expect(await ids(admin.as(top.token), `?limit=2&cursor=${first.nextCursor}`)).toEqual(
      made.slice(2),
    );
    const hidden = await stranger.api.get(`/v1/payments/${made[0]}`);
    expectProblem(hidden, 404, 'not_found');
    expectProblem(await stranger.api.get('/v1/payments/pay_nonsense'), 400, 'invalid_request');
  });
});

describe('the life of a signature', () => {
  const ended: { settled?: string; released?: string } = {};

  it('does not outlast its grant', async () => {
    const { api } = await holder({ ttlSeconds: 8 });
    const { payment } = await api.paid(order(stack.chain));
    const grant = await api.read<{ expiresAt: string }>('/v1/grants/self');
    expect(Date.parse(payment.validBefore)).toBeLessThanOrEqual(Date.parse(grant.expiresAt));
  });

  // The last to pay in this suite: it moves the chain's clock on, and none can move it back.
  it('ends by the time of the chain: what was submitted is spent, the rest returns for good', async () => {
    const { grantId, api } = await holder();
    const submitted = await api.paid(order(stack.chain));
    const kept = await api.paid(order(stack.chain, { amount: '30000' }));
    const lifeMs = Date.parse(kept.payment.validBefore) - Date.parse(kept.payment.createdAt);
    expect(lifeMs).toBeLessThanOrEqual(MAX_VALIDITY_SECONDS * 1000);
    expect(await api.grant(grantId)).toMatchObject({ reserved: '0.04', remaining: '9.96' });

    expect(await submit(decodeHeader(submitted.header.value))).toBe('success');
    await stack.finalize();
    expect(await api.payment(submitted.payment.id)).toMatchObject({ status: 'settled' });
    expect(await api.payment(kept.payment.id)).toMatchObject({ status: 'authorized' });
    const held = await walletReserved(kept.payment.wallet);

    await stack.passTime(MAX_VALIDITY_SECONDS + 5);
    await stack.finalize();
    await until('the payment is released', async () => {
      return (await api.payment(kept.payment.id)).status === 'released';
    });
    expect(await api.grant(grantId)).toMatchObject({
      reserved: '0.00',
      spent: '0.01',
      remaining: '9.99',
      payments: 1,
    });
    expect(await walletReserved(kept.payment.wallet)).toBeLessThanOrEqual(held - 30_000n);
    const [last] = await admin.all<EventAnswer>(`/v1/audit/events?paymentId=${kept.payment.id}`);
    expect(last).toMatchObject({ kind: 'payment.released', actor: 'system:settlement' });

    const before = await stack.chain.usdcBalance(PAYEE);
    expect(await submit(decodeHeader(kept.header.value))).toBe('reverted');
    expect(await stack.chain.usdcBalance(PAYEE)).toBe(before);
    await stack.finalize();
    expect(await api.payment(kept.payment.id)).toMatchObject({ status: 'released' });
    ended.settled = submitted.payment.id;
    ended.released = kept.payment.id;
  });

  it('hears of a reading once: of two workers that read the same blocks, the later one writes nothing', async () => {
    await stack.chain.pauseMining();
    const database = new Database(stack.databaseUrl);
    const cursor = async () => {
      const { rows } = await stack.db.query('SELECT * FROM chain_cursors');
      return { ...rows[0], at: BigInt(rows[0].block_number) };
    };
    let head = 0n;
    try {
      head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
      await until('all final blocks are read', async () => (await cursor()).at === head - 2n);
      const next = await rpc<{ hash: Hex; timestamp: Hex }>(
        stack.chain.rpcUrl,
        'eth_getBlockByNumber',
        [`0x${(head - 1n).toString(16)}`, false],
      );
      const reading: Parameters<typeof applyReading>[1] = {
        network: stack.chain.network,
        after: head - 2n,
        upTo: { number: head - 1n, hash: next.hash, time: BigInt(next.timestamp) },
        closings: [],
        balances: [],
      };
      expect(await applyReading(database, reading)).toEqual([]);
      const moved = await cursor();
      expect(moved.at).toBe(head - 1n);
      expect(await applyReading(database, reading)).toBeUndefined();
      expect(await cursor()).toEqual(moved);
    } finally {
      await database.close();
      await stack.chain.resumeMining();
    }
    await until('the workers go on from there', async () => (await cursor()).at > head - 1n);
  });

  it('ends once: a worker that tells of an end again, or of another, changes nothing', async () => {
    // No new blocks: the cursor stands still, and a reading that goes on from it is taken.
    await stack.chain.pauseMining();
    const database = new Database(stack.databaseUrl);
    try {
      const head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
      const cursor = await until('all final blocks are read', async () => {
        const { rows } = await stack.db.query('SELECT * FROM chain_cursors');
        return BigInt(rows[0].block_number) === head - 2n && rows[0];
      });
      const before = await everything();
      const [{ treasury_id: treasuryId }] = before.payments as [{ treasury_id: string }];
      const blockNumber = head - 1n;
      const transaction = `0x${'1'.repeat(64)}`;
      const said = { end: 'settled', paid: 1n, treasuryId, blockNumber, transaction } as const;
      const applied = await applyReading(database, {
        network: stack.chain.network,
        after: BigInt(cursor.block_number),
        upTo: { number: blockNumber, hash: cursor.block_hash, time: BigInt(cursor.block_time) },
        closings: [
          { paymentId: ended.settled ?? '', ...said },
          { paymentId: ended.released ?? '', ...said },
        ],
        balances: [],
      });
      expect(applied).toEqual([]);
      expect(await everything()).toEqual(before);
    } finally {
      await database.close();
      await stack.chain.resumeMining();
    }
  });

  const everything = async () => {
    const { rows } = await stack.db.query(
      `SELECT (SELECT json_agg(p ORDER BY id) FROM payments p) AS payments,
         (SELECT json_agg((id, reserved, spent, payments) ORDER BY id) FROM grants) AS grants,
         (SELECT json_agg((wallet_id, reserved) ORDER BY wallet_id) FROM wallet_balances) AS wallets,
         (SELECT count(*) FROM events) AS events`,
    );
    return rows[0];
  };
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

async function facilitate(
  action: 'verify' | 'settle',
  paymentPayload: HeaderPayload,
  paymentRequirements: unknown,
): Promise<{ transaction?: string }> {
  const { x402Version } = paymentPayload;
  const response = await fetch(`${stack.facilitator.url}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ x402Version, paymentPayload, paymentRequirements }),
  });
  return (await response.json()) as { transaction?: string };
}

function sha256(text = ''): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** Atomic units. */
async function walletReserved(address: string): Promise<bigint> {
  const { items } = await admin.read<Listed<WalletAnswer>>('/v1/wallets');
  return atomic(items.find((wallet) => wallet.address === address)?.reserved ?? '');
}

/** Submits an authorization as any third party could. */
async function submit({ payload }: HeaderPayload): Promise<'success' | 'reverted'> {
  const stranger = stack.chain.accounts[3];
  if (!stranger) throw new Error('no dev account');
  const client = createWalletClient({
    account: privateKeyToAccount(stranger.privateKey),
    chain: baseSepolia,
    transport: http(stack.chain.rpcUrl),
    pollingInterval: 50,
  }).extend(publicActions);
  const { from, to, value, validAfter, validBefore, nonce } = payload.authorization;
  const { r, s, yParity } = parseSignature(payload.signature);
  const hash = await client.writeContract({
    address: stack.chain.token.address,
    abi: testUsdcAbi,
    functionName: 'transferWithAuthorization',
    args: [
      from,
      to,
      BigInt(value),
      BigInt(validAfter),
      BigInt(validBefore),
      nonce,
      27 + yParity,
      r,
      s,
    ],
    // Given, so that what will revert is mined rather than refused by the estimate.
    gas: 300_000n,
  });
  return (await client.waitForTransactionReceipt({ hash })).status;
}

/** EIP-3009's types written out, and the token's own domain: what the token would check. */
function isSignedFor(
  {
    authorization,
    signature,
  }: { authorization: HeaderPayload['payload']['authorization']; signature: Hex },
  address: Address,
): Promise<boolean> {
  const { token, chainId } = stack.chain;
  return verifyTypedData({
    address,
    signature,
    domain: {
      name: token.name,
      version: token.version,
      chainId,
      verifyingContract: token.address,
    },
    types: {
      TransferWithAuthorization: [
        { name: 'from', type: 'address' },
        { name: 'to', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'validAfter', type: 'uint256' },
        { name: 'validBefore', type: 'uint256' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'TransferWithAuthorization',
    message: {
      from: authorization.from,
      to: authorization.to,
      value: BigInt(authorization.value),
      validAfter: BigInt(authorization.validAfter),
      validBefore: BigInt(authorization.validBefore),
      nonce: authorization.nonce,
    },
  });
}
