import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { appendEvents, type NewEvent } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import type { Answer, Answers } from './answers.js';
import { giveFreeBack, takeFree } from './free-uses.js';
import {
  changeSale,
  insertSale,
  type Sale,
  type SaleChange,
  type SaleGuard,
  type SaleTerms,
  type SaleWork,
} from './sale-rows.js';

const ACTOR = 'system:gateway';

/**
 * Changes of sales, each in one transaction with what belongs to it: the answer that is kept, the event in the treasury's
 * log, the credit note of a payer who was charged for nothing.
 */
export class SaleBooks {
  constructor(
    private readonly database: Database,
    private readonly answers: Answers,
  ) {}

  /**
   * Reserves a credential for a sale. While its payer has free requests left today, the sale is one of them.
   *
   * @param freePerDay - free requests of a payer a day.
   * @returns the sale, or undefined when another one has the credential: then nothing was written.
   */
  open(terms: SaleTerms, work: SaleWork, freePerDay: number): Promise<Sale | undefined> {
    if (freePerDay === 0) return insertSale(this.database.pool, terms, work);
    return this.database.transaction(async (tx) => {
      const isFree = await takeFree(tx, terms, freePerDay);
      const sale = await insertSale(tx, isFree ? { ...terms, settle: 'free' } : terms, work);
      if (isFree && !sale) await giveFreeBack(tx, terms);
      return sale;
    });
  }

  /**
   * Changes a sale that is in the state `from`.
   *
   * @param answer - kept with it.
   * @returns the sale, or undefined when it was in another state: then nothing was written.
   */
  change(
    sale: Pick<Sale, 'treasuryId' | 'id'>,
    from: SaleGuard,
    to: SaleChange,
    answer?: Answer,
  ): Promise<Sale | undefined> {
    const kept = answer && this.answers.toKeep(sale, answer);
    const { charge = from.charge } = to;
    // Most changes are one statement: only a charge, and what becomes of it, is told to the log.
    if (charge !== 'settled') return changeSale(this.database.pool, sale, from, to, kept);
    return this.database.pipelined(async (tx, { begun, last }) => {
      await begun;
      const [changed, now] = await Promise.all([
        changeSale(tx, sale, from, to, kept),
        databaseNow(tx),
      ]);
      if (!changed) return undefined;
      const events = eventsOf(changed, from);
      if (events.some(({ kind }) => kind === 'sale.refund_owed')) await oweRefund(tx, changed);
      if (events.length > 0) last(() => appendEvents(tx, now, events));
      return changed;
    });
  }

  /** Notes that a sale is charged for: by its facilitator's word, or by the chain's. */
  async settled(sale: Sale, transaction: string): Promise<Sale | undefined> {
    const { call } = sale;
    return (
      (await this.change(sale, { call, charge: 'settling' }, { charge: 'settled', transaction })) ??
      // It was taken over meanwhile, by somebody who did not know yet.
      this.change(sale, { call, charge: 'unknown' }, { charge: 'settled', transaction })
    );
  }
}

/** The events of a change: a charge is one, and so is a charge for which nothing was given. */
function eventsOf(sale: Sale, from: SaleGuard): NewEvent[] {
  const events: NewEvent[] = [];
  const event = (
    kind: 'sale.settled' | 'sale.refund_owed',
    data: Record<string, unknown>,
  ): NewEvent => ({
    treasuryId: sale.treasuryId,
    kind,
    actor: ACTOR,
    data: {
      saleId: sale.id,
      operation: sale.operation,
      network: sale.network,
      asset: sale.asset,
      payer: sale.payer,
      currency: sale.currency,
      value: sale.amount.toString(),
      transaction: sale.transaction,
      ...data,
    },
  });
  if (sale.charge === 'settled' && from.charge !== 'settled') {
    const { payTo, nonce, requestHash, configHash, settle } = sale;
    events.push(event('sale.settled', { payTo, nonce, requestHash, configHash, settle }));
  }
  if (isOwed(sale) && !isOwed(from)) {
    events.push(event('sale.refund_owed', { statusCode: sale.statusCode, reason: sale.reason }));
  }
  return events;
}

/** Whether a sale is charged for, and nothing was given for it. */
function isOwed({ call, charge }: Pick<Sale, 'call' | 'charge'>): boolean {
  return charge === 'settled' && (call === 'failed' || call === 'lost');
}

async function oweRefund(tx: ClientBase, { treasuryId, id }: Sale): Promise<void> {
  await tx.query(
    `INSERT INTO gateway_credit_notes (treasury_id, sale_id, next_try_at, created_at) VALUES ($1, $2, now(), now())
     ON CONFLICT DO NOTHING`,
    [treasuryId, id],
  );
}
