import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Batcher, type BatcherBounds } from './batcher.js';

const BOUNDS: BatcherBounds = { maxBatch: 8, maxInFlight: 1, maxWaiting: 1_000, maxWaitMs: 60_000 };

/** A batcher whose batches end when they are told to, and what they held. */
function held(bounds: Partial<BatcherBounds> = {}) {
  const batches: number[][] = [];
  const ends: (() => void)[] = [];
  const batcher = new Batcher<number, number>(
    (orders) =>
      new Promise((resolve) => {
        batches.push([...orders]);
        ends.push(() => resolve(orders.map((value) => ({ status: 'fulfilled', value }))));
      }),
    { ...BOUNDS, ...bounds },
  );
  const join = (order: number, isKnown = false): Promise<number> => {
    const place = batcher.enter(['root', 'grant'], isKnown);
    if (!place) throw new Error('no room');
    return batcher.join(order, place);
  };
  return { batcher, batches, ends, join };
}

async function condition(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await delay(1);
}

describe('a batcher', () => {
  it('takes those for what exists already before those that came earlier', async () => {
    const { batches, ends, join } = held({ maxBatch: 2 });
    const answers = [join(1)];
    await condition(() => batches.length === 1);
    answers.push(join(2), join(3), join(4, true));
    ends[0]?.();
    await condition(() => batches.length === 2);
    expect(batches[1]).toEqual([4, 2]);
    ends[1]?.();
    await condition(() => batches.length === 3);
    ends[2]?.();
    expect(await Promise.all(answers)).toEqual([1, 2, 3, 4]);
  });

  it('has room for all that may wait while it does not know how long they take', async () => {
    const { batcher } = held({ maxWaiting: 50, maxWaitMs: 1 });
    let entered = 0;
    while (batcher.enter(['root', 'grant'])) entered += 1;
    expect(entered).toBe(50);
  });

  it('has room for as many as can be answered in time, by the batches before', async () => {
    const { batcher, batches, ends, join } = held({ maxWaitMs: 200 });
    const answers = Array.from({ length: 8 }, (_, n) => join(n));
    await condition(() => batches.length === 1);
    // 80 ms for 8 orders, at the least: 20 orders in 200 ms, at the most.
    await delay(80);
    ends[0]?.();
    await Promise.all(answers);
    await condition(() => batcher.enter(['root', 'other']) !== undefined);
    let entered = 1;
    while (batcher.enter(['root', 'grant'])) entered += 1;
    expect(entered).toBeLessThanOrEqual(2 * 20);
    expect(entered).toBeGreaterThanOrEqual(2);
  });

  it('lets hardly anybody in behind a batch that does not end', async () => {
    const { batcher, batches, ends, join } = held({ maxWaitMs: 20 });
    const first = join(1);
    await condition(() => batches.length === 1);
    await delay(30);
    let entered = 1;
    while (batcher.enter(['root', 'grant'])) entered += 1;
    expect(entered).toBe(2);
    ends[0]?.();
    expect(await first).toBe(1);
  });

  it('gives every place back, also those of a batch that failed', async () => {
    const batcher = new Batcher<number, number>(() => Promise.reject(new Error('lost')), {
      ...BOUNDS,
      maxWaiting: 4,
    });
    for (let round = 0; round < 3; round += 1) {
      const answers = Array.from({ length: 4 }, (_, n) => {
        const place = batcher.enter(['root', 'grant']);
        return place ? batcher.join(n, place) : Promise.reject(new Error('no room'));
      });
      for (const each of await Promise.allSettled(answers)) {
        expect(each).toMatchObject({ status: 'rejected', reason: { message: 'lost' } });
      }
    }
  });
});
