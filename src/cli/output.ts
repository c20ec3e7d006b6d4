import { printable } from '../domain/printable.js';
import { bold, printJson, styled, writeStyled } from '../terminal.js';

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number | null | undefined;
  readonly style?: (text: string, row: Row) => string;
  readonly isRight?: boolean;
  /** Cut where the terminal is too narrow for the table. */
  readonly shrinks?: boolean;
  /** Left out where there is too little room for the column that shrinks: 1 first, then 2 and so on. */
  readonly dropped?: number;
}

/** Room that a column needs to be of use when it is cut, in characters. */
const USEFUL_WIDTH = 18;

/** Whether to print tables: on a terminal, unless JSON was asked for. */
export function isTable(json: boolean | undefined): boolean {
  return json !== true && process.stdout.isTTY === true;
}

export { printJson };

/** Prints a table, or a line where it would be empty. */
export function printTable<Row>(
  rows: readonly Row[],
  given: readonly Column<Row>[],
  empty: string,
): void {
  if (rows.length === 0) {
    printLine(empty);
    return;
  }
  const columns = columnsFor(rows, given);
  const { cells, widths } = fitting(cellsOf(rows, columns), columns);
  const pad = (text: string, at: number) => {
    const space = ' '.repeat(Math.max(0, (widths[at] ?? 0) - [...text].length));
    return columns[at]?.isRight ? space + text : text + space;
  };
  const lines = cells.map((line, index) =>
    line.map((text, at) => {
      const row = rows[index];
      const style = columns[at]?.style;
      const padded = pad(text, at);
      // Only the text is styled: no underline or background reaches into the gap.
      return style && row !== undefined && text !== ''
        ? padded.replace(text, () => style(text, row))
        : padded;
    }),
  );
  const head = columns.map(({ title }, at) => {
    const name = title.toUpperCase();
    return pad(name, at).replace(name, bold(name));
  });
  for (const line of [head, ...lines]) writeStyled(`${line.join('  ').trimEnd()}\n`);
}

function cellsOf<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[][] {
  return rows.map((row) => columns.map(({ of }) => cell(of(row))));
}

function widthsOf(cells: string[][], columns: readonly Pick<Column<never>, 'title'>[]): number[] {
  return columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((line) => [...(line[at] ?? '')].length)),
  );
}

/** Width that a table has too much for the terminal. A terminal that does not know its size has room for all. */
function excessOf(widths: readonly number[]): number {
  const room = process.stdout.columns || Number.POSITIVE_INFINITY;
  return widths.reduce((sum, width) => sum + width + 2, -2) - room;
}

/** The columns that the terminal has room for. Empty columns that may be dropped go first. */
function columnsFor<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Column<Row>[] {
  const cells = cellsOf(rows, columns);
  const isEmpty = (at: number) => cells.every((line) => line[at] === '');
  const order = ({ dropped = 0 }: Column<Row>, at: number) =>
    dropped && isEmpty(at) ? 0.5 : dropped;
  const candidates = columns
    .map((column, at) => ({ column, order: order(column, at) }))
    .filter(({ order }) => order > 0)
    .sort((a, b) => a.order - b.order);
  let kept = [...columns];
  for (const { column } of candidates) {
    const widths = widthsOf(cellsOf(rows, kept), kept);
    const width = widths[kept.findIndex(({ shrinks }) => shrinks)] ?? 0;
    if (excessOf(widths) <= Math.max(0, width - USEFUL_WIDTH)) break;
    kept = kept.filter((each) => each !== column);
  }
  return kept;
}

/** The cells as a terminal has room for them, and the width of each column. */
function fitting(cells: string[][], columns: readonly Pick<Column<never>, 'title' | 'shrinks'>[]) {
  const widths = widthsOf(cells, columns);
  const excess = excessOf(widths);
  const at = columns.findIndex(({ shrinks }) => shrinks);
  const width = widths[at];
  if (excess <= 0 || width === undefined) return { cells, widths };
  const most = Math.min(width, Math.max(width - excess, USEFUL_WIDTH));
  const cut = (text: string) =>
    [...text].length > most ? `${[...text].slice(0, most - 1).join('')}…` : text;
  return {
    cells: cells.map((line) => line.map((text, index) => (index === at ? cut(text) : text))),
    widths: widths.with(at, most),
  };
}

/** A name, its value, and the style of the value. */
type Fact = readonly [
  name: string,
  value: string | number | null | undefined,
  style?: (text: string) => string,
];

/** Prints names and values, one pair a line. Those without a value are left out. */
export function printFacts(facts: readonly Fact[]): void {
  const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value, style = (text: string) => text] of shown) {
    writeStyled(`${bold(name)}${' '.repeat(width - name.length)}  ${style(cell(value))}\n`);
  }
}

/** A count with its noun: `1 grant`, `2 grants`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Prints a line on standard output. */
export function printLine(text: string): void {
  writeStyled(`${text}\n`);
}

/** Tells a program something beside the output: a line of JSON on standard error. */
export function tellJson(value: object): void {
  process.stderr.write(`${JSON.stringify(value)}\n`);
}

/** Tells something beside the output, on standard error. */
export function tell(text: string): void {
  process.stderr.write(`bursar: ${printable(text)}\n`);
}

function cell(value: string | number | null | undefined): string {
  return printable(String(value ?? '')).replace(/[\n\t]+/g, ' ');
}

const COLOURS: Readonly<Record<string, Parameters<typeof styled>[0]>> = {
  active: 'green',
  settled: 'green',
  allow: 'green',
  passed: 'green',
  ok: 'green',
  authorized: 'cyan',
  approved: 'cyan',
  pending_approval: 'yellow',
  require_approval: 'yellow',
  suspended: 'yellow',
  warn: 'yellow',
  scheduled: 'yellow',
  note: 'cyan',
  deny: 'red',
  refused: 'red',
  rejected: 'red',
  revoked: 'red',
  fail: 'red',
  released: 'dim',
  cancelled: 'dim',
  expired: 'dim',
};

/** A status in its colour. */
export function coloured(text: string): string {
  const [word = ''] = text.split(' ');
  const colour = COLOURS[word];
  return colour === undefined ? text : styled(colour, text);
}

/** An address or a hash as a table has room for it: `0x7099…79C8`. */
export function short(hex: string | null | undefined): string {
  return hex && /^0x[0-9a-fA-F]{12,}$/.test(hex)
    ? `${hex.slice(0, 6)}…${hex.slice(-4)}`
    : (hex ?? '');
}

/** A time as people read it, in UTC: `2026-11-29 05:00:43`. */
export function at(time: string | null | undefined): string {
  return time ? time.replace('T', ' ').replace(/(\.\d+)?Z$/, '') : '';
}

/** How long until a time: `in 3 h 20 min`, `5 min ago`. */
export function fromNow(time: string | null | undefined, now = Date.now()): string {
  if (!time) return '';
  const seconds = Math.round((Date.parse(time) - now) / 1000);
  const text = lengthOf(Math.abs(seconds));
  return seconds >= 0 ? `in ${text}` : `${text} ago`;
}

function lengthOf(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}
