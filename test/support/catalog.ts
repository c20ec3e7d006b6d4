import type { Client } from 'pg';

/** Objects of a database's public schema: an object's kind and name -> its definition. */
export type Catalog = ReadonlyMap<string, string>;

/**
 * Reads what schema.prisma can describe: tables, columns, keys and indexes. CHECK constraints, triggers
 * and Prisma's own table are left out.
 */
export async function readCatalog(client: Client): Promise<Catalog> {
  const { rows } = await client.query<{ object: string; definition: string }>(`
    WITH tables AS (
      SELECT oid, relname FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND relname <> '_prisma_migrations'
    )
    SELECT 'table ' || relname AS object, '' AS definition FROM tables
    UNION ALL
    SELECT format('column %s.%s', t.relname, a.attname),
      concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
        'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT format('key %s.%s', t.relname, c.conname), pg_get_constraintdef(c.oid)
    FROM tables t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('p', 'u', 'f')
    UNION ALL
    SELECT format('index %s.%s', t.relname, i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
    FROM tables t JOIN pg_index i ON i.indrelid = t.oid`);
  return new Map(rows.map(({ object, definition }) => [object, definition]));
}

/** One line for every object that only one side has, or that the two define differently. */
export function differences(migrated: Catalog, declared: Catalog): string[] {
  const objects = new Set([...migrated.keys(), ...declared.keys()]);
  return [...objects]
    .filter((object) => migrated.get(object) !== declared.get(object))
    .map(
      (object) =>
        `${object}: migrated ${show(migrated.get(object))}, declared ${show(declared.get(object))}`,
    )
    .sort();
}

function show(definition: string | undefined): string {
  return definition === undefined ? 'nothing' : `"${definition}"`;
}
