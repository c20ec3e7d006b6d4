import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { Api, type Minted, type Paid } from './api.js';
import { STACK_MNEMONIC } from './bursar.js';
import { build, bursar, type Program, startProgram } from './program.js';
import { until } from './until.js';

const run = promisify(execFile);
const ROOT = new URL('../../', import.meta.url).pathname;

/** The sandbox as its own process, with the console as it was built. */
export interface Sandbox {
  readonly url: string;
  readonly adminToken: string;
  readonly admin: Api;
  readonly network: string;
  /** The token that is paid with. */
  readonly token: string;
  readonly sellerUrl: string;
  /** The gateway that sells the same data. */
  readonly gatewayUrl: string;
  readonly dataDir: string;
  /** Pays a 402 that names a price, as the holder of a token. */
  pay(token: string, price: string, more?: Purchase): Promise<Paid>;
  /** Buys a page of the seller, or of the gateway, for a cent, as the holder of a token: that payment settles. */
  buy(token: string, page: string, from?: string): Promise<string>;
  /** Asks for the same, whatever the answer. */
  ask(token: string, price: string, more?: Purchase): Promise<number>;
  stop(): Promise<void>;
}

/** Purpose of a payment. */
export interface Purchase {
  readonly url?: string;
  readonly memo?: string;
  readonly payTo?: string;
  readonly key?: string;
}

interface Started {
  readonly url: string;
  readonly adminToken: string;
  readonly chain: { readonly network: string };
  readonly token: string;
  readonly sellerUrl: string;
  readonly gatewayUrl: string;
  readonly dataDir: string;
}

/** Atomic units of the test USDC in a cent. */
const CENT = 10_000;
const PAYEE = '0x1111111111111111111111111111111111111111';

/** Builds the programs and the console, and starts the sandbox. */
export async function startSandbox(environment: Record<string, string> = {}): Promise<Sandbox> {
  await build();
  await run(process.execPath, ['console/build.mjs'], { cwd: ROOT });
  const program: Program = startProgram({ PORT: '0', ...environment }, [
    process.execPath,
    'dist/sandbox.js',
    '--json',
  ]);
  const line = await until(
    'the sandbox is ready',
    () => /^\{.*\}$/m.exec(program.output().stdout)?.[0],
    90_000,
  );
  const started = JSON.parse(line) as Started;
  const { url, adminToken, chain, token: asset, sellerUrl, gatewayUrl, dataDir } = started;
  const order = (price: string, { url: of, memo, payTo = PAYEE }: Purchase) => {
    const resource = of ?? 'https://api.example.com/data/7';
    return {
      paymentRequired: {
        x402Version: 2,
        resource: { url: resource },
        accepts: [
          {
            scheme: 'exact',
            network: chain.network,
            amount: String(Math.round(Number(price) * 100 * CENT)),
            asset,
            payTo,
            maxTimeoutSeconds: 60,
            extra: { name: 'USDC', version: '2' },
          },
        ],
      },
      request: { method: 'GET', url: resource },
      ...(memo === undefined ? {} : { memo }),
    };
  };
  return {
    ...{ url, adminToken, sellerUrl, gatewayUrl, dataDir, network: chain.network, token: asset },
    admin: new Api(url, adminToken),
    pay: (token, price, more = {}) =>
      new Api(url, token).paid(order(price, more), more.key ?? randomUUID()),
    async buy(token, page, from = sellerUrl) {
      const of = `${from}/data/${page}`;
      const paymentRequired = (await fetch(of)).headers.get('payment-required');
      const body = { paymentRequired, request: { method: 'GET', url: of } };
      const { payment, header } = await new Api(url, token).paid(body, randomUUID());
      const { status } = await fetch(of, { headers: { [header.name]: header.value } });
      if (status !== 200) throw new Error(`${of} was paid and not sold: ${status}`);
      return payment.id;
    },
    async ask(token, price, more = {}) {
      const answer = await new Api(url, token).pay(order(price, more), more.key ?? randomUUID());
      return answer.status;
    },
    async stop() {
      program.signal('SIGTERM');
      await program.exited;
    },
  };
}

/** A tree of agents with something of everything that the console shows. */
export async function seed({
  admin,
  pay,
  ask,
}: Sandbox): Promise<{ root: Minted; child: Minted; asking: Minted }> {
  const root = await admin.mint({
    holder: 'orchestrator',
    budget: '25.00',
    maxPerPayment: '2.50',
    delegationDepth: 3,
    windows: [{ seconds: 3600, amount: '5.00' }],
    purpose: 'quarterly market scan',
    labels: { task: 't-42', team: 'research' },
  });
  const holder = admin.as(root.token);
  const child = await holder.mint({
    holder: 'reader',
    budget: '4.00',
    maxPerPayment: '0.50',
    purpose: 'reads the pages',
  });
  const asking = await holder.mint({
    holder: 'buyer',
    budget: '5.00',
    approvalAbove: '0.50',
    funding: 'reserved',
    purpose: 'buys reports',
  });
  const narrow = await admin.mint({
    holder: 'nightly-report',
    budget: '1.00',
    maxPerPayment: '0.05',
    scope: { resources: ['https://api.example.com/data/*'] },
    labels: { task: 'nightly' },
  });
  const paused = await admin.mint({ holder: 'translator', budget: '3.00' });
  await admin.post(`/v1/grants/${paused.grant.id}/suspend`, { reason: 'odd payee last night' });
  for (let page = 1; page <= 7; page += 1) {
    await pay(child.token, '0.03', {
      url: `https://api.example.com/data/${page}`,
      memo: `page ${page}`,
    });
  }
  await pay(narrow.token, '0.02', { memo: 'yesterday' });
  await ask(narrow.token, '0.20', { memo: 'too dear' });
  await ask(narrow.token, '0.02', { url: 'https://elsewhere.example.org/x' });
  await ask(asking.token, '1.20', { url: 'https://reports.example.com/q3', memo: 'Q3 report' });
  await ask(asking.token, '0.80', { url: 'https://reports.example.com/q2', memo: 'Q2 report' });
  await admin
    .as(child.token)
    .post('/v1/grant-requests', { budget: '6.00', reason: 'twice the pages' });
  return { root, child, asking };
}

/** Debian's Chromium on the PATH, without its windows if it can be; undefined where there is none. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** Starts the browser. */
export function startBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
}

/** A page of somebody who signed in, and everything that went wrong in it. */
export interface SignedIn {
  readonly page: Page;
  /** Errors of the page's scripts, and what its policy refused. */
  readonly faults: string[];
}

const AXE = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Findings of axe in a page, one line each. */
export async function axeFindings(page: Page): Promise<string[]> {
  interface Found {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string }[];
  }
  // By the browser itself: the page's policy lets nothing in.
  await page.evaluate(await AXE);
  const { violations } = await page.evaluate<{ violations: Found[] }>('axe.run()');
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html }) => `${id}: ${help}: ${html.slice(0, 200)}`),
  );
}

/** Opens the console and signs in by its form. */
export async function signIn(
  browser: Browser,
  { url }: Sandbox,
  token: string,
  options: BrowserContextOptions = {},
): Promise<SignedIn> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // A refused answer is told as an error too; the tests look at those themselves.
    if (message.type() === 'error' && !message.text().includes('Failed to load resource')) {
      faults.push(message.text());
    }
  });
  await page.goto(`${url}/console`);
  await page.getByLabel(/^Token/).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  return { page, faults };
}

/** People who look at the console in a test, each in a browser context of their own. */
export class Visitors {
  readonly #open: SignedIn[] = [];

  constructor(
    readonly browser: Browser,
    readonly sandbox: Sandbox,
  ) {}

  /** Somebody who signed in: the admin of the sandbox, unless another token is given. */
  async signIn(
    token: string = this.sandbox.adminToken,
    options: BrowserContextOptions = {},
  ): Promise<Page> {
    const signedIn = await signIn(this.browser, this.sandbox, token, options);
    this.#open.push(signedIn);
    return signedIn.page;
  }

  /** Closes all their pages. @returns scripts that failed, and whatever the policy of a page refused. */
  async leave(): Promise<string[]> {
    const gone = this.#open.splice(0);
    const faults = gone.flatMap((each) => each.faults);
    await Promise.all(gone.map(({ page }) => page.context().close()));
    return faults;
  }
}

/** Waits until everything on the page was read. */
export async function waitUntilRead(page: Page): Promise<void> {
  await page
    .getByText(/^live, read/)
    .or(page.getByText('There is no such page'))
    .first()
    .waitFor();
  await until('everything is read', async () => (await page.getByText(/^Reading /).count()) === 0);
}

/** Presses a button that opens a dialog, and waits until the dialog is drawn and took its name from its title. */
export async function openDialog(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name }).click();
  const dialog = page.getByRole('dialog', { name: /\S/ });
  await dialog.getByRole('button', { name: 'Cancel' }).waitFor();
}

/** Closes the open dialog, and waits until it is gone. */
export async function closeDialog(page: Page): Promise<void> {
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
}

/** A folder for screenshots of every page and theme, to be looked at. */
const SCREENSHOTS = process.env.BURSAR_TEST_SCREENSHOTS;

/** Looks at a page as it is: findings of axe, and whether it scrolls sideways. One line each. */
export async function lookAt(page: Page, theme: string, name: string): Promise<string[]> {
  if (SCREENSHOTS) {
    const file = `${theme} ${name}.png`.replaceAll('/', '_');
    await page.screenshot({ path: join(SCREENSHOTS, file), fullPage: true });
  }
  const wrong = (await axeFindings(page)).map((each) => `${name}: ${each}`);
  const width = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  return width > 0 ? [...wrong, `${name}: ${width} px too wide`] : wrong;
}

/** A token of an auditor of a sandbox, as an operator makes one. */
export function auditorToken(
  { dataDir }: Sandbox,
  environment: Record<string, string> = {},
): Promise<string> {
  return bursar(
    { BURSAR_DATA_DIR: dataDir, BURSAR_WALLET_MNEMONIC: STACK_MNEMONIC, ...environment },
    ...['admin-token', '--name', 'audit', '--role', 'auditor', '--ttl', '10m'],
  );
}
