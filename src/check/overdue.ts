import type { Question } from './snapshot.js';

/** A network's newest block that is final for every RPC. */
export interface FinalTime {
  readonly network: string;
  /** Unix seconds. */
  readonly time: bigint;
}

/**
 * I9: nothing stays open that could have ended long ago. Payments by the time of final blocks, which holds
 * the time to finality already, and by the database's clock: the later of the two counts.
 *
 * @param finals - of the networks that could be asked; payments of others are passed over.
 */
export function overdue(finals: readonly FinalTime[], allowedSeconds: number): Question[] {
  const allowed = `interval '${allowedSeconds} seconds'`;
  const values = finals.map(({ network, time }) => `('${network}', ${time})`).join(', ');
  const ofPayments: Question = {
    what: `a payment ends within ${allowedSeconds} s of a final block past its validBefore`,
    sql: `SELECT p.id, format('open, valid until %s; final blocks reach %s', p.valid_before, f.time) AS detail
      FROM payments p JOIN (VALUES ${values}) AS f (network, time) ON f.network = p.network
      WHERE p.status = 'authorized' AND p.valid_before + ${allowedSeconds} < f.time
        AND p.valid_before + ${allowedSeconds} < extract(epoch FROM now())`,
  };
  return [
    ...(finals.length > 0 ? [ofPayments] : []),
    {
      what: `a payment that nobody approved lapses within ${allowedSeconds} s`,
      sql: `SELECT id, format('waits, and lapsed %s', approval_lapses_at) AS detail FROM payments
        WHERE status = 'pending_approval' AND approval_lapses_at + ${allowed} < now()`,
    },
    {
      what: `a carve-out that has expired gives back within ${allowedSeconds} s`,
      // Payments below it may have ended just now: it gives back after that.
      sql: `SELECT g.id, format('expired %s, nothing open', g.expires_at) AS detail FROM grants g
        WHERE g.funding = 'reserved' AND g.parent_id IS NOT NULL AND g.returned_at IS NULL
          AND g.open_payments = 0 AND g.expires_at + ${allowed} < now()
          AND NOT EXISTS (SELECT FROM grants b
            JOIN payments p ON p.treasury_id = b.treasury_id AND p.grant_id = b.id
            WHERE b.treasury_id = g.treasury_id AND b.lineage >= g.lineage AND b.lineage < g.lineage || 'z'
              AND p.ended_at + ${allowed} >= now())`,
    },
    {
      what: `an event is sealed within ${allowedSeconds} s`,
      sql: `SELECT id, format('%s of %s', kind, created_at) AS detail FROM unsealed_events JOIN events USING (treasury_id, seq)
        WHERE created_at + ${allowed} < now()`,
    },
  ];
}

/** Rows that I9 looks at. */
export const OVERDUE_COUNTS = {
  'open payments': `SELECT count(*) FROM payments WHERE status = 'authorized'`,
  'waiting for an approval': `SELECT count(*) FROM payments WHERE status = 'pending_approval'`,
  'unsealed events': 'SELECT count(*) FROM unsealed_events',
} as const;
