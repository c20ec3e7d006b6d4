import { valuesOf } from './amendments.js';
import type { Question } from './snapshot.js';

/**
 * I5: no payment was decided while a grant above it, or its own, was not to pay. By the times of the
 * rows, and by the order of the events: those of one grant are written under its lock, one behind the other.
 */
export const AUTHORITY: readonly Question[] = [
  {
    what: 'it was decided within the life of every grant above it',
    sql: `SELECT p.id, format('decided %s; grant %s lives from %s to %s', p.authorized_at, g.id, g.starts_at,
        least(t.value, g.revoked_at)) AS detail
      FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
      CROSS JOIN LATERAL unnest(o.path) AS e (id)
      JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = e.id
      JOIN events a ON a.treasury_id = p.treasury_id AND a.payment_id = p.id
        AND a.kind IN ('payment.authorized', 'payment.adopted')
      JOIN ${valuesOf('expiresAt', 'expires_at', 'timestamptz')} t ON t.treasury_id = g.treasury_id AND t.grant_id = g.id
        AND a.seq > t.after AND a.seq <= t.until
      WHERE p.authorized_at < g.starts_at OR p.authorized_at >= t.value OR p.authorized_at > g.revoked_at`,
  },
  {
    what: 'it was decided while no grant above it was suspended or revoked',
    sql: `WITH lives AS (
        SELECT treasury_id, grant_id, kind, seq,
          lead(seq) OVER (PARTITION BY treasury_id, grant_id ORDER BY seq) AS until
        FROM events WHERE kind IN ('grant.suspended', 'grant.tripped', 'grant.resumed', 'grant.revoked')),
      paused AS (SELECT * FROM lives WHERE kind <> 'grant.resumed')
      SELECT p.id, format('decided after %s of %s', x.kind, x.grant_id) AS detail
      FROM events a
      JOIN payments p ON p.treasury_id = a.treasury_id AND p.id = a.payment_id
      JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
      CROSS JOIN LATERAL unnest(o.path) AS e (id)
      JOIN paused x ON x.treasury_id = p.treasury_id AND x.grant_id = e.id
        AND a.seq > x.seq AND (x.until IS NULL OR a.seq < x.until OR x.kind = 'grant.revoked')
      WHERE a.kind = 'payment.authorized'`,
  },
  {
    what: 'it was decided, and grants were minted, while the treasury was not suspended',
    sql: `WITH pauses AS (
        SELECT treasury_id, kind, seq, lead(seq) OVER (PARTITION BY treasury_id ORDER BY seq) AS until
        FROM events WHERE kind IN ('treasury.suspended', 'treasury.resumed'))
      SELECT coalesce(a.payment_id, a.grant_id) AS id, format('%s after treasury.suspended of %s', a.kind, a.treasury_id) AS detail
      FROM pauses x JOIN events a ON a.treasury_id = x.treasury_id AND a.seq > x.seq AND (x.until IS NULL OR a.seq < x.until)
      WHERE x.kind = 'treasury.suspended'
        AND a.kind IN ('payment.authorized', 'payment.pending', 'grant.minted', 'grant.delegated')`,
  },
  {
    what: 'it was signed under an approval that had not lapsed, where it waited for one',
    sql: `SELECT id, format('approved %s, to be collected before %s, decided %s', approved_at, approval_lapses_at,
        authorized_at) AS detail
      FROM payments WHERE approval_from_above IS NOT NULL AND authorized_at IS NOT NULL
        AND (approved_at IS NULL OR authorized_at < approved_at OR authorized_at >= approval_lapses_at)`,
  },
];

/** Rows that I5 looks at. */
export const AUTHORITY_COUNTS = {
  payments: 'SELECT count(*) FROM payments WHERE nonce IS NOT NULL',
  'revocations and pauses': `SELECT count(*) FROM events WHERE kind IN ('grant.revoked', 'grant.suspended',
    'grant.tripped', 'treasury.suspended')`,
} as const;
