import type { Question } from './snapshot.js';

/** I8, the rows: every state a row is in, and every one before it, is told by one event, in order. */
export const TRANSITIONS: readonly Question[] = [
  {
    what: 'its states were told in one event each, in order, and none after its end',
    sql: `SELECT p.id, format('it is %s, told: %s', p.status, coalesce(array_to_string(t.kinds, ', '), 'nothing')) AS detail
      FROM payments p LEFT JOIN (
        SELECT treasury_id, payment_id,
          array_agg(replace(kind, 'payment.adopted', 'payment.authorized') ORDER BY leaf_index NULLS LAST, seq) AS kinds
        FROM (
          SELECT *, lag(kind) OVER (PARTITION BY treasury_id, payment_id ORDER BY leaf_index NULLS LAST, seq) AS before
          FROM log_events WHERE kind IN ('payment.pending', 'payment.approved', 'payment.authorized', 'payment.adopted', 'payment.settled',
            'payment.released', 'payment.cancelled', 'payment.rejected')) e
        -- A second approval replaces the first.
        WHERE NOT (kind = 'payment.approved' AND before IS NOT DISTINCT FROM 'payment.approved')
        GROUP BY treasury_id, payment_id) t ON t.treasury_id = p.treasury_id AND t.payment_id = p.id
      WHERE t.kinds IS DISTINCT FROM
        CASE WHEN p.approval_from_above IS NULL THEN '{}'::text[] ELSE ARRAY['payment.pending'] END
        || CASE WHEN p.approved_at IS NULL THEN '{}'::text[] ELSE ARRAY['payment.approved'] END
        || CASE WHEN p.nonce IS NULL THEN '{}'::text[] ELSE ARRAY['payment.authorized'] END
        || CASE WHEN p.status IN ('pending_approval', 'authorized') THEN '{}'::text[] ELSE ARRAY['payment.' || p.status] END`,
  },
  {
    what: 'its end and its place on chain are there exactly when it has ended',
    sql: `SELECT id, format('%s, ended %s, transaction %s, block %s', status, coalesce(ended_at::text, 'never'),
        coalesce(transaction, 'none'), coalesce(block_number::text, 'none')) AS detail
      FROM payments WHERE (status IN ('pending_approval', 'authorized')) <> (ended_at IS NULL)
        OR (status IN ('settled', 'cancelled')) <> (transaction IS NOT NULL)
        OR (status <> 'settled' AND paid <> 0)
        OR (status IN ('settled', 'cancelled', 'released')) <> (block_number IS NOT NULL)
        OR status NOT IN ('pending_approval', 'authorized', 'settled', 'released', 'cancelled', 'rejected')`,
  },
  {
    what: 'its state was told',
    sql: `SELECT g.id, format('it is %s, told: %s', g.status || CASE WHEN g.returned_at IS NULL THEN '' ELSE ' and returned' END,
        coalesce(array_to_string(t.kinds, ', '), 'nothing')) AS detail
      FROM grants g LEFT JOIN (
        SELECT treasury_id, grant_id, array_agg(kind ORDER BY leaf_index NULLS LAST, seq) AS kinds
        FROM log_events WHERE kind IN ('grant.minted', 'grant.delegated', 'grant.suspended', 'grant.tripped',
          'grant.resumed', 'grant.revoked', 'grant.returned')
        GROUP BY treasury_id, grant_id) t ON t.treasury_id = g.treasury_id AND t.grant_id = g.id
      WHERE t.kinds IS NULL
        OR t.kinds[1] <> CASE WHEN g.parent_id IS NULL THEN 'grant.minted' ELSE 'grant.delegated' END
        OR cardinality(array_positions(t.kinds, t.kinds[1])) <> 1
        OR cardinality(array_positions(t.kinds, 'grant.revoked')) <> (g.status = 'revoked')::int
        OR cardinality(array_positions(t.kinds, 'grant.returned')) <> (g.returned_at IS NOT NULL)::int
        OR (g.status = 'suspended') <> coalesce((
          SELECT k.kind IN ('grant.suspended', 'grant.tripped') FROM unnest(t.kinds) WITH ORDINALITY AS k (kind, place)
          WHERE k.kind IN ('grant.suspended', 'grant.tripped', 'grant.resumed', 'grant.revoked') ORDER BY k.place DESC LIMIT 1), false)`,
  },
];

/** Rows that I8 looks at. */
export const TRANSITIONS_COUNTS = {
  payments: 'SELECT count(*) FROM payments',
  grants: 'SELECT count(*) FROM grants',
  events: 'SELECT count(*) FROM events',
} as const;
