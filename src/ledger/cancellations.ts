import type { ClientBase } from 'pg';
import { appendEvents } from './events.js';

/** Who asks for a cancellation, for the record. */
export interface CancellationRequest {
  readonly treasuryId: string;
  /** One payment, or those of a grant and everything below it. */
  readonly of: { readonly paymentId: string } | { readonly grantId: string };
  /** `admin:<name>` or `grant:<id>`. */
  readonly actor: string;
  readonly requestId: string;
  readonly reason?: string | undefined;
}

/**
 * Asks, in the caller's transaction, that open payments be cancelled on chain. Nothing ends by that: a
 * worker sends the cancellations, and whatever lands first on chain decides. Payments asked for before
 * are passed over.
 *
 * It takes no lock on a payment that settlement would wait for, so a caller may hold locks on grants. It must
 * hold those of the payments' chains: a replay under them then knows whether its payment is being cancelled.
 *
 * @param at - the database's time.
 * @returns the ids of the payments asked for now.
 */
export async function requestCancellations(
  tx: ClientBase,
  at: Date,
  request: CancellationRequest,
): Promise<string[]> {
  const { treasuryId, of, actor } = request;
  const { rows } = await tx.query<{ payment_id: string; grant_id: string; network: string }>(
    `WITH asked AS (
       INSERT INTO cancellations (treasury_id, payment_id, network, requested_by, requested_at)
       SELECT p.treasury_id, p.id, p.network, $3, $4
       FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
       WHERE p.treasury_id = $1 AND p.status = 'authorized'
         AND ${'paymentId' in of ? 'p.id = $2' : 'g.path @> ARRAY[$2::text]'}
       ON CONFLICT DO NOTHING
       RETURNING treasury_id, payment_id, network)
     SELECT a.payment_id, a.network, p.grant_id FROM asked a
     JOIN payments p ON p.treasury_id = a.treasury_id AND p.id = a.payment_id
     ORDER BY a.payment_id`,
    [treasuryId, 'paymentId' in of ? of.paymentId : of.grantId, actor, at],
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
