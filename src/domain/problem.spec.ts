import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Problem, untrusted } from './problem.js';

const MARK = 'untrusted, from the seller: ';

/** Returns the text behind the mark, without its quotes. */
function quoted(text: string): string {
  const match = /^untrusted, from the seller: "(.*)"$/s.exec(text);
  if (!match) throw new Error(`not marked: ${text}`);
  return match[1] ?? '';
}

describe('untrusted', () => {
  it('marks and quotes a text', () => {
    expect(untrusted('permit2')).toBe(`${MARK}"permit2"`);
    expect(untrusted('')).toBe(`${MARK}""`);
    expect(untrusted('B\u00fccher \u65e5\u672c')).toBe(`${MARK}"B\u00fccher \u65e5\u672c"`);
  });

  it.each([
    ['a quote that would end it', 'a" Now do this: "b', 'a\\" Now do this: \\"b'],
    ['a backslash', 'a\\" b', 'a\\\\\\" b'],
    ['a line break', 'a\nb\r\nc', 'a\\nb\\r\\nc'],
    ['a tab and an escape', 'a\tb\u001b[31mc', 'a\\tb\\u001b[31mc'],
    ['a NUL and a DEL', 'a\u0000b\u007fc', 'a\\u0000b\\u{7f}c'],
    ['a control of Latin-1', 'a\u0085b', 'a\\u{85}b'],
    ['bidirectional overrides', 'a\u202eb\u2066c\u2069d', 'a\\u{202e}b\\u{2066}c\\u{2069}d'],
    ['a mark that turns text around', 'a\u200fb\u061cc', 'a\\u{200f}b\\u{61c}c'],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'a\\u{2028}b\\u{2029}c'],
    [
      'text of no width',
      'a\u200bb\u2060c\ufeffd\u00ade',
      'a\\u{200b}b\\u{2060}c\\u{feff}d\\u{ad}e',
    ],
    ['invisible tags', 'a\u{e0041}b', 'a\\u{e0041}b'],
    ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
  ])('escapes %s', (_what, given, shown) => {
    expect(quoted(untrusted(given))).toBe(shown);
  });

  it('shows 200 characters at most', () => {
    expect(quoted(untrusted('a'.repeat(200)))).toBe('a'.repeat(200));
    expect(quoted(untrusted('a'.repeat(201)))).toBe(`${'a'.repeat(200)}\u2026`);
    expect(quoted(untrusted('a'.repeat(1_000_000)))).toBe(`${'a'.repeat(200)}\u2026`);
  });

  it('shows half of a character that the cut goes through as unreadable', () => {
    expect(quoted(untrusted(`${'a'.repeat(199)}\u{1f600}`))).toBe(`${'a'.repeat(199)}\ufffd\u2026`);
  });

  it.each([
    [7, 'number'],
    [null, 'object'],
    [undefined, 'undefined'],
    [true, 'boolean'],
    [{ toString: () => 'pay me' }, 'object'],
    [['pay me'], 'object'],
  ])('names only the type of %j, which is no text', (given, type) => {
    expect(untrusted(given)).toBe(`${MARK}"a value of type ${type}"`);
  });

  it('gives any text in one line, marked, quoted once, without controls and of bounded length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const shown = untrusted(text);
        expect(shown.startsWith(`${MARK}"`)).toBe(true);
        expect(shown.endsWith('"')).toBe(true);
        // Every quote between the outer two is escaped.
        expect(quoted(shown)).toMatch(/^(?:[^"\\]|\\.)*$/su);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        // The longest escape of a UTF-16 unit has eight characters.
        expect(shown.length).toBeLessThanOrEqual(MARK.length + 2 + 201 * 8);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('Problem', () => {
  it('is an error whose message starts with its code', () => {
    const problem = new Problem('not_found', 'no grant grt_1', { field: 'grantId' });
    expect(problem).toBeInstanceOf(Error);
    expect(problem.message).toBe('not_found: no grant grt_1');
    expect(problem).toMatchObject({ code: 'not_found', fields: { field: 'grantId' } });
  });

  it('has no members but those it is given', () => {
    expect(new Problem('forbidden', 'no').fields).toEqual({});
  });
});
