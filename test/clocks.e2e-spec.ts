import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { expectProblem } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

const HOUR_MS = 3_600_000;

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
}, 60_000);

afterEach(() => {
  jest.useRealTimers();
});
afterAll(() => stack?.stop());

/** Sets the process's clock, and nothing else that has to do with time, off by so much. */
function setClockOff(byMs: number): void {
  jest.useFakeTimers({
    now: Date.now() + byMs,
    advanceTimers: true,
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
}

describe('a process whose clock is off by an hour', () => {
  it('denies nothing that is still allowed', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00', ttlSeconds: 1_800 });
    setClockOff(HOUR_MS);
    await stack.admin.as(token).paid(order(stack.chain));
  });

  it('allows nothing before its time', async () => {
    const startsAt = new Date(Date.now() + 1_800_000).toISOString();
    const { token } = await stack.admin.mint({ budget: '1.00', startsAt });
    setClockOff(HOUR_MS);
    const answer = await stack.admin.as(token).pay(order(stack.chain));
    expectProblem(answer, 403, 'grant_not_started');
  });

  it('allows nothing after its end', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00', ttlSeconds: 5 });
    await until('the grant has ended', async () => {
      const { status } = await stack.admin.grant(grant.id);
      return status === 'expired';
    });
    setClockOff(-HOUR_MS);
    const answer = await stack.admin.as(token).pay(order(stack.chain));
    expectProblem(answer, 403, 'grant_expired');
  });

  it('releases nothing before its end on the chain', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const agent = stack.admin.as(token);
    const { payment } = await agent.paid(order(stack.chain));
    setClockOff(HOUR_MS);
    await stack.finalize();
    expect(await agent.payment(payment.id)).toMatchObject({ status: 'authorized' });
  });
});
