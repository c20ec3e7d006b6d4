import { describe, expect, it } from '@jest/globals';
import { encodePaymentResponseHeader } from '@x402/core/http';
import { Problem } from '../domain/problem.js';
import { parseReceipt } from './receipt.js';

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

describe('parseReceipt', () => {
  it('reads what the published library writes, of a success and of a failure', () => {
    expect(parseReceipt(encodePaymentResponseHeader(RECEIPT))).toEqual(RECEIPT);
    const failed = { ...RECEIPT, success: false, transaction: '', errorReason: 'new_in_2027' };
    expect(parseReceipt(encodePaymentResponseHeader(failed))).toEqual(failed);
    expect(Object.isFrozen(parseReceipt(header(RECEIPT)))).toBe(true);
  });

  it('keeps what it does not know, and takes null for absent', () => {
    const more = { ...RECEIPT, payer: null, amount: '1', extensions: { x: [1] } };
    expect(parseReceipt(header(more))).toEqual(more);
  });

  it.each([
    ['nothing', ''],
    ['no base64', '{"success":true}'],
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
      parseReceipt(value);
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
