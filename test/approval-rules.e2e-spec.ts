import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PaymentView } from '../src/payments/payments.dto.js';
import type { Service } from '../src/service.js';
import { type Answer, Api, expectProblem, type Minted, type Paid } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { CENT, decodeHeader, order, orderV1 } from './support/terms.js';
import { until } from './support/until.js';

// Two-person mode, and the life of an approval from the moment it is given to the hand-over.

interface Pending {
  readonly payment: PaymentView;
}

let stack: TestStack;
let replica: Service;
let admin: Api;
let ada: Api;
let bob: Api;
let keys = 0;

beforeAll(async () => {
  stack = await startTestStack({ environment: { BURSAR_TWO_PERSON: 'true' } });
  replica = await startReplica(stack, 'api', undefined, { BURSAR_TWO_PERSON: 'true' });
  admin = stack.admin;
  ada = await admins('ada', 'admin');
  bob = await admins('bob', 'approver');
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

async function admins(name: string, role: 'admin' | 'approver'): Promise<Api> {
  return new Api(stack.service.url, await stack.service.mintAdminToken({ name, role }, 600));
}

const dear = (changes: Record<string, unknown> = {}) =>
  order(stack.chain, {
    amount: (CENT * 100n).toString(),
    extra: { name: 'USDC', version: '2', nonce: `${Math.random()}` },
    ...changes,
  });

const key = () => `rule-${++keys}`;

const approve = (api: Api, { id }: PaymentView): Promise<Answer<Pending>> =>
  api.post<Pending>(`/v1/payments/${id}/approve`, {});

async function pend(api: Api, name: string, body: unknown = dear()): Promise<PaymentView> {
  const answer = await api.pay<Pending>(body, name);
  expect(answer.status).toBe(202);
  return answer.body.payment;
}

/** A grant that the tester minted; the tester may not approve under it. */
async function asking(terms: Record<string, unknown> = {}): Promise<Minted & { api: Api }> {
  const minted = await admin.mint({ budget: '10.00', approvalAbove: '0.50', ...terms });
  return { ...minted, api: admin.as(minted.token) };
}

async function expectNothingReserved({ grant }: Minted): Promise<void> {
  expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
}

describe('two-person mode', () => {
  it('lets nobody approve under a grant that he minted, and anybody else who may', async () => {
    const { api } = await asking();
    const name = key();
    const waiting = await pend(api, name);
    expectProblem(await approve(admin, waiting), 403, 'forbidden');
    expect((await api.pay(dear(), name)).status).toBe(202);
    expect((await approve(bob, waiting)).status).toBe(200);
    expect((await api.pay(dear(), name)).status).toBe(201);
  });

  it('lets no holder approve what its own delegate asks for', async () => {
    const root = await admin.mint({ budget: '10.00', delegationDepth: 2 });
    const holder = admin.as(root.token);
    const child = await holder.mint({ budget: '9.00', approvalAbove: '0.50' });
    const waiting = await pend(admin.as(child.token), key());
    expectProblem(await approve(holder, waiting), 403, 'forbidden');
    expectProblem(await approve(admin, waiting), 403, 'forbidden');
    expect((await approve(ada, waiting)).status).toBe(200);
  });
});

describe('an approval, until it is collected', () => {
  it('is of one payment: another key waits for its own', async () => {
    const { api } = await asking();
    const name = key();
    await approve(ada, await pend(api, name));
    expect((await api.pay(dear(), key())).status).toBe(202);
    expect((await api.pay(dear(), name)).status).toBe(201);
  });

  it('is collected with a 402 of the other version, whose wrapper the first header has', async () => {
    const minted = await asking();
    const name = key();
    const waiting = await pend(minted.api, name);
    await approve(ada, waiting);
    const v1 = orderV1(stack.chain, { maxAmountRequired: (CENT * 100n).toString() });
    const paid = await minted.api.paid(v1, name);
    expect(paid.header.name).toBe('X-PAYMENT');
    const { body } = await minted.api.get<Paid>(`/v1/payments/${waiting.id}/header`);
    expect(body.header).toEqual(paid.header);
  });

  it('is not used up by a 402 that cannot be paid now', async () => {
    const minted = await asking();
    const name = key();
    const waiting = await pend(minted.api, name);
    await approve(ada, waiting);
    const unpayable = [
      dear({ maxTimeoutSeconds: 6 }),
      dear({ note: 'x'.repeat(9_000) }),
      { ...dear(), paymentRequired: 'nonsense' },
    ];
    for (const body of unpayable) {
      expectProblem(await minted.api.pay(body, name), 422, 'requirements_invalid', {
        payment: { id: waiting.id, status: 'pending_approval', validBefore: null },
      });
    }
    await expectNothingReserved(minted);
    expect((await minted.api.pay(dear(), name)).status).toBe(201);
  });

  it('does not make a limit wider: what no longer fits is refused, and may fit again', async () => {
    const minted = await asking({ budget: '1.50' });
    const { api } = minted;
    const name = key();
    const waiting = await pend(api, name);
    await approve(ada, waiting);
    const first = await api.paid(order(stack.chain, { amount: '500000' }));
    await api.paid(order(stack.chain, { amount: '500000' }));
    expectProblem(await api.pay(dear(), name), 403, 'budget_exceeded', {
      nextAction: 'ask',
      payment: { id: waiting.id, status: 'pending_approval', validBefore: null },
    });
    await api.post(`/v1/payments/${first.payment.id}/cancel`, {});
    await until('the other payment is cancelled', async () => {
      await stack.chain.mineBlocks(1);
      return (await admin.payment(first.payment.id)).status === 'cancelled';
    });
    expect((await api.pay(dear(), name)).status).toBe(201);
  });

  it('waits out a suspension', async () => {
    const minted = await asking();
    const name = key();
    const waiting = await pend(minted.api, name);
    await approve(ada, waiting);
    await admin.post(`/v1/grants/${minted.grant.id}/suspend`, {});
    expectProblem(await minted.api.pay(dear(), name), 403, 'grant_suspended', {
      nextAction: 'ask',
      payment: { id: waiting.id },
    });
    await expectNothingReserved(minted);
    await admin.post(`/v1/grants/${minted.grant.id}/resume`, {});
    expect((await minted.api.pay(dear(), name)).status).toBe(201);
  });

  it('shows its times, and the hand-over changes them no more', async () => {
    const minted = await asking();
    const name = key();
    const waiting = await pend(minted.api, name);
    expect(waiting.approval).toMatchObject({ decidedBy: null });
    const { body } = await approve(ada, waiting);
    const { approvedAt, collectBefore } = body.payment.approval as unknown as Record<
      string,
      string
    >;
    expect(Date.parse(`${collectBefore}`) - Date.parse(`${approvedAt}`)).toBe(3_600_000);
    const again = await approve(bob, waiting);
    expect(again.body.payment.approval).toMatchObject({ approvedAt, decidedBy: 'admin:ada' });
    const { payment } = await minted.api.paid(dear(), name);
    expect(payment).toMatchObject({ status: 'authorized', approval: { approvedAt } });
  });
});

describe('a race', () => {
  const RUNS = 12;

  /** Asks both replicas for the same purchase at once, each time with another 402. */
  async function collected(token: string, name: string, count: number) {
    const apis = [admin.as(token), new Api(replica.url, token)];
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) => (apis[n % 2] as Api).pay<Paid>(dear(), name)),
    );
    return answers;
  }

  it('of a hand-over with a rejection has one winner, and the loser says so', async () => {
    const outcomes = new Set<string>();
    for (let run = 0; run < RUNS; run += 1) {
      const minted = await asking();
      const name = key();
      const waiting = await pend(minted.api, name);
      await approve(ada, waiting);
      const [paid, rejected] = await Promise.all([
        minted.api.pay<Paid>(dear(), name),
        bob.post<Pending>(`/v1/payments/${waiting.id}/reject`, {}),
      ]);
      const { status } = await admin.payment(waiting.id);
      outcomes.add(status);
      if (status === 'authorized') {
        expect([paid.status, rejected.status]).toEqual([201, 409]);
        expect(await admin.grant(minted.grant.id)).toMatchObject({ reserved: '1.00', payments: 1 });
      } else {
        expect([paid.status, rejected.status]).toEqual([409, 200]);
        expectProblem(paid, 409, 'payment_ended', { nextAction: 'stop' });
        await expectNothingReserved(minted);
      }
    }
    expect([...outcomes].every((each) => ['authorized', 'rejected'].includes(each))).toBe(true);
  });

  it('of a hand-over with a revocation never signs after the revocation has answered', async () => {
    for (let run = 0; run < RUNS; run += 1) {
      const minted = await asking();
      const name = key();
      const waiting = await pend(minted.api, name);
      await approve(ada, waiting);
      const [paid, revoked] = await Promise.all([
        minted.api.pay<Paid>(dear(), name),
        admin.post<{ exposure: { payments: number; amount: string } }>(
          `/v1/grants/${minted.grant.id}/revoke`,
          {},
        ),
      ]);
      expect(revoked.status).toBe(200);
      // The revocation reports a payment as exposed if and only if it was signed before.
      const isSigned = (await admin.payment(waiting.id)).status === 'authorized';
      expect(revoked.body.exposure).toMatchObject(
        isSigned ? { payments: 1, amount: '1.00' } : { payments: 0, amount: '0.00' },
      );
      if (!isSigned) expectProblem(paid, 403, 'grant_revoked', { payment: { id: waiting.id } });
      expectProblem(await minted.api.pay(dear(), name), 403, 'grant_revoked');
    }
  });

  it('of collectors on two replicas, each with another 402, signs once', async () => {
    const minted = await asking();
    const name = key();
    await approve(ada, await pend(minted.api, name));
    const answers = await collected(minted.token, name, 16);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    const signed = new Set(
      answers.map(({ body }) => JSON.stringify(decodeHeader(body.header.value).payload)),
    );
    expect(signed.size).toBe(1);
    const firsts = answers.filter(({ headers }) => headers.get('idempotent-replayed') === null);
    expect(firsts).toHaveLength(1);
    expect(await admin.grant(minted.grant.id)).toMatchObject({ reserved: '1.00', payments: 1 });
  });

  it('of two approved payments for one budget hands over one', async () => {
    const minted = await asking({ budget: '1.50' });
    const names = [key(), key()];
    for (const name of names) await approve(ada, await pend(minted.api, name));
    const answers = await Promise.all(names.map((name) => minted.api.pay(dear(), name)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 403]);
    expect(await admin.grant(minted.grant.id)).toMatchObject({ reserved: '1.00', payments: 1 });
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
