import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { MasterSecret } from './master-secret.js';
import { ProviderLogins } from './provider-logins.js';

const REDIRECT = 'http://127.0.0.1:9/console/session/callback';
const PLACE = { place: '/', isAgain: false };
const servers: Server[] = [];

beforeAll(() => Logger.overrideLogger(false));

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

/** Logins at a provider that answers in this way, and the paths that it was asked for. */
async function loginsAt(answer: (issuer: string) => RequestListener) {
  const asked: string[] = [];
  const server = createServer().listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const listener = answer(issuer);
  server.on('request', (request, response) => {
    asked.push(request.url ?? '');
    listener(request, response);
  });
  const oidc = {
    ...{ issuer, audience: 'console', clientId: 'console', scope: 'openid' },
    ...{ roleClaim: 'bursar_role', treasuriesClaim: undefined },
  };
  return { asked, logins: new ProviderLogins(new MasterSecret('a secret of the test'), { oidc }) };
}

/** A provider that is found, and does this with a code. */
const redeeming =
  (token: RequestListener) =>
  (issuer: string): RequestListener =>
  (request, response) => {
    if (request.url === '/token') return token(request, response);
    response.setHeader('content-type', 'application/json').end(documentOf(issuer));
  };

function documentOf(issuer: string): string {
  return JSON.stringify({
    ...{ issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token` },
    response_types_supported: ['code'],
  });
}

const codeOf = (url: string) => `?code=c&state=${new URL(url).searchParams.get('state')}`;
const unavailable = { code: 'unavailable' };

describe('logins at a provider', () => {
  it('ask for a code by PKCE, and bind it to the browser', async () => {
    const { logins } = await loginsAt(redeeming(() => {}));
    const { url } = await logins.begin(REDIRECT, PLACE);
    const asked = Object.fromEntries(new URL(url).searchParams);
    expect(asked).toMatchObject({
      response_type: 'code',
      client_id: 'console',
      redirect_uri: REDIRECT,
      scope: 'openid',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(asked.prompt).toBeUndefined();
    const again = await logins.begin(REDIRECT, { place: '/', isAgain: true });
    expect(new URL(again.url).searchParams.get('prompt')).toBe('login');
  });

  it('look a failing provider up no more than once in five seconds', async () => {
    const { asked, logins } = await loginsAt(() => (_, response) => {
      response.writeHead(503).end();
    });
    for (let tries = 0; tries < 5; tries += 1) {
      await expect(logins.begin(REDIRECT, PLACE)).rejects.toMatchObject(unavailable);
    }
    expect(asked).toEqual(['/.well-known/openid-configuration']);
  });

  it.each<[string, (document: string) => RequestListener]>([
    [
      'leads elsewhere',
      (document) => (request, response) =>
        void (request.url === '/other'
          ? response.setHeader('content-type', 'application/json').end(document)
          : response.writeHead(302, { location: '/other' }).end()),
    ],
    [
      'never ends',
      (document) => (_, response) =>
        void response
          .setHeader('content-type', 'application/json')
          .end(`${document}${' '.repeat(300_000)}`),
    ],
    [
      'is of another issuer',
      (document) => (_, response) =>
        void response
          .setHeader('content-type', 'application/json')
          .end(document.replace('"issuer":"', '"issuer":"https://evil.example/')),
    ],
  ])('take no document that %s', async (_what, answer) => {
    const { logins } = await loginsAt((issuer) => answer(documentOf(issuer)));
    await expect(logins.begin(REDIRECT, PLACE)).rejects.toMatchObject(unavailable);
  });

  it('redeem eight codes at once and no more', async () => {
    const { asked, logins } = await loginsAt(redeeming(() => {}));
    const waiting: Promise<unknown>[] = [];
    for (let count = 0; count < 9; count += 1) {
      const { url, sealed } = await logins.begin(REDIRECT, PLACE);
      waiting.push(logins.finish(codeOf(url), sealed).catch((error: unknown) => error));
    }
    expect(await waiting[8]).toMatchObject({ detail: expect.stringMatching(/^too many logins/) });
    servers[0]?.closeAllConnections();
    await Promise.all(waiting);
    expect(asked.filter((path) => path === '/token').length).toBeLessThanOrEqual(8);
  });
});
