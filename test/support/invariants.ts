import type { Pool } from 'pg';

/**
 * The invariants of docs/architecture.md as plain SQL over one snapshot, without a line of the
 * service's own code. Each query returns a row for everything that is wrong.
 */
const CHECKS: Readonly<Record<string, string>> = {
  'I1: a grant is within its budget and its count': `
    SELECT id, budget, reserved, spent, allocated, payments, max_payments FROM grants
    WHERE reserved < 0 OR spent < 0 OR allocated < 0 OR reserved + spent + allocated > budget
      OR payments < 0 OR payments > max_payments`,
  'I2: a grant counts exactly the payments of its subtree': `
    SELECT g.id, g.reserved, s.reserved AS due, g.spent, s.spent AS due_spent, g.payments, s.payments AS due_payments
    FROM grants g CROSS JOIN LATERAL (
      SELECT coalesce(sum(p.amount) FILTER (WHERE p.status = 'authorized'), 0) AS reserved,
        coalesce(sum(p.amount) FILTER (WHERE p.status = 'settled'), 0) AS spent,
        count(*) FILTER (WHERE p.status IN ('authorized', 'settled')) AS payments
      FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
      WHERE o.treasury_id = g.treasury_id AND g.id = ANY (o.path)) s
    WHERE g.reserved <> s.reserved OR g.spent <> s.spent OR g.payments <> s.payments`,
  'I3: a key, a nonce and a decision belong to one payment': `
    SELECT 'key' AS what, grant_id || ' ' || idempotency_key AS value FROM payments
      GROUP BY 2 HAVING count(*) > 1
    UNION ALL
    SELECT 'nonce', nonce FROM payments WHERE nonce IS NOT NULL GROUP BY nonce HAVING count(*) > 1
    UNION ALL
    SELECT 'decision', id FROM payments
      WHERE nonce <> '0x' || encode(sha256(convert_to(decision, 'UTF8')), 'hex')`,
  'I5: nothing is reserved after the revocation of an ancestor': `
    SELECT p.id, a.id AS revoked FROM payments p
    JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
    JOIN grants a ON a.treasury_id = p.treasury_id AND a.id = ANY (g.path) AND a.status = 'revoked'
    JOIN events r ON r.treasury_id = p.treasury_id AND r.grant_id = a.id AND r.kind = 'grant.revoked'
    JOIN events e ON e.treasury_id = p.treasury_id AND e.payment_id = p.id
      AND e.kind = 'payment.authorized'
    WHERE p.created_at > a.revoked_at OR e.seq > r.seq`,
  'I7: a wallet holds exactly its open payments, and no more than it has': `
    SELECT b.wallet_id, b.balance, b.reserved, s.reserved AS due
    FROM wallet_balances b CROSS JOIN LATERAL (
      SELECT coalesce(sum(p.amount), 0) AS reserved FROM payments p
      WHERE p.treasury_id = b.treasury_id AND p.wallet_id = b.wallet_id AND p.network = b.network
        AND p.asset = b.asset AND p.status = 'authorized') s
    WHERE b.reserved <> s.reserved OR b.reserved > b.balance`,
  'I8: every state of a payment was told in exactly one event': `
    SELECT p.id, p.status, told.kinds FROM payments p CROSS JOIN LATERAL (
      SELECT array_agg(e.kind ORDER BY e.seq) AS kinds FROM events e
      WHERE e.treasury_id = p.treasury_id AND e.payment_id = p.id AND e.kind <> 'payment.refused') told
    WHERE told.kinds IS DISTINCT FROM
      CASE WHEN p.approval_body IS NULL THEN ARRAY[]::text[] ELSE ARRAY['payment.pending'] END
      || CASE WHEN p.approval_body IS NULL OR p.nonce IS NULL THEN ARRAY[]::text[] ELSE ARRAY['payment.approved'] END
      || CASE WHEN p.nonce IS NULL THEN ARRAY[]::text[] ELSE ARRAY['payment.authorized'] END
      || CASE WHEN p.status IN ('pending_approval', 'authorized') THEN ARRAY[]::text[] ELSE ARRAY['payment.' || p.status] END`,
};

/** Everything in a database that breaks an invariant: one line each, none when all is well. */
export async function brokenInvariants(db: Pool): Promise<string[]> {
  const client = await db.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const broken: string[] = [];
    for (const [name, sql] of Object.entries(CHECKS)) {
      const { rows } = await client.query(sql);
      for (const row of rows) broken.push(`${name}: ${JSON.stringify(row)}`);
    }
    await client.query('COMMIT');
    return broken;
  } finally {
    client.release(true);
  }
}
