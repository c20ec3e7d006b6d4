import type pg from 'pg';

/**
 * The invariants of docs/architecture.md that a benchmark could break, in SQL that joins and groups: it is
 * asked of millions of rows. Each query returns a row for everything that is wrong.
 *
 * What was bulk-loaded has no events; its ids sort below `$1`.
 */
const CHECKS: Readonly<Record<string, string>> = {
  'I1: a grant is within its budget and its count': `
    SELECT id, budget, reserved, spent, allocated, payments, max_payments FROM grants
    WHERE reserved < 0 OR spent < 0 OR allocated < 0 OR reserved + spent + allocated > budget
      OR payments < 0 OR payments > max_payments`,
  'I2: a grant counts exactly the payments of its subtree': `
    WITH own AS (
      SELECT treasury_id, grant_id,
        coalesce(sum(amount) FILTER (WHERE status = 'authorized'), 0) AS reserved,
        coalesce(sum(amount) FILTER (WHERE status = 'settled'), 0) AS spent,
        count(*) FILTER (WHERE status IN ('authorized', 'settled')) AS payments
      FROM payments GROUP BY treasury_id, grant_id),
    due AS (
      SELECT g.treasury_id, a.id, sum(own.reserved) AS reserved, sum(own.spent) AS spent,
        sum(own.payments) AS payments
      FROM own JOIN grants g ON g.treasury_id = own.treasury_id AND g.id = own.grant_id
      CROSS JOIN LATERAL unnest(g.path) AS a (id) GROUP BY g.treasury_id, a.id)
    SELECT g.id, g.reserved, due.reserved AS due, g.spent, due.spent AS due_spent, g.payments,
      due.payments AS due_payments
    FROM grants g LEFT JOIN due ON due.treasury_id = g.treasury_id AND due.id = g.id
    WHERE g.reserved <> coalesce(due.reserved, 0) OR g.spent <> coalesce(due.spent, 0)
      OR g.payments <> coalesce(due.payments, 0)`,
  'I3: a key, a nonce and a decision belong to one payment': `
    SELECT 'key' AS what, grant_id || ' ' || idempotency_key AS value FROM payments
      WHERE id > $1 GROUP BY 2 HAVING count(*) > 1
    UNION ALL
    SELECT 'nonce', nonce FROM payments WHERE id > $1 AND nonce IS NOT NULL
      GROUP BY nonce HAVING count(*) > 1
    UNION ALL
    SELECT 'decision', id FROM payments
      WHERE id > $1 AND nonce <> '0x' || encode(sha256(convert_to(decision, 'UTF8')), 'hex')`,
  'I5: nothing is reserved after the revocation of an ancestor': `
    SELECT p.id, a.id AS revoked FROM grants a
    JOIN grants g ON g.treasury_id = a.treasury_id AND a.id = ANY (g.path)
    JOIN payments p ON p.treasury_id = g.treasury_id AND p.grant_id = g.id
    WHERE a.status = 'revoked' AND p.id > $1 AND p.created_at > a.revoked_at`,
  'I7: a wallet holds exactly its open payments, and no more than it has': `
    SELECT b.wallet_id, b.balance, b.reserved, due.reserved AS due
    FROM wallet_balances b LEFT JOIN (
      SELECT treasury_id, wallet_id, network, asset, sum(amount) AS reserved FROM payments
      WHERE status = 'authorized' GROUP BY treasury_id, wallet_id, network, asset) due
      USING (treasury_id, wallet_id, network, asset)
    WHERE b.reserved <> coalesce(due.reserved, 0) OR b.reserved > b.balance`,
  'I8: every state of a payment was told in exactly one event': `
    SELECT p.id, p.status, told.kinds FROM payments p LEFT JOIN (
      SELECT treasury_id, payment_id AS id, array_agg(kind ORDER BY seq) AS kinds FROM events
      WHERE payment_id IS NOT NULL AND kind <> 'payment.refused' GROUP BY treasury_id, payment_id) told
      USING (treasury_id, id)
    WHERE p.id > $1 AND told.kinds IS DISTINCT FROM ARRAY['payment.authorized']
      || CASE WHEN p.status = 'authorized' THEN ARRAY[]::text[] ELSE ARRAY['payment.' || p.status] END`,
};

/** The highest id of a bulk-loaded payment; every id the service makes sorts above it. */
const LAST_LOADED_PAYMENT = 'pay_00000000zzzzzzzzzzzzzzzzzz';

/**
 * Everything in a database that breaks an invariant: one line each, none when all is well.
 *
 * @param acknowledged - how many payments were answered with 201: each must be there, durable.
 */
export async function violations(db: pg.Pool, acknowledged: number): Promise<string[]> {
  const client = await db.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const broken: string[] = [];
    for (const [name, sql] of Object.entries(CHECKS)) {
      const values = sql.includes('$1') ? [LAST_LOADED_PAYMENT] : [];
      const { rows } = await client.query(sql, values);
      for (const row of rows.slice(0, 5)) broken.push(`${name}: ${JSON.stringify(row)}`);
      if (rows.length > 5) broken.push(`${name}: and ${rows.length - 5} more`);
    }
    const { rows } = await client.query<{ count: string }>(
      'SELECT count(*) FROM payments WHERE id > $1',
      [LAST_LOADED_PAYMENT],
    );
    const found = Number(rows[0]?.count);
    if (found < acknowledged) {
      broken.push(`${acknowledged} payments were answered, and only ${found} are there`);
    }
    await client.query('COMMIT');
    return broken;
  } finally {
    client.release(true);
  }
}
