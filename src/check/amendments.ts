import { parsed } from './records.js';
import type { Question } from './snapshot.js';

/** The terms that an amendment may change, as records name them. */
const AMENDABLE = `('budget', 'maxPerPayment', 'maxPayments', 'approvalAbove', 'expiresAt', 'labels', 'purpose')`;

const STEPS = `SELECT e.treasury_id, e.grant_id, e.id, e.seq, t.key, t.value AS was,
    ${parsed('e.record')} #> ARRAY['data', 'to', t.key] AS now
  FROM events e CROSS JOIN LATERAL jsonb_each(${parsed('e.record')} #> '{data,from}') AS t
  WHERE e.kind = 'grant.amended'`;

/** Newest value of each term after the amendments of a grant aliased `g`: an object with the newest values. */
export const NEWEST_TERMS = `(SELECT jsonb_object_agg(s.key, s.now ORDER BY s.seq) FROM (${STEPS}) s
  WHERE s.treasury_id = g.treasury_id AND s.grant_id = g.id AND s.key IN ${AMENDABLE})`;

/**
 * SQL: the values that a term of each grant had, each with the numbers of the events between which it held
 * (`after` < seq <= `until`). Events of one grant are written under its lock, one behind the other.
 *
 * @param member - the term as records name it.
 * @param column - of `grants`; its present value.
 * @param type - the type of the value.
 */
export function valuesOf(member: string, column: string, type: string): string {
  return `(WITH x AS (SELECT * FROM (${STEPS}) s WHERE s.key = '${member}')
    SELECT treasury_id, grant_id, lag(seq, 1, 0::bigint) OVER (PARTITION BY treasury_id, grant_id ORDER BY seq) AS after,
      seq AS until, (was #>> '{}')::${type} AS value FROM x
    UNION ALL
    SELECT g.treasury_id, g.id, coalesce(l.seq, 0), 9223372036854775807, g.${column} FROM grants g
    LEFT JOIN (SELECT treasury_id, grant_id, max(seq) AS seq FROM x GROUP BY 1, 2) l
      ON l.treasury_id = g.treasury_id AND l.grant_id = g.id)`;
}

/** I8, the amendments: each begins with the terms that there were. */
export const AMENDMENTS: readonly Question[] = [
  {
    what: 'it was amended from the terms that it had',
    sql: `WITH steps AS (${STEPS}),
      told AS (SELECT *, lag(now) OVER (PARTITION BY treasury_id, grant_id, key ORDER BY seq) AS before FROM steps)
      SELECT t.id, format('%s was %s', t.key, t.was) AS detail FROM told t
      LEFT JOIN LATERAL (SELECT ${parsed('m.record')} -> 'data' AS data FROM events m
        WHERE m.treasury_id = t.treasury_id AND m.grant_id = t.grant_id
          AND m.kind IN ('grant.minted', 'grant.delegated') ORDER BY m.seq LIMIT 1) m ON t.before IS NULL
      WHERE t.key NOT IN ${AMENDABLE} OR t.now IS NULL
        OR t.was IS DISTINCT FROM coalesce(t.before, m.data -> t.key)`,
  },
];
