import { isWiderBreaker } from '../../domain/breaker.js';
import { scopeExceeds } from '../../domain/scope.js';
import { exceededWindow } from '../../domain/window.js';
import type { Grant } from './history.js';
import { Contradiction } from './record.js';

/** @throws Contradiction when a child may do more than its parent. */
export function requireWithin(child: Grant, parent: Grant): void {
  if (child.currency !== parent.currency) {
    throw new Contradiction(`grant ${child.id} is kept in another currency than its parent`);
  }
  const wider = WIDER.find(([, isWider]) => isWider(child, parent));
  if (wider) {
    throw new Contradiction(`grant ${child.id} is wider than its parent ${parent.id}: ${wider[0]}`);
  }
}

/** The terms of a grant, each with its test. */
const WIDER: readonly (readonly [string, (child: Grant, parent: Grant) => boolean])[] = [
  ['budget', (child, parent) => child.budget > parent.budget],
  ['maxPerPayment', (child, parent) => exceeds(child.maxPerPayment, parent.maxPerPayment)],
  ['maxPayments', (child, parent) => exceeds(child.maxPayments, parent.maxPayments)],
  ['approvalAbove', (child, parent) => exceeds(child.approvalAbove, parent.approvalAbove)],
  ['windows', (child, parent) => exceededWindow(parent.windows, child) !== undefined],
  ['scope', (child, parent) => scopeExceeds(parent.scope, child.scope) !== undefined],
  ['startsAt', (child, parent) => child.startsAt < parent.startsAt],
  ['expiresAt', (child, parent) => child.expiresAt > parent.expiresAt],
  ['approveNewPayees', (child, parent) => parent.approveNewPayees && !child.approveNewPayees],
  ['breaker', (child, parent) => !!parent.breaker && isWiderBreaker(child.breaker, parent.breaker)],
  // A parent that may not delegate has 0, and no child has less.
  ['delegationDepth', (child, parent) => child.delegationDepth >= parent.delegationDepth],
];

/** Whether a limit allows more than the limit above it; an absent one allows everything. */
function exceeds<T extends bigint | number>(child: T | undefined, parent: T | undefined): boolean {
  return parent !== undefined && (child === undefined || child > parent);
}
