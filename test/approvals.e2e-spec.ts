import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { type Answer, Api, expectProblem, type Minted, type Paid } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { CENT, decodeHeader, order } from './support/terms.js';
import { until } from './support/until.js';

interface Pending {
  readonly payment: PaymentView;
  readonly grant: { readonly remaining: string };
}

let stack: TestStack;
let admin: Api;
let approver: Api;
let root: Minted;
let child: Minted;
let holder: Api;
let orchestrator: Api;

const dear = () => order(stack.chain, { amount: (CENT * 100n).toString() });

beforeAll(async () => {
  stack = await startTestStack({ environment: { BURSAR_APPROVAL_SECONDS: '8' } });
  admin = stack.admin;
  const { service } = stack;
  approver = new Api(
    service.url,
    await service.mintAdminToken({ name: 'ada', role: 'approver' }, 600),
  );
  root = await admin.mint({ budget: '10.00', delegationDepth: 2 });
  orchestrator = admin.as(root.token);
  child = await orchestrator.mint({ budget: '9.00', approvalAbove: '0.50', delegationDepth: 1 });
  holder = admin.as(child.token);
}, 60_000);

afterAll(async () => {
  await stack?.stop();
});

const approve = (api: Api, id: string, body: unknown = {}): Promise<Answer<Pending>> =>
  api.post<Pending>(`/v1/payments/${id}/approve`, body);

async function pend(key: string, body: unknown = dear()): Promise<PaymentView> {
  const answer = await holder.pay<Pending>(body, key);
  expect(answer.status).toBe(202);
  return answer.body.payment;
}

describe('a payment above approvalAbove', () => {
  it('waits, holds nothing, and the same call answers the same until somebody decides', async () => {
    const first = await holder.pay<Pending & { header?: unknown }>(dear(), 'waits');
    expect(first).toMatchObject({
      status: 202,
      body: {
        payment: {
          status: 'pending_approval',
          amount: '1.00',
          wallet: null,
          nonce: null,
          validBefore: null,
        },
        grant: { remaining: '9.00' },
      },
    });
    expect(first.body.header).toBeUndefined();
    const again = await holder.pay<Pending>(dear(), 'waits');
    expect(again).toMatchObject({ status: 202, body: { payment: { id: first.body.payment.id } } });
    expect(await admin.grant(child.grant.id)).toMatchObject({
      reserved: '0.00',
      payments: 0,
      remaining: '9.00',
    });
    expect(
      await admin.read(`/v1/payments?grantId=${child.grant.id}&status=pending_approval`),
    ).toMatchObject({ items: [{ id: first.body.payment.id }] });
  });

  it('is paid after an approval: the same call answers 201, and again with the same header', async () => {
    const { id } = await pend('approved');
    const approved = await approve(approver, id, { reason: 'worth it' });
    expect(approved).toMatchObject({
      status: 200,
      body: {
        payment: {
          id,
          status: 'pending_approval',
          nonce: null,
          approval: {
            decidedBy: 'admin:ada',
            approvedAt: expect.any(String),
            collectBefore: expect.any(String),
          },
        },
      },
    });
    expect(await admin.grant(root.grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
    const paid = await holder.pay<Paid>(dear(), 'approved');
    expect(paid.status).toBe(201);
    expect(paid.body.payment.id).toBe(id);
    expect(decodeHeader(paid.body.header.value).payload.authorization).toMatchObject({
      value: (CENT * 100n).toString(),
      nonce: paid.body.payment.nonce,
    });
    const again = await holder.pay<Paid>(dear(), 'approved');
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.body.header).toEqual(paid.body.header);
    expectProblem(await approve(admin, id), 409, 'invalid_transition');
    expectProblem(await admin.post(`/v1/payments/${id}/reject`, {}), 409, 'invalid_transition');
  });

  it('of exactly that much needs none', async () => {
    const exact = order(stack.chain, { amount: (CENT * 50n).toString() });
    expect((await holder.pay(exact)).status).toBe(201);
  });

  it('is ended by a rejection, with its reason, for good', async () => {
    const { id } = await pend('rejected');
    const answer = await orchestrator.post(`/v1/payments/${id}/reject`, { reason: 'too dear' });
    expect(answer).toMatchObject({ status: 200, body: { payment: { status: 'rejected' } } });
    const again = await holder.pay(dear(), 'rejected');
    expectProblem(again, 409, 'payment_ended', { nextAction: 'stop', payment: { id } });
    expect(again.body.detail).toContain('too dear');
    expectProblem(await approve(admin, id), 409, 'invalid_transition');
  });

  it('lapses when nobody decides in time', async () => {
    const { id } = await pend('lapses');
    const lapsed = await until('the payment lapses', async () => {
      const payment = await admin.payment(id);
      return payment.status === 'rejected' ? payment : undefined;
    });
    expect(lapsed.approval?.reason).toBe('it was not approved, or not collected, in time');
    expectProblem(await approve(admin, id), 409, 'invalid_transition');
  });

  it('lapses when its agent does not collect it in time', async () => {
    const { id } = await pend('uncollected');
    expect((await approve(approver, id)).status).toBe(200);
    await until('the payment lapses', async () => (await admin.payment(id)).status === 'rejected');
    expectProblem(await holder.pay(dear(), 'uncollected'), 409, 'payment_ended', {
      nextAction: 'stop',
    });
  });

  it('is rejected also after an approval, until it is collected', async () => {
    const { id } = await pend('taken back');
    expect((await approve(approver, id)).status).toBe(200);
    expect((await admin.post(`/v1/payments/${id}/reject`, { reason: 'no' })).status).toBe(200);
    expectProblem(await holder.pay(dear(), 'taken back'), 409, 'payment_ended');
  });

  it('is decided again at the hand-over: what no longer fits is refused, and it waits on', async () => {
    const small = await orchestrator.mint({ budget: '1.50', approvalAbove: '0.50' });
    const api = admin.as(small.token);
    const waiting = await api.pay<Pending>(dear(), 'again');
    expect(waiting.status).toBe(202);
    for (const _ of [1, 2]) {
      await api.paid(order(stack.chain, { amount: (CENT * 30n).toString() }));
    }
    const { id } = waiting.body.payment;
    expect((await approve(admin, id)).status).toBe(200);
    expectProblem(await api.pay(dear(), 'again'), 403, 'budget_exceeded', {
      grantId: small.grant.id,
      limit: '1.50',
      remaining: '0.90',
      payment: { id, status: 'pending_approval', validBefore: null },
    });
    expect((await admin.payment(id)).status).toBe('pending_approval');
    await admin.post(`/v1/grants/${small.grant.id}/revoke`, {});
    expectProblem(await approve(admin, id), 403, 'grant_revoked');
    expectProblem(await api.pay(dear(), 'again'), 403, 'grant_revoked');
  });
});

describe('who may approve', () => {
  it('is an approver, an admin, or a holder above the grant that asks; nobody else', async () => {
    const { id } = await pend('who');
    expectProblem(await approve(holder, id), 403, 'forbidden', { grantId: child.grant.id });
    const sibling = await orchestrator.mint({ budget: '1.00' });
    expectProblem(await approve(admin.as(sibling.token), id), 404, 'not_found');
    const auditor = await stack.service.mintAdminToken({ name: 'aud', role: 'auditor' }, 600);
    expectProblem(await approve(admin.as(auditor), id), 403, 'forbidden');
    expect((await approve(orchestrator, id)).status).toBe(200);
  });

  it('is not a holder that delegated to itself what its own grant holds up', async () => {
    const own = await holder.mint({ budget: '5.00' });
    const waiting = await admin.as(own.token).pay<Pending>(dear(), 'escape');
    expect(waiting.status).toBe(202);
    expectProblem(await approve(holder, waiting.body.payment.id), 403, 'forbidden', {
      grantId: child.grant.id,
    });
    expect((await approve(orchestrator, waiting.body.payment.id)).status).toBe(200);
  });

  it('decides once, however many decide at once', async () => {
    const { id } = await pend('race');
    const answers = await Promise.all(
      [approver, admin, orchestrator, approver].map((api) => approve(api, id)),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const approvals = await admin.all(`/v1/audit/events?paymentId=${id}&kind=payment.approved`);
    expect(approvals).toHaveLength(1);
  });

  it('is handed over once, however many ask at once', async () => {
    const { id } = await pend('collected');
    await approve(approver, id);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => holder.pay<Paid>(dear(), 'collected')),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(new Set(answers.map(({ body }) => body.header.value)).size).toBe(1);
    const signed = await admin.all(`/v1/audit/events?paymentId=${id}&kind=payment.authorized`);
    expect(signed).toHaveLength(1);
  });
});

it('tells every step in an event, with who and why', async () => {
  const { id } = await pend('told');
  await approve(approver, id, { reason: 'fine' });
  await holder.paid(dear(), 'told');
  const events = await admin.all<{ kind: string; actor: string; reason: string | null }>(
    `/v1/audit/events?paymentId=${id}`,
  );
  expect(events.reverse()).toMatchObject([
    { kind: 'payment.pending', actor: `grant:${child.grant.id}` },
    { kind: 'approval.needed', actor: 'system:payments' },
    { kind: 'payment.approved', actor: 'admin:ada', reason: 'fine' },
    { kind: 'payment.authorized' },
  ]);
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
