import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Browser, Locator, Page } from 'playwright-core';
import type { Minted } from './support/api.js';
import {
  auditorToken,
  closeDialog,
  findChromium,
  lookAt,
  openDialog,
  type Sandbox,
  seed,
  startBrowser,
  startSandbox,
  Visitors,
  waitUntilRead,
} from './support/console.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { killPrograms } from './support/program.js';
import { isSigned, type Receiver, startReceiver } from './support/receiver.js';
import { until } from './support/until.js';

// The pages of spend and of webhooks, in Chromium, as test/console.e2e-spec.ts has the others.
const chromiumPath = findChromium();
const suite = chromiumPath === undefined ? describe.skip : describe;

const PAYEES = {
  second: '0x2222222222222222222222222222222222222222',
  third: '0x3333333333333333333333333333333333333333',
};

/** A webhook as its list shows it. */
interface Listed {
  readonly id: string;
  readonly description: string | null;
  readonly status: string;
  readonly grantId: string | null;
}

let database: TestDatabase;
let db: pg.Client;
let sandbox: Sandbox;
let browser: Browser;
let receiver: Receiver;
let tree: { root: Minted; child: Minted };
let visitors: Visitors;

suite('the console', () => {
  beforeAll(async () => {
    // A database that the tests reach too: a dead letter takes a day otherwise.
    database = await createTestDatabase();
    db = new pg.Client({ connectionString: database.url });
    await db.connect();
    sandbox = await startSandbox({ DATABASE_URL: database.url });
    browser = await startBrowser(chromiumPath ?? '');
    visitors = new Visitors(browser, sandbox);
    tree = await seed(sandbox);
    receiver = await startReceiver();
    await sandbox.pay(tree.child.token, '0.000001', { payTo: PAYEES.second });
    const scout = await sandbox.admin.mint({
      holder: 'scout',
      budget: '1.00',
      labels: { task: 't-42' },
    });
    const bought: string[] = [];
    for (const { token } of [tree.child, tree.child, tree.child, scout, scout]) {
      bought.push(await sandbox.buy(token, String(bought.length + 1)));
    }
    await until('everything that was bought is settled', async () => {
      const payments = await sandbox.admin.all<{ id: string; status: string }>('/v1/payments');
      return payments.every(({ id, status }) => !bought.includes(id) || status === 'settled');
    });
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    await receiver?.stop();
    await sandbox?.stop();
    await killPrograms();
    await db?.end();
    await database?.drop();
  });

  afterEach(async () => {
    expect(await visitors.leave()).toEqual([]);
  });

  const person = (...who: Parameters<Visitors['signIn']>) => visitors.signIn(...who);
  const go = (page: Page, path: string) => page.goto(`${sandbox.url}/console${path}`);
  const button = (page: Page | Locator, name: string | RegExp) =>
    page.getByRole('button', { name });
  const spendTable = (page: Page) => page.getByRole('region', { name: 'Spend of each group' });
  /** The cells of the row of a report that begins with a text. */
  const row = async (page: Page, start: string | RegExp) => {
    const found = spendTable(page).getByRole('row', { name: start });
    await found.waitFor();
    return found.getByRole('cell').allTextContents();
  };

  describe('on its page of spend', () => {
    it('sums to the atomic unit, and leads from a bar to exactly its payments', async () => {
      const { token } = await sandbox.admin.mint({ holder: 'precise', budget: '1.00' });
      const page = await person();
      await sandbox.pay(token, '0.03', { payTo: PAYEES.third });
      await sandbox.pay(token, '0.000001', { payTo: PAYEES.third });
      await go(page, '/spend?by=payTo,host');
      const [payee, host, settled, signed] = await row(page, /^0x3333/);
      expect([payee, host, settled, signed]).toEqual([
        ...['0x3333…333333', 'api.example.com', '0.00 USDC', '0.030001 USDC'],
      ]);
      const bar = page.getByRole('link', { name: '0x3333…333333, api.example.com: 0.030001 USDC' });
      await bar.click();
      await page.getByRole('heading', { level: 1, name: 'Payments' }).waitFor();
      expect(new URL(page.url()).searchParams.get('payTo')).toBe(PAYEES.third);
      await page.getByText('0.000001 USDC').waitFor();
      const payments = page.getByRole('table', { name: 'Payments' }).getByRole('row');
      expect(await payments.count()).toBe(3);
    });

    it('groups by a label, and leads from its row to the payments with the label', async () => {
      const page = await person();
      await go(page, '/spend?by=label:task,holder&period=all');
      expect((await row(page, /^nightly /)).slice(0, 2)).toEqual(['nightly', 'nightly-report']);
      // Grants without the label are a group without a link: no filter finds the lack of a label.
      const own = await sandbox.admin.all(`/v1/payments?grantId=${tree.child.grant.id}`);
      expect((await row(page, /^none reader/)).at(-2)).toBe(String(own.length));
      const link = spendTable(page).getByRole('link', { name: `${own.length} payments` });
      expect(await link.count()).toBe(0);
      await spendTable(page)
        .getByRole('row', { name: /^nightly / })
        .getByRole('link', { name: '1 payment' })
        .click();
      await page.getByText('yesterday ·').waitFor();
      expect(await page.getByLabel('Label').inputValue()).toBe('task:nightly');
    });

    it('keeps the dimensions, the period and the grant in the URL', async () => {
      const page = await person();
      await go(page, '/spend');
      await page.getByLabel('Group by').selectOption('holder');
      await page.getByLabel('Split by').selectOption('payTo');
      await page.getByLabel('One chart per').selectOption('day');
      await page.getByLabel('Period').selectOption('all');
      await page.getByLabel('Grant and all below it').fill(tree.child.grant.id);
      const parameters = () => Object.fromEntries(new URL(page.url()).searchParams);
      await until('the grant is in the URL', () => parameters().grantId === tree.child.grant.id);
      expect(parameters()).toEqual({
        by: 'holder,payTo,day',
        period: 'all',
        grantId: tree.child.grant.id,
      });
      await page.reload();
      await waitUntilRead(page);
      expect(await page.getByLabel('Group by').inputValue()).toBe('holder');
      expect(await spendTable(page).getByRole('columnheader').allTextContents()).toEqual([
        ...['Holder', 'Payee', 'Day', 'Settled', 'Signed, not settled', 'Released'],
        ...['Payments', 'Refused'],
      ]);
      expect(
        await spendTable(page)
          .getByRole('row', { name: /^reader/ })
          .count(),
      ).toBe(3);
      expect(await spendTable(page).getByRole('row').count()).toBe(4);
    });

    it('takes a label that no grant of the list has, and refuses a name that is none', async () => {
      const page = await person();
      await go(page, '/spend?by=nonsense,holder');
      expect(await page.getByLabel('Group by').inputValue()).toBe('holder');
      await page.getByLabel('Split by').selectOption('Another label…');
      await page.getByLabel(/^Name of the label/).fill('project');
      await page.keyboard.press('Enter');
      await spendTable(page).getByRole('columnheader', { name: 'Label project' }).waitFor();
      expect(new URL(page.url()).searchParams.get('by')).toBe('holder,label:project');
    });

    it('draws a day without a payment too, so that distances are times', async () => {
      const page = await person();
      await go(page, '/spend?by=day&period=7d');
      await spendTable(page).waitFor();
      const columns = page.getByRole('region', { name: 'By day' }).getByRole('listitem');
      expect(await columns.count()).toBe(7);
      const today = new Date().toISOString().slice(0, 10);
      await page
        .getByRole('link', { name: new RegExp(`^${today}, `) })
        .first()
        .click();
      await page.getByRole('heading', { level: 1, name: 'Payments' }).waitFor();
      const { searchParams } = new URL(page.url());
      expect(searchParams.get('from')).toBe(`${today}T00:00:00.000Z`);
      expect(searchParams.get('to')).toBe(`${today}T23:59:59.999Z`);
    });

    it('leads to the refusals of a grant', async () => {
      const page = await person();
      await go(page, '/spend?by=grant&period=all');
      const refused = spendTable(page).getByRole('row', { name: /^nightly-report/ });
      await refused.getByRole('link', { name: '2 refusals' }).click();
      await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
      await page.getByRole('link', { name: 'payment.refused' }).first().waitFor();
      expect(await page.getByRole('link', { name: 'payment.refused' }).count()).toBe(2);
    });

    it('saves a CSV of exactly the groups on the page', async () => {
      const page = await person();
      await go(page, `/spend?by=holder,payTo&grantId=${tree.root.grant.id}&period=all`);
      await spendTable(page).waitFor();
      const saved = page.waitForEvent('download');
      await button(page, 'Download CSV').click();
      const file = await saved;
      expect(file.suggestedFilename()).toMatch(/^bursar-spend-\d{4}-\d\d-\d\d\.csv$/);
      const [head, ...lines] = (await readFile(await file.path(), 'utf8')).trim().split('\r\n');
      expect(head).toBe(
        '"holder","payTo","currency","payments","settled","open","released","refused"',
      );
      const rows = await spendTable(page).getByRole('row').count();
      expect(lines).toHaveLength(rows - 1);
      expect(
        lines.some((line) => line.includes(PAYEES.second) && line.includes('"0.000001"')),
      ).toBe(true);
    });

    it('leads from a holder to the payments of all its grants', async () => {
      for (const budget of ['1.00', '2.00']) {
        const { token } = await sandbox.admin.mint({ holder: 'twin', budget, purpose: budget });
        await sandbox.pay(token, '0.01', { memo: `of ${budget}` });
      }
      const page = await person();
      await go(page, '/spend?by=holder&period=all');
      await spendTable(page).getByRole('row', { name: /^twin/ }).getByRole('link').first().click();
      await page.getByText('of 2.00 ·').waitFor();
      await page.getByText('of 1.00 ·').waitFor();
      expect(new URL(page.url()).searchParams.get('holder')).toBe('twin');
    });

    it('says what to do where nothing was spent, and where the report cannot be read', async () => {
      const page = await person();
      const nothing = 'from=2020-01-01T00:00:00.000Z&to=2020-02-01T00:00:00.000Z';
      await go(page, `/spend?period=custom&${nothing}`);
      await page.getByText('Choose a longer period').waitFor();
      await page.route(/\/v1\/reports/, (route) => route.fulfill({ status: 503, body: 'down' }));
      await go(page, '/spend');
      await page.getByText('the service answered 503').waitFor();
      await page.unroute(/\/v1\/reports/);
      await button(page, 'Try again').click();
      await spendTable(page).waitFor();
    });

    it('shows a holder the spend of its subtree', async () => {
      const page = await person(tree.child.token);
      await page.getByRole('link', { name: 'Spend' }).click();
      await page.getByLabel('Group by').selectOption('holder');
      await row(page, /^reader/);
      expect(await spendTable(page).getByRole('row').count()).toBe(2);
      expect(await page.getByLabel('Treasury').count()).toBe(0);
    });

    it('draws the budget left of a grant after each hour, with its payments', async () => {
      const { grant, token } = await sandbox.admin.mint({ holder: 'burner', budget: '1.00' });
      await sandbox.buy(token, '8');
      const page = await person();
      await sandbox.pay(token, '0.000001');
      await go(page, `/grants/${grant.id}`);
      const part = page.getByRole('region', { name: /^Budget left/ }).first();
      await part
        .getByRole('link', { name: /, left|, spent: / })
        .first()
        .waitFor();
      await part.getByText('Show as a table').click();
      const last = part.getByRole('row').last();
      await last.getByRole('cell').first().waitFor();
      expect((await last.getByRole('cell').allTextContents()).at(-1)).toBe('0.989999 USDC');
      await last.getByRole('link').click();
      await page.getByRole('heading', { level: 1, name: 'Payments' }).waitFor();
      await page.getByText('0.000001 USDC').waitFor();
    });
  });

  describe('on its page of sales', () => {
    it('sums what the gateway sold, and lists each sale with its end', async () => {
      const { token } = await sandbox.admin.mint({ holder: 'customer', budget: '1.00' });
      await sandbox.buy(token, '11', sandbox.gatewayUrl);
      await sandbox.buy(token, '12', sandbox.gatewayUrl);
      await fetch(`${sandbox.gatewayUrl}/report`);
      const page = await person();
      await page.getByRole('link', { name: 'Sales' }).click();
      const sums = page.getByRole('region', { name: 'Sums of each operation' });
      const cells = async (operation: string) => {
        const found = sums.getByRole('row').filter({ hasText: operation });
        return (await found.count()) === 1 && (await found.getByRole('cell').allTextContents());
      };
      const ofPage = ['getPage', '2', '2', '100 %', '0.02 USDC', '0.00 USDC'];
      await until('both sales are summed', async () => `${await cells('getPage')}` === `${ofPage}`);
      await until(
        'who only asked is counted',
        async () => `${await cells('getReport')}` === 'getReport,1,0,0 %,,',
      );
      await sums.getByRole('button', { name: 'getReport' }).click();
      await page.getByText('No sale matches').waitFor();
      await until('it is in the URL', () => page.url().includes('operation=getReport'));
      await page.getByRole('textbox', { name: 'Operation' }).fill('getPage');
      const sales = page.getByRole('region', { name: 'Sales', exact: true });
      await sales.getByText('GET /data/12').waitFor();
      const rows = (await sales.getByRole('row').allTextContents()).slice(1);
      expect(rows).toHaveLength(2);
      expect(rows[0]).toMatch(/GET \/data\/12.*0\.01 USDC.*settled.*the API answered 200/);
      await page.getByLabel('Status').selectOption('refund_owed');
      await page.getByText('No sale matches').waitFor();
    });

    it('is for those who see the treasury', async () => {
      const page = await person(tree.child.token);
      expect(await page.getByRole('link', { name: 'Sales' }).count()).toBe(0);
    });
  });

  describe('on its pages of webhooks', () => {
    /** Adds a webhook by the API, to the receiver of the tests. */
    async function added(
      description: string,
      more: Record<string, unknown> = {},
      api = sandbox.admin,
    ): Promise<Listed> {
      const body = { url: receiver.url, kinds: ['grant.minted'], description, ...more };
      return (await api.post<{ webhook: Listed }>('/v1/webhooks', body)).body.webhook;
    }

    const listed = async (description: string) => {
      const all = await sandbox.admin.all<Listed>('/v1/webhooks');
      return all.find((each) => each.description === description);
    };
    const deliveries = (page: Page) => page.getByRole('region', { name: /^Deliveries/ });

    it('adds one, shows its secret once, and its deliveries verify by that secret', async () => {
      const page = await person();
      await page.getByRole('link', { name: 'Webhooks' }).click();
      await button(page, 'Add a webhook').click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel(/^URL/).fill('http://192.168.0.1/hook');
      await button(dialog, /^Add$/).click();
      // The dialog holds the error, and what was typed.
      await dialog.getByRole('alert').waitFor();
      await dialog.getByLabel(/^URL/).fill(receiver.url);
      await dialog.getByLabel('Description').fill('the first');
      await dialog.getByLabel('payment.*').uncheck();
      expect(await button(dialog, /^Add$/).isDisabled()).toBe(true);
      await dialog.getByLabel('Single kinds, with commas between').fill('grant.minted');
      await button(dialog, /^Add$/).click();
      const secret = (await page.getByTestId('secret').textContent()) ?? '';
      expect(secret).toMatch(/^whsec_/);
      await button(page, 'See the webhook').click();
      await page.getByRole('heading', { level: 1, name: 'the first' }).waitFor();
      expect(await page.getByTestId('secret').count()).toBe(0);
      await button(page, 'Send a test').click();
      await deliveries(page).getByText('webhook.test').waitFor();
      await deliveries(page).getByText('delivered', { exact: true }).waitFor();
      const sent = receiver.received.find(({ body }) => body.type === 'webhook.test');
      expect(sent && isSigned(sent, secret)).toBe(true);
    });

    it('shows attempts and what was answered, and sends again with the same webhook-id', async () => {
      const { id } = await added('answers');
      const answer = receiver.answer;
      receiver.answer = (response) => void response.writeHead(500).end('no room <b>here</b>');
      const { grant } = await sandbox.admin.mint({ holder: 'told', budget: '1.00' });
      const page = await person();
      await go(page, `/webhooks/${id}`);
      await deliveries(page)
        .getByText(/last attempt: answer 500/)
        .waitFor();
      receiver.answer = answer;
      // Where the page took longer than the second attempt, the third is five minutes away: it is due now.
      await until('it was delivered', async () => {
        await db.query(
          `UPDATE webhook_deliveries SET next_at = now()
           WHERE webhook_id = $1 AND status = 'pending' AND tries > 1`,
          [id],
        );
        const sql = `SELECT FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'delivered'`;
        return (await db.query(sql, [id])).rowCount === 1;
      });
      await deliveries(page).getByText('delivered', { exact: true }).waitFor();
      await deliveries(page)
        .getByText(/^\d attempts$/)
        .click();
      // A stranger's text is text. There is more than one where the page came later than a second attempt.
      await deliveries(page).getByText('no room <b>here</b>').first().waitFor();
      await button(page, /^Send again/).click();
      await deliveries(page).getByText('sent again').waitFor();
      const ids = await until('it was sent again', () => {
        const own = receiver.received.filter(({ body }) => body.data.grantId === grant.id);
        return own.length >= 3 ? own.map(({ headers }) => headers['webhook-id']) : undefined;
      });
      expect(new Set(ids).size).toBe(1);
      await deliveries(page).getByRole('link', { name: 'grant.minted' }).first().click();
      await page.getByRole('heading', { level: 1, name: 'grant.minted' }).waitFor();
    });

    it('shows dead letters by a filter in the URL', async () => {
      const { id } = await added('dead');
      const answer = receiver.answer;
      receiver.answer = (response) => void response.writeHead(410).end('gone');
      await sandbox.admin.mint({ holder: 'lost', budget: '1.00' });
      await until('it was tried', async () => {
        const { rowCount } = await db.query(
          `UPDATE webhook_deliveries SET tries = 7, next_at = now() WHERE webhook_id = $1 AND tries = 1`,
          [id],
        );
        return rowCount === 1;
      });
      const page = await person();
      await go(page, `/webhooks/${id}`);
      await page.getByLabel('Outcome').selectOption('dead');
      await deliveries(page).getByText('dead letter', { exact: true }).waitFor();
      expect(page.url()).toContain('status=dead');
      receiver.answer = answer;
      await button(page, /^Send again/).click();
      await page.getByLabel('Outcome').selectOption('delivered');
      await deliveries(page).getByText('sent again').waitFor();
    });

    it('pauses with a reason that the overview shows, resumes, replays, rotates and deletes', async () => {
      const { id } = await added('steered');
      await sandbox.admin.mint({ holder: 'replayed', budget: '1.00' });
      const page = await person();
      await go(page, `/webhooks/${id}`);
      await deliveries(page).getByText('delivered', { exact: true }).waitFor();
      await button(page, 'Pause').click();
      await page.getByLabel(/^Reason/).fill('the receiver moves');
      await button(page.getByRole('dialog'), 'Pause').click();
      await button(page, 'Resume').waitFor();
      await page.getByText('the receiver moves').waitFor();
      expect(await button(page, 'Send a test').count()).toBe(0);
      await page.getByRole('link', { name: 'Overview' }).click();
      const line = page.getByRole('listitem').filter({ hasText: 'A webhook is paused' });
      expect(await line.textContent()).toContain('the receiver moves');
      await line.getByRole('link', { name: 'See the webhook' }).click();
      await button(page, 'Resume').click();
      await button(page.getByRole('dialog'), 'Resume').click();
      await button(page, 'Replay').click();
      await button(page.getByRole('dialog'), 'Replay').click();
      await page.getByText(/^\d+ events? (is|are) sent again/).waitFor();
      await button(page, 'Close').last().click();
      await deliveries(page).getByText('replay', { exact: true }).first().waitFor();
      await button(page, 'New secret').click();
      await button(page, 'Replace the secret').click();
      expect(await page.getByTestId('secret').textContent()).toMatch(/^whsec_/);
      await page.keyboard.press('Escape');
      await button(page, 'Delete').click();
      await button(page.getByRole('dialog'), 'Delete').click();
      await page.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
      expect(await listed('steered')).toBeUndefined();
    });

    it('changes where it sends to, and keeps the kinds that are no checkbox', async () => {
      const { id } = await added('changed', { kinds: ['payment.*', 'grant.tripped'] });
      const page = await person();
      await go(page, `/webhooks/${id}`);
      await button(page, 'Change').click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Description').fill('changed indeed');
      await dialog.getByLabel('wallet.*').check();
      await button(dialog, 'Change').click();
      await page.getByRole('heading', { level: 1, name: 'changed indeed' }).waitFor();
      await page.getByText('payment.*, wallet.*, grant.tripped').waitFor();
    });

    it('shows a holder those of its subtree, and an auditor no control', async () => {
      await added('of the admin');
      const holder = await person(tree.child.token);
      await go(holder, '/webhooks');
      await holder.getByText('No webhook yet').waitFor();
      await button(holder, 'Add a webhook').click();
      const dialog = holder.getByRole('dialog');
      await dialog.getByLabel(/^URL/).fill(receiver.url);
      await dialog.getByLabel('Description').fill('of the reader');
      await button(dialog, /^Add$/).click();
      await button(holder, 'See the webhook').click();
      await button(holder, 'Send a test').waitFor();
      const own = await listed('of the reader');
      expect(own?.grantId).toBe(tree.child.grant.id);
      const auditor = await person(await auditorToken(sandbox, { DATABASE_URL: database.url }));
      await go(auditor, '/webhooks');
      await auditor.getByRole('link', { name: 'of the reader' }).waitFor();
      expect(await button(auditor, 'Add a webhook').count()).toBe(0);
      await go(auditor, `/webhooks/${own?.id}`);
      await auditor.getByRole('heading', { level: 2, name: /^Deliveries/ }).waitFor();
      await waitUntilRead(auditor);
      const acts = /^(Send|Pause|Resume|Replay|Change|New secret|Delete)/;
      expect(await button(auditor, acts).count()).toBe(0);
    });
  });

  it('lists a tripped breaker until its grant is resumed', async () => {
    const { grant, token } = await sandbox.admin.mint({
      holder: 'stumbling',
      budget: '1.00',
      maxPerPayment: '0.01',
      breaker: { refusals: 2, seconds: 60 },
    });
    for (const price of ['0.50', '0.60']) await sandbox.ask(token, price);
    const page = await person();
    const line = page.getByRole('listitem').filter({ hasText: 'The breaker of stumbling' });
    await line.waitFor();
    expect(await line.textContent()).toContain('its limit is 2 refusals per minute');
    await line.getByRole('link', { name: 'See the grant' }).click();
    await button(page, 'Resume').click();
    await button(page.getByRole('dialog'), 'Resume').click();
    await button(page, 'Suspend').waitFor();
    // A person suspends it now: that is no trip.
    await sandbox.admin.post(`/v1/grants/${grant.id}/suspend`, { reason: 'by hand' });
    await page.getByRole('link', { name: 'Overview' }).click();
    await waitUntilRead(page);
    await line.waitFor({ state: 'detached' });
  });

  it('finds both pages, and a webhook by its id, from the palette', async () => {
    const [webhook] = await sandbox.admin.all<{ id: string }>('/v1/webhooks');
    const page = await person();
    for (const [text, heading] of [
      ['spend by', 'Spend'],
      ['webh', 'Webhooks'],
      [webhook?.id ?? '', /./],
    ] as const) {
      await go(page, '/audit');
      await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('dialog').getByRole('combobox').fill(text);
      await page.getByRole('dialog').getByRole('option').first().waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    }
    expect(page.url()).toContain(`/webhooks/${webhook?.id}`);
  });

  /** Copies today's settled sums to the days before, since no test can wait for days. */
  const repeatPast = () =>
    until('the sums are repeated', async () => {
      await db.query(
        `INSERT INTO spend_hours (treasury_id, series_id, hour, status, payments, amount)
         SELECT h.treasury_id, h.series_id, h.hour - make_interval(days => n), h.status,
           h.payments * k, h.amount * k
         FROM spend_hours h, generate_series(1, 40) n, LATERAL (SELECT 1 + (n * 5 + h.series_id) % 7 AS k) q
         WHERE h.status = 'settled' AND h.hour > now() - interval '1 day' ON CONFLICT DO NOTHING`,
      );
      const { rows } = await db.query('SELECT count(*) > 50 AS is_done FROM spend_hours');
      return rows[0]?.is_done;
    });

  it.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['320 px', { viewport: { width: 320, height: 720 } }],
  ] as const)(
    'passes axe on both pages, %s, and never scrolls sideways',
    async (theme, options) => {
      await repeatPast();
      await sandbox.pay(tree.child.token, '0.02', { payTo: PAYEES.second });
      const body = { url: receiver.url, kinds: ['payment.*'], description: `looked at, ${theme}` };
      const { webhook } = (await sandbox.admin.post<{ webhook: Listed }>('/v1/webhooks', body))
        .body;
      await sandbox.admin.post(`/v1/webhooks/${webhook.id}/test`);
      const page = await person(sandbox.adminToken, options);
      const wrong: string[] = [];
      const look = async (name: string) => wrong.push(...(await lookAt(page, theme, name)));
      for (const path of [
        ...[
          '/spend?period=30d',
          '/spend?by=hour,holder&period=7d',
          '/spend?by=holder,payTo,host&period=all',
        ],
        ...['/spend?by=status&period=all', '/spend?period=custom&to=2020-01-01T00:00:00.000Z'],
        ...['/webhooks', `/webhooks/${webhook.id}`, `/grants/${tree.root.grant.id}`],
        ...['/payments?host=api.example.com', '/payments?holder=twin', '/sales', '/'],
      ]) {
        await go(page, path);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await waitUntilRead(page);
        if (path.endsWith(webhook.id)) await page.getByText('1 attempt').first().click();
        await look(path);
      }
      await go(page, `/webhooks/${webhook.id}`);
      for (const name of ['Pause', 'Replay', 'Change', 'New secret', 'Delete']) {
        await openDialog(page, name);
        await look(`dialog ${name}`);
        await closeDialog(page);
      }
      expect(wrong).toEqual([]);
    },
    240_000,
  );
});
