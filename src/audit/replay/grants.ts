import type { Scope } from '../../domain/scope.js';
import type { Grant, History, Window } from './history.js';
import { stateOf } from './history.js';
import { bearing, setAside } from './money.js';
import { requireRunning } from './pauses.js';
import {
  type AuditRecord,
  amount,
  Contradiction,
  object,
  optionalAmount,
  optionalCount,
  text,
  time,
} from './record.js';
import { requireWithin } from './terms.js';

/** A root grant is minted, or a child is delegated. */
export function minted(
  history: History,
  { grantId, kind, data }: AuditRecord,
  at: number,
): undefined {
  const id = text(grantId, 'grantId');
  if (history.grants.has(id)) throw new Contradiction(`grant ${id} is minted a second time`);
  requireRunning(history, `grant ${id} is minted`);
  const isChild = kind === 'grant.delegated';
  if (isChild !== (data.parentId !== null)) {
    throw new Contradiction(
      `grant ${id} is ${isChild ? 'delegated without' : 'minted with'} a parent`,
    );
  }
  const parent = isChild ? history.grant(data.parentId) : undefined;
  const ancestors = parent?.path ?? [];
  for (const each of ancestors) requireDelegates(each, id, at);
  const grant = grantOf(id, data, parent !== undefined);
  if (grant.expiresAt <= at || grant.expiresAt <= grant.startsAt) {
    throw new Contradiction(`grant ${id} ends before it could be used`);
  }
  if (parent) requireWithin(grant, parent);
  grant.path.push(...ancestors, grant);
  history.grants.set(id, grant);
  if (grant.isCarveOut) setAside(grant, ancestors);
}

/** A carve-out gives back what is left of it. */
export function returned(history: History, { grantId, data }: AuditRecord, at: number): undefined {
  const grant = history.grant(grantId);
  const given = amount(data.amount, 'amount');
  if (!grant.isCarveOut || grant.isReturned) {
    throw new Contradiction(`grant ${grant.id} returns money that is not set aside for it`);
  }
  const left = grant.budget - grant.spent;
  if (grant.reserved !== 0n || given > left) {
    throw new Contradiction(`grant ${grant.id} returns ${given}, more than is left of it`);
  }
  if (given < left) {
    throw new Contradiction(`grant ${grant.id} returns ${given}, less than is left of it`);
  }
  const to = bearing(grant.path.slice(0, -1));
  if (JSON.stringify(data.to) !== JSON.stringify(to.map(({ id }) => id))) {
    throw new Contradiction(`grant ${grant.id} returns money to others than set it aside`);
  }
  const isUsedUp =
    grant.spent === grant.budget ||
    (grant.maxPayments !== undefined && grant.payments >= grant.maxPayments);
  if (!isUsedUp && !grant.path.some(({ isRevoked, expiresAt }) => isRevoked || at >= expiresAt)) {
    throw new Contradiction(`grant ${grant.id} returns its money, and could still spend it`);
  }
  for (const each of to) {
    each.allocated -= given;
    if (each.allocated < 0n) throw new Contradiction(`grant ${each.id} gets back too much`);
  }
  grant.isReturned = true;
}

/** A grant's token is replaced, or taken back: the generations of tokens only rise. */
export function replacedToken(history: History, { grantId, kind, data }: AuditRecord): undefined {
  const grant = history.grant(grantId);
  const told = optionalCount(data.generation, 'generation');
  if (told === undefined) return;
  // A token that was taken back is named by its own generation, one that is new by its successor's.
  const generation = kind === 'grant.token_revoked' ? told + 1 : told;
  if (generation <= grant.tokenGeneration) {
    throw new Contradiction(
      `grant ${grant.id} is at generation ${grant.tokenGeneration} of its tokens, and ${kind} tells of ${told}`,
    );
  }
  grant.tokenGeneration = generation;
}

function requireDelegates(grant: Grant, child: string, at: number): void {
  const state = grant.isRevoked ? 'revoked' : stateOf(grant);
  if (state === 'revoked' || state === 'suspended') {
    throw new Contradiction(`grant ${grant.id} delegates ${child}, but is ${state}`);
  }
  if (at < grant.startsAt || at >= grant.expiresAt) {
    throw new Contradiction(`grant ${grant.id} delegates ${child} outside its life`);
  }
}

function grantOf(
  id: string,
  data: AuditRecord['data'],
  isChild: boolean,
): Omit<Grant, 'path'> & { path: Grant[] } {
  return {
    id,
    path: [],
    currency: text(data.currency, 'currency'),
    budget: amount(data.budget, 'budget'),
    maxPerPayment: optionalAmount(data.maxPerPayment, 'maxPerPayment'),
    maxPayments: optionalCount(data.maxPayments, 'maxPayments'),
    approvalAbove: optionalAmount(data.approvalAbove, 'approvalAbove'),
    windows: windows(data.windows),
    scope: scope(data.scope),
    startsAt: time(data.startsAt, 'startsAt'),
    expiresAt: time(data.expiresAt, 'expiresAt'),
    delegationDepth: optionalCount(data.delegationDepth, 'delegationDepth') ?? 0,
    // Records of before these terms have neither.
    approveNewPayees: data.approveNewPayees === true,
    knownPayees: new Set(),
    breaker: breaker(data.breaker),
    refusals: [],
    isTripDue: false,
    thresholds: new Set(),
    isCarveOut: isChild && data.funding === 'reserved',
    suspendedBy: undefined,
    isRevoked: false,
    isReturned: false,
    tokenGeneration: 1,
    reserved: 0n,
    spent: 0n,
    allocated: 0n,
    payments: 0,
  };
}

function breaker(value: unknown): Grant['breaker'] {
  if (value === undefined || value === null) return undefined;
  const { refusals, seconds } = object(value, 'breaker');
  return {
    refusals: optionalCount(refusals, 'breaker.refusals') || Number.NaN,
    seconds: optionalCount(seconds, 'breaker.seconds') || Number.NaN,
  };
}

function windows(value: unknown): Window[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Contradiction('windows is not a list');
  return value.map((each) => {
    const { seconds, ...bounds } = object(each, 'windows');
    return {
      seconds: optionalCount(seconds, 'windows.seconds') || Number.NaN,
      amount: optionalAmount(bounds.amount, 'windows.amount'),
      payments: optionalCount(bounds.payments, 'windows.payments'),
      period: 0,
      taken: 0n,
      count: 0,
    };
  });
}

function scope(value: unknown): Scope {
  const lists = Object.entries(object(value, 'scope')).map(([name, list]) => {
    if (!Array.isArray(list) || list.some((each) => typeof each !== 'string')) {
      throw new Contradiction(`scope.${name} is not a list of texts`);
    }
    return [name, list as string[]];
  });
  return Object.fromEntries(lists) as Scope;
}
