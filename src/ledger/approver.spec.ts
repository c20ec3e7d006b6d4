import { describe, expect, it } from '@jest/globals';
import type { IsKnownPayee } from '../domain/policy.js';
import * as approver from './approver.js';
import type { GrantRecord } from './grant-rows.js';
import type { PaymentRecord } from './payment-rows.js';

/** A chain of grants from the root down; `above` is the grant's `approvalAbove`. */
function chainOf(...grants: { id: string; above?: bigint }[]): readonly GrantRecord[] {
  return grants.map(({ id, above }) => ({ id, approvalAbove: above }) as unknown as GrantRecord);
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

/** Every grant knows every payee, unless said otherwise. */
const everybody = () => true;
const standingProblem = (
  actor: string,
  payment: PaymentRecord,
  chain: readonly GrantRecord[],
  isKnown = everybody as IsKnownPayee,
) => approver.standingProblem(actor, payment, chain, isKnown);
const approverProblem = (
  ...[actor, payment, chain, actorsOf]: Head<Parameters<typeof approver.approverProblem>>
) => approver.approverProblem(actor, payment, chain, actorsOf, everybody);
const isApproved = (...given: Head<Parameters<typeof approver.isApproved>>) =>
  approver.isApproved(...given, everybody);

type Head<T> = T extends [...infer Rest, unknown] ? Rest : never;

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

  it('refuses a holder below a grant that does not know the payee', () => {
    const asks = chain.map((grant) => ({ ...grant, approveNewPayees: grant.id === 'root' }));
    expect(standingProblem('grant:root', waiting('team'), asks)).toBeUndefined();
    expect(standingProblem('grant:root', waiting('team'), asks, () => false)?.fields.grantId).toBe(
      'root',
    );
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
  const chain = chainOf(root, { ...team, above: 4n }, agent);
  const acted: Record<string, string[]> = {
    root: ['admin:ann'],
    team: ['grant:root', 'admin:bob'],
    agent: ['grant:team', 'admin:dan'],
  };
  const actorsOf = (id: string) => acted[id] ?? [];

  it('asks for nothing but the standing without two-person mode', () => {
    expect(approverProblem('admin:ann', waiting('team'), chain, undefined)).toBeUndefined();
    expect(approverProblem('grant:root', waiting('team'), chain, undefined)).toBeUndefined();
    expect(approverProblem('grant:team', waiting('team'), chain, undefined)?.code).toBe(
      'forbidden',
    );
  });

  it('lets somebody approve in two-person mode who acted on no grant of the chain', () => {
    expect(approverProblem('admin:cat', waiting('team'), chain, actorsOf)).toBeUndefined();
    expect(approverProblem('admin:oidc:ann', waiting('team'), chain, actorsOf)).toBeUndefined();
  });

  it.each([
    ['an admin that acted on the root grant', 'admin:ann'],
    ['an admin that acted on a grant in between', 'admin:bob'],
    ['an admin that acted on the paying grant', 'admin:dan'],
    ['a holder above', 'grant:root'],
  ])('refuses %s in two-person mode', (_who, actor) => {
    expect(approverProblem(actor, waiting('team'), chain, actorsOf)).toMatchObject({
      code: 'forbidden',
      detail: expect.stringContaining('two-person mode'),
    });
  });

  it('names the missing standing first in two-person mode', () => {
    const problem = approverProblem('grant:team', waiting('team'), chain, actorsOf);
    expect(problem?.detail).toContain('grant team asks for the approval');
  });
});

describe('isApproved', () => {
  const chain = chainOf(root, { ...team, above: 4n }, agent);
  const given = (decidedBy: string | undefined, approvedAt: Date | undefined): PaymentRecord => ({
    ...waiting('team'),
    decidedBy,
    approval: { fromAbove: 'team', approvedAt, lapsesAt: new Date(0) },
  });
  const bobActed = (id: string) => (id === 'root' ? ['admin:bob'] : ['admin:ann']);

  it('asks who acted only for an approval that was given', () => {
    const unknown = () => {
      throw new Error('was not read');
    };
    expect(isApproved(given(undefined, undefined), chain, unknown)).toBe(false);
    expect(() => isApproved(given('admin:cat', new Date(0)), chain, unknown)).toThrow('not read');
  });

  it('counts an approval by somebody who may still give it, and no other', () => {
    expect(isApproved(given('admin:cat', new Date(0)), chain, bobActed)).toBe(true);
    expect(isApproved(given('admin:bob', new Date(0)), chain, bobActed)).toBe(false);
    expect(isApproved(given('admin:bob', new Date(0)), chain, undefined)).toBe(true);
    expect(isApproved(given('grant:team', new Date(0)), chain, undefined)).toBe(false);
    expect(isApproved(given('grant:root', new Date(0)), chain, bobActed)).toBe(false);
  });
});
