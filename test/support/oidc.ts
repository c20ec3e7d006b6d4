import type { webcrypto } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type HttpService, serve } from '../../sandbox/ports.js';

/** Members of a sign-in that a test makes unusual. */
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
  addKey(kid: string, alg?: 'RS256' | 'ES256'): Promise<void>;
  /** The paths that were requested so far, in order. */
  readonly asked: string[];
  /** Answers a path in another way than a provider does. */
  answer(path: string, answer: RequestListener | undefined): void;
  /** Whether it answers at all. */
  setUp(isUp: boolean): void;
  token(signIn?: SignIn): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a provider on 127.0.0.1 with one key, `k1`. */
export async function startProvider(audience: string): Promise<Provider> {
  const pairs = new Map<string, { privateKey: webcrypto.CryptoKey; jwk: JWK; alg: string }>();
  const asked: string[] = [];
  const answers = new Map<string, RequestListener>();
  let isUp = true;
  const server: HttpService = await serve((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    if (!isUp) return void response.writeHead(503).end();
    const other = answers.get(path);
    if (other) return void other(request, response);
    response.setHeader('content-type', 'application/json');
    if (path === '/.well-known/openid-configuration') {
      return void response.end(
        JSON.stringify({ issuer: server.url, jwks_uri: `${server.url}/keys` }),
      );
    }
    if (path !== '/keys') return void response.writeHead(404).end();
    const keys = [...pairs.values()].map(({ jwk }) => jwk);
    response.end(JSON.stringify({ keys }));
  });
  const addKey = async (kid: string, alg: 'RS256' | 'ES256' = 'RS256') => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig', alg };
    pairs.set(kid, { privateKey, jwk, alg });
  };
  await addKey('k1');
  return {
    issuer: server.url,
    addKey,
    asked,
    answer: (path, answer) => {
      if (answer) answers.set(path, answer);
      else answers.delete(path);
    },
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
        .setProtectedHeader({ alg: pair.alg, kid: key, typ: 'JWT', ...header })
        .sign(pair.privateKey);
    },
    stop: () => server.stop(),
  };
}
