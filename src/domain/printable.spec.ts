import { describe, expect, it } from '@jest/globals';
import { printable } from './printable.js';

describe('printable', () => {
  it.each([
    ['\u001b[2Jgone', '\\u001b[2Jgone'],
    ['a\rb', 'a\\u000db'],
    ['\u009b31m', '\\u009b31m'],
    ['\u007f\u0000', '\\u007f\\u0000'],
    ['pay\u202eexe', 'pay\\u202eexe'],
    ['a\u2066b\u2069', 'a\\u2066b\\u2069'],
    ['a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['a\u2028b', 'a\\u2028b'],
    ['\ud800', '\\ud800'],
  ])('shows what would steer a terminal: %j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('leaves readable text, its lines and tabs, and JSON what it says', () => {
    const text = 'häuser 家 😀\n\tend';
    expect(printable(text)).toBe(text);
    const value = { text: '\u202e\u001b\n', more: 1 };
    expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(value);
  });
});
