import type { Question } from './snapshot.js';

/** Whether a payment aliased `p` counts in `payments` and in windows: not while it waits, nor once released. */
export const COUNTS = `(p.status IN ('authorized', 'settled', 'cancelled')
  -- The log has no such member in records of a time when a cancelled payment was no longer counted.
  AND NOT (p.status = 'cancelled' AND EXISTS (SELECT FROM events e WHERE e.treasury_id = p.treasury_id
    AND e.payment_id = p.id AND e.kind = 'payment.cancelled' AND strpos(e.record, '"counted":true') = 0)))`;

/** Amount that a payment aliased `p` takes of its windows, when it counts. */
export const COUNTED_AMOUNT = `CASE WHEN p.status = 'settled' THEN p.paid ELSE p.amount END`;

/** I2: every counter of a grant is what the payments and carve-outs below it come to. */
export const SUMS: readonly Question[] = [
  {
    what: 'its counters are the sums over the payments of its subtree',
    sql: `WITH own AS (
        SELECT treasury_id, grant_id,
          coalesce(sum(amount) FILTER (WHERE status = 'authorized'), 0) AS reserved,
          coalesce(sum(paid), 0) AS spent,
          count(*) FILTER (WHERE status = 'authorized') AS open,
          count(*) FILTER (WHERE ${COUNTS}) AS payments,
          max(valid_before) FILTER (WHERE status = 'authorized') AS last, max(valid_before) AS longest
        FROM payments p GROUP BY treasury_id, grant_id),
      due AS (
        SELECT g.treasury_id, e.id, sum(own.reserved) AS reserved, sum(own.spent) AS spent,
          sum(own.open) AS open, sum(own.payments) AS payments, max(own.last) AS last, max(own.longest) AS longest
        FROM own JOIN grants g ON g.treasury_id = own.treasury_id AND g.id = own.grant_id
        CROSS JOIN LATERAL unnest(g.path) AS e (id) GROUP BY g.treasury_id, e.id)
      SELECT g.id, concat_ws(', ',
          CASE WHEN g.reserved <> coalesce(d.reserved, 0) THEN format('reserved %s, due %s', g.reserved, coalesce(d.reserved, 0)) END,
          CASE WHEN g.spent <> coalesce(d.spent, 0) THEN format('spent %s, due %s', g.spent, coalesce(d.spent, 0)) END,
          CASE WHEN g.payments <> coalesce(d.payments, 0) THEN format('payments %s, due %s', g.payments, coalesce(d.payments, 0)) END,
          CASE WHEN g.open_payments <> coalesce(d.open, 0) THEN format('open %s, due %s', g.open_payments, coalesce(d.open, 0)) END,
          CASE WHEN g.last_valid_before < d.last OR g.last_valid_before > coalesce(d.longest, 0)
            THEN format('open until %s, due %s', g.last_valid_before, coalesce(d.last, d.longest, 0)) END) AS detail
      FROM grants g LEFT JOIN due d ON d.treasury_id = g.treasury_id AND d.id = g.id
      WHERE g.reserved <> coalesce(d.reserved, 0) OR g.spent <> coalesce(d.spent, 0)
        OR g.payments <> coalesce(d.payments, 0) OR g.open_payments <> coalesce(d.open, 0)
        -- It only rises, and never past a signature that was made.
        OR g.last_valid_before < d.last OR g.last_valid_before > coalesce(d.longest, 0)`,
  },
  {
    // A carve-out is set aside by the grants above it, up to the next carve-out or the root.
    what: 'what it has set aside is what the carve-outs below it may still take',
    sql: `WITH carved AS (
        SELECT c.treasury_id, c.path, c.depth, c.budget - c.reserved - c.spent AS rest, coalesce((
          SELECT max(b.place) FROM unnest(c.path[1:c.depth]) WITH ORDINALITY AS b (id, place)
          JOIN grants m ON m.treasury_id = c.treasury_id AND m.id = b.id
          WHERE m.funding = 'reserved'), 1) AS first
        FROM grants c
        WHERE c.funding = 'reserved' AND c.parent_id IS NOT NULL AND c.returned_at IS NULL),
      due AS (
        SELECT c.treasury_id, e.id, sum(c.rest) AS allocated
        FROM carved c CROSS JOIN LATERAL unnest(c.path[c.first:c.depth]) AS e (id)
        GROUP BY c.treasury_id, e.id)
      SELECT g.id, format('allocated %s, due %s', g.allocated, coalesce(d.allocated, 0)) AS detail
      FROM grants g LEFT JOIN due d ON d.treasury_id = g.treasury_id AND d.id = g.id
      WHERE g.allocated <> coalesce(d.allocated, 0)`,
  },
  {
    what: 'its windows count the payments of their last period',
    sql: `SELECT id, format('window %s: %s in %s payments, due %s in %s', place,
        usage ->> 'amount', usage ->> 'payments', taken, payments) AS detail
      FROM (
        SELECT g.id, w.place, u.usage, coalesce(sum(p.counted), 0) AS taken, count(p.id) AS payments
        FROM grants g
        CROSS JOIN LATERAL jsonb_array_elements(g.windows) WITH ORDINALITY AS w (terms, place)
        CROSS JOIN LATERAL (SELECT coalesce(g.window_usage -> (w.place - 1)::int,
          '{"period": 0, "amount": "0", "payments": 0}') AS usage) u
        LEFT JOIN (
          SELECT p.treasury_id, p.id, p.authorized_at, e.id AS grant_id,
            ${COUNTED_AMOUNT} AS counted
          FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
          CROSS JOIN LATERAL unnest(o.path) AS e (id)
          WHERE ${COUNTS}) p
          ON p.treasury_id = g.treasury_id AND p.grant_id = g.id
          -- A later period's usage stands when the clock is set back: what is paid then counts to it.
          AND floor(extract(epoch FROM p.authorized_at - g.starts_at) / (w.terms ->> 'seconds')::numeric)
            >= (u.usage ->> 'period')::numeric
        GROUP BY g.treasury_id, g.id, w.place, u.usage) s
      WHERE (usage ->> 'amount')::numeric <> taken OR (usage ->> 'payments')::numeric <> payments`,
  },
  {
    what: 'a grant that no revocation has ended counts those below it that are as alive, and not counted out',
    sql: `WITH living AS (
        SELECT o.treasury_id, o.id, o.path, o.alive, o.counted_out_at FROM grants o WHERE NOT EXISTS (
          SELECT FROM unnest(o.path) AS b (id)
          JOIN grants a ON a.treasury_id = o.treasury_id AND a.id = b.id AND a.status = 'revoked')),
      due AS (
        SELECT l.treasury_id, e.id, count(*) FILTER (WHERE l.counted_out_at IS NULL) AS alive
        FROM living l CROSS JOIN LATERAL unnest(l.path) AS e (id) GROUP BY l.treasury_id, e.id)
      SELECT l.id, format('alive %s, due %s', l.alive, d.alive) AS detail
      FROM living l JOIN due d ON d.treasury_id = l.treasury_id AND d.id = l.id
      WHERE l.alive <> d.alive`,
  },
  {
    what: 'it counts the payments of its subtree that wait',
    sql: `WITH due AS (
        SELECT o.treasury_id, e.id, count(*) AS waiting
        FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
        CROSS JOIN LATERAL unnest(o.path) AS e (id)
        WHERE p.status = 'pending_approval' GROUP BY o.treasury_id, e.id)
      SELECT g.id, format('waiting %s, due %s', g.waiting, coalesce(d.waiting, 0)) AS detail
      FROM grants g LEFT JOIN due d ON d.treasury_id = g.treasury_id AND d.id = g.id
      WHERE g.waiting <> coalesce(d.waiting, 0)`,
  },
  {
    what: 'its treasury counts what its roots do',
    sql: `SELECT t.id, format('alive %s, waiting %s, open %s; due %s, %s, %s', u.alive, u.waiting, u.open_payments,
        d.alive, d.waiting, d.open) AS detail
      FROM treasuries t LEFT JOIN treasury_usage u ON u.treasury_id = t.id
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(g.alive), 0) AS alive, coalesce(sum(g.waiting), 0) AS waiting,
          coalesce(sum(g.open_payments), 0) AS open
        FROM grants g WHERE g.treasury_id = t.id AND g.parent_id IS NULL) d
      WHERE (u.alive, u.waiting, u.open_payments) IS DISTINCT FROM (d.alive, d.waiting, d.open)`,
  },
];

/** Rows that I2 looks at. */
export const SUMS_COUNTS = {
  grants: 'SELECT count(*) FROM grants',
  'carve-outs': `SELECT count(*) FROM grants WHERE funding = 'reserved' AND parent_id IS NOT NULL`,
  payments: `SELECT count(*) FROM payments p WHERE ${COUNTS}`,
} as const;
