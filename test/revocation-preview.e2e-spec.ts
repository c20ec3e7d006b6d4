import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import { expectProblem, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';

interface Preview {
  readonly grant: GrantView;
  readonly revokedGrants: number;
  readonly waitingApprovals: number;
  readonly exposure: {
    readonly payments: number;
    readonly amount: string;
    readonly lastValidBefore: string | null;
  };
  readonly networks: readonly { network: string; payments: number; amount: string }[];
}

let stack: TestStack;
let root: Minted;
let child: Minted;

beforeAll(async () => {
  stack = await startTestStack();
  root = await stack.admin.mint({ budget: '5.00', delegationDepth: 2, holder: 'root' });
  child = await stack.admin.as(root.token).mint({ budget: '2.00', approvalAbove: '0.50' });
  const holder = stack.admin.as(child.token);
  await holder.paid(order(stack.chain));
  await holder.paid(order(stack.chain, { amount: '20000' }));
  await stack.admin.as(root.token).paid(order(stack.chain));
  expect((await holder.pay(order(stack.chain, { amount: '900000' }))).status).toBe(202);
}, 60_000);

afterAll(() => stack?.stop());

const preview = (id: string, token?: string) =>
  (token === undefined ? stack.admin : stack.admin.as(token)).get<Preview>(
    `/v1/grants/${id}/revocation`,
  );

describe('the preview of a revocation', () => {
  it('counts the grants, payments and money below, and changes nothing', async () => {
    const { body } = await preview(root.grant.id);
    expect(body).toMatchObject({
      grant: { id: root.grant.id, status: 'active' },
      revokedGrants: 2,
      waitingApprovals: 1,
      exposure: { payments: 3, amount: '0.04' },
      networks: [{ network: stack.chain.network, payments: 3, amount: '0.04' }],
    });
    expect((await preview(child.grant.id, child.token)).body).toMatchObject({
      revokedGrants: 1,
      exposure: { payments: 2, amount: '0.03' },
    });
    expect((await stack.admin.grant(child.grant.id)).status).toBe('active');
  });

  it('shows a holder nothing above it', async () => {
    expectProblem(await preview(root.grant.id, child.token), 404, 'not_found');
  });

  it('says what the revocation then says, and afterwards what is still open', async () => {
    const before = (await preview(root.grant.id)).body;
    const { body } = await stack.admin.post<{ revokedGrants: number; exposure: object }>(
      `/v1/grants/${root.grant.id}/revoke`,
      { reason: 'done' },
    );
    expect(body).toMatchObject({
      revokedGrants: before.revokedGrants,
      exposure: before.exposure,
    });
    expect((await preview(root.grant.id)).body).toMatchObject({
      revokedGrants: 0,
      exposure: { payments: 3 },
    });
  });
});

describe('the list of payments', () => {
  it('begins with the newest when told to, page by page', async () => {
    const path = `/v1/payments?grantId=${root.grant.id}&`;
    const oldest = await stack.admin.all<{ id: string }>(path);
    const newest = await stack.admin.all<{ id: string }>(`${path}order=desc`);
    expect(newest.map(({ id }) => id)).toEqual(oldest.map(({ id }) => id).reverse());
    const page = await stack.admin.read<{ items: { id: string }[]; nextCursor: string }>(
      `${path}order=desc&limit=1`,
    );
    const next = await stack.admin.read<{ items: { id: string }[] }>(
      `${path}order=desc&limit=1&cursor=${page.nextCursor}`,
    );
    expect([...page.items, ...next.items].map(({ id }) => id)).toEqual(
      newest.slice(0, 2).map(({ id }) => id),
    );
  });
});

describe('a grant', () => {
  it('names the grant above whose window binds', async () => {
    const windows = [{ seconds: 3_600, amount: '0.05' }];
    const above = await stack.admin.mint({ budget: '5.00', delegationDepth: 1, windows });
    const below = await stack.admin.as(above.token).mint({ budget: '1.00' });
    // It inherited the window, of which it used nothing.
    await stack.admin.as(above.token).paid(order(stack.chain));
    expect(await stack.admin.grant(below.grant.id)).toMatchObject({
      remaining: '0.04',
      limitedBy: {
        grantId: above.grant.id,
        by: 'window',
        windowSeconds: 3_600,
        reopensAt: expect.any(String),
      },
    });
  });
});
