import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import type { Service } from '../src/service.js';
import { type Answer, Api, type EventAnswer, expectProblem, type Minted } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { queueBehindGrant } from './support/locks.js';
import { CENT, order } from './support/terms.js';
import { until } from './support/until.js';

// The terms of a grant are amended while it lives, on two replicas.

interface Amended {
  readonly grant: GrantView;
  readonly exposure: { readonly payments: number; readonly amount: string };
}

let stack: TestStack;
let replica: Service;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack({ movableClock: true });
  replica = await startReplica(stack);
  ({ admin } = stack);
}, 60_000);

afterEach(async () => {
  expect(await wrongInBooks(stack)).toEqual([]);
}, 30_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

const amend = (api: Api, { grant }: Minted, body: object): Promise<Answer<Amended>> =>
  api.call<Amended>('PATCH', `/v1/grants/${grant.id}`, body);

async function amended(api: Api, minted: Minted, body: object): Promise<Amended> {
  const answer = await amend(api, minted, body);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  return answer.body;
}

const there = (token: string) => new Api(replica.url, token);
const cents = (count: number) => order(stack.chain, { amount: (CENT * BigInt(count)).toString() });

const eventsOf = ({ grant }: Minted) =>
  admin.all<EventAnswer>(`/v1/audit/events?grantId=${grant.id}&kind=grant.amended`);

describe('an amendment', () => {
  it('raises and lowers every amendable term, and records both values', async () => {
    const root = await admin.mint({
      budget: '1.00',
      maxPerPayment: '0.50',
      labels: { task: 'a' },
      purpose: 'scan',
    });
    const expiresAt = new Date(Date.now() + 7_200_000).toISOString();
    const terms = {
      budget: '2.00',
      maxPerPayment: '0.20',
      maxPayments: 7,
      approvalAbove: '0.10',
      expiresAt,
      labels: { task: 'b' },
      purpose: null,
    };
    const { grant } = await amended(admin, root, { ...terms, reason: 'more to do' });
    expect(grant).toMatchObject(terms);
    const [event] = await eventsOf(root);
    expect(event).toMatchObject({
      actor: 'admin:tester',
      reason: 'more to do',
      data: {
        from: {
          budget: '1000000',
          maxPerPayment: '500000',
          maxPayments: null,
          approvalAbove: null,
          expiresAt: root.grant.expiresAt,
          labels: { task: 'a' },
          purpose: 'scan',
        },
        to: {
          budget: '2000000',
          maxPerPayment: '200000',
          maxPayments: 7,
          approvalAbove: '100000',
          expiresAt,
          labels: { task: 'b' },
          purpose: null,
        },
        raised: ['budget', 'expiresAt'],
      },
    });
    const free = { maxPerPayment: null, maxPayments: null, approvalAbove: null };
    expect((await amended(admin, root, free)).grant).toMatchObject(free);
    // The same again changes nothing, and says nothing.
    await amended(admin, root, free);
    expect(await eventsOf(root)).toHaveLength(2);
  });

  it('is made by an admin or a holder above, and never by the own holder', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const child = await admin.as(root.token).mint({ budget: '2.00' });
    const grandchild = await admin.as(child.token).mint({ budget: '1.00' });
    const raise = { budget: '1.50' };
    expectProblem(await amend(admin.as(grandchild.token), grandchild, raise), 403, 'forbidden', {
      grantId: grandchild.grant.id,
    });
    expectProblem(await amend(admin.as(grandchild.token), child, raise), 404, 'not_found');
    await amended(there(root.token), grandchild, raise);
    await amended(there(child.token), grandchild, { budget: '1.75' });
    const [last, first] = await eventsOf(grandchild);
    expect([first?.actor, last?.actor]).toEqual([
      `grant:${root.grant.id}`,
      `grant:${child.grant.id}`,
    ]);
  });

  it('needs a term, and knows no other field', async () => {
    const root = await admin.mint({ budget: '1.00' });
    expectProblem(await amend(admin, root, { reason: 'why not' }), 400, 'invalid_request');
    expectProblem(await amend(admin, root, { holder: 'other' }), 400, 'invalid_request');
    expectProblem(await amend(admin, root, { budget: '1.0000001' }), 400, 'invalid_request');
    const far = new Date(Date.now() + 86_400_000 * 366 * 20).toISOString();
    expectProblem(await amend(admin, root, { expiresAt: far }), 400, 'invalid_request', {
      field: 'expiresAt',
    });
  });

  it('raises nothing beyond the parent of that moment', async () => {
    const limits = { maxPerPayment: '0.50', maxPayments: 9, approvalAbove: '0.40' };
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1, ...limits });
    const child = await admin.as(root.token).mint({ budget: '2.00', expiresAt: undefined });
    const parent = admin.as(root.token);
    const later = new Date(Date.parse(root.grant.expiresAt) + 1).toISOString();
    const wider = {
      budget: ['5.000001', '5.00'],
      maxPerPayment: [null, '0.50'],
      maxPayments: [10, '9'],
      approvalAbove: ['0.41', '0.40'],
      expiresAt: [later, root.grant.expiresAt],
    };
    for (const [field, [value, limit]] of Object.entries(wider)) {
      expectProblem(await amend(parent, child, { [field]: value }), 403, 'attenuation_violation', {
        field,
        grantId: root.grant.id,
        limit: limit as string,
      });
    }
    await amended(admin, root, { budget: '1.00' });
    // A lowering of the parent touches no child, and a child may be lowered to what is wider still.
    expect((await admin.grant(child.grant.id)).budget).toBe('2.00');
    await amended(parent, child, { budget: '1.50' });
    expectProblem(await amend(parent, child, { budget: '1.60' }), 403, 'attenuation_violation');
    expectProblem(await there(child.token).pay(cents(110)), 403, 'per_payment_exceeded');
  });

  it('lowers nothing below what is used, and names the floor', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    await admin.as(root.token).mint({ budget: '1.00', funding: 'reserved' });
    await admin.as(root.token).paid(cents(25));
    await admin.as(root.token).paid(cents(25));
    const past = new Date(Date.now() - 60_000).toISOString();
    const floors = {
      budget: ['1.49', '1.50'],
      maxPayments: [1, '2'],
      expiresAt: [past, undefined],
    };
    for (const [field, [value, limit]] of Object.entries(floors)) {
      const answer = await amend(admin, root, { [field]: value });
      expectProblem(answer, 409, 'conflict', { field, grantId: root.grant.id });
      if (limit !== undefined) expect(answer.body).toMatchObject({ limit });
    }
    const { grant, exposure } = await amended(admin, root, { budget: '1.50', maxPayments: 2 });
    expect(grant.remaining).toBe('0.00');
    expect(exposure).toMatchObject({ payments: 2, amount: '0.50' });
    const future = await admin.mint({
      budget: '1.00',
      startsAt: new Date(Date.now() + 600_000).toISOString(),
    });
    const { startsAt } = future.grant;
    expectProblem(await amend(admin, future, { expiresAt: startsAt }), 409, 'conflict');
  });

  it('moves what is set aside for a carve-out', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const parent = admin.as(root.token);
    const carved = await parent.mint({ budget: '2.00', funding: 'reserved' });
    await admin.as(carved.token).paid(cents(50));
    await amended(parent, carved, { budget: '4.00' });
    expect(await admin.grant(root.grant.id)).toMatchObject({ allocated: '3.50', reserved: '0.50' });
    await parent.mint({ budget: '0.75', funding: 'reserved' });
    expectProblem(await amend(parent, carved, { budget: '4.50' }), 403, 'budget_exceeded', {
      grantId: root.grant.id,
      remaining: '0.25',
    });
    await amended(admin, carved, { budget: '0.60' });
    expect(await admin.grant(root.grant.id)).toMatchObject({ allocated: '0.85', reserved: '0.50' });
    const inner = await admin.as(carved.token).mint({ budget: '0.05', funding: 'reserved' });
    await amended(admin, inner, { budget: '0.10' });
    expect(await admin.grant(carved.grant.id)).toMatchObject({ allocated: '0.10' });
    expect(await admin.grant(root.grant.id)).toMatchObject({ allocated: '0.85' });
    // A grant above the caller's that has no room is named without its figures.
    const outer = await admin.mint({ budget: '1.00', delegationDepth: 2 });
    const middle = await admin.as(outer.token).mint({ budget: '1.00' });
    const leaf = await admin.as(middle.token).mint({ budget: '0.10', funding: 'reserved' });
    await admin.as(outer.token).paid(cents(80));
    const refused = await amend(there(middle.token), leaf, { budget: '0.50' });
    expectProblem(refused, 403, 'budget_exceeded', {
      grantId: outer.grant.id,
      limit: undefined,
      remaining: undefined,
    });
  });

  it('is refused once the grant or one above it has ended', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const child = await admin.as(root.token).mint({ budget: '1.00' });
    await admin.post(`/v1/grants/${root.grant.id}/revoke`, {});
    for (const minted of [root, child]) {
      expectProblem(await amend(admin, minted, { budget: '2.00' }), 409, 'invalid_transition', {
        grantId: root.grant.id,
      });
    }
    const other = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const spent = await admin
      .as(other.token)
      .mint({ budget: '1.00', funding: 'reserved', maxPayments: 1 });
    await stack.db.query('UPDATE grants SET returned_at = now() WHERE id = $1', [spent.grant.id]);
    expectProblem(await amend(admin, spent, { maxPayments: 2 }), 409, 'invalid_transition');
    await stack.db.query('ALTER TABLE grants DISABLE TRIGGER USER');
    await stack.db.query('UPDATE grants SET returned_at = NULL WHERE id = $1', [spent.grant.id]);
    await stack.db.query('ALTER TABLE grants ENABLE TRIGGER USER');
    const short = await admin.mint({ budget: '1.00', ttlSeconds: 30 });
    await stack.passTime(31);
    const expiresAt = new Date(Date.now() + 3_000_000).toISOString();
    expectProblem(await amend(admin, short, { expiresAt }), 409, 'invalid_transition');
  });

  it('can be made of a suspended grant', async () => {
    const root = await admin.mint({ budget: '5.00' });
    await admin.post(`/v1/grants/${root.grant.id}/suspend`, {});
    expect((await amended(admin, root, { budget: '1.00' })).grant.status).toBe('suspended');
  });

  it('of an earlier end returns the carve-outs below when that has come', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const middle = await admin.as(root.token).mint({ budget: '5.00' });
    await admin.as(middle.token).mint({ budget: '2.00', funding: 'reserved' });
    const { rows } = await stack.db.query<{ soon: Date }>(
      `SELECT clock_timestamp() + interval '30 s' AS soon`,
    );
    const soon = rows[0]?.soon.toISOString();
    const paid = await admin.as(middle.token).paid(order(stack.chain, { maxTimeoutSeconds: 60 }));
    const { exposure } = await amended(admin, middle, { expiresAt: soon });
    expect(exposure).toMatchObject({ payments: 1, lastValidBefore: expect.any(String) });
    expect(Date.parse(paid.payment.validBefore)).toBeLessThanOrEqual(
      Date.parse(root.grant.expiresAt),
    );
    await stack.passTime(31);
    expectProblem(await admin.as(middle.token).pay(cents(1)), 403, 'grant_expired');
    await until('what was set aside is back', async () => {
      return (await admin.grant(root.grant.id)).allocated === '0.00';
    });
  });

  it('counts as often as any other change', async () => {
    const root = await admin.mint({ budget: '5.00' });
    for (let cent = 0; cent < 20; cent += 1) {
      await amended(admin, root, { budget: `4.${10 + cent}` });
    }
    expectProblem(await amend(admin, root, { budget: '3.00' }), 429, 'rate_limited');
  });
});

describe('a payment', () => {
  it('passes no lowered limit once the amendment has answered, on any replica', async () => {
    const root = await admin.mint({ budget: '100.00', delegationDepth: 1 });
    const child = await admin.as(root.token).mint({ budget: '100.00' });
    let isOver = false;
    const answers: { status: number; sentAt: number }[] = [];
    const flood = [stack.service.url, replica.url].flatMap((url) =>
      [root, child].flatMap(({ token }) =>
        Array.from({ length: 3 }, async () => {
          while (!isOver) {
            const sentAt = performance.now();
            const { status } = await new Api(url, token).pay(cents(2));
            answers.push({ status, sentAt });
          }
        }),
      ),
    );
    for (let round = 0; round < 4; round += 1) {
      const before = answers.length;
      await until('payments flow', async () => {
        return answers.slice(before).filter(({ status }) => status === 201).length > 20;
      });
      await amended(round % 2 ? admin : there(admin.token ?? ''), root, { maxPerPayment: '0.01' });
      const loweredAt = performance.now();
      const late = () => answers.filter(({ sentAt }) => sentAt > loweredAt);
      await until('each replica refuses', async () => late().length > 40);
      expect(late().filter(({ status }) => status === 201)).toEqual([]);
      await amended(admin, root, { maxPerPayment: null });
    }
    isOver = true;
    await Promise.all(flood);
  }, 60_000);

  it('raced with a lowering is within the budget, and one that waited behind it is decided by it', async () => {
    for (let round = 0; round < 6; round += 1) {
      const root = await admin.mint({ budget: '0.20' });
      // Both replicas know the grant.
      await admin.as(root.token).paid(cents(1));
      await there(root.token).paid(cents(1));
      const all = await Promise.all([
        ...Array.from({ length: 12 }, (_, n) =>
          (n % 2 ? there(root.token) : admin.as(root.token)).pay(cents(1)),
        ),
        amend(round % 2 ? admin : there(admin.token ?? ''), root, { budget: '0.08' }),
      ]);
      const lowering = all.at(-1);
      const paid = all.slice(0, -1).filter(({ status }) => status === 201).length + 2;
      const { budget, reserved } = await admin.grant(root.grant.id);
      expect(reserved).toBe(`0.${String(paid).padStart(2, '0')}`);
      expect(lowering?.status === 200 ? paid <= 8 && budget === '0.08' : paid > 8).toBe(true);
    }
    const root = await admin.mint({ budget: '0.20' });
    await there(root.token).paid(cents(1));
    const results = await queueBehindGrant<Answer<unknown>>(stack.db, root.grant.id, [
      () => amend(admin, root, { maxPayments: 1 }),
      () => there(root.token).pay(cents(1)),
    ]);
    expect(results.map(({ status }) => status)).toEqual([200, 403]);
  });

  it('that waits keeps needing its approval when the limit is raised, and who lowers it must be above', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const middle = await admin.as(root.token).mint({ budget: '5.00' });
    const leaf = await admin.as(middle.token).mint({ budget: '5.00', approvalAbove: '0.05' });
    const key = randomUUID();
    const pay = () => there(leaf.token).pay<{ payment: { id: string } }>(cents(10), key);
    const waiting = await pay();
    expect(waiting.status).toBe(202);
    await amended(admin, leaf, { approvalAbove: null });
    expect((await pay()).status).toBe(202);
    const approve = (api: Api) => api.post(`/v1/payments/${waiting.body.payment.id}/approve`, {});
    expect((await approve(admin.as(middle.token))).status).toBe(200);
    // Now the approver's own grant asks for an approval as well.
    await amended(admin, middle, { approvalAbove: '0.01' });
    expect((await pay()).status).toBe(202);
    expect((await approve(admin.as(middle.token))).status).toBe(403);
    expect((await approve(admin.as(root.token))).status).toBe(200);
    expect((await pay()).status).toBe(201);
  });
});

describe('the checker', () => {
  it('finds terms that no amendment made, and payments beyond the terms of their time', async () => {
    const root = await admin.mint({ budget: '5.00', maxPerPayment: '0.50' });
    await amended(admin, root, { maxPerPayment: '0.20' });
    const { payment } = await admin.as(root.token).paid(cents(15));
    await amended(admin, root, { maxPerPayment: null });
    const [last] = await eventsOf(root);
    expect(await wrongInBooks(stack)).toEqual([]);
    const vandalise = async (sql: string, values: string[]) => {
      await stack.db.query('ALTER TABLE events DISABLE TRIGGER USER');
      await stack.db.query(sql, values);
      await stack.db.query('ALTER TABLE events ENABLE TRIGGER USER');
    };
    const rewrite = (from: string, to: string) =>
      vandalise('UPDATE events SET record = replace(record, $2, $3) WHERE id = $1', [
        last?.id ?? '',
        from,
        to,
      ]);
    await rewrite('"200000"', '"100000"');
    const wrong = await wrongInBooks(stack);
    await rewrite('"100000"', '"200000"');
    expect(wrong).toEqual(
      expect.arrayContaining([
        expect.stringMatching(new RegExp(`^I1 ${payment.id}: no payment is larger`)),
        expect.stringMatching(new RegExp(`^I8 ${last?.id}: it was amended from the terms`)),
      ]),
    );
    await stack.db.query('UPDATE grants SET budget = budget + 1 WHERE id = $1', [root.grant.id]);
    expect(await wrongInBooks(stack)).toEqual([
      `I8 ${root.grant.id}: its terms are those of its minting record and its amendments: budget`,
    ]);
    await stack.db.query('UPDATE grants SET budget = budget - 1 WHERE id = $1', [root.grant.id]);
  });
});

describe('whoever raises', () => {
  it('is among those who acted as the grant, and whoever lowers is not', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const child = await admin.as(root.token).mint({ budget: '1.00' });
    const ann = admin.as(await stack.service.mintAdminToken({ name: 'ann', role: 'admin' }, 600));
    const bob = admin.as(await stack.service.mintAdminToken({ name: 'bob', role: 'admin' }, 600));
    await amended(ann, child, { budget: '0.50' });
    await amended(bob, child, { approvalAbove: '0.20' });
    await amended(bob, child, { approvalAbove: null });
    await amended(admin.as(root.token), child, { budget: '0.60', maxPayments: 5 });
    const { rows } = await stack.db.query<{ actor: string }>(
      'SELECT actor FROM grant_actors WHERE grant_id = $1 ORDER BY actor',
      [child.grant.id],
    );
    expect(rows.map(({ actor }) => actor)).toEqual(['admin:bob', `grant:${root.grant.id}`]);
  });
});
