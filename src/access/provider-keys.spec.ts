import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import { LOOK_AGAIN_MS, ProviderKeys, ProviderUnavailable } from './provider-keys.js';

const DISCOVERY = '/.well-known/openid-configuration';
const MAX_AGE_MS = 600_000;

let server: Server;
let issuer: string;
let asked: string[];
/** The answer to a path: the usual one, unless a test sets another. */
let answers: Map<string, RequestListener>;
let now: number;
let keys: ProviderKeys;

beforeEach(async () => {
  asked = [];
  answers = new Map();
  now = 0;
  server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const answer = answers.get(path);
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  json(DISCOVERY, { issuer, jwks_uri: `${issuer}/keys` });
  await publish('k1');
  keys = new ProviderKeys(issuer, () => now);
});

afterEach(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));

function json(path: string, body: unknown): void {
  answers.set(path, (_, response) => response.end(JSON.stringify(body)));
}

async function publish(...kids: string[]): Promise<void> {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig' };
  json('/keys', { keys: kids.map((kid) => ({ ...jwk, kid })) });
}

const find = (kid: string) =>
  keys.find({ alg: 'ES256', kid }, { payload: '', signature: '' } as never);

const UNKNOWN = { code: 'ERR_JWKS_NO_MATCHING_KEY' };

describe('the keys of an identity provider', () => {
  it('are looked up once, and then known', async () => {
    for (let n = 0; n < 3; n += 1) await find('k1');
    expect(asked).toEqual([DISCOVERY, '/keys']);
  });

  it('are looked up once for all who ask at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => find('k1')));
    expect(asked).toEqual([DISCOVERY, '/keys']);
  });

  it('are looked up for unknown ids no more than once in five seconds', async () => {
    await find('k1');
    for (let n = 0; n < 20; n += 1) await expect(find(`x${n}`)).rejects.toMatchObject(UNKNOWN);
    expect(asked).toHaveLength(2);
    now += LOOK_AGAIN_MS;
    await publish('k1', 'k2');
    await find('k2');
    await expect(find('x')).rejects.toMatchObject(UNKNOWN);
    expect(asked).toHaveLength(4);
  });

  it('are looked up no more often when the provider fails', async () => {
    const works = answers.get(DISCOVERY) as RequestListener;
    answers.delete(DISCOVERY);
    for (let n = 0; n < 20; n += 1) {
      await expect(find('k1')).rejects.toBeInstanceOf(ProviderUnavailable);
    }
    expect(asked).toEqual([DISCOVERY]);
    answers.set(DISCOVERY, works);
    now += LOOK_AGAIN_MS;
    await find('k1');
  });

  it('are not taken from a provider that only failed to give new ones beyond ten minutes', async () => {
    await find('k1');
    answers.delete('/keys');
    now += MAX_AGE_MS;
    await find('k1');
    now += 1;
    await expect(find('k1')).rejects.toBeInstanceOf(ProviderUnavailable);
  });

  it.each<[string, () => void]>([
    [
      'names another issuer',
      () => json(DISCOVERY, { issuer: `${issuer}/`, jwks_uri: `${issuer}/keys` }),
    ],
    [
      'has its keys elsewhere, without TLS',
      () =>
        json(DISCOVERY, {
          issuer,
          jwks_uri: issuer.replace('127.0.0.1', 'localhost').concat('/keys'),
        }),
    ],
    ['redirects', () => redirect(DISCOVERY, '/other', { issuer, jwks_uri: `${issuer}/keys` })],
    ['redirects to its keys', () => redirect('/keys', '/other', { keys: [] })],
    ['answers without end', () => answers.set(DISCOVERY, (_, response) => endless(response))],
    ['has keys without end', () => answers.set('/keys', (_, response) => endless(response))],
    [
      'answers with an error that looks like its document',
      () =>
        answers.set(DISCOVERY, (_, response) =>
          response.writeHead(500).end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` })),
        ),
    ],
    ['answers with what is no document', () => json(DISCOVERY, [])],
    ['has keys that are none', () => json('/keys', { keys: ['k1'] })],
  ])('are not taken from one that %s', async (_what, change) => {
    change();
    await expect(find('k1')).rejects.toBeInstanceOf(ProviderUnavailable);
  });
});

function redirect(from: string, to: string, body: unknown): void {
  answers.set(from, (_, response) => response.writeHead(302, { location: to }).end());
  json(to, body);
}

/** A megabyte of white space before what would be the document. */
function endless(response: Parameters<RequestListener>[1]): void {
  const { socket } = response;
  const write = () => {
    if (!socket?.destroyed && response.write(' '.repeat(65_536))) setImmediate(write);
    else response.once('drain', write);
  };
  write();
}
