import type { Logger } from '@nestjs/common';
import { isSameAddress } from '../evm.js';
import type { Closing } from '../ledger/settlement.js';
import type { TokenLog } from './token-logs.js';
import { ChainMismatch } from './views.js';

type Address = `0x${string}`;

/** Payment that is signed and not over, as the logs are matched with it. */
export interface OpenPayment {
  readonly treasury_id: string;
  readonly id: string;
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: Address;
  readonly amount: string;
  readonly nonce: `0x${string}`;
  readonly created_at: Date;
}

export const OPEN_PAYMENT_COLUMNS = `p.treasury_id, p.id, p.asset, p.payer, p.pay_to, p.amount, p.nonce,
  p.created_at`;

/** Matches logs with open payments. A payment they do not settle nor cancel stays open. */
export function match(open: readonly OpenPayment[], logs: readonly TokenLog[]) {
  const closings: Closing[] = [];
  const strange: { payment: OpenPayment; transaction: string }[] = [];
  const byNonce = new Map(open.map((payment) => [payment.nonce, payment]));
  const transfers = new Map<string, TokenLog[]>();
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
    if (log.eventName === 'AuthorizationCanceled') {
      closings.push(closing(payment, 'cancelled', log.transactionHash, log.blockNumber));
      continue;
    }
    // A used nonce alone settles nothing: the exact transfer must stand in the same transaction, and
    // one transfer stands for one payment.
    const candidates = transfers.get(log.transactionHash ?? '') ?? [];
    const place = candidates.findIndex(
      (each) =>
        each.eventName === 'Transfer' &&
        isSameAddress(each.address, log.address) &&
        isSameAddress(each.args.from, payment.payer) &&
        isSameAddress(each.args.to, payment.pay_to) &&
        each.args.value === BigInt(payment.amount),
    );
    if (place < 0) {
      strange.push({ payment, transaction: log.transactionHash });
      continue;
    }
    candidates.splice(place, 1);
    closings.push(closing(payment, 'settled', log.transactionHash, log.blockNumber));
  }
  return { closings, strange };
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
    `${each.paymentId} ${each.end} ${each.transaction} ${each.blockNumber}`;
  const sets = readings.map((reading) => new Set(reading.map(told)));
  const alone = readings.flat().find((each) => !sets.every((set) => set.has(told(each))));
  if (alone) {
    throw new ChainMismatch(
      `its RPCs contradict each other: not all readings show payment ${alone.paymentId} as ${alone.end}`,
    );
  }
}

export function closing(
  payment: OpenPayment,
  end: Closing['end'],
  transaction: string | undefined,
  blockNumber: bigint,
): Closing {
  return { treasuryId: payment.treasury_id, paymentId: payment.id, end, transaction, blockNumber };
}
