import { sha256Hex } from './canonical.js';
import { type GrantSnapshot, headroom } from './grant.js';
import { type Currency, formatAmount } from './money.js';
import type { DenialCode } from './problem.js';
import { type Resource, type Scope, scopeRefuses } from './scope.js';

/**
 * Seconds a signature must stay valid for a facilitator to take it: the published `exact` facilitator
 * refuses below `now + 6` (x402 `scheme_exact_evm`).
 */
export const MIN_VALIDITY_SECONDS = 6;

/** One way a seller offers to be paid, already known to be of a registered asset. */
export interface PaymentOption {
  /** Position in the seller's `accepts`. */
  readonly index: number;
  readonly scheme: string;
  /** CAIP-2. */
  readonly network: string;
  /** Token contract, EIP-55 checksummed. */
  readonly asset: string;
  readonly currency: string;
  /** Atomic units. */
  readonly amount: bigint;
  /** EIP-55 checksummed. */
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  /** The URL really asked for and the one the seller declares; both must be in scope. */
  readonly resources: readonly Resource[];
}

/** A wallet's funds in one asset, as locked in the transaction. Atomic units. */
export interface WalletSnapshot {
  readonly id: string;
  readonly address: string;
  readonly network: string;
  readonly asset: string;
  /** At the last finalized block that was read. */
  readonly balance: bigint;
  /** Held for open payments. */
  readonly reserved: bigint;
}

/** Why an option is refused. Without `grantId` it is the treasury that cannot, not a grant. */
export interface Denial<Code = DenialCode | 'treasury_insufficient'> {
  readonly code: Code;
  readonly grantId?: string;
  /** The bound that was hit: currency units, a count, or a list. */
  readonly limit?: string;
  readonly remaining?: string;
  readonly detail: string;
}

/** The outcome of {@link decide}. Never called an authorization: that is what gets signed. */
export type Decision =
  | {
      readonly outcome: 'allow';
      readonly option: PaymentOption;
      readonly wallet: WalletSnapshot;
      /** Unix seconds; the signature is worthless from then on. */
      readonly validBefore: bigint;
    }
  | { readonly outcome: 'deny'; readonly denial: Denial };

/**
 * Decides one payment over a locked snapshot. Pure and synchronous: the caller holds the locks, so
 * what is read here is what will be charged.
 *
 * Options are tried cheapest first; the first that every grant of the chain and the treasury allow is
 * selected. When none is, the refusal of the cheapest is given.
 *
 * @param chain - the grants from the root down, the paying one last. Never empty.
 * @param options - any one of them pays. Never empty; all of the grants' currency.
 * @param wallets - the treasury's usable wallets, in the order they should be preferred.
 * @param now - the database's time, read after the locks were taken.
 * @param maxValiditySeconds - the longest life of a signature, whatever the seller asks.
 */
export function decide(
  chain: readonly GrantSnapshot[],
  wallets: readonly WalletSnapshot[],
  options: readonly PaymentOption[],
  currency: Currency,
  now: Date,
  maxValiditySeconds: number,
): Decision {
  const ended = lifeDenial(chain, now);
  if (ended) return { outcome: 'deny', denial: ended };
  let first: Denial | undefined;
  for (const option of [...options].sort(cheapestFirst)) {
    const denial = scopeDenial(chain, option) ?? limitDenial(chain, option, currency);
    if (denial) {
      first ??= denial;
      continue;
    }
    const wallet = wallets.find(
      (candidate) =>
        candidate.network === option.network &&
        candidate.asset === option.asset &&
        candidate.balance - candidate.reserved >= option.amount,
    );
    if (!wallet) {
      first ??= {
        code: 'treasury_insufficient',
        detail: `no wallet of the treasury has ${formatAmount(option.amount, currency)} ${currency.code} free on ${option.network}`,
      };
      continue;
    }
    const validBefore = validity(chain, option, now, maxValiditySeconds);
    return { outcome: 'allow', option, wallet, validBefore };
  }
  if (!first) throw new Error('decide needs at least one option');
  return { outcome: 'deny', denial: first };
}

/**
 * The order in which a tree of grants tries wallets: starting at one that its root picks, so that a
 * tree stays on few wallets and trees spread over all.
 */
export function preferredWallets(
  wallets: readonly WalletSnapshot[],
  rootId: string,
): WalletSnapshot[] {
  const start = Number.parseInt(sha256Hex(rootId).slice(0, 8), 16) % Math.max(wallets.length, 1);
  return [...wallets.slice(start), ...wallets.slice(0, start)];
}

function cheapestFirst(a: PaymentOption, b: PaymentOption): number {
  if (a.amount !== b.amount) return a.amount < b.amount ? -1 : 1;
  return a.index - b.index;
}

/**
 * Why a chain of grants cannot pay at all now, or undefined when it can. Root first: when an ancestor
 * ended, that is the reason to give.
 */
export function lifeDenial(
  chain: readonly GrantSnapshot[],
  now: Date,
): Denial<DenialCode> | undefined {
  for (const grant of chain) {
    if (grant.status === 'revoked') {
      return { code: 'grant_revoked', grantId: grant.id, detail: `grant ${grant.id} is revoked` };
    }
  }
  for (const grant of chain) {
    if (grant.status === 'suspended') {
      return {
        code: 'grant_suspended',
        grantId: grant.id,
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
        detail: `grant ${grant.id} starts at ${grant.startsAt.toISOString()}`,
      };
    }
  }
  return undefined;
}

const SCOPE_DENIALS: Readonly<Record<keyof Scope, DenialCode>> = {
  networks: 'network_not_allowed',
  payTo: 'payee_not_allowed',
  resources: 'resource_not_allowed',
};

/** The chain's scopes, the paying grant first: its own bound is what its holder can understand. */
function scopeDenial(chain: readonly GrantSnapshot[], option: PaymentOption): Denial | undefined {
  for (const grant of [...chain].reverse()) {
    const dimension = scopeRefuses(grant.scope, {
      network: option.network,
      payTo: option.payTo,
      resources: option.resources,
    });
    if (dimension) {
      const asked =
        dimension === 'networks'
          ? option.network
          : dimension === 'payTo'
            ? `payee ${option.payTo}`
            : 'this resource';
      return {
        code: SCOPE_DENIALS[dimension],
        grantId: grant.id,
        limit: (grant.scope[dimension] ?? []).join(', '),
        detail: `${asked} is outside the scope (${dimension}) of grant ${grant.id}`,
      };
    }
  }
  return undefined;
}

/** The chain's amounts and counts, the paying grant first. */
function limitDenial(
  chain: readonly GrantSnapshot[],
  option: PaymentOption,
  currency: Currency,
): Denial | undefined {
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
    if (option.amount > headroom(grant)) {
      return {
        code: 'budget_exceeded',
        grantId: grant.id,
        limit: amount(grant.budget),
        remaining: amount(headroom(grant)),
        detail: `${asked} is more than what remains of grant ${grant.id} (${amount(headroom(grant))} of ${amount(grant.budget)})`,
      };
    }
  }
  return undefined;
}

function validity(
  chain: readonly GrantSnapshot[],
  option: PaymentOption,
  now: Date,
  maxValiditySeconds: number,
): bigint {
  const ends = chain.map((grant) => Math.floor(grant.expiresAt.getTime() / 1000));
  const asked = unixSeconds(now) + Math.min(option.maxTimeoutSeconds, maxValiditySeconds);
  return BigInt(Math.min(asked, ...ends));
}

function unixSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
