import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Caller } from '../src/access/caller.js';
import { ApprovalLinks } from '../src/approval-links/approval-links.service.js';
import type { Config } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { RequestsService } from '../src/grants/requests.service.js';
import type { Notifier } from '../src/outbox/notifier.js';
import type { ApprovalsService } from '../src/payments/approvals.service.js';
import { PaymentList } from '../src/payments/payment-list.service.js';
import { type Api, expectProblem, type Paid } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { type Received, type Receiver, startReceiver } from './support/receiver.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

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
    {} as RequestsService,
    { publicUrl: stack.service.url } as Config,
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
    const link = await links.make(ADMIN, { kind: 'payment', id });
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
    const link = await links.make(ADMIN, { kind: 'payment', id });
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
    const subject = { kind: 'payment', id } as const;
    // Nobody decides about what it asked for itself.
    await expect(links.make(of(holder(agent.id)), subject)).rejects.toMatchObject({
      code: 'forbidden',
    });
    // A token that was replaced does nothing, and neither does its link.
    const replaced = await links.make(of(holder(agent.parent, 0)), subject);
    expect(await post(replaced, 'approve')).toMatchObject({ status: 401 });
    const above = await links.make(of(holder(agent.parent)), subject);
    const other = await links.make(ADMIN, subject);
    expect(await post(above, 'reject')).toMatchObject({ status: 200 });
    // The payment is decided: nothing is left for the others.
    expect(await post(other, 'approve')).toMatchObject({ status: 409 });
    expect((await fetch(other)).status).toBe(404);
  });

  it('ends with the tokens of its approver', async () => {
    const { id } = await ask();
    const gone: Caller = { ...ADMIN, name: 'gone', actor: 'admin:gone' };
    const link = await links.make(gone, { kind: 'payment', id });
    expect((await fetch(link)).status).toBe(404);
    expect(await post(link, 'approve')).toMatchObject({ status: 404 });
  });

  it('ends when the approval lapses', async () => {
    const { id } = await ask();
    const link = await links.make(ADMIN, { kind: 'payment', id });
    expect((await fetch(link)).status).toBe(200);
    await stack.db.query(
      `UPDATE payments SET approval_lapses_at = now() - interval '1 second' WHERE id = $1`,
      [id],
    );
    expect((await fetch(link)).status).toBe(404);
    // A page that was open decides nothing either.
    expect((await post(link, 'approve')).status).toBe(409);
    expect((await admin.payment(id)).approval?.approvedAt).toBeNull();
  });

  it('is made for nobody who only reads, and for no payment that does not wait', async () => {
    const { id } = await ask();
    const auditor: Caller = { ...ADMIN, role: 'auditor' };
    await expect(links.make(auditor, { kind: 'payment', id })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await admin.post(`/v1/payments/${id}/reject`, {});
    await expect(links.make(ADMIN, { kind: 'payment', id })).rejects.toMatchObject({
      code: 'invalid_transition',
    });
  });

  it('stands in no table, event or answer', async () => {
    const { id } = await ask();
    const link = (await links.make(ADMIN, { kind: 'payment', id })).split('/').at(-1) ?? '';
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

describe('a link for a raise', () => {
  it('decides nothing once the request has lapsed', async () => {
    // No worker runs, so that the request still waits when its time is over.
    const environment = { BURSAR_ROLE: 'api', BURSAR_APPROVAL_SECONDS: '1' };
    const own = await startTestStack({ environment });
    const books = new Database(own.databaseUrl, { maxConnections: 2 });
    try {
      const { grant, token } = await own.admin.mint({ budget: '1.00' });
      const holder = own.admin.as(token);
      const { body } = await holder.post<{ request: { id: string } }>('/v1/grant-requests', {
        budget: '2.00',
        reason: 'more pages',
      });
      const maker = new ApprovalLinks(
        books,
        new PaymentList(books),
        {} as ApprovalsService,
        new RequestsService(books, {} as Notifier, {} as Config),
        { publicUrl: own.service.url } as Config,
      );
      const link = await maker.make(
        { ...ADMIN, role: 'admin' },
        { kind: 'raise', id: body.request.id },
      );
      await until('its page is gone', async () => (await fetch(link)).status === 404);
      // A page that was open before decides nothing either.
      expect(await post(link, 'approve')).toMatchObject({
        status: 409,
        text: expect.stringContaining('waits no more: it is lapsed'),
      });
      const { items } = await own.admin.read<{ items: object[] }>('/v1/grant-requests');
      expect(items).toEqual([expect.objectContaining({ status: 'pending', decidedBy: null })]);
      expect((await own.admin.grant(grant.id)).budget).toBe('1.00');
    } finally {
      await books.close();
      await own.stop();
    }
  }, 60_000);
});

describe('a webhook with approval links', () => {
  const PUBLIC_URL = 'https://bursar.example';
  const KINDS = ['approval.needed', 'grant_request.*', 'payment.pending'];
  let own: TestStack;
  let receiver: Receiver;
  let parent: Api;
  let child: { api: Api; id: string };

  type Linked = Received & { readonly body: { readonly approvalLink?: string } };

  beforeAll(async () => {
    receiver = await startReceiver();
    own = await startTestStack({
      environment: { BURSAR_PUBLIC_URL: PUBLIC_URL, BURSAR_WEBHOOK_ALLOW: '127.0.0.1' },
    });
    const above = await own.admin.mint({ budget: '10.00', delegationDepth: 1 });
    parent = own.admin.as(above.token);
    const { token, grant } = await parent.mint({ budget: '1.00', approvalAbove: '0.00' });
    child = { api: own.admin.as(token), id: grant.id };
  }, 60_000);

  afterAll(async () => {
    expect(await wrongInBooks(own)).toEqual([]);
    await own?.stop();
    await receiver?.stop();
  });

  const hook = (api: Api, more: object = {}) =>
    api.post<{ webhook: { id: string; approvalLinks: boolean } }>('/v1/webhooks', {
      ...{ url: receiver.url, kinds: KINDS, approvalLinks: true },
      ...more,
    });

  /** The delivery of one kind of event about a thing. */
  const delivered = (kind: string, id: string) =>
    until(
      `${kind} of ${id}`,
      () =>
        receiver.received.find(({ body, text }) => body.type === kind && text.includes(id)) as
          | Linked
          | undefined,
    );

  const linkOf = ({ body }: Linked) => {
    expect(body.approvalLink).toMatch(/^https:\/\/bursar\.example\/approve\/[A-Za-z0-9_-]{22}$/);
    return `${own.service.url}${new URL(body.approvalLink ?? '').pathname}`;
  };

  /** A payment of the child that waits. */
  const wait = async (key: string) => {
    const { body } = await child.api.pay<Paid>(order(own.chain), key);
    return body.payment.id;
  };

  const raise = async (budget: string) => {
    const asked = { budget, reason: '<b>more pages</b>' };
    const { body } = await child.api.post<{ request: { id: string } }>('/v1/grant-requests', asked);
    return body.request.id;
  };

  /** Registers a webhook, and deletes it after the test's part that needs it. */
  const withHook = async (api: Api, more: object, work: () => Promise<void>) => {
    receiver.received.splice(0);
    const { body, status } = await hook(api, more);
    expect(status).toBe(201);
    try {
      await work();
    } finally {
      await own.admin.call('DELETE', `/v1/webhooks/${body.webhook.id}`);
    }
  };

  it('sends the admin who registered it a link for a payment that waits', () =>
    withHook(own.admin, {}, async () => {
      const id = await wait('by-admin');
      const needed = await delivered('approval.needed', id);
      expect(needed.body.data).toMatchObject({
        grantId: child.id,
        data: { value: '10000', currency: 'USDC', askedBy: child.id },
      });
      const link = linkOf(needed);
      expect(await (await fetch(link)).text()).toContain('admin:tester');
      expect(await post(link, 'approve')).toMatchObject({ status: 200 });
      expect((await own.admin.payment(id)).approval).toMatchObject({ decidedBy: 'admin:tester' });
      const pending = await delivered('payment.pending', id);
      expect(pending.body).not.toHaveProperty('approvalLink');
      const events = await own.admin.all('/v1/audit/events');
      expect(JSON.stringify(events)).not.toContain(link.split('/').at(-1));
    }));

  it('sends a holder above a link for a raise, which changes the grant', () =>
    withHook(parent, {}, async () => {
      const id = await raise('2.00');
      const link = linkOf(await delivered('grant_request.created', id));
      const html = await (await fetch(link)).text();
      expect(html).toContain('Raise to 2.00 USDC');
      expect(html).toContain('instead of 1.00 USDC');
      expect(html).not.toContain('<b>more');
      expect(await post(link, 'approve')).toMatchObject({
        status: 200,
        text: expect.stringContaining('2.00 USDC now'),
      });
      expect((await fetch(link)).status).toBe(404);
      expect((await own.admin.grant(child.id)).budget).toBe('2.00');
    }));

  it('rejects a raise by its link', () =>
    withHook(own.admin, {}, async () => {
      const id = await raise('3.00');
      const link = linkOf(await delivered('grant_request.created', id));
      expect(await post(link, 'reject')).toMatchObject({ status: 200 });
      const { items } = await own.admin.read<{ items: { id: string; status: string }[] }>(
        '/v1/grant-requests',
      );
      expect(items.find((each) => each.id === id)?.status).toBe('rejected');
    }));

  it('sends no link to whoever asked, nor where none was asked for', async () => {
    for (const [api, more] of [
      [child.api, {}],
      [own.admin, { approvalLinks: false }],
    ] as const) {
      await withHook(api, more, async () => {
        const id = await wait(`no-link-${api === child.api}`);
        expect((await delivered('approval.needed', id)).body).not.toHaveProperty('approvalLink');
        await own.admin.post(`/v1/payments/${id}/reject`, {});
      });
    }
  });

  it('sends none to an address that it did not have when it was registered', async () => {
    receiver.received.splice(0);
    const { body } = await hook(own.admin);
    const path = `/v1/webhooks/${body.webhook.id}`;
    const same = await own.admin.call<{ webhook: object }>('PATCH', path, { url: receiver.url });
    expect(same.body.webhook).toMatchObject({ approvalLinks: true });
    const other = { url: `${receiver.url}/elsewhere` };
    const moved = await own.admin.call<{ webhook: object }>('PATCH', path, other);
    expect(moved.body.webhook).toMatchObject({ approvalLinks: false });
    const id = await wait('moved');
    expect((await delivered('approval.needed', id)).body).not.toHaveProperty('approvalLink');
    await own.admin.call('DELETE', path);
  });

  it('keeps no link of an answer that repeats it', async () => {
    receiver.received.splice(0);
    receiver.answer = (response, { text }) => void response.end(text);
    const { body } = await hook(own.admin);
    const link = linkOf(await delivered('approval.needed', await wait('echoed')));
    const path = `/v1/webhooks/${body.webhook.id}/deliveries`;
    const kept = await until('the answer is kept', async () => {
      const { text } = await own.admin.get(path);
      return text.includes('approval.needed') && text.includes('/approve/') && text;
    });
    expect(kept).toContain('/approve/[redacted]');
    expect(kept).not.toContain(link.split('/').at(-1));
    receiver.answer = (response) => void response.end('thanks');
    await own.admin.call('DELETE', `/v1/webhooks/${body.webhook.id}`);
  });

  it('needs the address of the service', async () => {
    const refused = await admin.post('/v1/webhooks', {
      ...{ url: receiver.url, kinds: ['*'], approvalLinks: true },
    });
    expectProblem(refused, 400, 'invalid_request');
    expect(refused.text).toContain('BURSAR_PUBLIC_URL');
  });
});
