import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { sum } from '../console/src/format.js';
import type { Minted } from './support/api.js';
import {
  findChromium,
  type Sandbox,
  seed,
  signIn,
  startBrowser,
  startSandbox,
  Visitors,
} from './support/console.js';
import { killPrograms } from './support/program.js';

// Expectations of a console beside its story (console.e2e-spec.ts), one test a point.
const chromiumPath = findChromium();
const suite = chromiumPath === undefined ? describe.skip : describe;

const PAYEE = '0x2222222222222222222222222222222222222222';

let sandbox: Sandbox;
let browser: Browser;
let tree: { root: Minted; child: Minted; asking: Minted };
let visitors: Visitors;

suite('the console', () => {
  beforeAll(async () => {
    sandbox = await startSandbox();
    browser = await startBrowser(chromiumPath ?? '');
    visitors = new Visitors(browser, sandbox);
    tree = await seed(sandbox);
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    await sandbox?.stop();
    await killPrograms();
  });

  afterEach(async () => {
    expect(await visitors.leave()).toEqual([]);
  });

  const person = (options?: BrowserContextOptions) => visitors.signIn(undefined, options);
  const go = (page: Page, path: string) => page.goto(`${sandbox.url}/console${path}`);
  const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });

  it('ranks what needs attention, and each line leads to its act', async () => {
    const page = await person();
    const lines = page.getByRole('region', { name: 'Needs attention' }).getByRole('listitem');
    const texts = async () => (await lines.allTextContents()).join('\n');
    await lines.filter({ hasText: 'payments wait for an approval' }).waitFor();
    await lines.filter({ hasText: 'raise asked for' }).waitFor();
    expect(await texts()).toMatch(/payments wait for an approval[\s\S]*raise asked for/);
    const [treasury] = await sandbox.admin.all<{ id: string }>('/v1/treasuries');
    const path = `/v1/treasuries/${treasury?.id}`;
    await sandbox.admin.post(`${path}/suspend`, { reason: 'an odd night' });
    try {
      await lines.filter({ hasText: 'is stopped' }).waitFor();
      expect(await texts()).toMatch(/^Treasury main is stoppedan odd night/);
      await lines.first().getByRole('link', { name: 'Resume' }).click();
      await page.getByRole('heading', { level: 1, name: 'Treasury' }).waitFor();
      await button(page, 'Resume').waitFor();
    } finally {
      await sandbox.admin.post(`${path}/resume`, {});
    }
  });

  it('tells on the overview what was spent today and in which hour, and what each network has', async () => {
    const page = await person();
    const day = page.getByRole('region', { name: /^Last 24 hours/ });
    const today = `${new Date().toISOString().slice(0, 10)}T00:00:00Z`;
    const { items } = await sandbox.admin.read<{ items: { settled: string; open: string }[] }>(
      `/v1/reports/spend?from=${today}`,
    );
    const spent = sum([items[0]?.settled ?? '', items[0]?.open ?? '']);
    expect(spent).not.toBe('0.00');
    await day.getByText(`${spent} USDC today`).waitFor();
    const networks = page.getByRole('region', { name: 'Runway at the pace of the last day' });
    await networks.getByText('4,000,000.00 TUSD18').waitFor();
    await day
      .getByRole('link', { name: /(settled|not settled): 0\.\d+ USDC$/ })
      .last()
      .click();
    await page.getByRole('heading', { level: 1, name: 'Payments' }).waitFor();
    expect([...new URL(page.url()).searchParams.keys()].sort()).toEqual(['from', 'status', 'to']);
    await page.getByRole('table', { name: 'Payments' }).getByRole('row').nth(1).waitFor();
  });

  it('says that nothing needs attention only when it has read everything', async () => {
    const page = await person();
    await page.route(/\/v1\/summary/, (route) => route.fulfill({ status: 500, body: 'no' }));
    await go(page, '/');
    const attention = page.getByRole('region', { name: 'Needs attention' });
    await attention.getByRole('alert').filter({ hasText: 'could not be read: summary' }).waitFor();
    expect(await attention.getByText('Nothing.').count()).toBe(0);
  });

  it('keeps a token that is shown once while the page behind it cannot be read', async () => {
    const { grant } = await sandbox.admin.mint({ holder: 'shown once', budget: '1.00' });
    const page = await person();
    await go(page, `/grants/${grant.id}`);
    await button(page, 'New token').click();
    await button(page, 'Replace the token').click();
    const token = await page.getByTestId('secret').textContent();
    await page.route(`**/v1/grants/${grant.id}`, (route) => route.fulfill({ status: 500 }));
    await page.getByText('What you see may be out of date').waitFor({ timeout: 60_000 });
    await page.mouse.click(5, 400);
    expect(await page.getByTestId('secret').textContent()).toBe(token);
  });

  it('names what a selection decides, whichever item stands beside it', async () => {
    const { token } = await sandbox.admin.mint({
      ...{ holder: 'picked', budget: '1.00', approvalAbove: '0.00' },
    });
    const ask = (n: number) =>
      sandbox.ask(token, '0.02', { url: `https://picked.example.com/${n}` });
    expect([await ask(1), await ask(2)]).toEqual([202, 202]);
    const page = await person();
    await go(page, '/inbox');
    const row = (n: number) => page.getByRole('button', { name: `picked.example.com/${n}` });
    await row(1).click();
    await page.keyboard.press('x');
    await row(2).click();
    await button(page, 'Reject 1 selected').click();
    const targets = page.getByRole('dialog').getByRole('list', { name: 'What is decided' });
    await targets.getByText('picked.example.com/1').waitFor();
    await targets.getByText('for picked').waitFor();
    expect(await targets.getByRole('listitem').count()).toBe(1);
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await row(1).waitFor({ state: 'hidden' });
    await row(2).waitFor();
  });

  it('stops no more than what is shown for what is typed', async () => {
    const page = await person();
    await go(page, '/grants');
    await button(page, 'Stop many').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Of the holder').fill('reader');
    await dialog.getByLabel(/^Reason/).fill('a label that is none');
    const act = dialog.getByRole('button', { name: /^Suspend \d/ });
    await dialog.getByText('1 grant found').waitFor();
    expect(await act.isEnabled()).toBe(true);
    await dialog.getByLabel('With the label').fill('t-42');
    await dialog.getByText('A label is name:value').waitFor();
    expect(await act.isEnabled()).toBe(false);
  });

  it('says what to do where a page cannot be drawn', async () => {
    const { page, faults } = await signIn(browser, sandbox, sandbox.adminToken);
    await page.route(/\/assets\/audit-/, (route) => route.fulfill({ status: 404 }));
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('heading', { name: 'This page could not be drawn' }).waitFor();
    await page.unroute(/\/assets\/audit-/);
    await button(page, 'Read it again').click();
    await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
    expect(faults.join()).toContain('/assets/audit-');
    await page.context().close();
  });

  it('follows a revocation until nothing that was signed can be spent', async () => {
    const { grant, token } = await sandbox.admin.mint({ holder: 'followed', budget: '1.00' });
    await sandbox.pay(token, '0.05');
    const page = await person();
    await go(page, `/grants/${grant.id}`);
    await button(page, 'Revoke').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('0.05 USDC in 1 signed payment on').waitFor();
    await dialog.getByLabel(/^Also cancel on chain/).check();
    await dialog.getByLabel(/^Reason/).fill('the task is over');
    await button(page, 'Revoke 1 grant').click();
    await dialog.getByText('0.05 USDC in 1 payment signed before may still be spent').waitFor();
    await dialog.getByText('Exposure is 0').waitFor({ timeout: 120_000 });
    const [payment] = await sandbox.admin.all(`/v1/payments?grantId=${grant.id}`);
    expect(payment).toMatchObject({ status: 'cancelled' });
  }, 180_000);

  it('holds the list of payments still while somebody reads it', async () => {
    const [reading, other] = [await person(), await person()];
    for (const page of [reading, other]) {
      await go(page, `/payments?grantId=${tree.child.grant.id}`);
      await page.getByText('page 7 ·').waitFor();
    }
    await button(reading, 'Pause').click();
    await sandbox.pay(tree.child.token, '0.01', { memo: 'while somebody reads' });
    await other.getByText('while somebody reads ·').waitFor();
    // The page is read again because of the event, and once more by its timer.
    for (let read = 0; read < 2; read += 1) {
      const answer = await reading.waitForResponse(/\/v1\/treasuries/);
      await answer.finished();
    }
    expect(await reading.getByText('while somebody reads ·').count()).toBe(0);
    await button(reading, 'Go on').click();
    await reading.getByText('while somebody reads ·').waitFor();
  });

  it('draws a payment from the 402 to the chain, and proves the nonce of its decision here', async () => {
    const id = await sandbox.buy(tree.child.token, 'drawn');
    const page = await person();
    await go(page, `/payments/${id}`);
    const steps = page.getByRole('region', { name: 'Sequence of the payment' });
    await steps.getByText(/^Chain to Bursar: final in /).waitFor({ timeout: 60_000 });
    const { transaction } = await sandbox.admin.read<{ transaction: string }>(`/v1/payments/${id}`);
    const explorer = page.getByRole('link', { name: `explorer for ${transaction}` });
    expect(await explorer.getAttribute('href')).toBe(
      `https://sepolia.basescan.org/tx/${transaction}`,
    );
    const told = await steps.getByRole('listitem').allTextContents();
    expect(told.slice(0, 2)).toEqual([
      'Agent to Bursar: met a 402, asks to pay',
      'Bursar to Agent: signs 0.01 USDC',
    ]);
    const received = page.getByRole('region', { name: 'The 402 as received' });
    expect(await received.textContent()).toContain('"description": "One page of data"');
    await page.getByText('This page hashed the decision below: it is the nonce.').waitFor();
    await page.getByRole('link', { name: 'Prove that the log has it' }).click();
    await button(page, 'Verify in this browser').click();
    await page.getByText('The nonce is the hash of the decision: yes').waitFor();
  }, 120_000);

  it('shows each grant that agreed with its budget as it was, those above to admins and auditors alone', async () => {
    const id = await sandbox.buy(tree.child.token, 'agreed');
    const checks = (page: Page) =>
      page
        .getByRole('region', { name: 'Grants that had to agree' })
        .getByRole('row')
        .filter({ hasText: /orchestrator|reader/ });
    const page = await person();
    await go(page, `/payments/${id}`);
    await checks(page).filter({ hasText: 'orchestrator25.00 USDC' }).waitFor();
    await checks(page).filter({ hasText: 'reader4.00 USDC' }).waitFor();
    const holder = await visitors.signIn(tree.child.token);
    await go(holder, `/payments/${id}`);
    await checks(holder).filter({ hasText: 'reader4.00 USDC' }).waitFor();
    expect(await holder.getByText('its figures are for admins and auditors').count()).toBe(1);
    expect(await holder.getByText('25.00 USDC').count()).toBe(0);
  });

  it('turns red where a decision is not what the nonce commits to', async () => {
    const id = await sandbox.buy(tree.child.token, 'falsified');
    const page = await person();
    await page.route(/\/v1\/audit\/events\?.*paymentId=/, async (route) => {
      // The page may be closed meanwhile.
      const answer = await route.fetch().catch(() => undefined);
      if (answer === undefined) return;
      const text = (await answer.text()).replace('"option":"0"', '"option":"1"');
      await route.fulfill({ response: answer, body: text });
    });
    await go(page, `/payments/${id}`);
    await page.getByText('which is not the nonce. Do not rely on this record.').waitFor();
  });

  it('counts refusals by their code on the overview, and leads to those of one', async () => {
    const { token } = await sandbox.admin.mint({ holder: 'short of it', budget: '0.10' });
    for (let request = 0; request < 3; request += 1) await sandbox.ask(token, '0.50');
    const page = await person();
    const refused = page.getByRole('region', { name: 'Refused in the last 24 hours' });
    await refused.getByRole('link', { name: 'budget_exceeded: 3 requests' }).click();
    const events = page.getByRole('region', { name: 'Events' }).getByRole('row');
    await events.nth(3).waitFor();
    expect(await events.count()).toBe(4);
    const code = page.getByLabel('Refused with code');
    expect(await code.inputValue()).toBe('budget_exceeded');
    await code.fill('Budget');
    await page.getByText('not applied: a code such as budget_exceeded').waitFor();
  });

  it('decides several at once, and shows what was decided for the payee before', async () => {
    const { grant, token } = await sandbox.admin.mint({
      holder: 'asker',
      budget: '1.00',
      approvalAbove: '0.001',
    });
    const ask = (memo: string) => sandbox.ask(token, '0.10', { memo, payTo: PAYEE });
    const page = await person();
    await ask('the first of three');
    await go(page, '/inbox');
    const row = (text: RegExp) => page.getByRole('button', { name: text });
    await row(/api\.example\.com\/data\/7/)
      .last()
      .click();
    await page.getByText('the first of three').waitFor();
    expect(await page.getByText('Nothing: it is the first one.').count()).toBe(1);
    // The time that is left, and the budget that would be.
    await row(/lapses in \d+ (min|h)/)
      .first()
      .waitFor();
    await page.getByRole('definition').getByText('0.90 USDC', { exact: true }).waitFor();
    await page.keyboard.press('r');
    await page.getByRole('dialog').getByLabel('Reason').fill('who is this?');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await ask('the second of three');
    await ask('the third of three');
    const waiting = row(/api\.example\.com\/data\/7/);
    await waiting.nth(1).waitFor();
    await waiting.first().click();
    await page.getByText('by admin:sandbox: who is this?').waitFor();
    await page.keyboard.press('x');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    await page.keyboard.press('a');
    const dialog = page.getByRole('dialog', { name: 'Approve 2 at once' });
    await dialog.getByRole('button', { name: 'Approve' }).click();
    await dialog.waitFor({ state: 'hidden' });
    const payments = await sandbox.admin.all<{ approval: { approvedAt: string | null } }>(
      `/v1/payments?grantId=${grant.id}`,
    );
    const approved = payments.filter(({ approval }) => approval.approvedAt !== null);
    expect(approved).toHaveLength(2);
  });

  it('shows a raise beside the budget of now, and gives it', async () => {
    const page = await person();
    await go(page, '/inbox');
    await page.getByRole('button', { name: /twice the pages/ }).click();
    await page.getByRole('heading', { name: /reader asks for 6\.00 USDC/ }).waitFor();
    await page.getByText('4.00 USDC → 6.00 USDC').waitFor();
    await button(page, /^Approve/).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect((await sandbox.admin.grant(tree.child.grant.id)).budget).toBe('6.00');
  });

  it('exports exactly the events that are shown', async () => {
    const page = await person();
    await go(page, `/audit?kind=payment.authorized&grantId=${tree.child.grant.id}`);
    const rows = page.getByRole('region', { name: 'Events' }).getByRole('link', {
      name: 'payment.authorized',
    });
    await rows.first().waitFor();
    const saved = page.waitForEvent('download');
    await button(page, 'Export what is shown').click();
    const lines = (await readFile(await (await saved).path(), 'utf8')).trim().split('\n');
    const shown = await rows.evaluateAll((links) =>
      links.map((link) => (link as unknown as { href: string }).href.split('/').at(-1)),
    );
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(shown);
    expect(shown.length).toBeGreaterThan(6);
  });

  it('keeps the error and what was typed in its dialog', async () => {
    const { grant, token } = await sandbox.admin.mint({ holder: 'bounded', budget: '1.00' });
    await sandbox.pay(token, '0.50');
    const page = await person();
    await go(page, `/grants/${grant.id}`);
    await button(page, 'Amend').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel(/^Budget/).fill('0.20');
    await dialog.getByLabel(/^Reason/).fill('too much');
    await dialog.getByRole('button', { name: 'Amend' }).click();
    await dialog
      .getByRole('alert')
      .getByText(/cannot be lowered below 0\.50/)
      .waitFor();
    expect(await dialog.getByLabel(/^Budget/).inputValue()).toBe('0.20');
    expect(await dialog.getByLabel(/^Reason/).inputValue()).toBe('too much');
    expect((await sandbox.admin.grant(grant.id)).budget).toBe('1.00');
  });

  it('tells apart what is empty, what failed and what is not there', async () => {
    const page = await person();
    await go(page, '/payments?holder=nobody-of-this-name');
    await page.getByText('Clear a filter to see more.').waitFor();
    await go(page, '/nowhere');
    await page.getByText('There is no such page').waitFor();
    await page.route(/\/v1\/payments/, (route) =>
      route.fulfill({ status: 500, contentType: 'text/plain', body: 'no' }),
    );
    await go(page, '/payments');
    await page.getByText('This could not be read').waitFor();
    await page.unroute(/\/v1\/payments/);
    await button(page, 'Try again').click();
    await page.getByText('page 7 ·').waitFor();
  });

  it('shows times in the zone of the reader, and amounts to the last decimal', async () => {
    const { payment } = await sandbox.pay(tree.child.token, '0.000001');
    const page = await person({ timezoneId: 'Asia/Tokyo' });
    await go(page, `/payments/${payment.id}`);
    await page.getByRole('heading', { level: 1, name: '0.000001 USDC' }).waitFor();
    const at = new Date(payment.createdAt).toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo' });
    const asked = page.getByRole('definition').filter({ hasText: `${at} GMT+9` });
    expect(await asked.textContent()).toMatch(/GMT\+9 \((now|\d+ s ago)\)$/);
  });
});
