import { parsed } from './records.js';
import type { Question } from './snapshot.js';

/** The kinds of events by which payments end. */
const ENDINGS = ['payment.settled', 'payment.released', 'payment.cancelled', 'payment.rejected'];

/** The kinds of events that tell of refusals. */
const REFUSALS = ['payment.refused', 'payment.refused_more'];

const listed = (kinds: readonly string[]) => kinds.map((kind) => `'${kind}'`).join(', ');

/** Members that the sums are kept by. */
const KEYS = 'treasury_id, grant_id, network, pay_to, host, hour, status';

/** SQL of the member that all options of a refusal agree on; empty where they do not. */
const agreed = (member: string) =>
  `CASE WHEN count(DISTINCT o ->> '${member}') = 1 THEN min(o ->> '${member}') ELSE '' END`;

/**
 * I2, the sums of reports: they hold the endings and the refusals of the leaves before the leaf where the fold goes on.
 * Events behind it are not in the sums yet, and are no finding.
 */
export const FOLDED: readonly Question[] = [
  {
    what: 'its sums for reports are those of its ended payments and its refusals',
    sql: `WITH told AS (
        SELECT e.treasury_id, e.kind, e.grant_id, e.payment_id, e.created_at, e.record
        FROM log_events e JOIN spend_cursors c ON c.treasury_id = e.treasury_id
        WHERE e.leaf_index < c.leaf_index AND e.kind IN (${listed([...ENDINGS, ...REFUSALS])})),
      facts AS (
        SELECT p.treasury_id, p.grant_id, p.network, p.pay_to, coalesce(p.host, '') AS host,
          date_trunc('hour', p.created_at, 'UTC') AS hour, substr(t.kind, length('payment.') + 1) AS status,
          1 AS payments, CASE WHEN t.kind = 'payment.settled' THEN p.paid ELSE p.amount END AS amount
        FROM told t JOIN payments p ON p.treasury_id = t.treasury_id AND p.id = t.payment_id
        WHERE t.kind IN (${listed(ENDINGS)})
        UNION ALL
        SELECT t.treasury_id, t.grant_id, f.network, f.pay_to,
          coalesce(lower(substring(t.data #>> '{request,url}' FROM '^[A-Za-z]+://(\\[[^]]*\\]|[^/?#:]+)')), ''),
          date_trunc('hour', t.created_at, 'UTC'), 'refused', coalesce((t.data ->> 'refusals')::bigint, 1), 0
        FROM (SELECT *, ${parsed('record')} -> 'data' AS data FROM told WHERE kind IN (${listed(REFUSALS)})) t
        CROSS JOIN LATERAL (
          SELECT ${agreed('network')} AS network, ${agreed('payTo')} AS pay_to
          FROM jsonb_array_elements(coalesce(t.data -> 'options', '[]')) o) f
        WHERE t.grant_id IS NOT NULL),
      due AS (SELECT ${KEYS}, sum(payments) AS payments, sum(amount) AS amount FROM facts GROUP BY ${KEYS}),
      kept AS (
        SELECT ${KEYS}, sum(payments) AS payments, sum(amount) AS amount
        FROM (SELECT h.*, s.grant_id, s.network, s.pay_to, s.host FROM spend_hours h
          LEFT JOIN spend_series s ON s.treasury_id = h.treasury_id AND s.id = h.series_id) h
        GROUP BY ${KEYS})
      SELECT coalesce(grant_id, treasury_id) AS id, format('%s to %s at %s on %s, %s: %s of %s payments, due %s of %s', status,
        pay_to, host, network, hour, k.amount, k.payments, coalesce(d.amount, 0), coalesce(d.payments, 0)) AS detail
      FROM kept k FULL JOIN due d USING (${KEYS})
      WHERE coalesce(k.payments, 0) <> coalesce(d.payments, 0) OR coalesce(k.amount, 0) <> coalesce(d.amount, 0)`,
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
export const FOLDED_COUNTS = { 'sums of reports': 'SELECT count(*) FROM spend_hours' } as const;
