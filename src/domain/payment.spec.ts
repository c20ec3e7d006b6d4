import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, sha256Hex } from './canonical.js';
import { type DecisionRecord, nonceOf } from './payment.js';

describe('canonicalJson', () => {
  it('writes the sample of RFC 8785, section 3.2.2, as section 3.2.3 shows it', () => {
    const sample = JSON.parse(String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`);
    expect(canonicalJson(sample)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('sorts members by UTF-16 code units, as RFC 8785 section 3.2.3 does', () => {
    const members = JSON.parse(String.raw`{
      "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }`);
    expect(Object.values(JSON.parse(canonicalJson(members)) as object)).toHaveLength(7);
    const order = ['Carriage Return', 'One', 'Control', 'Latin Small', 'Euro', 'Emoji', 'Hebrew'];
    const places = order.map((value) => canonicalJson(members).indexOf(value));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
  });

  it.each([
    [0, '0'],
    [-0, '0'],
    [5e-324, '5e-324'],
    [-1.7976931348623157e308, '-1.7976931348623157e+308'],
    [9007199254740992, '9007199254740992'],
    [295147905179352830000, '295147905179352830000'],
    [9.999999999999997e22, '9.999999999999997e+22'],
    [1e23, '1e+23'],
    [0.000001, '0.000001'],
    [333333333.3333332, '333333333.3333332'],
    [-0.0000033333333333333333, '-0.0000033333333333333333'],
    [JSON.parse('1424953923781206.25'), '1424953923781206.2'],
  ])('writes the number %p of RFC 8785, appendix B', (number, text) => {
    expect(canonicalJson(number)).toBe(text);
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [undefined], [() => 1]])(
    'refuses %p, which JSON cannot hold',
    (value) => {
      expect(() => canonicalJson(value)).toThrow();
    },
  );

  it('writes the same bytes whatever order the members came in, and they read back the same', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (members) => {
        const reversed = Object.fromEntries(Object.entries(members).reverse());
        const text = canonicalJson(members);
        expect(canonicalJson(reversed)).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(members)));
      }),
    );
  });
});

describe('sha256Hex', () => {
  it('hashes as FIPS 180-2 does', () => {
    expect(sha256Hex('abc')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('hashes UTF-8 bytes, not UTF-16 units', () => {
    expect(sha256Hex('€')).toBe(
      createHash('sha256')
        .update(Buffer.from([0xe2, 0x82, 0xac]))
        .digest('hex'),
    );
  });
});

describe('nonceOf', () => {
  // Members on purpose in another order than the canonical one.
  const record: DecisionRecord = {
    version: 'bursar.decision.v1',
    paymentId: 'pay_01h2xcejqtf2nbrexx3vqjhp41',
    treasuryId: 'trs_01h2xcejqtf2nbrexx3vqjhp41',
    grants: ['grt_01h2xcejqtf2nbrexx3vqjhp41', 'grt_01h2xcejqtf2nbrexx3vqjhp42'],
    request: { method: 'GET', url: 'https://api.example.com/data/7' },
    x402Version: 2,
    requirementHash: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    network: 'eip155:84532',
    asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
    from: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
    to: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
    value: '50000',
    validAfter: '0',
    validBefore: '1795255260',
    decidedAt: '2026-11-21T10:00:00.000Z',
  };
  const json =
    '{"asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","decidedAt":"2026-11-21T10:00:00.000Z",' +
    '"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","grants":["grt_01h2xcejqtf2nbrexx3vqjhp41",' +
    '"grt_01h2xcejqtf2nbrexx3vqjhp42"],"network":"eip155:84532","paymentId":"pay_01h2xcejqtf2nbrexx3vqjhp41",' +
    '"request":{"method":"GET","url":"https://api.example.com/data/7"},"requirementHash":' +
    '"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",' +
    '"to":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","treasuryId":"trs_01h2xcejqtf2nbrexx3vqjhp41",' +
    '"validAfter":"0","validBefore":"1795255260","value":"50000","version":"bursar.decision.v1","x402Version":2}';

  it('is the SHA-256 of the canonical record, so that a third party recomputes it from the log', () => {
    expect(nonceOf(record)).toEqual({
      json,
      nonce: `0x${createHash('sha256').update(json, 'utf8').digest('hex')}`,
    });
  });

  it('never changes between versions, or logs of old payments could not be checked', () => {
    expect(nonceOf(record).nonce).toBe(
      '0x5329dff27613f8e631eb07933f7e31d46e3eab6fa18185c798534d4f6bf1d2a7',
    );
  });

  it.each(Object.keys(record) as (keyof DecisionRecord)[])(
    'is another one when %s is another, so that no two decisions share a nonce',
    (member) => {
      const changed = {
        ...record,
        [member]: typeof record[member] === 'number' ? 1 : `${String(record[member])}0`,
      } as DecisionRecord;
      expect(nonceOf(changed).nonce).not.toBe(nonceOf(record).nonce);
    },
  );
});
