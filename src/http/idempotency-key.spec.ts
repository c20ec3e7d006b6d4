import { describe, expect, it } from '@jest/globals';
import { parseIdempotencyKey } from './idempotency-key.js';

describe('parseIdempotencyKey', () => {
  it.each(['1', 'order-7 page 3', '~!@#$%^&*()_+{}|:"<>?', 'x'.repeat(255)])(
    'takes "%s" as it is',
    (key) => {
      expect(parseIdempotencyKey(key)).toBe(key);
    },
  );

  it.each([
    ['no key', undefined],
    ['an empty one', ''],
    ['256 characters', 'x'.repeat(256)],
    ['a tab', 'a\tb'],
    ['a line break at the end', 'a\n'],
    ['NUL', 'a\u0000'],
    ['DEL', 'a\u007f'],
    ['a letter beyond ASCII', 'caf\u00e9'],
  ])('refuses %s, so that no payment is made that cannot be retried', (_what, key) => {
    expect(() => parseIdempotencyKey(key)).toThrow(
      expect.objectContaining({ code: 'invalid_request', fields: { field: 'Idempotency-Key' } }),
    );
  });
});
