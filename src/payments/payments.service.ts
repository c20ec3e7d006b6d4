import { Inject, Injectable } from '@nestjs/common';
import type { Caller, HolderCaller } from '../access/caller.js';
import { CONFIG, type Config } from '../config.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { MIN_VALIDITY_SECONDS, type PaymentOption } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { parseResource, type Resource, sameOrigin } from '../domain/scope.js';
import { type Page, page } from '../http/paging.js';
import { idPattern } from '../ids.js';
import { Ledger } from '../ledger/ledger.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from '../ledger/payment-rows.js';
import { CHAIN_VIEW_COLUMNS, type ChainViewRow } from '../ledger/sightings.js';
import { Outbox } from '../outbox/outbox.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';
import { exactHeader, exactTypedData, type PaymentHeader } from '../x402/exact.js';
import { type Offer, type PaymentTerms, parsePaymentRequired } from '../x402/parse.js';
import type { ListQuery, PayBody, PaymentView } from './payments.dto.js';

/** Makes payments, from a seller's requirements to the header to retry with; shows them. */
@Injectable()
export class PaymentsService {
  constructor(
    private readonly ledger: Ledger,
    private readonly networks: Networks,
    @Inject(CONFIG) private readonly config: Config,
    private readonly outbox: Outbox,
    private readonly database: Database,
    private readonly wallets: Wallets,
  ) {}

  /**
   * Pays: parse, decide and reserve, sign, answer. What is signed was committed before; the same key
   * with the same body gives the same header, however often it is asked.
   *
   * @throws Problem a denial naming the grant that refused, `requirements_invalid`, `*_not_supported`,
   *   `idempotency_mismatch`, `treasury_insufficient` or `unavailable`.
   */
  async pay(caller: HolderCaller, body: PayBody, idempotencyKey: string, requestId: string) {
    const terms = parsePaymentRequired(body.paymentRequired);
    const requested = requestedResource(body.request.url);

    const reservation = await this.ledger.reserve({
      treasuryId: caller.treasuryId,
      grantId: caller.grantId,
      idempotencyKey,
      requestHash: sha256Hex(canonicalJson(body)),
      options: () => this.payable(terms, requested),
      signable: await this.wallets.signable(caller.treasuryId),
      x402Version: terms.x402Version,
      offers: new Map(terms.offers.map((offer) => [offer.index, offer])),
      resourceJson: terms.resourceJson,
      extensionsJson: terms.extensionsJson,
      request: body.request,
      memo: body.memo,
      requestId,
      maxValiditySeconds: this.config.maxValiditySeconds,
    });
    if (reservation.outcome !== 'replayed') this.outbox.eventsWritten(caller.treasuryId);
    if (reservation.outcome === 'refused') {
      const { code, detail, ...fields } = reservation.denial;
      if (code === 'treasury_insufficient') this.wallets.foundInsufficient(caller.treasuryId);
      throw new Problem(code, detail, fields);
    }

    const { payment, remaining } = reservation;
    return {
      replayed: reservation.outcome === 'replayed',
      answer: {
        payment: viewPayment(payment),
        header: await this.sign(payment),
        grant: { remaining: formatAmount(remaining, currencyOf(payment.currency)) },
      },
    };
  }

  /** One payment. @throws Problem `not_found` for what the caller may not see. */
  async get(caller: Caller, id: string): Promise<PaymentView> {
    const conditions = visibleTo(caller).add(id, (n) => `p.id = ${n}`);
    const [payment] = idPattern('pay').test(id) ? await this.find(conditions, 1) : [];
    if (!payment) throw new Problem('not_found', `no payment ${id.slice(0, 64)}`);
    return payment;
  }

  /** A page of the payments the caller may see, oldest first; `grantId` includes the tree below it. */
  async list(caller: Caller, query: ListQuery): Promise<Page<PaymentView>> {
    const conditions = visibleTo(caller)
      .add(query.grantId, (n) => `g.path @> ARRAY[${n}::text]`)
      .add(query.status, (n) => `p.status = ${n}`)
      .add(query.cursor, (n) => `p.id > ${n}`);
    const rows = await this.find(conditions, query.limit + 1);
    return page(
      rows,
      query.limit,
      ({ id }) => id,
      (view) => view,
    );
  }

  private async find(conditions: Conditions, limit: number): Promise<PaymentView[]> {
    const { rows } = await this.database.pool.query<PaymentRow & ChainViewRow>(
      `SELECT ${PAYMENT_COLUMNS}, ${CHAIN_VIEW_COLUMNS} FROM payments p
       JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
       ${conditions.where} ORDER BY p.id LIMIT ${limit}`,
      conditions.values,
    );
    return rows.map((row) => viewPayment(toPaymentRecord(row), row));
  }

  /**
   * The options that could be paid at all: of a registered token, on a network that is ready, and for
   * the origin that was really asked.
   *
   * @throws Problem why none can, by the first that cannot.
   */
  private payable(terms: PaymentTerms, requested: Resource): PaymentOption[] {
    const problems = terms.unusable.map(({ index, code, detail }) => ({
      index,
      problem: new Problem(code, detail),
    }));
    const options: PaymentOption[] = [];
    for (const offer of terms.offers) {
      try {
        options.push(this.option(offer, requested));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        problems.push({ index: offer.index, problem: error });
      }
    }
    if (options.length === 0) {
      problems.sort((a, b) => a.index - b.index);
      throw problems[0]?.problem ?? new Problem('requirements_invalid', 'accepts is empty');
    }
    return options;
  }

  private option(offer: Offer, requested: Resource): PaymentOption {
    const declared = declaredResource(offer, requested);
    if (offer.maxTimeoutSeconds <= MIN_VALIDITY_SECONDS) {
      throw new Problem(
        'requirements_invalid',
        `accepts[${offer.index}].maxTimeoutSeconds is ${offer.maxTimeoutSeconds}: no signature could settle in that time`,
      );
    }
    const { index, scheme, network, asset: address, amount, payTo, maxTimeoutSeconds } = offer;
    if (!this.networks.find(network)) {
      throw new Problem('network_not_supported', `network ${network} is not configured here`);
    }
    const asset = this.networks.asset(network, address);
    if (!asset) {
      throw new Problem('asset_not_supported', `token ${address} is not registered on ${network}`);
    }
    const health = this.networks.health(network);
    if (!health.ready) {
      throw new Problem('unavailable', `network ${network} is not ready: ${health.reason}`);
    }
    const { currency } = asset;
    return {
      index,
      scheme,
      network,
      asset: address,
      currency,
      amount,
      payTo,
      maxTimeoutSeconds,
      resources: declared ? [requested, declared] : [requested],
    };
  }

  /** Signs what the ledger wrote, and nothing else. Deterministic: a replay gives the same bytes. */
  private async sign(payment: PaymentRecord): Promise<PaymentHeader> {
    const network = this.networks.find(payment.network);
    const asset = this.networks.asset(payment.network, payment.asset);
    if (!network || !asset) {
      throw new Problem('unavailable', `network ${payment.network} is no longer configured here`);
    }
    const exact = {
      x402Version: payment.x402Version,
      chainId: network.chainId,
      from: payment.payer,
      to: payment.payTo,
      value: payment.amount,
      validAfter: payment.validAfter,
      validBefore: payment.validBefore,
      nonce: payment.nonce,
      requirementJson: payment.requirement,
      resourceJson: payment.resourceEcho,
      extensionsJson: payment.extensionsEcho,
    };
    const signature = await this.wallets.sign(payment.payer, exactTypedData(exact, asset));
    return exactHeader(exact, signature);
  }
}

function requestedResource(url: string): Resource {
  const resource = parseResource(url);
  if (!resource) {
    throw new Problem(
      'invalid_request',
      'request.url must be the absolute http(s) URL that was asked for, without userinfo',
      { field: 'request.url' },
    );
  }
  return resource;
}

/** What the seller says the payment is for. It must be of the origin that was asked. */
function declaredResource(offer: Offer, requested: Resource): Resource | undefined {
  if (offer.resource === undefined) return undefined;
  const declared = parseResource(offer.resource);
  if (!declared || !sameOrigin(declared, requested)) {
    throw new Problem(
      'requirements_invalid',
      `the seller asks payment for "${offer.resource.slice(0, 200)}", which is not of the origin that was asked`,
      { field: 'paymentRequired' },
    );
  }
  return declared;
}

/** A holder sees the payments of its own grant and the tree below it, an admin all. */
function visibleTo(caller: Caller): Conditions {
  const holder = caller.kind === 'holder' ? caller : undefined;
  return new Conditions()
    .add(holder?.treasuryId, (n) => `p.treasury_id = ${n}`)
    .add(holder?.grantId, (n) => `g.path @> ARRAY[${n}::text]`);
}

/** Shows a payment; what the chain shows of it provisionally is left out where it was not asked for. */
function viewPayment(payment: PaymentRecord, chain?: ChainViewRow): PaymentView {
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
    wallet: payment.payer,
    nonce: payment.nonce,
    validBefore: new Date(Number(payment.validBefore) * 1000).toISOString(),
    resource: payment.resource,
    memo: payment.memo ?? null,
    transaction: payment.transaction ?? null,
    seen: chain?.seen ?? null,
    cancelRequestedAt: chain?.cancel_requested_at?.toISOString() ?? null,
    createdAt: payment.createdAt.toISOString(),
    settledAt: payment.status === 'settled' ? (payment.endedAt?.toISOString() ?? null) : null,
  };
}
