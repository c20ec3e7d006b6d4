import { describe, expect, it } from '@jest/globals';
import { decodePaymentSignatureHeader } from '@x402/core/http';
import { parsePaymentPayload } from '@x402/core/schemas';
import { extractAndValidatePaymentIdentifier } from '@x402/extensions/payment-identifier';
import fc from 'fast-check';
import { newId } from '../ids.js';
import { type Echo, MAX_HEADER_BYTES, shrinking } from './echo.js';
import { exact } from './exact.js';
import { paymentHeader } from './header.js';
import { type Offer, parsePaymentRequired } from './parse.js';
import type { FixedPayment } from './scheme.js';

const ID = 'pay_01jd5v9n6qe8rb3k2m7xw4hzcy';
const WALLET = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const PAYEE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';

// Odd orders and unknown members on purpose: all of it must come back as it was.
const REQUIREMENT = {
  zeta: [3, { b: null, a: 'caf\u00e9 \u20ac \ud83d\ude00' }],
  scheme: 'exact',
  payTo: PAYEE.toLowerCase(),
  amount: '50000',
  network: 'eip155:84532',
  asset: TOKEN.toLowerCase(),
  extra: { version: '2', name: 'USDC', note: { deep: [true] } },
  maxTimeoutSeconds: 60,
  alpha: 1.5,
};
const RESOURCE = { mimeType: 'text/plain', url: 'https://api.example.com/data/7', description: '' };
const EXTENSIONS = { bazaar: { info: {} }, other: [1] };

function payment(changes: Partial<FixedPayment> = {}): FixedPayment {
  return {
    id: ID,
    x402Version: 2,
    chainId: 84_532,
    from: WALLET,
    to: PAYEE,
    value: 50_000n,
    validAfter: 0n,
    validBefore: 1_795_255_260n,
    nonce: `0x${'5a'.repeat(32)}`,
    requirementJson: JSON.stringify(REQUIREMENT),
    resourceJson: JSON.stringify(RESOURCE),
    extensionsJson: JSON.stringify(EXTENSIONS),
    ...changes,
  };
}

const V1_REQUIREMENT = {
  scheme: 'exact',
  network: 'base-sepolia',
  maxAmountRequired: '50000',
  resource: 'https://api.example.com/data/7',
  description: '',
  payTo: PAYEE,
  asset: TOKEN,
  maxTimeoutSeconds: 60,
  extra: { name: 'USDC', version: '2' },
};

function v1Payment(): FixedPayment {
  return payment({
    x402Version: 1,
    requirementJson: JSON.stringify(V1_REQUIREMENT),
    resourceJson: undefined,
    extensionsJson: undefined,
  });
}

const AUTHORIZATION = {
  from: WALLET,
  to: PAYEE,
  value: '50000',
  validAfter: '0',
  validBefore: '1795255260',
  nonce: `0x${'5a'.repeat(32)}`,
};

/** The header of a signed payment by `exact`. */
function header(given: FixedPayment, signature = '0x') {
  return paymentHeader(given, exact.payload(given, signature));
}

/** The header for a 402 that came as this JSON text: parsed, selected and echoed. */
function headerFor(text: string) {
  const { offers, unusable } = parsePaymentRequired(Buffer.from(text, 'utf8').toString('base64'));
  const [offer] = offers;
  if (!offer) throw new Error(JSON.stringify(unusable));
  return header(payment({ requirementJson: offer.json, ...offer.echo }));
}

function textOf({ value }: { value: string }): string {
  return Buffer.from(value, 'base64').toString('utf8');
}

describe('paymentHeader', () => {
  it('gives a v2 seller the header that its own library decodes and accepts', () => {
    const { name, value } = header(payment(), '0xsigned');
    expect(name).toBe('PAYMENT-SIGNATURE');
    const decoded = decodePaymentSignatureHeader(value);
    expect(parsePaymentPayload(decoded).success).toBe(true);
    expect(decoded).toEqual({
      x402Version: 2,
      resource: RESOURCE,
      accepted: REQUIREMENT,
      payload: { signature: '0xsigned', authorization: AUTHORIZATION },
      extensions: EXTENSIONS,
    });
  });

  it('echoes requirement, resource and extensions byte for byte, in the order they came', () => {
    const decoded = decodePaymentSignatureHeader(header(payment(), '0x').value);
    expect(JSON.stringify(decoded.accepted)).toBe(JSON.stringify(REQUIREMENT));
    expect(JSON.stringify(decoded.resource)).toBe(JSON.stringify(RESOURCE));
    expect(JSON.stringify(decoded.extensions)).toBe(JSON.stringify(EXTENSIONS));
  });

  it('echoes a header value to the byte: number spellings, escapes, order and white space', () => {
    const accepted = `{ "scheme":"exact", "extra" : {"2":1,"1":1.0,"fee":1e2,"big":12345678901234567890,
      "tiny":0.10000000000000000001,"neg":-0,"s":"caf\\u00e9\\/\\ud83d\\ude00 \u20ac {[,:\\"]}"},
      "network":"eip155:84532","amount":"50000","asset":"${TOKEN}","payTo":"${PAYEE}",
      "maxTimeoutSeconds":6.0e1 }`;
    const resource = '{"url" :\t"https://api.example.com/data\\/7", "mimeType":"a/b"}';
    const extensions = '{"x":{"rate":1.50, "z":[ ], "a":{}}}';
    const other = accepted.replace('"exact"', '"upto"');
    const text = `{"extensions":${extensions},"accepts": [ ${other},\n${accepted} ] ,"error":"]}","resource":\n${resource} ,"x402Version":2}`;
    const paid = textOf(headerFor(text));
    expect(paid).toContain(`"accepted":${accepted},`);
    expect(paid).toContain(`"resource":${resource},`);
    expect(paid.endsWith(`"extensions":${extensions}}`)).toBe(true);
    expect(JSON.parse(paid)).toMatchObject({
      accepted: JSON.parse(accepted),
      resource: JSON.parse(resource),
      extensions: JSON.parse(extensions),
    });
  });

  it('gives payment-identifier the payment\u2019s id, and changes nothing else of it', () => {
    const declared =
      '{"a":1.0,"payment-identifier":{ "schema":{"info":{"required":1}}, "info":{"required":true, "n":[{}] } ,"z":"}"},"b":{"info":{}}}';
    const text = JSON.stringify({ x402Version: 2, resource: RESOURCE, accepts: [REQUIREMENT] });
    const paid = headerFor(`${text.slice(0, -1)},"extensions":${declared}}`);
    expect(textOf(paid)).toContain(
      `"extensions":${declared.replace('[{}] }', `[{}] ,"id":"${ID}"}`)}`,
    );
    expect(
      extractAndValidatePaymentIdentifier(decodePaymentSignatureHeader(paid.value)),
    ).toMatchObject({ id: ID, validation: { valid: true } });
  });

  it('leaves out the extensions and the resource that the seller did not send', () => {
    const bare = payment({ resourceJson: undefined, extensionsJson: undefined });
    const decoded = decodePaymentSignatureHeader(header(bare, '0x').value);
    expect(Object.keys(decoded)).toEqual(['x402Version', 'accepted', 'payload']);
    expect(parsePaymentPayload(decoded).success).toBe(true);
  });

  it("gives a v1 seller X-PAYMENT with v1's members only, the network by its v1 name", () => {
    const { name, value } = header(v1Payment(), '0xsigned');
    expect(name).toBe('X-PAYMENT');
    const decoded = JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
    expect(parsePaymentPayload(decoded).success).toBe(true);
    expect(decoded).toEqual({
      x402Version: 1,
      scheme: 'exact',
      network: 'base-sepolia',
      payload: { signature: '0xsigned', authorization: AUTHORIZATION },
    });
  });

  it('writes numbers past 2^53 as exact decimal text', () => {
    const value = 2n ** 256n - 1n;
    const validBefore = 2n ** 53n + 1n;
    const paid = header(payment({ value, validBefore }));
    expect(decodePaymentSignatureHeader(paid.value).payload.authorization).toMatchObject({
      value: value.toString(),
      validBefore: '9007199254740993',
    });
  });

  it.each([
    ['v2', payment()],
    ['v1', v1Payment()],
  ])('is padded base64 on one line and the same every time in %s', (_version, given) => {
    const { value } = header(given, '0x');
    expect(value).toMatch(/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
    expect(header(structuredClone(given), '0x').value).toBe(value);
  });

  describe('within what servers take', () => {
    const signature = `0x${'5a'.repeat(65)}`;

    /** The header line of a real payment of an offer, in bytes. */
    function lineOf(offer: Offer, echo: Echo): number {
      const { amount, payTo, json } = offer;
      const fixed = payment({
        id: newId('pay'),
        value: amount,
        to: payTo,
        requirementJson: json,
        ...echo,
      });
      const { name, value } = header(fixed, signature);
      expect(name).toBe('PAYMENT-SIGNATURE');
      return Buffer.byteLength(`${name}: ${value}\r\n`);
    }

    const texts = fc
      .tuple(
        fc.constantFrom('x', '\u20ac', '\ud83d\ude00', '"', '\\', '\n', '/'),
        fc.oneof(fc.nat(40), fc.nat(2_500), fc.nat(7_500)),
      )
      .map(([character, length]) => character.repeat(length / character.length));
    const identifiers = fc.constantFrom<unknown>(
      undefined,
      { info: { required: false } },
      { info: { required: true }, schema: { a: [1] } },
      { supported: true },
    );
    const bodies = fc.record({
      amount: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
      resource: fc.option(
        fc.record(
          { url: texts.map((text) => `https://a/${text}`), description: texts, mimeType: texts },
          { requiredKeys: ['url'] },
        ),
        { nil: undefined },
      ),
      extensions: fc.option(fc.tuple(texts, identifiers), { nil: undefined }),
      pad: fc.oneof(fc.constant(''), texts),
      form: fc.constantFrom('object', 'text', 'spaced text'),
    });

    it('is never longer than was foreseen before anything was reserved', () => {
      const seen = { whole: 0, shrunk: 0, refused: 0, withIdentifier: 0 };
      fc.assert(
        fc.property(bodies, ({ amount, resource, extensions, pad, form }) => {
          const body = {
            x402Version: 2,
            accepts: [{ ...REQUIREMENT, amount: amount.toString(), ...(pad && { pad }) }],
            ...(resource && { resource }),
            ...(extensions && {
              extensions: { a: extensions[0], 'payment-identifier': extensions[1] },
            }),
          };
          const text = JSON.stringify(body, undefined, form === 'spaced text' ? 1 : undefined);
          fc.pre(text.length <= 49_152);
          const [offer] = parsePaymentRequired(form === 'object' ? JSON.parse(text) : text).offers;
          if (!offer) throw new Error('the entry was not usable');
          if (!offer.echo) {
            seen.refused += 1;
            expect(offer.headerBytes).toBeGreaterThan(MAX_HEADER_BYTES);
            return;
          }
          const { extensionsJson } = offer.echo;
          const hasIdentifier = extensionsJson?.includes('"payment-identifier"') ?? false;
          const shortest = [...shrinking(offer.echo, hasIdentifier)].at(-1) ?? offer.echo;
          expect(lineOf(offer, offer.echo)).toBeLessThanOrEqual(MAX_HEADER_BYTES);
          expect(lineOf(offer, shortest)).toBeLessThanOrEqual(offer.headerBytes);
          expect(offer.headerBytes).toBeLessThanOrEqual(MAX_HEADER_BYTES);
          // The estimate is for the longest numbers and the names of all members, and for nothing else.
          expect(offer.headerBytes - lineOf(offer, shortest)).toBeLessThan(64);
          if (hasIdentifier) seen.withIdentifier += 1;
          const isWhole =
            !!offer.echo.resourceJson === !!resource && !!extensionsJson === !!extensions;
          seen[isWhole ? 'whole' : 'shrunk'] += 1;
        }),
        { numRuns: 1_000 },
      );
      for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
    });

    it('is as long in v1 as for any seller, whatever the entry holds', () => {
      const entry = { ...V1_REQUIREMENT, outputSchema: { long: 'x'.repeat(40_000) } };
      const [offer] = parsePaymentRequired({ x402Version: 1, accepts: [entry] }).offers;
      const { value } = header({ ...v1Payment(), requirementJson: offer?.json ?? '' }, signature);
      expect(value.length).toBeLessThan(1_000);
    });
  });
});
