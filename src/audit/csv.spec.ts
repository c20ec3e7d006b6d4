import { describe, expect, it } from '@jest/globals';
import { csvLine } from './csv.js';

const line = (reason: string | null) =>
  csvLine('7', JSON.stringify({ id: 'evt_1', at: 'now', kind: 'k', actor: 'a', reason, data: {} }));

describe('a line of CSV', () => {
  it.each([
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    ' =1',
    '\u00a0=1',
    '\n=1',
    '\uff1d1',
    '\uff0b1',
    '\uff0d1',
    '\uff201',
  ])('begins no formula with %j', (reason) => {
    expect(line(reason)).toContain(`,"'${reason}"`);
  });

  it('quotes every cell, the first one and empty ones too', () => {
    expect(line(null)).toBe('"7","evt_1","now","k","a","","","","","{}"\r\n');
    expect(line('a "b"; =1')).toContain(',"a ""b""; =1",');
  });

  it('writes out what nobody sees', () => {
    expect(line('pay\u202e\u200b\u001b')).toContain('"pay\\u202e\\u200b\\u001b"');
  });
});
