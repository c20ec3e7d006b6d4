import { afterEach, describe, expect, it } from '@jest/globals';
import { type Column, printTable } from './output.js';

interface Row {
  readonly id: string;
  readonly made: string;
  readonly memo: string;
  readonly url: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'id', of: ({ id }) => id },
  { title: 'made', dropped: 1, of: ({ made }) => made },
  { title: 'memo', dropped: 2, of: ({ memo }) => memo },
  { title: 'for', shrinks: true, of: ({ url }) => url },
];
const ROW: Row = {
  id: 'pay_01m8jtad3fe06vcf798k41p7av',
  made: '2026-11-30 21:24:34',
  memo: 'a note of twenty-four c.',
  url: 'api.example.com/reports/2026/november/all',
};

const write = process.stdout.write;
const { columns } = process.stdout;
afterEach(() => {
  process.stdout.write = write;
  process.stdout.columns = columns;
});

/** The lines of a table on a terminal of so many columns. */
function table(width: number, row = ROW): string[] {
  let text = '';
  process.stdout.columns = width;
  process.stdout.write = (chunk: string | Uint8Array) => {
    text += String(chunk);
    return true;
  };
  printTable([row], COLUMNS, 'none');
  return text.trimEnd().split('\n');
}

describe('a table', () => {
  it.each([
    [200, /^ID +MADE +MEMO +FOR$/, /november\/all$/],
    [0, /^ID +MADE +MEMO +FOR$/, /november\/all$/],
    [90, /^ID +MEMO +FOR$/, /reports\/2026\/no…$/],
    [80, /^ID +MEMO +FOR$/, /api\.example\.com\/repor…$/],
    [70, /^ID +FOR$/, /reports\/2026\/november…$/],
    [20, /^ID +FOR$/, / api\.example\.com\/r…$/],
  ])('of %i columns drops columns, and cuts none to nothing', (width, head, cells) => {
    const [first = '', second = ''] = table(width);
    expect(first).toMatch(head);
    expect(second).toMatch(cells);
    if (width >= 50) expect([...second].length).toBeLessThanOrEqual(width);
  });

  it('leaves out an empty column first', () => {
    const [head] = table(75, { ...ROW, memo: '' });
    expect(head).toMatch(/^ID +MADE +FOR$/);
  });
});
