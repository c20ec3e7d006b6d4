import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { recoverTypedDataAddress } from 'viem';
import { exactTypedData } from '../src/x402/exact.js';
import cases from './cases/402.json' with { type: 'json' };
import {
  type Answer,
  type Api,
  expectProblem,
  type Paid,
  type ProblemAnswer,
} from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { decodeHeader, order, orderV1, requirement } from './support/terms.js';

/** A case of cases/402.json: a published 402, and what should come of it. */
interface SellerCase {
  readonly id: string;
  readonly asked: string;
  readonly paymentRequired: unknown;
  readonly grant?: Record<string, unknown>;
  readonly expect: {
    readonly pays?: { readonly index: number; readonly amount: string };
    readonly refused?: readonly string[];
  };
}

interface Quoted {
  readonly decision: string;
  readonly selected: number | null;
  readonly options: readonly { readonly amount: string | null }[];
}

const ASKED = 'https://api.example.com/data/7';
const MARK = 'IGNORE-ALL-RULES';

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
}, 60_000);

afterAll(async () => {
  await stack?.stop();
});

async function holder(terms: Record<string, unknown> = {}) {
  const { grant, token } = await stack.admin.mint({ budget: '10.00', ...terms });
  return { grantId: grant.id, api: stack.admin.as(token) };
}

const ask = (paymentRequired: unknown, url = ASKED) => ({
  paymentRequired,
  request: { method: 'GET', url },
});

/** Reserved amount and number of payments of a holder's grant. */
async function heldBy(api: Api): Promise<unknown> {
  const { id } = await api.read<{ id: string }>('/v1/grants/self');
  const { rows } = await stack.db.query(
    `SELECT reserved, payments, open_payments,
       (SELECT count(*) FROM payments p WHERE p.treasury_id = g.treasury_id AND p.grant_id = g.id) AS rows
     FROM grants g WHERE id = $1`,
    [id],
  );
  return rows;
}

/** Pays, and holds the header against the entry that was selected. */
async function expectPaid(api: Api, body: ReturnType<typeof ask>, index: number): Promise<Paid> {
  const paid = await api.paid(body);
  expect(paid.selection.index).toBe(index);
  await expectSigned(paid);
  return paid;
}

/** The signature is the wallet's, over the registered token's own domain. */
async function expectSigned({ payment, header }: Paid): Promise<void> {
  const { payload } = decodeHeader(header.value);
  const { token, chainId } = stack.chain;
  const { from, to, value, validAfter, validBefore, nonce } = payload.authorization;
  const data = exactTypedData(
    {
      id: payment.id,
      x402Version: 2,
      chainId,
      from,
      to,
      value: BigInt(value),
      validAfter: BigInt(validAfter),
      validBefore: BigInt(validBefore),
      nonce,
      requirementJson: '',
      resourceJson: undefined,
      extensionsJson: undefined,
    },
    { currency: 'USDC', ...token },
  );
  const signer = await recoverTypedDataAddress({ ...data, signature: payload.signature });
  expect(signer).toBe(payment.wallet);
}

/** Refused with one of the codes, and nothing is held by it. */
async function expectRefused(
  api: Api,
  body: ReturnType<typeof ask>,
  codes: readonly string[],
): Promise<Answer<ProblemAnswer>> {
  const before = await heldBy(api);
  const answer = await api.pay(body);
  expect(codes).toContain(answer.body.code);
  expectProblem(answer, answer.status, answer.body.code);
  expect(await heldBy(api)).toEqual(before);
  return answer;
}

describe('a published 402', () => {
  it.each((cases as SellerCase[]).map((each) => [each.id, each] as const))(
    '%s',
    async (_id, { asked, paymentRequired, grant, expect: expected }) => {
      const { api } = await holder(grant);
      const body = ask(paymentRequired, asked);
      const quoted = await api.post<Quoted>('/v1/payments/quote', body);
      if (expected.refused) {
        const { body: problem } = await expectRefused(api, body, expected.refused);
        if (quoted.status === 200) expect(quoted.body).toMatchObject({ selected: null });
        if (Object.keys(paymentRequired as object).length === 0) {
          expect(problem.detail).toContain('PAYMENT-REQUIRED');
        }
        return;
      }
      const { index, amount } = expected.pays ?? { index: -1, amount: '' };
      expect(quoted.body).toMatchObject({ decision: 'allow', selected: index });
      const { payment, header } = await expectPaid(api, body, index);
      expect(payment.amount).toBe(amount);
      const { accepted, x402Version } = decodeHeader(header.value);
      if (x402Version === 1 || typeof paymentRequired === 'string') return;
      const {
        structuredContent,
        accepts = (structuredContent as { accepts: unknown[] })?.accepts,
      } = paymentRequired as { accepts?: unknown[]; structuredContent?: unknown };
      expect(accepted).toEqual(accepts?.[index]);
    },
  );
});

describe('a 402 in the form that a model or a harness hands over', () => {
  const terms = () => order(stack.chain).paymentRequired;
  const json = () => JSON.stringify(terms());
  const base64 = () => Buffer.from(json()).toString('base64');

  it.each<[string, () => unknown]>([
    ['as base64url without padding', () => Buffer.from(json()).toString('base64url')],
    ['as base64 in several lines', () => base64().replace(/(.{60})/g, '$1\n')],
    ['as a header line in lower case', () => `payment-required: ${base64()}`],
    ['as a header line in mixed case without a space', () => `Payment-Required:${base64()}\r\n`],
    ['as JSON text with white space around', () => `\n  ${json()}  \n`],
    ['as {paymentRequired: object}', () => ({ paymentRequired: terms() })],
    ['as {paymentRequired: header value}', () => ({ paymentRequired: base64() })],
    ['as {paymentRequired: JSON text}', () => ({ paymentRequired: json() })],
    [
      'as a JSON-RPC error',
      () => ({ jsonrpc: '2.0', id: 1, error: { code: 402, message: 'pay', data: terms() } }),
    ],
    ['as an error object alone', () => ({ error: { code: -32042, data: terms() } })],
    [
      'as a JSON-RPC response with a tool result',
      () => ({
        jsonrpc: '2.0',
        id: 1,
        result: { isError: true, structuredContent: terms(), content: [] },
      }),
    ],
    [
      'as a tool result whose terms are in its text',
      () => ({ isError: true, content: [{ type: 'text', text: json() }] }),
    ],
    [
      'as the JSON text of a tool result',
      () => JSON.stringify({ isError: true, structuredContent: terms() }),
    ],
    [
      'as a tool result with an image before the text',
      () => ({
        content: [
          { type: 'image', data: '' },
          { type: 'text', text: json() },
        ],
      }),
    ],
  ])('%s', async (_what, form) => {
    const { api } = await holder();
    await expectPaid(api, ask(form()), 0);
  });

  it.each<[string, unknown, RegExp]>([
    ['an empty text', '', /PAYMENT-REQUIRED header/],
    ['white space', ' \n', /PAYMENT-REQUIRED header/],
    ['a sentence', 'Payment required, please.', /neither JSON nor base64/],
    ['broken JSON', '{"x402Version":2', /not valid JSON/],
    ['base64 of a sentence', Buffer.from('Payment required').toString('base64'), /not of JSON/],
    ['an object of something else', { status: 402, body: {} }, /x402Version must be 1 or 2/],
    ['a version of the future', { x402Version: 3, accepts: [] }, /x402Version must be 1 or 2/],
    ['no list', { x402Version: 2, resource: { url: ASKED } }, /accepts must be a list/],
    ['an empty list', { x402Version: 2, accepts: [] }, /accepts is empty/],
  ])('%s is refused, saying what is wrong', async (_what, form, detail) => {
    const { api } = await holder();
    const { body } = await expectRefused(api, ask(form), ['requirements_invalid']);
    expect(body.detail).toMatch(detail);
    expect(body.nextAction).toBe('fix_request');
  });
});

describe('an entry of accepts', () => {
  it.each<[string, Record<string, unknown>]>([
    ['a timeout of 1e15 s', { maxTimeoutSeconds: 1e15 }],
    ['a timeout in many digits', { maxTimeoutSeconds: '9'.repeat(40) }],
    ['no timeout', { maxTimeoutSeconds: undefined }],
    ['a timeout of null', { maxTimeoutSeconds: null }],
    ['a timeout of 7 s', { maxTimeoutSeconds: 7 }],
    ['extra null', { extra: null }],
    ['no extra', { extra: undefined }],
    ['extra members of null', { extra: { name: null, version: null, paymentFlow: null } }],
    ['the right chain id as a number', { extra: { chainId: 84532 } }],
    ['the right chain id as text', { extra: { chainId: '84532' } }],
    ['the right chain id as CAIP-2', { extra: { chainId: 'eip155:84532' } }],
    [
      'the token as verifyingContract, in lower case',
      { extra: { verifyingContract: '0x036cbd53842c5426634e7929541ec2318f3dcf7e' } },
    ],
    ['the payment flow authorization', { extra: { paymentFlow: 'authorization' } }],
    ['the transfer method eip3009', { extra: { assetTransferMethod: 'eip3009' } }],
    ['members nobody knows', { outputSchema: { deep: [1, { more: true }] }, note: 'x' }],
  ])('is paid with %s', async (_what, changes) => {
    const { api } = await holder();
    const { payment } = await expectPaid(api, ask(order(stack.chain, changes).paymentRequired), 0);
    const life = Date.parse(payment.validBefore) - Date.parse(payment.createdAt);
    expect(life).toBeLessThanOrEqual(121_000);
  });

  it.each<[string, unknown, string]>([
    ['a timeout of 0', { maxTimeoutSeconds: 0 }, 'requirements_invalid'],
    ['a timeout of -1', { maxTimeoutSeconds: -1 }, 'requirements_invalid'],
    ['half a second', { maxTimeoutSeconds: 1.5 }, 'requirements_invalid'],
    ['a timeout of 6 s', { maxTimeoutSeconds: 6 }, 'requirements_invalid'],
    ['a timeout in words', { maxTimeoutSeconds: 'a minute' }, 'requirements_invalid'],
    ['permit2', { extra: { assetTransferMethod: 'permit2' } }, 'scheme_not_supported'],
    ['an unknown payment flow', { extra: { paymentFlow: 'later' } }, 'scheme_not_supported'],
    ['extra as text', { extra: 'USDC' }, 'requirements_invalid'],
    ['extra as a list', { extra: ['USDC'] }, 'requirements_invalid'],
    ['another chain id', { extra: { chainId: 8453 } }, 'requirements_invalid'],
    ['another version', { extra: { version: 2 } }, 'requirements_invalid'],
    ['an amount as a number', { amount: 1000 }, 'requirements_invalid'],
    ['a v1 name of its network', { network: 'base-sepolia' }, 'network_not_supported'],
    ['no asset', { asset: undefined }, 'requirements_invalid'],
    ['a payee of another family', { payTo: 'acct_x' }, 'requirements_invalid'],
  ])('is left aside with %s, and spoils no neighbour', async (_what, changes, code) => {
    const { api } = await holder();
    const bad = requirement(stack.chain, {
      ...(changes as object),
      payTo: (changes as { payTo?: string }).payTo ?? requirement(stack.chain).payTo,
    });
    await expectRefused(api, ask(order(stack.chain, {}, { options: [bad] }).paymentRequired), [
      code,
    ]);
    const options = [bad, requirement(stack.chain, { amount: '20000' })];
    const paid = await expectPaid(api, ask(order(stack.chain, {}, { options }).paymentRequired), 1);
    expect(paid.selection.notSelected).toMatchObject([{ index: 0, code }]);
  });

  it('of v1 that names its network by CAIP-2 is left aside', async () => {
    const { api } = await holder();
    const { paymentRequired } = orderV1(stack.chain, { network: stack.chain.network });
    await expectRefused(api, ask(paymentRequired), ['network_not_supported']);
  });

  it('with a member named __proto__, or one member twice, in a header spoils that entry only', async () => {
    const { api } = await holder();
    const good = JSON.stringify(requirement(stack.chain));
    const polluted = good.replace('{', '{"__proto__":{"amount":"1"},');
    const twice = good.replace('{', '{"amount":"1",');
    const text = `{"x402Version":2,"accepts":[${polluted},${twice},${good}]}`;
    const paid = await expectPaid(api, ask(Buffer.from(text).toString('base64')), 2);
    expect(paid.selection.notSelected).toMatchObject([
      { index: 0, code: 'requirements_invalid' },
      { index: 1, code: 'requirements_invalid' },
    ]);
  });

  it('too deep in a header spoils that entry only', async () => {
    const { api } = await holder();
    let deep: unknown = 'x';
    for (let level = 0; level < 40; level += 1) deep = { deep };
    const options = [requirement(stack.chain, { deep }), requirement(stack.chain)];
    const { paymentRequired } = order(stack.chain, {}, { options });
    const header = Buffer.from(JSON.stringify(paymentRequired)).toString('base64');
    await expectPaid(api, ask(header), 1);
    // An object makes the body too deep.
    expectProblem(await api.pay(ask(paymentRequired)), 400, 'invalid_request');
  });

  it('is read up to the 64th, and the answer says how many were not', async () => {
    const { api } = await holder();
    const far = requirement(stack.chain, { network: 'eip155:1' });
    const options = [
      ...Array.from({ length: 63 }, () => far),
      requirement(stack.chain),
      requirement(stack.chain, { amount: '1' }),
    ];
    const body = ask(order(stack.chain, {}, { options }).paymentRequired);
    const { selection } = await expectPaid(api, body, 63);
    expect(selection).toMatchObject({ unread: 1 });
    expect((await api.post('/v1/payments/quote', body)).body).toMatchObject({
      selected: 63,
      unread: 1,
    });
    const none = ask(
      order(stack.chain, {}, { options: Array.from({ length: 65 }, () => far) }).paymentRequired,
    );
    const refused = await expectRefused(api, none, ['network_not_supported']);
    expect(refused.body.detail).toContain('the first 64 were read');
  });
});

describe('what nobody signs for', () => {
  it.each<[string, Record<string, unknown>]>([
    ['resource as text', { resource: 'https://api.example.com/data/7' }],
    ['resource as a list', { resource: [] }],
    ['a resource without url', { resource: { description: 'd' } }],
    ['a resource whose url is a number', { resource: { url: 7 } }],
    ['a description of a wrong type', { resource: { url: ASKED, description: { x: 1 } } }],
    ['a mimeType of a wrong type', { resource: { url: ASKED, mimeType: 3 } }],
    ['tags of a wrong type', { resource: { url: ASKED, tags: 'x' } }],
    ['error as a list', { error: [1] }],
    ['extensions as text', { extensions: 'x' }],
    ['extensions of null', { extensions: null }],
    ['a payment-identifier that is a flag', { extensions: { 'payment-identifier': true } }],
    ['prototype in extensions', { extensions: JSON.parse('{"a": {"prototype": 1}}') }],
    ['a lone surrogate in the resource', { resource: { url: ASKED, description: '\ud800' } }],
  ])('is left out of the echo, and the rest is paid: %s', async (_what, changes) => {
    const { api } = await holder();
    const { paymentRequired } = order(stack.chain);
    const { header } = await expectPaid(api, ask({ ...paymentRequired, ...changes }), 0);
    // A seller's published schema reads the whole of what comes back.
    const { PaymentPayloadV2Schema } = await import('@x402/core/schemas');
    expect(PaymentPayloadV2Schema.safeParse(decodeHeader(header.value)).success).toBe(true);
  });

  it('is echoed where it is sound, and a proper payment-identifier gets the payment’s id', async () => {
    const { api } = await holder();
    const { paymentRequired } = order(stack.chain);
    const extensions = { 'payment-identifier': { info: { required: true } }, other: { a: [1] } };
    const { payment, header } = await api.paid(ask({ ...paymentRequired, extensions }));
    expect(decodeHeader(header.value)).toMatchObject({
      resource: paymentRequired.resource,
      extensions: {
        ...extensions,
        'payment-identifier': { info: { required: true, id: payment.id } },
      },
    });
  });

  it('is refused where it requires a payment-identifier that no payment can carry', async () => {
    const { api } = await holder();
    const { paymentRequired } = order(stack.chain);
    for (const declared of [{ required: true }, { info: { required: true, id: 'x' } }]) {
      const extensions = { 'payment-identifier': declared };
      await expectRefused(api, ask({ ...paymentRequired, extensions }), ['requirements_invalid']);
    }
  });

  it.each<[string, Record<string, unknown>, (echo: Record<string, unknown>) => void]>([
    [
      'extensions first',
      { extensions: { big: 'x'.repeat(8_000) } },
      ({ extensions, resource }) => {
        expect(extensions).toBeUndefined();
        expect(resource).toMatchObject({ url: ASKED, description: 'a page' });
      },
    ],
    [
      'but not a declared payment-identifier',
      {
        extensions: { big: 'x'.repeat(8_000), 'payment-identifier': { info: { required: false } } },
      },
      ({ extensions }) => {
        expect(extensions).toEqual({
          'payment-identifier': { info: { required: false, id: expect.stringMatching(/^pay_/) } },
        });
      },
    ],
    [
      'then the description',
      { resource: { url: ASKED, description: 'x'.repeat(8_000) } },
      ({ resource }) => {
        expect(resource).toEqual({ url: ASKED });
      },
    ],
    [
      'then the resource',
      { resource: { url: `${ASKED}?${'x'.repeat(8_000)}` } },
      ({ resource }) => {
        expect(resource).toBeUndefined();
      },
    ],
  ])('goes until the header fits into 8 KiB: %s', async (_what, changes, check) => {
    const { api } = await holder();
    const { paymentRequired } = order(stack.chain);
    const { header } = await expectPaid(api, ask({ ...paymentRequired, ...changes }), 0);
    expect(header.value.length).toBeLessThanOrEqual(8_192);
    check(decodeHeader(header.value) as unknown as Record<string, unknown>);
  });

  it('cannot make room for an entry that fits no header: refused before anything is reserved', async () => {
    const { api } = await holder();
    const big = { note: 'x'.repeat(8_000) };
    const { body } = await expectRefused(api, ask(order(stack.chain, big).paymentRequired), [
      'requirements_invalid',
    ]);
    expect(body.detail).toMatch(/would take 1[0-9]{4} bytes .* servers take 8192/);
  });

  it('is no reason to refuse a body up to 16 levels deep, and one deeper is 400', async () => {
    const { api } = await holder();
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { in: nested(levels - 1) });
    const { paymentRequired } = order(stack.chain);
    // The body, paymentRequired and extensions are three levels.
    await expectPaid(api, ask({ ...paymentRequired, extensions: nested(14) }), 0);
    expectProblem(
      await api.pay(ask({ ...paymentRequired, extensions: nested(15) })),
      400,
      'invalid_request',
    );
  });
});

describe('the declared resource', () => {
  it.each<[string, boolean]>([
    ['https://other.example.net/data/7', true],
    ['https://api.example.com.evil.example/data/7', true],
    ['https://8.8.8.8/x', true],
    ['http://api.example.com/data/7', false],
    ['https://api.example.com:8443/other', false],
    ['https://API.example.com./data', false],
    ['http://localhost:8080/data', false],
    ['http://10.1.2.3/data', false],
    ['http://192.168.0.7:3000/data', false],
    ['http://[::1]/data', false],
    ['http://[fd00::1]/data', false],
    ['http://backend/data', false],
    ['http://backend.internal/data', false],
    ['http://printer.local/data', false],
    ['https://shop.test/data', false],
    ['mcp://tool/analysis', false],
    ['report-v1', false],
    ['//other.example.net/x', false],
  ])('%s is recorded, and flagged: %s', async (declared, resourceMismatch) => {
    const { api } = await holder();
    const { payment } = await api.paid(order(stack.chain, {}, { resourceUrl: declared }));
    expect(payment).toMatchObject({
      resource: ASKED,
      declaredResource: declared,
      resourceMismatch,
    });
  });

  it('is held against a resource scope only when it names another public host', async () => {
    const { api } = await holder({ scope: { resources: ['https://api.example.com/data/*'] } });
    for (const resourceUrl of [
      'http://localhost:8080/',
      'mcp://tool/x',
      'http://api.example.com/elsewhere',
    ]) {
      await api.paid(order(stack.chain, {}, { resourceUrl }));
    }
    const { paymentRequired } = order(
      stack.chain,
      {},
      { resourceUrl: 'https://other.example.net/secret' },
    );
    const { body } = await expectRefused(api, ask(paymentRequired), ['resource_not_allowed']);
    expect(body.detail).toContain('https://other.example.net/*');
    expect(body.detail).not.toContain('secret');
    const both = { resources: ['https://api.example.com/*', 'https://other.example.net/*'] };
    const { api: wider } = await holder({ scope: both });
    await wider.paid(ask(paymentRequired));
  });

  it('does not save an asked URL that the scope does not admit', async () => {
    const { api } = await holder({ scope: { resources: ['https://other.example.net/*'] } });
    const { paymentRequired } = order(
      stack.chain,
      {},
      { resourceUrl: 'https://other.example.net/x' },
    );
    await expectRefused(api, ask(paymentRequired), ['resource_not_allowed']);
  });

  it.each(['%2F', '%25', '%', '%5C'])(
    'an ambiguous path with %s matters where the pattern has a path',
    async (spelling) => {
      const url = `https://api.example.com/pkg/a${spelling}b`;
      const { api } = await holder({ scope: { resources: ['https://api.example.com/*'] } });
      await api.paid(ask(order(stack.chain).paymentRequired, url));
      const { api: narrow } = await holder({
        scope: { resources: ['https://api.example.com/pkg/*'] },
      });
      const answer = await narrow.pay(ask(order(stack.chain).paymentRequired, url));
      // A lone %25 before no digits is one reading only.
      if (spelling === '%25') return expect([201, 403]).toContain(answer.status);
      expectProblem(answer, 403, 'resource_not_allowed');
      expect(answer.body.detail).toMatch(/ambiguous path.*https:\/\/api\.example\.com\/\*/);
    },
  );
});

describe('a seller’s text', () => {
  const HOSTILE = `\u001b[31m${MARK}\u202e\r\n"},{"`;

  it.each<[string, Record<string, unknown>]>([
    ['a scheme', { scheme: HOSTILE }],
    ['a network', { network: HOSTILE }],
    ['an amount', { amount: HOSTILE }],
    ['an asset', { asset: HOSTILE }],
    ['a payee', { payTo: HOSTILE }],
    ['a timeout', { maxTimeoutSeconds: HOSTILE }],
    ['a token name', { extra: { name: HOSTILE } }],
    ['a payment flow', { extra: { paymentFlow: HOSTILE } }],
    ['a transfer method', { extra: { assetTransferMethod: HOSTILE } }],
  ])('in %s stands in sellerText only, marked and escaped', async (_what, changes) => {
    const { api } = await holder();
    const { paymentRequired } = order(stack.chain, changes);
    const answer = await expectRefused(api, ask({ ...paymentRequired, error: HOSTILE }), [
      'requirements_invalid',
      'scheme_not_supported',
      'network_not_supported',
    ]);
    const { title, detail, sellerText } = answer.body;
    expect(`${title} ${detail}`).not.toContain(MARK);
    expect(sellerText).toMatch(/^untrusted, from the seller: "/);
    expect(sellerText).toContain(MARK);
    expect(sellerText).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    const quoted = await api.post<{ options: { reasons: ProblemAnswer[] }[] }>(
      '/v1/payments/quote',
      ask(paymentRequired),
    );
    for (const { reasons } of quoted.body.options) {
      for (const reason of reasons) expect(reason.detail).not.toContain(MARK);
    }
  });

  it('is cut', async () => {
    const { api } = await holder();
    const { paymentRequired } = order(stack.chain, { scheme: 'x'.repeat(20_000) });
    const { body } = await expectRefused(api, ask(paymentRequired), ['scheme_not_supported']);
    expect(body.sellerText?.length).toBeLessThan(300);
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
