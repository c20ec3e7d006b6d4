import type { TypedDataDomain } from 'viem';
import type { Asset } from '../domain/network.js';

/**
 * A payment as the ledger fixed it, before anything is signed: what the signature covers and what the
 * header echoes. The same row therefore always gives the same header.
 */
export interface FixedPayment {
  /** The payment's own id (`pay_...`). */
  readonly id: string;
  readonly x402Version: number;
  readonly chainId: number;
  /** The treasury wallet that pays, EIP-55 checksummed. */
  readonly from: string;
  readonly to: string;
  /** Atomic units. */
  readonly value: bigint;
  /** Unix seconds. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** 32 bytes, hex. */
  readonly nonce: string;
  /** JSON texts as the seller sent them. */
  readonly requirementJson: string;
  readonly resourceJson: string | undefined;
  readonly extensionsJson: string | undefined;
}

/** EIP-712 typed data, ready to sign. */
export interface TypedData {
  readonly domain: TypedDataDomain;
  readonly types: Readonly<Record<string, readonly { name: string; type: string }[]>>;
  readonly primaryType: string;
  readonly message: Readonly<Record<string, unknown>>;
}

/**
 * A way to pay, as x402 calls it, on the wire: how its entries of `accepts` are read, and its part of a header. What is
 * signed is a {@link SigningScheme}'s, and what the chain shows of it is `settlement/schemes.ts`'s.
 */
export interface WireScheme {
  /** Named as in `accepts`. */
  readonly name: string;
  /**
   * Reads which variant of the scheme an entry of `accepts` asks for.
   *
   * @param extra - the entry's `extra`, empty where it has none.
   * @param at - where the entry stands, for the error.
   * @throws Problem `scheme_not_supported` for a variant that is not signed here.
   */
  variant(extra: Readonly<Record<string, unknown>>, at: string): { isUpfront: boolean };
  /**
   * Finds what an entry says of the token that contradicts the registered one: the seller's facilitator
   * would verify another signature than the one that is made.
   *
   * @returns the name of the first member of `extra` that contradicts, or undefined.
   */
  contradiction(
    extra: Readonly<Record<string, unknown>>,
    asset: Asset,
    chainId: number,
  ): string | undefined;
  /** The header's `payload` member. */
  payload(payment: FixedPayment, signature: string): object;
}

/** A scheme as it is signed. */
export interface SigningScheme<Data extends TypedData = TypedData> {
  /** Typed data that is signed. The domain is the registered asset's and never the seller's. */
  typedData(payment: FixedPayment, asset: Asset): Data;
}
