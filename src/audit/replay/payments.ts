import { hash } from 'node:crypto';
import { canonicalJson, sha256Hex } from '../../domain/canonical.js';
import {
  parseResource,
  type Resource,
  resourcesInScope,
  scopeRefuses,
} from '../../domain/scope.js';
import { claimsOf } from '../openings.js';
import { requireApproval } from './approvals.js';
import { requireNoTripDue } from './breakers.js';
import type { Grant, History, OpenPayment } from './history.js';
import { requireAlive } from './life.js';
import { charge, credit } from './money.js';
import { requireRunning } from './pauses.js';
import { type AuditRecord, amount, Contradiction, object, text, time } from './record.js';
import { CLOCK_CORRECTION_MS } from './times.js';
import { requireTwoPersons } from './two-persons.js';
import { requirePays } from './wallets.js';

/** The longest life of a signature that a service can be set to, in seconds (BURSAR_MAX_VALIDITY_SECONDS). */
const LONGEST_VALIDITY_SECONDS = 300n;

/** The kinds of records that end a payment. */
export type PaymentEnd = 'payment.settled' | 'payment.released' | 'payment.cancelled';

/** A payment is decided, held and signed. */
export function authorized(history: History, record: AuditRecord, at: number): undefined {
  const { data } = record;
  const decision = object(data.decision, 'decision');
  const payment = newPayment(history, record, decision, at);
  const { paymentId: id, grant } = payment;
  if (!isNonceOf(payment.nonce, decision)) {
    throw new Contradiction(`payment ${id}: its nonce is not the hash of its decision`);
  }
  requireRunning(history, `payment ${id} is authorized`);
  requireNoTripDue(grant, 'pays');
  requireSignature(payment, amount(decision.validAfter, 'decision.validAfter'));
  requirePays(history, payment.from, id, at);
  requireApproval(history, payment, decision);
  requireTwoPersons(history, record, grant);
  requireClaims(claimsOf(data, history.opening), grant.path, id);
  hold(history, payment, decision);
}

/**
 * The payment that a record begins.
 *
 * @throws Contradiction when it is there already, or its decision is about another payment, chain or time.
 */
export function newPayment(
  history: History,
  record: AuditRecord,
  decision: Readonly<Record<string, unknown>>,
  at: number,
): OpenPayment {
  const { data } = record;
  const id = text(record.paymentId, 'paymentId');
  if (history.isSigned(id)) throw new Contradiction(`payment ${id} is authorized a second time`);
  const nonce = text(data.nonce, 'nonce');
  const grant = history.grant(record.grantId);
  const grants = grant.path.map((each) => each.id);
  if (
    decision.paymentId !== id ||
    decision.treasuryId !== record.treasuryId ||
    JSON.stringify(decision.grants) !== JSON.stringify(grants)
  ) {
    throw new Contradiction(`payment ${id}: its decision is about another payment or chain`);
  }
  if (data.currency !== grant.currency) {
    throw new Contradiction(`payment ${id} is in another currency than grant ${grant.id}`);
  }
  const decidedAt = time(decision.decidedAt, 'decision.decidedAt');
  if (decidedAt !== at) {
    throw new Contradiction(
      `payment ${id} was decided at ${String(decision.decidedAt)}, and its record is of ${record.at}`,
    );
  }
  return {
    paymentId: id,
    grants,
    network: text(decision.network, 'decision.network'),
    asset: text(decision.asset, 'decision.asset'),
    from: text(decision.from, 'decision.from'),
    to: text(decision.to, 'decision.to'),
    value: amount(decision.value, 'decision.value'),
    nonce,
    grant,
    decidedAt,
    validBefore: amount(decision.validBefore, 'decision.validBefore'),
    isCancelRequested: false,
  };
}

/**
 * Holds a payment on its chain.
 *
 * @param decision - undefined when the decision is lost: its resource is not tested then.
 * @throws Contradiction when a grant of the chain does not allow it.
 */
export function hold(
  history: History,
  payment: OpenPayment,
  decision: Readonly<Record<string, unknown>> | undefined,
): void {
  for (const each of payment.grant.path) requireAllowed(each, payment, decision);
  charge(payment);
  history.open.set(payment.paymentId, payment);
}

/** A payment ends, as its chain says. @returns the payment, and what of it was paid. */
export function ended(
  history: History,
  record: AuditRecord,
  kind: PaymentEnd,
  at: number,
): { payment: OpenPayment; paid: bigint } {
  const id = text(record.paymentId, 'paymentId');
  const payment = history.open.get(id);
  if (!payment) {
    const why = history.ended.has(id) ? 'ends a second time' : 'ends and was never authorized';
    throw new Contradiction(`payment ${id} ${why}`);
  }
  const { grant, value, network, decidedAt, validBefore } = payment;
  const { data } = record;
  if (record.grantId !== grant.id || amount(data.value, 'value') !== value) {
    throw new Contradiction(`payment ${id} ends with another grant or amount than it began with`);
  }
  if (
    (data.network ?? network) !== network ||
    (data.currency ?? grant.currency) !== grant.currency
  ) {
    throw new Contradiction(`payment ${id} ends on another network or in another currency`);
  }
  if (at < decidedAt - CLOCK_CORRECTION_MS) {
    throw new Contradiction(`payment ${id} ends before it was decided`);
  }
  if (kind === 'payment.released' && BigInt(at) < validBefore * 1000n) {
    throw new Contradiction(
      `payment ${id} is released at ${record.at}, and could be settled until ${new Date(Number(validBefore) * 1000).toISOString()}`,
    );
  }
  if (kind === 'payment.settled' && typeof data.transaction !== 'string') {
    throw new Contradiction(`payment ${id} is settled by no transaction`);
  }
  const paid = kind === 'payment.settled' ? paidOf(data, payment) : 0n;
  credit(payment, { paid, counted: countedAfter(kind, data, { paid, value }) });
  history.open.delete(id);
  history.ended.add(id);
  return { payment, paid };
}

/**
 * Reads the amount that the record of a settlement says was paid, which is the amount signed: every payment is by the
 * scheme `exact` until records name another. Older ones have no such member.
 */
function paidOf(
  data: Readonly<Record<string, unknown>>,
  { paymentId, value }: OpenPayment,
): bigint {
  const paid = data.paid === undefined ? value : amount(data.paid, 'paid');
  if (paid !== value) {
    throw new Contradiction(`payment ${paymentId} is settled with ${paid}, and signed is ${value}`);
  }
  return paid;
}

/** Amount of a payment that goes on counting in windows after its end; undefined when it counts no more. */
function countedAfter(
  kind: PaymentEnd,
  data: Readonly<Record<string, unknown>>,
  { paid, value }: { readonly paid: bigint; readonly value: bigint },
): bigint | undefined {
  if (kind === 'payment.settled') return paid;
  // Records without the member are of a time when a cancelled payment was no longer counted.
  return kind === 'payment.cancelled' && data.counted === true ? value : undefined;
}

/** Somebody asks for a payment's cancellation on chain. Nothing ends by that. */
export function cancelRequested(history: History, { paymentId, grantId }: AuditRecord): undefined {
  const id = text(paymentId, 'paymentId');
  const payment = history.open.get(id);
  if (!payment || payment.grant.id !== grantId) {
    throw new Contradiction(`payment ${id} is to be cancelled, and is not open`);
  }
  if (payment.isCancelRequested) {
    throw new Contradiction(`payment ${id} is to be cancelled a second time`);
  }
  payment.isCancelRequested = true;
}

/**
 * Whether a nonce is the hash of a decision's canonical JSON. A member of a canonical record is canonical
 * as it stands, but for names that look like numbers, which an object does not keep in their place.
 */
function isNonceOf(nonce: string, decision: unknown): boolean {
  return (
    nonce === `0x${hash('sha256', JSON.stringify(decision))}` ||
    nonce === `0x${sha256Hex(canonicalJson(decision))}`
  );
}

/** Checks that a signature is valid when it is made, and not for longer than any service lets one be. */
function requireSignature({ paymentId, decidedAt, validBefore }: OpenPayment, validAfter: bigint) {
  const decided = BigInt(Math.floor(decidedAt / 1000));
  if (validAfter > decided || validBefore <= decided) {
    throw new Contradiction(`payment ${paymentId}: its signature is not valid when it is made`);
  }
  if (validBefore - decided > LONGEST_VALIDITY_SECONDS) {
    throw new Contradiction(
      `payment ${paymentId}: its signature is valid for ${validBefore - decided} s, and ${LONGEST_VALIDITY_SECONDS} s is the longest`,
    );
  }
}

/** Checks that one grant of the chain allowed the payment, its counters aside. */
function requireAllowed(
  grant: Grant,
  payment: OpenPayment,
  decision: Readonly<Record<string, unknown>> | undefined,
): void {
  const { paymentId, value, decidedAt, validBefore } = payment;
  requireAlive(grant, paymentId, decidedAt);
  if (validBefore * 1000n > BigInt(grant.expiresAt)) {
    throw new Contradiction(`payment ${paymentId} stays valid longer than grant ${grant.id} lives`);
  }
  if (grant.maxPerPayment !== undefined && value > grant.maxPerPayment) {
    throw new Contradiction(
      `payment ${paymentId} of ${value} is more than the ${grant.maxPerPayment} grant ${grant.id} allows at once`,
    );
  }
  const resources = grant.scope.resources && decision ? resourcesOf(decision, paymentId) : [];
  const { network, to: payTo } = payment;
  const refused = scopeRefuses(grant.scope, { network, payTo, resources });
  if (refused) {
    throw new Contradiction(
      `payment ${paymentId} is outside the scope (${refused}) of grant ${grant.id}`,
    );
  }
}

/** The URLs of a decision that must be in scope: the URL that was asked, and a declared one of another public host. */
function resourcesOf(decision: Readonly<Record<string, unknown>>, paymentId: string): Resource[] {
  const request = object(decision.request, 'decision.request');
  const asked = parseResource(text(request.url, 'decision.request.url'));
  if (!asked) throw new Contradiction(`payment ${paymentId} is for no URL`);
  const declared = typeof decision.resource === 'string' ? decision.resource : undefined;
  return resourcesInScope(asked, declared);
}

/** Checks that the grants were, before the payment, what its record says they were. */
function requireClaims(claims: unknown, path: readonly Grant[], paymentId: string): void {
  // Records of before this member was written have none.
  if (claims === undefined) return;
  if (!Array.isArray(claims) || claims.length !== path.length) {
    throw new Contradiction(`payment ${paymentId}: its record tells of another chain`);
  }
  for (const [at, grant] of path.entries()) {
    const claim = object(claims[at], 'chain');
    const told = { ...claim, payments: String(claim.payments) } as Record<string, unknown>;
    for (const member of ['id', 'budget', 'reserved', 'spent', 'allocated', 'payments'] as const) {
      if (told[member] === String(grant[member])) continue;
      throw new Contradiction(
        `payment ${paymentId}: its record says ${member} ${String(told[member])} of grant ${grant.id}, and the log comes to ${String(grant[member])}`,
      );
    }
  }
}
