import { describe, expect, it } from '@jest/globals';
import { decodePaymentSignatureHeader } from '@x402/core/http';
import { parsePaymentPayload } from '@x402/core/schemas';
import { extractAndValidatePaymentIdentifier } from '@x402/extensions/payment-identifier';
import { exact } from './exact.js';
import { paymentHeader } from './header.js';
import { parsePaymentRequired } from './parse.js';
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
  const terms = parsePaymentRequired(Buffer.from(text, 'utf8').toString('base64'));
  const [offer] = terms.offers;
  if (!offer) throw new Error(JSON.stringify(terms.unusable));
  const { resourceJson, extensionsJson } = terms;
  return header(payment({ requirementJson: offer.json, resourceJson, extensionsJson }));
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
});
