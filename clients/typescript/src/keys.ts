import type { HolderJwk, HolderKey } from './types.js';

/**
 * Makes the key pair of a key-bound grant: P-256, its private half not extractable.
 *
 * @example
 * const key = await generateHolderKey();
 * const child = await bursar.delegate({ holder: 'sub-agent', budget: '1.00', key });
 */
export function generateHolderKey(): Promise<HolderKey> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
    'verify',
  ]) as Promise<HolderKey>;
}

/**
 * The public JWK of a key, as `holderKey` of a grant wants it.
 *
 * @example
 * await admin.grants.mint({ holder: 'agent', budget: '5', ttlSeconds: 3600, holderKey: await publicJwk(key) });
 */
export async function publicJwk({ publicKey }: HolderKey): Promise<HolderJwk> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
  return { kty, crv, x, ...(y === undefined ? {} : { y }) } as HolderJwk;
}
