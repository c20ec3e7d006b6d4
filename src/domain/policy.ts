import { sha256Hex } from './canonical.js';
import { type GrantSnapshot, headroom, payingGrants } from './grant.js';
import { type Currency, formatAmount } from './money.js';
import type { DenialCode } from './problem.js';
import { type Resource, type Scope, scopeRefuses, unadmitted, wholeHostPattern } from './scope.js';
import { type FullWindow, fullWindow } from './window.js';

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
  /** Whether the seller settles before it answers (`extra.paymentFlow` is `upfront`). */
  readonly isUpfront: boolean;
  /**
   * What must be in scope: the URL that was asked, then the declared one when it names another public
   * host.
   */
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
export interface Denial<Code = DenialCode | 'max_amount_exceeded' | 'treasury_insufficient'> {
  readonly code: Code;
  readonly grantId?: string;
  /** The bound that was hit: currency units, a count, an instant, or a list. */
  readonly limit?: string;
  /** What is left under it. */
  readonly remaining?: string;
  /** Seconds until the same payment may be allowed, where waiting helps. */
  readonly retryAfterSeconds?: number;
  readonly detail: string;
}

/** What {@link decide} found of one option. */
export interface Weighed {
  readonly option: PaymentOption;
  /** The wallet that would pay; undefined when the option is refused. */
  readonly wallet: WalletSnapshot | undefined;
  /** Why the option is refused; undefined when it could be paid. */
  readonly denial: Denial | undefined;
}

/** An approval that a payment needs first. */
export interface ApprovalNeeded {
  /** The topmost grant that asks for it: only who stands above that one may give it. */
  readonly grantId: string;
  /** Its `approvalAbove`, atomic units. */
  readonly above: bigint;
}

/** The outcome of {@link decide}. Never called an authorization: that is what gets signed. */
export type Decision = {
  /** Every option, in the order in which they are preferred. */
  readonly weighed: readonly Weighed[];
} & (
  | {
      readonly outcome: 'allow';
      readonly option: PaymentOption;
      readonly wallet: WalletSnapshot;
      /** Unix seconds; the signature is worthless from then on. */
      readonly validBefore: bigint;
    }
  | {
      readonly outcome: 'require_approval';
      readonly option: PaymentOption;
      readonly approval: ApprovalNeeded;
    }
  | { readonly outcome: 'deny'; readonly denial: Denial }
);

/** What a decision is made over. */
export interface DecisionInput {
  /** The grants from the root down, the paying one last. Never empty. */
  readonly chain: readonly GrantSnapshot[];
  /** The treasury's usable wallets, in the order they should be preferred. */
  readonly wallets: readonly WalletSnapshot[];
  /** Any one of them pays. Never empty; all of the grants' currency. */
  readonly options: readonly PaymentOption[];
  readonly currency: Currency;
  /** The database's time, read after the locks were taken. */
  readonly now: Date;
  /** The longest life of a signature, whatever the seller asks. */
  readonly maxValiditySeconds: number;
  /** What the agent itself is ready to pay at most, in atomic units. */
  readonly maxAmount?: bigint | undefined;
  /** True when the payment has been approved: `approvalAbove` no longer holds it up. */
  readonly approved?: boolean;
}

/**
 * Decides one payment over a locked snapshot. Pure and synchronous: the caller holds the locks, so
 * what is read here is what will be charged.
 *
 * Selected is the cheapest of the options that every grant of the chain and the treasury allow; of
 * equally cheap ones, that on the network where the treasury has most free. When none is allowed, the
 * refusal of the cheapest is given.
 */
export function decide(input: DecisionInput): Decision {
  const { chain, options, now, maxValiditySeconds } = input;
  const preferred = [...options].sort(preference(input.wallets));
  const ended = lifeDenial(chain, now);
  if (ended) {
    const weighed = preferred.map((option) => ({ option, wallet: undefined, denial: ended }));
    return { outcome: 'deny', denial: ended, weighed };
  }
  const weighed = preferred.map((option) => weigh(option, input));
  const [first] = weighed;
  if (!first) throw new Error('decide needs at least one option');
  for (const { option, wallet } of weighed) {
    if (!wallet) continue;
    const approval = input.approved ? undefined : approvalNeeded(chain, option.amount);
    if (approval) return { outcome: 'require_approval', option, approval, weighed };
    const validBefore = validity(chain, option, now, maxValiditySeconds);
    return { outcome: 'allow', option, wallet, validBefore, weighed };
  }
  if (!first.denial) throw new Error('an option was neither refused nor payable');
  return { outcome: 'deny', denial: first.denial, weighed };
}

/** The approval a payment of `amount` needs under a chain, or undefined when it needs none. */
export function approvalNeeded(
  chain: readonly GrantSnapshot[],
  amount: bigint,
): ApprovalNeeded | undefined {
  for (const { id, approvalAbove } of chain) {
    if (approvalAbove !== undefined && amount > approvalAbove) {
      return { grantId: id, above: approvalAbove };
    }
  }
  return undefined;
}

function weigh(option: PaymentOption, input: DecisionInput): Weighed {
  const { chain, wallets, currency, now } = input;
  const denial =
    maxAmountDenial(option, input) ??
    scopeDenial(chain, option, currency) ??
    limitDenial(chain, option, currency, now);
  if (denial) return { option, wallet: undefined, denial };
  const wallet = wallets.find(
    (candidate) =>
      candidate.network === option.network &&
      candidate.asset === option.asset &&
      candidate.balance - candidate.reserved >= option.amount,
  );
  if (wallet) return { option, wallet, denial: undefined };
  return {
    option,
    wallet,
    denial: {
      code: 'treasury_insufficient',
      limit: formatAmount(option.amount, currency),
      remaining: formatAmount(mostFree(wallets, option), currency),
      detail: `no wallet of the treasury has ${formatAmount(option.amount, currency)} ${currency.code} free on ${option.network}`,
    },
  };
}

/** The agent's own bound, which no grant of the chain has a part in. */
function maxAmountDenial(
  { amount }: PaymentOption,
  { maxAmount, currency }: DecisionInput,
): Denial | undefined {
  if (maxAmount === undefined || amount <= maxAmount) return undefined;
  const limit = formatAmount(maxAmount, currency);
  return {
    code: 'max_amount_exceeded',
    limit,
    detail: `it costs ${formatAmount(amount, currency)} ${currency.code}, more than the maxAmount of ${limit}; choose a cheaper offer or raise maxAmount`,
  };
}

/**
 * The order in which a tree of grants tries wallets: starting at one that its root picks, so that a
 * tree stays on few wallets and trees spread over all.
 */
export function preferredWallets(
  wallets: readonly WalletSnapshot[],
  rootId: string,
): WalletSnapshot[] {
  const ids = [...new Set(wallets.map(({ id }) => id))];
  const first = ids[Number.parseInt(sha256Hex(rootId).slice(0, 8), 16) % Math.max(ids.length, 1)];
  const start = Math.max(
    0,
    wallets.findIndex(({ id }) => id === first),
  );
  return [...wallets.slice(start), ...wallets.slice(0, start)];
}

/**
 * Cheapest first, then those settled after the answer, then where the treasury has most free, then as the
 * seller lists them.
 */
function preference(wallets: readonly WalletSnapshot[]) {
  return (a: PaymentOption, b: PaymentOption): number => {
    if (a.amount !== b.amount) return a.amount < b.amount ? -1 : 1;
    if (a.isUpfront !== b.isUpfront) return a.isUpfront ? 1 : -1;
    const free = totalFree(wallets, b) - totalFree(wallets, a);
    if (free !== 0n) return free < 0n ? -1 : 1;
    return a.index - b.index;
  };
}

function freeOf(wallets: readonly WalletSnapshot[], { network, asset }: PaymentOption): bigint[] {
  return wallets
    .filter((wallet) => wallet.network === network && wallet.asset === asset)
    .map(({ balance, reserved }) => (balance > reserved ? balance - reserved : 0n));
}

function totalFree(wallets: readonly WalletSnapshot[], option: PaymentOption): bigint {
  return freeOf(wallets, option).reduce((sum, free) => sum + free, 0n);
}

function mostFree(wallets: readonly WalletSnapshot[], option: PaymentOption): bigint {
  let most = 0n;
  for (const free of freeOf(wallets, option)) {
    if (free > most) most = free;
  }
  return most;
}

/** The bound of a grant that was ended or paused: it allows nothing. */
const NOTHING_LEFT = { limit: '0.00', remaining: '0.00' } as const;

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
      return {
        code: 'grant_revoked',
        grantId: grant.id,
        ...NOTHING_LEFT,
        detail: `grant ${grant.id} is revoked`,
      };
    }
  }
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
        remaining: NOTHING_LEFT.remaining,
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
        remaining: NOTHING_LEFT.remaining,
        retryAfterSeconds: secondsUntil(grant.startsAt, now),
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
function scopeDenial(
  chain: readonly GrantSnapshot[],
  option: PaymentOption,
  currency: Currency,
): Denial | undefined {
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
  option: PaymentOption,
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
function limitDenial(
  chain: readonly GrantSnapshot[],
  option: PaymentOption,
  currency: Currency,
  now: Date,
): Denial | undefined {
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
    // What is above a carve-out has set the money aside: its own headroom is for others.
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
      const denial = windowDenial(grant, full, asked, amount);
      return { ...denial, retryAfterSeconds: secondsUntil(full.until, now) };
    }
  }
  return undefined;
}

function windowDenial(
  grant: GrantSnapshot,
  { window, by, usage, until }: FullWindow,
  asked: string,
  amount: (atomic: bigint) => string,
): Denial {
  const opens = `a new period begins at ${until.toISOString()}`;
  if (by === 'payments' || window.amount === undefined) {
    return {
      code: 'window_exceeded',
      grantId: grant.id,
      limit: String(window.payments),
      remaining: '0',
      detail: `grant ${grant.id} has made the ${window.payments} payments of its ${window.seconds} s window; ${opens}`,
    };
  }
  const left = window.amount > usage.amount ? window.amount - usage.amount : 0n;
  return {
    code: 'window_exceeded',
    grantId: grant.id,
    limit: amount(window.amount),
    remaining: amount(left),
    detail: `${asked} is more than what remains of the ${window.seconds} s window of grant ${grant.id} (${amount(left)} of ${amount(window.amount)}); ${opens}`,
  };
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

function secondsUntil(time: Date, now: Date): number {
  return Math.max(1, Math.ceil((time.getTime() - now.getTime()) / 1000));
}

function unixSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
