import type { EventKind } from '../../ledger/events.js';
import type { Grant, History } from './history.js';
import { type AuditRecord, Contradiction } from './record.js';

/**
 * Those who may do something: an admin, the service itself, the grant's own holder, or a holder of the grant's
 * line (its own, or one above).
 */
type Standing = 'admin' | 'system' | 'own' | 'line';

/**
 * The possible writers of a record of each kind. A kind that is not in here does not compile. What an actor may do
 * depends on more in some rooms: approvals and resumptions ask who stands above whom.
 */
const MAY: Readonly<Record<EventKind, readonly Standing[]>> = {
  'audit.opened': ['system'],
  'treasury.created': ['admin', 'system'],
  'treasury.changed': ['admin'],
  'treasury.fenced': ['admin', 'system'],
  'treasury.unfenced': ['admin', 'system'],
  'treasury.suspended': ['admin'],
  'treasury.resumed': ['admin'],
  'treasury.low': ['system'],
  'wallet.added': ['system'],
  'wallet.draining': ['admin'],
  'wallet.active': ['admin'],
  'wallet.retired': ['admin'],
  'wallet.code_seen': ['system'],
  'wallet.code_gone': ['system'],
  'wallet.spend_seen': ['system'],
  'wallet.spend_withdrawn': ['system'],
  'wallet.spend_adopted': ['admin'],
  'grant.minted': ['admin'],
  // A holder mints below its own grant, which is known once the record's parent is.
  'grant.delegated': ['admin', 'line'],
  'grant.suspended': ['admin', 'line'],
  'grant.resumed': ['admin', 'line'],
  'grant.revoked': ['admin', 'line'],
  'grant.tripped': ['system'],
  'grant.returned': ['system'],
  'grant.threshold': ['system'],
  // Never the grant's own holder, which the record's effect tests.
  'grant.amended': ['admin', 'line'],
  'grant_request.created': ['own'],
  'grant_request.approved': ['admin', 'line'],
  'grant_request.rejected': ['admin', 'line', 'system'],
  'grant.token_reissued': ['admin', 'line'],
  'grant.token_replayed': ['admin', 'line'],
  'grant.token_revoked': ['admin', 'line'],
  'payment.pending': ['own'],
  'approval.needed': ['system'],
  'payment.approved': ['admin', 'line'],
  'payment.rejected': ['admin', 'line', 'system'],
  'payment.authorized': ['own'],
  'payment.adopted': ['admin'],
  'payment.refused': ['own'],
  'payment.refused_more': ['system'],
  'payment.seen': ['system'],
  'payment.sighting_withdrawn': ['system'],
  'payment.cancel_requested': ['admin', 'line'],
  'payment.receipt': ['admin', 'line'],
  'payment.settled': ['system'],
  'payment.released': ['system'],
  'payment.cancelled': ['system'],
  'webhook.created': ['admin', 'line'],
  'webhook.changed': ['admin', 'line'],
  'webhook.deleted': ['admin', 'line'],
  'webhook.secret_rotated': ['admin', 'line'],
  'webhook.paused': ['admin', 'line', 'system'],
  'webhook.resumed': ['admin', 'line'],
  'webhook.ended': ['system'],
  'catalog.subscribed': ['admin'],
  'catalog.removed': ['admin'],
  'sale.settled': ['system'],
  'sale.refund_owed': ['system'],
  'sale.refunded': ['system'],
  'key.created': ['system'],
  'key.retired': ['system'],
  'admin.token_minted': ['system'],
  'admin.token_revoked': ['admin'],
  'admin.signed_in': ['admin'],
};

/** Whether this version knows what a record of a kind does. */
export function isKnownKind(kind: string): kind is EventKind {
  return Object.hasOwn(MAY, kind);
}

/** The grant that a holder acts by; undefined for admins and the service. */
export function actingGrant(actor: string): string | undefined {
  return actor.startsWith('grant:') ? actor.slice('grant:'.length) : undefined;
}

/** Whether an admin acts. */
export function isAdmin(actor: string): boolean {
  return actor.startsWith('admin:') && actor.length > 'admin:'.length;
}

/** @throws Contradiction when a record's actor could not have written it. */
export function requireActor(history: History, record: AuditRecord, kind: EventKind): void {
  const { actor, grantId, data } = record;
  const standings = MAY[kind];
  const grant = actingGrant(actor);
  const allowed =
    grant === undefined
      ? (isAdmin(actor) && standings.includes('admin')) ||
        (actor.startsWith('system:') && standings.includes('system'))
      : (grant === grantId && (standings.includes('own') || standings.includes('line'))) ||
        (standings.includes('line') && isAbove(history, grant, kind, grantId, data));
  if (allowed) return;
  throw new Contradiction(`${actor} has no part in ${kind} of ${grantId ?? 'no grant'}`);
}

function isAbove(
  history: History,
  acting: string,
  kind: EventKind,
  grantId: string | null,
  data: AuditRecord['data'],
): boolean {
  if (kind === 'grant.delegated') return acting === data.parentId;
  return placeIn(history.grant(grantId), acting) >= 0;
}

/** How far down a grant's line another one stands; -1 when it is not in it. */
export function placeIn({ path }: Grant, grantId: string): number {
  return path.findIndex(({ id }) => id === grantId);
}
