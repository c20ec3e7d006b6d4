import { describe, expect, it } from '@jest/globals';
import { page, pageQueryOf } from './paging.js';

const pageQuery = pageQueryOf('grt');

describe('pageQueryOf', () => {
  it('asks for 50 from the start when nothing is said', () => {
    expect(pageQuery.parse({})).toEqual({ limit: 50 });
  });

  it.each(['1', '9', '10', '99', '100', '199', '200'])('takes a limit of %s', (limit) => {
    expect(pageQuery.parse({ limit }).limit).toBe(Number(limit));
  });

  it.each(['0', '201', '1000', '-1', '1.5', '1e2', '0x10', ' 5', '05', '', 'all'])(
    'refuses a limit of "%s"',
    (limit) => {
      expect(pageQuery.safeParse({ limit }).success).toBe(false);
    },
  );

  it('takes back the id that a list handed out', () => {
    const cursor = 'grt_01h2xcejqtf2nbrexx3vqjhp41';
    expect(pageQuery.parse({ cursor }).cursor).toBe(cursor);
  });

  it.each([
    '',
    'GRT_1',
    'pay_01h2xcejqtf2nbrexx3vqjhp41',
    "x' OR 1=1",
    'a b',
    'a'.repeat(65),
    '%00',
  ])('refuses the cursor "%s", which no list handed out', (cursor) => {
    expect(pageQuery.safeParse({ cursor }).success).toBe(false);
  });

  it('refuses a parameter that it does not know, or given twice', () => {
    expect(pageQuery.safeParse({ offset: '5' }).success).toBe(false);
    expect(pageQuery.safeParse({ limit: ['1', '2'] }).success).toBe(false);
  });
});

describe('page', () => {
  const all = ['a', 'b', 'c', 'd', 'e'];
  /** Rows that a list's query answers: one row more than asked, after the cursor. */
  const read = (limit: number, cursor: string | null) =>
    page(
      all.filter((row) => cursor === null || row > cursor).slice(0, limit + 1),
      limit,
      (row) => row,
      (row) => row.toUpperCase(),
    );

  it.each([1, 2, 3, 4, 5, 6])('shows every row once, %d at a time, and then ends', (limit) => {
    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const shown = read(limit, cursor);
      expect(shown.items.length).toBeLessThanOrEqual(limit);
      seen.push(...shown.items);
      cursor = shown.nextCursor;
      pages += 1;
    } while (cursor !== null && pages < 10);
    expect(seen).toEqual(['A', 'B', 'C', 'D', 'E']);
    expect(pages).toBe(Math.ceil(all.length / limit));
  });

  it('is empty and last when there is nothing', () => {
    expect(page([], 5, String, String)).toEqual({ items: [], nextCursor: null });
  });
});
