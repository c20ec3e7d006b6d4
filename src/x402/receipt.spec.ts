import { describe, expect, it } from '@jest/globals';
import { encodePaymentResponseHeader } from '@x402/core/http';
import { Problem } from '../domain/problem.js';
import { readReceipt } from './receipt.js';

const RECEIPT = {
  success: true,
  transaction: `0x${'ab'.repeat(32)}`,
  network: 'eip155:84532' as const,
  payer: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
};

function header(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return Buffer.from(text, 'utf8').toString('base64');
}

describe('readReceipt', () => {
  it('reads what the published library writes, of a success and of a failure', () => {
    const written = encodePaymentResponseHeader(RECEIPT);
    expect(readReceipt(written)).toEqual({
      value: written,
      response: RECEIPT,
      transaction: RECEIPT.transaction,
    });
    const failed = { ...RECEIPT, success: false, transaction: '', errorReason: 'new_in_2027' };
    expect(readReceipt(encodePaymentResponseHeader(failed))).toMatchObject({
      response: failed,
      transaction: undefined,
    });
    expect(Object.isFrozen(readReceipt(header(RECEIPT)).response)).toBe(true);
  });

  it('keeps what it does not know, and takes null for absent', () => {
    const more = { ...RECEIPT, payer: null, amount: '1', extensions: { x: [1] } };
    expect(readReceipt(header(more)).response).toEqual(more);
  });

  it.each(['PAYMENT-RESPONSE: ', 'X-Payment-Response:', ' payment-response:\t'])(
    'reads the whole header line, named "%s", and keeps its value',
    (name) => {
      const value = header(RECEIPT);
      expect(readReceipt(`${name}${value}\n`)).toEqual(readReceipt(value));
    },
  );

  it('reads JSON text, and keeps it as it came', () => {
    const value = JSON.stringify(RECEIPT, null, 2);
    expect(readReceipt(value)).toEqual({
      value,
      response: RECEIPT,
      transaction: RECEIPT.transaction,
    });
  });

  it('reads a transaction hash alone, which says nothing of success', () => {
    const value = RECEIPT.transaction;
    expect(readReceipt(`${value} `)).toEqual({ value, response: undefined, transaction: value });
  });

  it('reads 12 KiB in base64, or 16 KiB of JSON text, and not a byte more', () => {
    const withoutMore = JSON.stringify({ ...RECEIPT, more: '' }).length;
    const sized = (size: number) =>
      JSON.stringify({ ...RECEIPT, more: 'x'.repeat(size - withoutMore) });
    expect(readReceipt(header(sized(12_288))).value).toHaveLength(16_384);
    expect(readReceipt(sized(16_384)).value).toHaveLength(16_384);
    expect(() => readReceipt(header(sized(12_289)))).toThrow(Problem);
    expect(() => readReceipt(sized(16_385))).toThrow(Problem);
  });

  it.each([
    ['nothing', ''],
    ['no base64', 'success=true'],
    ['a header of another name', `PAYMENT-REQUIRED: ${header(RECEIPT)}`],
    ['a header line without a value', 'PAYMENT-RESPONSE:'],
    ['a header named twice', `PAYMENT-RESPONSE: PAYMENT-RESPONSE: ${header(RECEIPT)}`],
    ['half a JSON text', '{"success":true'],
    ['a JSON text without success', '{"transaction":""}'],
    ['a JSON text with a member named twice', '{"success":true,"success":false}'],
    ['a JSON text with __proto__', '{"success":true,"__proto__":{}}'],
    ['a JSON text with NUL', '{"success":true,"x":"\\u0000"}'],
    ['a hash that is too short', `0x${'ab'.repeat(31)}`],
    ['a hash that is too long', `0x${'ab'.repeat(33)}`],
    ['an escape sequence as transaction', header({ ...RECEIPT, transaction: '\u001b[2J' })],
    ['a network that turns the text around', header({ ...RECEIPT, network: '\u202e' })],
    ['base64 of no JSON', header('hello')],
    ['base64 of bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('base64')],
    ['a list', header([RECEIPT])],
    ['null', header('null')],
    ['no success', header({ transaction: '' })],
    ['success in text', header({ ...RECEIPT, success: 'true' })],
    ['a transaction that is a number', header({ ...RECEIPT, transaction: 1 })],
    ['a transaction without end', header({ ...RECEIPT, transaction: 'x'.repeat(257) })],
    [
      'a length that is no number',
      header({ ...RECEIPT, payer: { length: { valueOf: 1, toString: 1 } } }),
    ],
    ['a member named twice', header('{"success":true,"success":false}')],
    ['__proto__', header('{"success":true,"__proto__":{"success":false}}')],
    ['constructor', header({ success: true, constructor: 1 })],
    ['NUL', header({ ...RECEIPT, payer: '\u0000' })],
    ['a number that no JSON can hold', header('{"success":true,"x":1e400}')],
    ['nine levels', header(`{"success":true,"a":${'['.repeat(8)}${']'.repeat(8)}}`)],
    ['more than 12 KiB', header({ ...RECEIPT, x: 'x'.repeat(12_288) })],
    ['100 MB', 'A'.repeat(1e8)],
  ])('refuses %s', (_what, value) => {
    let refusal: unknown;
    try {
      readReceipt(value);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(Problem);
    expect(refusal).toMatchObject({
      code: 'invalid_request',
      fields: { field: 'paymentResponse' },
    });
    expect((refusal as Problem).detail.length).toBeLessThan(300);
  });
});
