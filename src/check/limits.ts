import { valuesOf } from './amendments.js';
import type { Question } from './snapshot.js';
import { COUNTED_AMOUNT, COUNTS } from './sums.js';

/** Every signed payment with each grant that it counts to: its own and all above. */
const PAYMENTS_BY_GRANT = `payments p
  JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
  CROSS JOIN LATERAL unnest(o.path) AS e (id)
  JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = e.id`;

/**
 * The same with a term of each grant as it was when the payment was decided, as `t.value`.
 */
const paymentsUnder = (member: string, column: string) => `${PAYMENTS_BY_GRANT}
  JOIN events a ON a.treasury_id = p.treasury_id AND a.payment_id = p.id
    AND a.kind IN ('payment.authorized', 'payment.adopted')
  JOIN ${valuesOf(member, column, 'numeric')} t ON t.treasury_id = g.treasury_id AND t.grant_id = g.id
    AND a.seq > t.after AND a.seq <= t.until`;

/**
 * I1: no counter below zero, nothing beyond a budget, a count, a window or a limit of one payment. The
 * limits on payments are asked of the payments themselves, not of what a grant's row says of them.
 */
export const LIMITS: readonly Question[] = [
  {
    what: 'no counter is below 0, and reserved + spent + allocated <= budget',
    sql: `SELECT id, format('reserved %s, spent %s, allocated %s, budget %s', reserved, spent, allocated, budget) AS detail
      FROM grants WHERE reserved < 0 OR spent < 0 OR allocated < 0 OR reserved + spent + allocated > budget`,
  },
  {
    what: 'its payments are within its count',
    sql: `SELECT id, format('%s payments of %s, %s open', payments, coalesce(max_payments::text, 'any number'), open_payments) AS detail
      FROM grants WHERE payments < 0 OR payments > max_payments OR open_payments < 0 OR open_payments > payments`,
  },
  {
    what: 'every period of its windows is within the amount and the count',
    sql: `SELECT id, format('%s s from %s: %s of %s in %s payments of %s', seconds,
        to_char(starts_at + period * seconds * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        taken, coalesce(terms ->> 'amount', 'any'), payments, coalesce(terms ->> 'payments', 'any')) AS detail
      FROM (
        SELECT g.id, g.starts_at, w.terms, (w.terms ->> 'seconds')::numeric AS seconds,
          greatest(0, floor(extract(epoch FROM p.authorized_at - g.starts_at) / (w.terms ->> 'seconds')::numeric)) AS period,
          sum(${COUNTED_AMOUNT}) AS taken, count(*) AS payments
        FROM ${PAYMENTS_BY_GRANT}
        CROSS JOIN LATERAL jsonb_array_elements(g.windows) WITH ORDINALITY AS w (terms, place)
        WHERE ${COUNTS}
        GROUP BY g.treasury_id, g.id, g.starts_at, w.place, w.terms, period) s
      WHERE taken > (terms ->> 'amount')::numeric OR payments > (terms ->> 'payments')::numeric`,
  },
  {
    what: 'no payment is larger than a grant above it lets one be',
    sql: `SELECT p.id, format('%s, and grant %s allowed %s', p.amount, g.id, t.value) AS detail
      FROM ${paymentsUnder('maxPerPayment', 'max_per_payment')} WHERE p.nonce IS NOT NULL AND p.amount > t.value`,
  },
  {
    what: 'no payment was made without the approval that a grant above it asks for',
    sql: `SELECT p.id, format('%s, and grant %s asked above %s', p.amount, g.id, t.value) AS detail
      FROM ${paymentsUnder('approvalAbove', 'approval_above')}
      WHERE p.nonce IS NOT NULL AND p.amount > t.value AND p.approval_from_above IS NULL`,
  },
  {
    what: 'no payment was made to a payee that a grant above it did not know, without an approval',
    sql: `SELECT p.id, format('%s on %s, and grant %s did not know it', p.pay_to, p.network, g.id) AS detail
      FROM ${PAYMENTS_BY_GRANT}
      JOIN events a ON a.treasury_id = p.treasury_id AND a.payment_id = p.id AND a.kind = 'payment.authorized'
      WHERE g.approve_new_payees AND p.approval_from_above IS NULL AND NOT EXISTS (
        SELECT FROM known_payees k
        JOIN events b ON b.treasury_id = k.treasury_id AND b.payment_id = k.payment_id
          AND b.kind IN ('payment.authorized', 'payment.adopted')
        WHERE k.treasury_id = g.treasury_id AND k.grant_id = g.id AND k.network = p.network AND k.pay_to = p.pay_to
          AND b.seq < a.seq)`,
  },
  {
    what: 'a grant knows the payees of the approved and adopted payments below it, and no others',
    sql: `WITH due AS (
        SELECT DISTINCT ON (g.treasury_id, g.id, p.network, p.pay_to) g.treasury_id, g.id AS grant_id, p.network,
          p.pay_to, p.id AS payment_id, a.created_at AS since
        FROM ${PAYMENTS_BY_GRANT}
        JOIN events a ON a.treasury_id = p.treasury_id AND a.payment_id = p.id
          AND a.kind IN ('payment.authorized', 'payment.adopted')
        WHERE g.approve_new_payees AND (p.approved_at IS NOT NULL OR a.kind = 'payment.adopted')
        ORDER BY g.treasury_id, g.id, p.network, p.pay_to, a.seq)
      SELECT coalesce(k.grant_id, d.grant_id) AS id, format('%s, by %s at %s; due %s, by %s at %s', k.pay_to, k.payment_id,
        k.since, d.pay_to, d.payment_id, d.since) AS detail
      FROM known_payees k FULL JOIN due d USING (treasury_id, grant_id, network, pay_to)
      WHERE k.payment_id IS DISTINCT FROM d.payment_id OR k.since IS DISTINCT FROM d.since`,
  },
  {
    what: 'it came to the threshold that it tells, and tells it once',
    sql: `WITH told AS (
        SELECT e.treasury_id, e.grant_id, e.record::jsonb -> 'data' AS d, (SELECT max(a.seq) FROM events a
          WHERE a.treasury_id = e.treasury_id AND a.grant_id = e.grant_id AND a.kind = 'grant.amended' AND a.seq < e.seq)
          AS amended, b.value AS budget
        FROM events e LEFT JOIN ${valuesOf('budget', 'budget', 'numeric')} b ON b.treasury_id = e.treasury_id
          AND b.grant_id = e.grant_id AND b.after < e.seq AND e.seq <= b.until
        WHERE e.kind = 'grant.threshold')
      SELECT grant_id AS id, format('%s %% of %s, %s times, with %s', d ->> 'percent',
        coalesce('window ' || (d #>> '{window,index}'), 'the budget'), count(*), min(d ->> 'used')) || format(
        ' of %s; the budget was %s', min(d ->> 'limit'), min(budget)) AS detail
      FROM told GROUP BY treasury_id, grant_id, d ->> 'percent', d #>> '{window,index}', d #>> '{window,period}',
        CASE WHEN d #>> '{window,index}' IS NULL THEN amended END
      HAVING count(*) > 1 OR bool_and(
        100 * (d ->> 'used')::numeric >= (d ->> 'percent')::numeric * (d ->> 'limit')::numeric) IS NOT TRUE
        OR bool_or(d #>> '{window,index}' IS NULL AND (d ->> 'limit')::numeric IS DISTINCT FROM budget)`,
  },
  {
    what: 'it tripped after as many refusals as its breaker counts',
    sql: `SELECT t.grant_id AS id, format('%s refusals and %s without a record since %s', r.refusals, d ->> 'unrecorded',
        d ->> 'since') AS detail
      FROM events t JOIN grants g ON g.treasury_id = t.treasury_id AND g.id = t.grant_id
      CROSS JOIN LATERAL (SELECT t.record::jsonb -> 'data' AS d) j
      CROSS JOIN LATERAL (
        SELECT count(*) AS refusals FROM events e JOIN grants o ON o.treasury_id = e.treasury_id AND o.id = e.grant_id
        WHERE e.treasury_id = t.treasury_id AND e.kind = 'payment.refused' AND e.seq < t.seq AND g.id = ANY (o.path)
          AND e.created_at >= (d ->> 'since')::timestamptz
          AND e.record::jsonb #>> '{data,code}' IN ('budget_exceeded', 'per_payment_exceeded', 'payments_exceeded',
            'window_exceeded', 'network_not_allowed', 'payee_not_allowed', 'resource_not_allowed')) r
      WHERE t.kind = 'grant.tripped' AND (
        r.refusals + (d ->> 'unrecorded')::int < g.breaker_refusals
        OR t.created_at - (d ->> 'since')::timestamptz > g.breaker_seconds * interval '1 second') IS NOT FALSE`,
  },
];

/** Rows that I1 looks at. */
export const LIMITS_COUNTS = {
  grants: 'SELECT count(*) FROM grants',
  windows: `SELECT coalesce(sum(jsonb_array_length(windows)), 0) FROM grants`,
  payments: 'SELECT count(*) FROM payments WHERE nonce IS NOT NULL',
} as const;
