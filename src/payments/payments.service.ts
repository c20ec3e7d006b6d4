import { Inject, Injectable } from '@nestjs/common';
import { type Caller, type HolderCaller, treasuriesOf } from '../access/caller.js';
import { CONFIG, type Config } from '../config.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import type { DecisionRecord } from '../domain/payment.js';
import type { Denial, PaymentOption } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { idPattern } from '../ids.js';
import { addSubtree, findGrant } from '../ledger/grant-rows.js';
import { Ledger } from '../ledger/ledger.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from '../ledger/payment-rows.js';
import type { ReservationOrder } from '../ledger/reservations.js';
import { CHAIN_VIEW_COLUMNS, type ChainViewRow } from '../ledger/sightings.js';
import { Outbox } from '../outbox/outbox.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';
import { type PaymentHeader, paymentHeader } from '../x402/header.js';
import { KnownTerms } from '../x402/known-terms.js';
import { schemeOf } from '../x402/schemes.js';
import { requestedResource, type SortedOptions, sortOptions } from './options.js';
import type { ListQuery, PayBody, PaymentView, Selection } from './payments.dto.js';

/** Makes payments, from a seller's requirements to the header to retry with; shows them. */
@Injectable()
export class PaymentsService {
  readonly #terms = new KnownTerms();

  constructor(
    private readonly ledger: Ledger,
    private readonly networks: Networks,
    private readonly wallets: Wallets,
    @Inject(CONFIG) private readonly config: Config,
    private readonly outbox: Outbox,
    private readonly database: Database,
  ) {}

  /**
   * Pays: parse, decide and reserve, sign, answer. What is signed was committed before; the same key
   * with the same body gives the same header, however often it is asked.
   *
   * @throws Problem a denial naming the grant that refused, `requirements_invalid`, `*_not_supported`,
   *   `idempotency_mismatch`, `treasury_insufficient` or `unavailable`.
   */
  async pay(caller: HolderCaller, body: PayBody, idempotencyKey: string, requestId: string) {
    const reservation = await this.ledger.reserve(
      await this.order(caller, body, idempotencyKey, requestId),
    );
    if (reservation.outcome === 'refused') {
      this.outbox.eventsWritten(caller.treasuryId);
      const { denial } = reservation;
      if (denial.code === 'treasury_insufficient') {
        this.wallets.foundInsufficient(caller.treasuryId);
      }
      throw refusal(denial);
    }
    const { replayed } = reservation;
    if (!replayed) this.outbox.eventsWritten(caller.treasuryId);

    const { payment, remaining } = reservation;
    const shown = {
      payment: viewPayment(payment),
      grant: { remaining: formatAmount(remaining, currencyOf(payment.currency)) },
    };
    if (reservation.outcome === 'pending') return { status: 202, replayed, answer: shown };
    const header = await this.sign(payment);
    const selection = selectionOf(payment);
    return { status: 201, replayed, answer: { ...shown, header, selection } };
  }

  /**
   * What the ledger decides of a payment's request.
   *
   * @throws Problem `requirements_invalid` or `invalid_request`.
   */
  async order(
    holder: Pick<HolderCaller, 'treasuryId' | 'grantId' | 'tokenGeneration' | 'keyThumbprint'>,
    body: PayBody,
    idempotencyKey: string,
    requestId: string,
  ): Promise<ReservationOrder> {
    const terms = this.#terms.parse(body.paymentRequired);
    const requested = requestedResource(body.request.url);
    const canonicalBody = canonicalJson(body);
    // When the ledger asks, and once: what it decides over is as fresh as can be, and one thing.
    let sortedOptions: SortedOptions | undefined;
    const sorted = () => (sortedOptions ??= sortOptions(terms, requested, this.networks));
    return {
      treasuryId: holder.treasuryId,
      grantId: holder.grantId,
      tokenGeneration: holder.tokenGeneration,
      keyThumbprint: holder.keyThumbprint,
      idempotencyKey,
      requestHash: sha256Hex(canonicalBody),
      options: () => payableOf(sorted()),
      unusable: () => sorted().unusable,
      signable: await this.wallets.signable(holder.treasuryId),
      x402Version: terms.x402Version,
      offers: new Map(terms.offers.map((offer) => [offer.index, offer])),
      resourceJson: terms.resourceJson,
      extensionsJson: terms.extensionsJson,
      request: body.request,
      memo: body.memo,
      body: () => canonicalBody,
      requestId,
      maxValiditySeconds: this.config.maxValiditySeconds,
      approvalSeconds: this.config.approvalSeconds,
    };
  }

  /** One payment. @throws Problem `not_found` for what the caller may not see. */
  async get(caller: Caller, id: string): Promise<PaymentView> {
    return viewPayment(await this.visible(caller, id));
  }

  /** A payment the caller may see. @throws Problem `not_found`, alike for all others. */
  async visible(caller: Caller, id: string): Promise<PaymentRecord> {
    const conditions = (await this.visibleTo(caller)).add(id, (n) => `p.id = ${n}`);
    const [payment] = idPattern('pay').test(id) ? await this.find(conditions, 1) : [];
    if (!payment) throw new Problem('not_found', `no payment ${id.slice(0, 64)}`);
    return payment;
  }

  /** A page of the payments the caller may see, oldest first; `grantId` includes the tree below it. */
  async list(caller: Caller, query: ListQuery): Promise<Page<PaymentView>> {
    const conditions = await this.visibleTo(caller);
    if (query.grantId !== undefined) {
      const grant = await findGrant(this.database.pool, query.grantId);
      if (!grant) return { items: [], nextCursor: null };
      addSubtree(conditions, grant);
    }
    conditions.add(query.status, (n) => `p.status = ${n}`).add(query.cursor, (n) => `p.id > ${n}`);
    const rows = await this.find(conditions, query.limit + 1);
    return page(rows, query.limit, ({ id }) => id, viewPayment);
  }

  /** A holder sees the payments of its own grant and the tree below it, an admin its treasuries'. */
  private async visibleTo(caller: Caller): Promise<Conditions> {
    const conditions = new Conditions().add(
      treasuriesOf(caller),
      (n) => `p.treasury_id = ANY (${n}::text[])`,
    );
    if (caller.kind === 'admin') return conditions;
    const own = await findGrant(this.database.pool, caller.grantId);
    if (!own) throw new Error(`grant ${caller.grantId} of the caller is gone`);
    return addSubtree(conditions, own);
  }

  private async find(conditions: Conditions, limit: number) {
    const { rows } = await this.database.pool.query<PaymentRow & ChainViewRow>(
      `SELECT ${PAYMENT_COLUMNS}, ${CHAIN_VIEW_COLUMNS} FROM payments p
       JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
       ${conditions.where} ORDER BY p.id LIMIT ${limit}`,
      conditions.values,
    );
    return rows.map((row) => ({ ...toPaymentRecord(row), chain: row }));
  }

  /** Signs what the ledger wrote, and nothing else. Deterministic: a replay gives the same bytes. */
  private async sign(payment: PaymentRecord): Promise<PaymentHeader> {
    const network = this.networks.find(payment.network);
    const asset = this.networks.asset(payment.network, payment.asset);
    const scheme = schemeOf(payment.scheme);
    if (!network || !asset || !scheme) {
      const what = scheme ? `network ${payment.network}` : `scheme ${payment.scheme}`;
      throw new Problem('unavailable', `${what} is no longer configured here`);
    }
    const { authorization } = payment;
    if (!authorization) throw new Error(`payment ${payment.id} is not authorized`);
    const fixed = {
      id: payment.id,
      x402Version: payment.x402Version,
      chainId: network.chainId,
      from: authorization.payer,
      to: payment.payTo,
      value: payment.amount,
      validAfter: authorization.validAfter,
      validBefore: authorization.validBefore,
      nonce: authorization.nonce,
      requirementJson: payment.requirement,
      resourceJson: payment.resourceEcho,
      extensionsJson: payment.extensionsEcho,
    };
    const signature = await this.wallets.sign(authorization.payer, scheme.typedData(fixed, asset));
    return paymentHeader(fixed, scheme.payload(fixed, signature));
  }
}

/** @throws Problem why none of the options can be paid, by the first that cannot. */
function payableOf({ payable, unusable }: SortedOptions): readonly PaymentOption[] {
  if (payable.length > 0) return payable;
  throw unusable[0]?.problem ?? new Problem('requirements_invalid', 'accepts is empty');
}

/** A refusal as the error it is to the caller. */
export function refusal({ code, detail, ...fields }: Denial): Problem {
  return new Problem(code, detail, fields);
}

/** Shows a payment as the contract does. */
export function viewPayment(payment: PaymentRecord & { chain?: ChainViewRow }): PaymentView {
  const { chain } = payment;
  const { authorization, approval } = payment;
  return {
    id: payment.id,
    grantId: payment.grantId,
    status: payment.status,
    amount: formatAmount(payment.amount, currencyOf(payment.currency)),
    currency: payment.currency,
    network: payment.network,
    scheme: payment.scheme,
    payTo: payment.payTo,
    asset: payment.asset,
    wallet: authorization?.payer ?? null,
    nonce: authorization?.nonce ?? null,
    validBefore: authorization
      ? new Date(Number(authorization.validBefore) * 1000).toISOString()
      : null,
    resource: payment.resource,
    memo: payment.memo ?? null,
    transaction: payment.transaction ?? null,
    seen: chain?.seen ?? null,
    cancelRequestedAt: chain?.cancel_requested_at?.toISOString() ?? null,
    createdAt: payment.createdAt.toISOString(),
    settledAt: payment.status === 'settled' ? (payment.endedAt?.toISOString() ?? null) : null,
    ...(approval
      ? {
          approval: {
            lapsesAt: approval.lapsesAt.toISOString(),
            decidedBy: payment.decidedBy ?? null,
            reason: payment.decidedReason ?? null,
          },
        }
      : {}),
  };
}

/** Which option was selected, and why the others were not: from the decision the nonce commits to. */
function selectionOf({ authorization }: PaymentRecord): Selection {
  const { option, left } = JSON.parse(authorization?.decision ?? '{}') as DecisionRecord;
  return {
    index: Number(option),
    left: left.map(({ option: index, ...reason }) => ({ index: Number(index), ...reason })),
  };
}
