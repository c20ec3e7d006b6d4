import { BREAKER_ACTOR } from '../../domain/breaker.js';
import { actingGrant, isAdmin, placeIn } from './actors.js';
import type { Grant, History } from './history.js';
import { type AuditRecord, Contradiction } from './record.js';

/** A grant is paused. One that is paused already is so again only by somebody who outranks whoever paused it. */
export function suspended(history: History, { grantId, actor }: AuditRecord): undefined {
  const grant = history.grant(grantId);
  requireUnrevoked(grant, 'suspended');
  if (grant.suspendedBy !== undefined && !outranks(grant, actor)) {
    throw new Contradiction(
      `grant ${grant.id} is suspended by ${actor}, who does not stand above ${grant.suspendedBy}, who suspended it`,
    );
  }
  grant.suspendedBy = actor;
}

/** A grant goes on: by whoever paused it, somebody above, or an admin. */
export function resumed(history: History, { grantId, actor }: AuditRecord): undefined {
  const grant = history.grant(grantId);
  requireUnrevoked(grant, 'resumed');
  if (grant.suspendedBy === undefined) {
    throw new Contradiction(`grant ${grant.id} is resumed, and was not suspended`);
  }
  if (!isAdmin(actor) && actor !== grant.suspendedBy && !outranks(grant, actor)) {
    throw new Contradiction(
      `grant ${grant.id} is resumed by ${actor}, and it was suspended by ${grant.suspendedBy}`,
    );
  }
  grant.suspendedBy = undefined;
  grant.refusals = [];
}

/** A grant ends for good. */
export function revoked(history: History, { grantId }: AuditRecord): undefined {
  const grant = history.grant(grantId);
  if (grant.isRevoked) throw new Contradiction(`grant ${grant.id} is revoked twice`);
  grant.isRevoked = true;
}

/** The whole treasury is stopped. */
export function stopped(history: History, { actor }: AuditRecord): undefined {
  if (history.stoppedBy !== undefined) {
    throw new Contradiction(
      `the treasury is suspended by ${actor}, and ${history.stoppedBy} had suspended it already`,
    );
  }
  history.stoppedBy = actor;
}

/** The treasury goes on. */
export function restarted(history: History): undefined {
  if (history.stoppedBy === undefined) {
    throw new Contradiction('the treasury is resumed, and was not suspended');
  }
  history.stoppedBy = undefined;
}

/** @throws Contradiction when something happens that a suspended treasury does not let happen. */
export function requireRunning({ stoppedBy }: History, what: string): void {
  if (stoppedBy === undefined) return;
  throw new Contradiction(`${what} while the treasury is suspended by ${stoppedBy}`);
}

function requireUnrevoked(grant: Grant, what: string): void {
  const ended = grant.path.find(({ isRevoked }) => isRevoked);
  if (!ended) return;
  const of = ended === grant ? 'its revocation' : `the revocation of ${ended.id}`;
  throw new Contradiction(`grant ${grant.id} is ${what} after ${of}`);
}

/** Whether somebody stands above whoever suspended a grant: admins above holders, holders by the tree. */
function outranks(grant: Grant, actor: string): boolean {
  if (grant.suspendedBy === BREAKER_ACTOR) {
    const above = actingGrant(actor);
    return above === undefined ? isAdmin(actor) : above !== grant.id && placeIn(grant, above) >= 0;
  }
  const suspender = actingGrant(grant.suspendedBy ?? '');
  if (suspender === undefined) return false;
  if (isAdmin(actor)) return true;
  const acting = actingGrant(actor);
  return acting !== undefined && placeIn(grant, acting) < placeIn(grant, suspender);
}
