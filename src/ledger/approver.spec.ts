import { describe, expect, it } from '@jest/globals';
import { approverProblem, standingProblem } from './approver.js';
import type { GrantRecord } from './grant-rows.js';
import type { PaymentRecord } from './payment-rows.js';

/** A chain of grants from the root down; `above` is the grant's `approvalAbove`. */
function chainOf(
  ...grants: { id: string; above?: bigint; mintedBy?: string }[]
): readonly GrantRecord[] {
  return grants.map(
    ({ id, above, mintedBy = 'admin:minter' }) =>
      ({ id, approvalAbove: above, mintedBy }) as unknown as GrantRecord,
  );
}

/** A payment of 5 units by the grant `agent`, that waits because of `fromAbove`. */
function waiting(fromAbove: string, amount = 5n): PaymentRecord {
  return {
    id: 'pay_1',
    grantId: 'agent',
    status: 'pending_approval',
    amount,
    approval: { fromAbove, approvedAt: undefined, lapsesAt: new Date(0) },
  } as unknown as PaymentRecord;
}

const root = { id: 'root' };
const team = { id: 'team' };
const agent = { id: 'agent' };

describe('standingProblem', () => {
  const chain = chainOf(root, { ...team, above: 4n }, agent);

  it.each(['admin:ann', 'admin:oidc:ann'])('lets %s decide any payment', (actor) => {
    expect(standingProblem(actor, waiting('team'), chain)).toBeUndefined();
    expect(standingProblem(actor, waiting('root'), chain)).toBeUndefined();
  });

  it('lets a holder decide that stands above the grant which asks', () => {
    expect(standingProblem('grant:root', waiting('team'), chain)).toBeUndefined();
  });

  it.each([
    ['the grant that asks', 'grant:team'],
    ['the paying grant', 'grant:agent'],
    ['a grant of another chain', 'grant:stranger'],
    ['a grant whose id starts alike', 'grant:roo'],
    ['no grant at all', 'grant:'],
  ])('refuses the holder of %s', (_whose, actor) => {
    expect(standingProblem(actor, waiting('team'), chain)).toMatchObject({
      code: 'forbidden',
      detail: expect.stringContaining('grant team asks for the approval'),
      fields: { grantId: 'team' },
    });
  });

  it('goes by the topmost of several grants that ask', () => {
    const asking = chainOf(root, { ...team, above: 4n }, { ...agent, above: 0n });
    expect(standingProblem('grant:root', waiting('team'), asking)).toBeUndefined();
    expect(standingProblem('grant:team', waiting('agent'), asking)?.fields.grantId).toBe('team');
  });

  it('refuses an approver that no longer stands above every grant which asks now', () => {
    const before = chainOf(root, team, { ...agent, above: 4n });
    expect(standingProblem('grant:team', waiting('agent'), before)).toBeUndefined();
    const lowered = chainOf(root, { ...team, above: 4n }, { ...agent, above: 4n });
    expect(standingProblem('grant:team', waiting('agent'), lowered)?.fields.grantId).toBe('team');
    const loweredAbove = chainOf({ ...root, above: 4n }, team, { ...agent, above: 4n });
    expect(standingProblem('grant:root', waiting('agent'), loweredAbove)?.code).toBe('forbidden');
    expect(standingProblem('admin:ann', waiting('agent'), loweredAbove)).toBeUndefined();
  });

  it('still goes by the grant that asked when the payment was made, though its limit was raised', () => {
    const raised = chainOf(root, { ...team, above: 100n }, agent);
    expect(standingProblem('grant:team', waiting('team'), raised)?.fields.grantId).toBe('team');
    expect(standingProblem('grant:root', waiting('team'), raised)).toBeUndefined();
    const lifted = chainOf(root, team, agent);
    expect(standingProblem('grant:team', waiting('team'), lifted)?.code).toBe('forbidden');
  });

  it('does not count a grant whose limit is exactly the amount', () => {
    const exact = chainOf({ ...root, above: 5n }, team, { ...agent, above: 4n });
    expect(standingProblem('grant:team', waiting('agent'), exact)).toBeUndefined();
    const below = chainOf({ ...root, above: 4n }, team, { ...agent, above: 4n });
    expect(standingProblem('grant:team', waiting('agent'), below)?.fields.grantId).toBe('root');
  });

  it('refuses every holder when the grant that asked is not in the chain', () => {
    for (const actor of ['grant:root', 'grant:team', 'grant:agent']) {
      expect(standingProblem(actor, waiting('gone'), chainOf(root, team, agent))).toMatchObject({
        code: 'forbidden',
        fields: { grantId: 'gone' },
      });
    }
  });
});

describe('approverProblem', () => {
  const chain = chainOf(
    { ...root, mintedBy: 'admin:ann' },
    { ...team, above: 4n, mintedBy: 'grant:root' },
    { ...agent, mintedBy: 'grant:team' },
  );

  it('asks for nothing but the standing without two-person mode', () => {
    expect(approverProblem('admin:ann', waiting('team'), chain, false)).toBeUndefined();
    expect(approverProblem('grant:root', waiting('team'), chain, false)).toBeUndefined();
    expect(approverProblem('grant:team', waiting('team'), chain, false)?.code).toBe('forbidden');
  });

  it('lets somebody approve in two-person mode who minted no grant of the chain', () => {
    expect(approverProblem('admin:bob', waiting('team'), chain, true)).toBeUndefined();
    expect(approverProblem('admin:oidc:ann', waiting('team'), chain, true)).toBeUndefined();
  });

  it.each([
    ['an admin that minted the root grant', 'admin:ann'],
    ['a holder that delegated a grant of the chain', 'grant:root'],
  ])('refuses %s in two-person mode', (_who, actor) => {
    expect(approverProblem(actor, waiting('team'), chain, true)).toMatchObject({
      code: 'forbidden',
      detail: expect.stringContaining('two-person mode'),
    });
  });

  it('names the missing standing first in two-person mode', () => {
    const problem = approverProblem('grant:team', waiting('team'), chain, true);
    expect(problem?.detail).toContain('grant team asks for the approval');
    const requester = approverProblem('grant:agent', waiting('team'), chain, true);
    expect(requester?.code).toBe('forbidden');
  });
});
