import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, SignJWT } from 'jose';
import { newId } from '../src/ids.js';
import { Api, expectProblem, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { newProver, ProvingApi } from './support/dpop.js';
import { type Provider, type SignIn, startProvider } from './support/oidc.js';
import { spellingsOf, twinOf } from './support/spellings.js';
import { until } from './support/until.js';

const AUDIENCE = 'bursar-test';

let provider: Provider;
let stack: TestStack;
let treasuryId: string;
let otherTreasuryId: string;

beforeAll(async () => {
  provider = await startProvider(AUDIENCE);
  await provider.addKey('ec', 'ES256');
  stack = await startTestStack({
    environment: {
      BURSAR_OIDC_ISSUER: provider.issuer,
      BURSAR_OIDC_AUDIENCE: AUDIENCE,
      BURSAR_OIDC_ROLE_CLAIM: 'realm.roles',
      BURSAR_OIDC_TREASURIES_CLAIM: 'https://example.com/treasuries',
      BURSAR_DPOP_NONCES: 'true',
      BURSAR_TOKEN_TTL_SECONDS: '120',
    },
  });
  const { rows } = await stack.db.query('SELECT id FROM treasuries');
  treasuryId = rows[0].id;
  otherTreasuryId = newId('trs');
  await stack.db.query('INSERT INTO treasuries (id, name) VALUES ($1, $2)', [
    otherTreasuryId,
    'other',
  ]);
}, 60_000);

afterAll(async () => {
  await stack?.stop();
  await provider?.stop();
});

/** Somebody who signed in, an admin of the main treasury unless said otherwise. */
async function signedIn({ claims, ...rest }: SignIn = {}): Promise<Api> {
  const token = await provider.token({
    claims: {
      realm: { roles: ['offline_access', 'admin'] },
      'https://example.com/treasuries': [treasuryId],
      ...claims,
    },
    ...rest,
  });
  return stack.admin.as(token);
}

describe('a human who signed in at the identity provider', () => {
  it('acts in the role and the treasuries that the claims name, and is named in the log', async () => {
    const ann = await signedIn();
    const { grant } = await ann.mint({ budget: '1.00' });
    expect(grant.treasuryId).toBe(treasuryId);
    const { items } = await ann.read<{ items: { actor: string }[] }>(
      `/v1/audit/events?grantId=${grant.id}`,
    );
    // A commitment: the log does not tell who a person is.
    const actor = items[0]?.actor ?? '';
    expect(actor).toMatch(/^admin:oidc:[A-Za-z0-9_-]{22}$/);
    await ann.read('/v1/grants');
    const signIns = await stack.admin.all<{ actor: string; data: unknown }>(
      '/v1/audit/events?kind=admin.signed_in',
    );
    expect(signIns.filter((each) => each.actor === actor)).toMatchObject([
      { data: { role: 'admin', treasuries: [treasuryId] } },
    ]);
    const { rows } = await stack.db.query(`SELECT 1 FROM events WHERE record LIKE '%ann%'`);
    expect(rows).toEqual([]);
    const body = { holder: 'x', budget: '1.00', ttlSeconds: 60, treasuryId: otherTreasuryId };
    expectProblem(await ann.post('/v1/grants', body), 404, 'not_found');
  });

  it.each([
    ['auditor', 403],
    ['approver', 403],
    [['auditor', 'admin'], 201],
  ])('with the role %s gets %d for minting', async (roles, status) => {
    const api = await signedIn({ claims: { realm: { roles } } });
    const body = { holder: 'x', budget: '1.00', ttlSeconds: 60 };
    expect((await api.post('/v1/grants', body)).status).toBe(status);
    expect((await api.get('/v1/grants')).status).toBe(200);
  });

  it.each<[string, Record<string, unknown>]>([
    ['no role', { realm: undefined }],
    ['a role of another application', { realm: { roles: ['root'] } }],
    ['a role where prototypes keep theirs', { realm: { __proto__: { roles: 'admin' } } }],
    ['no treasury', { 'https://example.com/treasuries': undefined }],
    ['treasuries that are none', { 'https://example.com/treasuries': ['*', 'main', 7] }],
  ])('with %s may do nothing', async (_what, claims) => {
    expectProblem(await (await signedIn({ claims })).get('/v1/grants'), 403, 'forbidden');
  });

  const past = () => Math.floor(Date.now() / 1000) - 10;
  it.each<[string, () => SignIn]>([
    ['that has expired', () => ({ claims: { exp: past() } })],
    ['without an end', () => ({ claims: { exp: undefined } })],
    ['that is not valid yet', () => ({ claims: { nbf: past() + 600 } })],
    ['for another audience', () => ({ claims: { aud: 'another-application' } })],
    ['for no audience', () => ({ claims: { aud: undefined } })],
    ['of another issuer', () => ({ claims: { iss: 'https://id.example.com' } })],
    ['of nobody', () => ({ claims: { sub: undefined } })],
    ['of a subject that could break a log line', () => ({ claims: { sub: 'a\nb' } })],
    ['that is a logout', () => ({ header: { typ: 'logout+jwt' } })],
    ['that is a grant token by its typ', () => ({ header: { typ: 'grant+jwt' } })],
    ['bound to a key', () => ({ claims: { cnf: { jkt: 'x' } } })],
  ])('is refused with a token %s', async (_what, change) => {
    expectProblem(await (await signedIn(change())).get('/v1/grants'), 401, 'invalid_token');
  });

  it('is refused with a token of a stranger’s key, of HS256 with the public key, or unsigned', async () => {
    const claims = decodeJwt((await signedIn()).token ?? '');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwks = await (await fetch(`${provider.issuer}/keys`)).text();
    const header = { alg: 'RS256', kid: 'k1', typ: 'JWT' };
    const parts = [{ ...header, alg: 'none' }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    for (const token of [
      await new SignJWT(claims).setProtectedHeader(header).sign(privateKey),
      await new SignJWT(claims)
        .setProtectedHeader({ ...header, alg: 'HS256' })
        .sign(Buffer.from(jwks)),
      `${parts.join('.')}.`,
    ]) {
      expectProblem(await stack.admin.as(token).get('/v1/grants'), 401, 'invalid_token');
    }
  });

  it('is let in with a key the provider added since', async () => {
    expect((await (await signedIn()).get('/v1/grants')).status).toBe(200);
    await provider.addKey('k2');
    const api = await signedIn({ key: 'k2' });
    await until('the key set was fetched again', async () => {
      const { status } = await api.get('/v1/grants');
      return status === 200;
    });
  });

  it('can end the session before its time', async () => {
    const ann = await signedIn({ claims: { jti: randomUUID() } });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const { status } = await ann.post('/v1/revoke', `token=${ann.token}`, form);
    expect(status).toBe(200);
    expectProblem(await ann.get('/v1/grants'), 401, 'invalid_token');
    expect((await (await signedIn()).get('/v1/grants')).status).toBe(200);
  });

  describe.each<[string, () => Record<string, unknown>]>([
    ['with a jti', () => ({ jti: randomUUID() })],
    ['without a jti', () => ({ nonce: randomUUID() })],
  ])('and has a token %s', (_what, claims) => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };

    it('is the same however its signature is written, and revoked in every form', async () => {
      const ann = await signedIn({ key: 'ec', claims: claims() });
      expect((await ann.get('/v1/grants')).status).toBe(200);
      const twin = stack.admin.as(twinOf(ann.token ?? ''));
      const told = async () =>
        (await stack.db.query('SELECT count(*)::int AS n FROM admin_sign_ins')).rows[0].n;
      const before = await told();
      expect((await twin.get('/v1/grants')).status).toBe(200);
      expect(await told()).toBe(before);
      await stack.admin.post('/v1/revoke', `token=${twin.token}`, form);
      expectProblem(await twin.get('/v1/grants'), 401, 'invalid_token');
      expectProblem(await ann.get('/v1/grants'), 401, 'invalid_token');
      for (const token of [ann.token, twin.token]) {
        const { body } = await stack.admin.post('/v1/introspect', `token=${token}`, form);
        expect(body).toEqual({ active: false });
      }
    });

    it('is refused in every spelling but one', async () => {
      const ann = await signedIn({ key: 'ec', claims: claims() });
      expect((await ann.get('/v1/grants')).status).toBe(200);
      for (const token of spellingsOf(ann.token ?? '')) {
        expectProblem(await stack.admin.as(token).get('/v1/grants'), 401, 'invalid_token');
      }
    });
  });

  it('stays out when an earlier version noted the revocation by one spelling of the token', async () => {
    const exp = Math.floor(Date.now() / 1000) + 500;
    const ann = await signedIn({ claims: { exp } });
    await stack.db.query(
      `INSERT INTO revoked_tokens (token_id, revoked_by, expires_at) VALUES ($1, 'admin:x', to_timestamp($2))`,
      [`sha256:${randomUUID()}`, exp],
    );
    expectProblem(await ann.get('/v1/grants'), 401, 'invalid_token');
    const other = await signedIn({ claims: { exp: exp + 1 } });
    expect((await other.get('/v1/grants')).status).toBe(200);
    const own = await stack.service.mintAdminToken({ name: 'own', role: 'admin' }, 500);
    expect((await stack.admin.as(own).get('/v1/grants')).status).toBe(200);
  });

  it('with a jti that is none, or an end beyond all time, is refused', async () => {
    for (const claims of [{ jti: 7 }, { jti: '' }, { exp: 1e300 }]) {
      expectProblem(await (await signedIn({ claims })).get('/v1/grants'), 401, 'invalid_token');
    }
  });
});

describe('a token of an admin', () => {
  it('is taken as Bearer only: a proof of whatever key adds nothing to it', async () => {
    const ann = await signedIn();
    const own = await stack.service.mintAdminToken({ name: 'own', role: 'admin' }, 500);
    for (const token of [ann.token, own]) {
      const authorization = `DPoP ${token}`;
      const answer = await stack.admin.call('GET', '/v1/grants', undefined, { authorization });
      expectProblem(answer, 401, 'invalid_token');
    }
  });

  it('opens nothing at a worker, which answers no callers', async () => {
    const worker = await startReplica(stack, 'api', undefined, { BURSAR_ROLE: 'worker' });
    try {
      expectProblem(
        await new Api(worker.url, stack.admin.token).get('/v1/grants'),
        404,
        'not_found',
      );
    } finally {
      await worker.stop();
    }
  });
});

describe('an identity provider that does not answer', () => {
  it('keeps nobody out who does not need it, and is told apart from a bad token', async () => {
    const lonely = await startProvider(AUDIENCE);
    lonely.setUp(false);
    const other = await startTestStack({
      environment: { BURSAR_OIDC_ISSUER: lonely.issuer, BURSAR_OIDC_AUDIENCE: AUDIENCE },
    });
    try {
      expect((await other.admin.get('/v1/grants')).status).toBe(200);
      const token = await lonely.token({ claims: { bursar_role: 'admin' } });
      const answer = await other.admin.as(token).get('/v1/grants');
      expectProblem(answer, 503, 'unavailable');
      expect(answer.headers.get('retry-after')).toBe('5');
      for (let n = 0; n < 20; n += 1) await other.admin.as(token).get('/v1/grants');
      expect(lonely.asked.length).toBeLessThan(3);
      lonely.setUp(true);
      await until('the provider was asked again', async () => {
        const { status } = await other.admin.as(token).get('/v1/grants');
        return status === 200;
      });
    } finally {
      await other.stop();
      await lonely.stop();
    }
  });
});

describe('a grant token', () => {
  it('lives no longer than configured, and its holder renews it while the grant lives', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00', ttlSeconds: 86_400 });
    const { exp = 0, iat = 0 } = decodeJwt(token);
    expect(exp - iat).toBeLessThanOrEqual(121);
    const renewed = await stack.admin.as(token).post<Minted>(`/v1/grants/${grant.id}/token`);
    expect(renewed.status).toBe(200);
    expectProblem(await stack.admin.as(token).get('/v1/grants/self'), 401, 'invalid_token');
    expect((await stack.admin.as(renewed.body.token).get('/v1/grants/self')).status).toBe(200);
  });

  it('opens in one spelling only, and a signature that was never checked opens nothing', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const self = async (text: string) => stack.admin.as(text).get('/v1/grants/self');
    expect((await self(token)).status).toBe(200);
    for (const spelling of spellingsOf(token)) {
      expectProblem(await self(spelling), 401, 'invalid_token');
    }
    const [header, payload] = token.split('.');
    const forged = Buffer.alloc(64, 1).toString('base64url');
    expectProblem(await self(`${header}.${payload}.${forged}`), 401, 'invalid_token');
    expect((await self(twinOf(token))).status).toBe(200);
    expect((await self(token)).status).toBe(200);
  });
});

describe('proofs with nonces', () => {
  it('are asked for by a challenge that brings one, and taken with it again and again', async () => {
    const prover = await newProver();
    const { token } = await stack.admin.mint({ budget: '1.00', holderKey: prover.publicJwk });
    const url = `${stack.service.url}/v1/grants/self`;
    const ask = async (nonce: string | undefined) =>
      new ProvingApi(stack.service.url, token, prover).call('GET', '/v1/grants/self', undefined, {
        dpop: await prover.proof('GET', url, token, { claims: { nonce } }),
      });
    const first = await ask(undefined);
    expectProblem(first, 401, 'invalid_dpop_proof');
    expect(first.headers.get('www-authenticate')).toContain('error="use_dpop_nonce"');
    const nonce = first.headers.get('dpop-nonce') ?? '';
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{43}$/);
    for (let n = 0; n < 2; n += 1) expect((await ask(nonce)).status).toBe(200);
    expectProblem(await ask(`${nonce.slice(0, -1)}_`), 401, 'invalid_dpop_proof');
    expectProblem(await ask('x'.repeat(43)), 401, 'invalid_dpop_proof');
  });
});
