import { parsed } from './records.js';
import type { Question } from './snapshot.js';

/** The kinds of events by which payments end. */
const ENDINGS = ['payment.settled', 'payment.released', 'payment.cancelled', 'payment.rejected'];

/** The kinds of events that tell of refusals. */
const REFUSALS = ['payment.refused', 'payment.refused_more'];

const listOf = (kinds: readonly string[]) => kinds.map((kind) => `'${kind}'`).join(', ');

/** Members that the sums are kept by. */
const KEYS = 'treasury_id, grant_id, network, pay_to, host, hour, status';

/** SQL of the events of some kinds that are folded into the sums. @param columns - of `log_events` as `e`. */
const foldedEvents = (kinds: readonly string[], columns: string) => `SELECT ${columns}
        FROM log_events e JOIN spend_cursors c ON c.treasury_id = e.treasury_id
        WHERE e.leaf_index < c.leaf_index AND e.kind IN (${listOf(kinds)})`;

/** SQL of the member that all options of a refusal agree on; empty where they do not. */
const commonMember = (member: string) =>
  `CASE WHEN count(DISTINCT o ->> '${member}') = 1 THEN min(o ->> '${member}') ELSE '' END`;

/**
 * I2, the sums of reports: they hold the endings and the refusals of the leaves before the leaf where the fold goes on.
 * Events behind it are not in the sums yet, and are no finding. The facts are written here once more on purpose: a check
 * that shared the SQL of the fold (`reports/spend-facts.ts`) would share its mistakes.
 */
export const REPORT_SUMS: readonly Question[] = [
  {
    what: 'its sums for reports are those of its ended payments and its refusals',
    // OFFSET 0 has each record parsed once.
    sql: `WITH facts AS (
        SELECT p.treasury_id, p.grant_id, p.network, p.pay_to, coalesce(p.host, '') AS host,
          date_trunc('hour', p.created_at, 'UTC') AS hour, substr(e.kind, length('payment.') + 1) AS status,
          1 AS payments, CASE WHEN e.kind = 'payment.settled' THEN p.paid ELSE p.amount END AS amount
        FROM (${foldedEvents(ENDINGS, 'e.treasury_id, e.payment_id, e.kind')}) e
          JOIN payments p ON p.treasury_id = e.treasury_id AND p.id = e.payment_id
        UNION ALL
        SELECT e.treasury_id, e.grant_id, f.network, f.pay_to,
          coalesce(lower(substring(d.data #>> '{request,url}' FROM '^[A-Za-z]+://(\\[[^]]*\\]|[^/?#:]+)')), ''),
          date_trunc('hour', e.created_at, 'UTC'), 'refused',
          CASE WHEN d.data ->> 'refusals' ~ '^[0-9]{1,15}$' THEN (d.data ->> 'refusals')::bigint ELSE 1 END, 0
        FROM (${foldedEvents(REFUSALS, 'e.treasury_id, e.grant_id, e.created_at, e.record')}) e
        CROSS JOIN LATERAL (SELECT ${parsed('e.record')} -> 'data' AS data OFFSET 0) d
        CROSS JOIN LATERAL (
          SELECT ${commonMember('network')} AS network, ${commonMember('payTo')} AS pay_to
          FROM jsonb_array_elements(CASE WHEN jsonb_typeof(d.data -> 'options') = 'array'
            THEN d.data -> 'options' ELSE '[]' END) o) f
        WHERE e.grant_id IS NOT NULL),
      expected AS (SELECT ${KEYS}, sum(payments) AS payments, sum(amount) AS amount FROM facts GROUP BY ${KEYS}),
      stored AS (
        SELECT ${KEYS}, sum(payments) AS payments, sum(amount) AS amount
        FROM (SELECT h.*, s.grant_id, s.network, s.pay_to, s.host FROM spend_hours h
          LEFT JOIN spend_series s ON s.treasury_id = h.treasury_id AND s.id = h.series_id) h
        GROUP BY ${KEYS}),
      compared AS (
        SELECT ${KEYS}, coalesce(s.payments, 0) AS payments, coalesce(s.amount, 0) AS amount,
          coalesce(e.payments, 0) AS due_payments, coalesce(e.amount, 0) AS due_amount
        FROM stored s FULL JOIN expected e USING (${KEYS}))
      SELECT coalesce(grant_id, treasury_id) AS id, format('%s to %s at %s on %s, %s: %s of %s payments, due %s of %s', status,
        pay_to, host, network, hour, amount, payments, due_amount, due_payments) AS detail
      FROM compared WHERE payments <> due_payments OR amount <> due_amount`,
  },
  {
    what: 'its log has all that is folded for reports',
    sql: `SELECT c.treasury_id AS id, format('%s leaves are folded, and %s are sealed', c.leaf_index, coalesce(l.leaves, 0)) AS detail
      FROM spend_cursors c LEFT JOIN (
        SELECT treasury_id, max(leaf_index) + 1 AS leaves FROM leaves GROUP BY treasury_id) l
        ON l.treasury_id = c.treasury_id
      WHERE c.leaf_index > coalesce(l.leaves, 0)`,
  },
];

/** Rows that these questions look at. */
export const REPORT_SUMS_COUNTS = {
  'sums of reports': 'SELECT count(*) FROM spend_hours',
} as const;
