import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { findChromium, type Sandbox, startBrowser, startSandbox } from './support/console.js';
import {
  type OpenidProvider,
  signInByForms,
  startOpenidProvider,
} from './support/openid-provider.js';
import { deadPort, killPrograms } from './support/program.js';

// Signing in at a published OpenID provider, in Debian's Chromium: its pages, its redirects, its tokens.
const chromiumPath = findChromium();
const suite = chromiumPath === undefined ? describe.skip : describe;
const CLIENT = 'bursar-console';

let provider: OpenidProvider;
let sandbox: Sandbox;
let browser: Browser;
const open: BrowserContext[] = [];

suite('the console with an identity provider', () => {
  beforeAll(async () => {
    const port = await deadPort();
    const url = `http://127.0.0.1:${port}`;
    provider = await startOpenidProvider({
      clientId: CLIENT,
      redirectUri: `${url}/console/session/callback`,
      roles: { ann: 'admin', otto: 'auditor' },
    });
    sandbox = await startSandbox({
      PORT: String(port),
      BURSAR_OIDC_ISSUER: provider.issuer,
      BURSAR_OIDC_AUDIENCE: CLIENT,
      BURSAR_OIDC_CLIENT_ID: CLIENT,
    });
    browser = await startBrowser(chromiumPath ?? '');
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    await sandbox?.stop();
    await provider?.stop();
    await killPrograms();
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((context) => context.close()));
  });

  async function newPage(): Promise<Page> {
    const context = await browser.newContext();
    open.push(context);
    return context.newPage();
  }

  /** Fills in the provider's own pages. */
  async function signInAs(page: Page, name: string): Promise<void> {
    await page.locator('input[name=login]').fill(name);
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    const consent = page.getByRole('button', { name: 'Continue' });
    await consent
      .or(page.getByRole('heading', { level: 1 }))
      .first()
      .waitFor();
    if (await consent.isVisible()) await consent.click();
  }

  async function begin(page: Page, name: string): Promise<void> {
    await page.goto(`${sandbox.url}/console/grants`);
    await page.getByRole('button', { name: 'Sign in with your identity provider' }).click();
    await signInAs(page, name);
  }

  it('signs somebody in at the provider, back to the page, with the role that the provider says', async () => {
    const page = await newPage();
    await begin(page, 'ann');
    await page.getByRole('heading', { name: 'Grants' }).waitFor();
    expect(page.url()).toBe(`${sandbox.url}/console/grants`);
    await page.getByRole('button', { name: 'Mint a grant' }).waitFor();
    const auditor = await newPage();
    await begin(auditor, 'otto');
    await auditor.getByText('auditor', { exact: true }).waitFor();
    expect(await auditor.getByRole('button', { name: 'Mint a grant' }).count()).toBe(0);
  });

  it('keeps the token, the code and the verifier out of the page and its storage', async () => {
    const page = await newPage();
    await begin(page, 'ann');
    await page.getByRole('heading', { name: 'Grants' }).waitFor();
    const kept = await page.evaluate<string>(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    );
    expect(kept).not.toMatch(/eyJ|code=|state=|bursar/);
    const names = (await page.context().cookies(sandbox.url)).map(({ name, sameSite }) => [
      ...[name, sameSite],
    ]);
    expect(names).toContainEqual(['bursar', 'Strict']);
    expect(names.map(([name]) => name)).not.toContain('bursar-login');
  });

  it('refuses somebody without a role, and says where the reason is', async () => {
    const page = await newPage();
    await begin(page, 'nobody');
    await page.getByRole('alert').filter({ hasText: 'names no role here' }).waitFor();
    expect((await page.context().cookies(sandbox.url)).map(({ name }) => name)).not.toContain(
      'bursar',
    );
  });

  it('asks again at the provider before everything is stopped', async () => {
    const page = await newPage();
    await begin(page, 'ann');
    await page.getByRole('link', { name: 'Treasury' }).click();
    await page.getByRole('button', { name: 'Stop everything' }).click();
    await page.getByLabel('Type main to confirm').fill('main');
    const stop = page.getByRole('button', { name: 'Stop everything of main' });
    expect(await stop.isDisabled()).toBe(true);
    await page
      .getByRole('button', { name: 'Or sign in again with your identity provider' })
      .click();
    await signInAs(page, 'ann');
    await page.getByRole('button', { name: 'Stop everything' }).click();
    await page.getByLabel('Type main to confirm').fill('main');
    expect(await page.getByLabel('Your token, once more').count()).toBe(0);
    await stop.click();
    await page.getByRole('button', { name: 'Resume' }).waitFor();
    const { items } = await sandbox.admin.read<{ items: { id: string; status: string }[] }>(
      '/v1/treasuries',
    );
    expect(items[0]?.status).toBe('suspended');
    await sandbox.admin.post(`/v1/treasuries/${items[0]?.id}/resume`, {});
  });

  it('takes back no login that this browser did not begin, and each once', async () => {
    const begun = await login({});
    const { url } = (await begun.json()) as { url: string };
    const callback = await signInByForms(provider, url, 'ann');
    const other = loginCookie(await login({}));
    const own = loginCookie(begun);
    const changed = callback.replace(/state=[^&]*/, 'state=another');
    expect(await outcomeOf(callback, '')).toEqual(['/console/?login=forbidden', false]);
    expect(await outcomeOf(callback, other)).toEqual(['/console/?login=forbidden', false]);
    expect(await outcomeOf(callback, `${own.slice(0, -2)}AA`)).toEqual([
      ...['/console/?login=forbidden', false],
    ]);
    expect(await outcomeOf(changed, own)).toEqual(['/console/?login=forbidden', false]);
    expect(await outcomeOf(callback, own)).toEqual(['/console/', true]);
    expect(await outcomeOf(callback, own)).toEqual(['/console/?login=forbidden', false]);
  });

  it('opens no session for a token without a role, and tells the browser no more than that', async () => {
    const begun = await login({ place: '/treasury' });
    const { url } = (await begun.json()) as { url: string };
    const callback = await signInByForms(provider, url, 'nobody');
    expect(await outcomeOf(callback, loginCookie(begun))).toEqual([
      ...['/console/?login=forbidden', false],
    ]);
  });

  it('begins no login for a page of another site, and leads to no other site', async () => {
    expect((await login({}, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await login({})).status).toBe(200);
    expect((await login({ place: '//evil.example' })).status).toBe(400);
    expect((await login({ place: 'https://evil.example' })).status).toBe(400);
  });
});

/** Begins a login, as the console does unless said. */
function login(body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${sandbox.url}/console/session/login`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...{ origin: sandbox.url, 'x-bursar-console': 'active', ...headers },
    },
    body: JSON.stringify(body),
  });
}

function loginCookie(begun: Response): string {
  return begun.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

/** Where a callback leads with a cookie, and whether it opens a session. */
async function outcomeOf(callback: string, cookie: string): Promise<[string | null, boolean]> {
  const answer = await fetch(callback, { redirect: 'manual', headers: { cookie } });
  const isOpened = answer.headers.getSetCookie().some((each) => /^bursar=[\w-]{43};/.test(each));
  return [answer.headers.get('location'), isOpened];
}
