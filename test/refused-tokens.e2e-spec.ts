import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { importPKCS8, SignJWT } from 'jose';
import { createLogger } from '../src/ops/logger.js';
import { expectProblem, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { newProver } from './support/dpop.js';
import { type Provider, startProvider } from './support/oidc.js';
import { signingKeyOf } from './support/signing-key.js';
import { until } from './support/until.js';

const AUDIENCE = 'bursar-test';
const ISSUER = 'urn:bursar:refused';
const NOTHING_TOLD =
  'the token is malformed or not from here; ask whoever minted it for a fresh one';

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly code?: string;
  readonly why?: string;
  readonly req?: { readonly id: string; readonly path: string };
}

const lines: LogLine[] = [];
let provider: Provider;
let stack: TestStack;
let minted: Minted;

beforeAll(async () => {
  provider = await startProvider(AUDIENCE);
  stack = await startTestStack({
    // The default level.
    logger: createLogger(
      'info',
      new Writable({
        write(chunk, _encoding, done) {
          lines.push(JSON.parse(String(chunk)));
          done();
        },
      }),
    ),
    environment: {
      BURSAR_ISSUER: ISSUER,
      BURSAR_OIDC_ISSUER: provider.issuer,
      BURSAR_OIDC_AUDIENCE: AUDIENCE,
      BURSAR_OIDC_ROLE_CLAIM: 'role',
    },
  });
  minted = await stack.admin.mint({ budget: '1.00' });
});

afterAll(async () => {
  await stack?.stop();
  await provider?.stop();
});

/** A token with a signature of the service's own key. */
async function signed(claims: Record<string, unknown>, typ = 'grant+jwt'): Promise<string> {
  const { kid, privatePem } = await signingKeyOf(stack);
  return new SignJWT({
    jti: randomUUID(),
    iss: ISSUER,
    aud: 'bursar:grants',
    sub: minted.grant.id,
    treasury: minted.grant.treasuryId,
    generation: 0,
    iat: 1_700_000_000,
    exp: 4_000_000_000,
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', typ, kid })
    .sign(await importPKCS8(privatePem, 'ES256'));
}

/** Asks with an Authorization header. @returns what the caller is told, and what the log says. */
async function refused(authorization: string | undefined, status = 401) {
  lines.length = 0;
  const path = '/v1/grants/self';
  const answer = await stack.admin
    .as(undefined)
    .call('GET', path, undefined, authorization === undefined ? {} : { authorization });
  expectProblem(answer, status, status === 401 ? 'invalid_token' : 'forbidden');
  const line = await until('the refusal stands in the log', () =>
    lines.find(({ req }) => req?.path === path),
  );
  expect(line).toMatchObject({
    level: 30,
    code: answer.body.code,
    req: { id: expect.any(String) },
  });
  return { detail: answer.body.detail, why: line?.why };
}

describe('a caller who is refused is told the cause where that helps nobody to guess', () => {
  const told = async (authorization: string | undefined, what: RegExp) => {
    const { detail, why } = await refused(authorization);
    expect(detail).toMatch(what);
    expect(why).toBe(detail);
  };

  it('without a token', async () => {
    await told(undefined, /there is no token: send "Authorization: Bearer <token>"/);
  });

  it('with another scheme', async () => {
    await told('Basic YTpi', /must be "Bearer <token>" or "DPoP <token>"/);
    await told(minted.token, /must be "Bearer <token>" or "DPoP <token>"/);
  });

  it('with a token that is bound to a key, sent as Bearer, and the other way round', async () => {
    const { publicJwk } = await newProver();
    const bound = await stack.admin.mint({ budget: '1.00', holderKey: publicJwk });
    await told(
      `Bearer ${bound.token}`,
      /bound to a key: send "Authorization: DPoP <token>" and a proof/,
    );
    await told(`DPoP ${minted.token}`, /not bound to a key: send "Authorization: Bearer/);
    await told(`DPoP ${stack.admin.token}`, /not bound to a key: send "Authorization: Bearer/);
  });

  it('with an expired token, and how to get another one', async () => {
    const exp = 1_700_000_060;
    await told(
      `Bearer ${await signed({ exp })}`,
      new RegExp(`expired at 2023-11-14T22:14:20.000Z; .*POST /v1/grants/${minted.grant.id}/token`),
    );
    const admin = { exp, aud: 'bursar:admins', sub: 'ops', role: 'admin' };
    await told(`Bearer ${await signed(admin, 'admin+jwt')}`, /npx bursar admin-token/);
    const signIn = await provider.token({ claims: { exp, role: 'admin' } });
    await told(
      `Bearer ${signIn}`,
      /your sign-in expired at 2023-11-14T22:14:20.000Z; sign in again/,
    );
  });

  it('with a token that was replaced or revoked', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    await stack.admin.post(`/v1/grants/${grant.id}/token`);
    await told(`Bearer ${token}`, /replaced by a newer one/);
    const admin = await stack.service.mintAdminToken({ name: 'gone', role: 'admin' }, 600);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    await stack.admin.post('/v1/revoke', `token=${admin}`, form);
    await told(`Bearer ${admin}`, /was revoked/);
  });
});

describe('the log alone says why a token that may be forged is refused', () => {
  const logged = async (token: string, why: RegExp) => {
    const refusal = await refused(`Bearer ${token}`);
    expect(refusal.detail).toBe(NOTHING_TOLD);
    expect(refusal.why).toMatch(why);
  };

  it('of our own kind', async () => {
    const token = await signed({});
    await logged('abc', /not a compact JWS/);
    await logged(`${token.slice(0, -8)}AAAAAAAA`, /signature|canonical/);
    await logged(await signed({ aud: 'bursar:admins' }), /audience/);
    await logged(await signed({ sub: 7 }), /lacks a claim/);
    await logged(await signed({ iss: 'https://else.example' }), /issuer/);
    const stranger = new SignJWT({ iss: 'https://else.example' }).setProtectedHeader({
      ...{ alg: 'HS256', typ: 'grant+jwt', kid: 'x' },
    });
    await logged(
      await stranger.sign(Buffer.alloc(32)),
      /issuer "https:\/\/else.example" is not BURSAR_ISSUER \(urn:bursar:refused\) or BURSAR_OIDC_ISSUER/,
    );
  });

  it('of another algorithm, before a key is looked at', async () => {
    const { kid } = await signingKeyOf(stack);
    const ours = new SignJWT({ iss: ISSUER, aud: 'bursar:grants', sub: minted.grant.id });
    const typ = 'grant+jwt';
    const secret = Buffer.alloc(32);
    await logged(
      await ours.setProtectedHeader({ alg: 'HS256', typ, kid }).sign(secret),
      /lacks alg ES256, typ or kid/,
    );
    const theirs = new SignJWT({ iss: provider.issuer, aud: AUDIENCE, sub: 'ann', role: 'admin' });
    await logged(
      await theirs.setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: 'k1' }).sign(secret),
      /"alg" \(Algorithm\) Header Parameter value not allowed/,
    );
  });

  it('of the identity provider: a wrong audience, an unknown key, a kind that is none', async () => {
    const signIn = (claims: object, header?: Record<string, unknown>) =>
      provider.token({ claims: { role: 'admin', ...claims }, ...(header ? { header } : {}) });
    await logged(
      await signIn({ aud: 'another-app' }),
      /its aud is "another-app", and BURSAR_OIDC_AUDIENCE is "bursar-test"/,
    );
    await logged(await signIn({}, { kid: 'unknown' }), /no applicable key/);
    await logged(await signIn({}, { typ: 'logout+jwt' }), /not a bearer token/);
    await logged(await signIn({ sub: 'two words' }), /lacks a claim: sub/);
  });

  it('and a sign-in without a role is told so, with the claim that is read', async () => {
    const token = await provider.token({ claims: { role: 'guest' } });
    const { detail, why } = await refused(`Bearer ${token}`, 403);
    expect(detail).toMatch(
      /names no role here: claim role must hold one of: admin, approver, auditor/,
    );
    expect(why).toBe(detail);
  });
});
