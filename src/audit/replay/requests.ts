import { actingGrant, placeIn } from './actors.js';
import type { History, OpenRequest } from './history.js';
import { type AuditRecord, amount, Contradiction, optionalTime, text, time } from './record.js';
import { CLOCK_CORRECTION_MS } from './times.js';

/** A holder asks for a raise. A grant has one open request at most. */
export function asked(history: History, { grantId, data }: AuditRecord, at: number): undefined {
  const id = text(data.grantRequestId, 'grantRequestId');
  const grant = history.grant(grantId);
  const budget = amount(data.budget, 'budget');
  const expiresAt = optionalTime(data.expiresAt, 'expiresAt');
  if (history.requests.has(id)) throw new Contradiction(`request ${id} is made a second time`);
  for (const each of history.requests.values()) {
    if (each.grant !== grant || each.isEnded) continue;
    throw new Contradiction(`grant ${grant.id} asks a second time while a request is open`);
  }
  if (grant.path.some(({ isRevoked, expiresAt: end }) => isRevoked || at >= end)) {
    throw new Contradiction(`request ${id} is made after the end of its grant`);
  }
  const raises = budget > grant.budget || (expiresAt ?? grant.expiresAt) > grant.expiresAt;
  if (!raises) throw new Contradiction(`request ${id} raises nothing`);
  const lapsesAt = time(data.lapsesAt, 'lapsesAt');
  history.requests.set(id, { grant, budget, expiresAt, lapsesAt, isEnded: false });
}

/** A request is approved: by an admin or a holder above, and the grant has what was asked for. */
export function granted(history: History, record: AuditRecord, at: number): undefined {
  const [id, request] = openOf(history, record);
  requireAbove(request, id, record.actor);
  const { grant, budget, expiresAt, lapsesAt } = request;
  if (at >= lapsesAt) throw new Contradiction(`request ${id} is approved after it had lapsed`);
  if (grant.budget !== budget || grant.expiresAt !== (expiresAt ?? grant.expiresAt)) {
    throw new Contradiction(`request ${id} is approved, and its grant has other terms`);
  }
  request.isEnded = true;
}

/** A request is rejected: by who could approve it, or by the service once it has lapsed. */
export function refused(history: History, record: AuditRecord, at: number): undefined {
  const [id, request] = openOf(history, record);
  if (!record.actor.startsWith('system:')) requireAbove(request, id, record.actor);
  else if (at < request.lapsesAt - CLOCK_CORRECTION_MS) {
    throw new Contradiction(`request ${id} lapses before its time`);
  }
  request.isEnded = true;
}

function openOf(history: History, { grantId, kind, data }: AuditRecord): [string, OpenRequest] {
  const id = text(data.grantRequestId, 'grantRequestId');
  const request = history.requests.get(id);
  if (!request || request.isEnded || request.grant.id !== grantId) {
    throw new Contradiction(`request ${id}: ${kind}, and none of this grant is open`);
  }
  return [id, request];
}

function requireAbove({ grant }: OpenRequest, id: string, actor: string): void {
  const acting = actingGrant(actor);
  if (acting === undefined || placeIn(grant, acting) < grant.path.length - 1) return;
  throw new Contradiction(`request ${id} is decided by whoever asked`);
}
