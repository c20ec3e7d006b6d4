import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { canonicalJson, sha256Hex } from './canonical.js';
import { type DecisionRecord, nonceOf } from './payment.js';

// docs/payment-nonce.md promises that a third party can recompute every nonce without our code. This is
// that third party: nothing but the tests "by our code" uses any of it.

interface Vector {
  readonly name: string;
  /** The spelling of a seller. */
  readonly requirement: string;
  readonly requirementHash: string;
  readonly record: DecisionRecord;
  readonly canonical: string;
  readonly nonce: string;
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../../test/vectors/payment-nonce.json', import.meta.url), 'utf8'),
);

/** RFC 8785: ECMAScript's own spelling of strings and numbers, members sorted by UTF-16 code units. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

describe.each(vectors)('the vector "$name"', (vector) => {
  it('holds by the documented rule alone', () => {
    expect(hash(canonical(JSON.parse(vector.requirement)))).toBe(vector.requirementHash);
    expect(vector.record.requirementHash).toBe(vector.requirementHash);
    expect(canonical(vector.record)).toBe(vector.canonical);
    expect(`0x${hash(vector.canonical)}`).toBe(vector.nonce);
  });

  it('holds by our code', () => {
    expect(sha256Hex(canonicalJson(JSON.parse(vector.requirement)))).toBe(vector.requirementHash);
    expect(nonceOf(vector.record)).toEqual({ json: vector.canonical, nonce: vector.nonce });
  });
});
