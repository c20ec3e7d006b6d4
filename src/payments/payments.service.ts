import { Inject, Injectable } from '@nestjs/common';
import type { HolderCaller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import type { Denial } from '../domain/denials.js';
import { tellDenial } from '../domain/disclosure.js';
import { Problem } from '../domain/problem.js';
import { readInput } from '../http/contract.js';
import type { Place } from '../ledger/admission.js';
import { Ledger } from '../ledger/ledger.js';
import type { Reservation, ReservationOrder } from '../ledger/order.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from '../ledger/payment-rows.js';
import { withPayment } from '../ledger/replays.js';
import { Notifier } from '../outbox/notifier.js';
import { currentTrace, inSpan } from '../tracing/trace-scope.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';
import { type PaymentHeader, paymentHeader } from '../x402/header.js';
import { KnownTerms } from '../x402/known-terms.js';
import type { PaymentTerms } from '../x402/parse.js';
import { schemeOf, signingOf } from '../x402/schemes.js';
import {
  matchableOffers,
  requestedResource,
  type SortedOptions,
  sortOptions,
  whyUnpayable,
} from './options.js';
import { PaymentList } from './payment-list.service.js';
import { decisionAttributes, selectionOf, viewPayment, viewRemaining } from './payment-view.js';
import { type PayBody, paySchema } from './payments.dto.js';
import { type Wrapper, wrapperOf } from './wrapper.js';

/** Time that a reading of the chain may take beyond the block it waits for, in seconds. */
const FINALITY_MARGIN_SECONDS = 5;
/** How soon an agent should look whether its payment was approved, in seconds. */
export const APPROVAL_POLL_SECONDS = 5;

/** Makes payments, from a seller's requirements to the header to retry with; shows them. */
@Injectable()
export class PaymentsService {
  readonly #terms = new KnownTerms();

  constructor(
    private readonly ledger: Ledger,
    private readonly networks: Networks,
    private readonly wallets: Wallets,
    @Inject(CONFIG)
    private readonly config: Pick<
      Config,
      'approvalSeconds' | 'maxValiditySeconds' | 'paymentFlows' | 'twoPerson'
    >,
    private readonly notifier: Notifier,
    private readonly database: Database,
    private readonly paymentList: PaymentList,
  ) {}

  /**
   * Pays: parse, decide and reserve, sign, answer. What is signed was committed before; one key is one
   * purchase, so the same key gives the same authorization, however often it is asked.
   *
   * @param input - the body, see {@link paySchema}.
   * @param place - the request's place among those that wait; asked for when left out.
   * @throws Problem a denial naming the grant that refused, `requirements_invalid`, `*_not_supported`,
   *   `idempotency_mismatch`, `payment_ended`, `payment_expiring`, `treasury_insufficient`, `invalid_token` or
   *   `unavailable`. Each names the payment that has the key, if there is one, but for `invalid_token` and
   *   the refusal of a caller who is turned away.
   */
  async pay(
    caller: HolderCaller,
    input: unknown,
    idempotencyKey: string,
    requestId: string,
    place?: Place,
  ) {
    try {
      const paid = await this.make(caller, input, idempotencyKey, requestId, place);
      this.ledger.note(paid.replayed ? 'replayed' : paid.status === 202 ? 'pending' : 'paid');
      return paid;
    } catch (error) {
      this.ledger.note(error instanceof Problem ? error.code : 'internal_error');
      throw error;
    }
  }

  private async make(
    caller: HolderCaller,
    input: unknown,
    idempotencyKey: string,
    requestId: string,
    place: Place | undefined,
  ) {
    const { terms, order } = await this.read(caller, input, idempotencyKey, requestId);
    const reservation = await this.reserve(order, place);
    const { payment } = reservation;
    if (reservation.outcome === 'refused') {
      this.notifier.eventsWritten(caller.treasuryId);
      const { denial } = reservation;
      if (denial.code === 'treasury_insufficient') {
        this.wallets.foundInsufficient(caller.treasuryId);
      }
      const refused = refusal(denial, [caller.grantId]);
      throw payment ? withPayment(refused, payment) : refused;
    }
    const { outcome, replayed, remaining, offer } = reservation;
    if (!replayed) this.notifier.eventsWritten(caller.treasuryId);
    const shown = viewPayment(reservation.payment);
    const selection = selectionOf(reservation, order, terms);
    const grant = viewRemaining(reservation.payment, remaining);
    if (outcome === 'pending') {
      return { status: 202, replayed, answer: { payment: shown, selection, grant } } as const;
    }
    const header = await this.sign(
      reservation.payment,
      replayed ? wrapperOf(reservation.payment, offer, terms.x402Version) : undefined,
    );
    return { status: 201, replayed, answer: { payment: shown, selection, grant, header } } as const;
  }

  /**
   * The header of a payment as it was first handed out, for its own holder: what an agent needs that was
   * restarted without it.
   *
   * @throws Problem as a replay of {@link pay}; `forbidden` for anybody else who may see the payment.
   */
  async header(caller: HolderCaller, id: string) {
    const { treasuryId, grantId } = await this.paymentList.visible(caller, id);
    if (grantId !== caller.grantId) {
      throw new Problem(
        'forbidden',
        `payment ${id} is of grant ${grantId}; only its own holder pays`,
      );
    }
    const { payment, denial } = await this.tellingWhenFinal(() =>
      this.ledger.handOut(treasuryId, id, caller),
    );
    if (denial) throw withPayment(refusal(denial, [caller.grantId]), payment);
    return { payment: viewPayment(payment), header: await this.sign(payment) };
  }

  /** Reads a request. Where it is wrong and its key has a payment, the error names that payment. */
  private async read(
    caller: HolderCaller,
    input: unknown,
    idempotencyKey: string,
    requestId: string,
  ) {
    try {
      const body = readInput(paySchema, input, 'body') as PayBody;
      const terms = this.#terms.parse(body.paymentRequired);
      return { terms, order: await this.order(caller, body, terms, idempotencyKey, requestId) };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // The statement looks at the token's generation itself, since the ledger, which refuses replaced tokens, is not
      // asked here. It takes a connection for reads, so that malformed requests leave those of payments alone.
      const { rows } = await this.database.poolOf('reads').query<PaymentRow>(
        `SELECT ${PAYMENT_COLUMNS} FROM payments p
         JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
         WHERE p.treasury_id = $1 AND p.grant_id = $2 AND p.idempotency_key = $3
           AND g.token_generation = $4 AND g.holder_key_thumbprint IS NOT DISTINCT FROM $5`,
        [
          caller.treasuryId,
          caller.grantId,
          idempotencyKey,
          caller.tokenGeneration,
          caller.keyThumbprint ?? null,
        ],
      );
      throw rows[0] ? withPayment(error, toPaymentRecord(rows[0])) : error;
    }
  }

  private reserve(order: ReservationOrder, place: Place | undefined): Promise<Reservation> {
    return this.tellingWhenFinal(() =>
      inSpan('payment decide', async (span) => {
        if (!span) return this.ledger.reserve(order, place);
        const reservation = await this.ledger.reserve({ ...order, trace: currentTrace() }, place);
        span.setAttributes(decisionAttributes(order, reservation));
        return reservation;
      }),
    );
  }

  /** Adds to a `payment_expiring` in how many seconds the blockchain will have settled or ruled out the payment. */
  private async tellingWhenFinal<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'payment_expiring') throw error;
      const { code, detail, fields } = error;
      const retryAfterSeconds = await this.secondsUntilFinal(fields.payment?.id);
      throw new Problem(code, detail, { ...fields, retryAfterSeconds });
    }
  }

  /**
   * Seconds until a final block can be past a payment's validBefore: the difference to the newest final block's time, and
   * a margin. Final blocks become newer as fast as the clock goes.
   */
  private async secondsUntilFinal(paymentId: string | undefined): Promise<number> {
    const { rows } = await this.database.poolOf('reads').query<{ seconds: string }>(
      `SELECT (p.valid_before - c.block_time)::text AS seconds
       FROM payments p JOIN chain_cursors c ON c.network = p.network WHERE p.id = $1`,
      [paymentId ?? ''],
    );
    return Math.max(1, Number(rows[0]?.seconds ?? 0) + FINALITY_MARGIN_SECONDS);
  }

  /** Part of a payment's request that the ledger decides about. */
  private async order(
    holder: HolderCaller,
    body: PayBody,
    terms: PaymentTerms,
    idempotencyKey: string,
    requestId: string,
  ): Promise<ReservationOrder> {
    const requested = requestedResource(body.request.url);
    const here = { networks: this.networks, paymentFlows: this.config.paymentFlows };
    // Evaluated lazily, once, when the batch starts: network health is as fresh as possible and every use sees
    // the same options.
    let sortedOptions: SortedOptions | undefined;
    const sorted = () => (sortedOptions ??= sortOptions(terms, requested, here));
    return {
      treasuryId: holder.treasuryId,
      grantId: holder.grantId,
      tokenGeneration: holder.tokenGeneration,
      keyThumbprint: holder.keyThumbprint,
      idempotencyKey,
      options: () => sorted().payable,
      unpayable: () => whyUnpayable(terms, sorted().unusable, body.option),
      unusable: () => sorted().unusable,
      matchable: () => matchableOffers(terms, here),
      signable: await this.wallets.signable(holder.treasuryId),
      x402Version: terms.x402Version,
      offers: terms.offers,
      request: body.request,
      memo: body.memo,
      maxAmount: body.maxAmount,
      option: body.option,
      requestId,
      maxValiditySeconds: this.config.maxValiditySeconds,
      approvalSeconds: this.config.approvalSeconds,
      twoPerson: this.config.twoPerson,
    };
  }

  /**
   * Signs what the ledger wrote, and nothing else. Deterministic: a replay gives the same authorization and
   * signature.
   *
   * @param wrapper - the version, entry and echoes to use instead of those that the payment was made with.
   */
  private async sign(payment: PaymentRecord, wrapper?: Wrapper): Promise<PaymentHeader> {
    const network = this.networks.find(payment.network);
    const asset = this.networks.asset(payment.network, payment.asset);
    const scheme = schemeOf(payment.scheme);
    const signing = signingOf(payment.scheme);
    if (!network || !asset || !scheme || !signing) {
      const what = scheme ? `network ${payment.network}` : `scheme ${payment.scheme}`;
      throw withPayment(
        new Problem('unavailable', `${what} is no longer configured here`),
        payment,
      );
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
    try {
      const data = signing.typedData(fixed, asset);
      const signature = await inSpan('payment sign', () =>
        this.wallets.sign(authorization.payer, data, authorization.decision),
      );
      return paymentHeader({ ...fixed, ...wrapper }, scheme.payload(fixed, signature));
    } catch (error) {
      throw error instanceof Problem ? withPayment(error, payment) : error;
    }
  }
}

/**
 * A refusal as the error it is to the caller.
 *
 * @param own - the grants whose limits and counters the caller may read; undefined for an admin, who may read all.
 */
export function refusal(denial: Denial, own: readonly string[] | undefined): Problem {
  const { code, detail, ...fields } = own ? tellDenial(denial, own) : denial;
  return new Problem(code, detail, fields);
}
