import type { Logger } from 'pino';
import type { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import type { FacilitatorRequest, Facilitators } from './facilitators.js';
import { STATUS_PATH } from './front.js';
import { requirementsV2 } from './offers.js';
import { object } from './openapi-import.js';
import { readSale, type Sale } from './sale-rows.js';

/** How long the service may take to answer, in milliseconds. */
const SERVICE_TIMEOUT_MS = 20_000;
/** When a refund is looked at again, in milliseconds: one that was begun, and one that the grant refuses. */
const RETRY_MS = { begun: 3_000, refused: 15_000 };
/** How long whoever claims a credit note has it, in milliseconds. */
const CLAIM_MS = 120_000;
const BATCH = 10;

/** The service that makes refunds, and the refund grant's token. */
export interface RefundDesk {
  readonly service: string;
  readonly token: string;
}

interface CreditNote {
  readonly saleId: string;
  readonly attempt: number;
}

/**
 * Pays back what is owed. A refund is an ordinary payment of the service, under a grant that an admin minted for refunds, with
 * the sale's id as its Idempotency-Key: decided, reserved and settled like any other, and never made twice.
 */
export class Refunds {
  constructor(
    private readonly database: Database,
    private readonly treasuryId: string,
    private readonly desk: RefundDesk,
    private readonly facilitators: Facilitators,
    private readonly networks: readonly Network[],
    private readonly logger: Logger,
  ) {}

  /** Does a step of every refund that is due. Idempotent; goes on after any crash. */
  async payDue(): Promise<void> {
    const { rows } = await this.database.pool.query<CreditNote>(
      `UPDATE gateway_credit_notes n SET next_try_at = now() + interval '${CLAIM_MS} milliseconds'
       WHERE n.treasury_id = $1 AND n.sale_id IN (
         SELECT c.sale_id FROM gateway_credit_notes c
         WHERE c.treasury_id = $1 AND c.ended_at IS NULL AND c.next_try_at <= now()
         ORDER BY c.next_try_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
       RETURNING n.sale_id AS "saleId", n.attempt`,
      [this.treasuryId],
    );
    for (const note of rows) {
      const retryMs = await this.pay(note).catch((error: Error) => {
        this.logger.warn(
          { room: 'gateway', sale: note.saleId },
          `a refund waits: ${error.message}`,
        );
        return RETRY_MS.refused;
      });
      if (retryMs !== undefined) await this.later(note, retryMs);
    }
  }

  /** @returns when to look again; undefined when it is paid back. */
  private async pay(note: CreditNote): Promise<number | undefined> {
    const sale = await readSale(this.database.pool, this.treasuryId, note.saleId);
    if (!sale) throw new Error('its sale is not there');
    const requirements = this.requirementsOf(sale);
    const { status, body } = await this.ask(note, sale, requirements);
    if (status === 409 && body.code === 'payment_ended' && body.nextAction === 'new_key') {
      // Its time ran out on its way to the chain. Only the service can say so, and only then is another key safe.
      await this.database.pool.query(
        `UPDATE gateway_credit_notes SET attempt = attempt + 1 WHERE treasury_id = $1 AND sale_id = $2 AND attempt = $3`,
        [this.treasuryId, note.saleId, note.attempt],
      );
      return 0;
    }
    const payment = object(body.payment);
    if (status === 202) return RETRY_MS.refused;
    if (status !== 201) throw new Error(`the service answered ${status} ${String(body.code)}`);
    const paymentId = String(payment.id);
    await this.begun(note, paymentId);
    if (payment.status === 'settled' && typeof payment.transaction === 'string') {
      return this.done(note, paymentId, payment.transaction);
    }
    const { value } = object(body.header);
    const paymentPayload = JSON.parse(Buffer.from(String(value), 'base64').toString('utf8'));
    const outcome = await this.facilitators.settle({
      paymentPayload,
      paymentRequirements: requirements,
    } as FacilitatorRequest);
    // The service's own reading of the chain ends it, where the facilitator does not say.
    return outcome.kind === 'settled'
      ? this.done(note, paymentId, outcome.transaction)
      : RETRY_MS.begun;
  }

  /** Asks for the payment. The same key is the same payment, however often it is asked for. */
  private async ask(
    { saleId, attempt }: CreditNote,
    { payer }: Sale,
    requirements: object,
  ): Promise<{ status: number; body: Readonly<Record<string, unknown>> }> {
    const url = `http://gateway.internal${STATUS_PATH}${saleId}`;
    const answer = await fetch(new URL('/v1/payments', this.desk.service), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.desk.token}`,
        'content-type': 'application/json',
        'idempotency-key': attempt === 1 ? saleId : `${saleId}/${attempt}`,
      },
      body: JSON.stringify({
        paymentRequired: { x402Version: 2, resource: { url }, accepts: [requirements] },
        request: { method: 'GET', url },
        memo: `refund of ${saleId} to ${payer}`,
      }),
      redirect: 'error',
      signal: AbortSignal.timeout(SERVICE_TIMEOUT_MS),
    });
    return { status: answer.status, body: object(await answer.json()) };
  }

  private requirementsOf(sale: Sale): object {
    const network = this.networks.find((each) => each.network === sale.network);
    const asset = network?.assets.find(({ address }) => address === sale.asset);
    if (!network || !asset)
      throw new Error(`the token ${sale.asset} of ${sale.network} is not configured any more`);
    const payTo = sale.payer as `0x${string}`;
    return requirementsV2({ network, asset, amount: sale.amount, payTo, maxTimeoutSeconds: 120 });
  }

  private async begun({ saleId }: CreditNote, paymentId: string): Promise<void> {
    await this.database.pool.query(
      `UPDATE gateway_credit_notes SET status = 'paying', payment_id = $3
       WHERE treasury_id = $1 AND sale_id = $2 AND ended_at IS NULL`,
      [this.treasuryId, saleId, paymentId],
    );
  }

  private async done(
    { saleId }: CreditNote,
    paymentId: string,
    transaction: string,
  ): Promise<undefined> {
    await this.database.transaction(async (tx) => {
      const { rowCount } = await tx.query(
        `UPDATE gateway_credit_notes SET status = 'refunded', transaction = $3, ended_at = now()
         WHERE treasury_id = $1 AND sale_id = $2 AND ended_at IS NULL`,
        [this.treasuryId, saleId, transaction],
      );
      if (rowCount !== 1) return;
      await appendEvents(tx, await databaseNow(tx), [
        {
          treasuryId: this.treasuryId,
          kind: 'sale.refunded',
          actor: 'system:gateway',
          data: { saleId, paymentId, transaction },
        },
      ]);
    });
  }

  private async later({ saleId }: CreditNote, milliseconds: number): Promise<void> {
    await this.database.pool.query(
      `UPDATE gateway_credit_notes SET next_try_at = now() + $3 * interval '1 millisecond'
       WHERE treasury_id = $1 AND sale_id = $2 AND ended_at IS NULL`,
      [this.treasuryId, saleId, milliseconds],
    );
  }
}
