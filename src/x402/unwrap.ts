import { jsonParts } from '../domain/json-text.js';
import { decodeHeader } from './untrusted.js';

/** A JSON value, with its own text where it came as text. */
export interface JsonPiece {
  readonly value: unknown;
  readonly text: string | undefined;
}

/** Members that may hold a 402, or hold what does. */
const WRAPPINGS = ['paymentRequired', 'structuredContent', 'result', 'error', 'content'];

/** How many wrappings are taken off, one inside the other. */
const MAX_WRAPPINGS = 6;

/** How many items of an MCP result's `content` are looked at. */
const MAX_CONTENT_ITEMS = 16;

/**
 * Finds a 402's terms in whatever a model or a harness hands over: the object itself, its JSON text, the
 * `PAYMENT-REQUIRED` header's value or whole line, an MCP tool result, a JSON-RPC response or error, or
 * `{ "paymentRequired": ... }`, also one inside the other (x402 specification, transports HTTP and MCP).
 *
 * @param maxCharacters - of a text, base64 decoded.
 * @param refuse - makes the error for a text that cannot be read.
 * @returns the object that has `x402Version` or `accepts`; else what was given, read as JSON.
 */
export function unwrapTerms(
  input: unknown,
  maxCharacters: number,
  refuse: (what: string) => Error,
): JsonPiece {
  const outermost =
    typeof input === 'string'
      ? readText(input, maxCharacters, refuse)
      : { value: input, text: undefined };
  return find(outermost, maxCharacters, MAX_WRAPPINGS) ?? outermost;
}

function find(piece: JsonPiece, maxCharacters: number, wrappings: number): JsonPiece | undefined {
  const { value } = piece;
  if (typeof value === 'string') {
    const read = tryReadText(value, maxCharacters);
    return read && find(read, maxCharacters, wrappings - 1);
  }
  if (!isObject(value) || wrappings < 0) return undefined;
  if (Object.hasOwn(value, 'accepts') || Object.hasOwn(value, 'x402Version')) return piece;
  for (const inner of wrapped(piece)) {
    const found = find(inner, maxCharacters, wrappings - 1);
    if (found) return found;
  }
  return undefined;
}

function* wrapped(piece: JsonPiece): Generator<JsonPiece> {
  const members = membersOf(piece, WRAPPINGS);
  for (const name of ['paymentRequired', 'structuredContent', 'result']) {
    const inner = members.get(name);
    if (inner) yield inner;
  }
  const error = members.get('error');
  if (error) yield* membersOf(error, ['data']).values();
  const content = members.get('content')?.value;
  if (!Array.isArray(content)) return;
  for (const item of content.slice(0, MAX_CONTENT_ITEMS)) {
    // The text of an item is JSON inside a string.
    if (isObject(item) && typeof item.text === 'string') {
      yield { value: item.text, text: undefined };
    }
  }
}

/** Finds members of an object by name, in one pass over its text. */
function membersOf({ value, text }: JsonPiece, names: readonly string[]): Map<string, JsonPiece> {
  const members = new Map<string, JsonPiece>();
  if (!isObject(value)) return members;
  for (const name of names) {
    if (Object.hasOwn(value, name)) members.set(name, { value: value[name], text: undefined });
  }
  if (text === undefined || members.size === 0) return members;
  // The last of two members with the same name counts, as it does for JSON.parse.
  for (const { key = '', start, end } of jsonParts(text, text.indexOf('{'))) {
    const named = members.get(key);
    if (named) members.set(key, { value: named.value, text: text.slice(start, end) });
  }
  return members;
}

function tryReadText(text: string, maxCharacters: number): JsonPiece | undefined {
  try {
    return readText(text, maxCharacters, (what) => new Error(what));
  } catch {
    return undefined;
  }
}

/** Length of the longest form of a JSON text of so many ASCII characters: base64 behind a header's name. */
export function maxTextCharacters(maxCharacters: number): number {
  return Math.ceil(maxCharacters / 3) * 4 + 64;
}

/** JSON text, a header's base64 value, or a whole header line. */
function readText(
  given: string,
  maxCharacters: number,
  refuse: (what: string) => Error,
): JsonPiece {
  if (given.length > maxTextCharacters(maxCharacters)) {
    throw refuse(`is longer than ${maxCharacters} characters`);
  }
  const text = given.replace(/^\s*(?:x-)?payment-required\s*:/i, '').trim();
  if (text === '') {
    throw refuse('is empty; the terms are in the PAYMENT-REQUIRED header of the 402');
  }
  if (!/^[{["]/.test(text)) return decodeHeader(text.replace(/\s+/g, ''), maxCharacters, refuse);
  if (text.length > maxCharacters) throw refuse(`is longer than ${maxCharacters} characters`);
  try {
    return { value: JSON.parse(text), text };
  } catch {
    throw refuse('looks like JSON, but is not valid JSON');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
