import { type Grant, stateOf } from './history.js';
import { Contradiction } from './record.js';

/** @throws Contradiction when a grant was paused, or not to pay at all, at a time. */
export function requireAlive(grant: Grant, paymentId: string, at: number): void {
  const state = stateOf(grant);
  if (state !== 'active') {
    throw new Contradiction(`grant ${grant.id} pays ${paymentId}, but is ${state}`);
  }
  if (at < grant.startsAt || at >= grant.expiresAt) {
    throw new Contradiction(`payment ${paymentId} is outside the life of grant ${grant.id}`);
  }
}
