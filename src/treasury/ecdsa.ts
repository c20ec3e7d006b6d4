import { signRecoverable } from 'tiny-secp256k1';
import type { Hex } from 'viem';

/**
 * Signs a digest with secp256k1, deterministically (RFC 6979) and with a low s (EIP-2): the same key
 * and digest always give the same bytes, and they are viem's. libsecp256k1's algorithms as WebAssembly:
 * several times as fast as plain JavaScript.
 *
 * @param privateKey - 32 bytes.
 * @param digest - 32 bytes.
 * @returns 65 bytes as hex: r, s, and 27 or 28.
 */
export function signDigest(privateKey: Uint8Array, digest: Uint8Array): Hex {
  const { signature, recoveryId } = signRecoverable(digest, privateKey);
  const end = (recoveryId % 2) + 27;
  return `0x${Buffer.from(signature).toString('hex')}${end.toString(16)}`;
}
