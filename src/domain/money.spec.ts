import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  CURRENCY_CODE,
  currencyOf,
  formatAmount,
  MAX_ATOMIC,
  MAX_DECIMALS,
  parseAmount,
  parseAtomic,
  registerCurrencies,
} from './money.js';
import { Problem } from './problem.js';

const USDC = currencyOf('USDC');

/** Every bigint below 2^256, small ones as likely as huge ones. */
const atomics = fc.oneof(
  fc.bigInt({ min: 0n, max: 10_000_000n }),
  fc.bigInt({ min: 0n, max: MAX_ATOMIC }),
);

function refusalOf(text: string): Problem {
  try {
    parseAmount(text, USDC, 'budget');
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error(`"${text}" was read as an amount`);
}

describe('currencyOf', () => {
  it('finds USDC with its six decimals', () => {
    expect(USDC).toEqual({ code: 'USDC', decimals: 6 });
  });

  it.each(['usdc', 'EUR', '', '__proto__', 'constructor', 'toString'])(
    'refuses the unknown currency "%s" and names the ones there are',
    (code) => {
      expect(() => currencyOf(code)).toThrow(
        expect.objectContaining({
          code: 'invalid_request',
          fields: { field: 'currency' },
          detail: expect.stringContaining('USDC'),
        }),
      );
    },
  );

  it('lets nobody change a currency at run time', () => {
    expect(Object.isFrozen(USDC)).toBe(true);
    const given = { code: 'FROZEN', decimals: 6 };
    registerCurrencies([given]);
    given.decimals = 18;
    expect(currencyOf('FROZEN')).toEqual({ code: 'FROZEN', decimals: 6 });
    expect(Object.isFrozen(currencyOf('FROZEN'))).toBe(true);
  });
});

describe('registerCurrencies', () => {
  it('makes a currency known under exactly its code, as often as it is called', () => {
    expect(() => currencyOf('ONLYHERE')).toThrow('currency "ONLYHERE" is not known');
    registerCurrencies([{ code: 'ONLYHERE', decimals: 18 }]);
    registerCurrencies([{ code: 'ONLYHERE', decimals: 18 }]);
    expect(currencyOf('ONLYHERE')).toEqual({ code: 'ONLYHERE', decimals: 18 });
    expect(() => currencyOf('onlyhere')).toThrow(/use one of: .*\bONLYHERE\b/);
  });

  it('never gives a known currency other decimals', () => {
    expect(() => registerCurrencies([{ code: 'USDC', decimals: 18 }])).toThrow(
      'currency USDC has 6 decimals in this process and cannot have 18',
    );
    expect(currencyOf('USDC').decimals).toBe(6);
  });
});

describe('CURRENCY_CODE', () => {
  it.each(['USDC', 'EURC', 'USDC.e', 'USDT0', 'A', 'x'.repeat(16)])('takes "%s"', (code) => {
    expect(CURRENCY_CODE.test(code)).toBe(true);
  });

  it.each(['', 'x'.repeat(17), 'USD T', 'USD₮0', 'USD-C', '__proto__', 'USDC\n'])(
    'refuses "%s"',
    (code) => expect(CURRENCY_CODE.test(code)).toBe(false),
  );
});

describe('parseAmount', () => {
  it.each([
    ['0', 0n],
    ['0.0', 0n],
    ['0.000001', 1n],
    ['1', 1_000_000n],
    ['1.2', 1_200_000n],
    ['1.25', 1_250_000n],
    ['25.00', 25_000_000n],
    ['0.100000', 100_000n],
    // 2^53 + 1, where a JS number would silently lose one.
    ['9007199254740993', 9_007_199_254_740_993_000_000n],
    ['9007199254.740993', 9_007_199_254_740_993n],
  ])('reads "%s" exactly', (text, atomic) => {
    expect(parseAmount(text, USDC, 'budget')).toBe(atomic);
  });

  it.each([
    ['1e3', 'an exponent'],
    ['1E3', 'an exponent'],
    ['0x10', 'hexadecimal'],
    ['0b1', 'binary'],
    ['-0', 'a sign'],
    ['-1', 'a sign'],
    ['+1', 'a sign'],
    [' 1', 'a leading space'],
    ['1 ', 'a trailing space'],
    ['1\n', 'a trailing line break'],
    ['', 'nothing'],
    ['.', 'a point alone'],
    ['.5', 'no whole part'],
    ['1.', 'no fraction after the point'],
    ['01', 'a leading zero'],
    ['00.1', 'a leading zero'],
    ['1,5', 'a comma'],
    ['1_000', 'a separator'],
    ['1.2.3', 'two points'],
    ['NaN', 'a word'],
    ['Infinity', 'a word'],
    ['\u0661', 'an Arabic-Indic digit'],
    ['\uff11', 'a full-width digit'],
  ])('refuses "%s": %s', (text) => {
    expect(refusalOf(text)).toMatchObject({
      code: 'invalid_request',
      fields: { field: 'budget' },
      detail: expect.stringContaining('plain decimal'),
    });
  });

  it.each(['1.0000000', '0.1234567', '1.0000000000', '0.1234567891'])(
    'refuses the decimals of "%s" rather than round them',
    (text) => {
      const decimals = text.length - text.indexOf('.') - 1;
      expect(refusalOf(text)).toMatchObject({
        code: 'invalid_request',
        detail: `budget has ${decimals} decimals; USDC has 6`,
      });
    },
  );

  it('reads and writes 18 decimals exactly, from one atomic unit to 2^256 - 1', () => {
    const currency = { code: 'ONLYHERE', decimals: 18 };
    for (const [text, atomic] of [
      ['0.000000000000000001', 1n],
      ['0.01', 10_000_000_000_000_000n],
      ['1000000.000000000000000001', 1_000_000_000_000_000_000_000_001n],
      [formatAmount(MAX_ATOMIC, currency), MAX_ATOMIC],
    ] as const) {
      expect(parseAmount(text, currency, 'budget')).toBe(atomic);
      expect(formatAmount(atomic, currency)).toBe(text);
    }
  });

  it('takes 2^256 - 1 atomic units and refuses one more', () => {
    const largest = formatAmount(MAX_ATOMIC, USDC);
    expect(parseAmount(largest, USDC, 'budget')).toBe(MAX_ATOMIC);
    expect(refusalOf(formatAmount(MAX_ATOMIC + 1n, USDC))).toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining('larger than'),
    });
  });

  it('answers at once to text made to be slow', () => {
    const start = performance.now();
    for (const text of [
      '9'.repeat(100_000),
      `0.${'0'.repeat(100_000)}`,
      `${'0'.repeat(100_000)}x`,
    ]) {
      expect(refusalOf(text).code).toBe('invalid_request');
    }
    expect(performance.now() - start).toBeLessThan(200);
  });
});

describe('formatAmount', () => {
  it.each([
    [0n, '0.00'],
    [1n, '0.000001'],
    [500n, '0.0005'],
    [50_000n, '0.05'],
    [1_000_000n, '1.00'],
    [1_250_000n, '1.25'],
    [25_000_000n, '25.00'],
    [1_234_567n, '1.234567'],
    [-1n, '-0.000001'],
    [-2_500_000n, '-2.50'],
  ])('writes %s atomic units as "%s"', (atomic, text) => {
    expect(formatAmount(atomic, USDC)).toBe(text);
  });

  it('writes a currency without decimals as a whole number', () => {
    expect(formatAmount(12n, { code: 'JPY', decimals: 0 })).toBe('12');
  });

  it('gives back any amount below 2^256 when it is read again', () => {
    fc.assert(
      fc.property(atomics, fc.integer({ min: 6, max: MAX_DECIMALS }), (atomic, decimals) => {
        const currency = { code: 'ANY', decimals };
        expect(parseAmount(formatAmount(atomic, currency), currency, 'budget')).toBe(atomic);
      }),
    );
  });
});

describe('parseAtomic', () => {
  it.each([
    ['0', 0n],
    ['1', 1n],
    ['9007199254740993', 2n ** 53n + 1n],
    [MAX_ATOMIC.toString(), MAX_ATOMIC],
  ])('reads "%s" exactly', (text, atomic) => {
    expect(parseAtomic(text)).toBe(atomic);
  });

  it.each([
    '1e3',
    '0x10',
    '-0',
    '-1',
    '+1',
    ' 1',
    '1 ',
    '1\n',
    '',
    '01',
    '00',
    '1.0',
    '1.5',
    '1_000',
    'NaN',
    '\u0661',
    (2n ** 256n).toString(),
    '9'.repeat(78),
    '1'.repeat(79),
  ])('does not read "%s"', (text) => {
    expect(parseAtomic(text)).toBeUndefined();
  });

  it.each([[1], [1n], [null], [undefined], [['1']], [{ toString: () => '1' }], [true]])(
    'does not read %p, which is no text',
    (value) => {
      expect(parseAtomic(value)).toBeUndefined();
    },
  );

  it('gives back any amount below 2^256, and none of 2^256 or more', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 260n }), (atomic) => {
        expect(parseAtomic(atomic.toString())).toBe(atomic <= MAX_ATOMIC ? atomic : undefined);
      }),
    );
  });
});
