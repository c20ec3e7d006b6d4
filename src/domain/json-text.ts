/** A member of a JSON object, or an item of a list, and where its value stands in the text. */
export interface JsonPart {
  /** Undefined for an item of a list. */
  readonly key: string | undefined;
  /** The first character of a member's name, or of an item. */
  readonly from: number;
  /** The value's first character, and the one after its last. */
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/**
 * Takes a JSON object or list apart without reading its values, so that they can be written again
 * exactly as they came: number spellings, escapes, order and white space.
 *
 * @param text - valid JSON (what `JSON.parse` took).
 * @param start - where in it the object or list begins.
 * @returns its members or items in their order; none where something else begins there.
 */
export function jsonParts(text: string, start = 0): JsonPart[] {
  const parts: JsonPart[] = [];
  if (!opens(text.charCodeAt(start))) return parts;
  let depth = 0;
  let key: string | undefined;
  let nameStart: number | undefined;
  let from = start;
  const close = (end: number) => {
    const written = text.slice(from, end).trimEnd();
    const value = written.trimStart();
    if (value !== '') {
      const valueEnd = from + written.length;
      const valueStart = valueEnd - value.length;
      parts.push({ key, from: nameStart ?? valueStart, start: valueStart, end: valueEnd });
    }
    from = end + 1;
  };
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (opens(code)) {
      depth += 1;
      if (depth === 1) from = at + 1;
    } else if (closes(code)) {
      depth -= 1;
      if (depth === 0) {
        close(at);
        break;
      }
    } else if (depth === 1 && code === COMMA) {
      close(at);
    } else if (depth === 1 && code === COLON) {
      const name = text.slice(from, at).trimStart();
      nameStart = at - name.length;
      key = nameIn(name.trimEnd());
      from = at + 1;
    }
  }
  return parts;
}

/** Reads a member's name. Few names have escapes, and JSON.parse takes several times as long. */
function nameIn(quoted: string): string {
  return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** Counts the members of all objects in a JSON text, those that `JSON.parse` would drop included. */
export function countMembers(text: string): number {
  let members = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === COLON) members += 1;
  }
  return members;
}

/** The position of a string's closing quote. */
function endOfString(text: string, openingQuote: number): number {
  let at = text.indexOf('"', openingQuote + 1);
  while (at >= 0 && isEscaped(text, at)) at = text.indexOf('"', at + 1);
  return at < 0 ? text.length : at;
}

/** Whether the backslashes before a quote are odd in number. */
function isEscaped(text: string, quote: number): boolean {
  let before = quote - 1;
  while (text.charCodeAt(before) === BACKSLASH) before -= 1;
  return (quote - before) % 2 === 0;
}

function opens(code: number): boolean {
  return code === 0x7b || code === 0x5b;
}

function closes(code: number): boolean {
  return code === 0x7d || code === 0x5d;
}
