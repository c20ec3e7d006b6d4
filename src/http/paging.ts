import { z } from 'zod';
import { type IdKind, idPattern } from '../ids.js';

/** `?limit=&cursor=` of a list of one kind of things. The cursor is opaque: hand back what `nextCursor` said. */
export const pageQueryOf = (kind: IdKind) =>
  z.strictObject({
    limit: z
      .string()
      .max(3)
      .regex(/^(?:[1-9][0-9]?|1[0-9]{2}|200)$/, 'must be a whole number from 1 to 200')
      .default('50')
      .transform(Number),
    cursor: z
      .string()
      .max(30)
      .regex(idPattern(kind), 'must be a nextCursor that this list answered with')
      .optional(),
  });

/** `?limit=` of a report. */
export const reportLimit = z
  .string()
  .max(4)
  .regex(/^(?:[1-9][0-9]{0,2}|1000)$/, 'must be a whole number from 1 to 1000')
  .default('1000')
  .transform(Number);

/** A page of a list. */
export interface Page<T> {
  readonly items: T[];
  /** Where the next page starts; null on the last. */
  readonly nextCursor: string | null;
}

/** The schema of a page, for the OpenAPI document. Items have an id there, such as `Grant`; the page is `GrantPage`. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  const name = item.meta()?.id;
  return z
    .object({
      items: z.array(item),
      nextCursor: z.string().nullable().describe('the cursor of the next page; null on the last'),
    })
    .meta(name === undefined ? {} : { id: `${name}Page` });
}

/**
 * The most one page reads and shows, in bytes, however few rows that are: a page of large rows would hold up
 * everybody else's requests.
 */
const PAGE_BYTES = 524_288;

/** The columns that {@link boundedByBytes} adds to a row. */
export interface PagedRow {
  /** How many rows were found, those that did not fit included. */
  readonly page_rows: string;
}

/**
 * A query's rows as far as they fit into one page, and at least the first: Postgres stops there, before it reads
 * the large columns of the others.
 *
 * @param sql - a query in its order, with `limit + 1` and a column `page_bytes`, the size of a row.
 */
export function boundedByBytes(sql: string): string {
  return `SELECT * FROM (
    SELECT r.*, count(*) OVER () AS page_rows,
      sum(r.page_bytes) OVER (ROWS UNBOUNDED PRECEDING) - r.page_bytes AS page_before
    FROM (${sql}) r) p WHERE page_before < ${PAGE_BYTES}`;
}

/** How many rows a {@link boundedByBytes} query found. */
export function foundOf(rows: readonly Partial<PagedRow>[]): number {
  return Number(rows[0]?.page_rows ?? rows.length);
}

/**
 * Makes a page of rows that were read with `limit + 1`: the extra row only tells that more follow.
 *
 * @param cursorOf - what the next page's query starts after.
 * @param found - how many rows there were, where some did not fit: see {@link foundOf}.
 */
export function page<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  toItem: (row: Row) => Item,
  found = rows.length,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    nextCursor: found > shown.length && last !== undefined ? cursorOf(last) : null,
  };
}
