import { encodePaymentSignatureHeader } from '@x402/core/http';
import type { PaymentPayload } from '@x402/core/types';
import { authorizationTypes } from '@x402/evm';
import type { Asset } from '../domain/network.js';

/**
 * What an `exact` payment's signature covers, and what its header echoes. Everything is fixed in the
 * ledger before anything is signed, so the same row always gives the same header.
 */
export interface ExactPayment {
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

/** A header to retry the request with. */
export interface PaymentHeader {
  readonly name: 'PAYMENT-SIGNATURE' | 'X-PAYMENT';
  /** Base64 JSON. */
  readonly value: string;
}

/**
 * The EIP-712 typed data of an EIP-3009 `TransferWithAuthorization`. The domain is the registry's:
 * what a seller writes in `extra` never reaches it.
 */
export function exactTypedData(payment: ExactPayment, asset: Asset) {
  return {
    domain: {
      name: asset.name,
      version: asset.version,
      chainId: payment.chainId,
      verifyingContract: asset.address,
    },
    types: authorizationTypes,
    primaryType: 'TransferWithAuthorization',
    message: {
      from: payment.from as `0x${string}`,
      to: payment.to as `0x${string}`,
      value: payment.value,
      validAfter: payment.validAfter,
      validBefore: payment.validBefore,
      nonce: payment.nonce as `0x${string}`,
    },
  } as const;
}

/**
 * The x402 header of a signed `exact` payment: v2 echoes the selected requirement, resource and
 * extensions (x402 v2 spec, section "PaymentPayload"); v1 names scheme and network only.
 */
export function exactHeader(payment: ExactPayment, signature: string): PaymentHeader {
  const payload = {
    signature,
    authorization: {
      from: payment.from,
      to: payment.to,
      value: payment.value.toString(),
      validAfter: payment.validAfter.toString(),
      validBefore: payment.validBefore.toString(),
      nonce: payment.nonce,
    },
  };
  const requirement = JSON.parse(payment.requirementJson);
  if (payment.x402Version === 1) {
    const { scheme, network } = requirement;
    const body = JSON.stringify({ x402Version: 1, scheme, network, payload });
    return { name: 'X-PAYMENT', value: Buffer.from(body, 'utf8').toString('base64') };
  }
  const body: PaymentPayload = {
    x402Version: 2,
    ...(payment.resourceJson === undefined ? {} : { resource: JSON.parse(payment.resourceJson) }),
    accepted: requirement,
    payload,
    ...(payment.extensionsJson === undefined
      ? {}
      : { extensions: JSON.parse(payment.extensionsJson) }),
  };
  return { name: 'PAYMENT-SIGNATURE', value: encodePaymentSignatureHeader(body) };
}
