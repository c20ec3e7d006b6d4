import { randomBytes } from 'node:crypto';
import { signRecoverable } from 'tiny-secp256k1';
import type { Hex } from 'viem';

type Bindings = typeof import('secp256k1/bindings.js').default;

const native = await loadNative();

/** Whether {@link signDigest} signs by machine code. */
export const isNative = native !== undefined;

/**
 * Signs a digest with secp256k1, deterministically (RFC 6979) and with a low s (EIP-2): the same key
 * and digest always give the same bytes, and they are viem's. By libsecp256k1: as machine code where the
 * package brings it (Linux and Windows on x64, macOS on arm64), else as WebAssembly, which takes more than
 * twice as long.
 *
 * @param privateKey - 32 bytes.
 * @param digest - 32 bytes.
 * @returns 65 bytes as hex: r, s, and 27 or 28.
 */
export function signDigest(privateKey: Uint8Array, digest: Uint8Array): Hex {
  if (!native) return signByWasm(privateKey, digest);
  const { signature, recid } = native.ecdsaSign(digest, privateKey);
  return hexOf(signature, recid);
}

/** {@link signDigest}, as it is where there is no machine code. */
export function signByWasm(privateKey: Uint8Array, digest: Uint8Array): Hex {
  const { signature, recoveryId } = signRecoverable(digest, privateKey);
  return hexOf(signature, recoveryId);
}

function hexOf(signature: Uint8Array, recovery: number): Hex {
  const end = (recovery % 2) + 27;
  return `0x${Buffer.from(signature).toString('hex')}${end.toString(16)}`;
}

/** Its bindings alone: the package itself would fall back to JavaScript, slower than WebAssembly. */
async function loadNative(): Promise<Bindings | undefined> {
  let bindings: Bindings;
  try {
    ({ default: bindings } = await import('secp256k1/bindings.js'));
  } catch {
    return undefined;
  }
  // Against whoever can measure how long a signature takes; the bytes stay the same.
  bindings.contextRandomize(randomBytes(32));
  return bindings;
}
