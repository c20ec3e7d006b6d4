import { describe, expect, it } from '@jest/globals';
import { boundOf, fullIn, tooMany } from './bounds.js';

const BOUND = { grant: 6, root: 8, treasury: 20 };
const chain = (...counts: number[]) =>
  counts.map((count, depth) => ({ id: `grt_${depth}`, depth, count }));
const countOf = (grant: { count: number }) => grant.count;

describe('A bound', () => {
  it('is at most half of the root’s below a root', () => {
    expect(boundOf(BOUND, 0)).toBe(8);
    expect([1, 2, 7].map((depth) => boundOf(BOUND, depth))).toEqual([4, 4, 4]);
    expect(boundOf({ grant: 3, root: 8, treasury: 20 }, 1)).toBe(3);
    expect(boundOf({ grant: 9, root: 9, treasury: 20 }, 1)).toBe(4);
  });

  it('is met by the topmost grant that is full, and then by the treasury', () => {
    expect(fullIn(BOUND, chain(7, 3, 3), countOf, 19)).toBeUndefined();
    expect(fullIn(BOUND, chain(8, 4), countOf, 20)).toEqual({ grantId: 'grt_0', limit: 8 });
    expect(fullIn(BOUND, chain(7, 4, 4), countOf, 20)).toEqual({ grantId: 'grt_1', limit: 4 });
    expect(fullIn(BOUND, chain(7, 3, 4), countOf, 20)).toEqual({ grantId: 'grt_2', limit: 4 });
    expect(fullIn(BOUND, chain(7, 3, 3), countOf, 20)).toEqual({ grantId: undefined, limit: 20 });
  });

  it('is told to the holder of the grant that is full, and to nobody below', () => {
    const full = { grantId: 'grt_1', limit: 4 };
    const fields = (own: string) => tooMany(full, 'things', own, 7).fields;
    expect(fields('grt_1')).toEqual({
      grantId: 'grt_1',
      limit: '4',
      remaining: '0',
      retryAfterSeconds: 7,
    });
    expect(fields('grt_2')).toEqual({ grantId: 'grt_1', retryAfterSeconds: 7 });
    expect(tooMany({ grantId: undefined, limit: 20 }, 'things', 'grt_1', 7).fields).toEqual({
      retryAfterSeconds: 7,
    });
  });
});
