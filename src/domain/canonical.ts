import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';

/**
 * RFC 8785 canonical JSON.
 *
 * @throws Error for what JSON cannot hold (undefined, functions, non-finite numbers).
 */
export function canonicalJson(value: unknown): string {
  // Records of the log are written in order as a rule: nothing is made for them.
  const ordered = isInOrder(value) ? value : copyInOrder(value);
  // RFC 8785 writes strings and numbers as JSON.stringify does: only the order of members is left.
  let text = ordered === UNUSUAL ? undefined : JSON.stringify(ordered);
  // Half a surrogate pair is written as an escape; a text that only looks like one is as well off there.
  if (text === undefined || text.includes('\\ud')) text = canonicalize(value);
  if (text === undefined) throw new Error('value has no JSON form');
  return text;
}

/** Whether a value is plain JSON with the members of its objects in order. */
function isInOrder(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      if (value === null) return true;
      if (Array.isArray(value)) return value.every(isInOrder);
      return isPlain(value) && hasMembersInOrder(value);
    default:
      return false;
  }
}

function hasMembersInOrder(members: Readonly<Record<string, unknown>>): boolean {
  let last = '';
  for (const name of Object.keys(members)) {
    if (name < last || isUnusual(name) || !isInOrder(members[name])) return false;
    last = name;
  }
  return true;
}

/** Values that {@link copyInOrder} leaves to the library. */
const UNUSUAL = Symbol('unusual');

/**
 * A copy of a plain JSON value with the members of its objects in order: the library, which writes text piece by piece, takes
 * twice as long. It is left to the library what JavaScript would not keep in order (names that are numbers) and what
 * RFC 8785 refuses.
 */
function copyInOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return isInOrder(value) ? value : UNUSUAL;
  if (Array.isArray(value)) {
    const items = value.map(copyInOrder);
    return items.includes(UNUSUAL) ? UNUSUAL : items;
  }
  if (!isPlain(value)) return UNUSUAL;
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) {
    const member = isUnusual(name) ? UNUSUAL : copyInOrder(value[name]);
    if (member === UNUSUAL) return UNUSUAL;
    copy[name] = member;
  }
  return copy;
}

function isPlain(value: object): value is Record<string, unknown> {
  return Object.getPrototypeOf(value) === Object.prototype;
}

function isUnusual(name: string): boolean {
  const first = name.charCodeAt(0);
  return (first >= 48 && first <= 57) || name === '__proto__';
}

/** Lower-case hex SHA-256 of a text's UTF-8 bytes. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex');
}
