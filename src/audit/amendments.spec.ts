import { describe, expect, it } from '@jest/globals';
import { id, ROOT, SyntheticLog } from '../../test/support/synthetic-log.js';
import { Contradiction, Replay } from './replay.js';

const CHILD = id('grt', 2);

type Data = Record<string, unknown>;
type Tell = (log: SyntheticLog) => string[];

function replay(terms: Data, tell: Tell): Replay {
  const log = new SyntheticLog();
  const taken = new Replay();
  for (const line of [...log.beginning(terms), ...tell(log)]) taken.apply(JSON.parse(line));
  return taken;
}

const amends = (
  log: SyntheticLog,
  from: Data,
  to: Data,
  { raised = [], twoPerson = false, actor = 'admin:ann', grantId = ROOT }: Data = {},
) =>
  log.line('grant.amended', {
    grantId: grantId as string,
    actor: actor as string,
    data: { from, to, raised, twoPerson },
  });
const pays = (log: SyntheticLog, number: number, value: string) =>
  log.authorized(number, [ROOT], value);

const LIMITS = { budget: '100', maxPerPayment: '10', maxPayments: 3, approvalAbove: null };

describe('amendments, replayed', () => {
  it('judge each payment by the terms in force when it was decided', () => {
    const taken = replay(LIMITS, (log) => [
      pays(log, 1, '10'),
      amends(log, { maxPerPayment: '10' }, { maxPerPayment: '5' }),
      pays(log, 2, '5'),
      amends(log, { maxPerPayment: '5' }, { maxPerPayment: null }, { raised: ['maxPerPayment'] }),
      pays(log, 3, '50'),
      amends(
        log,
        { budget: '100', maxPayments: 3 },
        { budget: '165', maxPayments: 4 },
        { raised: ['budget', 'maxPayments'] },
      ),
      pays(log, 4, '100'),
    ]);
    expect(taken.grant(ROOT)).toMatchObject({ reserved: 165n, payments: 4 });
  });

  it('move what is set aside for a carve-out', () => {
    const taken = replay({ budget: '100' }, (log) => [
      log.grant(CHILD, ROOT, { budget: '40', funding: 'reserved' }),
      amends(log, { budget: '40' }, { budget: '60' }, { raised: ['budget'], grantId: CHILD }),
      amends(log, { budget: '60' }, { budget: '10' }, { grantId: CHILD }),
    ]);
    expect(taken.grant(ROOT)).toMatchObject({ allocated: 10n });
  });

  it.each<[string, RegExp, Tell]>([
    [
      'a payment beyond a lowered limit',
      /more than the 5/,
      (log) => [amends(log, { maxPerPayment: '10' }, { maxPerPayment: '5' }), pays(log, 1, '6')],
    ],
    [
      'a payment without an approval that is asked for since',
      /without the approval/,
      (log) => [amends(log, { approvalAbove: null }, { approvalAbove: '1' }), pays(log, 1, '6')],
    ],
    [
      'a payment after an earlier end',
      /stays valid longer/,
      (log) => [
        amends(
          log,
          { expiresAt: JSON.parse(log.grant(CHILD, ROOT)).data.expiresAt },
          { expiresAt: new Date(log.now + 30_000).toISOString() },
        ),
        pays(log, 1, '6'),
      ],
    ],
    [
      'a count below what was paid',
      /has made 1/,
      (log) => [pays(log, 1, '6'), amends(log, { maxPayments: 3 }, { maxPayments: 0 })],
    ],
    [
      'a carve-out that is raised beyond what is left',
      /overspends/,
      (log) => [
        log.grant(CHILD, ROOT, { budget: '40', funding: 'reserved' }),
        log.authorized(1, [ROOT], '10'),
        amends(log, { budget: '40' }, { budget: '95' }, { raised: ['budget'], grantId: CHILD }),
      ],
    ],
    [
      'other terms before than after',
      /from other terms/,
      (log) => [amends(log, { budget: '100' }, { maxPayments: 2 })],
    ],
    [
      'a raise by somebody who acted on the grant, in two-person mode',
      /acted on grant/,
      (log) => [
        amends(log, { budget: '100' }, { budget: '101' }, { raised: ['budget'], twoPerson: true }),
        amends(log, { budget: '101' }, { budget: '102' }, { raised: ['budget'], twoPerson: true }),
      ],
    ],
    [
      'a raise by a holder, in two-person mode',
      /by the holder/,
      (log) => [
        log.grant(CHILD, ROOT, { budget: '40' }),
        amends(
          log,
          { budget: '40' },
          { budget: '41' },
          { raised: ['budget'], twoPerson: true, grantId: CHILD, actor: `grant:${ROOT}` },
        ),
      ],
    ],
  ])('find %s', (_what, reason, tell) => {
    expect(() => replay(LIMITS, tell)).toThrow(Contradiction);
    expect(() => replay(LIMITS, tell)).toThrow(reason);
  });
});
