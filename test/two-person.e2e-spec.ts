import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PaymentView } from '../src/payments/payments.dto.js';
import type { Service } from '../src/service.js';
import { type Answer, Api, expectProblem, type Minted, type Paid } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { queueBehindGrant } from './support/locks.js';
import { CENT, order } from './support/terms.js';

// Two-person mode on two replicas: nobody approves a payment of a grant that he could have acted as, or raised
// something for. ann mints, bob tries to do all alone, cat is the second person.

interface Pending {
  readonly payment: PaymentView;
}

/** One person on each replica. */
interface Person {
  readonly here: Api;
  readonly there: Api;
}

const RUNS = 8;
const ENVIRONMENT = { BURSAR_TWO_PERSON: 'true' };

let stack: TestStack;
let replica: Service;
let ann: Person;
let bob: Person;
let cat: Person;

beforeAll(async () => {
  stack = await startTestStack({ environment: ENVIRONMENT });
  replica = await startReplica(stack, 'api', undefined, ENVIRONMENT);
  ann = await person('ann');
  bob = await person('bob');
  cat = await person('cat', 'approver');
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

async function person(name: string, role: 'admin' | 'approver' = 'admin'): Promise<Person> {
  return both(await stack.service.mintAdminToken({ name, role }, 600));
}

function both(token: string): Person {
  return { here: new Api(stack.service.url, token), there: new Api(replica.url, token) };
}

const dear = () => order(stack.chain, { amount: (CENT * 100n).toString() });

const asking = { budget: '10.00', approvalAbove: '0.50' };

const approve = (api: Api, { id }: PaymentView): Promise<Answer<Pending>> =>
  api.post<Pending>(`/v1/payments/${id}/approve`, {});

const reissue = (api: Api, { grant }: Minted): Promise<Answer<Minted>> =>
  api.post<Minted>(`/v1/grants/${grant.id}/token`);

/** The grant with the fresh token that somebody was handed. */
async function handed(api: Api, minted: Minted): Promise<Minted> {
  const answer = await reissue(api, minted);
  expect(answer.status).toBe(200);
  return answer.body;
}

async function pend({ token }: Minted, key: string = randomUUID()): Promise<PaymentView> {
  const answer = await stack.admin.as(token).pay<Pending>(dear(), key);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 202 });
  return answer.body.payment;
}

/** Collects on either replica. */
const collect = ({ token }: Minted, key: string): Promise<Answer<Paid>> =>
  both(token)[Math.random() < 0.5 ? 'here' : 'there'].pay<Paid>(dear(), key);

async function expectRefused(who: Person, payment: PaymentView): Promise<void> {
  for (const api of [who.here, who.there]) {
    const answer = await approve(api, payment);
    expectProblem(answer, 403, 'forbidden', {
      detail: expect.stringMatching(/^two-person mode: /) as unknown as string,
    });
  }
  expect(await stack.admin.payment(payment.id)).toMatchObject({ approval: { approvedAt: null } });
}

/** The actors on record for a grant, oldest first. */
async function actorsOf({ grant }: Minted): Promise<string[]> {
  const { rows } = await stack.db.query<{ actor: string }>(
    'SELECT actor FROM grant_actors WHERE grant_id = $1 ORDER BY since, actor',
    [grant.id],
  );
  return rows.map(({ actor }) => actor);
}

const raise = (api: Api, { grant }: Minted, body: object) =>
  api.call('PATCH', `/v1/grants/${grant.id}`, body);

describe('a grant is not raised', () => {
  it('by whoever minted it or a grant above, was handed a token, or raised it before, nor by a holder', async () => {
    const minted = await ann.here.mint({ ...asking, delegationDepth: 1 });
    const child = await stack.admin
      .as(minted.token)
      .mint({ budget: '1.00', approvalAbove: '0.40' });
    const root = await handed(bob.there, minted);
    for (const who of [ann.here, ann.there, bob.here, bob.there, both(root.token).there]) {
      for (const terms of [{ budget: '2.00' }, { approvalAbove: '0.45', maxPayments: 5 }]) {
        const answer = await raise(who, child, terms);
        expectProblem(answer, 403, 'forbidden', {
          detail: expect.stringMatching(/^two-person mode: /) as unknown as string,
        });
      }
    }
    // Lowering is anybody's above.
    expect((await raise(both(root.token).here, child, { budget: '0.90' })).status).toBe(200);
    const dan = await person('dan');
    expect((await raise(dan.there, child, { budget: '1.20' })).status).toBe(200);
    expectProblem(await raise(dan.here, child, { budget: '1.30' }), 403, 'forbidden');
    // An admin who raised approves no payment of it either.
    await expectRefused(dan, await pend(child));
    expect(await wrongInBooks(stack)).toEqual([]);
  });
});

describe('a payment is not approved', () => {
  it('by an admin who had the token re-issued and paid with it', async () => {
    const minted = await ann.here.mint(asking);
    const key = randomUUID();
    const stolen = await handed(bob.there, minted);
    const payment = await pend(stolen, key);
    await expectRefused(bob, payment);
    await expectRefused(ann, payment);
    expect((await collect(stolen, key)).status).toBe(202);
    expect((await approve(cat.there, payment)).status).toBe(200);
    expect((await collect(stolen, key)).status).toBe(201);
    expect(await actorsOf(minted)).toEqual(['admin:ann', 'admin:bob']);
  });

  it('by an admin who had the token re-issued and delegated a child first', async () => {
    const minted = await ann.here.mint({ ...asking, delegationDepth: 2 });
    const stolen = await handed(bob.here, minted);
    const child = await stack.admin.as(stolen.token).mint({ budget: '5.00' });
    const grandchild = await stack.admin.as(child.token).mint({ budget: '4.00' });
    for (const paying of [child, grandchild]) {
      const payment = await pend(paying);
      await expectRefused(bob, payment);
      await expectRefused(ann, payment);
      expect((await approve(cat.here, payment)).status).toBe(200);
    }
  });

  it('by an admin who was handed the token of an ancestor after the child was delegated', async () => {
    const minted = await ann.here.mint({ ...asking, delegationDepth: 1 });
    const child = await stack.admin.as(minted.token).mint({ budget: '5.00' });
    await handed(bob.there, minted);
    await expectRefused(bob, await pend(child));
  });

  it('by whoever minted a grant of the chain, also by a replay of the minting', async () => {
    const body = { holder: 'agent', ttlSeconds: 600, ...asking };
    const key = { 'idempotency-key': randomUUID() };
    const { body: minted } = await ann.here.post<Minted>('/v1/grants', body, key);
    await handed(bob.here, minted);
    // The replay hands ann a token of the generation that bob was given.
    const replayed = await ann.there.post<Minted>('/v1/grants', body, key);
    expect([replayed.status, replayed.body.grant.id]).toEqual([201, minted.grant.id]);
    const payment = await pend(replayed.body);
    await expectRefused(ann, payment);
    await expectRefused(bob, payment);
    const { rows } = await stack.db.query(
      `SELECT kind, actor, record::jsonb -> 'data' ->> 'generation' AS generation FROM events
       WHERE grant_id = $1 AND kind LIKE 'grant.token%' ORDER BY seq`,
      [minted.grant.id],
    );
    expect(rows).toEqual([
      { kind: 'grant.token_reissued', actor: 'admin:bob', generation: '2' },
      { kind: 'grant.token_replayed', actor: 'admin:ann', generation: '2' },
    ]);
  });

  it('by an admin who resumed a grant of the chain', async () => {
    const minted = await ann.here.mint(asking);
    const payment = await pend(minted);
    const path = `/v1/grants/${minted.grant.id}`;
    await ann.here.post(`${path}/suspend`, {});
    expect((await bob.there.post(`${path}/resume`, {})).status).toBe(200);
    await expectRefused(bob, payment);
    // Resuming what is not suspended raises nothing, and neither does a suspension.
    const dan = await person('dan');
    expect((await dan.there.post(`${path}/resume`, {})).status).toBe(200);
    expect((await dan.there.post(`${path}/suspend`, {})).status).toBe(200);
    await ann.here.post(`${path}/resume`, {});
    expect((await approve(dan.there, payment)).status).toBe(200);
  });

  it('by a holder of the chain: whoever was handed its token could be the one who approves', async () => {
    const root = await ann.here.mint({ budget: '10.00', delegationDepth: 2 });
    const team = await ann.here.mint({ ...asking, parentId: root.grant.id });
    const payment = await pend(team);
    await expectRefused(both(root.token), payment);
    await expectRefused(both((await handed(bob.here, root)).token), payment);
  });
});

describe('a payment is approved', () => {
  it('by somebody who was handed the token of another grant only, below or beside the paying one', async () => {
    const root = await ann.here.mint({ budget: '10.00', delegationDepth: 2 });
    const paying = await ann.here.mint({ ...asking, parentId: root.grant.id, delegationDepth: 1 });
    const beside = await ann.here.mint({ ...asking, parentId: root.grant.id });
    const below = await stack.admin.as(paying.token).mint({ budget: '1.00' });
    for (const other of [beside, below]) await handed(bob.here, other);
    const key = randomUUID();
    expect((await approve(bob.there, await pend(paying, key))).status).toBe(200);
    expect((await collect(paying, key)).status).toBe(201);
  });

  it('again by somebody else, when the first approver was handed a token of the chain since', async () => {
    for (const isAncestor of [false, true]) {
      const root = await ann.here.mint({ ...asking, delegationDepth: 1 });
      const leaf = await stack.admin.as(root.token).mint({ budget: '5.00' });
      const key = randomUUID();
      const payment = await pend(leaf, key);
      expect((await approve(bob.here, payment)).status).toBe(200);
      const stolen = await handed(bob.there, isAncestor ? root : leaf);
      const paying = isAncestor ? leaf : stolen;
      expect((await collect(paying, key)).status).toBe(202);
      expect(await stack.admin.grant(leaf.grant.id)).toMatchObject({ reserved: '0.00' });
      await expectApprovalOf(payment, 'admin:bob');
      expectProblem(await approve(bob.there, payment), 403, 'forbidden');
      expect((await approve(cat.there, payment)).status).toBe(200);
      await expectApprovalOf(payment, 'admin:cat');
      expect((await collect(paying, key)).status).toBe(201);
    }
  });

  async function expectApprovalOf({ id }: PaymentView, decidedBy: string): Promise<void> {
    expect(await stack.admin.payment(id)).toMatchObject({ approval: { decidedBy } });
  }
});

describe('a race of an approval with a re-issue by the approver', () => {
  it.each([
    ['the approval first', [200, 200]],
    ['the re-issue first', [200, 403]],
  ])('hands nothing over, with %s at the lock', async (first, statuses) => {
    const minted = await ann.here.mint(asking);
    const key = randomUUID();
    const payment = await pend(minted, key);
    const approves = () => approve(bob.here, payment) as Promise<Answer<unknown>>;
    const reissues = () => reissue(bob.there, minted) as Promise<Answer<unknown>>;
    const isApproval = first === 'the approval first';
    const answers = await queueBehindGrant(
      stack.db,
      minted.grant.id,
      isApproval ? [approves, reissues] : [reissues, approves],
    );
    expect(answers.map(({ status }) => status)).toEqual(statuses);
    const stolen = answers[isApproval ? 1 : 0]?.body as Minted;
    expect((await collect(stolen, key)).status).toBe(202);
    expect(await stack.admin.grant(minted.grant.id)).toMatchObject({ reserved: '0.00' });
  });

  it('hands nothing over, in whatever order they come', async () => {
    for (let run = 0; run < RUNS; run += 1) {
      const minted = await ann.here.mint(asking);
      const key = randomUUID();
      const payment = await pend(minted, key);
      const [approved, reissued] = await Promise.all([
        approve(run % 2 ? bob.here : bob.there, payment),
        reissue(run % 3 ? bob.there : bob.here, minted),
      ]);
      expect([200, 403]).toContain(approved.status);
      expect(reissued.status).toBe(200);
      expect((await collect(reissued.body, key)).status).toBe(202);
    }
  });
});

describe('a race of the hand-over with a re-issue by the approver', () => {
  it('signs only what was collected before the re-issue', async () => {
    for (let run = 0; run < RUNS; run += 1) {
      const root = await ann.here.mint({ ...asking, delegationDepth: 1 });
      const leaf = await stack.admin.as(root.token).mint({ budget: '5.00' });
      const key = randomUUID();
      const payment = await pend(leaf, key);
      expect((await approve(bob.here, payment)).status).toBe(200);
      // The token of the root is replaced: the leaf's own goes on working.
      const [collected] = await Promise.all([collect(leaf, key), reissue(bob.there, root)]);
      const { rows } = await stack.db.query<{ kind: string }>(
        `SELECT kind FROM events WHERE kind IN ('payment.authorized', 'grant.token_reissued')
           AND (payment_id = $1 OR grant_id = $2) ORDER BY seq`,
        [payment.id, root.grant.id],
      );
      const kinds = rows.map(({ kind }) => kind);
      expect([collected.status, kinds]).toEqual(
        collected.status === 201
          ? [201, ['payment.authorized', 'grant.token_reissued']]
          : [202, ['grant.token_reissued']],
      );
    }
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
