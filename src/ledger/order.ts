import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import type { Denial } from '../domain/denials.js';
import type { LeftOption } from '../domain/payment.js';
import type { PaymentOption } from '../domain/payment-option.js';
import type { EvaluatedOption } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { type ActiveTrace, formatTraceparent } from '../tracing/trace-scope.js';
import type { LockedGrant } from './grant-rows.js';
import type { PaymentRecord } from './payment-rows.js';

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
  /** Rest that the header echoes; undefined when no header with the entry fits. */
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
  /** Thumbprint of the DPoP key that the caller proved; undefined for a bearer token. It must be the grant's. */
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
  /** Every entry of `accepts` that could be read, payable or not. */
  readonly offers: readonly OrderedOffer[];
  readonly request: { readonly method: string; readonly url: string };
  readonly memo: string | undefined;
  /** Most that the agent is ready to pay, in currency units. Replays ignore it. */
  readonly maxAmount: string | undefined;
  /** The entry of `accepts` to take instead of the cheapest. Replays ignore it. */
  readonly option: number | undefined;
  readonly requestId: string;
  /** The span of the request; undefined while tracing is off. */
  readonly trace?: ActiveTrace | undefined;
  readonly maxValiditySeconds: number;
  /** How long the payment may wait for an approval. */
  readonly approvalSeconds: number;
  /** Whether nobody may approve a payment that he had a part in. */
  readonly twoPerson: boolean;
}

/** Outcome of an order. */
export type Reservation =
  | {
      /** `pending`: it waits for an approval, and holds nothing. */
      readonly outcome: 'reserved' | 'pending';
      /** Whether it was made by an earlier order with the same key. */
      readonly replayed: boolean;
      readonly payment: PaymentRecord;
      /** Amount that the grant could still spend, ancestors included; atomic units. */
      readonly remaining: bigint;
      /** Every option as it was weighed; empty for a replay. */
      readonly weighed: readonly EvaluatedOption[];
      /** The entry of the 402 at hand that the payment is for. */
      readonly offer: OrderedOffer;
    }
  | {
      readonly outcome: 'refused';
      readonly denial: Denial;
      /** The payment that has the key already. */
      readonly payment: PaymentRecord | undefined;
    };

/** Identifies an order's payment within its treasury. */
export function keyOf(order: { grantId: string; idempotencyKey: string }): string {
  return `${order.grantId} ${order.idempotencyKey}`;
}

export function draftOf(order: ReservationOrder, option: PaymentOption, now: Date): PaymentRecord {
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
    host: option.resources[0]?.host,
    memo: order.memo,
    authorization: undefined,
    approval: undefined,
    decidedBy: undefined,
    decidedReason: undefined,
    cancelRequestedAt: undefined,
    transaction: undefined,
    createdAt: now,
    endedAt: undefined,
    traceparent: order.trace && formatTraceparent(order.trace.span.spanContext()),
  };
}

/** Members that a payment takes over from the selected option. */
export function termsOf(order: ReservationOrder, option: PaymentOption) {
  const { json, declaredResource, echo } = offerOf(order, option);
  return {
    currency: option.currency,
    amount: option.amount,
    paid: 0n,
    network: option.network,
    scheme: option.scheme,
    asset: option.asset,
    payTo: option.payTo,
    requirement: json,
    resourceEcho: echo?.resourceJson,
    extensionsEcho: echo?.extensionsJson,
    declaredResource,
    // There is a second resource only where the declared one names another public host.
    resourceMismatch: option.resources.length > 1,
  };
}

export function offerOf(order: ReservationOrder, { index }: PaymentOption): OrderedOffer {
  const offer = order.offers.find((each) => each.index === index);
  if (!offer) throw new Error(`option ${index} was selected but not offered`);
  return offer;
}

/** The options that a grant may choose from. @throws Problem why there are none. */
export function optionsIn(
  grant: LockedGrant,
  order: ReservationOrder,
  paysZero: boolean,
): PaymentOption[] {
  const payable = order.options();
  const chosen =
    order.option === undefined ? payable : payable.filter(({ index }) => index === order.option);
  if (chosen.length === 0) throw order.unpayable();
  const options = chosen.filter(({ currency }) => currency === grant.currency);
  const payables = paysZero ? options : options.filter(({ amount }) => amount > 0n);
  if (payables.length > 0) return payables;
  if (options.length > 0) throw paysNoZero();
  throw new Problem(
    'asset_not_supported',
    `the seller takes no ${grant.currency}, which is what grant ${grant.id} is kept in`,
  );
}

/** Why an option of 0 cannot be paid where the treasury's `zeroPayments` is off. */
export function paysNoZero(): Problem {
  return new Problem(
    'forbidden',
    'the treasury pays no amount of 0; ask for the resource without a payment',
  );
}

/**
 * The entry of a 402 that a payment was made for: one with its material terms, for the same request. Where several have
 * them, it is the one whose canonical JSON is that of the payment's own entry, else the first.
 *
 * @throws Problem `idempotency_mismatch`.
 */
export function sameOffer(payment: PaymentRecord, order: ReservationOrder): OrderedOffer {
  const nextAction = payment.status === 'pending_approval' ? 'new_key' : 'use_payment';
  const { method, url } = order.request;
  // The request of an adopted payment is lost, see adoptions.ts.
  const isKnown = payment.requestUrl !== '';
  if (isKnown && (method !== payment.requestMethod || url !== payment.requestUrl)) {
    throw new Problem(
      'idempotency_mismatch',
      `this Idempotency-Key or intent belongs to payment ${payment.id}, which is for another request; one key is one purchase, use another key for this request`,
      { nextAction, field: 'request' },
    );
  }
  const matching = order.matchable().filter((offer) => hasTermsOf(offer, payment));
  const [first, another] = matching;
  if (!first) {
    throw new Problem(
      'idempotency_mismatch',
      `this Idempotency-Key or intent belongs to payment ${payment.id}, and the 402 at hand has no entry with its terms ` +
        '(scheme, network, asset, payTo, amount); one key is one purchase',
      { nextAction, field: 'paymentRequired' },
    );
  }
  if (!another) return first;
  const hash = sha256Hex(canonicalJson(JSON.parse(payment.requirement)));
  return matching.find((offer) => offer.hash === hash) ?? first;
}

/** Whether an option or entry has the material terms of a payment. */
export function hasTermsOf(
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

/** Why each option but the selected one was left, in the seller's order. */
export function leftOf(
  order: Pick<ReservationOrder, 'options' | 'unusable'>,
  selected: Pick<PaymentOption, 'index' | 'currency'>,
  weighed: readonly EvaluatedOption[],
): LeftOption[] {
  const left: LeftOption[] = order
    .unusable()
    .map(({ index, problem }) => ({ option: String(index), code: problem.code }));
  // Most sellers ask for one thing.
  if (left.length === 0 && order.options().length === 1) return left;
  const known = new Set(weighed.map(({ option }) => option.index));
  for (const { index, currency } of order.options()) {
    if (known.has(index)) continue;
    // It was not weighed: it is in another currency, is an amount of 0 that is not paid, or the agent chose an option.
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
