import { encodeFunctionData, type Hex, parseAbi, parseSignature } from 'viem';
import type { Asset } from '../domain/network.js';

/** `CancelAuthorization`, as EIP-3009 types it. */
export const cancellationTypes = {
  CancelAuthorization: [
    { name: 'authorizer', type: 'address' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const;

const CANCEL_ABI = parseAbi([
  'function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
]);

/** The EIP-712 typed data that takes an authorization back, on the registry's domain (EIP-3009). */
export function cancelTypedData(authorizer: string, nonce: string, chainId: number, asset: Asset) {
  return {
    domain: { name: asset.name, version: asset.version, chainId, verifyingContract: asset.address },
    types: cancellationTypes,
    primaryType: 'CancelAuthorization',
    message: { authorizer: authorizer as Hex, nonce: nonce as Hex },
  } as const;
}

/** The call to the token that cancels an authorization, with its wallet's signature (EIP-3009). */
export function cancelCall(authorizer: string, nonce: string, signature: Hex): Hex {
  const { r, s, yParity } = parseSignature(signature);
  return encodeFunctionData({
    abi: CANCEL_ABI,
    functionName: 'cancelAuthorization',
    args: [authorizer as Hex, nonce as Hex, 27 + yParity, r, s],
  });
}
