import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Caller } from '../src/access/caller.js';
import type { Config } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { ApprovalLinks } from '../src/payments/approval-links.service.js';
import type { ApprovalsService } from '../src/payments/approvals.service.js';
import { PaymentList } from '../src/payments/payment-list.service.js';
import type { Api, Paid } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { order } from './support/terms.js';

let stack: TestStack;
let admin: Api;
let database: Database;
let links: ApprovalLinks;
let agent: { id: string; token: string; parent: string };

const ADMIN: Caller = {
  kind: 'admin',
  name: 'tester',
  role: 'approver',
  treasuries: undefined,
  actor: 'admin:tester',
};

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
  await stack.service.mintAdminToken({ name: 'tester', role: 'approver' }, 3600);
  database = new Database(stack.databaseUrl, { maxConnections: 2 });
  links = new ApprovalLinks(
    database,
    new PaymentList(database),
    {} as ApprovalsService,
    {
      publicUrl: stack.service.url,
    } as Config,
  );
  const parent = await admin.mint({ budget: '10.00', delegationDepth: 1 });
  const child = await admin.as(parent.token).mint({
    budget: '5.00',
    approvalAbove: '0.00',
    holder: '<img src=x onerror=alert(1)>',
  });
  agent = { id: child.grant.id, token: child.token, parent: parent.grant.id };
}, 60_000);

afterAll(async () => {
  await database?.close();
  await stack?.stop();
});

/** A payment that waits, as its agent asks for it. */
async function ask(memo = 'a page') {
  const body = order(stack.chain, {}, { memo });
  const key = `link-${Math.random()}`;
  const { body: answer } = await admin.as(agent.token).pay<Paid>(body, key);
  return { id: answer.payment.id, collect: () => admin.as(agent.token).pay<Paid>(body, key) };
}

async function post(link: string, decision: string) {
  const response = await fetch(link, { method: 'POST', body: new URLSearchParams({ decision }) });
  return { status: response.status, text: await response.text() };
}

describe('a one-time link', () => {
  it('shows what is asked, and decides by a click only', async () => {
    const { id, collect } = await ask('<script>alert(1)</script>');
    const link = await links.make(ADMIN, id);
    expect(link).toMatch(/\/approve\/[A-Za-z0-9_-]{22}$/);
    for (const _ of [1, 2]) {
      const page = await fetch(link);
      const html = await page.text();
      expect(page.status).toBe(200);
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
      const policy = page.headers.get('content-security-policy');
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain('script-src');
      expect(page.headers.get('referrer-policy')).toBe('no-referrer');
      expect(html).toContain('Approve 0.01 USDC');
      expect(html).toContain('api.example.com');
      expect(html).toContain('admin:tester');
      expect(html).not.toMatch(/<script|<img/);
      expect((await collect()).status).toBe(202);
    }
    expect((await fetch(link, { method: 'HEAD' })).status).toBeLessThan(500);
    expect(await post(link, 'maybe')).toMatchObject({ status: 400 });
    expect(await post(link, 'approve')).toMatchObject({
      status: 200,
      text: expect.stringContaining('Approved'),
    });
    expect((await admin.payment(id)).approval).toMatchObject({ decidedBy: 'admin:tester' });
    expect((await collect()).status).toBe(201);
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('works once, whoever clicks at the same time', async () => {
    const { id } = await ask();
    const link = await links.make(ADMIN, id);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => post(link, n % 2 === 0 ? 'reject' : 'approve')),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 404)).toHaveLength(11);
    expect((await fetch(link)).status).toBe(404);
  });

  it('acts as its approver, under all rules', async () => {
    const { id } = await ask();
    const holder = (grantId: string, tokenGeneration = 1): Caller => ({
      kind: 'holder',
      treasuryId: '',
      grantId,
      tokenGeneration,
      keyThumbprint: undefined,
      actor: `grant:${grantId}`,
    });
    const { rows } = await stack.db.query('SELECT treasury_id FROM payments WHERE id = $1', [id]);
    const of = (caller: Caller): Caller =>
      caller.kind === 'holder' ? { ...caller, treasuryId: rows[0].treasury_id } : caller;
    // The paying grant's own holder does not stand above what asks.
    const own = await links.make(of(holder(agent.id)), id);
    expect(await post(own, 'approve')).toMatchObject({ status: 403 });
    // A token that was replaced does nothing, and neither does its link.
    const replaced = await links.make(of(holder(agent.parent, 0)), id);
    expect(await post(replaced, 'approve')).toMatchObject({ status: 401 });
    const above = await links.make(of(holder(agent.parent)), id);
    expect(await post(above, 'reject')).toMatchObject({ status: 200 });
    // The payment is decided: nothing is left for the others.
    expect(await post(own, 'approve')).toMatchObject({ status: 409 });
    expect((await fetch(own)).status).toBe(404);
  });

  it('ends with the tokens of its approver', async () => {
    const { id } = await ask();
    const gone: Caller = { ...ADMIN, name: 'gone', actor: 'admin:gone' };
    const link = await links.make(gone, id);
    expect((await fetch(link)).status).toBe(404);
    expect(await post(link, 'approve')).toMatchObject({ status: 404 });
  });

  it('is made for nobody who only reads, and for no payment that does not wait', async () => {
    const { id } = await ask();
    const auditor: Caller = { ...ADMIN, role: 'auditor' };
    await expect(links.make(auditor, id)).rejects.toMatchObject({ code: 'forbidden' });
    await admin.post(`/v1/payments/${id}/reject`, {});
    await expect(links.make(ADMIN, id)).rejects.toMatchObject({ code: 'invalid_transition' });
  });

  it('stands in no table, event or answer', async () => {
    const { id } = await ask();
    const link = (await links.make(ADMIN, id)).split('/').at(-1) ?? '';
    const { rows } = await stack.db.query('SELECT to_jsonb(l) AS row FROM approval_links l');
    expect(JSON.stringify(rows)).not.toContain(link);
    const events = await admin.all('/v1/audit/events');
    expect(JSON.stringify(events)).not.toContain(link);
  });

  it.each(['x', 'A'.repeat(22), '../v1/grants', '%00'])('answers alike for %s', async (link) => {
    const response = await fetch(`${stack.service.url}/approve/${link}`);
    expect([400, 401, 404]).toContain(response.status);
  });
});
