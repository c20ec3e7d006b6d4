import type { Attributes } from '@opentelemetry/api';
import { currencyOf, formatAmount } from '../domain/money.js';
import type { DecisionRecord, LeftOption } from '../domain/payment.js';
import { leftOf, type Reservation, type ReservationOrder } from '../ledger/order.js';
import type { PaymentRecord } from '../ledger/payment-rows.js';
import type { ChainViewRow } from '../ledger/sightings.js';
import { paymentAttributes } from '../tracing/payment-attributes.js';
import type { PaymentTerms } from '../x402/parse.js';
import type { PaymentView, Selection } from './payments.dto.js';

/** A payment that an order made or met. */
type Made = Extract<Reservation, { outcome: 'reserved' | 'pending' }>;

/** Shows a payment as the contract does. */
export function viewPayment(payment: PaymentRecord & { chain?: ChainViewRow }): PaymentView {
  const { chain } = payment;
  const { authorization, approval } = payment;
  return {
    id: payment.id,
    grantId: payment.grantId,
    status: payment.status,
    amount: formatAmount(payment.amount, currencyOf(payment.currency)),
    paid:
      payment.status === 'settled'
        ? formatAmount(payment.paid, currencyOf(payment.currency))
        : null,
    currency: payment.currency,
    network: payment.network,
    scheme: payment.scheme,
    payTo: payment.payTo,
    asset: payment.asset,
    idempotencyKey: payment.idempotencyKey,
    wallet: authorization?.payer ?? null,
    nonce: authorization?.nonce ?? null,
    validBefore: authorization
      ? new Date(Number(authorization.validBefore) * 1000).toISOString()
      : null,
    resource: payment.requestUrl,
    declaredResource: payment.declaredResource ?? null,
    resourceMismatch: payment.resourceMismatch,
    memo: payment.memo ?? null,
    transaction: payment.transaction ?? null,
    seen: chain?.seen ?? null,
    cancelRequestedAt: payment.cancelRequestedAt?.toISOString() ?? null,
    createdAt: payment.createdAt.toISOString(),
    settledAt: payment.status === 'settled' ? (payment.endedAt?.toISOString() ?? null) : null,
    ...(approval
      ? {
          approval: {
            lapsesAt: approval.lapsesAt.toISOString(),
            approvedAt: approval.approvedAt?.toISOString() ?? null,
            collectBefore: approval.approvedAt ? approval.lapsesAt.toISOString() : null,
            decidedBy: payment.decidedBy ?? null,
            reason: payment.decidedReason ?? null,
          },
        }
      : {}),
  };
}

/** Amount that the grant of a payment could still spend. */
export function viewRemaining({ currency }: PaymentRecord, remaining: bigint) {
  return { remaining: formatAmount(remaining, currencyOf(currency)) };
}

/** Attributes of a decision's span. Amounts are currency units. A refusal shows the first option. */
export function decisionAttributes(order: ReservationOrder, reservation: Reservation): Attributes {
  const { payment } = reservation;
  const asked = payment ?? order.options()[0];
  const shown = {
    'bursar.grant.id': order.grantId,
    ...(payment && { 'bursar.payment.id': payment.id }),
    ...(asked && paymentAttributes(asked)),
  };
  if (reservation.outcome === 'refused') {
    const { code, grantId, remaining } = reservation.denial;
    return {
      ...shown,
      'bursar.outcome': 'refused',
      'error.type': code,
      ...(grantId !== undefined && { 'bursar.refused_by': grantId }),
      ...(remaining !== undefined && { 'bursar.remaining': remaining }),
    };
  }
  const { outcome, replayed, remaining } = reservation;
  return {
    ...shown,
    'bursar.outcome': replayed ? 'replayed' : outcome,
    'bursar.remaining': viewRemaining(reservation.payment, remaining).remaining,
  };
}

/**
 * Why each option but the selected one was left, by its position: as just weighed, or for a replay as the
 * hashed record has it. None where the payment's entry stands somewhere else in the 402 at hand.
 */
function reasonsOf(
  { payment, offer, weighed }: Made,
  order: ReservationOrder,
): Map<number, LeftOption> {
  const { index } = offer;
  const left =
    weighed.length > 0
      ? leftOf(order, { index, currency: payment.currency }, weighed)
      : recordedLeft(payment, index);
  return new Map(left.map((each) => [Number(each.option), each]));
}

function recordedLeft({ authorization }: Made['payment'], index: number): readonly LeftOption[] {
  const record = JSON.parse(authorization?.decision ?? '{}') as Partial<DecisionRecord>;
  return record.option === String(index) ? (record.left ?? []) : [];
}

/** Which entry of the 402 at hand is paid, and why each other one is not. */
export function selectionOf(
  made: Made,
  order: ReservationOrder,
  { offers, unusable, unread }: PaymentTerms,
): Selection {
  const { offer } = made;
  const reasons = reasonsOf(made, order);
  const faults = new Map(order.unusable().map(({ index, problem }) => [index, problem]));
  const others = [...offers, ...unusable]
    .map(({ index }) => index)
    .filter((index) => index !== offer.index)
    .sort((a, b) => a - b);
  return {
    index: offer.index,
    notSelected: others.map((index) => {
      const fault = faults.get(index);
      const reason = reasons.get(index);
      return {
        index,
        code: fault?.code ?? reason?.code ?? 'not_preferred',
        ...(fault ? { detail: fault.detail } : {}),
        ...(fault?.fields.sellerText ? { sellerText: fault.fields.sellerText } : {}),
        ...(reason?.grantId ? { grantId: reason.grantId } : {}),
      };
    }),
    ...(unread > 0 ? { unread } : {}),
  };
}
