import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import type { Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';

let stack: TestStack;
let adminToken: string;
let minted: Minted;

beforeAll(async () => {
  stack = await startTestStack();
  minted = await stack.admin.mint({ budget: '5.00', delegationDepth: 1 });
}, 60_000);

afterAll(() => stack?.stop());

beforeEach(async () => {
  adminToken = await stack.service.mintAdminToken({ name: 'ann', role: 'admin' }, 3_600);
});

/** Headers that a page of the console sends with every request. */
const own = (url = stack.service.url) => ({ 'x-bursar-console': 'active', origin: url });

function send(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: unknown,
  url = stack.service.url,
): Promise<Response> {
  return fetch(url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function signIn(token: string, url = stack.service.url): Promise<string> {
  const answer = await send('POST', '/console/session', own(url), { token }, url);
  expect(answer.status).toBe(201);
  return answer.headers.get('set-cookie')?.split(';')[0] ?? '';
}

const status = async (answer: Promise<Response>) => (await answer).status;

describe('a session of the console', () => {
  it('is a cookie that scripts cannot read and other sites do not send', async () => {
    const answer = await send('POST', '/console/session', own(), { token: adminToken });
    const cookie = answer.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(
      /^bursar=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/,
    );
    expect(await answer.json()).toMatchObject({
      session: { role: 'admin', actor: 'admin:ann', idleSeconds: 1_800 },
    });
    expect(cookie).not.toContain(adminToken);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('bears the __Host- prefix and Secure where people come by https', async () => {
    const replica = await startReplica(stack, 'api', undefined, {
      BURSAR_PUBLIC_URL: 'https://bursar.example.com',
    });
    try {
      const headers = { 'x-bursar-console': 'active', origin: 'https://bursar.example.com' };
      const body = { token: adminToken };
      const answer = await send('POST', '/console/session', headers, body, replica.url);
      expect(answer.headers.get('set-cookie')).toMatch(/^__Host-bursar=.+; Secure$/);
      const foreign = { ...headers, origin: replica.url };
      expect(await status(send('POST', '/console/session', foreign, body, replica.url))).toBe(403);
    } finally {
      await replica.stop();
    }
  });

  it('stands for its token: an admin acts as itself, a holder sees its subtree only', async () => {
    const cookie = await signIn(adminToken);
    const grants = await send('GET', '/v1/grants', { ...own(), cookie });
    expect(grants.status).toBe(200);
    const body = { holder: 'from-console', budget: '1.00', ttlSeconds: 60 };
    const root = await send('POST', '/v1/grants', { ...own(), cookie }, body);
    const { grant } = (await root.json()) as Minted;
    const holder = await signIn(minted.token);
    const path = `/v1/grants/${minted.grant.id}`;
    expect(await status(send('GET', path, { ...own(), cookie: holder }))).toBe(200);
    const other = `/v1/grants/${grant.id}`;
    expect(await status(send('GET', other, { ...own(), cookie: holder }))).toBe(404);
    expect(await status(send('GET', '/v1/treasuries', { ...own(), cookie: holder }))).toBe(403);
  });

  it('counts for nothing in a request that a page of another site could send', async () => {
    const cookie = await signIn(adminToken);
    const path = `/v1/grants/${minted.grant.id}/suspend`;
    const attempts: [Record<string, string>, number][] = [
      [{}, 401],
      [{ origin: 'https://evil.example' }, 401],
      [{ 'x-bursar-console': 'active' }, 403],
      [{ ...own(), origin: 'https://evil.example' }, 403],
      [{ ...own(), origin: 'null' }, 403],
      [{ ...own(), 'sec-fetch-site': 'cross-site' }, 403],
      [{ ...own(), 'sec-fetch-site': 'same-site' }, 403],
      [{ ...own(), 'sec-fetch-site': 'same-origin' }, 200],
    ];
    for (const [headers, due] of attempts) {
      const answer = await status(send('POST', path, { ...headers, cookie }, {}));
      expect({ headers, answer }).toEqual({ headers, answer: due });
    }
    const read = { cookie, 'x-bursar-console': 'active', 'sec-fetch-site': 'cross-site' };
    expect(await status(send('GET', '/v1/grants', read))).toBe(403);
    await send('POST', `/v1/grants/${minted.grant.id}/resume`, { ...own(), cookie }, {});
  });

  it('is opened by no page of another site, and closed by none', async () => {
    const cookie = await signIn(adminToken);
    const foreign = { ...own(), origin: 'https://evil.example' };
    const body = { token: adminToken };
    expect(await status(send('POST', '/console/session', foreign, body))).toBe(403);
    const { 'x-bursar-console': _, ...without } = own();
    expect(await status(send('POST', '/console/session', without, body))).toBe(403);
    expect(await status(send('DELETE', '/console/session', { ...foreign, cookie }))).toBe(403);
    expect(await status(send('GET', '/console/session', { ...own(), cookie }))).toBe(200);
  });

  it('ends with its token, when that is revoked', async () => {
    const cookie = await signIn(adminToken);
    const revoked = await fetch(`${stack.service.url}/v1/revoke`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${stack.admin.token}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ token: adminToken }),
    });
    expect(revoked.status).toBe(200);
    expect(await status(send('GET', '/v1/grants', { ...own(), cookie }))).toBe(401);
  });

  it('ends with its token, when that is replaced', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    const cookie = await signIn(token);
    expect(await status(send('GET', '/v1/grants/self', { ...own(), cookie }))).toBe(200);
    await stack.admin.post(`/v1/grants/${grant.id}/token`, {});
    expect(await status(send('GET', '/v1/grants/self', { ...own(), cookie }))).toBe(401);
  });

  it('ends when nobody acts for a while, however often the page polls', async () => {
    const cookie = await signIn(adminToken);
    const background = { ...own(), 'x-bursar-console': 'background', cookie };
    const age = (seconds: number) =>
      stack.db.query(`UPDATE console_sessions SET seen_at = now() - $1 * interval '1 second'`, [
        seconds,
      ]);
    await age(1_700);
    expect(await status(send('GET', '/v1/grants', background))).toBe(200);
    const seen = "SELECT 1 FROM console_sessions WHERE seen_at > now() - interval '1 minute'";
    expect((await stack.db.query(seen)).rows).toEqual([]);
    expect(await status(send('GET', '/v1/grants', { ...own(), cookie }))).toBe(200);
    expect((await stack.db.query(seen)).rows).toHaveLength(1);
    await age(1_801);
    expect(await status(send('GET', '/v1/grants', { ...own(), cookie }))).toBe(401);
  });

  it('ends when somebody signs out, also where the cookie was kept', async () => {
    const cookie = await signIn(adminToken);
    const answer = await send('DELETE', '/console/session', { ...own(), cookie });
    expect(answer.headers.get('set-cookie')).toMatch(/^bursar=; .*Max-Age=0$/);
    expect(await status(send('GET', '/v1/grants', { ...own(), cookie }))).toBe(401);
    expect(await status(send('DELETE', '/console/session', own()))).toBe(200);
  });

  it('lives no longer than its token', async () => {
    const token = await stack.service.mintAdminToken({ name: 'brief', role: 'auditor' }, 120);
    const answer = await send('POST', '/console/session', own(), { token });
    const [, seconds] = /Max-Age=(\d+)/.exec(answer.headers.get('set-cookie') ?? '') ?? [];
    expect(Number(seconds)).toBeGreaterThan(60);
    expect(Number(seconds)).toBeLessThanOrEqual(120);
    await stack.db.query(`UPDATE console_sessions SET expires_at = now() - interval '1 second'`);
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect(await status(send('GET', '/v1/grants', { ...own(), cookie }))).toBe(401);
  });

  it('needs the token shown again to stop a treasury, a while after the sign-in', async () => {
    const cookie = await signIn(adminToken);
    const { rows } = await stack.db.query('SELECT id FROM treasuries');
    const stop = (headers: Record<string, string>) =>
      send('POST', `/v1/treasuries/${rows[0].id}/suspend`, headers, { reason: 'drill' });
    await stack.db.query(
      `UPDATE console_sessions SET confirmed_at = now() - interval '301 seconds'`,
    );
    const refused = await stop({ ...own(), cookie });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('insufficient_user_authentication');
    const confirm = (token: string) =>
      send('POST', '/console/session/confirm', { ...own(), cookie }, { token });
    expect(await status(confirm(minted.token))).toBe(403);
    expect(await status(stop({ ...own(), cookie }))).toBe(401);
    expect(await status(confirm(adminToken))).toBe(200);
    expect(await status(stop({ ...own(), cookie }))).toBe(200);
    await stack.admin.post(`/v1/treasuries/${rows[0].id}/resume`, {});
  });

  it('is refused to a token that is bound to a key, or forged', async () => {
    const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'jwk',
    });
    const bound = await stack.admin.mint({
      budget: '1.00',
      holderKey: { kty: 'EC', crv: 'P-256', x, y },
    });
    for (const token of [bound.token, `${adminToken.slice(0, -4)}AAAA`, 'nothing']) {
      expect(await status(send('POST', '/console/session', own(), { token }))).toBe(401);
    }
  });

  it('leaves nothing in the database that opens it', async () => {
    await signIn(adminToken);
    const { rows } = await stack.db.query<{ row: string }>(
      `SELECT s::text || encode(sealed_token, 'escape') AS row FROM console_sessions s`,
    );
    const [, payload = ''] = adminToken.split('.');
    for (const { row } of rows) {
      expect(row).not.toContain(payload);
      expect(row).not.toContain(String(decodeJwt(adminToken).jti));
    }
  });

  it('counts for nothing at a request with a token of its own', async () => {
    const cookie = await signIn(adminToken);
    const headers = { cookie, authorization: `Bearer ${minted.token}` };
    expect(await status(send('GET', '/v1/treasuries', headers))).toBe(403);
  });
});

describe('the page', () => {
  it('says so where the console was not built, and else brings a strict policy', async () => {
    const answer = await fetch(`${stack.service.url}/console/grants/x`);
    const text = await answer.text();
    if (answer.status === 404) return expect(text).toContain('npm run build');
    expect(answer.status).toBe(200);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toContain('unsafe');
    expect(text).not.toMatch(/<script(?![^>]* src=)/);
  });
});
