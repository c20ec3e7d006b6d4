import type { Logger } from '@nestjs/common';
import { isSameAddress } from '../evm.js';
import type { Closing } from '../ledger/settlement.js';
import { onChainOf } from './schemes.js';
import type { TokenLog, TransferLog } from './token-logs.js';
import { ChainMismatch } from './views.js';

type Address = `0x${string}`;

/** Payment that is signed and not over, as the logs are matched with it. */
export interface OpenPayment {
  readonly treasury_id: string;
  readonly id: string;
  readonly scheme: string;
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: Address;
  readonly amount: string;
  readonly nonce: `0x${string}`;
  readonly created_at: Date;
}

export const OPEN_PAYMENT_COLUMNS = `p.treasury_id, p.id, p.scheme, p.asset, p.payer, p.pay_to, p.amount, p.nonce,
  p.created_at`;

/** Matches logs with open payments. A payment they do not settle nor cancel stays open. */
export function match(open: readonly OpenPayment[], logs: readonly TokenLog[]) {
  const closings: Closing[] = [];
  const strange: { payment: OpenPayment; transaction: string }[] = [];
  const byNonce = new Map(open.map((payment) => [payment.nonce, payment]));
  const transfers = new Map<string, TransferLog[]>();
  for (const log of logs) {
    if (log.eventName !== 'Transfer') continue;
    const others = transfers.get(log.transactionHash ?? '');
    if (others) others.push(log);
    else transfers.set(log.transactionHash ?? '', [log]);
  }
  for (const log of logs) {
    if (log.eventName === 'Transfer' || log.blockNumber === null) continue;
    const payment = byNonce.get(log.args.nonce);
    if (
      !payment ||
      !isSameAddress(payment.payer, log.args.authorizer) ||
      !isSameAddress(payment.asset, log.address)
    ) {
      continue;
    }
    const at = { transaction: log.transactionHash, blockNumber: log.blockNumber };
    if (log.eventName === 'AuthorizationCanceled') {
      closings.push(closing(payment, { ...at, end: 'cancelled', paid: 0n }));
      continue;
    }
    // A used nonce alone settles nothing: its transfer must stand in the same transaction.
    const paid = takePaid(payment, transfers.get(log.transactionHash ?? '') ?? []);
    if (paid === undefined) {
      strange.push({ payment, transaction: log.transactionHash });
      continue;
    }
    closings.push(closing(payment, { ...at, end: 'settled', paid }));
  }
  return { closings, strange };
}

/** Takes the transfer of a payment out of those of its transaction: one stands for one payment. @returns what it paid. */
function takePaid(payment: OpenPayment, transfers: TransferLog[]): bigint | undefined {
  const paidBy = onChainOf(payment.scheme);
  for (const [place, transfer] of transfers.entries()) {
    const paid = paidBy?.(payment, transfer);
    if (paid === undefined) continue;
    transfers.splice(place, 1);
    return paid;
  }
  return undefined;
}

/** Matches as {@link match} does, and logs nonces that were used without their transfer. */
export function matchAloud(
  log: Logger,
  open: readonly OpenPayment[],
  logs: readonly TokenLog[],
): Closing[] {
  const { closings, strange } = match(open, logs);
  for (const { payment, transaction } of strange) {
    log.error(
      `payment ${payment.id}: its nonce was used in ${transaction} without its transfer; it stays reserved`,
    );
  }
  return closings;
}

/** @throws ChainMismatch unless all readings end the same payments in the same way. */
export function agree(readings: readonly (readonly Closing[])[]): void {
  const told = (each: Closing) =>
    `${each.paymentId} ${each.end} ${each.paid} ${each.transaction} ${each.blockNumber}`;
  const sets = readings.map((reading) => new Set(reading.map(told)));
  const alone = readings.flat().find((each) => !sets.every((set) => set.has(told(each))));
  if (alone) {
    throw new ChainMismatch(
      `its RPCs contradict each other: not all readings show payment ${alone.paymentId} as ${alone.end}`,
    );
  }
}

/** The end of an open payment. */
export function closing(
  payment: OpenPayment,
  end: Pick<Closing, 'end' | 'paid' | 'transaction' | 'blockNumber'>,
): Closing {
  return { treasuryId: payment.treasury_id, paymentId: payment.id, ...end };
}
