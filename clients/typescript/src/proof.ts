import { base64url, sha256, utf8 } from './bytes.js';
import { publicJwk } from './keys.js';
import type { HolderKey } from './types.js';

/** Members of a DPoP proof that depend on the moment. */
interface ProofTime {
  /** Milliseconds to add to this machine's clock to get the service's. */
  readonly skewMs: number;
  /** The nonce that the service last asked for. */
  readonly nonce: string | undefined;
}

/** Signs a DPoP proof (RFC 9449, section 4.2) for one request. Never use one twice. */
export async function signProof(
  key: HolderKey,
  request: { readonly method: string; readonly url: string; readonly token: string },
  { skewMs, nonce }: ProofTime,
): Promise<string> {
  const { name } = key.privateKey.algorithm;
  const header = {
    typ: 'dpop+jwt',
    alg: name === 'ECDSA' ? 'ES256' : 'EdDSA',
    jwk: await publicJwk(key),
  };
  const claims = {
    jti: crypto.randomUUID(),
    htm: request.method,
    htu: request.url.replace(/[?#].*$/, ''),
    iat: Math.floor((Date.now() + skewMs) / 1000),
    ath: base64url(await sha256(utf8(request.token))),
    ...(nonce === undefined ? {} : { nonce }),
  };
  const input = [header, claims].map((part) => base64url(utf8(JSON.stringify(part)))).join('.');
  // WebCrypto signs ECDSA as r || s, which is what JOSE wants (RFC 7518, section 3.4).
  const signature = await crypto.subtle.sign(
    { name, hash: 'SHA-256' },
    key.privateKey,
    utf8(input),
  );
  return `${input}.${base64url(new Uint8Array(signature))}`;
}
