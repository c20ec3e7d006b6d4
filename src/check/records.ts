import type { ClientBase } from 'pg';

/** SQL that reads records. A record is canonical JSON, so that its members stand in it in one order. */

/** A record, to be read into. One that was garbled is told of by its bytes, and has no members here. */
export const parsed = (record: string) => `(CASE WHEN ${record} IS JSON THEN ${record}::jsonb END)`;

const PARSED = /\(CASE WHEN (\S+) IS JSON THEN \1::jsonb END\)/g;

/** The first version of Postgres that has `IS JSON`, as `server_version_num`. */
const HAS_IS_JSON = 160_000;

/**
 * Makes questions fit for an older Postgres, which has no `IS JSON`: a function of the session, slower, does the same.
 *
 * @param version - the server's `server_version_num`; asked where it is left out.
 * @returns what a question becomes on this connection.
 */
export async function forServer(
  client: ClientBase,
  version?: number,
): Promise<(sql: string) => string> {
  const { rows } = await client.query<{ version: number }>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  if ((version ?? rows[0]?.version ?? 0) >= HAS_IS_JSON) return (sql) => sql;
  await client.query(`CREATE OR REPLACE FUNCTION pg_temp.bursar_parsed(record text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN record::jsonb; EXCEPTION WHEN others THEN RETURN NULL; END $$`);
  return (sql) => sql.replaceAll(PARSED, 'pg_temp.bursar_parsed($1)');
}

/** A time as records write it. */
export const iso = (column: string) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** A text, or null, as it stands in a record. */
export const json = (column: string) => `coalesce(to_json(${column})::text, 'null')`;

/** The differences between a row and its record: each name with the condition that must hold. */
export const differing = (members: readonly (readonly [string, string])[]) =>
  `array_remove(ARRAY[${members
    .map(([name, holds]) => `CASE WHEN (${holds}) IS TRUE THEN NULL ELSE '${name}' END`)
    .join(', ')}]::text[], NULL)`;

/** The condition that a member of a record, where the record has it, is what a column says. */
export const says = (data: string, name: string, value: string) =>
  `${data} IS NULL OR NOT ${data} ? '${name}' OR ${data} ->> '${name}' IS NOT DISTINCT FROM ${value}`;

/** The same of a member that is no text. */
export const saysJson = (data: string, name: string, value: string) =>
  `${data} IS NULL OR NOT ${data} ? '${name}' OR ${data} -> '${name}' IS NOT DISTINCT FROM ${value}`;

/** SHA-256 over columns, as src/ledger/row-hash.ts computes it. */
export const rowHash = (columns: readonly string[]) =>
  `encode(sha256(${columns
    .map(
      (each) =>
        `CASE WHEN ${each} IS NULL THEN '\\x00'::bytea ELSE '\\x01'::bytea || convert_to(${each}, 'UTF8') || '\\x00'::bytea END`,
    )
    .join(' || ')}), 'hex')`;

/** The newest event of some kinds, of whatever the rows of a table aliased `t` are about. */
export const newestOf = (alias: string, about: string, kinds: readonly string[]) =>
  `LEFT JOIN LATERAL (
     SELECT kind, actor, created_at, ${parsed('record')} ->> 'reason' AS reason, ${parsed('record')} -> 'data' AS data
     FROM log_events WHERE ${about} AND kind IN (${kinds.map((kind) => `'${kind}'`).join(', ')})
     ORDER BY leaf_index DESC NULLS FIRST, seq DESC LIMIT 1) ${alias} ON true`;

/** Whether two times are of one moment, give or take a transaction. */
export const about = (a: string, b: string) =>
  `abs(extract(epoch FROM ${a}) - extract(epoch FROM ${b})) <= 60`;
