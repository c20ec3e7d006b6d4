import { isSameAddress } from '../evm.js';
import { isSchemeName, type SchemeName } from '../x402/schemes.js';
import type { TransferLog } from './token-logs.js';

/** A payment's terms as its transfer must show them. */
export interface TransferTerms {
  readonly asset: string;
  readonly payer: string;
  readonly pay_to: string;
  /** Amount signed, in atomic units. */
  readonly amount: string;
}

/**
 * Reads the amount that a transfer pays of a payment whose nonce its transaction used.
 *
 * @returns atomic units; undefined when it is not the payment's transfer.
 */
type PaidBy = (payment: TransferTerms, transfer: TransferLog) => bigint | undefined;

/** How the payments of each scheme are seen on chain. */
const ON_CHAIN: Readonly<Record<SchemeName, PaidBy>> = {
  // The whole amount, to the payee.
  exact: (payment, { address, args }) =>
    isSameAddress(address, payment.asset) &&
    isSameAddress(args.from, payment.payer) &&
    isSameAddress(args.to, payment.pay_to) &&
    args.value === BigInt(payment.amount)
      ? args.value
      : undefined,
};

/** Finds how the payments of a scheme are seen on chain; undefined for one that is not known here. */
export function onChainOf(scheme: string): PaidBy | undefined {
  return isSchemeName(scheme) ? ON_CHAIN[scheme] : undefined;
}
