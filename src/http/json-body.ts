import { countMembers } from '../domain/json-text.js';
import { Problem } from '../domain/problem.js';
import { checkBodyBounds } from './body-bounds.js';

/** What some clients put before a text (RFC 8259, section 8.1). */
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
 * Bounds a body, and refuses one that names a member twice, wherever: parsers differ in which of the two they take, and
 * a proxy, a log or a person may have read the other one.
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
    // The rest of the message repeats the body, which may hold a secret.
    const [, position] = / at position (\d+)/.exec(String(error)) ?? [];
    const where = position === undefined ? '' : ` at character ${position}`;
    throw new Problem('invalid_request', `the body is not valid JSON${where}`, { field: 'body' });
  }
}
