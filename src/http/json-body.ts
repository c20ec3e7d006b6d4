import { countMembers } from '../domain/json-text.js';
import { Problem } from '../domain/problem.js';
import { checkBodyBounds } from './body-bounds.js';

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
