import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Service } from '../src/service.js';
import { Api, type EventAnswer, type Paid } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

jest.setTimeout(90_000);

let stack: TestStack;
let replica: Service;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack({ movableClock: true });
  replica = await startReplica(stack);
  ({ admin } = stack);
}, 90_000);
afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});
afterEach(async () => {
  expect(await wrongInBooks(stack)).toEqual([]);
});

const cents = (n: number) => order(stack.chain, { amount: String(n * 10_000) });

/** The thresholds that a grant told, oldest first, as the caller sees them. */
async function told(id: string, by = admin): Promise<string[]> {
  const events = await by.all<EventAnswer>(`/v1/audit/events?grantId=${id}&kind=grant.threshold`);
  return events
    .filter(({ grantId }) => grantId === id)
    .reverse()
    .map(({ data: { percent, used, limit, unit, window } }) => {
      const index = (window as { index: number } | null)?.index;
      return `${percent}: ${used} of ${limit}${unit === 'payments' ? ' payments' : ''}${index === undefined ? '' : ` in window ${index}`}`;
    });
}

async function holder(terms: Record<string, unknown>, by = admin) {
  const { grant, token } = await by.mint(terms);
  return { id: grant.id, api: admin.as(token) };
}

describe('a threshold', () => {
  it('of a budget is told once, when usage comes to 50, 80 and 100 % from below', async () => {
    const { id, api } = await holder({ budget: '0.10' });
    await api.paid(cents(4));
    expect(await told(id)).toEqual([]);
    const { payment } = await api.paid(cents(1));
    expect(await told(id)).toEqual(['50: 50000 of 100000']);
    const [event] = await admin.all<EventAnswer>(
      `/v1/audit/events?grantId=${id}&kind=grant.threshold`,
    );
    expect(event).toMatchObject({
      actor: 'system:thresholds',
      paymentId: null,
      data: { window: null, paymentId: payment.id },
    });
    await api.paid(cents(5));
    expect(await told(id)).toEqual([
      '50: 50000 of 100000',
      '80: 100000 of 100000',
      '100: 100000 of 100000',
    ]);
  });

  it('is not told again after a release, and is after an amendment', async () => {
    const { id, api } = await holder({ budget: '0.10', ttlSeconds: 3_600 });
    await api.paid(order(stack.chain, { amount: '60000', maxTimeoutSeconds: 7 }));
    await stack.passTime(60);
    await stack.finalize();
    await until('the payment is released', async () => {
      const { remaining } = await api.read<{ remaining: string }>('/v1/grants/self');
      return remaining === '0.10';
    });
    await api.paid(cents(6));
    expect(await told(id)).toEqual(['50: 60000 of 100000']);
    const { status } = await admin.call('PATCH', `/v1/grants/${id}`, { budget: '0.20' });
    expect(status).toBe(200);
    await api.paid(cents(3));
    expect(await told(id)).toEqual(['50: 60000 of 100000']);
    await api.paid(cents(1));
    expect(await told(id)).toEqual(['50: 60000 of 100000', '50: 100000 of 200000']);
  });

  it('of a window is told once in each period, by amount or by payments', async () => {
    const windows = [
      { seconds: 1_000, amount: '0.10' },
      { seconds: 1_000, payments: 4 },
    ];
    const { id, api } = await holder({ budget: '9.00', windows, ttlSeconds: 3_500 });
    await api.paid(cents(5));
    await api.paid(cents(1));
    const first = ['50: 50000 of 100000 in window 0', '50: 2 of 4 payments in window 1'];
    expect(await told(id)).toEqual(first);
    await stack.passTime(1_000);
    // Or the newest block is too old to pay by.
    await stack.finalize();
    await api.paid(cents(9));
    expect(await told(id)).toEqual([
      ...first,
      '50: 90000 of 100000 in window 0',
      '80: 90000 of 100000 in window 0',
    ]);
  });

  it('is told of every grant above that comes to it, to those who see that grant', async () => {
    const root = await holder({ budget: '1.00', delegationDepth: 2 });
    const child = await holder({ budget: '0.60', funding: 'reserved' }, root.api);
    // Setting money aside counts, and what is paid of it counts once.
    expect(await told(root.id)).toEqual(['50: 600000 of 1000000']);
    await child.api.paid(cents(50));
    expect(await told(root.id)).toEqual(['50: 600000 of 1000000']);
    expect(await told(child.id, child.api)).toEqual([
      '50: 500000 of 600000',
      '80: 500000 of 600000',
    ]);
    const { items } = await child.api.read<{ items: EventAnswer[] }>(
      '/v1/audit/events?kind=grant.threshold',
    );
    expect(new Set(items.map(({ grantId }) => grantId))).toEqual(new Set([child.id]));
    await admin.call('PATCH', `/v1/grants/${child.id}`, { budget: '0.90' });
    expect(await told(root.id)).toEqual(['50: 600000 of 1000000', '80: 900000 of 1000000']);
  });

  it('is told once by racing replicas', async () => {
    const { grant, token } = await admin.mint({
      budget: '0.20',
      windows: [{ seconds: 86_400, payments: 10 }],
    });
    const replicas = [admin.as(token), new Api(replica.url, token)];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (replicas[n % 2] as Api).pay<Paid>(cents(1))),
    );
    expect(answers.filter(({ status }) => status === 201).length).toBe(10);
    expect((await told(grant.id)).sort()).toEqual([
      '100: 10 of 10 payments in window 0',
      '50: 100000 of 200000',
      '50: 5 of 10 payments in window 0',
      '80: 8 of 10 payments in window 0',
    ]);
  });
});
