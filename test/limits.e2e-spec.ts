import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import {
  type Api,
  expectProblem,
  type Minted,
  type Paid,
  type ProblemAnswer,
} from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { ended, release, SHORT, settle } from './support/settle.js';
import { atomic, CENT, OTHER_PAYEE, order, PAYEE } from './support/terms.js';

const MAX_GRANT_SECONDS = 7200;

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: { BURSAR_MAX_GRANT_SECONDS: String(MAX_GRANT_SECONDS) },
  });
  ({ admin } = stack);
}, 60_000);

afterAll(() => stack?.stop());

const plain = { holder: 'agent', budget: '1.00', ttlSeconds: 600 };

const LEVELS = ['root', 'parent', 'self'] as const;
type Level = (typeof LEVELS)[number];

/** A grant, its parent and its root, with terms of their own; what is left out is ample or inherited. */
async function chain(
  terms: Partial<Record<Level, Record<string, unknown>>> = {},
): Promise<Record<Level, Minted>> {
  const root = await admin.mint({ budget: '10.00', delegationDepth: 2, ...terms.root });
  const { budget } = root.grant;
  const parent = await admin.as(root.token).mint({ budget, ...terms.parent });
  const self = await admin.as(parent.token).mint({ budget: parent.grant.budget, ...terms.self });
  return { root, parent, self };
}

function at(msFromNow: number): string {
  return new Date(stack.now() + msFromNow).toISOString();
}

/** Lets time pass, and the chain keep up: nothing is paid by a block that is too old. */
async function pass(seconds: number): Promise<void> {
  await stack.passTime(seconds);
  await stack.finalize();
}

const pay = (payer: Minted, changes: Record<string, unknown> = {}) =>
  admin.as(payer.token).pay<Paid & ProblemAnswer>(order(stack.chain, changes));
const paid = (payer: Minted, changes: Record<string, unknown> = {}) =>
  admin.as(payer.token).paid(order(stack.chain, changes));
const cents = (count: number) => ({ amount: (CENT * BigInt(count)).toString() });

describe('a limit that is used up', () => {
  const limits = [
    ['budget_exceeded', { budget: '0.05' }, { limit: '0.05', remaining: '0.02' }],
    ['payments_exceeded', { maxPayments: 1 }, { limit: '1', remaining: '0' }],
    [
      'window_exceeded',
      { windows: [{ seconds: 3600, amount: '0.05' }] },
      { limit: '0.05', remaining: '0.02' },
    ],
    [
      'window_exceeded',
      {
        windows: [
          { seconds: 60, amount: '9.00' },
          { seconds: 3600, payments: 1 },
        ],
      },
      { limit: '1', remaining: '0' },
    ],
  ] as const;
  const cases = LEVELS.flatMap((level) =>
    limits.map(([code, terms, told], way) => ({ level, code, terms, told, way })),
  );

  it.each(cases)('of the $level refuses with $code (limit $way), naming it', async (given) => {
    const { level, code, terms, told } = given;
    const grants = await chain({ [level]: terms });
    await paid(grants[level], cents(3));
    const answer = await pay(grants.self, cents(3));
    // The rest of a grant above is not for those below to know.
    const figures = level === 'self' ? told : { limit: undefined, remaining: undefined };
    expectProblem(answer, 403, code, { grantId: grants[level].grant.id, ...figures });
    expect((await admin.grant(grants.self.grant.id)).payments).toBe(level === 'self' ? 1 : 0);
  });

  it('names the paying grant first, then upwards', async () => {
    const grants = await chain({ root: { budget: '0.03' }, self: { maxPayments: 1 } });
    await paid(grants.self, cents(3));
    const answer = await pay(grants.self);
    expectProblem(answer, 403, 'payments_exceeded', { grantId: grants.self.grant.id });
    expectProblem(await pay(grants.parent), 403, 'budget_exceeded', {
      grantId: grants.parent.grant.id,
    });
  });
});

describe('a bound of what may be bought', () => {
  const ELSEWHERE = 'https://api.example.com/other';
  const bounds = [
    ['per_payment_exceeded', { maxPerPayment: '0.02' }, cents(3), {}, '0.02'],
    ['payee_not_allowed', { scope: { payTo: [PAYEE] } }, { payTo: OTHER_PAYEE }, {}, PAYEE],
    ['network_not_allowed', { scope: { networks: ['eip155:8453'] } }, {}, {}, 'eip155:8453'],
    [
      'resource_not_allowed',
      { scope: { resources: ['https://api.example.com/data/*'] } },
      {},
      { url: ELSEWHERE },
      'https://api.example.com/data/*',
    ],
  ] as const;

  it.each(bounds)(
    'is inherited, so the paying grant says %s',
    async (code, terms, changes, more, limit) => {
      const { self } = await chain({ root: terms });
      const answer = await admin.as(self.token).pay(order(stack.chain, changes, more));
      expectProblem(answer, 403, code, {
        grantId: self.grant.id,
        limit,
        remaining: self.grant.remaining,
      });
    },
  );

  it.each(bounds)(
    'of a child only leaves its parent free of %s',
    async (...[code, terms, changes, more]) => {
      const { parent, self } = await chain({ self: terms });
      const body = order(stack.chain, changes, more);
      expectProblem(await admin.as(self.token).pay(body), 403, code, { grantId: self.grant.id });
      await admin.as(parent.token).paid(body);
    },
  );
});

describe('a grant that is not alive', () => {
  const nothing = { limit: '0.00', remaining: '0.00' };
  const untold = { limit: undefined, remaining: undefined };
  const figures = (level: (typeof LEVELS)[number], of: (typeof LEVELS)[number]) =>
    level === of ? nothing : untold;

  it.each(LEVELS)('refuses as grant_revoked when it is the %s', async (level) => {
    const grants = await chain();
    const { id } = grants[level].grant;
    await admin.post(`/v1/grants/${id}/revoke`, {});
    expectProblem(await pay(grants.self), 403, 'grant_revoked', {
      grantId: id,
      ...figures(level, 'self'),
    });
    const delegated = await admin.as(grants.parent.token).post('/v1/grants', plain);
    if (level === 'self') expect(delegated.status).toBe(201);
    else {
      expectProblem(delegated, 403, 'grant_revoked', { grantId: id, ...figures(level, 'parent') });
    }
  });

  it.each(LEVELS)('refuses as grant_suspended when it is the %s', async (level) => {
    const grants = await chain();
    const { id } = grants[level].grant;
    await admin.post(`/v1/grants/${id}/suspend`, {});
    expectProblem(await pay(grants.self), 403, 'grant_suspended', {
      grantId: id,
      ...figures(level, 'self'),
    });
    const delegated = await admin.as(grants.parent.token).post('/v1/grants', plain);
    if (level === 'self') expect(delegated.status).toBe(201);
    else {
      expectProblem(delegated, 403, 'grant_suspended', {
        grantId: id,
        ...figures(level, 'parent'),
      });
    }
  });

  it.each(LEVELS)('refuses as grant_expired when it is the %s', async (level) => {
    const expiresAt = at(60_000);
    const last = LEVELS.indexOf(level);
    const grants = await chain(
      Object.fromEntries(LEVELS.slice(last).map((each) => [each, { expiresAt }])),
    );
    const denial = (payer: (typeof LEVELS)[number]) => ({
      grantId: grants[level].grant.id,
      ...(level === payer ? { limit: expiresAt, remaining: undefined } : untold),
    });
    // Too short now for a payment to settle.
    await pass(57);
    expectProblem(await pay(grants.self), 403, 'grant_expired', denial('self'));
    if (level === 'self') return;
    const delegated = await admin.as(grants.parent.token).post('/v1/grants', plain);
    expectProblem(delegated, 403, 'grant_expired', denial('parent'));
  });

  it('refuses as grant_not_started, and cannot delegate yet', async () => {
    const startsAt = at(60_000);
    const early = await admin.mint({ budget: '1.00', delegationDepth: 1, startsAt });
    const denial = { grantId: early.grant.id, limit: startsAt, remaining: undefined };
    expectProblem(await pay(early), 403, 'grant_not_started', denial);
    const delegated = await admin.as(early.token).post('/v1/grants', plain);
    expectProblem(delegated, 403, 'grant_not_started', denial);
  });
});

describe('a delegation', () => {
  it('is refused to who may not, with delegation_not_allowed', async () => {
    const { self } = await chain();
    expectProblem(
      await admin.as(self.token).post('/v1/grants', plain),
      403,
      'delegation_not_allowed',
      {
        grantId: self.grant.id,
        limit: '0',
        remaining: '0',
      },
    );
  });

  const windows = [
    { seconds: 3600, amount: '0.60', payments: 10 },
    { seconds: 60, amount: '0.10' },
  ];
  const [hourly, minutely] = windows;
  const terms = {
    budget: '1.00',
    windows,
    approvalAbove: '0.25',
    maxPerPayment: '0.30',
    maxPayments: 20,
    delegationDepth: 1,
  };
  const inAnHour = '0.60 and 10 payments every 3600 s';
  const inAMinute = '0.10 every 60 s';

  it.each([
    ['windows', { windows: [] }, inAnHour],
    ['windows', { windows: [], budget: '0.10' }, inAnHour],
    ['windows', { windows: [], maxPayments: 10 }, inAnHour],
    ['windows', { windows: [hourly] }, inAMinute],
    ['windows', { windows: [minutely] }, inAnHour],
    ['windows', { windows: [{ ...hourly, payments: 11 }, minutely] }, inAnHour],
    ['windows', { windows: [{ ...hourly, amount: '0.600001' }, minutely] }, inAnHour],
    ['windows', { windows: [{ ...hourly, seconds: 3599 }, minutely] }, inAnHour],
    ['windows', { windows: [hourly, { ...minutely, seconds: 59 }] }, inAMinute],
    ['windows', { windows: [hourly, { ...minutely, amount: '0.100001' }] }, inAMinute],
    ['approvalAbove', { approvalAbove: '0.250001' }, '0.25'],
    ['maxPerPayment', { maxPerPayment: '0.300001' }, '0.30'],
    ['maxPayments', { maxPayments: 21 }, '20'],
    ['budget', { budget: '1.000001' }, '1.00'],
  ])('wider in %s (%j) is an attenuation_violation', async (field, changes, limit) => {
    const parent = await admin.mint(terms);
    await paid(parent, cents(4));
    const answer = await admin.as(parent.token).post('/v1/grants', { ...plain, ...changes });
    expectProblem(answer, 403, 'attenuation_violation', {
      field,
      limit,
      grantId: parent.grant.id,
      remaining: '0.96',
    });
  });

  it.each([
    ['the same', {}, windows],
    [
      'one that does in two periods what the parent does in one',
      {},
      [hourly, { seconds: 30, amount: '0.05' }],
    ],
    ['one that is longer and as small', {}, [hourly, { seconds: 86_400, amount: '0.10' }]],
    [
      'none, within a budget and a count that no window could tighten',
      { budget: '0.10', maxPayments: 10 },
      [],
    ],
    ['the budget in place of one', { budget: '0.10' }, [{ seconds: 3600, payments: 10 }]],
  ])('takes windows that are no wider: %s', async (_what, changes, narrower) => {
    const parent = await admin.mint(terms);
    const { grant } = await admin
      .as(parent.token)
      .mint({ budget: '1.00', windows: narrower, ...changes });
    expect(grant.windows).toEqual(narrower);
  });
});

describe('windows', () => {
  it.each([
    ['five of them', Array(5).fill({ seconds: 60, amount: '1' }), 'windows'],
    ['one without a bound', [{ seconds: 60 }], 'windows.0'],
    ['one without a length', [{ amount: '1' }], 'windows.0.seconds'],
    ['one of no length', [{ seconds: 0, amount: '1' }], 'windows.0.seconds'],
    ['a fraction of a second', [{ seconds: 0.5, amount: '1' }], 'windows.0.seconds'],
    ['a negative amount', [{ seconds: 60, amount: '-1' }], 'windows.0.amount'],
    ['more decimals than USDC has', [{ seconds: 60, amount: '0.0000001' }], 'windows.0.amount'],
    ['a negative count', [{ seconds: 60, payments: -1 }], 'windows.0.payments'],
    ['an unknown member', [{ seconds: 60, amount: '1', rolling: true }], 'windows.0'],
  ])('are refused for %s', async (_what, windows, field) => {
    const answer = await admin.post('/v1/grants', { ...plain, windows });
    expectProblem(answer, 400, 'invalid_request', { field });
  });

  it('hold all four at once: the first that is full refuses', async () => {
    const agent = await admin.mint({
      budget: '10.00',
      windows: [
        { seconds: 3600, amount: '0.50' },
        { seconds: 3600, payments: 3 },
        { seconds: 7200, amount: '0.20', payments: 100 },
        { seconds: 86_400, amount: '9.00' },
      ],
    });
    expect(agent.grant.remaining).toBe('0.20');
    const refused = (limit: string, remaining: string) => ({
      grantId: agent.grant.id,
      limit,
      remaining,
    });
    expectProblem(await pay(agent, cents(51)), 403, 'window_exceeded', {
      ...refused('0.50', '0.50'),
      ...{ nextAction: 'ask', retryAfter: undefined, reopensAt: undefined },
    });
    expectProblem(await pay(agent, cents(21)), 403, 'window_exceeded', refused('0.20', '0.20'));
    for (let n = 0; n < 3; n++) await paid(agent);
    expectProblem(await pay(agent), 403, 'window_exceeded', refused('3', '0'));
    expect((await admin.grant(agent.grant.id)).remaining).toBe('0.00');
  });

  it.each([
    ['amount', { seconds: 60, amount: '0.02' }, '0.02', '0.02'],
    ['count', { seconds: 60, payments: 2 }, '2', '1.00'],
  ])('open anew with the next period, never before: by %s', async (_by, window, limit, fresh) => {
    const agent = await admin.mint({ budget: '1.00', windows: [window] });
    const periodOf = (time: string) =>
      Math.floor((Date.parse(time) - Date.parse(agent.grant.startsAt)) / 60_000);
    const times: string[] = [];
    let refusals = 0;
    while (new Set(times.map(periodOf)).size < 3) {
      const answer = await pay(agent);
      if (answer.status === 201) times.push(answer.body.payment.createdAt);
      else {
        refusals += 1;
        expectProblem(answer, 403, 'window_exceeded', { grantId: agent.grant.id, limit });
        const opens = answer.body.reopensAt ?? '';
        expect(answer.body.detail).toContain(`begins at ${opens}`);
        // The start of a later period than that of the last payment.
        expect((Date.parse(opens) - Date.parse(agent.grant.startsAt)) % 60_000).toBe(0);
        expect(periodOf(opens)).toBeGreaterThan(periodOf(times.at(-1) ?? ''));
        await pass(20);
      }
    }
    expect(refusals).toBeGreaterThanOrEqual(4);
    const perPeriod = times
      .map(periodOf)
      .map((one, _n, all) => all.filter((n) => n === one).length);
    expect(Math.max(...perPeriod)).toBe(2);
    await pass(60);
    // Nothing is taken of the period that begins.
    const { remaining, reserved } = await admin.grant(agent.grant.id);
    const left = 1_000_000n - atomic(reserved);
    expect(atomic(remaining)).toBe(left < atomic(fresh) ? left : atomic(fresh));
  });

  it('hold for the whole tree: a child’s payments count to its parent’s', async () => {
    const top = await admin.mint({
      budget: '1.00',
      delegationDepth: 1,
      windows: [{ seconds: 3600, amount: '0.05', payments: 4 }],
    });
    const [one, two] = await Promise.all(
      [1, 2].map(() => admin.as(top.token).mint({ budget: '1.00' })),
    );
    if (!one || !two) throw new Error('not minted');
    await paid(one, cents(3));
    expect((await admin.grant(two.grant.id)).remaining).toBe('0.02');
    expectProblem(await pay(two, cents(3)), 403, 'window_exceeded', {
      grantId: top.grant.id,
      limit: undefined,
      remaining: undefined,
    });
    await paid(two, cents(2));
    expect((await admin.grant(top.grant.id)).remaining).toBe('0.00');
  });

  it('get back what was released, as long as its period is open', async () => {
    const window = { seconds: 3600, amount: '0.05', payments: 2 };
    const agent = await admin.mint({ budget: '1.00', windows: [window], maxPayments: 2 });
    const kept = await paid(agent, cents(2));
    const short = await paid(agent, { ...cents(3), ...SHORT });
    expect((await admin.grant(agent.grant.id)).remaining).toBe('0.00');
    await settle(stack, kept);
    await release(stack, short);
    // Settled payments stay counted.
    expect(await admin.grant(agent.grant.id)).toMatchObject({ remaining: '0.03', payments: 1 });
    expectProblem(await pay(agent, { amount: '30001' }), 403, 'window_exceeded', {
      limit: '0.05',
      remaining: '0.03',
    });
    await paid(agent, cents(3));
    expectProblem(await pay(agent), 403, 'payments_exceeded', { remaining: '0' });
  });

  it('of a later period get nothing back from an earlier one', async () => {
    const SECONDS = 300;
    // Its first period ends in half a minute.
    const agent = await admin.mint({
      budget: '1.00',
      startsAt: at(-(SECONDS - 30) * 1000),
      windows: [{ seconds: SECONDS, amount: '0.05', payments: 1 }],
    });
    const { payment } = await paid(agent, { ...cents(5), maxTimeoutSeconds: 60 });
    expectProblem(await pay(agent), 403, 'window_exceeded', { remaining: '0.00' });
    await pass(31);
    await paid(agent, { ...cents(4), maxTimeoutSeconds: 120 });
    expect((await admin.payment(payment.id)).status).toBe('authorized');
    await pass(40);
    await ended(stack, payment.id, 'released');
    expectProblem(await pay(agent), 403, 'window_exceeded', { limit: '1', remaining: '0' });
    expect(await admin.grant(agent.grant.id)).toMatchObject({ reserved: '0.04', payments: 1 });
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });
});

describe('the longest life of a grant', () => {
  it.each([
    ['ttlSeconds', { ttlSeconds: MAX_GRANT_SECONDS + 1 }],
    ['expiresAt', { ttlSeconds: undefined }],
  ])('is what BURSAR_MAX_GRANT_SECONDS says, for %s', async (field, given) => {
    const expiresAt = at(MAX_GRANT_SECONDS * 1000 + 3_600_000);
    const changes = field === 'expiresAt' ? { ...given, expiresAt } : given;
    const answer = await admin.post('/v1/grants', { ...plain, ...changes });
    expectProblem(answer, 400, 'invalid_request', { field, limit: String(MAX_GRANT_SECONDS) });
  });

  it('may be used up, and holds for children too', async () => {
    const top = await admin.mint({
      budget: '1.00',
      ttlSeconds: MAX_GRANT_SECONDS,
      delegationDepth: 1,
    });
    const tooLong = { ...plain, ttlSeconds: MAX_GRANT_SECONDS + 1 };
    expectProblem(await admin.as(top.token).post('/v1/grants', tooLong), 400, 'invalid_request', {
      field: 'ttlSeconds',
    });
  });

  it('asked for as long as the parent’s ends with the parent, although minted later', async () => {
    const top = await admin.mint({ budget: '1.00', ttlSeconds: 600, delegationDepth: 1 });
    const { grant } = await admin.as(top.token).mint({ budget: '1.00', ttlSeconds: 600 });
    expect(grant.expiresAt).toBe(top.grant.expiresAt);
    const longer = await admin.as(top.token).mint({ budget: '1.00', ttlSeconds: 6_000 });
    expect(longer.grant.expiresAt).toBe(top.grant.expiresAt);
  });
});

describe('remaining', () => {
  const ample = { windows: [{ seconds: 3600, amount: '5.00', payments: 100 }] };
  const child = (parent: Minted, terms: Record<string, unknown>) =>
    admin.as(parent.token).mint(terms);

  /** Ways to a grant, and what may be spent with it after them. */
  const ways: readonly [string, string, () => Promise<Minted>][] = [
    ['its own budget', '0.07', async () => (await chain({ self: { budget: '0.07' } })).self],
    [
      'its own payments',
      '0.04',
      async () => {
        const { self } = await chain({ self: { budget: '0.07' } });
        await paid(self, cents(3));
        return self;
      },
    ],
    [
      'a sibling’s payments from their parent',
      '0.05',
      async () => {
        const { parent, self } = await chain({ parent: { budget: '0.09' } });
        await paid(await child(parent, { budget: '0.09', delegationDepth: 0 }), cents(4));
        return self;
      },
    ],
    [
      'a window of its own',
      '0.021234',
      async () => {
        const windows = [{ seconds: 3600, amount: '0.031234' }];
        const { self } = await chain({
          root: ample,
          self: { windows: [...ample.windows, ...windows] },
        });
        await paid(self, cents(1));
        return self;
      },
    ],
    [
      'a window of its root, that a sibling of its parent has taken from',
      '0.06',
      async () => {
        const windows = [{ seconds: 3600, amount: '0.08' }];
        const { root, self } = await chain({ root: { windows } });
        await paid(await child(root, { budget: '1.00' }), cents(2));
        return self;
      },
    ],
    [
      'a carve-out of its own',
      '0.03',
      async () => {
        const self = await admin.mint({ budget: '0.10', delegationDepth: 1 });
        await child(self, { budget: '0.07', funding: 'reserved' });
        return self;
      },
    ],
    [
      'a carve-out beside its parent',
      '0.04',
      async () => {
        const { root, self } = await chain({ root: { budget: '0.10' } });
        const carved = await child(root, { budget: '0.06', funding: 'reserved' });
        await paid(carved, cents(2));
        return self;
      },
    ],
    [
      'a carve-out, although its root has nothing left but that',
      '0.06',
      async () => {
        const root = await admin.mint({ budget: '0.10', delegationDepth: 1 });
        const self = await child(root, { budget: '0.06', funding: 'reserved' });
        await paid(root, cents(4));
        return self;
      },
    ],
    [
      'a share of a carve-out',
      '0.025',
      async () => {
        const { parent, self } = await chain({
          root: { budget: '0.06' },
          parent: { budget: '0.06', funding: 'reserved' },
        });
        await paid(parent, { amount: '35000' });
        return self;
      },
    ],
    [
      'a carve-out within a carve-out, whose root’s window is tighter',
      '0.015',
      async () => {
        const windows = [{ seconds: 3600, amount: '0.02' }];
        const { root, self } = await chain({
          root: { windows },
          parent: { budget: '0.06', funding: 'reserved' },
          self: { budget: '0.05', funding: 'reserved' },
        });
        await paid(root, { amount: '5000' });
        return self;
      },
    ],
  ];

  it.each(ways)(
    'can really be spent, and not one atomic unit more: %s',
    async (_what, left, way) => {
      const agent = await way();
      const { remaining } = await admin.as(agent.token).read<GrantView>('/v1/grants/self');
      expect(remaining).toBe(left);
      const more = await pay(agent, { amount: (atomic(left) + 1n).toString() });
      expect({ status: more.status, text: more.text }).toMatchObject({
        status: 403,
        text: expect.stringMatching(/"code":"(budget|window)_exceeded"/),
      });
      const all = await paid(agent, { amount: atomic(left).toString() });
      expect(all.grant.remaining).toBe('0.00');
      expect((await admin.grant(agent.grant.id)).remaining).toBe('0.00');
      expect((await pay(agent, { amount: '1' })).status).toBe(403);
    },
  );

  it('is nothing while a count is used up, here or above', async () => {
    const { parent, self } = await chain({ parent: { maxPayments: 1 } });
    await paid(parent);
    expect((await admin.grant(self.grant.id)).remaining).toBe('0.00');
  });
});

it('refuses the same key for another grant’s terms, whatever differs in windows', async () => {
  const key = { 'idempotency-key': randomUUID() };
  const body = { ...plain, windows: [{ seconds: 60, amount: '0.10' }] };
  const first = await admin.post<Minted>('/v1/grants', body, key);
  const again = await admin.post<Minted>('/v1/grants', body, key);
  expect(again.body.grant).toEqual(first.body.grant);
  const other = { ...plain, windows: [{ seconds: 60, amount: '0.11' }] };
  expectProblem(await admin.post('/v1/grants', other, key), 409, 'idempotency_mismatch');
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
