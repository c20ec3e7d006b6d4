import { createHash, randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type Answer, Api, type ProblemAnswer } from './api.js';

/** Members of a proof that a test makes wrong. */
export interface ProofChanges {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
}

/** A holder's key pair, and the proofs it signs. */
export interface Prover {
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
  proof(method: string, url: string, accessToken: string, changes?: ProofChanges): Promise<string>;
}

/** Makes a pair of the kind a holder may have. */
export async function newProver(alg: 'ES256' | 'Ed25519' = 'ES256'): Promise<Prover> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  return {
    publicJwk,
    privateJwk: await exportJWK(pair.privateKey),
    proof: (method, url, accessToken, { header, claims } = {}) =>
      new SignJWT({
        jti: randomUUID(),
        htm: method,
        htu: url.split('?')[0],
        iat: Math.floor(Date.now() / 1000),
        ath: createHash('sha256').update(accessToken).digest('base64url'),
        ...claims,
      })
        .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk: publicJwk, ...header })
        .sign(pair.privateKey),
  };
}

/** The service over HTTP as the holder of a key-bound grant: a fresh proof for every call. */
export class ProvingApi extends Api {
  constructor(
    url: string,
    readonly bound: string,
    readonly prover: Prover,
  ) {
    super(url);
  }

  override async call<T = ProblemAnswer>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    return super.call<T>(method, path, body, {
      authorization: `DPoP ${this.bound}`,
      dpop: await this.prover.proof(method, this.url + path, this.bound),
      ...headers,
    });
  }
}
