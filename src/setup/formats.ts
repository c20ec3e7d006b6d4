import { isMap, isNode, isScalar, type Pair, parseDocument, stringify } from 'yaml';
import type { Entry } from './entry.js';
import { editJson } from './json-edit.js';

/** How a host's configuration is edited: everything else in it stays as it is, comments included. */
export interface ConfigFormat {
  /**
   * @param keys - the place of the entry, from the top.
   * @param entry - undefined removes it.
   * @throws Error saying what is wrong with the text.
   */
  edit(text: string, keys: readonly string[], entry: Entry | undefined): string;
}

/** YAML of block maps, as hosts write it: whole lines are put in and taken out, and no others change. */
function editYaml(text: string, keys: readonly string[], entry: Entry | undefined): string {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw new Error(error.message.split('\n')[0]);
  if (entry === undefined && !document.hasIn(keys)) return text;
  const [section = '', name = ''] = keys;
  const map = document.get(section);
  const pairs = isMap(map) && !map.flow ? map.items : [];
  const places = pairs.map((pair) => placeOf(text, pair));
  const own = places[pairs.findIndex(({ key }) => isScalar(key) && key.value === name)];
  const [first] = places;
  const last = places.at(-1);
  if (!first || !last || (entry === undefined && places.length === 1)) {
    // The section is missing, empty or written in braces, or ends with this entry: the library writes it.
    if (entry === undefined) {
      document.deleteIn(keys);
      const rest = document.get(section);
      // A section that is left without anything was made for its entry.
      if (isMap(rest) && rest.items.length === 0 && !rest.comment) document.delete(section);
    } else document.setIn(keys, document.createNode(entry));
    return document.toString({ lineWidth: 0 });
  }
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const indent = text.slice(first.lineStart, first.keyStart);
  const added =
    entry === undefined
      ? []
      : stringify({ [name]: entry }, { lineWidth: 0 })
          .trimEnd()
          .split('\n')
          .map((line) => indent + line);
  if (own) {
    const end = entry === undefined ? own.lineEnd + eol.length : own.lineEnd;
    return text.slice(0, own.lineStart) + added.join(eol) + text.slice(end);
  }
  return text.slice(0, last.lineEnd) + eol + added.join(eol) + (text.slice(last.lineEnd) || eol);
}

/** Where a pair of a block map stands in its text. */
function placeOf(text: string, { key, value }: Pair<unknown, unknown>) {
  const keyRange = isNode(key) ? key.range : undefined;
  const keyStart = keyRange?.[0] ?? 0;
  const valueEnd = (isNode(value) ? value.range?.[1] : undefined) ?? keyRange?.[1] ?? 0;
  // A block ends behind its last line, and a scalar before the comment beside it.
  const contentEnd = text.slice(0, valueEnd).trimEnd().length;
  const lineEnd = /\r?\n|$/.exec(text.slice(contentEnd))?.index ?? 0;
  return {
    lineStart: text.lastIndexOf('\n', keyStart - 1) + 1,
    keyStart,
    lineEnd: contentEnd + lineEnd,
  };
}

/** TOML, by whole tables: there is no editor for it that keeps comments. */
const TOML: ConfigFormat = {
  edit(text, keys, entry) {
    const eol = text.includes('\r\n') ? '\r\n' : '\n';
    const lines = text.split(/\r?\n/);
    const table = keys.join('.');
    const kept = withoutTable(lines, keys);
    if (entry === undefined) return kept.length === lines.length ? text : kept.join(eol);
    const inline = kept.findIndex((line) => isInline(line, keys));
    if (inline >= 0) {
      throw new Error(
        `line ${inline + 1}: it has an entry ${keys.at(-1)} in another form; remove that first`,
      );
    }
    while (kept.at(-1)?.trim() === '') kept.pop();
    const gap = kept.length > 0 ? [''] : [];
    return [...kept, ...gap, ...tableLines(table, entry), ''].join(eol);
  },
};

/** The formats by name. */
export const FORMATS = {
  json: { edit: editJson },
  yaml: { edit: editYaml },
  toml: TOML,
} as const satisfies Record<string, ConfigFormat>;

/** The lines without a table and those below it. Comments and blank lines behind it belong to what follows. */
function withoutTable(lines: readonly string[], keys: readonly string[]): string[] {
  const name = keys.map((key) => `"?${key}"?`).join('\\s*\\.\\s*');
  const own = new RegExp(`^\\s*\\[\\s*${name}\\s*[.\\]]`);
  const kept: string[] = [];
  let waiting: string[] = [];
  let isOwn = false;
  for (const line of lines) {
    if (/^\s*\[/.test(line)) {
      kept.push(...waiting);
      waiting = [];
      isOwn = own.test(line);
      if (!isOwn) kept.push(line);
    } else if (!isOwn) {
      kept.push(line);
    } else if (/^\s*(#|$)/.test(line)) {
      waiting.push(line);
    } else {
      waiting = [];
    }
  }
  // Lines after the last table of the file separate nothing.
  const rest = waiting.every((line) => line.trim() === '') ? [''] : waiting;
  return isOwn ? [...kept, ...rest] : kept;
}

function isInline(line: string, keys: readonly string[]): boolean {
  const [last = '', ...above] = [...keys].reverse();
  const prefix =
    above.length === 0 ? '' : `(?:"?${above.reverse().join('"?\\s*\\.\\s*"?')}"?\\s*\\.\\s*)?`;
  return new RegExp(`^\\s*${prefix}"?${last}"?\\s*(?:\\.[^=]*)?=`).test(line);
}

function tableLines(table: string, entry: Entry): string[] {
  const own = Object.entries(entry).filter(([, value]) => !isObject(value));
  const below = Object.entries(entry).filter(([, value]) => isObject(value));
  return [
    `[${table}]`,
    // JSON's strings and lists of strings are TOML's as well.
    ...own.map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
    ...below.flatMap(([key, value]) => ['', ...tableLines(`${table}.${key}`, value as Entry)]),
  ];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
