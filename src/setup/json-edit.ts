import jsonc from 'jsonc-parser';
import type { Entry } from './entry.js';

/** A replacement of a part of a text. */
type Edit = jsonc.Edit;

/**
 * Edits JSON with comments. The library's own `modify` formats the neighbours of what it inserts; here no other
 * character changes.
 *
 * @param keys - the place of the entry, from the top.
 * @param entry - undefined removes it.
 * @throws Error saying what is wrong with the text.
 */
export function editJson(text: string, keys: readonly string[], entry: Entry | undefined): string {
  const given = text.trim() === '' ? '{}\n' : text;
  const errors: jsonc.ParseError[] = [];
  const root = jsonc.parseTree(given, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error) {
    const line = given.slice(0, error.offset).split('\n').length;
    throw new Error(`line ${line}: ${jsonc.printParseErrorCode(error.error)}`);
  }
  let object = root;
  for (const [depth, key] of keys.entries()) {
    if (object?.type !== 'object') {
      throw new Error(`${keys.slice(0, depth).join('.') || 'the file'} is no JSON object`);
    }
    const property = object.children?.find(({ children }) => children?.[0]?.value === key);
    const value = property?.children?.[1];
    if (!property || !value) {
      if (entry === undefined) return text;
      const nested = keys
        .slice(depth + 1)
        .reduceRight<Entry>((inner, k) => ({ [k]: inner }), entry);
      return jsonc.applyEdits(given, insertion(given, object, key, nested));
    }
    if (depth === keys.length - 1) {
      if (entry === undefined) {
        const rest = jsonc.applyEdits(given, removal(given, object, property));
        return depth === 0 ? rest : withoutEmpty(rest, keys.slice(0, depth));
      }
      const content = render(given, entry, indentAt(given, property.offset));
      return jsonc.applyEdits(given, [{ offset: value.offset, length: value.length, content }]);
    }
    object = value;
  }
  return text;
}

/** Takes a section out as well when nothing is left in it, not even a comment: it was made for its entry. */
function withoutEmpty(text: string, keys: readonly string[]): string {
  const root = jsonc.parseTree(text, [], { allowTrailingComma: true });
  const section = root && jsonc.findNodeAtLocation(root, [...keys]);
  if (!section) return text;
  const inside = text.slice(section.offset, section.offset + section.length);
  return /^\{\s*\}$/.test(inside) ? editJson(text, keys, undefined) : text;
}

function insertion(text: string, object: jsonc.Node, key: string, value: Entry): Edit[] {
  const eol = eolOf(text);
  const outer = indentAt(text, object.offset);
  const properties = object.children ?? [];
  const [first] = properties;
  const inner =
    first && isFirstOnLine(text, first.offset)
      ? indentAt(text, first.offset)
      : outer + unitOf(text);
  const property = `${eol}${inner}${JSON.stringify(key)}: ${render(text, value, inner)}`;
  const brace = object.offset + object.length - 1;
  const last = properties.at(-1);
  const closing = isFirstOnLine(text, brace) ? '' : `${eol}${outer}`;
  if (!last) {
    // Insert after a comment, should there be one.
    const inside = text.slice(object.offset + 1, brace).trimEnd();
    const offset = object.offset + 1 + inside.length;
    return [{ offset, length: 0, content: property + closing }];
  }
  const end = last.offset + last.length;
  const comma = commaAfter(text, end);
  const behind = endOfLine(text, comma === undefined ? end : comma + 1, brace);
  return [
    ...(comma === undefined ? [{ offset: end, length: 0, content: ',' }] : []),
    // Keep the style of a comma after the last member.
    { offset: behind, length: 0, content: property + (comma === undefined ? '' : ',') + closing },
  ];
}

function removal(text: string, object: jsonc.Node, property: jsonc.Node): Edit[] {
  const properties = object.children ?? [];
  const before = properties[properties.indexOf(property) - 1];
  const end = property.offset + property.length;
  const comma = commaAfter(text, end);
  const lineStart = text.slice(0, property.offset).trimEnd().length;
  const own = {
    offset: lineStart,
    length: (comma === undefined ? end : comma + 1) - lineStart,
    content: '',
  };
  if (comma !== undefined || !before) return [own];
  const separator = commaAfter(text, before.offset + before.length) ?? lineStart;
  if (separator >= lineStart - 1) return [{ ...own, offset: separator, length: end - separator }];
  return [{ offset: separator, length: 1, content: '' }, own];
}

/** The offset of the comma that follows, behind comments; undefined where there is none. */
function commaAfter(text: string, offset: number): number | undefined {
  const scanner = jsonc.createScanner(text, true);
  scanner.setPosition(offset);
  // 5 is a comma, SyntaxKind.CommaToken: the enumeration has no value at run time.
  return scanner.scan() === 5 ? scanner.getTokenOffset() : undefined;
}

/** The end of the line, where only a comment follows on it; else where it was. */
function endOfLine(text: string, offset: number, brace: number): number {
  const [rest = ''] = /^[^\r\n]*/.exec(text.slice(offset)) ?? [];
  return /^\s*(\/\/.*|\/\*.*\*\/\s*)?$/.test(rest) && offset + rest.length <= brace
    ? offset + rest.trimEnd().length
    : offset;
}

function render(text: string, value: Entry, indent: string): string {
  return JSON.stringify(value, undefined, unitOf(text)).replaceAll('\n', eolOf(text) + indent);
}

function unitOf(text: string): string {
  const [, indent = '  '] = /^([ \t]+)"/m.exec(text) ?? [];
  return indent;
}

function eolOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

function lineBefore(text: string, offset: number): string {
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);
}

function isFirstOnLine(text: string, offset: number): boolean {
  return lineBefore(text, offset).trim() === '';
}

function indentAt(text: string, offset: number): string {
  const [indent = ''] = /^[ \t]*/.exec(lineBefore(text, offset)) ?? [];
  return indent;
}
