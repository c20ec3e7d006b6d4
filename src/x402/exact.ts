import { authorizationTypes } from '@x402/evm';
import type { Asset } from '../domain/network.js';
import { Problem } from '../domain/problem.js';
import type { FixedPayment, Scheme } from './scheme.js';
import { shown } from './shown.js';

/**
 * The scheme `exact` by EIP-3009 `TransferWithAuthorization`: this much, to that payee, until then
 * (x402 v2 spec, `scheme_exact_evm`).
 */
export const exact = {
  name: 'exact',

  check(entry, at) {
    const { assetTransferMethod: method } = (entry.extra ?? {}) as {
      assetTransferMethod?: unknown;
    };
    if (method === undefined || method === 'eip3009') return;
    throw new Problem(
      'scheme_not_supported',
      `${at}: exact by ${shown(method)} is not supported, by eip3009 is`,
    );
  },

  typedData: exactTypedData,

  payload(payment, signature) {
    return {
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
  },
} as const satisfies Scheme;

/**
 * The EIP-712 typed data of an EIP-3009 `TransferWithAuthorization`. The domain is the registry's:
 * what a seller writes in `extra` never reaches it.
 */
export function exactTypedData(payment: FixedPayment, asset: Asset) {
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
