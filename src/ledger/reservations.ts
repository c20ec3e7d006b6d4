import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { reserveOn } from '../domain/charge.js';
import { remaining } from '../domain/grant.js';
import { currencyOf, parseAmount } from '../domain/money.js';
import { type DecisionRecord, type LeftOption, nonceOf } from '../domain/payment.js';
import {
  type Decision,
  type Denial,
  decide,
  type PaymentOption,
  preferredWallets,
  type WalletSnapshot,
  type Weighed,
} from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { isApproved } from './approver.js';
import type { NewEvent } from './events.js';
import type { GrantRecord } from './grant-rows.js';
import type { PaymentAuthorization, PaymentRecord } from './payment-rows.js';
import { namingPayment, refuseEnded, refuseHandOut } from './replays.js';

/** An entry of `accepts` as far as a payment takes it over. */
export interface OrderedOffer {
  /** Position in `accepts`. */
  readonly index: number;
  readonly scheme: string;
  readonly network: string;
  readonly asset: string;
  /** Atomic units. */
  readonly amount: bigint;
  readonly payTo: string;
  /** The entry as JSON text, and the SHA-256 (hex) of its canonical form. */
  readonly json: string;
  readonly hash: string;
  /** The resource the seller declares: any text. */
  readonly declaredResource: string | undefined;
  /** What else the header echoes; undefined when no header with the entry fits. */
  readonly echo:
    | { readonly resourceJson: string | undefined; readonly extensionsJson: string | undefined }
    | undefined;
}

/** One payment to decide, reserve and record. */
export interface ReservationOrder {
  readonly treasuryId: string;
  readonly grantId: string;
  /** The generation of the token that asks: one of an earlier generation has been replaced. */
  readonly tokenGeneration: number;
  /** The key its holder proved to have; a grant that is bound to one obeys nobody else. */
  readonly keyThumbprint: string | undefined;
  readonly idempotencyKey: string;
  /** The ways to be paid that can be paid now; the ledger selects one. The same whenever it is asked. */
  readonly options: () => readonly PaymentOption[];
  /** Why none can be paid, when {@link options} is empty. */
  readonly unpayable: () => Problem;
  /** The entries of `accepts` that {@link options} leaves out, and why. */
  readonly unusable: () => readonly { readonly index: number; readonly problem: Problem }[];
  /** The entries that may stand for a payment that was made before, whatever state their network is in. */
  readonly matchable: () => readonly OrderedOffer[];
  /** The addresses the signer has keys for: no other wallet may be selected. */
  readonly signable: readonly string[];
  readonly x402Version: 1 | 2;
  /** What the header echoes and the record keeps of each option. */
  readonly offers: readonly OrderedOffer[];
  readonly request: { readonly method: string; readonly url: string };
  readonly memo: string | undefined;
  /** What the agent is ready to pay at most, in currency units. Replays ignore it. */
  readonly maxAmount: string | undefined;
  /** The entry of `accepts` to take instead of the cheapest. Replays ignore it. */
  readonly option: number | undefined;
  readonly requestId: string;
  readonly maxValiditySeconds: number;
  /** How long the payment may wait for an approval. */
  readonly approvalSeconds: number;
  /** Whether nobody may approve a payment that he made possible himself. */
  readonly twoPerson: boolean;
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
      /** The entry of the 402 at hand that the payment is for. */
      readonly offer: OrderedOffer;
    }
  | {
      readonly outcome: 'refused';
      readonly denial: Denial;
      /** The payment that has the key already. */
      readonly payment: PaymentRecord | undefined;
    };

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
  /** Payments that waited and were handed over. */
  readonly handedOver: PaymentRecord[];
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
 * @throws Problem `not_found`, `invalid_token`, `idempotency_mismatch`, `payment_ended`,
 *   `payment_expiring`, or what makes every option unpayable.
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
  // The key comes before the 402: whatever is wrong with that, the agent is told of its payment.
  const earlier = books.payments.get(keyOf(order));
  if (earlier) return namingPayment(earlier, () => again(earlier, order, chain, books, writings));

  const options = optionsIn(grant, order);
  const decision = decideOn(order, chain, books, options);
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    writings.events.push(refusedEvent(order, options, decision.denial));
    return { outcome: 'refused', denial: decision.denial, payment: undefined };
  }
  const draft = draftOf(order, decision.option, books.now);
  const offer = offerOf(order, decision.option);
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
        approvedAt: undefined,
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
      offer,
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
    offer,
  };
}

/** Answers an order whose key has a payment already: that payment, and never another one. */
function again(
  payment: PaymentRecord,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  books: Books,
  writings: Writings,
): Reservation {
  refuseEnded(payment);
  const offer = sameOffer(payment, order);
  const denial = refuseHandOut(payment, chain, books.now);
  if (denial) return { outcome: 'refused', denial, payment };
  const isPending = payment.status === 'pending_approval';
  if (isPending && isApproved(payment, chain, order.twoPerson)) {
    return handOver(payment, offer, order, chain, books, writings);
  }
  return {
    outcome: isPending ? 'pending' : 'reserved',
    replayed: true,
    payment,
    remaining: remaining(chain, books.now),
    weighed: [],
    offer,
  };
}

/**
 * The entry of a 402 that a payment was made for: one with its material terms, for the same request. Of
 * several the very one, and else the first.
 *
 * @throws Problem `idempotency_mismatch`.
 */
function sameOffer(payment: PaymentRecord, order: ReservationOrder): OrderedOffer {
  const nextAction = payment.status === 'pending_approval' ? 'new_key' : 'use_payment';
  const { method, url } = order.request;
  if (method !== payment.requestMethod || url !== payment.requestUrl) {
    throw new Problem(
      'idempotency_mismatch',
      `this Idempotency-Key belongs to payment ${payment.id}, which is for another request; one key is one purchase`,
      { nextAction, field: 'request' },
    );
  }
  const matching = order.matchable().filter((offer) => hasTermsOf(offer, payment));
  const [first, another] = matching;
  if (!first) {
    throw new Problem(
      'idempotency_mismatch',
      `this Idempotency-Key belongs to payment ${payment.id}, and the 402 at hand has no entry with its terms ` +
        '(scheme, network, asset, payTo, amount); one key is one purchase',
      { nextAction, field: 'paymentRequired' },
    );
  }
  if (!another) return first;
  const hash = sha256Hex(canonicalJson(JSON.parse(payment.requirement)));
  return matching.find((offer) => offer.hash === hash) ?? first;
}

/** Whether an option or entry has the material terms of a payment. */
function hasTermsOf(
  offer: Pick<OrderedOffer, 'scheme' | 'network' | 'asset' | 'payTo' | 'amount'>,
  payment: PaymentRecord,
): boolean {
  return (
    offer.network === payment.network &&
    offer.asset === payment.asset &&
    offer.payTo === payment.payTo &&
    offer.amount === payment.amount &&
    offer.scheme === payment.scheme
  );
}

/**
 * Hands an approved payment over: everything is decided again at this moment, over the entry of the 402 at
 * hand, and the signature's time starts now.
 *
 * @throws Problem why that entry cannot be paid now.
 */
function handOver(
  pending: PaymentRecord,
  offer: OrderedOffer,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  books: Books,
  writings: Writings,
): Reservation {
  const matching = order
    .options()
    .filter((option) => hasTermsOf(option, pending) && option.currency === pending.currency);
  const option = matching.find(({ index }) => index === offer.index) ?? matching[0];
  if (!option) {
    const unusable = order.unusable().find(({ index }) => index === offer.index);
    throw (
      unusable?.problem ??
      new Problem('unavailable', `${pending.network} cannot be paid on now; ask again later`)
    );
  }
  const decision = decideOn(order, chain, books, [option], true);
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    writings.events.push(refusedEvent(order, [option], decision.denial, pending.id));
    return { outcome: 'refused', denial: decision.denial, payment: pending };
  }
  if (decision.outcome !== 'allow') throw new Error('an approved payment needs another approval');
  const draft: PaymentRecord = {
    ...pending,
    ...termsOf(order, option),
    x402Version: order.x402Version,
    status: 'authorized',
  };
  const payment = authorize(draft, order, chain, decision, books, writings);
  books.payments.set(keyOf(order), payment);
  writings.handedOver.push(payment);
  return {
    outcome: 'reserved',
    replayed: false,
    payment,
    remaining: remainingIn(books, chain),
    weighed,
    offer: offerOf(order, option),
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
  const currency = currencyOf(root.currency);
  const { maxAmount } = order;
  return decide({
    chain,
    wallets: preferredWallets(usable(books.wallets, order.signable), root.id),
    options,
    currency,
    now: books.now,
    maxValiditySeconds: order.maxValiditySeconds,
    maxAmount:
      approved || maxAmount === undefined
        ? undefined
        : parseAmount(maxAmount, currency, 'maxAmount'),
    approved,
  });
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

/** The options that a grant may choose from. @throws Problem why there are none. */
function optionsIn(grant: GrantRecord, order: ReservationOrder): PaymentOption[] {
  const payable = order.options();
  const chosen =
    order.option === undefined ? payable : payable.filter(({ index }) => index === order.option);
  if (chosen.length === 0) throw order.unpayable();
  const options = chosen.filter(({ currency }) => currency === grant.currency);
  if (options.length > 0) return options;
  throw new Problem(
    'asset_not_supported',
    `the seller takes no ${grant.currency}, which is what grant ${grant.id} is kept in`,
  );
}

function usable(wallets: readonly WalletSnapshot[], signable: readonly string[]): WalletSnapshot[] {
  return wallets.filter(({ address }) => signable.includes(address));
}

function offerOf(order: ReservationOrder, { index }: PaymentOption): OrderedOffer {
  const offer = order.offers.find((each) => each.index === index);
  if (!offer) throw new Error(`option ${index} was selected but not offered`);
  return offer;
}

/** What a payment takes over from the option that was selected. */
function termsOf(order: ReservationOrder, option: PaymentOption) {
  const { json, declaredResource, echo } = offerOf(order, option);
  return {
    currency: option.currency,
    amount: option.amount,
    network: option.network,
    scheme: option.scheme,
    asset: option.asset,
    payTo: option.payTo,
    requirement: json,
    resourceEcho: echo?.resourceJson,
    extensionsEcho: echo?.extensionsJson,
    declaredResource,
    // The declared resource stands behind the asked one only when it names another public host.
    resourceMismatch: option.resources.length > 1,
  };
}

function draftOf(order: ReservationOrder, option: PaymentOption, now: Date): PaymentRecord {
  return {
    treasuryId: order.treasuryId,
    id: newId('pay'),
    grantId: order.grantId,
    idempotencyKey: order.idempotencyKey,
    status: 'authorized',
    ...termsOf(order, option),
    x402Version: order.x402Version,
    requestMethod: order.request.method,
    requestUrl: order.request.url,
    memo: order.memo,
    authorization: undefined,
    approval: undefined,
    decidedBy: undefined,
    decidedReason: undefined,
    cancelRequestedAt: undefined,
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
    resource: offer.declaredResource ?? null,
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
export function leftOf(
  order: Pick<ReservationOrder, 'options' | 'unusable'>,
  selected: Pick<PaymentOption, 'index' | 'currency'>,
  weighed: readonly Weighed[],
): LeftOption[] {
  const known = new Set(weighed.map(({ option }) => option.index));
  const left: LeftOption[] = order
    .unusable()
    .map(({ index, problem }) => ({ option: String(index), code: problem.code }));
  for (const { index, currency } of order.options()) {
    if (known.has(index)) continue;
    // It was not even weighed: it is in another currency than the grant's, or the agent chose an option.
    const code = currency === selected.currency ? 'not_preferred' : 'asset_not_supported';
    left.push({ option: String(index), code });
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
