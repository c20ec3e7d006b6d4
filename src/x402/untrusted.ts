import { countMembers } from '../domain/json-text.js';
import type { Problem } from '../domain/problem.js';

/** Makes the error for input that is refused; `what` completes a sentence: "is nested too deep". */
export type Refuse = (what: string) => Problem;

/** How much of a stranger's JSON is read. Inclusive. */
export interface JsonBounds {
  /** Characters of the decoded text. */
  readonly jsonCharacters: number;
  readonly depth: number;
  /** Depth inside `extensions` and `outputSchema`, which hold JSON Schemas. */
  readonly schemaDepth: number;
}

/** Strict UTF-8: what is not is refused, and never read as something that resembles it. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes a header value that is base64 (or base64url) of JSON text.
 *
 * @param maxCharacters - of the decoded text.
 * @returns the text and what it says.
 * @throws what `refuse` makes, for what is not such a value.
 */
export function decodeHeader(
  value: string,
  maxCharacters: number,
  refuse: (what: string) => Error,
): { text: string; value: unknown } {
  if (value.length > Math.ceil(maxCharacters / 3) * 4) {
    throw refuse(`is longer than ${maxCharacters} characters`);
  }
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) {
    throw refuse('is neither JSON nor base64, as its header is');
  }
  let text: string;
  try {
    text = UTF8.decode(Buffer.from(value, 'base64'));
  } catch {
    throw refuse('is base64, but not of UTF-8 text');
  }
  try {
    return { text, value: JSON.parse(text) };
  } catch {
    throw refuse('is base64, but not of JSON');
  }
}

/**
 * Reads a header value that is base64 of JSON text, within bounds.
 *
 * @returns the text and what it says.
 * @throws Problem of `refuse` for what is not such a value, or names a member twice: parsers differ in
 *   which of the two they take.
 */
export function readHeader(
  header: string,
  bounds: JsonBounds,
  refuse: Refuse,
): { text: string; json: unknown } {
  const { text, value } = decodeHeader(header, bounds.jsonCharacters, refuse);
  refuseUnsafeText(value, text, bounds, refuse);
  return { text, json: value };
}

/**
 * {@link refuseUnsafe} for a value that came as text: a member that is named twice is refused too, since
 * parsers differ in which of the two they take.
 */
export function refuseUnsafeText(
  value: unknown,
  text: string,
  bounds: JsonBounds,
  refuse: Refuse,
): void {
  if (countMembers(text) !== refuseUnsafe(value, bounds, refuse)) {
    throw refuse('names a member twice; which of the two is meant is not for us to guess');
  }
}

/**
 * Bounds the depth, and refuses keys that mean something to JavaScript rather than to the protocol,
 * and text that cannot be stored or hashed: NUL (Postgres has none), lone surrogates (UTF-8 has none).
 *
 * @returns how many members its objects have in all.
 */
export function refuseUnsafe(
  value: unknown,
  bounds: JsonBounds,
  refuse: Refuse,
  depth = 1,
  deepest = bounds.depth,
): number {
  if (typeof value === 'string' && (value.includes('\u0000') || !value.isWellFormed())) {
    throw refuse('holds text that is not well-formed Unicode without NUL');
  }
  // JSON.parse reads 1e400 as Infinity, which no JSON can hold again.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw refuse('holds a number too large');
  }
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > deepest) throw refuse(`is nested deeper than ${deepest} levels`);
  const keys = Object.keys(value);
  let members = Array.isArray(value) ? 0 : keys.length;
  for (const key of keys) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
      throw refuse(`has a member named "${key}"`);
    }
    refuseUnsafe(key, bounds, refuse);
    const holdsSchemas = key === 'extensions' || key === 'outputSchema';
    members += refuseUnsafe(
      (value as Record<string, unknown>)[key],
      bounds,
      refuse,
      depth + 1,
      holdsSchemas ? bounds.schemaDepth : deepest,
    );
  }
  return members;
}
