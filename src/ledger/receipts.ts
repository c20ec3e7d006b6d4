import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { sha256Hex } from '../domain/canonical.js';
import { appendEvents } from './events.js';
import { databaseNow } from './grant-rows.js';

/** The maximum of receipts kept a payment; a CHECK enforces it too. */
const RECEIPTS_KEPT = 8;

/** A seller's receipt, to be kept with its payment. Everything in it is what the seller says. */
export interface NewReceipt {
  readonly treasuryId: string;
  readonly grantId: string;
  readonly paymentId: string;
  /** The text that was handed in, unchanged. */
  readonly value: string;
  readonly success: boolean | undefined;
  readonly transaction: string | undefined;
  readonly network: string | undefined;
  readonly signature: {
    readonly outcome: string;
    readonly signer?: string | undefined;
    readonly reason?: string | undefined;
  };
  readonly actor: string;
  readonly requestId: string;
}

/** A receipt as it is kept. */
export interface ReceiptRow {
  received_at: Date;
  success: boolean | null;
  transaction: string | null;
  network: string | null;
  signature_outcome: string;
  signer: string | null;
  signature_reason: string | null;
}

/**
 * Keeps a receipt, with its event in the same transaction. The payment itself does not change.
 *
 * @returns `known` when the same value is kept already, `full` when the payment keeps as many as it may.
 */
export function keepReceipt(
  database: Database,
  receipt: NewReceipt,
): Promise<'kept' | 'known' | 'full'> {
  const { treasuryId, paymentId, grantId, actor, requestId, signature } = receipt;
  const valueHash = sha256Hex(receipt.value);
  return database.transaction(async (tx) => {
    await lockPayment(tx, treasuryId, paymentId);
    const { rows } = await tx.query<{ value_hash: string }>(
      'SELECT value_hash FROM receipts WHERE treasury_id = $1 AND payment_id = $2',
      [treasuryId, paymentId],
    );
    if (rows.some(({ value_hash }) => value_hash === valueHash)) return 'known';
    if (rows.length >= RECEIPTS_KEPT) return 'full';
    const now = await databaseNow(tx);
    const transaction = receipt.transaction ?? null;
    const signer = signature.signer ?? null;
    await tx.query(
      `INSERT INTO receipts (treasury_id, payment_id, place, value, value_hash, success, transaction,
         network, signature_outcome, signer, signature_reason, received_by, received_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
      [
        treasuryId,
        paymentId,
        rows.length + 1,
        receipt.value,
        valueHash,
        receipt.success ?? null,
        transaction,
        receipt.network ?? null,
        signature.outcome,
        signer,
        signature.reason ?? null,
        actor,
        now,
      ],
    );
    await appendEvents(tx, now, [
      {
        treasuryId,
        kind: 'payment.receipt',
        actor,
        grantId,
        paymentId,
        requestId,
        data: { valueHash, transaction, signature: { outcome: signature.outcome, signer } },
      },
    ]);
    return 'kept';
  });
}

/** One receipt of a payment is written at a time: places are given out in turn. */
async function lockPayment(tx: ClientBase, treasuryId: string, paymentId: string): Promise<void> {
  await tx.query('SELECT 1 FROM payments WHERE treasury_id = $1 AND id = $2 FOR NO KEY UPDATE', [
    treasuryId,
    paymentId,
  ]);
}

/** The receipts kept of a payment, in the order in which they came. */
export async function readReceipts(
  database: Database,
  treasuryId: string,
  paymentId: string,
): Promise<ReceiptRow[]> {
  const { rows } = await database.pool.query<ReceiptRow>(
    `SELECT received_at, success, transaction, network, signature_outcome, signer, signature_reason
     FROM receipts WHERE treasury_id = $1 AND payment_id = $2 ORDER BY place`,
    [treasuryId, paymentId],
  );
  return rows;
}
