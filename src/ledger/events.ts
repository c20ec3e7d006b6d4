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

/** Writes events, each as its canonical audit record (RFC 8785). */
export const NEW_EVENTS = {
  // Canonical JSON holds no raw control character: the records travel as lines of one text.
  sql: `INSERT INTO events (treasury_id, id, kind, actor, grant_id, payment_id, record, created_at)
    SELECT *, $8::timestamptz FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
      $6::text[], string_to_array($7::text, E'\n'))`,
  /** @param at - the database's time of the change. */
  values: (at: Date, events: readonly NewEvent[]) => {
    const rows = events.map((event) => ({ ...event, id: newId('evt') }));
    return [
      rows.map(({ treasuryId }) => treasuryId),
      rows.map(({ id }) => id),
      rows.map(({ kind }) => kind),
      rows.map(({ actor }) => actor),
      rows.map(({ grantId }) => grantId ?? null),
      rows.map(({ paymentId }) => paymentId ?? null),
      rows.map((row) => recordOf(row, at)).join('\n'),
      at,
    ];
  },
};

/**
 * Writes events in the caller's transaction: if the event cannot be written, the change does not
 * happen.
 *
 * @param at - the database's time of the change.
 */
export async function appendEvents(
  tx: ClientBase,
  at: Date,
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  await tx.query(NEW_EVENTS.sql, NEW_EVENTS.values(at, events));
}

function recordOf(event: NewEvent & { id: string }, at: Date): string {
  return canonicalJson({
    actor: event.actor,
    at: at.toISOString(),
    data: event.data,
    grantId: event.grantId ?? null,
    id: event.id,
    kind: event.kind,
    paymentId: event.paymentId ?? null,
    reason: event.reason ?? null,
    requestId: event.requestId ?? null,
    treasuryId: event.treasuryId,
    version: 'bursar.event.v1',
  });
}
