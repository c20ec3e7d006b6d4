import { authorizationTypes } from '@x402/evm';
import type { Asset } from '../domain/network.js';
import { Problem, untrusted } from '../domain/problem.js';
import type { FixedPayment, SigningScheme, WireScheme } from './scheme.js';

/**
 * The scheme `exact` by EIP-3009 `TransferWithAuthorization`: this much, to that payee, until then
 * (x402 v2 spec, `scheme_exact_evm`).
 */
export const exact = {
  name: 'exact',

  variant(extra, at) {
    const { assetTransferMethod: method, paymentFlow: flow } = extra;
    if (isSaid(method) && method !== 'eip3009') {
      throw new Problem(
        'scheme_not_supported',
        `${at}: extra.assetTransferMethod is not supported, eip3009 is`,
        { sellerText: untrusted(method) },
      );
    }
    if (isSaid(flow) && flow !== 'authorization' && flow !== 'upfront') {
      throw new Problem(
        'scheme_not_supported',
        `${at}: extra.paymentFlow is not supported, authorization is`,
        { sellerText: untrusted(flow) },
      );
    }
    return { isUpfront: flow === 'upfront' };
  },

  contradiction({ name, version, verifyingContract, chainId: chain }, asset, chainId) {
    if (isSaid(name) && name !== asset.name) return 'name';
    if (isSaid(version) && version !== asset.version) return 'version';
    const contract = typeof verifyingContract === 'string' ? verifyingContract : '';
    if (isSaid(verifyingContract) && contract.toLowerCase() !== asset.address.toLowerCase()) {
      return 'verifyingContract';
    }
    const ids = [String(chainId), `eip155:${chainId}`];
    if (isSaid(chain) && !(typeof chain !== 'object' && ids.includes(String(chain)))) {
      return 'chainId';
    }
    return undefined;
  },

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
} as const satisfies WireScheme;

/** The signing half of the scheme. */
export const exactSigning = { typedData: exactTypedData } as const satisfies SigningScheme<
  ReturnType<typeof exactTypedData>
>;

/** Fields that are null on the wire count as absent: two of the published SDKs write them so. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null;
}

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
