import { fullIn, tooMany } from '../domain/bounds.js';
import { reserveOn } from '../domain/charge.js';
import { remaining } from '../domain/grant.js';
import { currencyOf, parseAmount } from '../domain/money.js';
import { type DecisionRecord, nonceOf } from '../domain/payment.js';
import type { PaymentOption } from '../domain/payment-option.js';
import { type Decision, decide, preferredWallets, type WalletSnapshot } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { isApproved } from './approver.js';
import { countWithBreakers } from './breakers.js';
import type { NewEvent } from './events.js';
import type { LockedGrant } from './grant-rows.js';
import {
  chainIn,
  changeWaiting,
  type LockedState,
  learnPayee,
  type PendingWrites,
  remainingIn,
} from './locked-state.js';
import {
  draftOf,
  hasTermsOf,
  keyOf,
  leftOf,
  type OrderedOffer,
  offerOf,
  optionsIn,
  type Reservation,
  type ReservationOrder,
  sameOffer,
  termsOf,
} from './order.js';
import {
  approvalNeededEvent,
  authorizedEvent,
  pendingEvent,
  refusedEvent,
} from './payment-events.js';
import type { PaymentAuthorization, PaymentRecord } from './payment-rows.js';
import { refuseReplacedToken } from './presented-tokens.js';
import { namingPayment, refuseEnded, refuseHandOut } from './replays.js';
import { noteCrossings } from './thresholds.js';

/**
 * Decides one order over the state, and notes what is to be written. It changes both, makes ids and salts, and does no I/O.
 *
 * @throws Problem `not_found`, `invalid_token`, `idempotency_mismatch`, `payment_ended`, `payment_expiring`,
 *   `rate_limited` for too many that are open or wait, `unavailable` during a fence, or what makes every option unpayable.
 */
export function decideOrder(
  order: ReservationOrder,
  chain: readonly LockedGrant[],
  state: LockedState,
  writes: PendingWrites,
): Reservation {
  const grant = chain.at(-1);
  if (!grant) throw new Problem('not_found', `no grant ${order.grantId}`);
  refuseReplacedToken(order, grant);
  // The key is looked up before the 402 is judged, so that an error of the 402 names the payment too.
  const earlier = state.payments.get(keyOf(order));
  if (earlier) return namingPayment(earlier, () => again(earlier, order, chain, state, writes));

  refuseFenced(state);
  const options = optionsIn(grant, order, state.paysZero);
  const decision = decideOn(order, chain, state, options);
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    refuse(refusedEvent(order, options, decision.denial), chain, state, writes);
    return { outcome: 'refused', denial: decision.denial, payment: undefined };
  }
  const draft = draftOf(order, decision.option, state.now);
  const offer = offerOf(order, decision.option);
  if (decision.outcome === 'require_approval') {
    const full = fullIn(state.bounds.waiting, chain, (each) => each.waiting, state.usage.waiting);
    if (full) throw tooMany(full, 'payments wait for an approval', grant.id, 60);
    changeWaiting(state, writes, chain, 1);
    const pending: PaymentRecord = {
      ...draft,
      status: 'pending_approval',
      approval: {
        fromAbove: decision.approval.grantId,
        approvedAt: undefined,
        lapsesAt: new Date(state.now.getTime() + order.approvalSeconds * 1000),
      },
    };
    state.payments.set(keyOf(order), pending);
    writes.payments.push(pending);
    writes.events.push(
      pendingEvent(order, pending, decision.approval),
      approvalNeededEvent(order, pending, decision.approval),
    );
    return {
      outcome: 'pending',
      replayed: false,
      payment: pending,
      remaining: remaining(chain, state.now),
      weighed,
      offer,
    };
  }
  const payment = authorize(draft, order, chain, decision, state, writes);
  state.payments.set(keyOf(order), payment);
  writes.payments.push(payment);
  return {
    outcome: 'reserved',
    replayed: false,
    payment,
    remaining: remainingIn(state, chain),
    weighed,
    offer,
  };
}

/** Records a refusal, and what the breakers of the chain make of it. */
function refuse(
  event: NewEvent,
  chain: readonly LockedGrant[],
  state: LockedState,
  writes: PendingWrites,
): void {
  writes.events.push(event);
  const { grants, breakerCounts, now } = state;
  const code = event.reason ?? '';
  const trip = countWithBreakers(chain, code, event, now, grants, breakerCounts, writes.breakers);
  if (trip) writes.events.push(trip);
}

/** Answers an order whose key has a payment already: that payment, and never another one. */
function again(
  payment: PaymentRecord,
  order: ReservationOrder,
  chain: readonly LockedGrant[],
  state: LockedState,
  writes: PendingWrites,
): Reservation {
  refuseEnded(payment, state.now);
  const offer = sameOffer(payment, order);
  const denial = refuseHandOut(payment, chain, state.now, state.isStopped);
  if (denial) return { outcome: 'refused', denial, payment };
  const isPending = payment.status === 'pending_approval';
  const actorsOf = order.twoPerson ? state.actorsOf : undefined;
  if (isPending && isApproved(payment, chain, actorsOf, state.knownPayees.isKnown)) {
    return handOver(payment, offer, order, chain, state, writes);
  }
  return {
    outcome: isPending ? 'pending' : 'reserved',
    replayed: true,
    payment,
    remaining: remaining(chain, state.now),
    weighed: [],
    offer,
  };
}

/**
 * Hands an approved payment over. Life, scope, limits and funds are decided again, over the entry of the 402 at hand; the
 * agent's `maxAmount` is not. The signature's time starts now.
 *
 * @throws Problem why that entry cannot be paid now.
 */
function handOver(
  pending: PaymentRecord,
  offer: OrderedOffer,
  order: ReservationOrder,
  chain: readonly LockedGrant[],
  state: LockedState,
  writes: PendingWrites,
): Reservation {
  // The payment may have been signed before, in a transaction that a restored database has lost.
  refuseFenced(state);
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
  const decision = decideOn(order, chain, state, [option], true);
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    refuse(refusedEvent(order, [option], decision.denial, pending.id), chain, state, writes);
    return { outcome: 'refused', denial: decision.denial, payment: pending };
  }
  if (decision.outcome !== 'allow') throw new Error('an approved payment needs another approval');
  const draft: PaymentRecord = {
    ...pending,
    ...termsOf(order, option),
    x402Version: order.x402Version,
    status: 'authorized',
  };
  const payment = authorize(draft, order, chain, decision, state, writes);
  changeWaiting(state, writes, chainIn(state, chain), -1);
  learnPayee(payment, chain, state, writes);
  state.payments.set(keyOf(order), payment);
  writes.handedOver.push(payment);
  return {
    outcome: 'reserved',
    replayed: false,
    payment,
    remaining: remainingIn(state, chain),
    weighed,
    offer: offerOf(order, option),
  };
}

function decideOn(
  order: ReservationOrder,
  chain: readonly LockedGrant[],
  state: LockedState,
  options: readonly PaymentOption[],
  approved = false,
): Decision {
  const [root] = chain;
  if (!root) throw new Error('a chain has a root');
  const currency = currencyOf(root.currency);
  const { maxAmount } = order;
  return decide({
    chain,
    wallets: preferredWallets(usable(state.wallets, order.signable), root.id),
    options,
    currency,
    now: state.now,
    isStopped: state.isStopped,
    maxValiditySeconds: order.maxValiditySeconds,
    maxAmount:
      approved || maxAmount === undefined
        ? undefined
        : parseAmount(maxAmount, currency, 'maxAmount'),
    approved,
    isKnownPayee: state.knownPayees.isKnown,
  });
}

/** @throws Problem `unavailable` while the treasury is fenced: a lost payment might be signed a second time. */
function refuseFenced({ fencedUntil, now }: LockedState): void {
  if (!fencedUntil) return;
  const left = Math.ceil((fencedUntil.getTime() - now.getTime()) / 1000);
  throw new Problem(
    'unavailable',
    'payments may be missing from the database, so no key makes a new one before the chain has shown them; repeat the ' +
      'request with the same Idempotency-Key',
    { retryAfterSeconds: Math.max(5, left) },
  );
}

function usable(wallets: readonly WalletSnapshot[], signable: readonly string[]): WalletSnapshot[] {
  return wallets.filter(({ address }) => signable.includes(address));
}

/** Fixes what the signature will cover, and charges the chain and the wallet. */
function authorize(
  draft: PaymentRecord,
  order: ReservationOrder,
  chain: readonly LockedGrant[],
  { option, wallet, validBefore, weighed }: Extract<Decision, { outcome: 'allow' }>,
  state: LockedState,
  writes: PendingWrites,
): PaymentRecord {
  // "0" as the published v2 client sends it: a seller's or facilitator's clock that runs behind must
  // not refuse a payment that is good now.
  const validAfter = 0n;
  const offer = offerOf(order, option);
  // The members are in alphabetical order, so that canonicalJson writes them without a sorted copy.
  const record: DecisionRecord = {
    asset: option.asset,
    decidedAt: state.now.toISOString(),
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
  const { usage } = state;
  const full = fullIn(state.bounds.open, chain, (each) => each.openPayments, usage.openPayments);
  if (full) throw tooMany(full, 'payments are signed and have not ended', order.grantId, 5);
  state.usage = { ...usage, openPayments: usage.openPayments + 1 };
  writes.usage = { ...writes.usage, openPayments: writes.usage.openPayments + 1 };
  const { json: decision, nonce } = nonceOf(record);
  const authorization: PaymentAuthorization = {
    walletId: wallet.id,
    payer: wallet.address,
    nonce,
    validAfter,
    validBefore,
    decision,
    authorizedAt: state.now,
  };
  const reserved = reserveOn(chain, option.amount, state.now);
  for (const grant of reserved) {
    // reserveOn has just made this copy, and nobody else has it. Another copy costs as much as all the arithmetic.
    if (grant.lastValidBefore < validBefore) Object.assign(grant, { lastValidBefore: validBefore });
    state.grants.set(grant.id, grant);
    writes.charged.add(grant.id);
  }
  state.wallets = state.wallets.map((each) =>
    each === wallet ? { ...each, reserved: each.reserved + option.amount } : each,
  );
  writes.events.push(authorizedEvent(order, draft, chain, record, nonce));
  const trace = order.trace?.span.spanContext();
  const of = { paymentId: draft.id, requestId: order.requestId, trace };
  writes.events.push(...noteCrossings(chain, reserved, of, writes.crossings));
  return { ...draft, authorization };
}
