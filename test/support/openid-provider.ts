import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

/** A published OpenID provider on 127.0.0.1, with its own pages to sign in. Whoever types a name is that person. */
export interface OpenidProvider {
  readonly issuer: string;
  stop(): Promise<void>;
}

/**
 * Starts it for one public client.
 *
 * @param roles - the `bursar_role` of each person; others have none.
 */
export async function startOpenidProvider({
  clientId,
  redirectUri,
  roles,
}: {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly roles: Readonly<Record<string, string>>;
}): Promise<OpenidProvider> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub', 'bursar_role'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['a key of the test'] },
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'k1' }] },
    pkce: { required: () => true },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, ...(roles[id] === undefined ? {} : { bursar_role: roles[id] }) }),
    }),
  });
  server.on('request', provider.callback());
  return {
    issuer,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Signs somebody in at the provider by its pages, without a browser. @returns where it then sends the browser. */
export async function signInByForms(
  { issuer }: OpenidProvider,
  url: string,
  name: string,
): Promise<string> {
  const jar = new Map<string, string>();
  let place = url;
  let form: URLSearchParams | undefined;
  while (place.startsWith(issuer)) {
    const cookie = [...jar].map(([key, value]) => `${key}=${value}`).join('; ');
    const answer = await fetch(place, {
      redirect: 'manual',
      headers: { cookie },
      ...(form ? { method: 'POST', body: form } : {}),
    });
    for (const each of answer.headers.getSetCookie()) {
      const [, key = '', value = ''] = /^([^=]+)=([^;]*)/.exec(each) ?? [];
      jar.set(key, value);
    }
    const page = await answer.text();
    const location = answer.headers.get('location');
    const [, action, prompt] = /action="([^"]+)".*?name="prompt" value="([^"]+)"/s.exec(page) ?? [];
    if (location === null && action === undefined)
      throw new Error(`no way on from ${place}: ${page}`);
    place = new URL(location ?? action ?? '', issuer).href;
    const fields =
      prompt === 'login' ? { prompt, login: name, password: 'any' } : { prompt: prompt ?? '' };
    form = location === null ? new URLSearchParams(fields) : undefined;
  }
  return place;
}

/** A published OAuth server on 127.0.0.1 that gives one client tokens for itself. */
export interface TokenServer {
  readonly tokenUrl: string;
  /** How many tokens were asked for. */
  readonly asked: () => number;
  /** Whether a token is one of its own, and alive. */
  isGood(token: string): Promise<boolean>;
  stop(): Promise<void>;
}

/** Starts it (RFC 6749, section 4.4). */
export async function startTokenServer(client: {
  readonly clientId: string;
  readonly clientSecret: string;
}): Promise<TokenServer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: client.clientId,
        client_secret: client.clientSecret,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      },
    ],
    cookies: { keys: ['a key of the test'] },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'k1' }] },
    scopes: ['things'],
    ttl: { ClientCredentials: 600 },
  });
  let asked = 0;
  provider.on('grant.success', () => {
    asked += 1;
  });
  server.on('request', provider.callback());
  return {
    tokenUrl: `${issuer}/token`,
    asked: () => asked,
    isGood: async (token) => (await provider.ClientCredentials.find(token)) !== undefined,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
