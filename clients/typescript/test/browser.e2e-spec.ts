import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { until } from '../../../test/support/until.js';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../../', import.meta.url));
const chromium = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (!chromium)
  process.stderr.write('browser: no Chromium here (apt-get install chromium); skipped\n');

let stack: TestStack;
let site: Server;
let page: (request: IncomingMessage, response: ServerResponse) => unknown = () => {};
let origin: string;
let profile: string;

/** A site of its own: the page, the built package, and a place where the page says what it found. */
async function startSite(): Promise<void> {
  site = createServer(async (request, response) => {
    if (!request.url?.startsWith('/sdk/')) return page(request, response);
    const file = join(repository, 'clients/typescript/dist', request.url.slice('/sdk/'.length));
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(file));
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
}

/** Runs a script as a module of a page in Chromium. @returns what it posted to /found. */
async function inBrowser(script: string): Promise<Record<string, unknown>> {
  let found: Record<string, unknown> | undefined;
  page = async (request, response) => {
    if (request.url === '/found') {
      let text = '';
      for await (const chunk of request) text += chunk;
      found = JSON.parse(text);
      return response.end();
    }
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(`<!doctype html><script type="module">
      const tell = (found) => fetch('/found', { method: 'POST', body: JSON.stringify(found) });
      try { await tell(await (async () => { ${script} })()); }
      catch (error) { await tell({ error: String(error), code: error.code }); }
    </script>`);
  };
  const browser = spawn(
    String(chromium),
    [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...['--no-first-run', '--disable-background-networking', `--user-data-dir=${profile}`],
      ...['--remote-debugging-port=0', origin],
    ],
    { stdio: 'ignore' },
  );
  const gone = once(browser, 'exit');
  try {
    return await until('the page has told', () => found, 60_000);
  } finally {
    browser.kill();
    await gone;
  }
}

beforeAll(async () => {
  if (!chromium) return;
  await run('npm', ['run', '--silent', 'build', '--workspace', 'clients/typescript'], {
    cwd: repository,
  });
  profile = await mkdtemp(join(tmpdir(), 'bursar-browser-'));
  await startSite();
  stack = await startTestStack({ environment: { BURSAR_CORS_ORIGINS: origin } });
}, 120_000);

afterAll(async () => {
  site?.closeAllConnections();
  site?.close();
  await stack?.stop();
  if (profile) await rm(profile, { recursive: true, force: true, maxRetries: 10 });
});

(chromium ? describe : describe.skip)('in a browser', () => {
  it('a page of another origin pays, and reads what it cost', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1' });
    const found = await inBrowser(`
      const { Bursar } = await import('/sdk/index.js');
      const bursar = new Bursar(${JSON.stringify({ url: stack.service.url, token })});
      const response = await bursar.fetch('${stack.seller.url}/data/7', { maxAmount: '0.05' });
      const { amount, receipt, replayed } = bursar.paymentOf(response);
      await bursar.idle();
      return { page: (await response.json()).page, amount, success: receipt.success, replayed };
    `);
    expect(found).toEqual({ page: '7', amount: '0.01', success: true, replayed: false });
    expect((await stack.admin.grant(grant.id)).payments).toBe(1);
  });

  it('a page with a key of its own spends a key-bound grant, and a refusal is typed', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1', delegationDepth: 1 });
    const found = await inBrowser(`
      const { Bursar } = await import('/sdk/index.js');
      const parent = new Bursar(${JSON.stringify({ url: stack.service.url, token })});
      const child = await parent.delegate({ holder: 'tab', budget: '0.01', ttlSeconds: 600, key: true });
      const url = '${stack.seller.url}/data/8';
      const { status } = await child.fetch(url);
      const { code, remaining } = await child.fetch(url).catch((error) => error);
      await child.idle();
      // Its clock is corrected from the service's Date, which pages see only where CORS exposes it.
      const seesDate = (await fetch('${stack.service.url}/livez')).headers.has('date');
      return { status, code, remaining, seesDate };
    `);
    expect(found).toEqual({
      status: 200,
      code: 'budget_exceeded',
      remaining: '0.00',
      seesDate: true,
    });
    expect((await stack.admin.grant(grant.id)).remaining).toBe('0.99');
  });
});
