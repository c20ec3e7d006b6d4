import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import { type Api, expectProblem, type Listed, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { OTHER_PAYEE, order, PAYEE } from './support/terms.js';
import { until } from './support/until.js';

const HOUR_MS = 3_600_000;

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
}, 60_000);

afterAll(() => stack?.stop());

function at(msFromNow: number): string {
  return new Date(Date.now() + msFromNow).toISOString();
}

const plain = { holder: 'agent', budget: '1.00', ttlSeconds: 600 };

describe('minting', () => {
  it('answers with the grant as resolved, and a token that works', async () => {
    const startsAt = at(-1000);
    const expiresAt = at(HOUR_MS);
    const { grant, token } = await admin.mint({
      holder: 'research-agent-7',
      currency: 'USDC',
      budget: '25',
      maxPerPayment: '0.5',
      maxPayments: 1000,
      windows: [
        { seconds: 3600, amount: '5', payments: 200 },
        { seconds: 86_400, amount: '20' },
      ],
      approvalAbove: '1',
      scope: {
        networks: [stack.chain.network],
        payTo: [PAYEE],
        resources: ['https://api.example.com/data/*', 'https://*.example.org/*'],
      },
      startsAt,
      expiresAt,
      delegationDepth: 1,
      funding: 'shared',
      purpose: 'quarterly market scan',
      labels: { task: 't-42' },
    });
    expect(grant).toEqual({
      id: expect.stringMatching(/^grt_[0-9a-z]{26}$/),
      treasuryId: expect.stringMatching(/^trs_[0-9a-z]{26}$/),
      parentId: null,
      rootId: grant.id,
      depth: 0,
      status: 'active',
      suspendedBy: null,
      holder: 'research-agent-7',
      currency: 'USDC',
      budget: '25.00',
      maxPerPayment: '0.50',
      maxPayments: 1000,
      windows: [
        { seconds: 3600, amount: '5.00', payments: 200 },
        { seconds: 86_400, amount: '20.00' },
      ],
      approvalAbove: '1.00',
      approveNewPayees: false,
      breaker: null,
      limitedBy: {
        by: 'window',
        grantId: expect.stringMatching(/^grt_/),
        reopensAt: expect.stringMatching(/Z$/),
        windowSeconds: 3_600,
      },
      scope: {
        networks: [stack.chain.network],
        payTo: [PAYEE],
        resources: ['https://api.example.com/data/*', 'https://*.example.org/*'],
      },
      startsAt,
      expiresAt,
      delegationDepth: 1,
      funding: 'shared',
      holderKey: null,
      purpose: 'quarterly market scan',
      labels: { task: 't-42' },
      createdAt: expect.stringMatching(/Z$/),
      reserved: '0.00',
      spent: '0.00',
      allocated: '0.00',
      // The tightest of the budget and the windows.
      remaining: '5.00',
      payments: 0,
    });
    expect(await admin.as(token).read('/v1/grants/self')).toEqual(grant);
    expect(await admin.grant(grant.id)).toEqual(grant);
  });

  it.each([
    ['an unknown member', { color: 'red' }, undefined],
    ['an unknown member of the scope', { scope: { hosts: [] } }, 'scope'],
    ['no holder', { holder: undefined }, 'holder'],
    ['an empty holder', { holder: '' }, 'holder'],
    ['no budget', { budget: undefined }, 'budget'],
    ['a budget that is a number', { budget: 25 }, 'budget'],
    ['a negative budget', { budget: '-1' }, 'budget'],
    ['a budget in exponents', { budget: '1e3' }, 'budget'],
    ['a budget with a space', { budget: ' 1' }, 'budget'],
    ['a budget of more decimals than USDC has', { budget: '0.0000001' }, 'budget'],
    ['a budget above 2^256', { budget: `1${'0'.repeat(72)}` }, 'budget'],
    ['an unknown currency', { currency: 'EUR' }, 'currency'],
    ['a fraction of a payment', { maxPayments: 1.5 }, 'maxPayments'],
    ['no end', { ttlSeconds: undefined }, 'ttlSeconds'],
    ['two ends', { expiresAt: at(HOUR_MS) }, 'ttlSeconds'],
    ['an end in the past', { ttlSeconds: undefined, expiresAt: at(-1000) }, 'expiresAt'],
    ['an end before its start', { startsAt: at(HOUR_MS) }, 'ttlSeconds'],
    ['a start that is no time', { startsAt: 'tomorrow' }, 'startsAt'],
    ['a depth of nine', { delegationDepth: 9 }, 'delegationDepth'],
    ['a network in words', { scope: { networks: ['base'] } }, 'scope.networks.0'],
    ['a payee that is no address', { scope: { payTo: ['0x12'] } }, 'scope.payTo.0'],
    [
      'a plain http resource',
      { scope: { resources: ['http://a.example/*'] } },
      'scope.resources.0',
    ],
    [
      'a wildcard in the middle',
      { scope: { resources: ['https://a.*.example/'] } },
      'scope.resources.0',
    ],
    ['a NUL in the purpose', { purpose: 'a\u0000b' }, 'purpose'],
    ['a threshold of approval that is negative', { approvalAbove: '-1' }, 'approvalAbove'],
    ['a funding that is neither', { funding: 'borrowed' }, 'funding'],
    ['a parent that is no id', { parentId: 'grt_1' }, 'parentId'],
  ])('is refused for %s, naming the field', async (_what, changes, field) => {
    const answer = await admin.post('/v1/grants', { ...plain, ...changes });
    expectProblem(answer, 400, 'invalid_request', field === undefined ? {} : { field });
  });

  it('lets an admin mint below any grant, and nobody below what is not there', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const child = await admin.mint({ budget: '1.00', parentId: root.grant.id });
    expect(child.grant).toMatchObject({ parentId: root.grant.id, depth: 1 });
    const nowhere = await admin.post('/v1/grants', { ...plain, parentId: strangeId('grt') });
    expectProblem(nowhere, 404, 'not_found');
    const nobody = await admin.post('/v1/grants', { ...plain, treasuryId: strangeId('trs') });
    expectProblem(nobody, 404, 'not_found');
  });

  it('lets a holder mint only under its own grant', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    for (const field of ['parentId', 'treasuryId'] as const) {
      const id = field === 'parentId' ? root.grant.id : root.grant.treasuryId;
      const answer = await admin.as(root.token).post('/v1/grants', { ...plain, [field]: id });
      expectProblem(answer, 400, 'invalid_request', { field });
    }
  });
});

describe('delegation', () => {
  let parent: Minted;
  let holder: Api;

  beforeAll(async () => {
    parent = await admin.mint({
      budget: '5.00',
      maxPerPayment: '0.50',
      maxPayments: 100,
      delegationDepth: 2,
      startsAt: at(-1000),
      expiresAt: at(HOUR_MS),
      scope: {
        networks: [stack.chain.network],
        payTo: [PAYEE],
        resources: ['https://api.example.com/data/*', 'https://*.example.org/*'],
      },
    });
    holder = admin.as(parent.token);
  });

  it('inherits everything that is left out, except that its money is shared', async () => {
    const terms = { windows: [{ seconds: 60, amount: '1.00' }], approvalAbove: '0.25' };
    const top = await holder.mint({ budget: '5.00', funding: 'reserved', ...terms });
    const { grant } = await admin.as(top.token).mint({ budget: '5.00', ttlSeconds: 600 });
    const { maxPerPayment, maxPayments, scope } = parent.grant;
    expect(grant).toMatchObject({ maxPerPayment, maxPayments, scope, delegationDepth: 0 });
    expect(grant).toMatchObject({ ...terms, funding: 'shared' });
    expect((await admin.post(`/v1/grants/${top.grant.id}/revoke`)).status).toBe(200);
  });

  it('takes what is as wide as the parent, and no wider', async () => {
    const { budget, maxPerPayment, maxPayments, scope, startsAt, expiresAt } = parent.grant;
    const { grant } = await holder.mint({
      budget,
      maxPerPayment,
      maxPayments,
      scope,
      startsAt,
      expiresAt,
      delegationDepth: 1,
    });
    expect(grant.depth).toBe(1);
  });

  it.each([
    ['budget', { budget: '5.000001' }, '5.00'],
    ['maxPerPayment', { maxPerPayment: '0.51' }, '0.50'],
    ['maxPayments', { maxPayments: 101 }, '100'],
    ['expiresAt', { ttlSeconds: undefined, expiresAt: at(2 * HOUR_MS) }, undefined],
    ['startsAt', { startsAt: at(-HOUR_MS) }, undefined],
    ['delegationDepth', { delegationDepth: 2 }, '1'],
    ['scope.networks', { scope: { networks: ['eip155:8453'] } }, 'eip155:84532'],
    ['scope.payTo', { scope: { payTo: [PAYEE, OTHER_PAYEE] } }, PAYEE],
    ['scope.resources', { scope: { resources: ['https://api.example.com/*'] } }, undefined],
    ['scope.resources', { scope: { resources: ['https://a.b.example.org/*'] } }, undefined],
  ])('refuses a wider %s, naming it and the limit', async (field, changes, limit) => {
    const answer = await holder.post('/v1/grants', { ...plain, ...changes });
    expectProblem(answer, 403, 'attenuation_violation', {
      field,
      grantId: parent.grant.id,
      limit: limit ?? expect.stringMatching(/./),
    } as Record<string, string>);
  });

  it('is refused to whom it was not allowed', async () => {
    const { token } = await admin.mint({ budget: '1.00' });
    const answer = await admin.as(token).post('/v1/grants', { ...plain, ttlSeconds: 60 });
    expectProblem(answer, 403, 'delegation_not_allowed');
  });

  it('goes as deep as the root said, and not one deeper', async () => {
    let { token } = await admin.mint({ budget: '1.00', delegationDepth: 8 });
    for (let depth = 1; depth <= 8; depth++) {
      const child = await admin.as(token).mint({ budget: '1.00' });
      expect(child.grant).toMatchObject({ depth, delegationDepth: 8 - depth });
      token = child.token;
    }
    const answer = await admin.as(token).post('/v1/grants', plain);
    expectProblem(answer, 403, 'delegation_not_allowed');
    await admin.as(token).paid(order(stack.chain));
  });
});

describe('the life of a grant', () => {
  it('has not begun before startsAt: no payment, and none delegated pays either', async () => {
    const { grant, token } = await admin.mint({ budget: '1.00', startsAt: at(60_000) });
    expect(grant).toMatchObject({ status: 'not_started', remaining: '0.00' });
    const answer = await admin.as(token).pay(order(stack.chain));
    expectProblem(answer, 403, 'grant_not_started', { grantId: grant.id, limit: grant.startsAt });
  });

  it('is over at expiresAt, and before that once no payment could settle any more', async () => {
    const { grant, token } = await admin.mint({ budget: '1.00', ttlSeconds: 2 });
    expect(grant.status).toBe('active');
    const denial = { grantId: grant.id, limit: grant.expiresAt };
    expectProblem(await admin.as(token).pay(order(stack.chain)), 403, 'grant_expired', denial);
    const over = await until('the grant is over', async () => {
      const self = await admin.as(token).read<GrantView>('/v1/grants/self');
      return self.status === 'expired' && self;
    });
    expect(over.remaining).toBe('0.00');
    expectProblem(await admin.as(token).pay(order(stack.chain)), 403, 'grant_expired', denial);
  });

  it('is over for all below too, who are told which grant ended', async () => {
    const root = await admin.mint({ budget: '1.00', delegationDepth: 2, ttlSeconds: 8 });
    const { expiresAt } = root.grant;
    const child = await admin
      .as(root.token)
      .mint({ budget: '1.00', delegationDepth: 1, expiresAt });
    await until(
      'the root has ended',
      async () => (await admin.grant(root.grant.id)).status === 'expired',
    );
    const holder = admin.as(child.token);
    const denial = { grantId: root.grant.id };
    expectProblem(await holder.pay(order(stack.chain)), 403, 'grant_expired', denial);
    const delegated = await holder.post('/v1/grants', { ...plain, ttlSeconds: 1 });
    expectProblem(delegated, 403, 'grant_expired', denial);
    expect(await holder.read('/v1/grants/self')).toMatchObject({
      status: 'expired',
      remaining: '0.00',
    });
  });
});

describe('a mint with an Idempotency-Key', () => {
  const keyed = () => ({ 'idempotency-key': randomUUID() });

  it('answers a retry with the same grant and a token that works', async () => {
    const key = keyed();
    const first = await admin.post<Minted>('/v1/grants', plain, key);
    const again = await admin.post<Minted>('/v1/grants', plain, key);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body.grant.id).toBe(first.body.grant.id);
    for (const { body } of [first, again]) {
      expect(await admin.as(body.token).read('/v1/grants/self')).toMatchObject({
        id: first.body.grant.id,
      });
    }
  });

  it('refuses another body', async () => {
    const key = keyed();
    await admin.post('/v1/grants', plain, key);
    const other = await admin.post('/v1/grants', { ...plain, budget: '2.00' }, key);
    expectProblem(other, 409, 'idempotency_mismatch');
  });

  it('mints one grant of 20 requests at once', async () => {
    const key = keyed();
    const body = { ...plain, holder: 'only-once' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => admin.post<Minted>('/v1/grants', body, key)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(await admin.all('/v1/grants?holder=only-once')).toHaveLength(1);
  });

  it('does not take the key of another caller for its own', async () => {
    const key = keyed();
    const one = await admin.mint({ budget: '1.00', delegationDepth: 1 });
    const two = await admin.mint({ budget: '1.00', delegationDepth: 1 });
    const [first, second] = await Promise.all(
      [one, two].map(({ token }) => admin.as(token).post<Minted>('/v1/grants', plain, key)),
    );
    expect(first?.body.grant.parentId).toBe(one.grant.id);
    expect(second?.body.grant.parentId).toBe(two.grant.id);
  });

  it('refuses an empty key instead of sharing one among all who send it', async () => {
    for (const bad of ['', 'k'.repeat(256)]) {
      const answer = await admin.post('/v1/grants', plain, { 'idempotency-key': bad });
      expectProblem(answer, 400, 'invalid_request', { field: 'Idempotency-Key' });
    }
  });
});

describe('the list of grants', () => {
  let top: Minted;
  let below: Minted[];

  beforeAll(async () => {
    top = await admin.mint({ holder: 'lister', budget: '5.00', delegationDepth: 1 });
    below = [];
    for (let n = 0; n < 5; n++) {
      const labels = { task: `t-${n % 2}`, colon: 'a:b' };
      below.push(await admin.as(top.token).mint({ holder: `h-${n}`, budget: '1.00', labels }));
    }
  });

  const ids = (grants: readonly { id: string }[]) => grants.map(({ id }) => id);

  it('comes in pages that neither repeat nor skip, oldest first', async () => {
    const all = [top, ...below].map(({ grant }) => grant.id);
    const seen: string[] = [];
    let cursor: string | null = '';
    for (let pages = 1; cursor !== null; pages++) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page: Listed<GrantView> = await admin.as(top.token).read(`/v1/grants?limit=2${query}`);
      expect(page.items).toHaveLength(2);
      seen.push(...ids(page.items));
      cursor = page.nextCursor;
      expect(pages).toBeLessThanOrEqual(3);
    }
    expect(seen).toEqual(all);
  });

  it('can be narrowed by parent, holder, label and status', async () => {
    const of = async (query: string) => ids(await admin.all<GrantView>(`/v1/grants?${query}`));
    const [first, second, third] = below.map(({ grant }) => grant.id);
    expect(await of(`parentId=${top.grant.id}`)).toEqual(ids(below.map(({ grant }) => grant)));
    expect(await of(`parentId=${top.grant.id}&depth=0`)).toEqual([]);
    const roots = await admin.all<GrantView>('/v1/grants?depth=0');
    expect(roots.map(({ id }) => id)).toContain(top.grant.id);
    expect(roots.filter(({ parentId, depth }) => parentId !== null || depth !== 0)).toEqual([]);
    expect(await of('holder=h-1')).toEqual([second]);
    expect(await of(`parentId=${top.grant.id}&label=task:t-1`)).toEqual([
      second,
      below[3]?.grant.id,
    ]);
    expect(await of('label=colon:a:b')).toHaveLength(5);
    expect(await of('label=task:none')).toEqual([]);
    await admin.post(`/v1/grants/${first}/revoke`, {});
    expect(await of(`parentId=${top.grant.id}&status=revoked`)).toEqual([first]);
    expect(await of(`parentId=${top.grant.id}&status=active`)).toHaveLength(4);
    expect(await of(`parentId=${top.grant.id}&status=active`)).toContain(third);
  });

  it('refuses what it does not know', async () => {
    for (const query of [
      'limit=0',
      'limit=201',
      'limit=x',
      'color=red',
      'status=odd',
      'cursor=%27',
      'label=x',
    ]) {
      expectProblem(await admin.get(`/v1/grants?${query}`), 400, 'invalid_request');
    }
  });
});

describe("a holder's view", () => {
  it('is its own grant and the tree below; the rest is as if it were not there', async () => {
    const top = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const mine = await admin.as(top.token).mint({ budget: '1.00' });
    const under = await admin.as(mine.token).mint({ budget: '1.00' });
    const sibling = await admin.as(top.token).mint({ budget: '1.00' });
    const holder = admin.as(mine.token);

    const listed = await holder.all<GrantView>('/v1/grants');
    expect(listed.map(({ id }) => id)).toEqual([mine.grant.id, under.grant.id]);
    expect(await holder.grant(under.grant.id)).toMatchObject({ id: under.grant.id });
    expect(await holder.all(`/v1/grants?parentId=${top.grant.id}`)).toHaveLength(1);

    const unknown = strangeId('grt');
    for (const id of [top.grant.id, sibling.grant.id]) {
      for (const call of [
        (it: string) => holder.get(`/v1/grants/${it}`),
        (it: string) => holder.post(`/v1/grants/${it}/revoke`, {}),
        (it: string) => holder.post(`/v1/grants/${it}/token`),
      ]) {
        const hidden = await call(id);
        expectProblem(hidden, 404, 'not_found');
        const missing = await call(unknown);
        expect(hidden.text.replaceAll(id, unknown)).toBe(missing.text);
      }
    }
    expect((await admin.grant(sibling.grant.id)).status).toBe('active');
  });

  it('does not exist for an admin, who has no grant', async () => {
    expectProblem(await admin.get('/v1/grants/self'), 403, 'forbidden');
  });
});

describe('a fresh token', () => {
  it('ends the one before it at once, on every route', async () => {
    const { grant, token } = await admin.mint({ budget: '1.00' });
    const fresh = await admin.as(token).post<Minted>(`/v1/grants/${grant.id}/token`);
    expect(fresh.status).toBe(200);
    expect(fresh.body.grant.id).toBe(grant.id);

    expectProblem(await admin.as(token).get('/v1/grants/self'), 401, 'invalid_token');
    expectProblem(await admin.as(token).pay(order(stack.chain)), 401, 'invalid_token');
    await admin.as(fresh.body.token).paid(order(stack.chain));
  });

  it('may be made by an admin and by a holder above, and leaves the others alone', async () => {
    const top = await admin.mint({ budget: '1.00', delegationDepth: 1 });
    const child = await admin.as(top.token).mint({ budget: '1.00' });
    const byParent = await admin.as(top.token).post<Minted>(`/v1/grants/${child.grant.id}/token`);
    const byAdmin = await admin.post<Minted>(`/v1/grants/${child.grant.id}/token`);
    expectProblem(await admin.as(byParent.body.token).get('/v1/grants/self'), 401, 'invalid_token');
    await admin.as(byAdmin.body.token).read('/v1/grants/self');
    await admin.as(top.token).read('/v1/grants/self');
  });
});

describe('revoking', () => {
  it('ends the grant and all below, reports what is still open, and can be repeated', async () => {
    const top = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const middle = await admin.as(top.token).mint({ budget: '2.00' });
    const bottom = await admin.as(middle.token).mint({ budget: '1.00' });
    const beside = await admin.as(top.token).mint({ budget: '1.00' });
    await admin.post(`/v1/grants/${bottom.grant.id}/revoke`, {});
    const first = await admin.as(middle.token).paid(order(stack.chain, { amount: '30000' }));
    const second = await admin.as(middle.token).paid(order(stack.chain, { maxTimeoutSeconds: 90 }));
    await admin.as(beside.token).paid(order(stack.chain));

    const path = `/v1/grants/${middle.grant.id}/revoke`;
    const revoked = await admin.as(top.token).post(path, { reason: 'task is over' });
    expect(revoked).toMatchObject({
      status: 200,
      body: {
        grant: { id: middle.grant.id, status: 'revoked', remaining: '0.00', reserved: '0.04' },
        // The one below it had been ended before.
        revokedGrants: 1,
        exposure: {
          payments: 2,
          amount: '0.04',
          lastValidBefore: second.payment.validBefore,
        },
      },
    });
    expect(first.payment.validBefore < second.payment.validBefore).toBe(true);

    const again = await admin.post(path, {});
    expect(again).toMatchObject({
      status: 200,
      body: { revokedGrants: 0, exposure: { payments: 2, amount: '0.04' } },
    });
    const events = await admin.all<{ reason: string }>(
      `/v1/audit/events?grantId=${middle.grant.id}&kind=grant.revoked`,
    );
    expect(events.map(({ reason }) => reason)).toEqual(['task is over', null]);
    await admin.as(beside.token).paid(order(stack.chain));
  });

  it('lets a holder give up its own grant, and counts everything that ended by it', async () => {
    const top = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const child = await admin.as(top.token).mint({ budget: '2.00' });
    await admin.as(child.token).mint({ budget: '1.00' });
    const revoked = await admin.as(top.token).post(`/v1/grants/${top.grant.id}/revoke`, {});
    expect(revoked).toMatchObject({
      status: 200,
      body: { revokedGrants: 3, exposure: { payments: 0, amount: '0.00', lastValidBefore: null } },
    });
    expect(await admin.grant(child.grant.id)).toMatchObject({ status: 'revoked' });
  });

  it('refuses what it cannot do yet and what it does not know', async () => {
    const { grant } = await admin.mint({ budget: '1.00' });
    const path = `/v1/grants/${grant.id}/revoke`;
    for (const body of [{ cancelOutstanding: 'yes' }, { why: 'x' }, { reason: '' }, []]) {
      expectProblem(await admin.post(path, body), 400, 'invalid_request');
    }
    expect((await admin.grant(grant.id)).status).toBe('active');
    expect((await admin.post(path, { cancelOutstanding: false })).status).toBe(200);
  });

  it('works without a body, as whoever must stop something at once would send it', async () => {
    const { grant } = await admin.mint({ budget: '1.00' });
    expect((await admin.post(`/v1/grants/${grant.id}/revoke`)).status).toBe(200);
    expect((await admin.grant(grant.id)).status).toBe('revoked');
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

/** An id of the right form that nothing has. */
function strangeId(prefix: string): string {
  return `${prefix}_00000000000000000000000000`;
}
