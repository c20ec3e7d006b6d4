import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { Problem } from '../domain/problem.js';
import { LIMITS, parsePaymentRequired } from './parse.js';

const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const PAYEE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

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

/** Objects nested that deep, the outermost being the first level. */
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

/** What is wrong with the only entry of a body. */
function fault(body: Json) {
  const { offers, unusable } = parsePaymentRequired(body);
  expect(offers).toEqual([]);
  expect(unusable).toHaveLength(1);
  return unusable[0];
}

const OFFER = {
  index: 0,
  scheme: 'exact',
  network: 'eip155:84532',
  asset: TOKEN,
  amount: 50_000n,
  payTo: PAYEE,
  maxTimeoutSeconds: 60,
  resource: 'https://api.example.com/data/7',
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
      offers: [{ ...OFFER, ...written(entryV2()) }],
      unusable: [],
      resourceJson: JSON.stringify(body.resource),
      extensionsJson: JSON.stringify(body.extensions),
    });
  });

  it('reads the v2 header as it reads the object', () => {
    const body = bodyV2({ error: 'paiement exig\u00e9 \u20ac' });
    expect(parsePaymentRequired(header(body))).toEqual(parsePaymentRequired(body));
  });

  it('reads a v1 body, its network by the name v1 has for it', () => {
    expect(parsePaymentRequired(bodyV1())).toEqual({
      x402Version: 1,
      offers: [{ ...OFFER, ...written(entryV1()) }],
      unusable: [],
      resourceJson: undefined,
      extensionsJson: undefined,
    });
  });

  it('keeps members it does not know, and their order, for the echo', () => {
    const entry = { zeta: 1, ...entryV2({ extra: { b: 1, a: { z: [], c: null } } }), alpha: 'x' };
    const body = bodyV2({ accepts: [entry] });
    expect(parsePaymentRequired(header(body)).offers[0]?.json).toBe(JSON.stringify(entry));
  });

  it('writes addresses with their checksum, so that the same payee has one spelling', () => {
    const entry = entryV2({ asset: TOKEN.toLowerCase(), payTo: PAYEE.toLowerCase() });
    expect(parsePaymentRequired(bodyV2({ accepts: [entry] })).offers[0]).toMatchObject({
      asset: TOKEN,
      payTo: PAYEE,
    });
  });

  it("gives v1 entries each their own resource, and all v2 entries the body's", () => {
    const other = 'https://api.example.com/other';
    const v1 = bodyV1({ accepts: [entryV1(), entryV1({ resource: other })] });
    expect(parsePaymentRequired(v1).offers.map(({ resource }) => resource)).toEqual([
      OFFER.resource,
      other,
    ]);
    const v2 = bodyV2({ accepts: [entryV2(), entryV2({ resource: other })] });
    expect(parsePaymentRequired(v2).offers.map(({ resource }) => resource)).toEqual([
      OFFER.resource,
      OFFER.resource,
    ]);
  });

  it('lets nothing change the terms between the check and the signature', () => {
    const entry = entryV2();
    const bad = entryV2({ scheme: 'upto' });
    const terms = parsePaymentRequired(bodyV2({ accepts: [entry, bad] }));
    const parts = [terms, terms.offers, terms.offers[0], terms.unusable, terms.unusable[0]];
    for (const part of parts) expect(Object.isFrozen(part)).toBe(true);
    entry.amount = '99999999';
    entry.payTo = TOKEN;
    expect(terms.offers[0]).toMatchObject({ amount: 50_000n, payTo: PAYEE });
    expect(JSON.parse(terms.offers[0]?.json ?? '')).toEqual(entryV2());
  });

  describe('as a whole', () => {
    it.each([
      ['null', null],
      ['undefined', undefined],
      ['a number', 2],
      ['a list', [bodyV2()]],
      ['an empty object', {}],
      ['version 0', bodyV2({ x402Version: 0 })],
      ['version 3', bodyV2({ x402Version: 3 })],
      ['a version in text', bodyV2({ x402Version: '2' })],
      ['no version', bodyV2({ x402Version: undefined })],
      ['v1 entries in v2', bodyV2({ accepts: [entryV1()] })],
      ['v2 entries in v1', bodyV1({ accepts: [entryV2()] })],
      ['no accepts', bodyV2({ accepts: undefined })],
      ['empty accepts', bodyV2({ accepts: [] })],
      ['accepts that are no list', bodyV2({ accepts: { 0: entryV2() } })],
      ['an entry that is null', bodyV2({ accepts: [null] })],
      ['an entry that is a list', bodyV2({ accepts: [[]] })],
      ['an entry that is text', bodyV2({ accepts: ['exact'] })],
      ['a resource that is text', bodyV2({ resource: 'https://api.example.com/' })],
      ['no resource', bodyV2({ resource: undefined })],
      ['extensions that are text', bodyV2({ extensions: 'x' })],
      ['extra that is a list', bodyV2({ accepts: [entryV2({ extra: [] })] })],
      ['text that is no base64', '{"x402Version":2}'],
      ['an empty header', ''],
      ['base64 of no JSON', header('hello')],
      ['base64 of a list', header('[]')],
      ['base64 of null', header('null')],
      ['base64url', `${header(bodyV2()).replace(/=+$/, '')}-_`],
      ['base64 with a line break', `${header(bodyV2())}\n`],
      ['base64 of half a body', header(JSON.stringify(bodyV2()).slice(0, -5))],
    ])('refuses %s', (_what, input) => {
      expect(refusalOf(input)).toMatchObject({
        code: 'requirements_invalid',
        fields: { field: 'paymentRequired' },
      });
    });

    it('reads 16 entries and refuses 17', () => {
      const entries = (count: number) => bodyV2({ accepts: Array(count).fill(entryV2()) });
      expect(parsePaymentRequired(entries(16)).offers).toHaveLength(16);
      expect(refusalOf(entries(17)).detail).toContain('17 entries; at most 16');
      expect(refusalOf(header(entries(17))).code).toBe('requirements_invalid');
    });

    it('reads 8 levels and refuses 9, wherever they are', () => {
      // The body is the first level, accepts the second, its entry the third, extra the fourth.
      const inExtra = (levels: number) =>
        bodyV2({ accepts: [entryV2({ extra: { deep: nested(levels - 4) } })] });
      expect(parsePaymentRequired(inExtra(8)).offers).toHaveLength(1);
      expect(refusalOf(inExtra(9)).detail).toContain('deeper than 8');
      const inResource = (levels: number) =>
        bodyV2({ resource: { url: 'https://api.example.com/', deep: nested(levels - 2) } });
      expect(parsePaymentRequired(header(inResource(8))).offers).toHaveLength(1);
      expect(refusalOf(header(inResource(9))).detail).toContain('deeper than 8');
      const inLists = bodyV2({ accepts: [entryV2({ extra: { deep: [[[[['x']]]]] } })] });
      expect(refusalOf(inLists).detail).toContain('deeper than 8');
    });

    it('reads 16 levels of the JSON Schemas that sellers publish, and refuses 17', () => {
      const inExtensions = (levels: number) => bodyV2({ extensions: { deep: nested(levels - 2) } });
      expect(parsePaymentRequired(header(inExtensions(16))).offers).toHaveLength(1);
      expect(refusalOf(header(inExtensions(17))).detail).toContain('deeper than 16');
      // The body is the first level, accepts the second, its entry the third.
      const inOutputSchema = (levels: number) =>
        bodyV1({ accepts: [entryV1({ outputSchema: nested(levels - 3) })] });
      expect(parsePaymentRequired(inOutputSchema(16)).offers).toHaveLength(1);
      expect(refusalOf(inOutputSchema(17)).detail).toContain('deeper than 16');
      const both = bodyV2({ extensions: { outputSchema: nested(15) } });
      expect(refusalOf(both).detail).toContain('deeper than 16');
    });

    it('refuses a nesting deep enough to overflow a stack, and a circle', () => {
      expect(refusalOf(header('['.repeat(20_000) + ']'.repeat(20_000))).code).toBe(
        'requirements_invalid',
      );
      const deep = `{"x402Version":2,"a":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`;
      expect(refusalOf(header(deep)).detail).toContain('deeper than 8');
      const circle: Json = bodyV2();
      circle.extensions = circle;
      expect(refusalOf(circle).detail).toContain('deeper than 16');
    });

    it.each([
      ['the body', (json: string) => `{"error":"a",${json.slice(1)}`],
      ['an entry', (json: string) => json.replace('"payTo"', '"payTo":"x","payTo"')],
      ['extra', (json: string) => json.replace('"extra":{', '"extra":{"name":1,')],
      ['another spelling', (json: string) => json.replace('"extra":{', '"extra":{"n\\u0061me":1,')],
    ])('refuses a header that names a member of %s twice', (_where, twice) => {
      const refused = refusalOf(header(twice(JSON.stringify(bodyV2()))));
      expect(refused.detail).toContain('names a member twice');
    });

    it('refuses a header that is not UTF-8, and reads none as something that resembles it', () => {
      const bytes = Buffer.from(JSON.stringify(bodyV2({ error: '~' })), 'utf8');
      bytes[bytes.indexOf('~')] = 0xff;
      expect(refusalOf(bytes.toString('base64')).detail).toContain('UTF-8');
      const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes.subarray(0, 0)]);
      const bom = Buffer.concat([marked, Buffer.from(JSON.stringify(bodyV2()))]);
      expect(refusalOf(bom.toString('base64')).code).toBe('requirements_invalid');
    });

    it.each<[string, unknown]>([
      ['null', null],
      ['text', 'x'],
      ['a list', []],
      ['no info', { schema: {} }],
      ['info that is text', { info: 'x' }],
      ['info that is a list', { info: [] }],
      ['no word on whether it is required', { info: {} }],
      ['another kind of required', { info: { required: 'true' } }],
      ['an id of the seller\u2019s', { info: { required: true, id: 'x'.repeat(16) } }],
    ])('refuses a payment-identifier that is %s, saying so', (_what, declared) => {
      const body = bodyV2({ extensions: { 'payment-identifier': declared } });
      for (const input of [body, header(body)]) {
        expect(refusalOf(input)).toMatchObject({
          code: 'requirements_invalid',
          detail: expect.stringContaining('extensions.payment-identifier'),
        });
      }
      // v1 has no extensions: what a v1 body calls so is nobody's.
      expect(
        parsePaymentRequired({ ...bodyV1(), extensions: body.extensions }).offers,
      ).toHaveLength(1);
    });

    it.each(['1e400', '-1e400'])('refuses the number %s, which no echo could repeat', (number) => {
      const json = JSON.stringify(bodyV2({ extensions: { a: 0 } })).replace(
        '"a":0',
        `"a":${number}`,
      );
      expect(refusalOf(header(json)).detail).toContain('number too large');
      expect(refusalOf(JSON.parse(json)).detail).toContain('number too large');
    });

    it('refuses what is longer than its bound, as an object and as a header', () => {
      const long = bodyV2({ error: 'x'.repeat(LIMITS.jsonCharacters) });
      expect(refusalOf(long).detail).toContain('longer than');
      expect(refusalOf(header(long)).detail).toContain('longer than');
      const short = bodyV2({ error: 'x'.repeat(LIMITS.jsonCharacters - 1_000) });
      expect(parsePaymentRequired(short).offers).toHaveLength(1);
      expect(parsePaymentRequired(header(short)).offers).toHaveLength(1);
    });

    it.each([
      ['NUL, which Postgres has none of', '\u0000'],
      ['a lone surrogate, which UTF-8 has none of', '\ud800'],
    ])('refuses text holding %s, before it breaks what stores it', (_what, text) => {
      const url = `https://api.example.com/${text}`;
      const bodies = [
        bodyV2({ resource: { url } }),
        bodyV2({ extensions: { note: text } }),
        bodyV2({ extensions: { [text]: 'x' } }),
        bodyV2({ accepts: [entryV2({ extra: { name: text } })] }),
        bodyV1({ accepts: [entryV1({ resource: url })] }),
      ];
      for (const body of bodies) {
        expect(refusalOf(body).code).toBe('requirements_invalid');
        expect(refusalOf(header(body)).code).toBe('requirements_invalid');
      }
    });

    describe.each(['__proto__', 'constructor', 'prototype'])('with a member named %s', (key) => {
      const polluted = `"${key}":{"polluted":true}`;
      const places: [string, string][] = [
        ['the body', `{${polluted},${JSON.stringify(bodyV2()).slice(1)}`],
        [
          'the resource',
          JSON.stringify(bodyV2()).replace('"resource":{', `"resource":{${polluted},`),
        ],
        ['an entry', JSON.stringify(bodyV2()).replace('"accepts":[{', `"accepts":[{${polluted},`)],
        ['extra', JSON.stringify(bodyV2()).replace('"extra":{', `"extra":{${polluted},`)],
        [
          'extensions',
          JSON.stringify(bodyV2({ extensions: { a: {} } })).replace('"a":{', `"a":{${polluted}`),
        ],
        ['a v1 body', `{${polluted},${JSON.stringify(bodyV1()).slice(1)}`],
        ['v1 extra', JSON.stringify(bodyV1()).replace('"extra":{', `"extra":{${polluted},`)],
        [
          'a list in extensions',
          JSON.stringify(bodyV2({ extensions: { a: [{}] } })).replace('[{}]', `[{${polluted}}]`),
        ],
      ];

      it.each(places)('in %s is refused, as an object and as a header', (_where, json) => {
        expect(json).toContain(polluted);
        for (const input of [JSON.parse(json), header(json)]) {
          expect(refusalOf(input).detail).toContain(`a member named "${key}"`);
        }
        expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      });

      it('holding a simple value is refused too', () => {
        const json = JSON.stringify(bodyV2()).replace('"extra":{', `"extra":{"${key}":"exact",`);
        expect(refusalOf(header(json)).detail).toContain(`"${key}"`);
      });
    });
  });

  describe('of an entry', () => {
    it.each([0, -1, 1.5, 301, 86_400, 1e18, 1e-9, 2 ** 53, Number.MAX_VALUE])(
      'never signs for a timeout of %d seconds',
      (maxTimeoutSeconds) => {
        const v2 = bodyV2({ accepts: [entryV2({ maxTimeoutSeconds }), entryV2()] });
        const v1 = bodyV1({ accepts: [entryV1({ maxTimeoutSeconds }), entryV1()] });
        for (const body of [v2, v1]) expect(offered(body)).not.toContain(0);
      },
    );

    it.each(['60', null, true, [60], {}])('never signs for the timeout %j', (maxTimeoutSeconds) => {
      for (const body of [
        bodyV2({ accepts: [entryV2({ maxTimeoutSeconds }), entryV2()] }),
        bodyV1({ accepts: [entryV1({ maxTimeoutSeconds }), entryV1()] }),
      ]) {
        expect(offered(body)).not.toContain(0);
      }
    });

    it.each([1, 300])('takes a timeout of %d seconds', (maxTimeoutSeconds) => {
      const { offers } = parsePaymentRequired(
        bodyV2({ accepts: [entryV2({ maxTimeoutSeconds })] }),
      );
      expect(offers[0]?.maxTimeoutSeconds).toBe(maxTimeoutSeconds);
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
      (2n ** 256n).toString(),
      '9'.repeat(10_000),
    ])('never signs for the amount "%s"', (amount) => {
      expect(fault(bodyV2({ accepts: [entryV2({ amount })] }))).toMatchObject({
        code: 'requirements_invalid',
        detail: expect.stringContaining('accepts[0].amount must be a decimal integer'),
      });
      expect(fault(bodyV1({ accepts: [entryV1({ maxAmountRequired: amount })] }))).toMatchObject({
        code: 'requirements_invalid',
        detail: expect.stringContaining('accepts[0].maxAmountRequired must be a decimal integer'),
      });
    });

    it.each([50_000, null, ['1'], { toString: '1' }])('never signs for the amount %j', (amount) => {
      expect(offered(bodyV2({ accepts: [entryV2({ amount }), entryV2()] }))).not.toContain(0);
    });

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

    it.each(['upto', 'batch-settlement', 'Exact', 'exact ', 'x'.repeat(40_000)])(
      'does not pay by the scheme "%s"',
      (scheme) => {
        const refused = fault(bodyV2({ accepts: [entryV2({ scheme })] }));
        expect(refused?.code).toBe('scheme_not_supported');
        expect(refused?.detail.length).toBeLessThan(200);
      },
    );

    it.each<unknown>([
      'permit2',
      'EIP3009',
      '',
      null,
      1,
      false,
      {},
      [],
      ['eip3009'],
      { toString: 1, valueOf: 1 },
      { toString: null },
      'x'.repeat(40_000),
    ])('does not pay by the transfer method %j', (assetTransferMethod) => {
      const extra = { name: 'USDC', version: '2', assetTransferMethod };
      const refused = fault(bodyV2({ accepts: [entryV2({ extra })] }));
      expect(refused?.code).toBe('scheme_not_supported');
      expect(refused?.detail.length).toBeLessThan(200);
    });

    it.each([
      ['eip3009 by name', { assetTransferMethod: 'eip3009' }],
      ['no extra', undefined],
      ['null for extra', null],
    ])('pays with %s', (_what, extra) => {
      expect(parsePaymentRequired(bodyV2({ accepts: [entryV2({ extra })] })).offers).toHaveLength(
        1,
      );
    });

    it.each([
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
    ])('does not pay on the v2 network "%s"', (network) => {
      expect(fault(bodyV2({ accepts: [entryV2({ network })] }))?.code).toBe(
        'network_not_supported',
      );
    });

    it.each(['eip155:84532', 'Base', 'solana', 'toString', 'hasOwnProperty', 'x'.repeat(40_000)])(
      'does not pay on the v1 network "%s"',
      (network) => {
        const refused = fault(bodyV1({ accepts: [entryV1({ network })] }));
        expect(refused?.code).toBe('network_not_supported');
        expect(refused?.detail.length).toBeLessThan(200);
      },
    );

    it('refuses a resource whose URL is longer than 2,048 characters', () => {
      const url = (length: number) => 'https://api.example.com/'.padEnd(length, 'a');
      expect(fault(bodyV2({ resource: { url: url(2_049) } }))?.code).toBe('requirements_invalid');
      expect(fault(bodyV1({ accepts: [entryV1({ resource: url(2_049) })] }))?.code).toBe(
        'requirements_invalid',
      );
      expect(parsePaymentRequired(bodyV2({ resource: { url: url(2_048) } })).offers).toHaveLength(
        1,
      );
    });

    it('does not let one that cannot be paid spoil its neighbours', () => {
      const accepts = [
        entryV2({ scheme: 'upto' }),
        entryV2({ amount: '1' }),
        entryV2({ network: 'solana:mainnet' }),
        entryV2({ amount: '1e3' }),
        entryV2({ extra: { assetTransferMethod: 'permit2' } }),
        entryV2({ payTo: 'nobody' }),
        entryV2({ maxTimeoutSeconds: 86_400 }),
        entryV2({ amount: '2' }),
      ];
      const { offers, unusable } = parsePaymentRequired(bodyV2({ accepts }));
      expect(offers.map(({ index, amount }) => [index, amount])).toEqual([
        [1, 1n],
        [7, 2n],
      ]);
      expect(unusable.map(({ index, code }) => [index, code])).toEqual([
        [0, 'scheme_not_supported'],
        [2, 'network_not_supported'],
        [3, 'requirements_invalid'],
        [4, 'scheme_not_supported'],
        [5, 'requirements_invalid'],
        [6, 'requirements_invalid'],
      ]);
    });
  });

  it('answers mutated input with terms within every bound or a Problem, and at once', () => {
    const seen = { accepted: 0, refused: 0, offers: 0, slowestMs: 0 };
    const values = fc.oneof(
      fc.constantFrom<unknown>(
        null,
        '',
        '1e3',
        '-1',
        0,
        -1,
        1.5,
        1e18,
        86_400,
        [],
        {},
        true,
        '\ud800',
      ),
      fc.constantFrom<unknown>({ toString: 1 }, { valueOf: 1, toJSON: 1 }, { length: -1 }),
      fc.jsonValue({ maxDepth: 10 }),
      fc.string(),
    );
    const keys = fc.oneof(
      fc.constantFrom('__proto__', 'constructor', 'toString', 'assetTransferMethod', 'amount', 'x'),
      fc.string(),
    );
    const mutation = fc.record({
      /** Which of the document's values, from the first to the last. */
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      kind: fc.constantFrom('replace', 'drop', 'add', 'repeat'),
      key: keys,
      value: values,
    });
    const documents = fc.constantFrom(
      bodyV2({ accepts: [entryV2(), entryV2()], extensions: { note: { a: 1 } } }),
      bodyV1({ accepts: [entryV1(), entryV1()] }),
    );
    fc.assert(
      fc.property(
        documents,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        (original, mutations, asHeader) => {
          const document = structuredClone(original);
          for (const each of mutations) mutate(document, each);
          const input = asHeader ? header(document) : document;
          const start = performance.now();
          let terms: ReturnType<typeof parsePaymentRequired>;
          try {
            terms = parsePaymentRequired(input);
          } catch (error) {
            expect(error).toBeInstanceOf(Problem);
            seen.refused += 1;
            return;
          } finally {
            seen.slowestMs = Math.max(seen.slowestMs, performance.now() - start);
          }
          seen.accepted += 1;
          expect(terms.offers.length + terms.unusable.length).toBeLessThanOrEqual(16);
          for (const offer of terms.offers) {
            seen.offers += 1;
            expect(offer.amount >= 0n && offer.amount < 2n ** 256n).toBe(true);
            expect(Number.isInteger(offer.maxTimeoutSeconds)).toBe(true);
            expect(offer.maxTimeoutSeconds).toBeGreaterThanOrEqual(1);
            expect(offer.maxTimeoutSeconds).toBeLessThanOrEqual(300);
            expect(offer.network).toMatch(/^eip155:[1-9][0-9]*$/);
            expect(offer.payTo).toMatch(/^0x[0-9a-fA-F]{40}$/);
          }
        },
      ),
      { numRuns: 3_000 },
    );
    expect(seen.accepted).toBeGreaterThan(400);
    expect(seen.refused).toBeGreaterThan(400);
    expect(seen.offers).toBeGreaterThan(400);
    // Far above what it takes, and far below what a quadratic or backtracking one would.
    expect(seen.slowestMs).toBeLessThan(500);
  });

  it('answers random text and bytes with a Problem, and at once', () => {
    const start = performance.now();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.base64String({ maxLength: 200 }),
          fc.json().map(header),
          fc.jsonValue(),
        ),
        (input) => {
          expect(refusalOf(input)).toBeInstanceOf(Problem);
        },
      ),
      { numRuns: 3_000 },
    );
    for (const long of [
      '='.repeat(1e7),
      'A'.repeat(1e7),
      `${'A'.repeat(60_000)}!`,
      ' '.repeat(1e7),
    ]) {
      expect(refusalOf(long).code).toBe('requirements_invalid');
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

/** The positions of the entries that were offered; none where the whole was refused. */
function offered(body: Json): number[] {
  try {
    return parsePaymentRequired(body).offers.map(({ index }) => index);
  } catch (error) {
    expect(error).toMatchObject({ code: 'requirements_invalid' });
    return [];
  }
}

function mutate(
  document: Json,
  { at, kind, key, value }: { at: number; kind: string; key: string; value: unknown },
): void {
  const places: [Json, string][] = [];
  const visit = (holder: Json) => {
    for (const [name, inside] of Object.entries(holder)) {
      places.push([holder, name]);
      if (typeof inside === 'object' && inside !== null) visit(inside as Json);
    }
  };
  visit(document);
  const [holder, name] = places[Math.floor(at * places.length)] ?? [document, 'accepts'];
  // A copy each time: a value put in as it is would be mutated itself, into circles and later runs.
  const own = structuredClone(kind === 'repeat' ? holder[name] : value);
  if (kind === 'replace') holder[name] = own;
  else if (kind === 'drop') delete holder[name];
  else if (Array.isArray(holder)) holder.push(own);
  else {
    const added = kind === 'repeat' ? `${name}${key}` : key;
    const property = { value: own, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(holder, added, property);
  }
}
