import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chainHash, EMPTY_LOG_HASH, leafHash } from './sealer.js';

function sha256(...parts: (Buffer | string)[]): Buffer {
  const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part));
  return createHash('sha256').update(Buffer.concat(bytes)).digest();
}

function logHash(records: readonly string[]): string {
  return records.reduce(chainHash, EMPTY_LOG_HASH);
}

describe('leafHash', () => {
  it('is the hash of an empty leaf that RFC 6962 and RFC 9162 implementations agree on', () => {
    expect(leafHash('').toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
  });

  it('hashes the byte 0x00 and the UTF-8 of the record', () => {
    expect(leafHash('\u20ac')).toEqual(sha256('00', 'e282ac'));
    expect(leafHash('{"a":1}')).toEqual(sha256('00', Buffer.from('{"a":1}', 'utf8')));
  });
});

describe('chainHash', () => {
  it('hashes the byte 0x01, the hash before and the leaf, as raw bytes', () => {
    const leaf = sha256('00', Buffer.from('record', 'utf8'));
    const first = sha256('01', '00'.repeat(32), leaf).toString('hex');
    expect(chainHash(EMPTY_LOG_HASH, 'record')).toBe(first);
    expect(chainHash(first, 'record')).toBe(sha256('01', first, leaf).toString('hex'));
  });

  it('never changes between versions, or logs of old payments could not be checked', () => {
    expect(logHash(['{"n":0}', '{"n":1}'])).toBe(
      '67e72260d052a35f9f98fda4be68f122d7891a7a757a919a2d0549b2889e47d0',
    );
  });

  it('shows every change, drop and swap of an earlier record in the last hash', () => {
    const logs = fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(logs, fc.nat(), fc.string(), (records, at, text) => {
        const index = at % records.length;
        const other = (index + 1) % records.length;
        const whole = logHash(records);
        expect(logHash([...records])).toBe(whole);
        expect(logHash(records.toSpliced(index, 1))).not.toBe(whole);
        expect(logHash(records.toSpliced(index, 1, `${records[index]}.`))).not.toBe(whole);
        expect(logHash(records.toSpliced(index, 0, text))).not.toBe(whole);
        const swapped = records.with(index, records[other] ?? '').with(other, records[index] ?? '');
        expect(logHash(swapped)).not.toBe(whole);
      }),
    );
  });
});
