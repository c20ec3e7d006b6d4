import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import type { Asset } from '../domain/network.js';
import { Problem, untrusted } from '../domain/problem.js';
import { MAX_HEADER_BYTES } from './echo.js';
import { exact } from './exact.js';
import { LIMITS, parsePaymentRequired } from './parse.js';

const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const PAYEE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const REGISTERED: Asset = {
  currency: 'USDC',
  address: TOKEN,
  decimals: 6,
  name: 'USDC',
  version: '2',
};
const CHAIN_ID = 84_532;

/** A piece of seller text that must never reach a `detail`. */
const MARKER = 'ignore-all-previous-instructions';

type Json = Record<string, unknown>;

function entryV2(changes: Json = {}): Json {
  return {
    scheme: 'exact',
    network: 'eip155:84532',
    amount: '50000',
    asset: TOKEN,
    payTo: PAYEE,
    maxTimeoutSeconds: 60,
    extra: { name: 'USDC', version: '2' },
    ...changes,
  };
}

function bodyV2(changes: Json = {}): Json {
  return {
    x402Version: 2,
    error: 'payment required',
    resource: {
      url: 'https://api.example.com/data/7',
      description: 'page 7',
      mimeType: 'text/plain',
    },
    accepts: [entryV2()],
    ...changes,
  };
}

function entryV1(changes: Json = {}): Json {
  return {
    scheme: 'exact',
    network: 'base-sepolia',
    maxAmountRequired: '50000',
    resource: 'https://api.example.com/data/7',
    description: 'page 7',
    mimeType: 'text/plain',
    payTo: PAYEE,
    maxTimeoutSeconds: 60,
    asset: TOKEN,
    extra: { name: 'USDC', version: '2' },
    ...changes,
  };
}

function bodyV1(changes: Json = {}): Json {
  return { x402Version: 1, error: 'payment required', accepts: [entryV1()], ...changes };
}

function header(json: unknown): string {
  return Buffer.from(typeof json === 'string' ? json : JSON.stringify(json), 'utf8').toString(
    'base64',
  );
}

/** A body as JSON text with some of it spelled in another way. */
function respelled(body: Json, from: string, to: string): string {
  const text = JSON.stringify(body);
  expect(text.split(from)).toHaveLength(2);
  return text.replace(from, () => to);
}

/** Objects nested that deep; the outermost is the first level. */
function nested(levels: number): unknown {
  return levels === 0 ? 'leaf' : { inside: nested(levels - 1) };
}

function refusalOf(input: unknown): Problem {
  try {
    parsePaymentRequired(input);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** Returns the only entry of a body, which must be unusable. */
function fault(body: unknown) {
  const { offers, unusable } = parsePaymentRequired(body);
  expect(offers).toEqual([]);
  expect(unusable).toHaveLength(1);
  return unusable[0];
}

/** The positions of the usable entries. */
function offered(input: unknown): number[] {
  return parsePaymentRequired(input).offers.map(({ index }) => index);
}

function echoOf(input: unknown) {
  return parsePaymentRequired(input).offers[0]?.echo;
}

/** Parses; a refusal is an answer too. */
function parsed(input: unknown): unknown {
  try {
    return parsePaymentRequired(input);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

/**
 * The time a call takes on a machine that does nothing else, in milliseconds: the first that is within the
 * budget, or the shortest within 20 s. A busy machine also delays the compiler, so it needs many calls.
 */
function fastest(call: () => unknown, budgetMs: number): number {
  const began = performance.now();
  let shortest = Number.POSITIVE_INFINITY;
  while (shortest >= budgetMs && performance.now() - began < 20_000) {
    const start = performance.now();
    call();
    shortest = Math.min(shortest, performance.now() - start);
  }
  return shortest;
}

const OFFER = {
  index: 0,
  scheme: 'exact',
  network: 'eip155:84532',
  asset: TOKEN,
  amount: 50_000n,
  payTo: PAYEE,
  maxTimeoutSeconds: 60,
  isUpfront: false,
  extra: { name: 'USDC', version: '2' },
  declaredResource: 'https://api.example.com/data/7',
};

function written(entry: object) {
  return {
    json: JSON.stringify(entry),
    hash: createHash('sha256')
      .update(canonicalize(entry) ?? '')
      .digest('hex'),
  };
}

describe('parsePaymentRequired', () => {
  it('reads a v2 object', () => {
    const body = bodyV2({ extensions: { 'payment-identifier': { info: { required: false } } } });
    expect(parsePaymentRequired(body)).toEqual({
      x402Version: 2,
      offers: [
        {
          ...OFFER,
          ...written(entryV2()),
          echo: {
            resourceJson: JSON.stringify(body.resource),
            extensionsJson: JSON.stringify(body.extensions),
          },
          headerBytes: expect.any(Number),
        },
      ],
      unusable: [],
      entries: 1,
      unread: 0,
    });
  });

  it('reads a v1 body and translates its network name to CAIP-2', () => {
    expect(parsePaymentRequired(bodyV1())).toEqual({
      x402Version: 1,
      offers: [
        {
          ...OFFER,
          ...written(entryV1()),
          echo: { resourceJson: undefined, extensionsJson: undefined },
          headerBytes: expect.any(Number),
        },
      ],
      unusable: [],
      entries: 1,
      unread: 0,
    });
  });

  it('reads the v2 header and the JSON text as it reads the object', () => {
    const body = bodyV2({ error: 'paiement exig\u00e9 \u20ac' });
    const terms = parsePaymentRequired(body);
    expect(parsePaymentRequired(header(body))).toEqual(terms);
    expect(parsePaymentRequired(JSON.stringify(body))).toEqual(terms);
    expect(parsePaymentRequired(`PAYMENT-REQUIRED: ${header(body)}\r\n`)).toEqual(terms);
  });

  it.each([
    ['2', 2],
    ['1', 1],
  ])('reads the version %j, which is text', (x402Version, version) => {
    const body = version === 2 ? bodyV2({ x402Version }) : bodyV1({ x402Version });
    expect(parsePaymentRequired(body)).toMatchObject({ x402Version: version, unusable: [] });
  });

  it('keeps unknown members and their order for the echo', () => {
    const entry = { zeta: 1, ...entryV2({ extra: { b: 1, a: { z: [], c: null } } }), alpha: 'x' };
    const body = bodyV2({ accepts: [entry] });
    expect(parsePaymentRequired(header(body)).offers[0]?.json).toBe(JSON.stringify(entry));
    expect(parsePaymentRequired(body).offers[0]?.json).toBe(JSON.stringify(entry));
  });

  it('writes addresses with their checksum, so that the same payee has one spelling', () => {
    const entry = entryV2({ asset: TOKEN.toLowerCase(), payTo: PAYEE.toLowerCase() });
    expect(parsePaymentRequired(bodyV2({ accepts: [entry] })).offers[0]).toMatchObject({
      asset: TOKEN,
      payTo: PAYEE,
    });
  });

  it("gives v1 entries their own resource, and all v2 entries the body's", () => {
    const other = 'https://api.example.com/other';
    const v1 = bodyV1({ accepts: [entryV1(), entryV1({ resource: other })] });
    const declared = (body: Json) =>
      parsePaymentRequired(body).offers.map(({ declaredResource }) => declaredResource);
    expect(declared(v1)).toEqual([OFFER.declaredResource, other]);
    const v2 = bodyV2({ accepts: [entryV2(), entryV2({ resource: other })] });
    expect(declared(v2)).toEqual([OFFER.declaredResource, OFFER.declaredResource]);
  });

  it('lets nothing change the terms between the check and the signature', () => {
    const entry = entryV2();
    const bad = entryV2({ scheme: 'upto' });
    const terms = parsePaymentRequired(bodyV2({ accepts: [entry, bad] }));
    const [offer] = terms.offers;
    const parts = [
      ...[terms, terms.offers, terms.unusable, terms.unusable[0]],
      ...[offer, offer?.extra, offer?.echo],
    ];
    for (const part of parts) {
      expect(part).toBeDefined();
      expect(Object.isFrozen(part)).toBe(true);
    }
    entry.amount = '99999999';
    entry.payTo = TOKEN;
    Object.assign(entry.extra as Json, { name: 'Evil Dollar' });
    expect(offer).toMatchObject({ amount: 50_000n, payTo: PAYEE, extra: OFFER.extra });
    expect(JSON.parse(offer?.json ?? '')).toEqual(entryV2());
  });

  describe('of what real sellers send', () => {
    const twenty = Array.from({ length: 20 }, (_, at) =>
      entryV2({ network: `eip155:${at === 5 ? CHAIN_ID : 1_000 + at}` }),
    );
    const gateway = entryV2({
      amount: '100',
      extra: {
        name: 'GatewayWalletBatched',
        version: '1',
        verifyingContract: '0x0077777d7EBA4688BDeF3E311b846F25870A19B9',
      },
    });
    const lightning = {
      ...{ scheme: 'bolt12', network: 'lightning', asset: 'BTC', maxAmountRequired: '76900' },
      ...{ payTo: 'lno1Merchant', extra: { label: 'Lightning' } },
    };
    const card = {
      ...{ scheme: 'stripe-checkout', network: 'stripe:live', amount: '500' },
      ...{ payTo: 'acct_x', maxTimeoutSeconds: 600 },
    };
    const { description: _, mimeType: __, ...terse } = entryV1();
    const { maxTimeoutSeconds: ___, ...timeless } = entryV2({ network: 'stellar:pubnet' });
    const mcp = bodyV2({ resource: { url: 'mcp://tool/analysis', description: 'x' } });

    /** The body, the usable entries, and the codes of the others. */
    it.each<[string, unknown, number[], Record<number, string>]>([
      ['http behind TLS', bodyV2({ resource: { url: 'http://api.example.com/data' } }), [0], {}],
      ['an inner host', bodyV2({ resource: { url: 'http://localhost:8080/data' } }), [0], {}],
      ['an MCP tool', mcp, [0], {}],
      ['an opaque name in v1', bodyV1({ accepts: [entryV1({ resource: 'report-v1' })] }), [0], {}],
      ['no resource', bodyV2({ resource: undefined }), [0], {}],
      ['resource null', bodyV2({ resource: null }), [0], {}],
      ['a day of time', bodyV2({ accepts: [entryV2({ maxTimeoutSeconds: 86_400 })] }), [0], {}],
      ['the time as text', bodyV2({ accepts: [entryV2({ maxTimeoutSeconds: '60' })] }), [0], {}],
      ['an error that is an object', bodyV1({ error: { issues: [], name: 'ZodError' } }), [0], {}],
      ['v1 without description', bodyV1({ accepts: [terse] }), [0], {}],
      ['v1 without resource', bodyV1({ accepts: [entryV1({ resource: undefined })] }), [0], {}],
      ['extensions that are a list', bodyV2({ extensions: [] }), [0], {}],
      [
        'an optional payment-identifier of another shape',
        bodyV2({ extensions: { 'payment-identifier': { supported: true, required: false } } }),
        [0],
        {},
      ],
      ['20 entries', bodyV2({ accepts: twenty }), [...twenty.keys()], {}],
      ['a Gateway neighbour', bodyV2({ accepts: [gateway, entryV2()] }), [0, 1], {}],
      ['upfront', bodyV2({ accepts: [entryV2({ extra: { paymentFlow: 'upfront' } })] }), [0], {}],
      [
        'a neighbour with a v1 network name',
        bodyV2({ accepts: [entryV2(), entryV2({ network: 'base' })] }),
        [0],
        { 1: 'network_not_supported' },
      ],
      [
        'a v1 neighbour with a CAIP-2 network',
        bodyV1({ accepts: [entryV1({ network: 'eip155:84532' }), entryV1()] }),
        [1],
        { 0: 'network_not_supported' },
      ],
      [
        'a neighbour without maxTimeoutSeconds',
        bodyV2({ accepts: [entryV2(), timeless] }),
        [0],
        { 1: 'network_not_supported' },
      ],
      [
        'a card processor',
        bodyV2({ accepts: [card, entryV2()] }),
        [1],
        { 0: 'scheme_not_supported' },
      ],
      ['null', bodyV2({ accepts: [null, entryV2()] }), [1], { 0: 'requirements_invalid' }],
      [
        'an amount that is a number',
        bodyV2({ accepts: [entryV2(), entryV2({ network: 'tron:0x2b6653dc', amount: 1_000 })] }),
        [0],
        { 1: 'requirements_invalid' },
      ],
      [
        'a v1 neighbour on Solana without resource',
        bodyV1({ accepts: [entryV1(), entryV1({ network: 'solana', resource: undefined })] }),
        [0],
        { 1: 'network_not_supported' },
      ],
      [
        'a v1 neighbour of Lightning',
        bodyV1({ accepts: [entryV1(), lightning] }),
        [0],
        { 1: 'scheme_not_supported' },
      ],
      ['JSON text', JSON.stringify(bodyV2()), [0], {}],
      ['a header line', `PAYMENT-REQUIRED: ${header(bodyV2())}\r\n`, [0], {}],
      [
        'an MCP tool result',
        { isError: true, structuredContent: mcp, content: [{ type: 'text', text: 'Pay' }] },
        [0],
        {},
      ],
      [
        'an amount in dollars',
        bodyV2({ accepts: [entryV2({ amount: '0.5' })] }),
        [],
        { 0: 'requirements_invalid' },
      ],
    ])('reads %s', (_what, input, usable, codes) => {
      const { offers, unusable } = parsePaymentRequired(input);
      expect(offers.map(({ index }) => index)).toEqual(usable);
      expect(Object.fromEntries(unusable.map(({ index, code }) => [index, code]))).toEqual(codes);
    });

    it('keeps in extra what contradicts the token, for its scheme to find', () => {
      const usdCoin = entryV2({ extra: { name: 'USD Coin', version: '2' } });
      const { offers } = parsePaymentRequired(bodyV2({ accepts: [gateway, usdCoin, entryV2()] }));
      expect(offers.map(({ extra }) => exact.contradiction(extra, REGISTERED, CHAIN_ID))).toEqual([
        'name',
        'name',
        undefined,
      ]);
    });

    it('tells an upfront entry from others', () => {
      const flows = ['upfront', 'authorization', null, undefined];
      const accepts = flows.map((paymentFlow) => entryV2({ extra: { paymentFlow } }));
      const { offers } = parsePaymentRequired(bodyV2({ accepts }));
      expect(offers.map(({ isUpfront }) => isUpfront)).toEqual([true, false, false, false]);
    });
  });

  describe('as a whole', () => {
    it.each<[string, unknown]>([
      ['null', null],
      ['undefined', undefined],
      ['a number', 2],
      ['a list', [bodyV2()]],
      ['an empty object', {}],
      ['an empty object as text', '{}'],
      ['version 0', bodyV2({ x402Version: 0 })],
      ['version 3', bodyV2({ x402Version: 3 })],
      ['version "2.0"', bodyV2({ x402Version: '2.0' })],
      ['a version in a list', bodyV2({ x402Version: [2] })],
      ['no version', bodyV2({ x402Version: undefined })],
      ['no accepts', bodyV2({ accepts: undefined })],
      ['accepts that are an object', bodyV2({ accepts: { 0: entryV2() } })],
      ['accepts that are text', bodyV2({ accepts: JSON.stringify([entryV2()]) })],
      ['accepts null', bodyV2({ accepts: null })],
      ['text that is neither JSON nor base64', 'Payment required!'],
      ['an empty header', ''],
      ['base64 of no JSON', header('hello')],
      ['base64 of a list', header('[]')],
      ['base64 of null', header('null')],
      ['base64 of half a body', header(JSON.stringify(bodyV2()).slice(0, -5))],
      ['half a body as text', JSON.stringify(bodyV2()).slice(0, -5)],
    ])('refuses %s', (_what, input) => {
      expect(refusalOf(input)).toMatchObject({
        code: 'requirements_invalid',
        fields: { field: 'paymentRequired' },
      });
    });

    it.each(['{}', {}, ' '])('says where the terms are when it is given the body %j', (body) => {
      expect(refusalOf(body).detail).toContain('PAYMENT-REQUIRED header');
    });

    it('has no usable entry where accepts is empty', () => {
      expect(parsePaymentRequired(bodyV2({ accepts: [] }))).toMatchObject({
        ...{ offers: [], unusable: [], entries: 0, unread: 0 },
      });
    });

    it.each([
      [64, 0],
      [65, 1],
      [1_000, 936],
    ])('reads 64 of %d entries at most', (count, unread) => {
      const accepts = Array.from({ length: count }, (_, at) => (at < 60 ? {} : { amount: at }));
      accepts[63] = entryV2();
      accepts[64] = entryV2({ amount: '1' });
      const body = bodyV2({ accepts: accepts.slice(0, count) });
      for (const input of [body, header(body)]) {
        const terms = parsePaymentRequired(input);
        expect(terms).toMatchObject({ entries: count, unread });
        expect(terms.offers.map(({ index }) => index)).toEqual([63]);
        expect(terms.unusable.map(({ index }) => index)).toEqual([...Array(63).keys()]);
      }
    });

    it.each([
      ['x402Version', '"x402Version":2', '"x402Version":2,"x402Version":2'],
      ['x402Version', '"x402Version":2', '"x402Version":2,"x402Versio\\u006e":1'],
      ['accepts', '"accepts":', '"accepts":[],"accepts":'],
      ['accepts', '"accepts":', '"\\u0061ccepts":[],"accepts":'],
    ])('refuses a text that names %s twice', (name, from, to) => {
      const text = respelled(bodyV2(), from, to);
      for (const input of [text, header(text)]) {
        expect(refusalOf(input)).toMatchObject({
          code: 'requirements_invalid',
          detail: expect.stringContaining(`names ${name} twice`),
        });
      }
    });

    it('ignores members that it does not know, however they are', () => {
      const text = respelled(
        bodyV2(),
        '"error":"payment required"',
        '"error":"\\u0000\\ud800","error":1e400,"__proto__":{"x402Version":1},"constructor":[]',
      );
      for (const input of [text, header(text), JSON.parse(text)])
        expect(offered(input)).toEqual([0]);
      const deep = `{"a":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)},`;
      expect(offered(`${deep}${JSON.stringify(bodyV2()).slice(1)}`)).toEqual([0]);
    });

    it('refuses a nesting deep enough to overflow a stack', () => {
      const deep = '['.repeat(20_000) + ']'.repeat(20_000);
      for (const input of [deep, header(deep)]) {
        expect(refusalOf(input).code).toBe('requirements_invalid');
      }
    });

    it('refuses bytes that are not UTF-8, and a byte order mark', () => {
      const bytes = Buffer.from(JSON.stringify(bodyV2({ error: '~' })), 'utf8');
      const mark = Buffer.from([0xef, 0xbb, 0xbf]);
      const marked = Buffer.concat([mark, bytes]).toString('base64');
      bytes[bytes.indexOf('~')] = 0xff;
      expect(refusalOf(bytes.toString('base64')).detail).toContain('UTF-8');
      expect(refusalOf(marked).code).toBe('requirements_invalid');
    });

    it('refuses text that is longer than its bound, in base64 and as JSON', () => {
      const sized = (characters: number) => {
        const rest = JSON.stringify(bodyV2({ error: '' })).length;
        return JSON.stringify(bodyV2({ error: 'x'.repeat(characters - rest) }));
      };
      const fits = sized(LIMITS.jsonCharacters);
      const long = sized(LIMITS.jsonCharacters + 1);
      for (const input of [fits, header(fits)]) expect(offered(input)).toEqual([0]);
      for (const input of [long, header(sized(LIMITS.jsonCharacters + 3))]) {
        expect(refusalOf(input).detail).toContain('longer than 49152 characters');
      }
    });
  });

  describe('of an entry', () => {
    it.each<unknown>([0, -1, 1.5, 1e-9, -Infinity, '0', '00'])(
      'never signs for a timeout of %d seconds',
      (maxTimeoutSeconds) => {
        const v2 = bodyV2({ accepts: [entryV2({ maxTimeoutSeconds }), entryV2()] });
        const v1 = bodyV1({ accepts: [entryV1({ maxTimeoutSeconds }), entryV1()] });
        for (const body of [v2, v1]) {
          expect(offered(body)).toEqual([1]);
          expect(parsePaymentRequired(body).unusable[0]).toMatchObject({
            code: 'requirements_invalid',
            detail: expect.stringContaining('accepts[0].maxTimeoutSeconds'),
          });
        }
      },
    );

    it.each<unknown>([
      ...[true, [60], {}, '', ' 60', '60s', '6e1', '+60', '-60', '60.5', '1'.repeat(1_001)],
      ...[{ toString: 1, valueOf: 1 }, NaN],
    ])('never signs for the timeout %j', (maxTimeoutSeconds) => {
      for (const body of [
        bodyV2({ accepts: [entryV2({ maxTimeoutSeconds }), entryV2()] }),
        bodyV1({ accepts: [entryV1({ maxTimeoutSeconds }), entryV1()] }),
      ]) {
        expect(offered(body)).toEqual([1]);
      }
    });

    it.each<[unknown, number]>([
      [7, 7],
      ['7', 7],
      [60, 60],
      ['060', 60],
      [86_400, 86_400],
      [2 ** 53, Number.MAX_SAFE_INTEGER],
      [1e18, Number.MAX_SAFE_INTEGER],
      [Number.MAX_VALUE, Number.MAX_SAFE_INTEGER],
      ['9'.repeat(1_000), Number.MAX_SAFE_INTEGER],
      [undefined, Number.MAX_SAFE_INTEGER],
      [null, Number.MAX_SAFE_INTEGER],
    ])('reads the timeout %j as %d seconds', (maxTimeoutSeconds, seconds) => {
      for (const body of [
        bodyV2({ accepts: [entryV2({ maxTimeoutSeconds })] }),
        bodyV1({ accepts: [entryV1({ maxTimeoutSeconds })] }),
      ]) {
        expect(parsePaymentRequired(body).offers[0]?.maxTimeoutSeconds).toBe(seconds);
      }
    });

    it.each([
      '1e3',
      '0x10',
      '-0',
      '-1',
      '+1',
      ' 1',
      '1 ',
      '01',
      '1.0',
      '0.0000000001',
      '1_000',
      '$0.01',
      'NaN',
      '',
      (2n ** 256n).toString(),
      '9'.repeat(10_000),
    ])('never signs for the amount "%s"', (amount) => {
      expect(fault(bodyV2({ accepts: [entryV2({ amount })] }))).toMatchObject({
        code: 'requirements_invalid',
        detail: expect.stringContaining('accepts[0].amount must be a text of decimal digits'),
      });
      expect(fault(bodyV1({ accepts: [entryV1({ maxAmountRequired: amount })] }))).toMatchObject({
        code: 'requirements_invalid',
        detail: expect.stringContaining('accepts[0].maxAmountRequired must be a text of decimal'),
      });
    });

    it.each<unknown>([50_000, null, undefined, ['1'], { toString: '1' }])(
      'never signs for the amount %j',
      (amount) => {
        expect(offered(bodyV2({ accepts: [entryV2({ amount }), entryV2()] }))).toEqual([1]);
      },
    );

    it.each([0n, 1n, 2n ** 53n + 1n, 2n ** 256n - 1n])('reads the amount %s exactly', (amount) => {
      const body = bodyV2({ accepts: [entryV2({ amount: amount.toString() })] });
      expect(parsePaymentRequired(body).offers[0]?.amount).toBe(amount);
    });

    it("reads v2's amount and not v1's, so that a seller cannot show one and charge the other", () => {
      const entry = entryV2({ amount: '1', maxAmountRequired: '999' });
      expect(parsePaymentRequired(bodyV2({ accepts: [entry] })).offers[0]?.amount).toBe(1n);
      const old = entryV1({ amount: '999', maxAmountRequired: '1' });
      expect(parsePaymentRequired(bodyV1({ accepts: [old] })).offers[0]?.amount).toBe(1n);
    });

    it('is unusable with the amount of the other version only', () => {
      expect(fault(bodyV2({ accepts: [entryV1()] }))?.detail).toContain('accepts[0].amount');
      expect(fault(bodyV1({ accepts: [entryV2()] }))?.detail).toContain('maxAmountRequired');
    });

    it.each([
      ['a mistyped checksum', '0x70997970C51812dc3A010C7d01b50e0d17dc79c8'],
      ['one digit too few', PAYEE.slice(0, -1)],
      ['one digit too many', `${PAYEE}0`],
      ['no 0x', PAYEE.slice(2)],
      ['a capital X', PAYEE.replace('0x', '0X')],
      ['the zero address', `0x${'0'.repeat(40)}`],
      ['a name', 'vitalik.eth'],
      ['a trailing space', `${PAYEE} `],
      ['another kind of chain', 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v'],
      ['a list', [PAYEE]],
      ['null', null],
      ['nothing', undefined],
    ])('never pays %s', (_what, payTo) => {
      for (const [member, body] of [
        ['payTo', bodyV2({ accepts: [entryV2({ payTo })] })],
        ['asset', bodyV2({ accepts: [entryV2({ asset: payTo })] })],
        ['payTo', bodyV1({ accepts: [entryV1({ payTo })] })],
      ] as const) {
        expect(fault(body)).toMatchObject({
          code: 'requirements_invalid',
          detail: expect.stringContaining(`accepts[0].${member} must be an EVM address`),
        });
      }
    });

    it.each<unknown>([
      ...['upto', 'batch-settlement', 'Exact', 'exact ', 'toString', '__proto__', ''],
      ...['x'.repeat(40_000), null, undefined, ['exact'], 1],
    ])('does not pay by the scheme %j', (scheme) => {
      const refused = fault(bodyV2({ accepts: [entryV2({ scheme })] }));
      expect(refused?.code).toBe('scheme_not_supported');
      expect(refused?.detail.length).toBeLessThan(200);
    });

    it.each<unknown>([
      'permit2',
      'EIP3009',
      '',
      1,
      false,
      {},
      [],
      ['eip3009'],
      { toString: 1, valueOf: 1 },
      { toString: null },
      'x'.repeat(40_000),
    ])('does not pay by the transfer method or flow %j', (value) => {
      for (const member of ['assetTransferMethod', 'paymentFlow']) {
        const extra = { name: 'USDC', version: '2', [member]: value };
        const refused = fault(bodyV2({ accepts: [entryV2({ extra })] }));
        expect(refused?.code).toBe('scheme_not_supported');
        expect(refused?.detail.length).toBeLessThan(200);
      }
    });

    it.each<[string, unknown]>([
      ['eip3009 by name', { assetTransferMethod: 'eip3009' }],
      ['the transfer method null', { assetTransferMethod: null, paymentFlow: null }],
      ['no extra', undefined],
      ['null for extra', null],
    ])('pays with %s', (_what, extra) => {
      expect(offered(bodyV2({ accepts: [entryV2({ extra })] }))).toEqual([0]);
    });

    it.each<unknown>([[], 'USDC', 1, true])('does not pay where extra is %j', (extra) => {
      expect(fault(bodyV2({ accepts: [entryV2({ extra })] }))).toMatchObject({
        code: 'requirements_invalid',
        detail: 'accepts[0].extra is no object',
      });
    });

    it.each<unknown>([
      'base-sepolia:1',
      'eip155:',
      'eip155:0',
      'eip155:084532',
      'eip155:84532 ',
      'eip155:-1',
      'eip155:0x14a34',
      'eip155:1e3',
      'EIP155:84532',
      'eip155:99999999999999999',
      'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
      'base',
      ['eip155:84532'],
      84_532,
      null,
    ])('does not pay on the v2 network %j', (network) => {
      expect(fault(bodyV2({ accepts: [entryV2({ network })] }))?.code).toBe(
        'network_not_supported',
      );
    });

    it.each<unknown>([
      ...['eip155:84532', 'Base', 'solana', 'toString', 'hasOwnProperty', '__proto__'],
      ...['x'.repeat(40_000), null, 84_532, ['base']],
    ])('does not pay on the v1 network %j', (network) => {
      const refused = fault(bodyV1({ accepts: [entryV1({ network })] }));
      expect(refused?.code).toBe('network_not_supported');
      expect(refused?.detail.length).toBeLessThan(200);
    });

    it('does not spoil its neighbours when it is unusable', () => {
      const accepts = [
        entryV2({ scheme: 'upto' }),
        entryV2({ amount: '1' }),
        entryV2({ network: 'solana:mainnet' }),
        entryV2({ amount: '1e3' }),
        entryV2({ extra: { assetTransferMethod: 'permit2' } }),
        entryV2({ payTo: 'nobody' }),
        entryV2({ maxTimeoutSeconds: 0 }),
        entryV2({ amount: '2' }),
        [entryV2()],
        'exact',
        null,
        entryV2({ extra: { note: '\u0000' } }),
        entryV2({ extra: { note: nested(13) } }),
        entryV2({ amount: '3' }),
      ];
      const body = bodyV2({ accepts });
      for (const input of [body, header(body), { structuredContent: body }]) {
        const { offers, unusable } = parsePaymentRequired(input);
        expect(offers.map(({ index, amount }) => [index, amount])).toEqual([
          [1, 1n],
          [7, 2n],
          [13, 3n],
        ]);
        expect(unusable.map(({ index, code }) => [index, code])).toEqual([
          [0, 'scheme_not_supported'],
          [2, 'network_not_supported'],
          [3, 'requirements_invalid'],
          [4, 'scheme_not_supported'],
          [5, 'requirements_invalid'],
          [6, 'requirements_invalid'],
          [8, 'requirements_invalid'],
          [9, 'requirements_invalid'],
          [10, 'requirements_invalid'],
          [11, 'requirements_invalid'],
          [12, 'requirements_invalid'],
        ]);
      }
    });

    it('is read to 14 levels, in outputSchema too', () => {
      // The entry is the first level, extra the second.
      const inExtra = (levels: number) => entryV2({ extra: { deep: nested(levels - 2) } });
      const inSchema = (levels: number) => entryV2({ outputSchema: nested(levels - 1) });
      const inLists = (levels: number) =>
        entryV2({ a: JSON.parse('['.repeat(levels - 1) + ']'.repeat(levels - 1)) });
      for (const nest of [inExtra, inSchema, inLists]) {
        const body = bodyV2({ accepts: [nest(14), nest(15), entryV2()] });
        for (const input of [body, header(body)]) {
          expect(offered(input)).toEqual([0, 2]);
          expect(parsePaymentRequired(input).unusable[0]?.detail).toContain('deeper than 14');
        }
      }
    });

    it.each([
      ['itself', '"payTo"', '"payTo":"x","payTo"'],
      ['itself by another spelling', '"payTo"', '"p\\u0061yTo":"x","payTo"'],
      ['extra', '"extra":{', '"extra":{"name":1,'],
      ['extra by another spelling', '"extra":{', '"extra":{"n\\u0061me":1,'],
    ])('is unusable when it names a member of %s twice', (_where, from, to) => {
      const twice = respelled(bodyV2(), from, to).replace(
        '}]}',
        `},${JSON.stringify(entryV2())}]}`,
      );
      for (const input of [twice, header(twice), { structuredContent: twice }]) {
        const { unusable } = parsePaymentRequired(input);
        expect(offered(input)).toEqual([1]);
        expect(unusable).toMatchObject([
          { index: 0, code: 'requirements_invalid', detail: expect.stringContaining('twice') },
        ]);
      }
    });

    it.each([
      ['NUL, which Postgres has none of', '\u0000'],
      ['a lone surrogate, which UTF-8 has none of', '\ud800'],
      ['a lone surrogate at the end of a pair', '\udc00x'],
    ])('is unusable when it holds %s', (_what, text) => {
      for (const entry of [
        entryV2({ extra: { name: text } }),
        entryV2({ extra: { [text]: 1 } }),
        entryV2({ [text]: 1 }),
        entryV2({ list: [[text]] }),
      ]) {
        const body = bodyV2({ accepts: [entry, entryV2()] });
        for (const input of [body, header(body)]) expect(offered(input)).toEqual([1]);
      }
      const v1 = bodyV1({ accepts: [entryV1({ resource: `https://a/${text}` }), entryV1()] });
      expect(offered(v1)).toEqual([1]);
    });

    it.each(['1e400', '-1e400'])('is unusable with the number %s', (number) => {
      const text = respelled(
        bodyV2({ accepts: [entryV2({ n: [12.25] }), entryV2()] }),
        '12.25',
        number,
      );
      for (const input of [text, header(text), JSON.parse(text)]) {
        expect(offered(input)).toEqual([1]);
        expect(parsePaymentRequired(input).unusable[0]?.detail).toContain('number too large');
      }
    });

    it('records 2,048 characters of a declared resource', () => {
      const url = 'https://api.example.com/'.padEnd(5_000, 'a');
      const surrogate = `${'a'.repeat(2_047)}\ud83d\ude00`;
      const declared = (body: Json) => parsePaymentRequired(body).offers[0]?.declaredResource;
      expect(declared(bodyV2({ resource: { url } }))).toBe(url.slice(0, 2_048));
      expect(declared(bodyV1({ accepts: [entryV1({ resource: url })] }))).toBe(url.slice(0, 2_048));
      expect(declared(bodyV2({ resource: { url: surrogate } }))).toBe(`${'a'.repeat(2_047)}\ufffd`);
    });

    it.each<unknown>([null, 1, {}, ['https://a/']])('declares no resource with %j', (resource) => {
      const v1 = bodyV1({ accepts: [entryV1({ resource })] });
      expect(parsePaymentRequired(v1).offers[0]?.declaredResource).toBeUndefined();
      const v2 = bodyV2({ resource: { url: resource } });
      expect(parsePaymentRequired(v2).offers[0]?.declaredResource).toBeUndefined();
    });
  });

  describe('of resource and extensions', () => {
    const EXTENSIONS = { bazaar: { info: {} }, other: [1] };

    it('echoes a text byte for byte', () => {
      const accepted = `{ "scheme":"exact", "extra" : {"2":1,"1":1.0,"fee":1e2,"s":"caf\\u00e9\\/ {[,:\\"]}"},
        "network":"eip155:84532","amount":"50000","asset":"${TOKEN}","payTo":"${PAYEE}","maxTimeoutSeconds":6.0e1 }`;
      const resource = '{"url" :\t"https://api.example.com/data\\/7", "mimeType":"a/b"}';
      const extensions = '{"x":{"rate":1.50, "z":[ ], "a":{}}}';
      const text = ` {"extensions":${extensions},"accepts": [ null,\n${accepted} ] ,"error":"]}","resource":\n${resource} ,"x402Version":2}\n`;
      for (const input of [text, header(text), `PAYMENT-REQUIRED: ${header(text)}`]) {
        expect(parsePaymentRequired(input).offers[0]).toMatchObject({
          json: accepted,
          echo: { resourceJson: resource, extensionsJson: extensions },
        });
      }
    });

    it.each<[string, unknown]>([
      ['text', 'x'],
      ['a list', []],
      ['null', null],
      ['a number', 1],
      ['too deep', nested(15)],
      ['NUL', { note: '\u0000' }],
      ['a lone surrogate', { '\ud800': 1 }],
    ])('leaves %s out of the echo', (_what, value) => {
      const url = { url: 'https://a/' };
      const extensions = bodyV2({ extensions: value });
      const { resource } = extensions;
      const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
      const unsound = bodyV2({
        resource: isObject ? { ...url, ...value } : value,
        extensions: EXTENSIONS,
      });
      for (const form of [(body: Json) => body, header]) {
        expect(echoOf(form(extensions))).toEqual({
          resourceJson: JSON.stringify(resource),
          extensionsJson: undefined,
        });
        expect(echoOf(form(unsound))).toEqual({
          resourceJson: undefined,
          extensionsJson: JSON.stringify(EXTENSIONS),
        });
      }
    });

    it('reads 14 levels of each', () => {
      const url = 'https://api.example.com/';
      const deep = nested(13);
      const body = bodyV2({ extensions: { deep }, resource: { url, deep } });
      for (const input of [body, header(body)]) {
        expect(echoOf(input)).toEqual({
          resourceJson: JSON.stringify(body.resource),
          extensionsJson: JSON.stringify(body.extensions),
        });
      }
    });

    it.each([
      ['resource', '"resource":{', '"resource":{"url":"https://evil.example/"},"resource":{'],
      ['resource', '"resource":{', '"resource":{"url":"https://evil.example/",'],
      ['extensions', '"extensions":{', '"extensions":{},"extensions":{'],
      ['extensions', '"extensions":{', '"extensions":{"oth\\u0065r":1,'],
    ])('leaves %s out of the echo when a text names it or its member twice', (name, from, to) => {
      const body = bodyV2({ extensions: EXTENSIONS });
      const text = respelled(body, from, to);
      const [resourceJson, extensionsJson] = [body.resource, EXTENSIONS].map((value) =>
        JSON.stringify(value),
      );
      for (const input of [text, header(text)]) {
        const [offer] = parsePaymentRequired(input).offers;
        expect(offer?.echo).toEqual(
          name === 'resource'
            ? { resourceJson: undefined, extensionsJson }
            : { resourceJson, extensionsJson: undefined },
        );
        if (name === 'resource') expect(offer?.declaredResource).toBeUndefined();
      }
    });

    it('leaves 1e400 out of the echo, which no JSON can hold again', () => {
      const text = respelled(bodyV2({ extensions: { a: 12.25 } }), '12.25', '1e400');
      for (const input of [text, header(text), JSON.parse(text)]) {
        expect(echoOf(input)?.extensionsJson).toBeUndefined();
      }
    });

    it('echoes nothing in v1', () => {
      const body = { ...bodyV1(), resource: { url: 'https://a/' }, extensions: EXTENSIONS };
      expect(echoOf(body)).toEqual({ resourceJson: undefined, extensionsJson: undefined });
    });

    it('refuses a 402 that requires a malformed payment-identifier, and ignores it in v1', () => {
      const extensions = { 'payment-identifier': { info: { required: true, id: 'x'.repeat(16) } } };
      const body = bodyV2({ extensions });
      for (const input of [body, header(body)]) {
        expect(refusalOf(input)).toMatchObject({
          code: 'requirements_invalid',
          detail: expect.stringContaining('extensions.payment-identifier'),
        });
      }
      expect(offered({ ...bodyV1(), extensions })).toEqual([0]);
    });

    it('refuses a 402 whose required payment-identifier stands beside what cannot be echoed', () => {
      const required = (isRequired: boolean) =>
        bodyV2({
          extensions: { 'payment-identifier': { info: { required: isRequired } }, n: 12.25 },
        });
      for (const unsafe of ['"\\u0000"', '1e400', '1,"n":2', JSON.stringify(nested(14))]) {
        const text = respelled(required(true), '12.25', unsafe);
        for (const input of [text, header(text)]) {
          expect(refusalOf(input).detail).toContain('cannot be echoed');
        }
        expect(echoOf(respelled(required(false), '12.25', unsafe))?.extensionsJson).toBeUndefined();
      }
    });

    it('leaves a malformed and optional payment-identifier out of the echo', () => {
      const text = respelled(
        bodyV2({ extensions: { n: 12.25 } }),
        '{"n":12.25}',
        '{"n": 1.0,"payment-identifier":{"supported":true},"m":[ ]}',
      );
      for (const input of [text, header(text)]) {
        expect(echoOf(input)?.extensionsJson).toBe('{"n": 1.0,"m":[ ]}');
      }
    });

    it('leaves members out of the resource that the published schema refuses', () => {
      const resource = { url: 'https://a/', description: 1, tags: 'x', mimeType: 'text/plain' };
      expect(echoOf(bodyV2({ resource }))?.resourceJson).toBe(
        '{"url":"https://a/","mimeType":"text/plain"}',
      );
    });
  });

  describe('of what a header can hold', () => {
    const identifier = { info: { required: false } };
    const long = 'x'.repeat(6_000);
    const url = 'https://a/';

    it('drops extensions, then the description, then the resource', () => {
      const echoed = (changes: Json) => echoOf(bodyV2(changes));
      expect(echoed({ extensions: { long } })).toEqual({
        resourceJson: JSON.stringify(bodyV2().resource),
        extensionsJson: undefined,
      });
      expect(echoed({ extensions: { a: 1 }, resource: { url, description: long } })).toEqual({
        resourceJson: JSON.stringify({ url }),
        extensionsJson: undefined,
      });
      expect(echoed({ extensions: { a: 1 }, resource: { url, mimeType: long } })).toEqual({
        resourceJson: undefined,
        extensionsJson: undefined,
      });
    });

    it('keeps a declared payment-identifier when everything else goes', () => {
      const extensions = { long, 'payment-identifier': identifier };
      expect(echoOf(bodyV2({ extensions }))?.extensionsJson).toBe(
        JSON.stringify({ 'payment-identifier': identifier }),
      );
      const resource = { url, mimeType: long };
      expect(echoOf(bodyV2({ extensions, resource }))).toEqual({
        resourceJson: undefined,
        extensionsJson: JSON.stringify({ 'payment-identifier': identifier }),
      });
    });

    it('gives no echo to an entry that fits no header, and its neighbours theirs', () => {
      const big = entryV2({ extra: { long: 'x'.repeat(7_000) } });
      const { offers } = parsePaymentRequired(bodyV2({ accepts: [big, entryV2()] }));
      expect(offers[0]?.echo).toBeUndefined();
      expect(offers[0]?.headerBytes).toBeGreaterThan(MAX_HEADER_BYTES);
      expect(offers[1]?.echo?.resourceJson).toBe(JSON.stringify(bodyV2().resource));
      expect(offers[1]?.headerBytes).toBeLessThan(MAX_HEADER_BYTES);
    });

    it('counts bytes, not characters', () => {
      const extensions = { euros: '\u20ac'.repeat(2_000) };
      expect(JSON.stringify(extensions).length).toBeLessThan(3_000);
      expect(echoOf(bodyV2({ extensions }))?.extensionsJson).toBeUndefined();
      expect(
        echoOf(bodyV2({ extensions: { euros: 'e'.repeat(2_000) } }))?.extensionsJson,
      ).toBeDefined();
    });
  });

  describe.each(['__proto__', 'constructor', 'prototype'])('with a member named %s', (key) => {
    const polluted = `"${key}":{"polluted":true}`;
    const two = () => bodyV2({ accepts: [entryV2({ first: {} }), entryV2()] });
    const forms = (text: string) => [text, header(text), JSON.parse(text)];

    it.each([
      ['it', '"first":{}', polluted],
      ['an object in it', '"first":{}', `"first":{${polluted}}`],
      ['a list in it', '"first":{}', `"first":[[{${polluted}}]]`],
      ['it, as text', '"first":{}', `"${key}":"exact"`],
    ])('an entry is unusable when %s has it', (_where, from, to) => {
      for (const input of forms(respelled(two(), from, to))) {
        expect(offered(input)).toEqual([1]);
        expect(parsePaymentRequired(input).unusable[0]).toMatchObject({
          code: 'requirements_invalid',
          detail: expect.stringContaining(`a member named "${key}"`),
        });
      }
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    });

    it('a body is read as if it were not there', () => {
      for (const input of forms(respelled(two(), '"error":', `${polluted},"error":`))) {
        expect(offered(input)).toEqual([0, 1]);
      }
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    });

    it('resource and extensions are left out of the echo', () => {
      const body = bodyV2({ extensions: { a: 1 } });
      for (const input of forms(respelled(body, '"resource":{', `"resource":{${polluted},`))) {
        expect(echoOf(input)).toEqual({ resourceJson: undefined, extensionsJson: '{"a":1}' });
      }
      for (const input of forms(respelled(body, '"a":1', `"a":[{${polluted}}]`))) {
        expect(echoOf(input)).toMatchObject({
          resourceJson: JSON.stringify(body.resource),
          extensionsJson: undefined,
        });
      }
    });

    it('terms are not taken from it', () => {
      const text = `{"${key}":${JSON.stringify(bodyV2())}}`;
      for (const input of forms(text)) expect(refusalOf(input).code).toBe('requirements_invalid');
    });
  });

  describe('of the text of a seller', () => {
    it('shows it in sellerText only', () => {
      const text = `${MARKER} \u202e"'\n`;
      const accepts = [
        entryV2({ scheme: text }),
        entryV2({ network: text }),
        entryV2({ amount: text }),
        entryV2({ asset: text }),
        entryV2({ payTo: text }),
        entryV2({ maxTimeoutSeconds: text }),
        entryV2({ extra: text }),
        entryV2({ extra: { assetTransferMethod: text } }),
        entryV2({ extra: { paymentFlow: text } }),
        entryV2({ [text]: '\u0000' }),
        text,
      ];
      const { offers, unusable } = parsePaymentRequired(bodyV2({ error: text, accepts }));
      expect(offers).toEqual([]);
      expect(unusable).toHaveLength(accepts.length);
      for (const { index, detail, sellerText } of unusable) {
        expect(detail).not.toContain(MARKER);
        if (index < 9) expect(sellerText).toBe(untrusted(text));
        else expect(sellerText).toBeUndefined();
      }
    });

    it('is not in the refusal of a whole 402', () => {
      for (const input of [
        MARKER,
        `{"${MARKER}":`,
        header(MARKER),
        { [MARKER]: MARKER },
        bodyV2({ x402Version: MARKER }),
        bodyV2({ accepts: MARKER }),
        bodyV2({ extensions: { 'payment-identifier': { required: true, [MARKER]: MARKER } } }),
      ]) {
        const { message, detail, fields } = refusalOf(input);
        expect(message + detail + JSON.stringify(fields)).not.toContain(MARKER);
      }
    });

    it.each([
      ['plain', '"plain"'],
      ['a "quote" and \\', '"a \\"quote\\" and \\\\"'],
      ['line\nend\r\t', '"line\\nend\\r\\t"'],
      ['\u0000\u001b\u007f\u0085', '"\\u0000\\u001b\\u{7f}\\u{85}"'],
      ['\u2028\u2029', '"\\u{2028}\\u{2029}"'],
      ['\u202eevil\u202c', '"\\u{202e}evil\\u{202c}"'],
      ['\u2066a\u2069\u200b\ufeff', '"\\u{2066}a\\u{2069}\\u{200b}\\u{feff}"'],
      ['\u{e0041}', '"\\u{e0041}"'],
      ['\ud800', '"\ufffd"'],
      ['\u20ac \ud83d\ude00', '"\u20ac \ud83d\ude00"'],
      ['x'.repeat(200), `"${'x'.repeat(200)}"`],
      ['x'.repeat(201), `"${'x'.repeat(200)}…"`],
      [`${'x'.repeat(199)}\ud83d\ude00`, `"${'x'.repeat(199)}\ufffd…"`],
      [7, '"a value of type number"'],
      [null, '"a value of type object"'],
      [{ toString: 1 }, '"a value of type object"'],
    ])('marks %j as untrusted and escapes it', (text, escaped) => {
      expect(untrusted(text)).toBe(`untrusted, from the seller: ${escaped}`);
    });

    it('stays on one line and inside its quotes, whatever it is', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
          const marked = untrusted(text);
          expect(marked).toMatch(/^untrusted, from the seller: "(?:[^"\\]|\\.)*"$/u);
          expect(marked).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
          expect(marked.length).toBeLessThan(2_100);
        }),
        { numRuns: 1_000 },
      );
    });
  });

  describe('of the slowest shapes known', () => {
    const BUDGET_MS = 10;
    const entry = JSON.stringify(entryV2());
    const open = `{"x402Version":2,"accepts":[${entry}]`;

    /** Copies of a piece of JSON, as many as fit beside a 402. */
    const many = (piece: string) =>
      Array(Math.floor((LIMITS.jsonCharacters - 700) / (piece.length + 1)))
        .fill(piece)
        .join(',');
    const names = Array.from({ length: 3_900 }, (_, at) => `"x${at.toString(36)}":""`).join(',');
    const wrappers =
      '"paymentRequired":0,"structuredContent":0,"result":0,"error":{"data":0},"content":[0]';
    const address = (at: number) => `0x${at.toString(16).padStart(40, 'a')}`;

    it.each([
      ['one name again and again', `${open},${many('"":0')}}`],
      ['many names', `${open},${names}}`],
      ['every wrapper without terms', `{${wrappers},${many('"":0')}}`],
      ['a list of faulty tags', `${open},"resource":{"url":"a","tags":[${many('""')}]}}`],
      ['a large faulty resource', `${open},"resource":{"url":"a","description":0,${names}}}`],
      [
        'large extensions with a payment-identifier',
        `${open},"extensions":{"payment-identifier":{"info":{"required":true}},${names}}}`,
      ],
      ['a large entry', `{"x402Version":2,"accepts":[${entry.slice(0, -1)},${names}}]}`],
      ['thousands of entries', `{"x402Version":2,"accepts":[${many('0')}]}`],
      [
        '64 entries, each with addresses of its own',
        JSON.stringify(
          bodyV2({
            accepts: Array.from({ length: 64 }, (_, at) =>
              entryV2({ asset: address(2 * at), payTo: address(2 * at + 1), pad: 'x'.repeat(400) }),
            ),
          }),
        ),
      ],
      ['a deep entry', `{"x402Version":2,"accepts":[${'['.repeat(24_000)}${']'.repeat(24_000)}]}`],
      ['deep extensions', `${open},"extensions":${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)}}`],
      ['escapes', `${open},"extensions":{"a":"${'\\u0041'.repeat(8_000)}"}}`],
    ])('takes at most 10 ms for %s', (_what, text) => {
      expect(text.length).toBeLessThanOrEqual(LIMITS.jsonCharacters);
      for (const input of [text, header(text), JSON.parse(text)]) {
        expect(fastest(() => parsed(input), BUDGET_MS)).toBeLessThan(BUDGET_MS);
      }
    });
  });

  it('answers random text and values with a Problem', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.base64String({ maxLength: 200 }),
          fc.json().map(header),
          fc.json(),
          fc.jsonValue(),
        ),
        (input) => {
          expect(refusalOf(input).code).toBe('requirements_invalid');
        },
      ),
      { numRuns: 3_000 },
    );
    for (const long of [
      '='.repeat(1e7),
      'A'.repeat(1e7),
      `${'A'.repeat(60_000)}!`,
      ' '.repeat(1e7),
      `{"a":"${'x'.repeat(1e7)}"}`,
    ]) {
      expect(refusalOf(long).code).toBe('requirements_invalid');
    }
  });
});
