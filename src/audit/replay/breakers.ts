import { BREAKER_ACTOR, isCountedByBreakers } from '../../domain/breaker.js';
import type { Grant, History } from './history.js';
import { type AuditRecord, Contradiction, optionalCount, time } from './record.js';

/** A payment is refused: the breakers of its chain count it, the deepest first. */
export function countRefusal(
  history: History,
  { grantId, data }: AuditRecord,
  at: number,
): undefined {
  if (typeof data.code !== 'string' || !isCountedByBreakers(data.code)) return;
  const grant = history.grant(grantId);
  requireNoTripDue(grant, 'is refused a payment');
  const counting: Grant[] = [];
  for (const each of [...grant.path].reverse()) {
    const { breaker } = each;
    if (!breaker) continue;
    const since = at - breaker.seconds * 1000;
    each.refusals = [...each.refusals, at].slice(-breaker.refusals).filter((time) => time >= since);
    counting.push(each);
    // A refusal that trips a breaker does not count above it.
    if (each.refusals.length === breaker.refusals) {
      each.isTripDue = true;
      break;
    }
  }
  history.lastCounted = counting;
}

/** A breaker suspends its grant. */
export function tripped(history: History, record: AuditRecord, at: number): undefined {
  const { data, actor } = record;
  const grant = history.grant(record.grantId);
  const { breaker } = grant;
  if (!breaker || actor !== BREAKER_ACTOR) {
    throw new Contradiction(`grant ${grant.id} trips by ${actor}, and its breaker does not`);
  }
  if (grant.suspendedBy !== undefined || grant.path.some(({ isRevoked }) => isRevoked)) {
    throw new Contradiction(`grant ${grant.id} trips, and was stopped already`);
  }
  const since = time(data.since, 'since');
  const unrecorded = optionalCount(data.unrecorded, 'unrecorded') ?? 0;
  const recorded = grant.refusals.filter((each) => each >= since).length;
  if (
    data.refusals !== breaker.refusals ||
    data.seconds !== breaker.seconds ||
    at - since > breaker.seconds * 1000 ||
    recorded + unrecorded !== breaker.refusals
  ) {
    throw new Contradiction(
      `grant ${grant.id} trips after ${recorded} refusals and ${unrecorded} without a record, and its breaker asks for ${breaker.refusals} in ${breaker.seconds} s`,
    );
  }
  if (data.isLastRecorded === true) {
    // The refusal was counted above before this record told that it tripped the breaker here.
    const place = history.lastCounted.indexOf(grant);
    for (const above of place < 0 ? [] : history.lastCounted.slice(place + 1)) {
      above.refusals = above.refusals.slice(0, -1);
      above.isTripDue = false;
    }
  }
  grant.suspendedBy = actor;
  grant.refusals = [];
  grant.isTripDue = false;
}

/** @throws Contradiction when a breaker of the chain should have stopped it before. */
export function requireNoTripDue({ path, id }: Grant, what: string): void {
  const due = path.find(({ isTripDue }) => isTripDue);
  if (!due) return;
  throw new Contradiction(`grant ${id} ${what} after the refusals that trip grant ${due.id}`);
}
