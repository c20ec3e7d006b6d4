import type { SpanContext } from '@opentelemetry/api';
import type { ClientBase } from 'pg';
import { canonicalJson } from '../domain/canonical.js';
import type { ConcealedOpening } from '../domain/disclosure.js';
import { newId } from '../ids.js';
import { currentTrace, traceMembers } from '../tracing/trace-scope.js';
import { joined, plainTexts } from './plain-texts.js';

/** Every kind of state change the log knows. */
export type EventKind =
  | 'treasury.created'
  | 'treasury.changed'
  | 'treasury.fenced'
  | 'treasury.unfenced'
  | 'treasury.suspended'
  | 'treasury.resumed'
  | 'treasury.low'
  | 'wallet.added'
  | 'wallet.draining'
  | 'wallet.active'
  | 'wallet.retired'
  | 'wallet.code_seen'
  | 'wallet.code_gone'
  | 'wallet.spend_seen'
  | 'wallet.spend_withdrawn'
  | 'wallet.spend_adopted'
  | 'grant.minted'
  | 'grant.delegated'
  | 'grant.suspended'
  | 'grant.resumed'
  | 'grant.revoked'
  | 'grant.tripped'
  | 'grant.returned'
  | 'grant.threshold'
  | 'grant.amended'
  | 'grant_request.created'
  | 'grant_request.approved'
  | 'grant_request.rejected'
  | 'grant.token_reissued'
  | 'grant.token_replayed'
  | 'grant.token_revoked'
  | 'admin.token_revoked'
  | 'payment.authorized'
  | 'payment.adopted'
  | 'payment.refused'
  | 'payment.seen'
  | 'payment.sighting_withdrawn'
  | 'payment.cancel_requested'
  | 'payment.receipt'
  | 'payment.pending'
  | 'approval.needed'
  | 'payment.approved'
  | 'payment.rejected'
  | 'payment.settled'
  | 'payment.released'
  | 'payment.cancelled'
  | 'payment.refused_more'
  | 'webhook.created'
  | 'webhook.changed'
  | 'webhook.deleted'
  | 'webhook.secret_rotated'
  | 'webhook.paused'
  | 'webhook.resumed'
  | 'webhook.ended'
  | 'catalog.subscribed'
  | 'catalog.removed'
  | 'sale.settled'
  | 'sale.refund_owed'
  | 'sale.refunded'
  | 'audit.opened'
  | 'key.created'
  | 'key.retired'
  | 'admin.token_minted'
  | 'admin.signed_in';

/** One state change, to be written in the transaction that makes it. */
export interface NewEvent {
  readonly treasuryId: string;
  readonly kind: EventKind;
  /** Actor: `admin:<name>`, `grant:<id>` or `system:<part>`. */
  readonly actor: string;
  readonly grantId?: string | undefined;
  readonly paymentId?: string | undefined;
  readonly requestId?: string | undefined;
  readonly reason?: string | undefined;
  /** Trace of the event: that of what runs now where it is left out, none where it is null. */
  readonly trace?: SpanContext | null | undefined;
  /** Change: JSON values only; amounts in atomic units as decimal strings. Never a secret. */
  readonly data: Readonly<Record<string, unknown>>;
  /** The figures that `data.ancestors` commits to; its opening is a record of its own. */
  readonly concealed?: ConcealedOpening | undefined;
}

/** Writes events, each as its canonical audit record (RFC 8785). */
export const NEW_EVENTS = {
  sql: `INSERT INTO events (created_at, treasury_id, id, kind, grant_id, payment_id, actor, record)
    SELECT $1::timestamptz, * FROM unnest(${plainTexts('$2')}, ${plainTexts('$3')}, ${plainTexts('$4')},
      ${plainTexts('$5')}, ${plainTexts('$6')}, $7::text[], ${plainTexts('$8')})`,
  /** @param at - the database's time of the change. */
  values: (at: Date, events: readonly NewEvent[]) => {
    const rows = events.map((event) => ({ id: newId('evt'), ...event }));
    return [
      at,
      joined(rows.map(({ treasuryId }) => treasuryId)),
      joined(rows.map(({ id }) => id)),
      joined(rows.map(({ kind }) => kind)),
      joined(rows.map(({ grantId }) => grantId)),
      joined(rows.map(({ paymentId }) => paymentId)),
      rows.map(({ actor }) => actor),
      joined(rows.map((row) => recordOf(row, at))),
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

/** Events of a batch say which request they are of: what runs then is the batch, for all of them. */
function traceOf({ trace }: NewEvent): SpanContext | undefined {
  return (trace === undefined ? currentTrace()?.span.spanContext() : trace) ?? undefined;
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
    ...traceMembers(traceOf(event)),
    treasuryId: event.treasuryId,
    version: 'bursar.event.v1',
  });
}

/**
 * SQL of the condition on events of a treasury that they wait to be sealed. A join would read all events: `unsealed_events` changes
 * faster than the planner's statistics.
 *
 * @param treasury - SQL of the treasury's id.
 * @param most - so many of them, the oldest; all where it is left out.
 */
export function areUnsealed(treasury: string, most?: number): string {
  const limit = most === undefined ? '' : ` ORDER BY seq LIMIT ${most}`;
  return `seq = ANY (ARRAY(SELECT seq FROM unsealed_events WHERE treasury_id = ${treasury}${limit}))`;
}

/** Gives events their places in the log, from one on. Under the lock of the treasury's log. */
export async function placeEvents(
  tx: ClientBase,
  treasuryId: string,
  seqs: readonly string[],
  first: number,
): Promise<void> {
  await tx.query(
    `WITH placed AS (
       INSERT INTO leaves (treasury_id, leaf_index, seq)
       SELECT $1, $3::bigint + s.place - 1, s.seq FROM unnest($2::bigint[]) WITH ORDINALITY AS s (seq, place)
     )
     DELETE FROM unsealed_events WHERE treasury_id = $1 AND seq = ANY ($2::bigint[])`,
    [treasuryId, seqs, first],
  );
}
