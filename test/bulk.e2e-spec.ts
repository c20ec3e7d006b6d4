import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectProblem, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';

interface Preview {
  readonly grants: number;
  readonly ids: string[];
  readonly first: readonly { id: string }[];
  readonly stopped: number;
  readonly exposure: readonly { currency: string; payments: number; amount: string }[];
}

interface Done {
  readonly changed: number;
  readonly results: readonly { grantId: string; outcome: string; code?: string }[];
}

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
}, 60_000);

afterAll(() => stack?.stop());

const as = (token?: string) => (token === undefined ? stack.admin : stack.admin.as(token));
const preview = (body: object, token?: string) =>
  as(token).post<Preview>('/v1/grants/bulk/preview', body);
const act = (body: object, token?: string) => as(token).post<Done>('/v1/grants/bulk', body);
const statusOf = async ({ grant }: Minted) => (await stack.admin.grant(grant.id)).status;
const idOf = ({ grant }: Minted) => grant.id;

/** A root with a child of the same task, and two more roots, one of another task. */
async function family(task: string) {
  const labels = { task };
  const root = await stack.admin.mint({ budget: '5.00', delegationDepth: 2, labels });
  const child = await stack.admin.as(root.token).mint({ budget: '2.00', labels });
  const second = await stack.admin.mint({ budget: '1.00', labels });
  const other = await stack.admin.mint({ budget: '1.00', labels: { task: `not-${task}` } });
  return { root, child, second, other };
}

describe('stopping all grants that a filter finds', () => {
  it('previews what it would stop, counts no exposure twice, and changes nothing', async () => {
    const { root, child, second } = await family('preview');
    await stack.admin.as(child.token).paid(order(stack.chain, { amount: '20000' }));
    await stack.admin.as(second.token).paid(order(stack.chain, { amount: '10000' }));
    const { status, body } = await preview({ act: 'revoke', label: 'task:preview' });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      grants: 3,
      stopped: 3,
      exposure: [{ currency: 'USDC', payments: 2, amount: '0.03' }],
    });
    expect(body.ids).toEqual([root, child, second].map(idOf));
    expect(body.first.map(({ id }) => id)).toEqual(body.ids);
    expect(await statusOf(root)).toBe('active');
  });

  it('revokes each, a parent before its children, with a result per grant', async () => {
    const { root, child, second, other } = await family('revoke');
    const filter = { act: 'revoke', label: 'task:revoke' };
    const { ids } = (await preview(filter)).body;
    const { body } = await act({ ...filter, expected: ids, reason: 'done' });
    expect(body).toEqual({
      changed: 2,
      results: [
        { grantId: idOf(root), outcome: 'changed' },
        { grantId: idOf(child), outcome: 'unchanged' },
        { grantId: idOf(second), outcome: 'changed' },
      ],
    });
    expect(await Promise.all([root, child, second, other].map(statusOf))).toEqual([
      ...['revoked', 'revoked', 'revoked', 'active'],
    ]);
    const again = await act({ ...filter, expected: ids, reason: 'done' });
    expect(again.body.changed).toBe(0);
    expect(again.body.results.map(({ outcome }) => outcome)).toEqual(ids.map(() => 'unchanged'));
  });

  it('changes nothing when another grant came in, and names it', async () => {
    const { root } = await family('drift');
    const filter = { act: 'suspend', label: 'task:drift' };
    const { ids } = (await preview(filter)).body;
    const late = await stack.admin.mint({ budget: '1.00', labels: { task: 'drift' } });
    const answer = await act({ ...filter, expected: ids, reason: 'stop' });
    expectProblem(answer, 409, 'conflict');
    expect(answer.text).toContain(idOf(late));
    expect(await statusOf(root)).toBe('active');
    const { body } = await act({ ...filter, expected: ids, exclude: [idOf(late)], reason: 'stop' });
    expect(body.changed).toBe(3);
    expect(await statusOf(root)).toBe('suspended');
    expect(await statusOf(late)).toBe('active');
  });

  it('goes on when some of the expected have ended meanwhile', async () => {
    const { second, root } = await family('ended');
    const filter = { act: 'revoke', label: 'task:ended' };
    const { ids } = (await preview(filter)).body;
    await stack.admin.post(`/v1/grants/${idOf(second)}/revoke`, { reason: 'first' });
    const { body } = await act({ ...filter, expected: ids, reason: 'all' });
    expect(body.changed).toBe(1);
    expect(body.results.at(-1)).toEqual({ grantId: idOf(second), outcome: 'unchanged' });
    expect(await statusOf(root)).toBe('revoked');
  });

  it('finds nothing that has ended, or stopped by itself, already', async () => {
    const { root, second } = await family('before');
    await stack.admin.post(`/v1/grants/${idOf(root)}/revoke`, { reason: 'first' });
    await stack.admin.post(`/v1/grants/${idOf(second)}/suspend`, { reason: 'first' });
    const label = 'task:before';
    expect((await preview({ act: 'suspend', label })).body.ids).toEqual([]);
    expect((await preview({ act: 'revoke', label })).body.ids).toEqual([idOf(second)]);
  });

  it('lets a holder stop what is below it, and nothing else', async () => {
    const { root, child, second } = await family('holder');
    const filter = { act: 'suspend', label: 'task:holder' };
    expect((await preview(filter, root.token)).body.ids).toEqual([idOf(child)]);
    const { body } = await act({ ...filter, expected: [idOf(child)], reason: 'mine' }, root.token);
    expect(body.changed).toBe(1);
    expect(await Promise.all([root, child, second].map(statusOf))).toEqual([
      ...['active', 'suspended', 'active'],
    ]);
    const above = { act: 'suspend', grantId: idOf(root) };
    expectProblem(await preview(above, child.token), 400, 'invalid_request');
  });

  it('wants a filter, a reason and somebody who may', async () => {
    expectProblem(await preview({ act: 'revoke' }), 400, 'invalid_request');
    const body = { act: 'revoke', holder: 'x', expected: [] };
    expectProblem(await act(body), 400, 'invalid_request');
    const identity = { name: 'auditor', role: 'auditor' } as const;
    const token = await stack.service.mintAdminToken(identity, 600);
    expectProblem(await act({ ...body, reason: 'x' }, token), 403, 'forbidden');
    expect((await preview({ act: 'revoke', holder: 'x' }, token)).body.grants).toBe(0);
  });
});
