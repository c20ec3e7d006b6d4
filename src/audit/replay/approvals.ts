import { askedAbove } from '../openings.js';
import { actingGrant, placeIn } from './actors.js';
import { requireNoTripDue } from './breakers.js';
import type { Grant, History, OpenPayment, WaitingPayment } from './history.js';
import { requireAlive } from './life.js';
import { requireRunning } from './pauses.js';
import {
  type AuditRecord,
  amount,
  Contradiction,
  object,
  optionalAmount,
  optionalTime,
  text,
} from './record.js';
import { CLOCK_CORRECTION_MS } from './times.js';
import { requireTwoPersons } from './two-persons.js';

/**
 * A payment starts to wait. What it is tied to by its approval is in its record: the option, the request and the
 * grant that asks. Records without one of these are held to the others.
 */
export function pending(
  history: History,
  { paymentId, grantId, data }: AuditRecord,
  at: number,
): undefined {
  const id = text(paymentId, 'paymentId');
  const grant = history.grant(grantId);
  if (history.waiting.has(id) || history.isSigned(id)) {
    throw new Contradiction(`payment ${id}: payment.pending of a payment that is there already`);
  }
  requireRunning(history, `payment ${id} starts to wait`);
  requireNoTripDue(grant, 'asks for a payment');
  for (const each of grant.path) requireAlive(each, id, at);
  const option = data.option === undefined ? undefined : object(data.option, 'option');
  const askedBy = data.askedBy === undefined ? undefined : text(data.askedBy, 'askedBy');
  const value = option && amount(option.value, 'option.value');
  if (value !== undefined && askedBy !== undefined) {
    const asks = topmostAsking(grant, termsOf(option, value));
    const limit = asks && asksAbove(asks, value) ? asks.approvalAbove : undefined;
    const above = optionalAmount(askedAbove(data, history.opening), 'approvalAbove');
    // Records of before commitments may say nothing of it; those of today say it, or commit to it.
    const isTold = above !== undefined || data.ancestors !== undefined;
    if (asks?.id !== askedBy || (isTold && limit !== above)) {
      throw new Contradiction(
        `payment ${id} waits for grant ${askedBy}, and ${asks ? `grant ${asks.id} asks` : 'none asks'} for the approval of ${value}`,
      );
    }
  }
  history.waiting.set(id, {
    grant,
    option,
    request: data.request === undefined ? undefined : object(data.request, 'request'),
    askedBy,
    state: 'pending',
    approver: undefined,
    lapsesAt: optionalTime(data.lapsesAt, 'lapsesAt'),
  });
}

/** Those who may decide are told of a payment that waits. */
export function needed(history: History, record: AuditRecord): undefined {
  const [id, waiting] = waitingOf(history, record);
  const { askedBy, lapsesAt } = record.data;
  if (
    waiting.state === 'pending' &&
    askedBy === waiting.askedBy &&
    optionalTime(lapsesAt, 'lapsesAt') === waiting.lapsesAt
  ) {
    return;
  }
  throw new Contradiction(
    `payment ${id}: approval.needed does not say what its payment.pending says`,
  );
}

/** A waiting payment is permitted. An approval may be given anew as long as nothing was collected. */
export function approved(history: History, record: AuditRecord, at: number): undefined {
  const { actor, data } = record;
  const [id, waiting] = waitingOf(history, record);
  requireTwoPersons(history, record, waiting.grant);
  requireAbove(waiting, id, actor);
  if (waiting.lapsesAt !== undefined && at >= waiting.lapsesAt + CLOCK_CORRECTION_MS) {
    throw new Contradiction(`payment ${id} is approved after it had lapsed`);
  }
  for (const each of waiting.grant.path) {
    if (!each.isRevoked && at < each.expiresAt) continue;
    throw new Contradiction(`payment ${id} is approved after the end of grant ${each.id}`);
  }
  waiting.state = 'approved';
  waiting.approver = actor;
  // Records of before this member was written do not say until when it may be collected.
  waiting.lapsesAt = optionalTime(data.collectBefore, 'collectBefore');
}

/** A waiting payment ends: by whoever could approve it, or by the service once it has lapsed. */
export function rejected(history: History, record: AuditRecord, at: number): undefined {
  const [id, waiting] = waitingOf(history, record);
  if (record.actor.startsWith('system:')) {
    if (waiting.lapsesAt !== undefined && at < waiting.lapsesAt - CLOCK_CORRECTION_MS) {
      throw new Contradiction(`payment ${id} lapses before its time`);
    }
  } else requireAbove(waiting, id, record.actor);
  waiting.state = 'rejected';
}

/**
 * Requires the approval that a payment waited for or that its chain asks for, and that what is signed is what was
 * approved.
 *
 * @throws Contradiction
 */
export function requireApproval(
  history: History,
  payment: OpenPayment,
  decision: Readonly<Record<string, unknown>>,
): void {
  const { paymentId, grant, decidedAt } = payment;
  const waiting = history.waiting.get(paymentId);
  if (!waiting) {
    const asks = topmostAsking(grant, payment);
    if (!asks) return;
    throw new Contradiction(
      `payment ${paymentId} is authorized without the approval that grant ${asks.id} asks for`,
    );
  }
  if (waiting.state !== 'approved' || waiting.approver === undefined) {
    throw new Contradiction(
      `payment ${paymentId} is authorized without the approval that it waited for`,
    );
  }
  requireSame(waiting, payment, decision);
  requireAbove(waiting, paymentId, waiting.approver);
  if (waiting.lapsesAt !== undefined && decidedAt >= waiting.lapsesAt) {
    throw new Contradiction(`payment ${paymentId} is collected after its approval had lapsed`);
  }
  history.waiting.delete(paymentId);
  learnPayee(payment);
}

/** The grants of a payment's chain know its payee from now on. */
export function learnPayee({ grant, network, to }: OpenPayment): void {
  for (const each of grant.path) each.knownPayees.add(`${network} ${to}`);
}

function requireSame(
  { grant, option, request }: WaitingPayment,
  payment: OpenPayment,
  decision: Readonly<Record<string, unknown>>,
): void {
  const { paymentId, network, asset, to, value } = payment;
  const told: readonly (readonly [string, unknown, unknown])[] = [
    ['grant', grant.id, payment.grant.id],
    ...(option
      ? ([
          ['network', option.network, network],
          ['asset', option.asset, asset],
          ['payTo', option.payTo, to],
          ['value', option.value, value.toString()],
        ] as const)
      : []),
    ...(request ? ([['request', canonical(request), canonical(decision.request)]] as const) : []),
  ];
  const other = told.find(([, asked, signed]) => asked !== signed);
  if (!other) return;
  throw new Contradiction(
    `payment ${paymentId}: approved was ${other[0]} ${String(other[1])}, signed is ${String(other[2])}`,
  );
}

/** Members of a canonical record stand in one order. */
function canonical(value: unknown): string {
  return JSON.stringify(value);
}

function waitingOf(
  history: History,
  { paymentId, grantId, kind, data }: AuditRecord,
): [string, WaitingPayment] {
  const id = text(paymentId, 'paymentId');
  const waiting = history.waiting.get(id);
  if (!waiting || waiting.state === 'rejected') {
    throw new Contradiction(
      `payment ${id}: ${kind} after ${waiting ? 'payment.rejected' : 'nothing'}`,
    );
  }
  const value = optionalAmount(data.value, 'value');
  if (
    grantId !== waiting.grant.id ||
    (value !== undefined && waiting.option && value.toString() !== waiting.option.value)
  ) {
    throw new Contradiction(
      `payment ${id}: ${kind} is of another grant or amount than it waits with`,
    );
  }
  return [id, waiting];
}

/** Checks that a holder stands above every grant that asks for the approval; admins always do. */
function requireAbove(waiting: WaitingPayment, paymentId: string, actor: string): void {
  const acting = actingGrant(actor);
  if (acting === undefined) return;
  const { grant, option, askedBy } = waiting;
  const terms = option && termsOf(option, amount(option.value, 'option.value'));
  const asking = grant.path.findIndex(
    (each) => each.id === askedBy || (terms !== undefined && asksFor(each, terms)),
  );
  // A record that does not say what was asked for: whoever decides stands above the payment's own grant.
  const highest = asking < 0 ? grant.path.length - 1 : asking;
  const place = placeIn(grant, acting);
  if (place >= 0 && place < highest) return;
  throw new Contradiction(
    `payment ${paymentId} is decided by ${actor}, who does not stand above ${grant.path[highest]?.id ?? grant.id}`,
  );
}

/** Terms of a payment that an approval depends on. */
type AskedTerms = Pick<OpenPayment, 'value' | 'network' | 'to'>;

function termsOf(option: Readonly<Record<string, unknown>> | undefined, value: bigint): AskedTerms {
  return { value, network: String(option?.network), to: String(option?.payTo) };
}

/** The topmost grant of a chain that a payment needs an approval for. */
function topmostAsking(grant: Grant, terms: AskedTerms): Grant | undefined {
  return grant.path.find((each) => asksFor(each, terms));
}

function asksFor(grant: Grant, { value, network, to }: AskedTerms): boolean {
  return (
    asksAbove(grant, value) ||
    (grant.approveNewPayees && !grant.knownPayees.has(`${network} ${to}`))
  );
}

function asksAbove({ approvalAbove }: Grant, value: bigint): boolean {
  return approvalAbove !== undefined && value > approvalAbove;
}
