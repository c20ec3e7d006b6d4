import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { databaseNow } from '../ledger/grant-rows.js';
import type { PaymentRecord } from '../ledger/payment-rows.js';
import { keepReceipt, type ReceiptRow, readReceipts } from '../ledger/receipts.js';
import { Notifier } from '../outbox/notifier.js';
import { type HandedReceipt, readReceipt } from '../x402/receipt.js';
import type { ReceiptSignature } from '../x402/receipt-signature.js';
import { PaymentList } from './payment-list.service.js';
import { viewPayment } from './payment-view.js';
import type { PaymentView, ReceiptBody } from './payments.dto.js';

/**
 * Keeps what sellers hand out as receipts. They are evidence and a hint to read the chain; what becomes
 * of a payment is what its chain says, whatever a receipt says.
 */
@Injectable()
export class ReceiptsService {
  constructor(
    private readonly payments: PaymentList,
    private readonly database: Database,
    private readonly notifier: Notifier,
  ) {}

  /** One payment with its receipts. @throws Problem `not_found` for what the caller may not see. */
  async paymentWithReceipts(caller: Caller, id: string): Promise<PaymentView> {
    return this.view(await this.payments.visible(caller, id));
  }

  /**
   * Keeps a receipt with its payment, and has the payment's network read at once. The same value again
   * is kept once.
   *
   * @throws Problem `invalid_request` for what is no receipt, `not_found` for what the caller may not
   *   see, `invalid_transition` for a payment that was never signed or keeps as many as it may.
   */
  async handIn(
    caller: Caller,
    id: string,
    body: ReceiptBody,
    requestId: string,
  ): Promise<PaymentView> {
    const handed = readReceipt(body.paymentResponse);
    const payment = await this.payments.visible(caller, id);
    // A hint costs nothing and is taken in any case: also when there is no place for the receipt.
    if (payment.status === 'authorized') this.notifier.chainHinted(payment.network);
    const outcome = await keepReceipt(this.database, {
      treasuryId: payment.treasuryId,
      grantId: payment.grantId,
      paymentId: payment.id,
      value: handed.value,
      success: handed.response?.success,
      transaction: handed.transaction,
      network: handed.response?.network ?? undefined,
      signature: await this.judge(payment, handed),
      actor: caller.actor,
      requestId,
    });
    if (outcome === 'full') {
      throw new Problem(
        'invalid_transition',
        `payment ${payment.id} keeps 8 receipts, which is all it may; this one was not kept`,
      );
    }
    if (outcome === 'kept') this.notifier.eventsWritten(payment.treasuryId);
    return this.view(payment);
  }

  private async judge(
    payment: PaymentRecord,
    { response, transaction }: HandedReceipt,
  ): Promise<ReceiptSignature> {
    const { payer, authorizedAt } = signedPart(payment);
    // Loaded with the first receipt: the start does not wait for the libraries that verify one.
    const { judgeReceipt } = await import('../x402/offer-receipt.js');
    return judgeReceipt(
      response?.extensions,
      {
        network: payment.network,
        payer,
        payTo: payment.payTo,
        resources: [payment.requestUrl, payment.declaredResource].filter(
          (each) => each !== undefined,
        ),
        transactions: [transaction, payment.transaction].filter((each) => each !== undefined),
        authorizedAt,
        extensionsJson: payment.extensionsEcho,
      },
      await databaseNow(this.database.pool),
    );
  }

  private async view(payment: PaymentRecord): Promise<PaymentView> {
    const receipts = await readReceipts(this.database, payment.treasuryId, payment.id);
    return {
      ...viewPayment(payment),
      received: viewReceived(payment),
      receipts: receipts.map(viewReceipt),
    };
  }
}

/** @throws Problem `invalid_transition` when nothing was signed that a receipt could be about. */
function signedPart({ id, status, authorization }: PaymentRecord) {
  if (authorization) return authorization;
  throw new Problem(
    'invalid_transition',
    `payment ${id} is ${status} and was never signed, so there is no receipt of it`,
  );
}

function viewReceived(payment: PaymentRecord): NonNullable<PaymentView['received']> {
  const { x402Version, requirement, resourceEcho, extensionsEcho } = payment;
  const parsed = (json: string | undefined): unknown =>
    json === undefined ? null : JSON.parse(json);
  return {
    x402Version,
    requirement: parsed(requirement),
    resource: parsed(resourceEcho),
    extensions: parsed(extensionsEcho),
  };
}

function viewReceipt(row: ReceiptRow): NonNullable<PaymentView['receipts']>[number] {
  return {
    receivedAt: row.received_at.toISOString(),
    success: row.success,
    transaction: row.transaction,
    network: row.network,
    signature: {
      outcome: row.signature_outcome as ReceiptSignature['outcome'],
      signer: row.signer,
      reason: row.signature_reason,
    },
  };
}
