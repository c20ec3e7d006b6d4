import { describe, expect, it } from '@jest/globals';
import { id, ROOT, SyntheticLog } from '../../test/support/synthetic-log.js';
import { conceal } from '../domain/disclosure.js';
import { forHolder } from './old-records.js';
import { Replay } from './replay.js';

const CHILD = id('grt', 2);
const SALT = '0123456789abcdef0123456789abcdef';
const counters = (grantId: string, spent: string, budget: string) => ({
  id: grantId,
  allocated: '0',
  budget,
  payments: 0,
  reserved: '0',
  spent,
});

/** A log whose one payment, of a child, commits to what its root was. */
function told(
  change: (parts: { opened: string[]; paid: string }) => string[],
  claim = counters(ROOT, '0', '50000'),
): Replay {
  const log = new SyntheticLog();
  const lines = [
    ...log.beginning({ budget: '50000' }),
    log.grant(CHILD, ROOT, { budget: '40000' }),
  ];
  const { commitment, entry } = conceal({ chain: [claim] }, SALT);
  const opened = log.line('audit.opened', { data: { openings: [entry] } });
  const data = { ancestors: commitment, grant: counters(CHILD, '0', '40000') };
  const paid = log.authorized(1, [ROOT, CHILD], '10000', { data });
  const replay = new Replay();
  for (const line of [...lines, ...change({ opened: [opened], paid })]) {
    replay.apply(JSON.parse(line));
  }
  return replay;
}

describe('A replay of commitments', () => {
  it('takes the figures of the opening for those of the record', () => {
    const replay = told(({ opened, paid }) => [...opened, paid]);
    expect(replay.grant(ROOT)).toMatchObject({ reserved: 10000n });
    expect(replay.unknownKinds).toEqual([]);
  });

  it('finds figures that the log does not come to', () => {
    const claim = counters(ROOT, '1', '50000');
    expect(() => told(({ opened, paid }) => [...opened, paid], claim)).toThrow(
      /its record says spent 1 of grant/,
    );
  });

  it('finds the own counters to be others', () => {
    expect(() =>
      told(({ opened, paid }) => [...opened, paid.replace('"budget":"40000"', '"budget":"40001"')]),
    ).toThrow(/its record says budget 40001/);
  });

  it.each<[string, (parts: { opened: string[]; paid: string }) => string[], RegExp]>([
    ['that nothing opens', ({ paid }) => [paid], /nothing before it opens/],
    ['opened too late', ({ opened, paid }) => [paid, ...opened], /nothing before it opens/],
    [
      'of other figures',
      ({ opened, paid }) => [
        ...opened.map((line) => line.replace('"spent":"0"', '"spent":"1"')),
        paid,
      ],
      /of other figures than its opening/,
    ],
    [
      'opened twice',
      ({ opened, paid }) => [
        ...opened,
        ...opened.map((line) => line.replace(/"id":"evt_[^"]*"/, `"id":"${id('evt', 99)}"`)),
        paid,
      ],
      /opened twice/,
    ],
    [
      'that was taken out of the record',
      ({ opened, paid }) => [
        ...opened,
        paid.replace(/"ancestors":"[0-9a-f]+"/, '"ancestors":null'),
      ],
      /its record tells of another chain/,
    ],
  ])('finds a commitment %s', (_what, change, message) => {
    expect(() => told(change)).toThrow(message);
  });
});

describe('A replay of what asks for an approval', () => {
  /** A log whose one payment, of a child, waits because its root asks above 9999. */
  const waits = (opened: Record<string, unknown> | undefined, change: Record<string, unknown>) => {
    const log = new SyntheticLog();
    const { commitment, entry } = conceal(opened ?? {}, SALT);
    const data = {
      ancestors: opened ? commitment : null,
      askedBy: ROOT,
      approvalAbove: null,
      option: { value: '10000' },
      ...change,
    };
    const lines = [
      ...log.beginning({ approvalAbove: '9999' }),
      log.grant(CHILD, ROOT),
      log.line('audit.opened', { data: { openings: opened ? [entry] : [] } }),
      log.line('payment.pending', { grantId: CHILD, paymentId: id('pay', 1), data }),
    ];
    const replay = new Replay();
    for (const line of lines) replay.apply(JSON.parse(line));
  };
  const old = (approvalAbove: string | undefined) => ({ ancestors: undefined, approvalAbove });

  it('takes the limit that is opened, and that of old records', () => {
    expect(() => waits({ approvalAbove: '9999' }, {})).not.toThrow();
    expect(() => waits(undefined, old(undefined))).not.toThrow();
    expect(() => waits(undefined, old('9999'))).not.toThrow();
  });

  it.each<[string, Record<string, unknown> | undefined, Record<string, unknown>]>([
    ['another limit in its opening', { approvalAbove: '9998' }, {}],
    ['no limit in its opening', {}, {}],
    ['one limit, and another in its opening', { approvalAbove: '1' }, { approvalAbove: '9999' }],
    ['no limit, and commits to none', undefined, {}],
    ['another limit, as old records do', undefined, old('1')],
  ])('finds a record that tells of %s', (_what, opened, change) => {
    expect(() => waits(opened, change)).toThrow(/waits for grant/);
  });

  it('asks for what opens the commitment of a kind that it does not know', () => {
    const line = new SyntheticLog().line('grant.blessed', { data: { ancestors: 'ab' } });
    expect(() => new Replay().apply(JSON.parse(line))).toThrow(/nothing before it opens/);
  });
});

describe('An old record', () => {
  const path = ['grt_a', 'grt_b', 'grt_c'];
  const chain = path.map((grantId) => ({ id: grantId, spent: '5' }));

  it('is read without the counters of grants above its reader’s', () => {
    const data = { chain, nonce: '0x' };
    expect(forHolder(data, path, 'grt_c')).toEqual({ chain: chain.slice(2), nonce: '0x' });
    expect(forHolder(data, path, 'grt_b')).toEqual({ chain: chain.slice(1), nonce: '0x' });
    expect(forHolder(data, path, 'grt_a')).toBe(data);
  });

  it('is read without the figures of a refusal above its reader', () => {
    const data = {
      code: 'budget_exceeded',
      detail: '1 of 9',
      refusedBy: 'grt_b',
      limit: '9',
      remaining: '1',
    };
    expect(forHolder(data, path, 'grt_c')).toMatchObject({
      code: 'budget_exceeded',
      refusedBy: 'grt_b',
      limit: null,
      remaining: null,
      detail: expect.not.stringContaining('9'),
    });
    expect(forHolder(data, path, 'grt_b')).toBe(data);
  });

  it('is read without the limit above which a grant above asks for an approval', () => {
    const data = { askedBy: 'grt_a', approvalAbove: '7' };
    expect(forHolder(data, path, 'grt_c')).toEqual({ askedBy: 'grt_a', approvalAbove: null });
    expect(forHolder(data, path, 'grt_a')).toBe(data);
  });

  it('of today is read as it was sealed', () => {
    const data = { ancestors: 'x', refusedBy: 'grt_a', code: 'budget_exceeded', limit: null };
    expect(forHolder(data, path, 'grt_c')).toBe(data);
  });
});
