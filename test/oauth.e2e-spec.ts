import { get as httpGet } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint } from 'jose';
import { type Answer, Api, type EventAnswer, expectProblem, type Listed } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { newProver } from './support/dpop.js';
import { order, PAYEE } from './support/terms.js';

let stack: TestStack;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

beforeAll(async () => {
  stack = await startTestStack();
}, 60_000);

afterAll(() => stack?.stop());

type Introspected = Record<string, unknown>;

function ask(
  api: Api,
  endpoint: 'introspect' | 'revoke',
  token: string,
  more: Record<string, string> = {},
): Promise<Answer<Introspected>> {
  const form = new URLSearchParams({ token, ...more });
  return api.post<Introspected>(`/v1/${endpoint}`, form.toString(), FORM);
}

describe('introspection (RFC 7662)', () => {
  it('tells of an active token what it is for and what remains', async () => {
    const { admin, chain } = stack;
    const root = await admin.mint({ budget: '2.00', delegationDepth: 1 });
    const holder = admin.as(root.token);
    const child = await holder.mint({
      budget: '2.00',
      holder: 'agent-7',
      scope: { networks: [chain.network], payTo: [PAYEE], resources: ['https://*.example.org/*'] },
    });
    const { status, body, headers } = await ask(holder, 'introspect', child.token, {
      token_type_hint: 'access_token',
    });
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      active: true,
      token_type: 'Bearer',
      scope: `pay network:${chain.network} payto:${PAYEE} resource:https://*.example.org/*`,
      sub: child.grant.id,
      username: 'agent-7',
      iss: 'urn:bursar',
      aud: 'bursar:grants',
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      iat: expect.any(Number),
      exp: expect.any(Number),
      remaining: '2.00',
      currency: 'USDC',
      treasuryId: child.grant.treasuryId,
    });
    const self = await ask(holder, 'introspect', root.token);
    expect(self.body).toMatchObject({ active: true, scope: 'pay delegate', remaining: '2.00' });
    const paying = await admin.mint({ budget: '1.00' });
    const { payment } = await admin.as(paying.token).paid(order(chain));
    const after = await ask(admin, 'introspect', paying.token);
    const left = 1_000_000 - Number(payment.amount) * 1_000_000;
    expect(Number(after.body.remaining) * 1_000_000).toBeCloseTo(left);
  });

  it('names the key a token is bound to', async () => {
    const { publicJwk } = await newProver();
    const { token } = await stack.admin.mint({ budget: '1.00', holderKey: publicJwk });
    expect((await ask(stack.admin, 'introspect', token)).body).toMatchObject({
      active: true,
      token_type: 'DPoP',
      cnf: { jkt: await calculateJwkThumbprint(publicJwk) },
    });
  });

  it('tells an admin of an admin’s token, and a holder nothing', async () => {
    const token = await stack.service.mintAdminToken({ name: 'eve', role: 'auditor' }, 60);
    const { body } = await ask(stack.admin, 'introspect', token);
    expect(body).toMatchObject({ active: true, sub: 'eve', role: 'auditor' });
    const { token: holder } = await stack.admin.mint({ budget: '1.00' });
    const answer = await ask(stack.admin.as(holder), 'introspect', token);
    expect(answer.body).toEqual({ active: false });
  });

  it('says no more than "inactive" of everything else', async () => {
    const { admin } = stack;
    const root = await admin.mint({ budget: '1.00', delegationDepth: 1 });
    const child = await admin.as(root.token).mint({ budget: '1.00' });
    const replaced = await admin.mint({ budget: '1.00' });
    await admin.post(`/v1/grants/${replaced.grant.id}/token`);
    await admin.post(`/v1/grants/${root.grant.id}/revoke`, {});
    for (const token of [
      'garbage',
      'a.b.c',
      replaced.token,
      root.token,
      // Its own grant is untouched: the ancestor's revocation ends it.
      child.token,
    ]) {
      expect((await ask(admin, 'introspect', token)).body).toEqual({ active: false });
    }
  });

  it('takes a form, and each parameter once', async () => {
    const { admin } = stack;
    const json = await admin.post('/v1/introspect', { token: 'x' });
    expectProblem(json, 415, 'unsupported_media_type');
    const twice = await admin.post('/v1/introspect', 'token=a&token=b', FORM);
    expectProblem(twice, 400, 'invalid_request');
    expectProblem(await admin.post('/v1/introspect', '', FORM), 400, 'invalid_request');
    const polluting = await admin.post('/v1/introspect', 'token=a&__proto__=b', FORM);
    expectProblem(polluting, 400, 'invalid_request');
    expect((await new Api(stack.service.url).post('/v1/introspect', 'token=a', FORM)).status).toBe(
      401,
    );
  });
});

describe('revocation (RFC 7009)', () => {
  it('ends a grant’s token at once and leaves the grant alive for the next', async () => {
    const { admin } = stack;
    const { grant, token } = await admin.mint({ budget: '1.00' });
    const holder = admin.as(token);
    expect((await ask(holder, 'revoke', token)).status).toBe(200);
    expectProblem(await holder.get('/v1/grants/self'), 401, 'invalid_token');
    expect((await ask(admin, 'revoke', token)).status).toBe(200);
    expect((await admin.grant(grant.id)).status).toBe('active');
    const { body } = await admin.post<{ token: string }>(`/v1/grants/${grant.id}/token`);
    expect((await ask(admin, 'revoke', token)).status).toBe(200);
    expect((await admin.as(body.token).get('/v1/grants/self')).status).toBe(200);
    const { items } = await admin.read<Listed<EventAnswer>>(
      `/v1/audit/events?grantId=${grant.id}&kind=grant.token_revoked`,
    );
    expect(items).toHaveLength(1);
    expect(items[0]?.actor).toBe(`grant:${grant.id}`);
  });

  it('ends an admin’s token before its time, on every replica, and notes it', async () => {
    const { admin, service } = stack;
    const token = await service.mintAdminToken({ name: 'mallory', role: 'admin' }, 3_600);
    const mallory = admin.as(token);
    expect((await mallory.get('/v1/grants')).status).toBe(200);
    expect((await ask(admin, 'revoke', token)).status).toBe(200);
    expectProblem(await mallory.get('/v1/grants'), 401, 'invalid_token');
    expect((await ask(admin, 'introspect', token)).body).toEqual({ active: false });
    const { items } = await admin.read<Listed<EventAnswer>>(
      '/v1/audit/events?kind=admin.token_revoked',
    );
    expect(items[0]).toMatchObject({ actor: 'admin:tester', data: { name: 'mallory' } });
  });

  it('ends an admin’s token once, with one event, however many ask for it at once', async () => {
    const { admin, db, service } = stack;
    const token = await service.mintAdminToken({ name: 'twice', role: 'admin' }, 3_600);
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(admin, 'revoke', token)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const { rows } = await db.query(
      `SELECT count(*)::int AS events FROM events
       WHERE kind = 'admin.token_revoked' AND record::jsonb #>> '{data,name}' = 'twice'`,
    );
    expect(rows).toEqual([{ events: 1 }]);
  });

  it('does not end an admin’s token whose event cannot be written', async () => {
    const { admin, db, service } = stack;
    const token = await service.mintAdminToken({ name: 'unwritten', role: 'admin' }, 3_600);
    await db.query(`
      CREATE FUNCTION refuse_revocation() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the power is cut here'; END $$;
      CREATE TRIGGER cut BEFORE INSERT ON events FOR EACH ROW
        WHEN (NEW.kind = 'admin.token_revoked') EXECUTE FUNCTION refuse_revocation()`);
    expect((await ask(admin, 'revoke', token)).status).toBe(500);
    await db.query('DROP FUNCTION refuse_revocation() CASCADE');
    expect((await admin.as(token).get('/v1/grants')).status).toBe(200);
    expect((await ask(admin, 'revoke', token)).status).toBe(200);
    expectProblem(await admin.as(token).get('/v1/grants'), 401, 'invalid_token');
  });

  it('lets an auditor sign out, and end nobody else', async () => {
    const { admin, service } = stack;
    const mint = (name: string) => service.mintAdminToken({ name, role: 'auditor' }, 60);
    const [mine, others] = [await mint('one'), await mint('two')];
    const auditor = admin.as(mine);
    expectProblem(await ask(auditor, 'revoke', others), 403, 'forbidden');
    expect((await admin.as(others).get('/v1/grants')).status).toBe(200);
    expect((await ask(auditor, 'revoke', mine)).status).toBe(200);
    expect((await auditor.get('/v1/grants')).status).toBe(401);
  });

  it('answers 200 to what is no token: there is nothing left to end', async () => {
    expect(await ask(stack.admin, 'revoke', 'garbage')).toMatchObject({ status: 200, body: {} });
  });
});

describe('the metadata (RFC 8414)', () => {
  const PATH = '/.well-known/oauth-authorization-server';

  /** Asks the service under another name than it has. */
  const askAs = (url: string, host: string) =>
    new Promise<{ status: number; cache: string | undefined; text: string }>((resolve, reject) => {
      const request = httpGet(url + PATH, { headers: { host } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (more) => {
          text += more;
        });
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            cache: response.headers['cache-control'],
            text,
          }),
        );
      });
      request.once('error', reject);
    });

  it('says nothing under a name that only the caller knows, and lets nobody keep a loopback one', async () => {
    const { url } = stack.service;
    for (const host of [
      'bursar.attacker.example',
      'localhost.attacker.example',
      '127.0.0.1.attacker.example',
      'localhost:80@attacker.example',
      '10.0.0.1',
    ]) {
      const { status, text, cache } = await askAs(url, host);
      expect([host, status, cache]).toEqual([host, 404, 'no-store']);
      expect(text).not.toContain(host);
    }
    for (const host of ['localhost:99', '127.9.9.9', '[::1]:4020']) {
      const { status, cache } = await askAs(url, host);
      expect([host, status, cache]).toEqual([host, 200, 'no-store']);
    }
  });

  it('names the configured URL whatever the caller says, and may then be kept', async () => {
    const other = await startReplica(stack, 'api', undefined, {
      BURSAR_PUBLIC_URL: 'https://bursar.example.com/pay',
    });
    try {
      const { text, cache } = await askAs(other.url, 'bursar.attacker.example');
      expect(JSON.parse(text).jwks_uri).toBe(
        'https://bursar.example.com/pay/.well-known/jwks.json',
      );
      expect(cache).toBe('public, max-age=60');
    } finally {
      await other.stop();
    }
  });

  it('says where the endpoints are', async () => {
    const { url } = stack.service;
    const metadata = await new Api(url).read(PATH);
    expect(metadata).toEqual({
      issuer: 'urn:bursar',
      jwks_uri: `${url}/.well-known/jwks.json`,
      introspection_endpoint: `${url}/v1/introspect`,
      introspection_endpoint_auth_methods_supported: ['Bearer', 'DPoP'],
      revocation_endpoint: `${url}/v1/revoke`,
      response_types_supported: [],
      grant_types_supported: [],
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
      service_documentation: `${url}/docs`,
    });
    expect((await fetch(`${url}/.well-known/jwks.json`)).status).toBe(200);
  });
});
