import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose';
import { z } from 'zod';
import { Problem } from '../domain/problem.js';
import { isCompactJws } from './compact-jws.js';
import type { MasterSecret } from './master-secret.js';

/** The algorithms of proofs that are taken: asymmetric, and fast to check whatever the key. */
export const DPOP_ALGORITHMS: readonly string[] = ['ES256', 'EdDSA', 'Ed25519'];

/** How far a proof's `iat` may lie from the database's time, either way, in seconds. */
export const PROOF_WINDOW_SECONDS = 60;

/** The longest proof that is looked at, in characters. */
const MAX_PROOF_LENGTH = 4_096;

/** How long a nonce is handed out, in milliseconds; it is taken for once more as long. */
const NONCE_MS = 120_000;

const proofClaims = z.object({
  jti: z.string().min(1).max(256),
  htm: z.string().max(32),
  htu: z.string().max(2_048),
  iat: z.number().min(0).max(1e11),
  ath: z.string().max(64),
  nonce: z.string().max(64).optional(),
});

/** Part of a proof that is checked in the database, where time and memory are shared. */
export interface CheckedProof {
  /** RFC 7638 thumbprint of the key it was signed with. */
  readonly thumbprint: string;
  /** Value that must never come again: a hash of the thumbprint and the proof's `jti`. */
  readonly proofHash: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly nonce: string | undefined;
}

/** The request a proof is for. */
export interface ProvenRequest {
  readonly method: string;
  /** The absolute URL, as the caller asked it. */
  readonly url: string;
  readonly accessToken: string;
}

/**
 * Checks a DPoP proof as RFC 9449, section 4.3 has it, all but what needs the database: its time
 * ({@link PROOF_WINDOW_SECONDS}), that it was not used before, and that the key is the grant's.
 *
 * @param proof - the DPoP header; two of them, which the HTTP server joins with a comma, are no JWT.
 * @throws Problem `invalid_dpop_proof`.
 */
export async function checkProof(
  proof: string | undefined,
  { method, url, accessToken }: ProvenRequest,
): Promise<CheckedProof> {
  if (proof === undefined) throw invalidProof('the DPoP header is missing');
  if (proof.length > MAX_PROOF_LENGTH) throw invalidProof('the proof is too long');
  if (!isCompactJws(proof)) {
    throw invalidProof('it is not three parts of base64url without padding and unused bits');
  }
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: [...DPOP_ALGORITHMS],
  }).catch(() => {
    throw invalidProof(
      'it is no JWT of typ dpop+jwt that the public key in its header signed by one of: ' +
        DPOP_ALGORITHMS.join(', '),
    );
  });
  const claims = proofClaims.safeParse(payload);
  if (!claims.success) {
    const issue = claims.error.issues[0];
    throw invalidProof(`its claim ${issue?.path.join('.')} is missing or malformed`);
  }
  const { jti, htm, htu, iat, ath, nonce } = claims.data;
  if (htm !== method) throw invalidProof(`htm is not the method of the request, ${method}`);
  const target = comparableUrl(url);
  if (target === undefined || comparableUrl(htu) !== target) {
    throw invalidProof(`htu is not the URL of the request, ${target ?? url}`);
  }
  if (ath !== createHash('sha256').update(accessToken).digest('base64url')) {
    throw invalidProof('ath is not the hash of the access token');
  }
  const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk as JWK, 'sha256');
  const proofHash = createHash('sha256').update(`${thumbprint}.${jti}`).digest('base64url');
  return { thumbprint, proofHash, issuedAt: iat, nonce };
}

/**
 * A URL in the form in which two are compared: without query and fragment (RFC 9449, section 4.3), dots
 * and default ports resolved, unreserved characters decoded and escapes in capitals (RFC 3986, 6.2.2).
 *
 * @returns undefined for what is no http(s) URL, or names a user.
 */
function comparableUrl(text: string): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    return undefined;
  const path = url.pathname.replace(/%[0-9a-fA-F]{2}/g, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped.toUpperCase();
  });
  return `${url.protocol}//${url.host}${path}`;
}

/**
 * Nonces for proofs (RFC 9449, section 9): a MAC of the time under the master secret, so that every
 * replica makes and takes the same ones and none has to be kept. They bound how long ahead a proof can
 * have been made; they are not single use, the `jti` is.
 */
export class ProofNonces {
  readonly #key: Buffer;

  constructor(masterSecret: MasterSecret) {
    this.#key = masterSecret.derive('dpop-nonces');
  }

  /** The nonce for proofs made from now on. @param now - Unix milliseconds. */
  current(now: number): string {
    return this.of(Math.floor(now / NONCE_MS));
  }

  /** Whether a nonce was handed out lately. */
  holds(nonce: string | undefined, now: number): boolean {
    const period = Math.floor(now / NONCE_MS);
    return [period, period - 1].some((each) => {
      const expected = Buffer.from(this.of(each));
      const given = Buffer.from(nonce ?? '');
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
  }

  private of(period: number): string {
    return createHmac('sha256', this.#key).update(String(period)).digest('base64url');
  }
}

/** A proof that does not hold, and why: whoever makes proofs has the key, and may know. */
export function invalidProof(why: string): Problem {
  return new Problem('invalid_dpop_proof', `the DPoP proof is not valid: ${why}`, {
    field: 'DPoP',
  });
}
