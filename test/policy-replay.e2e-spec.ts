import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectProblem, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';

interface Replayed {
  readonly allowed: { payments: number; amount: string };
  readonly waiting: { payments: number; amount: string };
  readonly refused: { payments: number; amount: string };
  readonly refusedBy: readonly { code: string; payments: number; amount: string }[];
  readonly examples: readonly { paymentId: string; code: string; detail: string }[];
}

let stack: TestStack;
let root: Minted;
let child: Minted;
let carveOut: Minted;
let dear: string;

beforeAll(async () => {
  stack = await startTestStack();
  root = await stack.admin.mint({ budget: '5.00', delegationDepth: 2 });
  child = await stack.admin.as(root.token).mint({ budget: '2.00' });
  carveOut = await stack.admin.as(root.token).mint({ budget: '1.00', funding: 'reserved' });
  await stack.admin.as(root.token).paid(order(stack.chain, { amount: '100000' }));
  dear = (await stack.admin.as(child.token).paid(order(stack.chain, { amount: '700000' }))).payment
    .id;
  await stack.admin.as(carveOut.token).paid(order(stack.chain, { amount: '300000' }));
}, 60_000);

afterAll(() => stack?.stop());

const replay = (id: string, body: object, token?: string) =>
  (token === undefined ? stack.admin : stack.admin.as(token)).post<Replayed>(
    `/v1/grants/${id}/replay`,
    body,
  );

describe('a policy replay', () => {
  it('says what a lower limit would have refused, and changes nothing', async () => {
    const before = await stack.admin.grant(root.grant.id);
    const { status, body } = await replay(root.grant.id, { maxPerPayment: '0.50' });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      allowed: { payments: 2, amount: '0.40' },
      waiting: { payments: 0, amount: '0.00' },
      refused: { payments: 1, amount: '0.70' },
      refusedBy: [{ code: 'per_payment_exceeded', payments: 1, amount: '0.70' }],
      examples: [{ paymentId: dear, grantId: child.grant.id, limit: '0.50' }],
    });
    expect(await stack.admin.grant(root.grant.id)).toEqual(before);
  });

  it('refuses nothing under the terms that the grant has', async () => {
    expect((await replay(root.grant.id, {})).body).toMatchObject({
      allowed: { payments: 3, amount: '1.10' },
      refused: { payments: 0, amount: '0.00' },
      refusedBy: [],
    });
  });

  it('counts to the budget what is set aside for a carve-out, and not twice what that paid', async () => {
    // 1.00 is set aside, so that 0.10 and 0.70 need 1.80.
    expect((await replay(root.grant.id, { budget: '1.80' })).body.refused.payments).toBe(0);
    expect((await replay(root.grant.id, { budget: '1.79' })).body.refusedBy).toEqual([
      { code: 'budget_exceeded', payments: 1, amount: '0.70' },
    ]);
  });

  it('tries windows, scopes, counts and approvals', async () => {
    const codesOf = async (body: object) =>
      (await replay(root.grant.id, body)).body.refusedBy.map(({ code }) => code);
    expect(await codesOf({ windows: [{ seconds: 86_400, payments: 2 }] })).toEqual([
      'window_exceeded',
    ]);
    expect(await codesOf({ maxPayments: 0 })).toEqual(['payments_exceeded']);
    expect(await codesOf({ scope: { networks: ['eip155:1'] } })).toEqual(['network_not_allowed']);
    expect(await codesOf({ scope: { resources: ['https://nobody.example/*'] } })).toEqual([
      'resource_not_allowed',
    ]);
    expect((await replay(root.grant.id, { approvalAbove: '0.20' })).body.waiting).toEqual({
      payments: 2,
      amount: '1.00',
    });
  });

  it('shows a holder its own tree, and nothing above it', async () => {
    expect(
      (await replay(child.grant.id, { maxPerPayment: '0.01' }, child.token)).body.refused,
    ).toEqual({
      payments: 1,
      amount: '0.70',
    });
    expectProblem(await replay(root.grant.id, {}, child.token), 404, 'not_found');
  });

  it('refuses terms that are none', async () => {
    expectProblem(await replay(root.grant.id, { days: 91 }), 400, 'invalid_request');
    expectProblem(await replay(root.grant.id, { budget: '1,00' }), 400, 'invalid_request');
    expectProblem(await replay(root.grant.id, { holder: 'x' }), 400, 'invalid_request');
  });
});
