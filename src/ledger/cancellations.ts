import type { ClientBase } from 'pg';
import { Problem } from '../domain/problem.js';
import { appendEvents } from './events.js';

/** How many cancellations may be asked for in {@link DAY_SECONDS}: within one root grant, and within one treasury. */
interface GasBounds {
  /** The root of the grants concerned: what its tree asks for is counted together. */
  readonly rootId: string;
  readonly root: number;
  readonly treasury: number;
}

/** Actor who asks for a cancellation, for the record. */
export interface CancellationRequest {
  readonly treasuryId: string;
  /** One payment, or those of a grant and everything below it. */
  readonly of: { readonly paymentId: string } | { readonly grantId: string };
  /** The bounds of the gas; undefined for admins, who are not refused. */
  readonly bounds?: GasBounds | undefined;
  /** `admin:<name>` or `grant:<id>`. */
  readonly actor: string;
  readonly requestId: string;
  readonly reason?: string | undefined;
}

/** The time that the bounds count over. */
const DAY_SECONDS = 86_400;

/**
 * Asks, in the caller's transaction, that open payments be cancelled on chain. Nothing ends by that: a
 * worker sends the cancellations, and whatever lands first on chain decides. Payments asked for before
 * are passed over, and so are payments of 0: there is nothing to take back, and gas to lose.
 *
 * Each cancellation costs gas, which no limit of a grant counts, so the bounds do. Of a grant's payments the
 * largest are asked for, as many as the bounds allow.
 *
 * It takes no lock on a payment that settlement would wait for, so a caller may hold locks on grants. It must
 * hold those of the payments' chains: a replay under them then knows whether its payment is being cancelled.
 *
 * @param at - the database's time.
 * @returns the ids of the payments asked for now.
 * @throws Problem `gas_exceeded` when it is about one payment, and a bound is reached.
 */
export async function requestCancellations(
  tx: ClientBase,
  at: Date,
  request: CancellationRequest,
): Promise<string[]> {
  const { treasuryId, of, actor } = request;
  const room = await roomFor(tx, at, request);
  const { rows } = await tx.query<{ payment_id: string; grant_id: string; network: string }>(
    `WITH asked AS (
       INSERT INTO cancellations (treasury_id, payment_id, network, requested_by, requested_at)
       SELECT p.treasury_id, p.id, p.network, $3, $4
       FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
       WHERE p.treasury_id = $1 AND p.status = 'authorized' AND p.amount > 0
         AND ${'paymentId' in of ? 'p.id = $2' : 'g.path @> ARRAY[$2::text]'}
         AND NOT EXISTS (SELECT FROM cancellations c WHERE c.treasury_id = p.treasury_id AND c.payment_id = p.id)
       ORDER BY p.amount DESC, p.id LIMIT $5
       ON CONFLICT DO NOTHING
       RETURNING treasury_id, payment_id, network)
     SELECT a.payment_id, a.network, p.grant_id FROM asked a
     JOIN payments p ON p.treasury_id = a.treasury_id AND p.id = a.payment_id
     ORDER BY a.payment_id`,
    [treasuryId, 'paymentId' in of ? of.paymentId : of.grantId, actor, at, room],
  );
  await appendEvents(
    tx,
    at,
    rows.map((row) => ({
      treasuryId,
      kind: 'payment.cancel_requested',
      actor,
      grantId: row.grant_id,
      paymentId: row.payment_id,
      requestId: request.requestId,
      reason: request.reason,
      data: { network: row.network },
    })),
  );
  return rows.map(({ payment_id }) => payment_id);
}

/** How many cancellations the bounds still allow; null for any number. */
async function roomFor(
  tx: ClientBase,
  at: Date,
  { treasuryId, of, bounds }: CancellationRequest,
): Promise<number | null> {
  if (!bounds) return null;
  const { rootId } = bounds;
  // The root's row is locked, and so what its tree asks for is counted by one at a time. Of a treasury only this
  // lock sees to that.
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `cancellations ${treasuryId}`,
  ]);
  const { rows } = await tx.query<{
    by_root: number;
    by_treasury: number;
    asked: boolean;
    root_opens: number;
    treasury_opens: number;
  }>(
    `SELECT count(*) FILTER (WHERE g.root_id = $3)::int AS by_root, count(*)::int AS by_treasury,
       coalesce(bool_or(c.payment_id = $5), false) AS asked,
       ${opensIn('min(c.requested_at) FILTER (WHERE g.root_id = $3)')} AS root_opens,
       ${opensIn('min(c.requested_at)')} AS treasury_opens
     FROM cancellations c
     JOIN payments p ON p.treasury_id = c.treasury_id AND p.id = c.payment_id
     JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
     WHERE c.treasury_id = $1 AND c.requested_at > $2::timestamptz - make_interval(secs => $4)`,
    [treasuryId, at, rootId, DAY_SECONDS, 'paymentId' in of ? of.paymentId : null],
  );
  const [used] = rows;
  if (!used) throw new Error('the cancellations of a day were not counted');
  const room = {
    root: Math.max(0, bounds.root - used.by_root),
    treasury: Math.max(0, bounds.treasury - used.by_treasury),
  };
  const isRoot = room.root === 0;
  if ('paymentId' in of && !used.asked && (isRoot || room.treasury === 0)) {
    const whose = isRoot ? `the grants below root ${rootId}` : 'the treasury';
    const limit = isRoot ? bounds.root : bounds.treasury;
    throw new Problem(
      'gas_exceeded',
      `${whose} may have ${limit} payments cancelled in a day, and has; let the signature of payment ${of.paymentId} run out, ` +
        'or have an admin cancel it',
      {
        ...(isRoot ? { grantId: rootId } : {}),
        limit: String(limit),
        remaining: '0',
        retryAfterSeconds: (isRoot ? used.root_opens : used.treasury_opens) ?? DAY_SECONDS,
      },
    );
  }
  return Math.min(room.root, room.treasury);
}

/** SQL for the seconds until the oldest cancellation of the day no longer counts. */
function opensIn(oldest: string): string {
  return `greatest(1, ceil(extract(epoch FROM ${oldest} + make_interval(secs => $4) - $2::timestamptz)))::int`;
}
