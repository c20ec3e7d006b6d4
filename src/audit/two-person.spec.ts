import { describe, expect, it } from '@jest/globals';
import { id, ROOT, SyntheticLog } from '../../test/support/synthetic-log.js';
import { Contradiction, Replay } from './replay.js';

const CHILD = id('grt', 2);
const PAID = id('pay', 1);

/** One record: its kind, and who did it. */
type Act = readonly [kind: string, actor: string, grantId?: string];

/**
 * Replays a root grant and its child, then acts, then a payment by the child that bob approves and that is collected.
 *
 * @param between - what happens between the approval and the hand-over.
 * @param isCollected - whether the payment is handed over, and not approved alone.
 */
function replay(
  acts: readonly Act[],
  {
    between = [],
    approver = 'admin:bob',
    by = approver,
    twoPerson = true,
    isCollected = true,
  }: {
    between?: readonly Act[];
    approver?: string;
    by?: string;
    /** `untold` in records of before it was written down. */
    twoPerson?: boolean | 'untold';
    isCollected?: boolean;
  } = {},
): void {
  const log = new SyntheticLog();
  const replayed = new Replay();
  const take = (line: string) => replayed.apply(JSON.parse(line));
  const act = ([kind, actor, grantId = ROOT]: Act) => take(log.line(kind, { actor, grantId }));
  for (const line of log.beginning({ approvalAbove: '1' })) take(line);
  take(log.grant(CHILD, ROOT));
  for (const each of acts) act(each);
  const waits = { grantId: CHILD, paymentId: PAID };
  take(log.line('payment.pending', waits));
  const told = twoPerson === 'untold' ? {} : { twoPerson };
  take(log.line('payment.approved', { ...waits, actor: approver, data: told }));
  if (!isCollected) return;
  for (const each of between) act(each);
  const approval = twoPerson === 'untold' ? {} : { approval: { by, twoPerson } };
  take(log.authorized(1, [ROOT, CHILD], '10000', { data: approval }));
}

describe('two-person mode, replayed', () => {
  it('lets somebody approve who had no part in it', () => {
    replay([['grant.token_reissued', 'admin:ann']]);
    replay([
      ['grant.suspended', 'admin:bob'],
      ['grant.resumed', 'admin:ann'],
    ]);
    replay([['grant.token_revoked', 'admin:bob', CHILD]]);
  });

  const HANDED = ['grant.token_reissued', 'grant.token_replayed', 'grant.resumed'];

  it.each(HANDED.flatMap((kind) => [ROOT, CHILD].map((grantId) => [kind, grantId] as const)))(
    'finds an approver of whom %s of %s tells, before the approval and before the hand-over',
    (kind, grantId) => {
      const act: Act = [kind, 'admin:bob', grantId];
      const suspended: Act[] =
        kind === 'grant.resumed' ? [['grant.suspended', 'admin:ann', grantId]] : [];
      expect(() => replay([...suspended, act])).toThrow(Contradiction);
      // The approval alone is found, before anything is handed over.
      expect(() => replay([...suspended, act], { isCollected: false })).toThrow(
        `acted on grant ${grantId}`,
      );
      expect(() => replay([], { between: [...suspended, act] })).toThrow(Contradiction);
      // Without the mode it is allowed, and records of before it was written down are not judged.
      replay([...suspended, act], { twoPerson: false });
      replay([...suspended, act], { twoPerson: 'untold' });
    },
  );

  it('finds whoever minted a grant of the chain, and any holder', () => {
    expect(() => replay([], { approver: 'grant:other' })).toThrow(Contradiction);
    for (const approver of [`grant:${ROOT}`, `grant:${CHILD}`]) {
      expect(() => replay([], { approver })).toThrow(`approved by the holder ${approver}`);
    }
  });

  it('finds a hand-over that names another approver', () => {
    expect(() => replay([], { by: 'admin:cat' })).toThrow('approved by admin:cat, and admin:bob');
  });
});
