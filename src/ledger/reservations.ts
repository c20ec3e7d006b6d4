import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { reserveOn } from '../domain/charge.js';
import { effectiveStatus, remaining } from '../domain/grant.js';
import { currencyOf } from '../domain/money.js';
import { nonceOf } from '../domain/payment.js';
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
  readonly idempotencyKey: string;
  /** SHA-256 of the request's canonical body: the same key with another one is an error. */
  readonly requestHash: string;
  /**
   * The ways the seller offers to be paid that can be paid now; the ledger selects one. Never empty.
   * Asked only for a new payment: what was signed once is answered again whatever has changed since.
   *
   * @throws Problem why none can.
   */
  readonly options: () => readonly PaymentOption[];
  /** The addresses the signer has keys for: no other wallet may be selected. */
  readonly signable: readonly string[];
  readonly x402Version: 1 | 2;
  /** What the header echoes and the record keeps of each option, by its index in `accepts`. */
  readonly offers: ReadonlyMap<number, { json: string; resource: string | undefined }>;
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
      readonly outcome: 'reserved' | 'replayed' | 'pending';
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
  const [root] = chain;
  if (!grant || !root) throw new Problem('not_found', `no grant ${order.grantId}`);
  if (grant.tokenGeneration !== order.tokenGeneration) {
    throw new Problem('invalid_token', 'the token was replaced; use the one that replaced it');
  }
  const earlier = books.payments.get(keyOf(order));
  if (earlier) return replay(earlier, order, chain, books.now);

  const options = optionsIn(grant, order);
  const decision = decide({
    chain,
    wallets: preferredWallets(usable(books.wallets, order.signable), root.id),
    options,
    currency: currencyOf(grant.currency),
    now: books.now,
    maxValiditySeconds: order.maxValiditySeconds,
  });
  const { weighed } = decision;
  if (decision.outcome === 'deny') {
    writings.events.push(refusedEvent(order, options, decision.denial));
    return { outcome: 'refused', denial: decision.denial };
  }
  const draft = draftOf(order, decision.option, books.now);
  if (decision.outcome === 'require_approval') {
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
      payment: pending,
      remaining: remaining(chain, books.now),
      weighed,
    };
  }
  const payment = authorize(draft, order, chain, decision, books, writings);
  books.payments.set(keyOf(order), payment);
  writings.payments.push(payment);
  return { outcome: 'reserved', payment, remaining: remainingIn(books, chain), weighed };
}

/**
 * Decides a waiting payment again, now that it was approved.
 *
 * @throws Problem as {@link decideOrder}.
 */
export function decideApproved(
  pending: PaymentRecord,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  books: Books,
  writings: Writings,
): Reservation {
  const grant = chain.at(-1);
  const [root] = chain;
  if (!grant || !root) throw new Problem('not_found', `no grant ${order.grantId}`);
  const options = optionsIn(grant, order);
  const decision = decide({
    chain,
    wallets: preferredWallets(usable(books.wallets, order.signable), root.id),
    options,
    currency: currencyOf(grant.currency),
    now: books.now,
    maxValiditySeconds: order.maxValiditySeconds,
    approved: true,
  });
  if (decision.outcome === 'deny') {
    writings.events.push(refusedEvent(order, options, decision.denial, pending.id));
    return { outcome: 'refused', denial: decision.denial };
  }
  if (decision.outcome !== 'allow') throw new Error('an approved payment needs another approval');
  const draft: PaymentRecord = {
    ...pending,
    ...termsOf(order, decision.option),
    status: 'authorized',
  };
  const payment = authorize(draft, order, chain, decision, books, writings);
  const { weighed } = decision;
  return { outcome: 'reserved', payment, remaining: remainingIn(books, chain), weighed };
}

/** The grants of a chain as the books have them now. */
export function chainIn(books: Books, chain: readonly GrantRecord[]): GrantRecord[] {
  return chain.map((grant) => books.grants.get(grant.id) ?? grant);
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
  const outcome = payment.status === 'pending_approval' ? 'pending' : 'replayed';
  return { outcome, payment, remaining: remaining(chain, now), weighed: [] };
}

/** What a payment takes over from the option that was selected. */
function termsOf(order: ReservationOrder, option: PaymentOption) {
  const offer = order.offers.get(option.index);
  if (!offer) throw new Error(`option ${option.index} was selected but not offered`);
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
  { option, wallet, validBefore }: Extract<Decision, { outcome: 'allow' }>,
  books: Books,
  writings: Writings,
): PaymentRecord {
  // "0" as the published v2 client sends it: a seller's or facilitator's clock that runs behind must
  // not refuse a payment that is good now.
  const validAfter = 0n;
  const { json: decision, nonce } = nonceOf({
    version: 'bursar.decision.v1',
    paymentId: draft.id,
    treasuryId: draft.treasuryId,
    grants: chain.map((grant) => grant.id),
    request: { method: draft.requestMethod, url: draft.requestUrl },
    resource: order.offers.get(option.index)?.resource ?? null,
    x402Version: order.x402Version,
    requirementHash: sha256Hex(canonicalJson(JSON.parse(draft.requirement))),
    network: option.network,
    asset: option.asset,
    from: wallet.address,
    to: option.payTo,
    value: option.amount.toString(),
    validAfter: validAfter.toString(),
    validBefore: validBefore.toString(),
    decidedAt: books.now.toISOString(),
  });
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
    books.grants.set(grant.id, grant);
    writings.charged.add(grant.id);
  }
  books.wallets = books.wallets.map((each) =>
    each === wallet ? { ...each, reserved: each.reserved + option.amount } : each,
  );
  writings.events.push(authorizedEvent(order, draft, chain, authorization));
  return { ...draft, authorization };
}

function authorizedEvent(
  order: ReservationOrder,
  payment: PaymentRecord,
  chain: readonly GrantRecord[],
  { decision, nonce }: PaymentAuthorization,
): NewEvent {
  return {
    treasuryId: order.treasuryId,
    kind: 'payment.authorized',
    actor: `grant:${order.grantId}`,
    grantId: order.grantId,
    paymentId: payment.id,
    requestId: order.requestId,
    data: {
      decision: JSON.parse(decision),
      nonce,
      currency: payment.currency,
      // The grants as they were before this payment, the root first.
      chain: chain.map((grant) => ({
        id: grant.id,
        budget: grant.budget.toString(),
        reserved: grant.reserved.toString(),
        spent: grant.spent.toString(),
        allocated: grant.allocated.toString(),
        payments: grant.payments,
      })),
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
