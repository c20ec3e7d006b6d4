import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';

/**
 * RFC 8785 canonical JSON.
 *
 * @throws Error for what JSON cannot hold (undefined, functions, non-finite numbers).
 */
export function canonicalJson(value: unknown): string {
  const ordered = inOrder(value);
  // RFC 8785 writes strings and numbers as JSON.stringify does: only the order of members is left.
  const text = ordered === UNUSUAL ? canonicalize(value) : JSON.stringify(ordered);
  if (text === undefined) throw new Error('value has no JSON form');
  return text;
}

/** What {@link inOrder} leaves to the library. */
const UNUSUAL = Symbol('unusual');

/**
 * A copy of a plain JSON value, with the members of its objects in order: the library, which writes text
 * piece by piece, takes twice as long. It is left to the library what JavaScript would not keep in
 * order (names that are numbers) and what RFC 8785 refuses.
 */
function inOrder(value: unknown): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : UNUSUAL;
  if (typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : UNUSUAL;
  if (typeof value !== 'object') return UNUSUAL;
  if (Array.isArray(value)) {
    const items = value.map(inOrder);
    return items.includes(UNUSUAL) ? UNUSUAL : items;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return UNUSUAL;
  const names = Object.keys(value);
  if (names.some(isUnusual)) return UNUSUAL;
  const ordered: Record<string, unknown> = {};
  for (const name of names.sort()) {
    const member = inOrder((value as Record<string, unknown>)[name]);
    if (member === UNUSUAL) return UNUSUAL;
    ordered[name] = member;
  }
  return ordered;
}

function isUnusual(name: string): boolean {
  const first = name.charCodeAt(0);
  return (first >= 48 && first <= 57) || name === '__proto__' || !name.isWellFormed();
}

/** Lower-case hex SHA-256 of a text's UTF-8 bytes. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex');
}
