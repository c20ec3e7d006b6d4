import { createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';

/** Members of a public JWK that say nothing of the key itself: taken, and not kept. */
const annotations = {
  kid: z.string().max(255).optional(),
  use: z.literal('sig', 'must be "sig": the key signs proofs').optional(),
  key_ops: z.array(z.literal('verify')).max(1).optional(),
  ext: z.boolean().optional(),
};

const coordinate = z
  .string()
  .max(43)
  // The last character has two bits that no byte uses: set, the same key would have another thumbprint.
  .regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, 'must be 32 bytes in base64url without padding');

/** No private part: whoever sends one has given the key away, and must be told, not obeyed. */
const noPrivatePart = z
  .undefined('is private: send the public key only, and make a new pair')
  .optional();

/**
 * A holder's public key as a JWK (RFC 7517): P-256 or Ed25519, the keys DPoP proofs may be signed with
 * here. RSA is left out: a proof would be as slow to check as its maker likes his modulus.
 */
export const holderKeySchema = z
  .discriminatedUnion('kty', [
    z.strictObject({
      kty: z.literal('EC'),
      crv: z.literal('P-256', 'must be P-256'),
      x: coordinate,
      y: coordinate,
      alg: z.literal('ES256').optional(),
      d: noPrivatePart,
      ...annotations,
    }),
    z.strictObject({
      kty: z.literal('OKP'),
      crv: z.literal('Ed25519', 'must be Ed25519'),
      x: coordinate,
      alg: z.enum(['EdDSA', 'Ed25519']).optional(),
      d: noPrivatePart,
      ...annotations,
    }),
  ])
  .refine(isKey, 'is not a point of its curve')
  .describe('a public JWK: P-256 or Ed25519. Every request of the holder then needs a DPoP proof');

/** A public key, with only the members that its thumbprint covers. */
export type HolderKey =
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string }
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string };

/** Identifies the key of a {@link holderKeySchema}, and its RFC 7638 thumbprint (SHA-256). */
export async function bindingOf(
  jwk: z.infer<typeof holderKeySchema>,
): Promise<{ key: HolderKey; thumbprint: string }> {
  const key: HolderKey =
    jwk.kty === 'EC'
      ? { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y }
      : { kty: jwk.kty, crv: jwk.crv, x: jwk.x };
  return { key, thumbprint: await calculateJwkThumbprint(key, 'sha256') };
}

function isKey(jwk: { kty: string; crv: string; x: string; y?: string | undefined }): boolean {
  const { kty, crv, x, y } = jwk;
  try {
    createPublicKey({ key: { kty, crv, x, ...(y === undefined ? {} : { y }) }, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}
