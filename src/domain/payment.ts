import { canonicalJson, sha256Hex } from './canonical.js';
import type { ProblemCode } from './problem.js';

/** Every status a payment can have. */
export const PAYMENT_STATUSES = [
  'pending_approval',
  'authorized',
  'settled',
  'released',
  'cancelled',
  'rejected',
] as const;

/**
 * The life of a payment. `pending_approval` waits and holds nothing; `authorized` is reserved, may be
 * signed, and has not ended. The others are terminal and never change.
 */
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** How a reservation ends: spent for good, or returned. */
export type PaymentEnd = 'settled' | 'released' | 'cancelled';

/**
 * The canonical decision record. Its SHA-256 is the EIP-3009 nonce, so the transfer on chain commits
 * to the decision that allowed it. Numbers but `x402Version` are decimal strings, so that any JSON
 * reader recomputes the same bytes. The format and its test vectors: docs/payment-nonce.md.
 */
export interface DecisionRecord {
  readonly version: 'bursar.decision.v1';
  readonly paymentId: string;
  readonly treasuryId: string;
  /** The grants that allowed it, from the root down. */
  readonly grants: readonly string[];
  /** The request that met the 402, as the agent gave it. */
  readonly request: { readonly method: string; readonly url: string };
  /** The resource the seller declared, any text cut to 2,048 characters; null when it declared none. */
  readonly resource: string | null;
  readonly x402Version: number;
  /** The selected requirement's position in `accepts`. */
  readonly option: string;
  /** The other entries of `accepts`, in its order, and why each was left. */
  readonly left: readonly LeftOption[];
  /** SHA-256 (hex) of the selected requirement's canonical JSON. */
  readonly requirementHash: string;
  readonly network: string;
  readonly asset: string;
  readonly from: string;
  readonly to: string;
  /** Atomic units. */
  readonly value: string;
  /** Unix seconds. */
  readonly validAfter: string;
  readonly validBefore: string;
  /** The database's time at the decision, RFC 3339. */
  readonly decidedAt: string;
}

/** An option that was not selected. */
export interface LeftOption {
  readonly option: string;
  /** Reason that refuses it; `not_preferred` when another was preferred, or it was not weighed. */
  readonly code: ProblemCode | 'not_preferred';
  /** The grant of the chain that refuses it, where one does. */
  readonly grantId?: string;
}

/** The EIP-3009 nonce of a decision: SHA-256 over its canonical JSON. */
export function nonceOf(record: DecisionRecord): { json: string; nonce: `0x${string}` } {
  const json = canonicalJson(record);
  return { json, nonce: `0x${sha256Hex(json)}` };
}
