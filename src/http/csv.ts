import { printable } from '../domain/printable.js';

/**
 * Where a spreadsheet would begin a formula: `=`, `+`, `-`, `@` and their full-width forms, also behind white space,
 * which some programs leave out.
 */
const FORMULA = /^\s*[=+\-@\uff0b\uff0d\uff1d\uff20\ufe62\ufe63\ufe66\ufe6b]|^[\t\r\n]/u;

/**
 * A cell, always quoted: where a locale separates by other characters than commas, an unquoted one would let a
 * later cell begin inside it. What could be a formula gets an apostrophe before it, and what no reader sees is
 * written out: reasons and names come from callers.
 */
export function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '""';
  const text = printable(String(value));
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}
