import { Problem } from '../domain/problem.js';

/**
 * Checks an `Idempotency-Key` header.
 *
 * @returns the key.
 * @throws Problem `invalid_request` unless it is 1 to 255 visible ASCII characters or spaces.
 */
export function parseIdempotencyKey(value: string | undefined): string {
  if (value === undefined || !/^[\x20-\x7e]{1,255}$/.test(value)) {
    throw new Problem(
      'invalid_request',
      'the Idempotency-Key header is required: 1 to 255 visible ASCII characters, one key a payment intent',
      { field: 'Idempotency-Key' },
    );
  }
  return value;
}
