import { sha256Hex } from './canonical.js';
import { type Denial, lifeDenial, limitDenial, scopeDenial, unixSeconds } from './denials.js';
import type { GrantSnapshot } from './grant.js';
import { type Currency, formatAmount } from './money.js';
import type { PaymentOption } from './payment-option.js';

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

/** Decision of {@link decide} about one option. */
export interface EvaluatedOption {
  readonly option: PaymentOption;
  /** The wallet that would pay; undefined when the option is refused. */
  readonly wallet: WalletSnapshot | undefined;
  /** Why the option is refused; undefined when it could be paid. */
  readonly denial: Denial | undefined;
}

/** An approval that a payment needs first. */
export interface ApprovalNeeded {
  /** The topmost grant that asks for it. Of holders, only those of grants above it may approve; admins and approvers may too. */
  readonly grantId: string;
  /** Its `approvalAbove`, atomic units, where the amount is more. */
  readonly above: bigint | undefined;
  /** Whether it asks because it does not know the payee. */
  readonly isNewPayee: boolean;
}

/** Whether a grant knows a payee: an approved payment of the grant's subtree went to it, or any that has settled. */
export type IsKnownPayee = (grantId: string, network: string, payTo: string) => boolean;

const KNOWS_NOBODY: IsKnownPayee = () => false;

/** The outcome of {@link decide}. Never called an authorization: that is what gets signed. */
export type Decision = {
  /** Every option, in the order in which they are preferred. */
  readonly weighed: readonly EvaluatedOption[];
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

/** Input of a decision. */
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
  /** Most that the agent itself is ready to pay, in atomic units. */
  readonly maxAmount?: bigint | undefined;
  /** True while the whole treasury is suspended. */
  readonly isStopped?: boolean;
  /** True when the payment has been approved: no rule of a grant asks for another approval. */
  readonly approved?: boolean;
  /** Nobody is known when left out: a grant that asks for approvals of new payees then always asks. */
  readonly isKnownPayee?: IsKnownPayee;
}

/**
 * Decides one payment over a locked snapshot. Pure and synchronous: the caller holds the locks, so
 * what is read here is what will be charged.
 *
 * Selected is the first option, in the order of {@link preference}, that every grant of the chain and the treasury
 * allow. When none is allowed, the refusal of the first is given.
 */
export function decide(input: DecisionInput): Decision {
  const { chain, options, now, maxValiditySeconds } = input;
  const preferred = [...options].sort(preference(input.wallets));
  const ended = lifeDenial(chain, now, input.isStopped);
  if (ended) {
    const weighed = preferred.map((option) => ({ option, wallet: undefined, denial: ended }));
    return { outcome: 'deny', denial: ended, weighed };
  }
  const weighed = preferred.map((option) => weigh(option, input));
  const [first] = weighed;
  if (!first) throw new Error('decide needs at least one option');
  for (const { option, wallet } of weighed) {
    if (!wallet) continue;
    const approval = input.approved ? undefined : approvalNeeded(chain, option, input.isKnownPayee);
    if (approval) return { outcome: 'require_approval', option, approval, weighed };
    const validBefore = validity(chain, option, now, maxValiditySeconds);
    return { outcome: 'allow', option, wallet, validBefore, weighed };
  }
  if (!first.denial) throw new Error('an option was neither refused nor payable');
  return { outcome: 'deny', denial: first.denial, weighed };
}

/** The approval that a payment needs under a chain, or undefined when it needs none. */
export function approvalNeeded(
  chain: readonly GrantSnapshot[],
  option: Pick<PaymentOption, 'amount' | 'network' | 'payTo'>,
  isKnownPayee: IsKnownPayee = KNOWS_NOBODY,
): ApprovalNeeded | undefined {
  for (const grant of chain) {
    const approval = approvalBy(grant, option, isKnownPayee);
    if (approval) return approval;
  }
  return undefined;
}

/** The approval that one grant asks for, or undefined when it asks for none. */
export function approvalBy(
  grant: Pick<GrantSnapshot, 'id' | 'approvalAbove' | 'approveNewPayees'>,
  { amount, network, payTo }: Pick<PaymentOption, 'amount' | 'network' | 'payTo'>,
  isKnownPayee: IsKnownPayee,
): ApprovalNeeded | undefined {
  const { id, approvalAbove, approveNewPayees } = grant;
  const above = approvalAbove !== undefined && amount > approvalAbove ? approvalAbove : undefined;
  const isNewPayee = approveNewPayees && !isKnownPayee(id, network, payTo);
  return above === undefined && !isNewPayee ? undefined : { grantId: id, above, isNewPayee };
}

function weigh(option: PaymentOption, input: DecisionInput): EvaluatedOption {
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
