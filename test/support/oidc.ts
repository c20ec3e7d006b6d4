import type { webcrypto } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type HttpService, serve } from '../../sandbox/ports.js';

/** What of a sign-in a test makes other than usual. */
export interface SignIn {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  /** Which of the provider's keys signs; the first, unless said. */
  readonly key?: string;
}

/** An OpenID provider over HTTP: its discovery document, its JWK set, and tokens. */
export interface Provider {
  readonly issuer: string;
  /** Adds a key to the set. */
  addKey(kid: string): Promise<void>;
  /** Whether it answers at all. */
  setUp(isUp: boolean): void;
  token(signIn?: SignIn): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a provider on 127.0.0.1 with one key, `k1`. */
export async function startProvider(audience: string): Promise<Provider> {
  const pairs = new Map<string, { privateKey: webcrypto.CryptoKey; jwk: JWK }>();
  let isUp = true;
  const server: HttpService = await serve((request, response) => {
    if (!isUp) return void response.writeHead(503).end();
    response.setHeader('content-type', 'application/json');
    if (request.url === '/.well-known/openid-configuration') {
      return void response.end(
        JSON.stringify({ issuer: server.url, jwks_uri: `${server.url}/keys` }),
      );
    }
    if (request.url !== '/keys') return void response.writeHead(404).end();
    const keys = [...pairs.values()].map(({ jwk }) => jwk);
    response.end(JSON.stringify({ keys }));
  });
  const addKey = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' };
    pairs.set(kid, { privateKey, jwk });
  };
  await addKey('k1');
  return {
    issuer: server.url,
    addKey,
    setUp: (up) => {
      isUp = up;
    },
    async token({ claims, header, key = 'k1' } = {}) {
      const pair = pairs.get(key);
      if (!pair) throw new Error(`the provider has no key ${key}`);
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({
        iss: server.url,
        aud: audience,
        sub: 'ann',
        iat: now,
        exp: now + 600,
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid: key, typ: 'JWT', ...header })
        .sign(pair.privateKey);
    },
    stop: () => server.stop(),
  };
}
