import { countMembers } from '../domain/json-text.js';
import { Problem } from '../domain/problem.js';
import { checkBodyBounds } from './body-bounds.js';

/** A character that some clients put before a text (RFC 8259, section 8.1). */
const BYTE_ORDER_MARK = '\ufeff';

/**
 * Parses a body and checks it by {@link checkJsonBody}.
 *
 * @throws Problem `invalid_request`.
 */
export function parseJsonBody(text: string): unknown {
  const value = parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
  checkJsonBody(text, value);
  return value;
}

/**
 * Bounds a body. Refuses one that names a prototype, and one that names a member twice, wherever: parsers differ in which
 * of the two they take, and a proxy, a log or a person may have read the other one.
 *
 * @param value - what `JSON.parse` made of the text.
 * @throws Problem `invalid_request`.
 */
export function checkJsonBody(text: string, value: unknown): void {
  if (countMembers(text) !== checkBodyBounds(value)) {
    throw new Problem('invalid_request', 'the body names a member twice; name it once', {
      field: 'body',
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The message may quote the body, which may hold a secret. Only the position is told.
    const [, offset] =
      / in JSON at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(String(error)) ?? [];
    const where = offset === undefined ? '' : ` at character ${Number(offset) + 1}`;
    throw new Problem('invalid_request', `the body is not valid JSON${where}`, { field: 'body' });
  }
}
