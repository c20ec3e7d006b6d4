import { describe, expect, it } from '@jest/globals';
import { KnownTerms } from './known-terms.js';
import { parsePaymentRequired } from './parse.js';

const body = (amount: string, description = '') => ({
  x402Version: 2,
  resource: { url: 'https://api.example.com/data/7', description, mimeType: 'text/plain' },
  accepts: [
    {
      scheme: 'exact',
      network: 'eip155:84532',
      amount,
      asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
      payTo: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
      maxTimeoutSeconds: 60,
      extra: { name: 'USDC', version: '2' },
    },
  ],
});

describe('KnownTerms', () => {
  it('gives the terms of the same text again, and of another text its own', () => {
    const known = new KnownTerms();
    const first = known.parse(body('50000'));
    expect(first).toEqual(parsePaymentRequired(body('50000')));
    expect(known.parse(body('50000'))).toBe(first);
    expect(known.parse(body('50001')).offers[0]?.amount).toBe(50_001n);
  });

  it('never takes an object for the header value of the same content, or the reverse', () => {
    const known = new KnownTerms();
    const text = `${JSON.stringify(body('50000'))} `;
    const header = Buffer.from(text).toString('base64');
    const spaced = JSON.stringify(body('50000')).replace('"50000"', '"50000" ');
    known.parse(body('50000'));
    expect(known.parse(header)).toEqual(parsePaymentRequired(header));
    expect(known.parse(Buffer.from(spaced).toString('base64')).offers[0]?.json).toContain(
      '"50000" ',
    );
  });

  it('never takes 1e400 for null: a usable entry cannot be made unusable for others', () => {
    const text = JSON.stringify(body('50000')).replace('"amount"', '"note":null,"amount"');
    const honest = JSON.parse(text);
    const poisoned = JSON.parse(text.replace('null', '1e400'));
    expect(JSON.stringify(poisoned)).toBe(JSON.stringify(honest));
    const known = new KnownTerms();
    expect(known.parse(poisoned).offers).toHaveLength(0);
    const terms = known.parse(honest);
    expect(terms.offers).toHaveLength(1);
    expect(known.parse(poisoned).offers).toHaveLength(0);
    expect(known.parse(honest)).toBe(terms);
  });

  it('reads every form of a 402, and remembers each', () => {
    const known = new KnownTerms();
    const object = body('50000');
    const text = JSON.stringify(object);
    const forms = [object, text, { structuredContent: object }, { paymentRequired: text }];
    for (const form of forms) {
      const terms = known.parse(form);
      expect(terms).toEqual(parsePaymentRequired(form));
      expect(known.parse(structuredClone(form))).toBe(terms);
    }
  });

  it('refuses what cannot be parsed every time', () => {
    const known = new KnownTerms();
    for (const given of [undefined, null, 7, {}, 'x', 'x', body('1e3'), body('1e3')]) {
      const reparsed = () => parsePaymentRequired(given);
      const outcome = (parse: () => unknown) => {
        try {
          return parse();
        } catch (error) {
          return (error as Error).message;
        }
      };
      expect(outcome(() => known.parse(given))).toEqual(outcome(reparsed));
    }
  });

  it('forgets the oldest when it knows too much', () => {
    const known = new KnownTerms();
    const first = known.parse(body('1', 'x'.repeat(40_000)));
    for (let amount = 2; amount <= 110; amount += 1) {
      known.parse(body(String(amount), 'x'.repeat(40_000)));
    }
    expect(known.parse(body('1', 'x'.repeat(40_000)))).not.toBe(first);
    const last = known.parse(body('110', 'x'.repeat(40_000)));
    expect(known.parse(body('110', 'x'.repeat(40_000)))).toBe(last);
  });
});
