import { type GrantSnapshot, headroom, payingGrants } from './grant.js';
import { type Currency, formatAmount } from './money.js';
import type { PaymentOption } from './payment-option.js';
import type { DenialCode, NextAction, PolicyDenialCode } from './problem.js';
import { type Scope, scopeRefuses, unadmitted, wholeHostPattern } from './scope.js';
import { type FullWindow, fullWindow } from './window.js';

/**
 * Seconds a signature must stay valid for a facilitator to take it: the published `exact` facilitator
 * refuses below `now + 6` (x402 `scheme_exact_evm`).
 */
export const MIN_VALIDITY_SECONDS = 6;

/** Why an option is refused. Without `grantId` it is the treasury or the agent's own `maxAmount` that refuses. */
export interface Denial<Code = DenialCode | 'max_amount_exceeded' | 'treasury_insufficient'> {
  readonly code: Code;
  readonly grantId?: string;
  /** The bound that was hit: currency units, a count, an instant, or a list. */
  readonly limit?: string;
  /** The rest of the window or count that was hit, and else of the budget. */
  readonly remaining?: string;
  /** Seconds until the same payment may be allowed, where waiting helps. */
  readonly retryAfterSeconds?: number;
  /** When a full window begins anew, RFC 3339. */
  readonly reopensAt?: string;
  /** Where it is another one than the code's own. */
  readonly nextAction?: NextAction;
  readonly detail: string;
}

/** The bound of a grant that was ended or paused: it allows nothing. */
const NOTHING_LEFT = { limit: '0.00', remaining: '0.00' } as const;

/** Decision of a suspended treasury, whatever its grants allow. */
const STOPPED: Denial<DenialCode> = {
  code: 'treasury_suspended',
  detail: 'the whole treasury is suspended; an admin can resume it',
};

/**
 * Why a chain of grants cannot pay at all now, or undefined when it can. One reason is looked for after the other, each from
 * the root down.
 *
 * @param isStopped - whether the treasury is suspended. A revocation is told before it, because it is final.
 */
export function lifeDenial(
  chain: readonly GrantSnapshot[],
  now: Date,
  isStopped = false,
): Denial<DenialCode> | undefined {
  for (const grant of chain) {
    if (grant.status === 'revoked') {
      return {
        code: 'grant_revoked',
        grantId: grant.id,
        ...NOTHING_LEFT,
        detail: `grant ${grant.id} is revoked`,
      };
    }
  }
  if (isStopped) return STOPPED;
  for (const grant of chain) {
    if (grant.status === 'suspended') {
      return {
        code: 'grant_suspended',
        grantId: grant.id,
        ...NOTHING_LEFT,
        detail: `grant ${grant.id} is suspended; it can be resumed`,
      };
    }
  }
  for (const grant of chain) {
    // A signature never outlives the grant, and one too short to settle helps nobody.
    const secondsLeft = Math.floor(grant.expiresAt.getTime() / 1000) - unixSeconds(now);
    if (secondsLeft < MIN_VALIDITY_SECONDS) {
      return {
        code: 'grant_expired',
        grantId: grant.id,
        limit: grant.expiresAt.toISOString(),
        detail:
          now < grant.expiresAt
            ? `grant ${grant.id} ends at ${grant.expiresAt.toISOString()}, too soon for a payment to settle`
            : `grant ${grant.id} expired at ${grant.expiresAt.toISOString()}`,
      };
    }
  }
  for (const grant of chain) {
    if (now < grant.startsAt) {
      return {
        code: 'grant_not_started',
        grantId: grant.id,
        limit: grant.startsAt.toISOString(),
        retryAfterSeconds: secondsUntil(grant.startsAt, now),
        detail: `grant ${grant.id} starts at ${grant.startsAt.toISOString()}`,
      };
    }
  }
  return undefined;
}

const SCOPE_DENIALS: Readonly<Record<keyof Scope, PolicyDenialCode>> = {
  networks: 'network_not_allowed',
  payTo: 'payee_not_allowed',
  resources: 'resource_not_allowed',
};

/** The chain's scopes, the paying grant first: its own bound is what its holder can understand. */
export function scopeDenial(
  chain: readonly GrantSnapshot[],
  option: Pick<PaymentOption, 'network' | 'payTo' | 'resources'>,
  currency: Currency,
): Denial<PolicyDenialCode> | undefined {
  for (const grant of [...chain].reverse()) {
    const dimension = scopeRefuses(grant.scope, {
      network: option.network,
      payTo: option.payTo,
      resources: option.resources,
    });
    if (dimension) {
      return {
        code: SCOPE_DENIALS[dimension],
        grantId: grant.id,
        limit: (grant.scope[dimension] ?? []).join(', '),
        remaining: formatAmount(headroom(grant), currency),
        detail: scopeDetail(grant, dimension, option),
      };
    }
  }
  return undefined;
}

function scopeDetail(
  { id, scope }: GrantSnapshot,
  dimension: keyof Scope,
  option: Pick<PaymentOption, 'network' | 'payTo' | 'resources'>,
): string {
  const outside = `outside the scope (${dimension}) of grant ${id}`;
  if (dimension === 'networks') return `${option.network} is ${outside}`;
  if (dimension === 'payTo') return `payee ${option.payTo} is ${outside}`;
  const [requested] = option.resources;
  const refused = unadmitted(scope.resources ?? [], option.resources);
  if (!refused) return `this resource is ${outside}`;
  // Only the host is named: it is all of a declared URL that its seller cannot write prose in.
  const pattern = wholeHostPattern(refused);
  if (refused !== requested) {
    return (
      `the seller declares a resource on another public host than the one that was asked, and it is ${outside}; ` +
      `to allow it, add the pattern ${pattern} to the grant's resources`
    );
  }
  if (pattern === undefined) return `this resource is ${outside}, and no pattern admits plain http`;
  if (!refused.unambiguous) {
    return (
      `ambiguous path: servers may read its encoded characters in more than one way, so it is ${outside}; ` +
      `write the path without %2F, %5C, %25 and lone %, or use a grant whose resources hold ${pattern}`
    );
  }
  return `this resource is ${outside}; to allow it, add a pattern that admits it, such as ${pattern}`;
}

/** The chain's amounts and counts, the paying grant first. */
export function limitDenial(
  chain: readonly GrantSnapshot[],
  option: Pick<PaymentOption, 'amount'>,
  currency: Currency,
  now: Date,
): Denial<PolicyDenialCode> | undefined {
  const paying = new Set(payingGrants(chain));
  const amount = (atomic: bigint) => formatAmount(atomic, currency);
  const asked = `${amount(option.amount)} ${currency.code}`;
  for (const grant of [...chain].reverse()) {
    if (grant.maxPerPayment !== undefined && option.amount > grant.maxPerPayment) {
      return {
        code: 'per_payment_exceeded',
        grantId: grant.id,
        limit: amount(grant.maxPerPayment),
        remaining: amount(headroom(grant)),
        detail: `${asked} is more than grant ${grant.id} allows for one payment (${amount(grant.maxPerPayment)})`,
      };
    }
    if (grant.maxPayments !== undefined && grant.payments >= grant.maxPayments) {
      return {
        code: 'payments_exceeded',
        grantId: grant.id,
        limit: String(grant.maxPayments),
        remaining: '0',
        detail: `grant ${grant.id} has made all of its ${grant.maxPayments} payments`,
      };
    }
    // Grants above a carve-out have set the money aside: their own headroom is for others.
    if (paying.has(grant) && option.amount > headroom(grant)) {
      return {
        code: 'budget_exceeded',
        grantId: grant.id,
        limit: amount(grant.budget),
        remaining: amount(headroom(grant)),
        detail: `${asked} is more than what remains of grant ${grant.id} (${amount(headroom(grant))} of ${amount(grant.budget)})`,
      };
    }
    const full = fullWindow(grant, option.amount, now);
    if (full) {
      return windowDenial(grant, full, option.amount, currency, now);
    }
  }
  return undefined;
}

function windowDenial(
  grant: GrantSnapshot,
  { window, by, usage, until }: FullWindow,
  asked: bigint,
  currency: Currency,
  now: Date,
): Denial<PolicyDenialCode> {
  const code = 'window_exceeded';
  const grantId = grant.id;
  const reopening = {
    reopensAt: until.toISOString(),
    retryAfterSeconds: secondsUntil(until, now),
  };
  const opens = `a new period begins at ${reopening.reopensAt}`;
  if (by === 'payments' || window.amount === undefined) {
    return {
      ...{ code, grantId, limit: String(window.payments), remaining: '0', ...reopening },
      detail: `grant ${grantId} has made the ${window.payments} payments of its ${window.seconds} s window; ${opens}`,
    };
  }
  const amount = (atomic: bigint) => formatAmount(atomic, currency);
  const left = window.amount > usage.amount ? window.amount - usage.amount : 0n;
  const bounds = { code, grantId, limit: amount(window.amount), remaining: amount(left) } as const;
  const price = `${amount(asked)} ${currency.code}`;
  if (asked > window.amount) {
    return {
      ...bounds,
      nextAction: 'ask',
      detail: `${price} is more than grant ${grantId} allows in any ${window.seconds} s window (${bounds.limit}), so waiting does not help`,
    };
  }
  return {
    ...bounds,
    ...reopening,
    detail: `${price} is more than what remains of the ${window.seconds} s window of grant ${grantId} (${bounds.remaining} of ${bounds.limit}); ${opens}`,
  };
}

function secondsUntil(time: Date, now: Date): number {
  return Math.max(1, Math.ceil((time.getTime() - now.getTime()) / 1000));
}

export function unixSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
