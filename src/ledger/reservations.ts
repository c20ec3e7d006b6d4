import { reserveOn } from '../domain/charge.js';
import { effectiveStatus, remaining } from '../domain/grant.js';
import { currencyOf } from '../domain/money.js';
import { type DecisionRecord, type LeftOption, nonceOf } from '../domain/payment.js';
import {
  type Decision,
  type Denial,
  decide,
  lifeDenial,
  type PaymentOption,
  preferredWallets,
  type WalletSnapshot,
  type Weighed,
} from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import type { NewEvent } from './events.js';
import type { GrantRecord } from './grant-rows.js';
import type { PaymentAuthorization, PaymentRecord } from './payment-rows.js';

/** One payment to decide, reserve and record. */
export interface ReservationOrder {
  readonly treasuryId: string;
  readonly grantId: string;
  /** The generation of the token that asks: one of an earlier generation has been replaced. */
  readonly tokenGeneration: number;
  /** The key its holder proved to have; a grant that is bound to one obeys nobody else. */
  readonly keyThumbprint: string | undefined;
  readonly idempotencyKey: string;
  /** SHA-256 of the request's canonical body: the same key with another one is an error. */
  readonly requestHash: string;
  /**
   * The ways the seller offers to be paid that can be paid now; the ledger selects one. Never empty, and
   * the same whenever it is asked.
   *
   * @throws Problem why none can.
   */
  readonly options: () => readonly PaymentOption[];
  /** The entries of `accepts` that {@link options} leaves out, and why. */
  readonly unusable: () => readonly { readonly index: number; readonly problem: Problem }[];
  /** The addresses the signer has keys for: no other wallet may be selected. */
  readonly signable: readonly string[];
  readonly x402Version: 1 | 2;
  /** What the header echoes and the record keeps of each option, by its index in `accepts`. */
  readonly offers: ReadonlyMap<
    number,
    { json: string; hash: string; resource: string | undefined }
  >;
  readonly resourceJson: string | undefined;
  readonly extensionsJson: string | undefined;
  readonly request: { readonly method: string; readonly url: string };
  readonly memo: string | undefined;
  /** The request's canonical body: kept only while the payment waits for an approval. */
  readonly body: () => string;
  readonly requestId: string;
  readonly maxValiditySeconds: number;
  /** How long the payment may wait for an approval. */
  readonly approvalSeconds: number;
}

/** What became of an order. */
export type Reservation =
  | {
      /** `pending`: it waits for an approval, and holds nothing. */
      readonly outcome: 'reserved' | 'pending';
      /** Whether it was made by an earlier order with the same key. */
      readonly replayed: boolean;
      readonly payment: PaymentRecord;
      /** What the grant could still spend, ancestors included; atomic units. */
      readonly remaining: bigint;
      /** Every option as it was weighed; empty for a replay. */
      readonly weighed: readonly Weighed[];
    }
  | { readonly outcome: 'refused'; readonly denial: Denial };

/**
 * Everything a batch of orders is decided over: what is locked, and what was decided so far. Each
 * decision changes it for the next one.
 */
export interface Books {
  /** By id. */
  readonly grants: Map<string, GrantRecord>;
  /** In the order of their locks. */
  wallets: WalletSnapshot[];
  /** By grant and key, see {@link keyOf}. */
  readonly payments: Map<string, PaymentRecord>;
  /** How many payments wait for an approval, of grants where some may; by grant. */
  readonly waiting: Map<string, number>;
  /** The database's time, read after the locks were taken. */
  readonly now: Date;
}

/** What deciding a batch wants written. */
export interface Writings {
  readonly payments: PaymentRecord[];
  readonly events: NewEvent[];
  /** Grants whose counters changed, by id. */
  readonly charged: Set<string>;
}

/**
 * How many payments of one grant may wait for an approval at once. They count against no limit, so
 * without a bound an agent could fill the disk and the approvers' list.
 */
const MAX_WAITING = 100;

/** What identifies an order's payment within its treasury. */
export function keyOf(order: { grantId: string; idempotencyKey: string }): string {
  return `${order.grantId} ${order.idempotencyKey}`;
}

/**
 * Decides one order over the books, and notes what is to be written. Pure but for new ids.
 *
 * @throws Problem `not_found`, `invalid_token`, `idempotency_mismatch`, or what makes every option
 *   unpayable.
 */
export function decideOrder(
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  books: Books,
  writings: Writings,
): Reservation {
  const grant = chain.at(-1);
  if (!grant) throw new Problem('not_found', `no grant ${order.grantId}`);
  if (
    grant.tokenGeneration !== order.tokenGeneration ||
    grant.holderKeyThumbprint !== order.keyThumbprint
  ) {
    throw new Problem('invalid_token', 'the token was replaced; use the one that replaced it');
  }
  const earlier = books.payments.get(keyOf(order));
  if (earlier) return replay(earlier, order, chain, books.now);

  const options = optionsIn(grant, order);
  const decision = decideOn(order, chain, books, options);
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    writings.events.push(refusedEvent(order, options, decision.denial));
    return { outcome: 'refused', denial: decision.denial };
  }
  const draft = draftOf(order, decision.option, books.now);
  if (decision.outcome === 'require_approval') {
    const waiting = books.waiting.get(grant.id) ?? 0;
    if (waiting >= MAX_WAITING) {
      throw new Problem(
        'rate_limited',
        `${waiting} payments of grant ${grant.id} wait for an approval already; ask again when some are decided`,
        { grantId: grant.id, limit: String(MAX_WAITING), remaining: '0', retryAfterSeconds: 60 },
      );
    }
    books.waiting.set(grant.id, waiting + 1);
    const pending: PaymentRecord = {
      ...draft,
      status: 'pending_approval',
      approval: {
        fromAbove: decision.approval.grantId,
        body: order.body(),
        lapsesAt: new Date(books.now.getTime() + order.approvalSeconds * 1000),
      },
    };
    books.payments.set(keyOf(order), pending);
    writings.payments.push(pending);
    writings.events.push(pendingEvent(order, pending, decision.approval));
    return {
      outcome: 'pending',
      replayed: false,
      payment: pending,
      remaining: remaining(chain, books.now),
      weighed,
    };
  }
  const payment = authorize(draft, order, chain, decision, books, writings);
  books.payments.set(keyOf(order), payment);
  writings.payments.push(payment);
  return {
    outcome: 'reserved',
    replayed: false,
    payment,
    remaining: remainingIn(books, chain),
    weighed,
  };
}

/**
 * Decides a waiting payment again, now that it was approved: the option that was approved, and no other
 * that the seller offers too.
 *
 * @throws Problem as {@link decideOrder}; `unavailable` when that option cannot be paid now.
 */
export function decideApproved(
  pending: PaymentRecord,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  books: Books,
  writings: Writings,
): Reservation {
  const grant = chain.at(-1);
  if (!grant) throw new Problem('not_found', `no grant ${order.grantId}`);
  const options = order.options().filter((option) => isOf(option, pending));
  if (options.length === 0) {
    throw new Problem(
      'unavailable',
      `${pending.network} cannot be paid on now; approve it again later`,
    );
  }
  const decision = decideOn(order, chain, books, options, true);
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    writings.events.push(refusedEvent(order, options, decision.denial, pending.id));
    return { outcome: 'refused', denial: decision.denial };
  }
  if (decision.outcome !== 'allow') throw new Error('an approved payment needs another approval');
  const draft: PaymentRecord = { ...pending, status: 'authorized' };
  const payment = authorize(draft, order, chain, decision, books, writings);
  return {
    outcome: 'reserved',
    replayed: false,
    payment,
    remaining: remainingIn(books, chain),
    weighed,
  };
}

function decideOn(
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  books: Books,
  options: readonly PaymentOption[],
  approved = false,
): Decision {
  const [root] = chain;
  if (!root) throw new Error('a chain has a root');
  return decide({
    chain,
    wallets: preferredWallets(usable(books.wallets, order.signable), root.id),
    options,
    currency: currencyOf(root.currency),
    now: books.now,
    maxValiditySeconds: order.maxValiditySeconds,
    approved,
  });
}

/** Whether an option is the one a payment was made of. */
function isOf(option: PaymentOption, payment: PaymentRecord): boolean {
  return (
    option.network === payment.network &&
    option.asset === payment.asset &&
    option.payTo === payment.payTo &&
    option.amount === payment.amount &&
    option.scheme === payment.scheme
  );
}

/** The grants of a chain as the books have them now. */
export function chainIn(books: Books, chain: readonly GrantRecord[]): GrantRecord[] {
  return chain.map(({ id }) => {
    const grant = books.grants.get(id);
    if (!grant) throw new Error(`grant ${id} is not locked`);
    return grant;
  });
}

function remainingIn(books: Books, chain: readonly GrantRecord[]): bigint {
  return remaining(chainIn(books, chain), books.now);
}

function optionsIn(grant: GrantRecord, order: ReservationOrder): PaymentOption[] {
  const options = order.options().filter(({ currency }) => currency === grant.currency);
  if (options.length > 0) return options;
  throw new Problem(
    'asset_not_supported',
    `the seller takes no ${grant.currency}, which is what grant ${grant.id} is kept in`,
  );
}

function usable(wallets: readonly WalletSnapshot[], signable: readonly string[]): WalletSnapshot[] {
  return wallets.filter(({ address }) => signable.includes(address));
}

function replay(
  payment: PaymentRecord,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  now: Date,
): Reservation {
  if (payment.requestHash !== order.requestHash) {
    throw new Problem(
      'idempotency_mismatch',
      'this Idempotency-Key was used for a payment with another body; use a new key for a new payment',
    );
  }
  if (payment.status === 'rejected') {
    throw new Problem(
      'forbidden',
      `payment ${payment.id} was rejected${payment.decidedReason === undefined ? '' : `: ${payment.decidedReason}`}`,
    );
  }
  // Whether the signature of an open payment ever reached the agent is unknown. After a revocation
  // it is not handed out again: what was never delivered must stay so.
  const status = effectiveStatus(chain, now);
  const isOpen = payment.status === 'authorized' || payment.status === 'pending_approval';
  if (isOpen && (status === 'revoked' || status === 'suspended')) {
    const denial = lifeDenial(chain, now);
    if (denial) return { outcome: 'refused', denial };
  }
  const outcome = payment.status === 'pending_approval' ? 'pending' : 'reserved';
  return { outcome, replayed: true, payment, remaining: remaining(chain, now), weighed: [] };
}

function offerOf(order: ReservationOrder, { index }: PaymentOption) {
  const offer = order.offers.get(index);
  if (!offer) throw new Error(`option ${index} was selected but not offered`);
  return offer;
}

/** What a payment takes over from the option that was selected. */
function termsOf(order: ReservationOrder, option: PaymentOption) {
  const offer = offerOf(order, option);
  return {
    currency: option.currency,
    amount: option.amount,
    network: option.network,
    scheme: option.scheme,
    asset: option.asset,
    payTo: option.payTo,
    requirement: offer.json,
    resource: offer.resource ?? order.request.url,
  };
}

function draftOf(order: ReservationOrder, option: PaymentOption, now: Date): PaymentRecord {
  return {
    treasuryId: order.treasuryId,
    id: newId('pay'),
    grantId: order.grantId,
    idempotencyKey: order.idempotencyKey,
    requestHash: order.requestHash,
    status: 'authorized',
    ...termsOf(order, option),
    x402Version: order.x402Version,
    resourceEcho: order.resourceJson,
    extensionsEcho: order.extensionsJson,
    requestMethod: order.request.method,
    requestUrl: order.request.url,
    memo: order.memo,
    authorization: undefined,
    approval: undefined,
    decidedBy: undefined,
    decidedReason: undefined,
    transaction: undefined,
    createdAt: now,
    endedAt: undefined,
  };
}

/** Fixes what the signature will cover, and charges the chain and the wallet. */
function authorize(
  draft: PaymentRecord,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  { option, wallet, validBefore, weighed }: Extract<Decision, { outcome: 'allow' }>,
  books: Books,
  writings: Writings,
): PaymentRecord {
  // "0" as the published v2 client sends it: a seller's or facilitator's clock that runs behind must
  // not refuse a payment that is good now.
  const validAfter = 0n;
  const offer = offerOf(order, option);
  // In the order in which they are written: what has it already is not copied for it.
  const record: DecisionRecord = {
    asset: option.asset,
    decidedAt: books.now.toISOString(),
    from: wallet.address,
    grants: chain.map((grant) => grant.id),
    left: leftOf(order, option, weighed),
    network: option.network,
    option: String(option.index),
    paymentId: draft.id,
    request: { method: draft.requestMethod, url: draft.requestUrl },
    requirementHash: offer.hash,
    resource: offer.resource ?? null,
    to: option.payTo,
    treasuryId: draft.treasuryId,
    validAfter: validAfter.toString(),
    validBefore: validBefore.toString(),
    value: option.amount.toString(),
    version: 'bursar.decision.v1',
    x402Version: order.x402Version,
  };
  const { json: decision, nonce } = nonceOf(record);
  const authorization: PaymentAuthorization = {
    walletId: wallet.id,
    payer: wallet.address,
    nonce,
    validAfter,
    validBefore,
    decision,
    authorizedAt: books.now,
  };
  for (const grant of reserveOn(chain, option.amount, books.now)) {
    const lastValidBefore =
      grant.lastValidBefore > validBefore ? grant.lastValidBefore : validBefore;
    books.grants.set(grant.id, { ...grant, lastValidBefore });
    writings.charged.add(grant.id);
  }
  books.wallets = books.wallets.map((each) =>
    each === wallet ? { ...each, reserved: each.reserved + option.amount } : each,
  );
  writings.events.push(authorizedEvent(order, draft, chain, record, nonce));
  return { ...draft, authorization };
}

/** Why each option but the selected one was left, in the seller's order. */
function leftOf(
  order: ReservationOrder,
  selected: PaymentOption,
  weighed: readonly Weighed[],
): LeftOption[] {
  const known = new Set(weighed.map(({ option }) => option.index));
  const left: LeftOption[] = order
    .unusable()
    .map(({ index, problem }) => ({ option: String(index), code: problem.code }));
  for (const { index } of order.options()) {
    // Payable, but not in the grant's currency: it was not even weighed.
    if (!known.has(index)) left.push({ option: String(index), code: 'asset_not_supported' });
  }
  for (const { option, denial } of weighed) {
    if (option.index === selected.index) continue;
    left.push({
      option: String(option.index),
      code: denial?.code ?? 'not_preferred',
      ...(denial?.grantId === undefined ? {} : { grantId: denial.grantId }),
    });
  }
  return left.sort((a, b) => Number(a.option) - Number(b.option));
}

function authorizedEvent(
  order: ReservationOrder,
  payment: PaymentRecord,
  chain: readonly GrantRecord[],
  decision: DecisionRecord,
  nonce: string,
): NewEvent {
  return {
    treasuryId: order.treasuryId,
    kind: 'payment.authorized',
    actor: `grant:${order.grantId}`,
    grantId: order.grantId,
    paymentId: payment.id,
    requestId: order.requestId,
    data: {
      // The grants as they were before this payment, the root first.
      chain: chain.map((grant) => ({
        allocated: grant.allocated.toString(),
        budget: grant.budget.toString(),
        id: grant.id,
        payments: grant.payments,
        reserved: grant.reserved.toString(),
        spent: grant.spent.toString(),
      })),
      currency: payment.currency,
      decision,
      nonce,
    },
  };
}

function pendingEvent(
  order: ReservationOrder,
  payment: PaymentRecord,
  approval: { grantId: string; above: bigint },
): NewEvent {
  return {
    treasuryId: order.treasuryId,
    kind: 'payment.pending',
    actor: `grant:${order.grantId}`,
    grantId: order.grantId,
    paymentId: payment.id,
    requestId: order.requestId,
    data: {
      askedBy: approval.grantId,
      approvalAbove: approval.above.toString(),
      request: order.request,
      option: optionData(payment.network, payment.asset, payment.payTo, payment.amount),
      lapsesAt: payment.approval?.lapsesAt.toISOString() ?? null,
    },
  };
}

function refusedEvent(
  order: ReservationOrder,
  options: readonly PaymentOption[],
  denial: Denial,
  paymentId?: string,
): NewEvent {
  return {
    treasuryId: order.treasuryId,
    kind: 'payment.refused',
    actor: `grant:${order.grantId}`,
    grantId: order.grantId,
    paymentId,
    requestId: order.requestId,
    reason: denial.code,
    data: {
      code: denial.code,
      detail: denial.detail,
      refusedBy: denial.grantId ?? null,
      limit: denial.limit ?? null,
      remaining: denial.remaining ?? null,
      request: order.request,
      options: options.map(({ network, asset, payTo, amount }) =>
        optionData(network, asset, payTo, amount),
      ),
    },
  };
}

function optionData(network: string, asset: string, payTo: string, amount: bigint) {
  return { network, asset, payTo, value: amount.toString() };
}
