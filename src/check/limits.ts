import type { Question } from './snapshot.js';

/** Every signed payment with each grant that it counts to: its own and all above. */
const PAYMENTS_BY_GRANT = `payments p
  JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
  CROSS JOIN LATERAL unnest(o.path) AS e (id)
  JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = e.id`;

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
          sum(p.amount) AS taken, count(*) AS payments
        FROM ${PAYMENTS_BY_GRANT}
        CROSS JOIN LATERAL jsonb_array_elements(g.windows) WITH ORDINALITY AS w (terms, place)
        WHERE p.status IN ('authorized', 'settled')
        GROUP BY g.treasury_id, g.id, g.starts_at, w.place, w.terms, period) s
      WHERE taken > (terms ->> 'amount')::numeric OR payments > (terms ->> 'payments')::numeric`,
  },
  {
    what: 'no payment is larger than a grant above it lets one be',
    sql: `SELECT p.id, format('%s, and grant %s allows %s', p.amount, g.id, g.max_per_payment) AS detail
      FROM ${PAYMENTS_BY_GRANT} WHERE p.nonce IS NOT NULL AND p.amount > g.max_per_payment`,
  },
  {
    what: 'no payment was made without the approval that a grant above it asks for',
    sql: `SELECT p.id, format('%s, and grant %s asks above %s', p.amount, g.id, g.approval_above) AS detail
      FROM ${PAYMENTS_BY_GRANT}
      WHERE p.nonce IS NOT NULL AND p.amount > g.approval_above AND p.approval_from_above IS NULL`,
  },
];

/** What I1 looks at. */
export const LIMITS_COUNTS = {
  grants: 'SELECT count(*) FROM grants',
  windows: `SELECT coalesce(sum(jsonb_array_length(windows)), 0) FROM grants`,
  payments: 'SELECT count(*) FROM payments WHERE nonce IS NOT NULL',
} as const;
