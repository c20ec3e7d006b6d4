import { describe, expect, it } from '@jest/globals';
import { checkBodyBounds, MAX_BODY_DEPTH, MAX_BODY_MEMBERS } from './body-bounds.js';

const nested = (depth: number): unknown =>
  depth === 0 ? 1 : depth % 2 ? [nested(depth - 1)] : { a: nested(depth - 1) };

describe('checkBodyBounds', () => {
  const refused = expect.objectContaining({ code: 'invalid_request' });

  it('lets a body through that is as deep as allowed, and not one level more', () => {
    expect(() => checkBodyBounds(nested(MAX_BODY_DEPTH))).not.toThrow();
    expect(() => checkBodyBounds(nested(MAX_BODY_DEPTH + 1))).toThrow(refused);
    expect(() => checkBodyBounds(JSON.parse(`${'['.repeat(30_000)}${']'.repeat(30_000)}`))).toThrow(
      refused,
    );
  });

  it('lets as many members through as allowed, wherever they are, and not one more', () => {
    const half = MAX_BODY_MEMBERS / 2 - 1;
    const body = { a: Array(half).fill(0), b: Array(half).fill(0) };
    expect(() => checkBodyBounds(body)).not.toThrow();
    expect(() => checkBodyBounds({ ...body, c: 0 })).toThrow(refused);
  });

  it('counts the members of objects, and no items of lists', () => {
    expect(checkBodyBounds({ a: [1, { b: 2, c: {} }], d: 'x' })).toBe(4);
  });

  it.each([undefined, null, 'text', 7, Buffer.from('x').toString()])('passes over %p', (body) => {
    expect(() => checkBodyBounds(body)).not.toThrow();
  });
});
