import type { Resource } from './scope.js';

/** One way a seller offers to be paid, already known to be of a registered asset. */
export interface PaymentOption {
  /** Position in the seller's `accepts`. */
  readonly index: number;
  readonly scheme: string;
  /** CAIP-2. */
  readonly network: string;
  /** Token contract, EIP-55 checksummed. */
  readonly asset: string;
  readonly currency: string;
  /** Atomic units. */
  readonly amount: bigint;
  /** EIP-55 checksummed. */
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  /** Whether the seller settles before it answers (`extra.paymentFlow` is `upfront`). */
  readonly isUpfront: boolean;
  /**
   * URLs that must be in scope: the one that was asked, then the declared one when it names another public
   * host.
   */
  readonly resources: readonly Resource[];
}
