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
  let text = ordered === UNUSUAL ? undefined : JSON.stringify(ordered);
  // Half a surrogate pair is written as an escape; a text that only looks like one is as well off there.
  if (text === undefined || text.includes('\\ud')) text = canonicalize(value);
  if (text === undefined) throw new Error('value has no JSON form');
  return text;
}

/** Values that {@link inOrder} leaves to the library. */
const UNUSUAL = Symbol('unusual');

/**
 * A plain JSON value with the members of its objects in order, copied only where they are not: the
 * library, which writes text piece by piece, takes twice as long. It is left to the library what
 * JavaScript would not keep in order (names that are numbers) and what RFC 8785 refuses.
 */
function inOrder(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : UNUSUAL;
    case 'object':
      if (value === null) return value;
      if (Array.isArray(value)) return itemsInOrder(value);
      return Object.getPrototypeOf(value) === Object.prototype
        ? membersInOrder(value as Record<string, unknown>)
        : UNUSUAL;
    default:
      return UNUSUAL;
  }
}

function itemsInOrder(items: readonly unknown[]): unknown {
  const ordered = items.map(inOrder);
  if (ordered.includes(UNUSUAL)) return UNUSUAL;
  return ordered.every((item, place) => item === items[place]) ? items : ordered;
}

function membersInOrder(members: Record<string, unknown>): unknown {
  const names = Object.keys(members);
  if (names.some(isUnusual)) return UNUSUAL;
  const areSorted = names.every(
    (name, place) => place === 0 || (names[place - 1] as string) < name,
  );
  let copy: Record<string, unknown> | undefined = areSorted ? undefined : {};
  for (const name of areSorted ? names : names.sort()) {
    const member = members[name];
    const ordered = inOrder(member);
    if (ordered === UNUSUAL) return UNUSUAL;
    if (areSorted && ordered !== member) copy ??= { ...members };
    if (copy) copy[name] = ordered;
  }
  return copy ?? members;
}

function isUnusual(name: string): boolean {
  const first = name.charCodeAt(0);
  return (first >= 48 && first <= 57) || name === '__proto__';
}

/** Lower-case hex SHA-256 of a text's UTF-8 bytes. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex');
}
