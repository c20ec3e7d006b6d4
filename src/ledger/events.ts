import type { ClientBase } from 'pg';
import { canonicalJson } from '../domain/canonical.js';
import { newId } from '../ids.js';

/** Every kind of state change the log knows. */
export type EventKind =
  | 'treasury.created'
  | 'wallet.added'
  | 'wallet.draining'
  | 'wallet.active'
  | 'wallet.retired'
  | 'grant.minted'
  | 'grant.delegated'
  | 'grant.suspended'
  | 'grant.resumed'
  | 'grant.revoked'
  | 'grant.returned'
  | 'grant.token_reissued'
  | 'grant.token_revoked'
  | 'admin.token_revoked'
  | 'payment.authorized'
  | 'payment.refused'
  | 'payment.seen'
  | 'payment.sighting_withdrawn'
  | 'payment.cancel_requested'
  | 'payment.pending'
  | 'payment.approved'
  | 'payment.rejected'
  | 'payment.settled'
  | 'payment.released'
  | 'payment.cancelled'
  | 'payment.refused_more'
  | 'key.created'
  | 'key.retired'
  | 'admin.token_minted'
  | 'admin.signed_in';

/** One state change, to be written in the transaction that makes it. */
export interface NewEvent {
  readonly treasuryId: string;
  readonly kind: EventKind;
  /** Who did it: `admin:<name>`, `grant:<id>` or `system:<room>`. */
  readonly actor: string;
  readonly grantId?: string | undefined;
  readonly paymentId?: string | undefined;
  readonly requestId?: string | undefined;
  readonly reason?: string | undefined;
  /** What changed: JSON values only; amounts in atomic units as decimal strings. Never a secret. */
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Writes events in the caller's transaction, each as its canonical audit record (RFC 8785): if the
 * event cannot be written, the change does not happen.
 *
 * @param at - the database's time of the change.
 */
export async function appendEvents(
  tx: ClientBase,
  at: Date,
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => {
    const id = newId('evt');
    const record = canonicalJson({
      version: 'bursar.event.v1',
      id,
      treasuryId: event.treasuryId,
      kind: event.kind,
      actor: event.actor,
      at: at.toISOString(),
      grantId: event.grantId ?? null,
      paymentId: event.paymentId ?? null,
      requestId: event.requestId ?? null,
      reason: event.reason ?? null,
      data: event.data,
    });
    return { ...event, id, record };
  });
  await tx.query(
    `INSERT INTO events (treasury_id, id, kind, actor, grant_id, payment_id, record, created_at)
     SELECT *, $8::timestamptz FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])`,
    [
      rows.map(({ treasuryId }) => treasuryId),
      rows.map(({ id }) => id),
      rows.map(({ kind }) => kind),
      rows.map(({ actor }) => actor),
      rows.map(({ grantId }) => grantId ?? null),
      rows.map(({ paymentId }) => paymentId ?? null),
      rows.map(({ record }) => record),
      at,
    ],
  );
}
