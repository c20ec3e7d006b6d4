import { type Breaker, isWiderBreaker } from './breaker.js';
import { type Currency, formatAmount } from './money.js';
import { Problem } from './problem.js';
import { type Scope, scopeExceeds } from './scope.js';
import { exceededWindow, type Window, type WindowUsage, windowHeadroom } from './window.js';

/** How deep a tree of grants may go below its root. */
export const MAX_DELEGATION_DEPTH = 8;

/** The longest life any grant may have, in seconds: ten years. A service may be set to less. */
export const MAX_TTL_SECONDS = 315_360_000;

/** The terms that may be raised and lowered after minting. Amounts are atomic units. */
export interface AmendableTerms {
  /** Lifetime ceiling over everything spent and held in the grant's subtree. */
  readonly budget: bigint;
  /** Ceiling of one payment; undefined means the budget alone bounds it. */
  readonly maxPerPayment: bigint | undefined;
  /** How many payments the subtree may make, released ones not counted. */
  readonly maxPayments: number | undefined;
  /** A payment of more than this waits for an approval; undefined means none does. */
  readonly approvalAbove: bigint | undefined;
  /** The grant ends at this instant: a payment at it or later is refused. */
  readonly expiresAt: Date;
}

/** Terms of a grant. All but {@link AmendableTerms} is fixed at minting. */
export interface GrantTerms extends AmendableTerms {
  readonly currency: string;
  /** Limits that hold anew in each period; at most `MAX_WINDOWS`. */
  readonly windows: readonly Window[];
  readonly scope: Scope;
  readonly startsAt: Date;
  /** How many levels of grants may be minted below this one; 0 forbids delegating. */
  readonly delegationDepth: number;
  /** Whether the first payment to a payee that the grant does not know waits for an approval. */
  readonly approveNewPayees: boolean;
  /** Suspends the grant by itself when its subtree is refused too often; undefined means nothing does. */
  readonly breaker: Breaker | undefined;
}

/**
 * How a grant's budget stands to its parent's: `shared` is a ceiling that siblings may overcommit,
 * `reserved` is a carve-out, set aside when the grant is minted.
 */
export type Funding = 'shared' | 'reserved';

/** The status stored with a grant. Expiry is never stored: it is a matter of the time asked at. */
export type StoredStatus = 'active' | 'suspended' | 'revoked';

/** A grant as locked in a transaction: its terms, status and counters at one instant. */
export interface GrantSnapshot extends GrantTerms {
  readonly id: string;
  readonly funding: Funding;
  readonly status: StoredStatus;
  /** Held for payments that are signed and not settled. */
  readonly reserved: bigint;
  /** Settled for good. */
  readonly spent: bigint;
  /** Set aside for grants below with reserved funding and not yet held or spent by them. */
  readonly allocated: bigint;
  /** Payments of the subtree that are open, settled or cancelled. */
  readonly payments: number;
  /** Those of them that are open: signed, and not ended. */
  readonly openPayments: number;
  /** Usage of each of `windows` in the latest period that had a payment. */
  readonly windowUsage: readonly WindowUsage[];
}

/** Effective status of a grant now, ancestors included. */
export type EffectiveStatus = StoredStatus | 'expired' | 'not_started';

/** Terms that a caller asks for when minting. Those left out are the parent's, but `delegationDepth` is then 0. */
export interface GrantRequest {
  readonly budget: bigint;
  readonly maxPerPayment?: bigint | undefined;
  readonly maxPayments?: number | undefined;
  readonly windows?: readonly Window[] | undefined;
  readonly approvalAbove?: bigint | undefined;
  readonly scope?: Scope | undefined;
  readonly startsAt?: Date | undefined;
  /** The end that was asked for: `ttlSeconds` is at most that long, `expiresAt` exact. A root has one. */
  readonly expiry?: { readonly field: 'ttlSeconds' | 'expiresAt'; readonly at: Date } | undefined;
  readonly delegationDepth?: number | undefined;
  readonly approveNewPayees?: boolean | undefined;
  readonly breaker?: Breaker | undefined;
}

/** Computes what a grant could still give by its own budget alone. Never negative. */
export function headroom(grant: GrantSnapshot): bigint {
  const left = grant.budget - grant.reserved - grant.spent - grant.allocated;
  return left > 0n ? left : 0n;
}

/**
 * The grants of a chain whose own headroom bounds a payment of the last one: the deepest carve-out and
 * all below it. What is above has set the money aside already.
 */
export function payingGrants<T extends { readonly funding: Funding }>(
  chain: readonly T[],
): readonly T[] {
  for (let place = chain.length - 1; place > 0; place--) {
    if (chain[place]?.funding === 'reserved') return chain.slice(place);
  }
  return chain;
}

/**
 * Computes what could be spent now under a chain of grants: the least that is left in the budgets of its
 * {@link payingGrants} and in the windows of all. It is nothing when a grant is not active or has no payment left.
 *
 * @param chain - from the root down, the grant itself last.
 */
export function remaining(chain: readonly GrantSnapshot[], now: Date): bigint {
  if (effectiveStatus(chain, now) !== 'active') return 0n;
  let least = uncommitted(chain);
  for (const grant of chain) {
    if (grant.maxPayments !== undefined && grant.payments >= grant.maxPayments) return 0n;
    const left = windowHeadroom(grant, now);
    if (left !== undefined && left < least) least = left;
  }
  return least;
}

/** The least headroom of the budgets that bound a payment, whatever status, counts and windows say. */
export function uncommitted(chain: readonly GrantSnapshot[]): bigint {
  let least: bigint | undefined;
  for (const grant of payingGrants(chain)) {
    const left = headroom(grant);
    if (least === undefined || left < least) least = left;
  }
  return least ?? 0n;
}

/**
 * A grant's status as its chain makes it: an ancestor's end is the grant's end. Revoked outweighs
 * suspended, suspended outweighs expired.
 */
export function effectiveStatus(chain: readonly GrantSnapshot[], now: Date): EffectiveStatus {
  if (chain.some((grant) => grant.status === 'revoked')) return 'revoked';
  if (chain.some((grant) => grant.status === 'suspended')) return 'suspended';
  if (chain.some((grant) => now >= grant.expiresAt)) return 'expired';
  if (chain.some((grant) => now < grant.startsAt)) return 'not_started';
  return 'active';
}

/**
 * The terms of a root grant: what is left out is unrestricted, but `delegationDepth` is then 0.
 *
 * @throws Problem `invalid_request` when it would end before it starts or before now.
 */
export function rootTerms(request: GrantRequest, currency: Currency, now: Date): GrantTerms {
  const startsAt = request.startsAt ?? now;
  const { expiry } = request;
  if (!expiry) {
    throw new Problem(
      'invalid_request',
      'a root grant needs an end: give ttlSeconds or expiresAt',
      {
        field: 'ttlSeconds',
      },
    );
  }
  refuseEmptyLife(expiry, startsAt, now);
  return {
    currency: currency.code,
    budget: request.budget,
    maxPerPayment: request.maxPerPayment,
    maxPayments: request.maxPayments,
    windows: request.windows ?? [],
    approvalAbove: request.approvalAbove,
    scope: request.scope ?? {},
    startsAt,
    expiresAt: expiry.at,
    delegationDepth: request.delegationDepth ?? 0,
    approveNewPayees: request.approveNewPayees ?? false,
    breaker: request.breaker,
  };
}

/** Terms that are times or levels: what is left of a budget says nothing of them. */
const WITHOUT_MONEY: ReadonlySet<string> = new Set([
  'startsAt',
  'expiresAt',
  'delegationDepth',
  'approveNewPayees',
  'breaker',
]);

/**
 * The terms of a child grant: what is left out is the parent's, but `delegationDepth` is then 0. Nothing may be wider than
 * the parent's.
 *
 * @throws Problem `attenuation_violation` naming the first field that is wider than the parent's,
 *   `delegation_not_allowed` when the parent may not delegate, `invalid_request` for an empty life.
 */
export function attenuate(
  parent: GrantSnapshot,
  request: GrantRequest,
  currency: Currency,
  now: Date,
): GrantTerms {
  if (parent.delegationDepth < 1) {
    throw new Problem(
      'delegation_not_allowed',
      `grant ${parent.id} may not delegate (its delegationDepth is 0)`,
      { grantId: parent.id, limit: '0', remaining: '0' },
    );
  }
  const startsAt = request.startsAt ?? new Date(Math.max(now.getTime(), parent.startsAt.getTime()));
  const expiresAt = endOf(parent, request.expiry);
  refuseEmptyLife({ field: request.expiry?.field ?? 'expiresAt', at: expiresAt }, startsAt, now);
  const amount = (atomic: bigint) => formatAmount(atomic, currency);
  const terms: GrantTerms = {
    currency: parent.currency,
    budget: request.budget,
    maxPerPayment: request.maxPerPayment ?? parent.maxPerPayment,
    maxPayments: request.maxPayments ?? parent.maxPayments,
    windows: request.windows ?? parent.windows,
    approvalAbove: request.approvalAbove ?? parent.approvalAbove,
    scope: { ...parent.scope, ...request.scope },
    startsAt,
    expiresAt,
    delegationDepth: request.delegationDepth ?? 0,
    approveNewPayees: request.approveNewPayees ?? parent.approveNewPayees,
    breaker: request.breaker ?? parent.breaker,
  };
  const wider = (field: string, limit: string): never => {
    throw new Problem(
      'attenuation_violation',
      `${field} is wider than its parent's (${limit}); a child grant never allows more than its parent`,
      {
        ...{ field, grantId: parent.id, limit },
        ...(WITHOUT_MONEY.has(field) ? {} : { remaining: amount(headroom(parent)) }),
      },
    );
  };
  if (terms.budget > parent.budget) wider('budget', amount(parent.budget));
  if (parent.maxPerPayment !== undefined && (terms.maxPerPayment ?? 0n) > parent.maxPerPayment) {
    wider('maxPerPayment', amount(parent.maxPerPayment));
  }
  if (parent.maxPayments !== undefined && (terms.maxPayments ?? 0) > parent.maxPayments) {
    wider('maxPayments', String(parent.maxPayments));
  }
  const window = exceededWindow(parent.windows, terms);
  if (window) wider('windows', describeWindow(window, amount));
  if (parent.approvalAbove !== undefined && (terms.approvalAbove ?? 0n) > parent.approvalAbove) {
    wider('approvalAbove', amount(parent.approvalAbove));
  }
  if (terms.startsAt < parent.startsAt) wider('startsAt', parent.startsAt.toISOString());
  if (terms.expiresAt > parent.expiresAt) wider('expiresAt', parent.expiresAt.toISOString());
  if (terms.delegationDepth > parent.delegationDepth - 1) {
    wider('delegationDepth', String(parent.delegationDepth - 1));
  }
  if (parent.approveNewPayees && !terms.approveNewPayees) wider('approveNewPayees', 'true');
  if (parent.breaker && isWiderBreaker(terms.breaker, parent.breaker)) {
    wider('breaker', describeBreaker(parent.breaker));
  }
  const dimension = scopeExceeds(parent.scope, terms.scope);
  if (dimension) {
    wider(`scope.${dimension}`, (parent.scope[dimension] ?? []).join(', '));
  }
  return terms;
}

/** A breaker in words: "20 refusals in 60 s". */
function describeBreaker({ refusals, seconds }: Breaker): string {
  return `${refusals} ${refusals === 1 ? 'refusal' : 'refusals'} in ${seconds} s`;
}

/** A window in words: "5.00 and 200 payments every 3600 s". */
export function describeWindow(window: Window, amount: (atomic: bigint) => string): string {
  const bounds = [
    window.amount === undefined ? undefined : amount(window.amount),
    window.payments === undefined
      ? undefined
      : `${window.payments} ${window.payments === 1 ? 'payment' : 'payments'}`,
  ];
  return `${bounds.filter((bound) => bound !== undefined).join(' and ')} every ${window.seconds} s`;
}

/**
 * When a child ends. A life in seconds is "at most that long", so it ends with the parent at the latest. An exact end
 * is taken as it is; without either, the child ends with its parent.
 */
function endOf({ expiresAt }: GrantTerms, expiry: GrantRequest['expiry']): Date {
  if (!expiry) return expiresAt;
  const isCut = expiry.field === 'ttlSeconds' && expiry.at > expiresAt;
  return isCut ? expiresAt : expiry.at;
}

function refuseEmptyLife(
  { field, at }: NonNullable<GrantRequest['expiry']>,
  startsAt: Date,
  now: Date,
): void {
  if (at > startsAt && at > now) return;
  throw new Problem(
    'invalid_request',
    `${field} ends the grant at ${at.toISOString()}, before it could be used`,
    { field },
  );
}
