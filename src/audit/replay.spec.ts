import { describe, expect, it } from '@jest/globals';
import { id, ROOT, SyntheticLog, WALLET } from '../../test/support/synthetic-log.js';
import { Contradiction, Replay } from './replay.js';

const CHILD = id('grt', 2);
const CARVED = id('grt', 3);

type Tell = (log: SyntheticLog) => string[];

/** Replays a log that begins as every log, with a root grant of these terms. */
function replay(terms: Record<string, unknown>, tell: Tell): Replay {
  const log = new SyntheticLog();
  const taken = new Replay();
  for (const line of [...log.beginning(terms), ...tell(log)]) taken.apply(JSON.parse(line));
  return taken;
}

const pays = (log: SyntheticLog, number: number, value?: string) => [
  log.authorized(number, [ROOT], value),
];
const settles = (log: SyntheticLog, number: number, value?: string) => [
  ...pays(log, number, value),
  log.ended(number, ROOT, 'settled', value),
];
const at = (seconds: number) =>
  new Date(Date.parse('2026-11-21T10:00:00.000Z') + seconds * 1000).toISOString();
const decidedAt = (seconds: number) => ({
  decision: { decidedAt: at(seconds), validBefore: String(Date.parse(at(seconds)) / 1000 + 60) },
});

/** Terms with a breaker. */
const BREAKER = { breaker: { refusals: 2, seconds: 60 } };
const refused = (log: SyntheticLog, code = 'budget_exceeded') =>
  log.line('payment.refused', { grantId: ROOT, data: { code } });
const tripped = (log: SyntheticLog, data: Record<string, unknown> = {}, actor = 'system:breaker') =>
  log.line('grant.tripped', {
    grantId: ROOT,
    actor,
    data: { refusals: 2, seconds: 60, since: at(0), unrecorded: 0, isLastRecorded: true, ...data },
  });

/** Two of the synthetic log's payments come to all of it. */
const SMALL = { budget: '20000' };
const reached = (
  log: SyntheticLog,
  data: Record<string, unknown> = {},
  actor = 'system:thresholds',
) =>
  log.line('grant.threshold', {
    grantId: ROOT,
    actor,
    data: { percent: 50, used: '10000', limit: '20000', unit: 'amount', window: null, ...data },
  });

/** Terms that ask for an approval of each new payee. */
const CAUTIOUS = { approveNewPayees: true };
/** A payment that waits and is approved, not collected yet. */
const approves = (log: SyntheticLog, number: number) => {
  const of = { grantId: ROOT, paymentId: id('pay', number) };
  return [log.line('payment.pending', of), log.line('payment.approved', of)];
};
const paysTo = (log: SyntheticLog, number: number, payTo: string) =>
  log.authorized(number, [ROOT], '10000', { decision: { to: payTo } });

describe('Replay', () => {
  it('comes to the counters of every grant of a chain', () => {
    const taken = replay({}, (log) => [
      log.grant(CHILD, ROOT),
      log.authorized(1, [ROOT, CHILD]),
      log.ended(1, CHILD),
      log.authorized(2, [ROOT, CHILD]),
      log.ended(2, CHILD, 'released'),
      log.authorized(3, [ROOT, CHILD]),
      log.ended(3, CHILD, 'cancelled'),
      log.authorized(4, [ROOT], '7'),
    ]);
    expect(taken.grant(CHILD)).toMatchObject({ reserved: 0n, spent: 10000n, payments: 1 });
    expect(taken.grant(ROOT)).toMatchObject({ reserved: 7n, spent: 10000n, payments: 2 });
  });

  it('counts a cancelled payment further, unless its record is older than that rule', () => {
    const cancelled = (data?: Record<string, unknown>) =>
      replay(
        { maxPayments: 2, windows: [{ seconds: 60, amount: '20000', payments: null }] },
        (log) => [
          ...pays(log, 1),
          log.line('payment.cancelled', {
            grantId: ROOT,
            paymentId: id('pay', 1),
            data: { value: '10000', transaction: `0x${'1'.repeat(64)}`, ...data },
          }),
          ...pays(log, 2),
          ...pays(log, 3),
        ],
      );
    expect(() => cancelled({ counted: true })).toThrow('which may make 2');
    expect(cancelled().grant(ROOT)).toMatchObject({ reserved: 20000n, payments: 2 });
  });

  it('lets a wallet pay only while each of its spends is explained', () => {
    const spend = (log: SyntheticLog, kind: string, place = 0) =>
      log.line(`wallet.spend_${kind}`, {
        actor: kind === 'adopted' ? 'admin:cli' : 'system:settlement',
        data: {
          address: WALLET,
          network: 'eip155:1',
          transaction: '0x1',
          asset: '0x2',
          place,
          nonce: `0x${place}`,
        },
      });
    const taken = replay({}, (log) => [
      spend(log, 'seen'),
      spend(log, 'seen', 1),
      spend(log, 'adopted'),
      spend(log, 'withdrawn', 1),
      ...pays(log, 1),
    ]);
    expect([...taken.explained]).toEqual(['0x0']);
    for (const end of ['adopted', 'withdrawn']) {
      expect(() =>
        replay({}, (log) => [
          spend(log, 'seen'),
          spend(log, 'seen', 1),
          spend(log, end),
          ...pays(log, 1),
        ]),
      ).toThrow('which was held then');
      expect(() => replay({}, (log) => [spend(log, end)])).toThrow('that was never seen');
    }
  });

  it('takes an adopted payment for the spend that was seen, and no other', () => {
    const transaction = `0x${'1'.repeat(64)}`;
    const adopted = (seen: string) =>
      replay({}, (log) => {
        const record = JSON.parse(log.authorized(1, [ROOT]));
        const { network, asset, from } = record.data.decision;
        const data = { address: from, network, transaction: seen, asset, place: 0 };
        record.kind = 'payment.adopted';
        record.actor = 'admin:cli';
        record.data.decision.transaction = transaction;
        record.data.nonce = `0x${'2'.repeat(64)}`;
        return [
          log.line('wallet.spend_seen', { actor: 'system:settlement', data }),
          JSON.stringify(record),
          log.line('wallet.spend_adopted', { actor: 'admin:cli', data }),
          log.ended(1, ROOT),
        ];
      });
    expect(adopted(transaction).grant(ROOT)).toMatchObject({ spent: 10000n, payments: 1 });
    expect(() => adopted(`0x${'3'.repeat(64)}`)).toThrow('that was never seen');
  });

  it('moves money set aside for a carve-out as it is held, spent and given back', () => {
    const carved = (log: SyntheticLog) => [
      log.grant(CARVED, ROOT, { funding: 'reserved', budget: '50000' }),
      log.authorized(1, [ROOT, CARVED]),
      log.authorized(2, [ROOT, CARVED]),
      log.ended(1, CARVED),
      log.ended(2, CARVED, 'released'),
    ];
    expect(replay({}, carved).grant(ROOT)).toMatchObject({
      allocated: 40000n,
      spent: 10000n,
      reserved: 0n,
    });
    const ended = replay({}, (log) => [
      ...carved(log),
      log.line('grant.revoked', { grantId: CARVED }),
      log.line('grant.returned', { grantId: CARVED, data: { amount: '40000', to: [ROOT] } }),
    ]);
    expect(ended.grant(ROOT)).toMatchObject({ allocated: 0n, spent: 10000n });
  });

  it('lets a carve-out spend what its parent has no room for otherwise', () => {
    const taken = replay({ budget: '50000' }, (log) => [
      log.grant(CARVED, ROOT, { funding: 'reserved', budget: '50000' }),
      log.authorized(1, [ROOT, CARVED], '50000'),
    ]);
    expect(taken.grant(ROOT)).toMatchObject({ allocated: 0n, reserved: 50000n });
  });

  it('counts a window anew in each period, and takes back what is released in it', () => {
    const windows = [{ seconds: 60, amount: '20000', payments: null }];
    replay({ windows }, (log) => [
      log.authorized(1, [ROOT], '20000', decidedAt(59)),
      log.authorized(2, [ROOT], '20000', decidedAt(60)),
      log.ended(2, ROOT, 'released', '20000'),
      log.authorized(3, [ROOT], '20000', decidedAt(119)),
    ]);
  });

  it('takes a payment above approvalAbove once it was approved', () => {
    replay({ approvalAbove: '9999' }, (log) => [
      log.line('payment.pending', { grantId: ROOT, paymentId: id('pay', 1) }),
      log.line('payment.approved', { grantId: ROOT, paymentId: id('pay', 1) }),
      ...pays(log, 1),
    ]);
  });

  it('accepts what a record says the chain was, when it was so', () => {
    const claim = (reserved: string) => ({
      data: {
        chain: [
          { id: ROOT, budget: '50000', reserved, spent: '10000', allocated: '0', payments: 1 },
        ],
      },
    });
    const told = (reserved: string) =>
      replay({ budget: '50000' }, (log) => [
        ...settles(log, 1),
        log.authorized(2, [ROOT], '10000', claim(reserved)),
      ]);
    told('0');
    expect(() => told('1')).toThrow('its record says reserved 1 of grant');
  });

  it('accepts a trip, a threshold and a known payee that the records before them bear out', () => {
    replay(BREAKER, (log) => [refused(log), refused(log), tripped(log)]);
    replay(BREAKER, (log) => [
      refused(log),
      tripped(log, { unrecorded: 1, isLastRecorded: false }),
    ]);
    replay(SMALL, (log) => [
      ...pays(log, 1),
      reached(log),
      ...pays(log, 2),
      reached(log, { percent: 80, used: '20000' }),
      reached(log, { percent: 100, used: '20000' }),
    ]);
    replay(CAUTIOUS, (log) => [...approves(log, 1), ...pays(log, 1), ...pays(log, 2)]);
  });

  const contradictions: [string, RegExp, Record<string, unknown>, Tell][] = [
    [
      'more than a budget',
      /overspends grant/,
      { budget: '29999' },
      (log) => [...settles(log, 1), ...pays(log, 2), ...pays(log, 3)],
    ],
    [
      'more than an ancestor’s budget',
      /overspends grant grt_010/,
      { budget: '9999' },
      (log) => [log.grant(CHILD, ROOT), log.authorized(1, [ROOT, CHILD])],
    ],
    [
      'more set aside than there is',
      /is set aside overspends/,
      { budget: '50000' },
      (log) => [
        log.grant(CHILD, ROOT, { funding: 'reserved', budget: '30000' }),
        log.grant(CARVED, ROOT, { funding: 'reserved', budget: '20001' }),
      ],
    ],
    [
      'a sibling’s money that is set aside',
      /overspends grant/,
      { budget: '50000' },
      (log) => [log.grant(CARVED, ROOT, { funding: 'reserved', budget: '45000' }), ...pays(log, 1)],
    ],
    [
      'more than a carve-out has',
      /overspends grant|set aside/,
      {},
      (log) => [
        log.grant(CARVED, ROOT, { funding: 'reserved', budget: '9999' }),
        log.authorized(1, [ROOT, CARVED]),
      ],
    ],
    [
      'more payments than allowed',
      /is number 3 of grant/,
      { maxPayments: 2 },
      (log) => [...settles(log, 1), ...settles(log, 2), ...pays(log, 3)],
    ],
    [
      'more at once than allowed',
      /more than the 9999/,
      { maxPerPayment: '9999' },
      (log) => pays(log, 1),
    ],
    [
      'more than a window',
      /overruns a window/,
      { windows: [{ seconds: 60, amount: '19999', payments: null }] },
      (log) => [...settles(log, 1), ...pays(log, 2)],
    ],
    [
      'more payments than a window',
      /overruns a window/,
      { windows: [{ seconds: 60, amount: null, payments: 1 }] },
      (log) => [...settles(log, 1), ...pays(log, 2)],
    ],
    [
      'a window opened by a clock set back',
      /overruns a window/,
      { windows: [{ seconds: 60, amount: '10000', payments: null }] },
      (log) => [
        log.authorized(1, [ROOT], '10000', decidedAt(61)),
        log.authorized(2, [ROOT], '10000', decidedAt(59)),
      ],
    ],
    [
      'a payment no one approved',
      /without the approval/,
      { approvalAbove: '9999' },
      (log) => pays(log, 1),
    ],
    [
      'a payment that was rejected',
      /without the approval/,
      {},
      (log) => [
        log.line('payment.pending', { grantId: ROOT, paymentId: id('pay', 1) }),
        log.line('payment.rejected', { grantId: ROOT, paymentId: id('pay', 1) }),
        ...pays(log, 1),
      ],
    ],
    [
      'an approval of nothing',
      /payment.approved after nothing/,
      {},
      (log) => [log.line('payment.approved', { paymentId: id('pay', 1) })],
    ],
    [
      'a nonce that is not its decision’s',
      /nonce is not the hash/,
      {},
      (log) => [log.authorized(1, [ROOT], '1', { data: { nonce: `0x${'00'.repeat(32)}` } })],
    ],
    [
      'a decision about another payment',
      /another payment or chain/,
      {},
      (log) => [log.authorized(1, [ROOT], '1', { decision: { paymentId: id('pay', 2) } })],
    ],
    [
      'a decision about another treasury',
      /another payment or chain/,
      {},
      (log) => [log.authorized(1, [ROOT], '1', { decision: { treasuryId: 'trs_2' } })],
    ],
    [
      'a chain that leaves an ancestor out',
      /another payment or chain/,
      {},
      (log) => [log.grant(CHILD, ROOT), log.authorized(1, [CHILD])],
    ],
    [
      'another currency',
      /in another currency/,
      {},
      (log) => [log.authorized(1, [ROOT], '1', { data: { currency: 'EURC' } })],
    ],
    [
      'a child in another currency',
      /in another currency/,
      {},
      (log) => [log.grant(CHILD, ROOT, { currency: 'EURC' })],
    ],
    ['a grant nobody minted', /was never minted/, {}, (log) => [log.authorized(1, [CHILD])]],
    ['a child of nobody', /was never minted/, {}, (log) => [log.grant(CHILD, CARVED)]],
    ['a grant minted twice', /minted a second time/, {}, (log) => [log.grant(ROOT, undefined)]],
    [
      'a delegation without a parent',
      /delegated without a parent/,
      {},
      (log) => [log.grant(CHILD, ROOT, { parentId: null }, 'admin:test')],
    ],
    [
      'a revoked grant',
      /but is revoked/,
      {},
      (log) => [log.line('grant.revoked', { grantId: ROOT }), ...pays(log, 1)],
    ],
    [
      'a revoked ancestor',
      /but is revoked/,
      {},
      (log) => [
        log.grant(CHILD, ROOT),
        log.line('grant.revoked', { grantId: ROOT }),
        log.authorized(1, [ROOT, CHILD]),
      ],
    ],
    [
      'a suspended grant',
      /but is suspended/,
      {},
      (log) => [log.line('grant.suspended', { grantId: ROOT }), ...pays(log, 1)],
    ],
    [
      'a suspended treasury',
      /is authorized while the treasury is suspended by admin:test/,
      {},
      (log) => [log.line('treasury.suspended', { actor: 'admin:test' }), ...pays(log, 1)],
    ],
    [
      'a delegation in a suspended treasury',
      /is minted while the treasury is suspended/,
      {},
      (log) => [log.line('treasury.suspended', { actor: 'admin:test' }), log.grant(CHILD, ROOT)],
    ],
    [
      'a treasury that is suspended twice',
      /had suspended it already/,
      {},
      (log) => [
        log.line('treasury.suspended', { actor: 'admin:test' }),
        log.line('treasury.suspended', { actor: 'admin:test' }),
      ],
    ],
    [
      'a treasury that is resumed and runs',
      /was not suspended/,
      {},
      (log) => [log.line('treasury.resumed', { actor: 'admin:test' })],
    ],
    [
      'a treasury that a holder suspends',
      /has no part in treasury.suspended/,
      {},
      (log) => [log.line('treasury.suspended', { actor: `grant:${ROOT}` })],
    ],
    [
      'a delegation by a revoked grant',
      /but is revoked/,
      {},
      (log) => [log.line('grant.revoked', { grantId: ROOT }), log.grant(CHILD, ROOT)],
    ],
    [
      'a grant come back to life',
      /after its revocation/,
      {},
      (log) => [
        log.line('grant.revoked', { grantId: ROOT }),
        log.line('grant.resumed', { grantId: ROOT }),
      ],
    ],
    [
      'a second revocation',
      /revoked twice/,
      {},
      (log) => [
        log.line('grant.revoked', { grantId: ROOT }),
        log.line('grant.revoked', { grantId: ROOT }),
      ],
    ],
    ['a grant before its start', /outside the life/, { startsAt: at(3600) }, (log) => pays(log, 1)],
    [
      'a grant after its end',
      /outside the life/,
      { expiresAt: at(2) },
      (log) => [log.authorized(1, [ROOT], '10000', decidedAt(2))],
    ],
    [
      'a signature that outlives its grant',
      /stays valid longer/,
      { expiresAt: at(30) },
      (log) => pays(log, 1),
    ],
    [
      'another payee',
      /outside the scope \(payTo\)/,
      { scope: { payTo: ['0x2222222222222222222222222222222222222222'] } },
      (log) => pays(log, 1),
    ],
    [
      'another network',
      /outside the scope \(networks\)/,
      { scope: { networks: ['eip155:1'] } },
      (log) => pays(log, 1),
    ],
    [
      'another resource',
      /outside the scope \(resources\)/,
      { scope: { resources: ['https://other.example.com/*'] } },
      (log) => pays(log, 1),
    ],
    [
      'a wallet nobody added',
      /no wallet here/,
      {},
      (log) => [log.authorized(1, [ROOT], '1', { decision: { from: '0x00' } })],
    ],
    [
      'a payment authorized twice',
      /authorized a second time/,
      {},
      (log) => [...pays(log, 1), ...pays(log, 1)],
    ],
    [
      'a payment authorized after its end',
      /authorized a second time/,
      {},
      (log) => [...settles(log, 1), ...pays(log, 1)],
    ],
    ['an end without a beginning', /was never authorized/, {}, (log) => [log.ended(1, ROOT)]],
    [
      'two ends',
      /ends a second time/,
      {},
      (log) => [...settles(log, 1), log.ended(1, ROOT, 'released')],
    ],
    [
      'another amount at the end',
      /another grant or amount/,
      {},
      (log) => [...pays(log, 1), log.ended(1, ROOT, 'settled', '1')],
    ],
    [
      'another grant at the end',
      /another grant or amount/,
      {},
      (log) => [...pays(log, 1), log.ended(1, CHILD)],
    ],
    [
      'a settlement that paid less than was signed',
      /settled with 9999, and signed is 10000/,
      {},
      (log) => [...pays(log, 1), log.ended(1, ROOT, 'settled', '10000', { paid: '9999' })],
    ],
    [
      'a settlement by no transaction',
      /settled by no transaction/,
      {},
      (log) => [...pays(log, 1), log.ended(1, ROOT, 'settled', '10000', { transaction: null })],
    ],
    [
      'money returned that was not set aside',
      /not set aside for it/,
      {},
      (log) => [
        log.grant(CHILD, ROOT),
        log.line('grant.returned', { grantId: CHILD, data: { amount: '1', to: [ROOT] } }),
      ],
    ],
    [
      'more returned than is left',
      /more than is left/,
      {},
      (log) => [
        log.grant(CARVED, ROOT, { funding: 'reserved', budget: '5' }),
        log.line('grant.returned', { grantId: CARVED, data: { amount: '6', to: [ROOT] } }),
      ],
    ],
    [
      'money returned to others',
      /to others than/,
      {},
      (log) => [
        log.grant(CARVED, ROOT, { funding: 'reserved', budget: '5' }),
        log.line('grant.returned', { grantId: CARVED, data: { amount: '5', to: [CARVED] } }),
      ],
    ],
    [
      'a payment out of what was returned',
      /but is returned/,
      {},
      (log) => [
        log.grant(CARVED, ROOT, { funding: 'reserved', budget: '50000' }),
        log.line('grant.revoked', { grantId: CARVED }),
        log.line('grant.returned', { grantId: CARVED, data: { amount: '50000', to: [ROOT] } }),
        log.authorized(1, [ROOT, CARVED]),
      ],
    ],
    [
      'a trip after fewer refusals than its breaker counts',
      /trips after 1 refusals and 0 without a record/,
      BREAKER,
      (log) => [refused(log), tripped(log)],
    ],
    [
      'a trip by refusals that do not count',
      /trips after 1 refusals/,
      BREAKER,
      (log) => [refused(log), refused(log, 'grant_suspended'), tripped(log)],
    ],
    [
      'a trip by more refusals without a record than there can be',
      /trips after 2 refusals and 1 without a record/,
      BREAKER,
      (log) => [refused(log), refused(log), tripped(log, { unrecorded: 1 })],
    ],
    [
      'a trip by other terms than those of its breaker',
      /asks for 2 in 60 s/,
      BREAKER,
      (log) => [refused(log), refused(log), tripped(log, { seconds: 3_600 })],
    ],
    [
      'a trip by refusals further apart than its breaker counts',
      /asks for 2 in 60 s/,
      BREAKER,
      (log) => {
        const first = refused(log);
        log.pass(59_000);
        const second = refused(log);
        log.pass(2_000);
        return [first, second, tripped(log)];
      },
    ],
    [
      'a trip of a grant without a breaker',
      /its breaker does not/,
      {},
      (log) => [refused(log), refused(log), tripped(log)],
    ],
    [
      'a trip by somebody else',
      /trips by system:test/,
      BREAKER,
      (log) => [refused(log), refused(log), tripped(log, {}, 'system:test')],
    ],
    [
      'a trip of a grant that is stopped',
      /was stopped already/,
      BREAKER,
      (log) => [refused(log), refused(log), tripped(log), tripped(log, { unrecorded: 2 })],
    ],
    [
      'a payment after the refusals that trip its grant',
      /pays after the refusals that trip grant/,
      BREAKER,
      (log) => [refused(log), refused(log), ...pays(log, 1)],
    ],
    [
      'a refusal after those that trip its grant',
      /is refused a payment after the refusals that trip/,
      BREAKER,
      (log) => [refused(log), refused(log), refused(log)],
    ],
    [
      'a threshold that was not reached',
      /comes to 80 % with 10000 of 20000/,
      SMALL,
      (log) => [...pays(log, 1), reached(log, { percent: 80 })],
    ],
    [
      'a threshold by other usage than there is',
      /comes to 80 % with 16000 of 20000, and has 10000/,
      SMALL,
      (log) => [...pays(log, 1), reached(log, { percent: 80, used: '16000' })],
    ],
    [
      'a threshold of another budget',
      /of 10000, and has 10000 of 20000/,
      SMALL,
      (log) => [...pays(log, 1), reached(log, { percent: 100, limit: '10000' })],
    ],
    [
      'a threshold that is told twice',
      /comes to 50 % of the same twice/,
      SMALL,
      (log) => [...pays(log, 1), reached(log), reached(log)],
    ],
    [
      'a threshold that is none',
      /comes to 40 % by system:thresholds/,
      SMALL,
      (log) => [...pays(log, 1), reached(log, { percent: 40 })],
    ],
    [
      'a threshold by somebody else',
      /by system:test, and none tells that/,
      SMALL,
      (log) => [...pays(log, 1), reached(log, {}, 'system:test')],
    ],
    [
      'a threshold of a window that there is not',
      /a threshold of a window that it has not/,
      SMALL,
      (log) => [
        ...pays(log, 1),
        reached(log, { window: { index: 0, seconds: 60, period: 0, startsAt: at(0) } }),
      ],
    ],
    [
      'a first payment to a payee that nobody approved',
      /without the approval that grant .* asks for/,
      CAUTIOUS,
      (log) => pays(log, 1),
    ],
    [
      'a payee known by an approval that was not collected',
      /without the approval that grant .* asks for/,
      CAUTIOUS,
      (log) => [...approves(log, 1), ...pays(log, 2)],
    ],
    [
      'a payment to another payee than the known one',
      /without the approval that grant .* asks for/,
      CAUTIOUS,
      (log) => [...approves(log, 1), ...pays(log, 1), paysTo(log, 2, WALLET)],
    ],
    ['an amount that is none', /is not an amount/, { budget: '1e9' }, () => []],
    ['a negative amount', /is not an amount/, {}, (log) => pays(log, 1, '-1')],
  ];

  it.each(contradictions)('finds %s', (_what, reason, terms, tell) => {
    let found: unknown;
    try {
      replay(terms, tell);
    } catch (error) {
      found = error;
    }
    expect(found).toBeInstanceOf(Contradiction);
    expect((found as Error).message).toMatch(reason);
  });
});
