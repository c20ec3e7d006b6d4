import { z } from 'zod';

/** `?limit=&cursor=` of every list. The cursor is opaque: hand back what `nextCursor` said. */
export const pageQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^(?:[1-9][0-9]?|1[0-9]{2}|200)$/, 'must be a whole number from 1 to 200')
    .default('50')
    .transform(Number),
  cursor: z
    .string()
    .regex(/^[a-z0-9_]{1,64}$/, 'must be a nextCursor that a list answered with')
    .optional(),
});

/** A page of a list. */
export interface Page<T> {
  readonly items: T[];
  /** Where the next page starts; null on the last. */
  readonly nextCursor: string | null;
}

/** The schema of a page, for the OpenAPI document. */
export function pageOf(item: z.ZodType) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

/**
 * Makes a page of rows that were read with `limit + 1`: the extra row only tells that more follow.
 *
 * @param cursorOf - what the next page's query starts after.
 */
export function page<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  toItem: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null,
  };
}
