import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { unwrapTerms } from './unwrap.js';

const MAX_CHARACTERS = 10_000;

/** Spelled as no JSON.stringify would, to tell the seller's bytes from written ones. */
const TERMS = '{ "x402Version":2,"accepts" : [ {"n":1.0, "s":"\\u0061\\/"} ] }';
const VALUE = JSON.parse(TERMS);

function unwrap(input: unknown) {
  return unwrapTerms(input, MAX_CHARACTERS, (what) => new Error(what));
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

const quoted = JSON.stringify(TERMS);
const content = (...texts: string[]) =>
  `"content":[${texts.map((text) => `{"type":"text","text":${JSON.stringify(text)}}`).join(',')}]`;

/** JSON texts around some terms. */
const WRAPPERS: Record<string, (terms: string) => string> = {
  paymentRequired: (terms) => `{"status":402,\n"paymentRequired" : ${terms} }`,
  'structuredContent of an MCP result': (terms) =>
    `{"isError":true, "structuredContent":${terms},${content('Payment required')}}`,
  'result of a JSON-RPC response': (terms) => `{"jsonrpc":"2.0","id":1,"result":${terms}}`,
  'error.data of a JSON-RPC error': (terms) =>
    `{"jsonrpc":"2.0","id":1,"error":{"code":402,"message":"{","data": ${terms}}}`,
  'a text of content': (terms) => `{"isError":true,${content('Pay, please', terms)}}`,
};
const wrappers = Object.entries(WRAPPERS);

describe('unwrapTerms', () => {
  it.each([
    ['JSON text', TERMS],
    ['JSON text between white space', `\r\n ${TERMS} \n`],
    ['base64', base64(TERMS)],
    ['base64 without padding', base64(TERMS).replace(/=+$/, '')],
    ['base64url', Buffer.from(TERMS).toString('base64url')],
    ['base64 over several lines', base64(TERMS).replace(/.{20}/g, '$&\r\n  ')],
    ['a header line', `PAYMENT-REQUIRED: ${base64(TERMS)}\r\n`],
    ['a header line in small letters', `payment-required:${base64(TERMS)}`],
    ['a header line with X-', ` X-Payment-Required :  ${base64(TERMS)}`],
    ['a header line of JSON', `PAYMENT-REQUIRED: ${TERMS}`],
    ['a JSON string of JSON', quoted],
    ['a JSON string of a JSON string', JSON.stringify(quoted)],
    ['a JSON string of base64', JSON.stringify(base64(TERMS))],
    ['base64 of a JSON string', base64(quoted)],
  ])("keeps the seller's bytes of %s", (_what, input) => {
    const { value, text } = unwrap(input);
    expect(value).toEqual(VALUE);
    expect(text?.trim()).toBe(TERMS);
  });

  describe.each(wrappers)('in %s', (_name, wrap) => {
    it('keeps the bytes of terms that came in a text', () => {
      const wrapped = wrap(TERMS);
      for (const input of [wrapped, base64(wrapped), JSON.stringify(wrapped)]) {
        expect(unwrap(input)).toEqual({ value: VALUE, text: TERMS });
      }
    });

    it('finds terms in an object, which has no bytes to keep', () => {
      const { value, text } = unwrap(JSON.parse(wrap(JSON.stringify(VALUE))));
      expect(value).toEqual(VALUE);
      // Only the text of a content item is a text inside an object.
      expect(text ?? JSON.stringify(VALUE)).toBe(JSON.stringify(VALUE));
    });

    it('keeps the bytes of a text inside an object', () => {
      const inner = _name === 'a text of content' ? TERMS : quoted;
      expect(unwrap(JSON.parse(wrap(inner)))).toEqual({ value: VALUE, text: TERMS });
      const encoded = _name === 'a text of content' ? base64(TERMS) : `"${base64(TERMS)}"`;
      expect(unwrap(JSON.parse(wrap(encoded)))).toEqual({ value: VALUE, text: TERMS });
    });

    it.each(wrappers)('in %s keeps the bytes too', (_inner, wrapInner) => {
      const wrapped = wrap(wrapInner(TERMS));
      for (const input of [wrapped, base64(wrapped), `PAYMENT-REQUIRED: ${base64(wrapped)}`]) {
        expect(unwrap(input)).toEqual({ value: VALUE, text: TERMS });
      }
    });
  });

  it("keeps the seller's bytes in any six wrappers, one inside the other", () => {
    const names = fc.constantFrom(...wrappers.map(([name]) => name));
    fc.assert(
      fc.property(fc.array(names, { maxLength: 6 }), (chosen) => {
        // A content item costs two: itself and its text.
        const cost = chosen.reduce((sum, name) => sum + (name.includes('content') ? 2 : 1), 0);
        fc.pre(cost <= 6);
        const wrapped = chosen.reduce((terms, name) => WRAPPERS[name]?.(terms) ?? terms, TERMS);
        expect(unwrap(wrapped)).toEqual({ value: VALUE, text: TERMS });
      }),
      { numRuns: 300 },
    );
  });

  it('takes no more than six wrappers off', () => {
    const wrap = (times: number) => {
      let wrapped = TERMS;
      for (let time = 0; time < times; time += 1) wrapped = `{"result":${wrapped}}`;
      return wrapped;
    };
    expect(unwrap(wrap(6)).value).toEqual(VALUE);
    expect(unwrap(wrap(7)).value).toEqual(JSON.parse(wrap(7)));
    expect(unwrap(JSON.parse(wrap(7))).value).toEqual(JSON.parse(wrap(7)));
    expect(unwrap(wrap(800)).text).toBe(wrap(800));
  });

  it('looks at 16 items of content', () => {
    const items = (before: number) => `{${content(...Array(before).fill('no terms'), TERMS)}}`;
    expect(unwrap(items(15)).value).toEqual(VALUE);
    expect(unwrap(items(16)).value).toEqual(JSON.parse(items(16)));
  });

  it('takes the first place that has terms, and passes over what is no 402', () => {
    const other = '{"x402Version":1,"accepts":[]}';
    const empty = '"structuredContent":{"result":{}},"result":[],"error":null';
    expect(unwrap(`{${empty},${content('no', '{', '[]', 'null', TERMS, other)}}`).text).toBe(TERMS);
    expect(unwrap(`{"result":${other},"structuredContent":${TERMS}}`).text).toBe(TERMS);
    expect(
      unwrap(`{"content":${TERMS},"error":{"data":"x"},"paymentRequired":${TERMS}}`).text,
    ).toBe(TERMS);
  });

  it('does not look for terms inside terms', () => {
    const text = `{"accepts":[],"paymentRequired":${TERMS}}`;
    expect(unwrap(text)).toEqual({ value: JSON.parse(text), text });
  });

  it('takes the last of two members of one name, as JSON.parse does', () => {
    const last = `{"result":{"x402Version":1},"r\\u0065sult":${TERMS},"other":{"result":1}}`;
    expect(unwrap(last)).toEqual({ value: VALUE, text: TERMS });
  });

  it('finds no terms in what an object inherits', () => {
    const heir = Object.create({ x402Version: 2, accepts: [], paymentRequired: VALUE });
    expect(unwrap(heir)).toEqual({ value: heir, text: undefined });
    const named = JSON.parse(`{"__proto__":${TERMS}}`);
    expect(unwrap(named).value).toBe(named);
  });

  it.each<unknown>([null, undefined, 7, true, [], [VALUE], {}, { error: 'x' }, { content: 'x' }])(
    'gives %j back, which holds no terms',
    (input) => {
      expect(unwrap(input)).toEqual({ value: input, text: undefined });
    },
  );

  it.each([
    ['nothing', '', 'is empty; the terms are in the PAYMENT-REQUIRED header'],
    ['white space', ' \n', 'is empty; the terms are in the PAYMENT-REQUIRED header'],
    ["a header's name alone", 'PAYMENT-REQUIRED:', 'is empty'],
    ['half a JSON', TERMS.slice(0, -1), 'looks like JSON, but is not valid JSON'],
    ['JSON and more', `${TERMS}.`, 'looks like JSON, but is not valid JSON'],
    ['a sentence', 'Payment required, please pay.', 'is neither JSON nor base64'],
    ['another header', `X-PAYMENT: ${base64(TERMS)}`, 'is neither JSON nor base64'],
    ['base64 of text', base64('Payment required'), 'is base64, but not of JSON'],
    ['base64 of bytes', Buffer.from([0x7b, 0xff]).toString('base64'), 'but not of UTF-8'],
    ['base64 with a byte order mark', base64(`\ufeff${TERMS}`), 'is base64, but not of JSON'],
    ['long JSON', `"${'x'.repeat(MAX_CHARACTERS)}"`, 'is longer than 10000 characters'],
    ['long base64', 'A'.repeat(13_340), 'is longer than 10000 characters'],
    ['100 MB', 'A'.repeat(1e8), 'is longer than 10000 characters'],
  ])('refuses %s', (_what, input, why) => {
    expect(() => unwrap(input)).toThrow(why);
  });

  it('reads a text of exactly its bound', () => {
    const text = TERMS.padEnd(MAX_CHARACTERS);
    const padded = TERMS.replace('{ ', `{${' '.repeat(MAX_CHARACTERS - TERMS.length + 1)}`);
    expect(padded).toHaveLength(MAX_CHARACTERS);
    for (const input of [text, padded, base64(padded), `PAYMENT-REQUIRED: ${base64(padded)}`]) {
      expect(unwrap(input).value).toEqual(VALUE);
    }
  });

  it('passes over a wrapped text that cannot be read', () => {
    const input = { paymentRequired: '{', result: 'x'.repeat(100_000), structuredContent: VALUE };
    expect(unwrap(input)).toEqual({ value: VALUE, text: undefined });
  });
});
