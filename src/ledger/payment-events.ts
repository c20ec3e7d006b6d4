import type { Denial } from '../domain/denials.js';
import { tellDenial, untold } from '../domain/disclosure.js';
import type { DecisionRecord } from '../domain/payment.js';
import type { PaymentOption } from '../domain/payment-option.js';
import type { ApprovalNeeded } from '../domain/policy.js';
import type { NewEvent } from './events.js';
import type { LockedGrant } from './grant-rows.js';
import { concealNow } from './openings.js';
import type { ReservationOrder } from './order.js';
import type { PaymentRecord } from './payment-rows.js';
import { rowHash } from './row-hash.js';

export function authorizedEvent(
  order: ReservationOrder,
  payment: PaymentRecord,
  chain: readonly LockedGrant[],
  decision: DecisionRecord,
  nonce: string,
): NewEvent {
  // Counters of the chain before this payment, the root first. The event shows those of the paying grant. It only commits
  // to those of the grants above, since the holder reads it.
  const counters = chain.map((grant) => ({
    allocated: grant.allocated.toString(),
    budget: grant.budget.toString(),
    id: grant.id,
    payments: grant.payments,
    reserved: grant.reserved.toString(),
    spent: grant.spent.toString(),
  }));
  const own = counters.pop();
  const ancestors = counters.length > 0 ? concealNow({ chain: counters }) : undefined;
  return {
    kind: 'payment.authorized',
    paymentId: payment.id,
    concealed: ancestors,
    data: {
      ancestors: ancestors?.commitment ?? null,
      // Only a payment that waited has an approver.
      ...(payment.approval && {
        approval: { by: payment.decidedBy ?? null, twoPerson: order.twoPerson },
      }),
      currency: payment.currency,
      decision,
      grant: own,
      nonce,
      rowHash: rowHashOf(payment),
    },
    ...ofOrder(order),
  };
}

export function pendingEvent(
  order: ReservationOrder,
  payment: PaymentRecord,
  approval: ApprovalNeeded,
): NewEvent {
  const approvalAbove = approval.above?.toString() ?? null;
  const isOwn = approval.grantId === order.grantId || approvalAbove === null;
  const ancestors = isOwn ? undefined : concealNow({ approvalAbove });
  return {
    kind: 'payment.pending',
    paymentId: payment.id,
    concealed: ancestors,
    data: {
      ancestors: ancestors?.commitment ?? null,
      askedBy: approval.grantId,
      approvalAbove: ancestors ? null : approvalAbove,
      newPayee: approval.isNewPayee,
      request: order.request,
      option: optionData(payment.network, payment.asset, payment.payTo, payment.amount),
      lapsesAt: payment.approval?.lapsesAt.toISOString() ?? null,
      rowHash: rowHashOf(payment),
    },
    ...ofOrder(order),
  };
}

/** Tells approvers that a payment waits: what they need to decide, and no terms of grants. */
export function approvalNeededEvent(
  { treasuryId, grantId, requestId, request, trace }: ReservationOrder,
  payment: PaymentRecord,
  { grantId: askedBy }: ApprovalNeeded,
): NewEvent {
  return {
    treasuryId,
    grantId,
    requestId,
    trace: trace?.span.spanContext(),
    kind: 'approval.needed',
    actor: 'system:payments',
    paymentId: payment.id,
    data: {
      askedBy,
      value: payment.amount.toString(),
      currency: payment.currency,
      network: payment.network,
      payTo: payment.payTo,
      url: request.url,
      lapsesAt: payment.approval?.lapsesAt.toISOString() ?? null,
    },
  };
}

export function refusedEvent(
  order: ReservationOrder,
  options: readonly PaymentOption[],
  denial: Denial,
  paymentId?: string,
): NewEvent {
  const own = [order.grantId];
  const { code, detail, grantId, limit, remaining: left } = tellDenial(denial, own);
  const figures = untold(denial, own);
  const ancestors = figures && concealNow({ ...figures });
  return {
    kind: 'payment.refused',
    paymentId,
    reason: code,
    concealed: ancestors,
    data: {
      ancestors: ancestors?.commitment ?? null,
      code,
      detail,
      refusedBy: grantId ?? null,
      limit: limit ?? null,
      remaining: left ?? null,
      request: order.request,
      options: options.map(({ network, asset, payTo, amount }) =>
        optionData(network, asset, payTo, amount),
      ),
    },
    ...ofOrder(order),
  };
}

/** Members of an event that come from the order alone. */
function ofOrder({ treasuryId, grantId, requestId, trace }: ReservationOrder) {
  const actor = `grant:${grantId}`;
  return { treasuryId, actor, grantId, requestId, trace: trace?.span.spanContext() };
}

/** Hashes the columns of a payment that its event does not have, or not byte for byte. */
function rowHashOf(payment: PaymentRecord): string {
  return rowHash([
    payment.idempotencyKey,
    payment.scheme,
    String(payment.x402Version),
    payment.requirement,
    payment.resourceEcho,
    payment.extensionsEcho,
    payment.declaredResource,
    String(payment.resourceMismatch),
    payment.memo,
  ]);
}

function optionData(network: string, asset: string, payTo: string, amount: bigint) {
  return { network, asset, payTo, value: amount.toString() };
}
