import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import decodeQR from 'qr/decode.js';
import type { Minted } from './support/api.js';
import {
  auditorToken,
  axeFindings,
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
import { killPrograms } from './support/program.js';
import { until } from './support/until.js';

// The console as people use it: Debian's Chromium, the program as it is built, a chain, a seller. .ci/run installs the
// browser where there is none.
const chromiumPath = findChromium();
const suite = chromiumPath === undefined ? describe.skip : describe;

/** The largest first load, gzipped. */
const FIRST_LOAD_BYTES = 200_000;

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

  const person = (...who: Parameters<Visitors['signIn']>) => visitors.signIn(...who);
  const go = (page: Page, path: string) => page.goto(`${sandbox.url}/console${path}`);
  const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
  const eventOf = async (kind: string, query = '') => {
    const path = `/v1/audit/events?kind=${kind}${query}`;
    return until(`an event ${kind} is sealed`, async () => {
      const { items } = await sandbox.admin.read<{
        items: { id: string; leafIndex: string | null }[];
      }>(path);
      return items.find(({ leafIndex }) => leafIndex !== null)?.id;
    });
  };

  it('mints from a template, with a sentence of what it will allow, and shows the token once', async () => {
    const page = await person();
    await go(page, '/grants');
    await button(page, 'Mint a grant').click();
    await button(page, 'Research agent').click();
    await page.getByLabel(/^Holder/).fill('scout');
    await page.getByLabel('Sellers').fill('https://api.example.com/data/*');
    const sentence = await page.getByTestId('sentence').textContent();
    expect(sentence).toContain(
      'scout may pay https://api.example.com/data/*, up to 0.05 USDC each, 1.00 USDC per hour, 5.00 USDC in all, for a day.',
    );
    expect(sentence).toContain('A person approves what costs more than 0.50 USDC.');
    await button(page, 'Mint').click();
    const token = (await page.getByTestId('secret').textContent()) ?? '';
    // The token works: its agent pays.
    await sandbox.pay(token, '0.03');
    await button(page, 'See the grant').click();
    await page.getByRole('heading', { level: 1, name: 'scout' }).waitFor();
    expect(await page.getByTestId('secret').count()).toBe(0);
  });

  it('shows a payment as it happens, and keeps the filter in the URL', async () => {
    const page = await person();
    await go(page, `/payments?grantId=${tree.child.grant.id}`);
    await page.getByText('page 7 ·').waitFor();
    await sandbox.pay(tree.child.token, '0.04', { memo: 'seen live' });
    await page.getByText('seen live ·').waitFor();
    await page.getByLabel('Status').selectOption('settled');
    await page.getByText('No payment matches').waitFor();
    expect(page.url()).toContain('status=settled');
    await page.reload();
    await page.getByText('No payment matches').waitFor();
  });

  it('reads the page again because of the event stream, without its timer', async () => {
    const page = await person();
    // Polling never happens.
    await page.addInitScript(
      `const repeat = window.setInterval; window.setInterval = (act, ms, ...rest) => (ms >= 1000 ? 0 : repeat(act, ms, ...rest))`,
    );
    const streamed = page.waitForResponse(/\/v1\/events/);
    await go(page, `/payments?grantId=${tree.child.grant.id}`);
    await page.getByText('page 7 ·').waitFor();
    expect((await streamed).status()).toBe(200);
    await sandbox.pay(tree.child.token, '0.01', { memo: 'told by an event' });
    await page.getByText('told by an event ·').waitFor();
  });

  it('polls where the event stream is refused', async () => {
    const page = await person();
    await page.route(/\/v1\/events/, (route) => route.fulfill({ status: 403, body: '{}' }));
    await go(page, `/payments?grantId=${tree.child.grant.id}`);
    await page.getByText('page 7 ·').waitFor();
    await sandbox.pay(tree.child.token, '0.01', { memo: 'told by nobody' });
    await page.getByText('told by nobody ·').waitFor();
  });

  it('names the grant above whose limit binds', async () => {
    const page = await person();
    await go(page, '/grants');
    const row = page.getByRole('row', { name: /buyer/ });
    await row.waitFor();
    expect(await row.textContent()).toMatch(
      /the limit per hour of orchestrator: \d\.\d\d USDC left, resets \d\d:\d\d/,
    );
  });

  it('approves by keyboard, and the agent is paid for', async () => {
    const page = await person();
    await go(page, '/inbox');
    await page.getByRole('heading', { name: /1\.20 USDC for/ }).waitFor();
    await page.keyboard.press('j');
    await page.getByRole('heading', { name: /0\.80 USDC for/ }).waitFor();
    await page.keyboard.press('k');
    await page.getByRole('heading', { name: /1\.20 USDC for/ }).waitFor();
    await page.keyboard.press('a');
    await page.getByRole('dialog').getByLabel('Reason').and(page.locator(':focus')).waitFor();
    await page.keyboard.type('known vendor');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /0\.80 USDC for/ }).waitFor();
    await page.getByText(/known vendor/).waitFor();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('r');
    await page.getByRole('dialog').getByLabel('Reason').and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /reader asks for/ }).waitFor();
    const decided = await sandbox.admin.all<{ approval?: { reason: string | null } }>(
      `/v1/payments?grantId=${tree.asking.grant.id}`,
    );
    expect(decided).toMatchObject([
      { status: 'pending_approval', approval: { reason: 'known vendor' } },
      { status: 'rejected' },
    ]);
  });

  it('goes from the overview to revoked in two clicks and a reason', async () => {
    const { grant, token } = await sandbox.admin.mint({
      holder: 'runaway',
      budget: '9.00',
      delegationDepth: 1,
    });
    const below = await sandbox.admin.as(token).mint({ holder: 'helper', budget: '2.00' });
    await sandbox.pay(below.token, '1.00');
    await sandbox.pay(token, '2.00');
    const page = await person();
    await button(page, 'Revoke runaway').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('1 grant below').waitFor();
    expect(await dialog.textContent()).toContain('3.00 USDC in 2 signed payments on');
    await page.keyboard.type('pays a stranger');
    await button(page, 'Revoke 2 grants').click();
    await page.getByText('2 grants ended').waitFor();
    expect((await sandbox.admin.grant(below.grant.id)).status).toBe('revoked');
    expect(await sandbox.ask(below.token, '0.01')).toBe(403);
    expect(await page.getByTestId('exposure').textContent()).toContain('3.00 USDC in 2 payments');
    expect((await sandbox.admin.grant(grant.id)).status).toBe('revoked');
  });

  it('says why a payment was refused, and what would have allowed it', async () => {
    const page = await person();
    await waitUntilRead(page);
    await page.getByRole('link', { name: 'per_payment_exceeded', exact: true }).first().click();
    const why = page.getByRole('region', { name: 'Why it was refused' });
    await why.getByText('said no').waitFor();
    expect(await why.textContent()).toContain('a limit per payment of 0.20 USDC; it is 0.05');
  });

  it('verifies an event in the browser, and turns red when the server lies', async () => {
    const id = await eventOf('payment.authorized');
    const page = await person();
    const verdict = page.getByTestId('verdict');
    await go(page, `/audit/${id}`);
    await button(page, 'Verify in this browser').click();
    await verdict.waitFor();
    expect(await verdict.textContent()).toMatch(/^Verified/);
    expect(await page.getByText(/: yes$/).count()).toBe(5);
    await page.route('**/proof', async (route) => {
      // The page may be closed meanwhile.
      const answer = await route.fetch().catch(() => undefined);
      if (answer === undefined) return;
      const proof = (await answer.json()) as { record: string };
      const record = proof.record.replace('"option":"0"', '"option":"1"');
      expect(record).not.toBe(proof.record);
      await route.fulfill({ response: answer, json: { ...proof, record } });
    });
    await page.reload();
    await button(page, 'Verify in this browser').click();
    await verdict.waitFor();
    expect(await verdict.textContent()).toMatch(/^Not verified/);
    expect(await page.getByText(/: no$/).count()).toBe(3);
  });

  it('loses nothing between the first page and the older ones while events come in', async () => {
    const mint = (grants: number) =>
      Promise.all(
        Array.from({ length: grants }, () =>
          sandbox.admin.mint({ holder: 'one of many', budget: '0.01' }),
        ),
      );
    await mint(60);
    const minted = async () =>
      (await sandbox.admin.all<unknown>('/v1/audit/events?kind=grant.minted')).length;
    const page = await person();
    await go(page, '/audit?kind=grant.minted');
    const rows = page.getByRole('region', { name: 'Events' }).getByRole('row');
    await until('the first page is there', async () => (await rows.count()) > 50);
    await button(page, 'Older events').click();
    await until('all are there', async () => (await rows.count()) === (await minted()) + 1);
    await mint(5);
    await until('the newest five are there too, and the others still are', async () => {
      return (await rows.count()) === (await minted()) + 1;
    });
  });

  it('compares two events, and names the members that differ', async () => {
    const page = await person();
    await go(page, '/audit?kind=payment.authorized');
    const rows = page.getByRole('checkbox', { name: /^Compare payment\.authorized/ });
    await rows.nth(1).waitFor();
    expect(await button(page, 'Compare two').isDisabled()).toBe(true);
    await rows.nth(0).check();
    await rows.nth(1).check();
    await button(page, 'Compare two').click();
    await page.getByRole('heading', { name: /^\d+ of \d+ members differ$/ }).waitFor();
    const members = page.getByRole('region', { name: 'Members' });
    await members.getByRole('rowheader', { name: 'paymentId', exact: true }).waitFor();
    expect(await members.getByRole('rowheader', { name: 'treasuryId', exact: true }).count()).toBe(
      0,
    );
    await page.getByLabel('Show those that are the same').check();
    await members.getByRole('rowheader', { name: 'treasuryId', exact: true }).waitFor();
  });

  it('notifies who asked for it when a decision begins to wait, and tells the lock screen nothing of it', async () => {
    const page = await person();
    await page.context().grantPermissions(['notifications']);
    await page.addInitScript(`
      window.shown = [];
      window.Notification = function (title, options) { shown.push({ title, ...options }); };
      Notification.permission = 'granted';
      Notification.requestPermission = async () => 'granted';
      document.hasFocus = () => false;`);
    const shown = () => page.evaluate<{ title: string }[]>('window.shown');
    await go(page, '/inbox');
    const ask = (budget: string) =>
      sandbox.admin
        .mint({ holder: 'asker', budget, approvalAbove: '0.01' })
        .then(({ token }) => sandbox.ask(token, '0.02'));
    await page.getByRole('button', { name: 'Notify me', pressed: false }).waitFor();
    const waiting = page.locator('.inbox li');
    await waiting.first().waitFor();
    const before = await waiting.count();
    expect(await ask('1.00')).toBe(202);
    await until('it is in the inbox', async () => (await waiting.count()) === before + 1);
    expect(await shown()).toEqual([]);
    await button(page, 'Notify me').click();
    await page.getByRole('button', { name: 'Notify me', pressed: true }).waitFor();
    expect(await ask('2.00')).toBe(202);
    await until('it is told', async () => (await shown()).length > 0);
    const [told] = await shown();
    expect(told?.title).toBe('A decision waits');
    expect(JSON.stringify(told)).not.toMatch(/asker|0\.02/);
  });

  it('shows before a limit is saved which payments of the last days it would have refused', async () => {
    const { grant, token } = await sandbox.admin.mint({ holder: 'replayed', budget: '1.00' });
    await sandbox.pay(token, '0.01');
    await sandbox.pay(token, '0.05');
    const page = await person();
    await go(page, `/grants/${grant.id}`);
    await button(page, 'Amend').click();
    await page.getByLabel('Most per payment').fill('0.02');
    await page.getByText('1 payment refused').waitFor();
    const section = page.getByRole('region', { name: 'These terms in' });
    expect(await section.textContent()).toMatch(/\(0\.05 USDC\), 1 allowed \(0\.01 USDC\)/);
    expect(await section.getByRole('listitem').textContent()).toMatch(
      /0\.05 .*per_payment_exceeded/,
    );
    await page.getByLabel('Most per payment').fill('0.05');
    await page.getByText('0 payments refused').waitFor();
    expect((await sandbox.admin.grant(grant.id)).maxPerPayment).toBeNull();
    expect(await axeFindings(page)).toEqual([]);
  });

  it('suspends and revokes all grants of a task, after showing which they are', async () => {
    const labels = { task: 'bulk' };
    const mint = (holder: string) => sandbox.admin.mint({ holder, budget: '1.00', labels });
    const [kept, one, two] = [await mint('kept'), await mint('bulk-1'), await mint('bulk-2')];
    const statuses = async () =>
      Promise.all(
        [kept, one, two].map(async (each) => (await sandbox.admin.grant(each.grant.id)).status),
      );
    const page = await person();
    await go(page, '/grants?label=task:bulk');
    await button(page, 'Stop many').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('3 grants found').waitFor();
    await dialog.getByRole('checkbox', { name: /^kept/ }).uncheck();
    await dialog.getByLabel(/^Reason/).fill('runs away');
    expect(await axeFindings(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Suspend 2 grants' }).click();
    await dialog.getByText('No payment is made under them').waitFor();
    expect(await statuses()).toEqual(['active', 'suspended', 'suspended']);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await button(page, 'Stop many').click();
    await dialog.getByLabel('Act', { exact: true }).selectOption('revoke');
    await dialog.getByText('3 grants found').waitFor();
    const late = await mint('came in');
    await dialog.getByLabel(/^Reason/).fill('over');
    await dialog.getByRole('button', { name: 'Revoke 3 grants' }).click();
    await dialog.getByRole('alert').filter({ hasText: late.grant.id }).waitFor();
    expect(await statuses()).toEqual(['active', 'suspended', 'suspended']);
    await dialog.getByLabel('Of the holder').fill('bulk-1');
    await dialog.getByRole('button', { name: 'Revoke 1 grant' }).click();
    await dialog.getByText('1 grant revoked. No payment').waitFor();
    expect(await statuses()).toEqual(['active', 'revoked', 'suspended']);
  });

  it('amends, suspends, resumes and replaces a token', async () => {
    const { grant, token } = await sandbox.admin.mint({ holder: 'steered', budget: '1.00' });
    const page = await person();
    await go(page, `/grants/${grant.id}`);
    await button(page, 'Amend').click();
    await page.getByLabel(/^Budget/).fill('0.10');
    await page.getByLabel(/^Reason/).fill('less');
    await page.getByRole('dialog').getByRole('button', { name: 'Amend' }).click();
    await page.getByText('0.10 USDC in all').waitFor();
    await button(page, 'Suspend').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
    await page
      .getByRole('definition')
      .filter({ hasText: /^admin:/ })
      .waitFor();
    await button(page, 'Resume').click();
    const suspended = await sandbox.admin.grant(grant.id);
    expect(suspended).toMatchObject({
      status: 'suspended',
      suspendedBy: expect.stringMatching(/^admin:./),
    });
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await button(page, 'Suspend').waitFor();
    await button(page, 'New token').click();
    await button(page, 'Replace the token').click();
    const fresh = (await page.getByTestId('secret').textContent()) ?? '';
    expect(await sandbox.ask(token, '0.01')).toBe(401);
    await sandbox.pay(fresh, '0.01');
  });

  it('stops everything by a typed name, and undoes it', async () => {
    const page = await person();
    await button(page, 'Stop everything').click();
    const stop = page.getByRole('dialog').getByRole('button', { name: /^Stop everything/ });
    expect(await stop.isDisabled()).toBe(true);
    await page.getByLabel(/^Type main/).fill('main');
    await page.getByLabel('Reason').fill('drill');
    await stop.click();
    await page.getByText('Everything of treasury main is stopped: drill').waitFor();
    expect(await sandbox.ask(tree.child.token, '0.01')).toBe(403);
    await page.getByRole('link', { name: 'Resume it in Treasury' }).click();
    await button(page, 'Resume').click();
    await page.getByLabel(/^Type main/).fill('main');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Resume/ })
      .click();
    await button(page, 'Stop everything').waitFor();
    await sandbox.pay(tree.child.token, '0.01');
  });

  it('shows how to fund a wallet and how long the money lasts, and takes a wallet out of use', async () => {
    // Money that is signed for sellers that are nobody's is given back after a minute.
    const wallet = await until(
      'a wallet holds nothing back',
      async () => {
        const { items } = await sandbox.admin.read<{
          items: { id: string; address: string; reserved: string }[];
        }>('/v1/wallets');
        const busy = new Set(items.filter((each) => each.reserved !== '0.00').map(({ id }) => id));
        return items.find(({ id }) => !busy.has(id));
      },
      150_000,
    );
    const statusNow = async () => {
      const list = await sandbox.admin.read<{ items: { id: string; status: string }[] }>(
        '/v1/wallets',
      );
      return list.items.find(({ id }) => id === wallet.id)?.status;
    };
    const page = await person();
    await go(page, '/treasury');
    const runway = page.getByRole('region', { name: 'Runway at the pace of the last day' });
    await runway.getByText('over a year').waitFor();
    const row = page.getByRole('row').filter({ hasText: wallet.address });
    await row.getByRole('button', { name: 'Fund' }).click();
    const drawn = page.getByRole('img', { name: `QR code of ${wallet.address}` });
    const path = await drawn.locator('path').getAttribute('d');
    expect(readQr(path ?? '', (await drawn.getAttribute('viewBox')) ?? '')).toBe(wallet.address);
    expect(await axeFindings(page)).toEqual([]);
    await page.getByRole('button', { name: 'Done' }).click();
    await row.getByRole('button', { name: 'Drain' }).click();
    await page.getByRole('button', { name: 'Drain: it pays no more' }).click();
    const retire = page.getByRole('button', { name: 'Retire: for good' });
    await retire.waitFor();
    expect(await statusNow()).toBe('draining');
    expect(await axeFindings(page)).toEqual([]);
    await retire.click();
    await page.getByText('It signs nothing any more').waitFor();
    expect(await statusNow()).toBe('retired');
  }, 240_000);

  it('finds whatever is pasted', async () => {
    const { payment } = await sandbox.pay(tree.child.token, '0.02', { key: 'the-key-of-page-9' });
    const page = await person();
    for (const [text, heading] of [
      [payment.id, '0.02 USDC'],
      [payment.nonce, '0.02 USDC'],
      ['the-key-of-page-9', '0.02 USDC'],
      [tree.child.grant.id, 'reader'],
      ['reader', 'reader'],
      ['treas', 'Treasury'],
    ] as const) {
      await go(page, '/audit');
      await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('dialog').getByRole('combobox').fill(text);
      const hint = heading === 'Treasury' ? /Treasury/ : /grant|payment/;
      await page.getByRole('dialog').getByRole('option', { name: hint }).first().waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    }
  });

  it('shows a holder its subtree only, and an auditor no control', async () => {
    const holder = await person(tree.child.token);
    expect(await holder.getByRole('navigation').textContent()).not.toContain('Treasury');
    await go(holder, '/grants');
    await holder.getByRole('link', { name: 'reader' }).waitFor();
    expect(await holder.getByRole('row').count()).toBe(2);
    await go(holder, `/grants/${tree.root.grant.id}`);
    await holder.getByText('Not there, or not yours to see').waitFor();
    const { text } = await sandbox.admin.get('/v1/treasuries');
    expect(text).toContain('main');
    const auditor = await person(await auditorToken(sandbox));
    for (const path of ['/', '/grants', `/grants/${tree.child.grant.id}`, '/inbox', '/treasury']) {
      await go(auditor, path);
      await auditor.getByRole('heading', { level: 1 }).waitFor();
      await auditor.getByText('live, read').waitFor();
      const acts =
        /^(Mint|Delegate|Stop many|Amend|Suspend|Resume|Revoke|New token|Stop|Approve|Reject)/;
      expect(await button(auditor, acts).count()).toBe(0);
    }
  });

  it('keeps the token in no URL and no storage, and nothing after signing out', async () => {
    const page = await person();
    const stored = await page.evaluate<string>(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    );
    expect(stored).not.toMatch(/eyJ|bursar=/);
    await button(page, 'Sign out').click();
    await page.getByLabel(/^Token/).waitFor();
    await page.goBack().catch(() => {});
    await go(page, '/grants');
    await page.getByLabel(/^Token/).waitFor();
  });

  it('says when it is out of date', async () => {
    const page = await person();
    await page.route(/\/(v1|console\/session)/, (route) => route.abort());
    await page.getByText('The service has not answered for a while').waitFor({ timeout: 90_000 });
    await page.unroute(/\/(v1|console\/session)/);
    await page.getByText('live, read').waitFor();
  });

  it('loads at most 200 kB before it can be used', async () => {
    const page = await person();
    const names = await page.evaluate<string[]>(
      `performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).filter((path) => path.includes('/assets/'))`,
    );
    const bytes = [...new Set(names)].map((name) => {
      const file = name.replace('/console/assets/', '');
      return readFileSync(new URL(`../console/dist/assets/${file}.gz`, import.meta.url)).length;
    });
    expect(bytes.length).toBeGreaterThan(2);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(FIRST_LOAD_BYTES);
  });

  it.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['320 px', { viewport: { width: 320, height: 720 } }],
  ] as const)(
    'passes axe on every page, %s, and never scrolls sideways',
    async (theme, options) => {
      const refused = await eventOf('payment.refused');
      const [payment] = await sandbox.admin.all<{ id: string }>(
        `/v1/payments?grantId=${tree.child.grant.id}`,
      );
      const page = await person(sandbox.adminToken, options);
      const wrong: string[] = [];
      const look = async (name: string) => wrong.push(...(await lookAt(page, theme, name)));
      for (const path of [
        ...['/', '/grants', '/grants/new', `/grants/${tree.root.grant.id}`, '/payments', '/inbox'],
        ...[`/payments/${payment?.id}`, '/audit', `/audit/${refused}`, '/treasury', '/nowhere'],
      ]) {
        await go(page, path);
        await page.getByRole('heading').first().waitFor();
        await waitUntilRead(page);
        await look(path);
      }
      await go(page, `/grants/${tree.root.grant.id}`);
      for (const name of ['Revoke', 'Amend', 'Suspend', 'New token']) {
        await openDialog(page, name);
        await look(`dialog ${name}`);
        await closeDialog(page);
      }
      await page.keyboard.press('Control+k');
      await page.getByRole('dialog').getByRole('combobox').waitFor();
      await look('palette');
      expect(wrong).toEqual([]);
    },
    // Two dozen looks, each a second or more where the machine has other work.
    240_000,
  );
});

/** The text of a QR code, read as a camera would from the modules that were drawn. */
function readQr(path: string, viewBox: string): string {
  const scale = 4;
  const size = Number(viewBox.split(' ').at(-1)) * scale;
  const data = new Uint8ClampedArray(size * size * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let row = Number(y) * scale; row < (Number(y) + 1) * scale; row += 1) {
      const from = (row * size + Number(x) * scale) * 4;
      for (let at = from; at < from + scale * 4; at += 4) data.set([0, 0, 0], at);
    }
  }
  return decodeQR({ width: size, height: size, data });
}
