import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { countMembers, jsonParts } from './json-text.js';

/** A JSON text of a value, spaced and escaped in another way each time. */
const written = fc
  .tuple(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 1, '\t', ' \n'))
  .map(([value, space]) => JSON.stringify(value, undefined, space).replaceAll('/', '\\/'));

describe('jsonParts', () => {
  it.each([
    ['{}', []],
    ['[ ]', []],
    ['{ "a" : 1.0 , "b":[1,{"c":2}] }', ['a=1.0', 'b=[1,{"c":2}]']],
    ['[1e2,\n"],[" , {"x":"}"}]', ['=1e2', '="],["', '={"x":"}"}']],
    ['{"\\"\\\\":"\\\\","\\u0061":{}}', ['"\\="\\\\"', 'a={}']],
    ['"text, no list"', []],
    ['12', []],
  ])('takes %s apart', (text, parts) => {
    expect(jsonParts(text).map((p) => `${p.key ?? ''}=${text.slice(p.start, p.end)}`)).toEqual(
      parts,
    );
  });

  it.each([
    ['{ "a" : 1.0 , "b":[1,{"c":2}] }', ['"a" : 1.0', '"b":[1,{"c":2}]']],
    ['{"\\u0061"\n:{}}', ['"\\u0061"\n:{}']],
    ['[ 1 , "a:b" ]', ['1', '"a:b"']],
  ])('finds where the members of %s begin', (text, members) => {
    expect(jsonParts(text).map(({ from, end }) => text.slice(from, end))).toEqual(members);
  });

  it('finds what JSON.parse finds, all the way down, in any JSON', () => {
    const read = (text: string, start: number, end: number): unknown => {
      const parts = jsonParts(text, start);
      if (text[start] === '[') return parts.map((part) => read(text, part.start, part.end));
      if (text[start] !== '{') return JSON.parse(text.slice(start, end));
      const object: Record<string, unknown> = {};
      for (const { key = '', ...part } of parts) {
        Object.defineProperty(object, key, {
          value: read(text, part.start, part.end),
          enumerable: true,
          configurable: true,
        });
      }
      return object;
    };
    fc.assert(
      fc.property(written, (text) => {
        expect(read(text, 0, text.length)).toEqual(JSON.parse(text));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('countMembers', () => {
  it('counts a member that is named twice twice', () => {
    expect(countMembers('{"a":{"b":":","b":[{"c":1}]},"a":"\\":"}')).toBe(5);
    expect(countMembers('[":",1]')).toBe(0);
  });
});
