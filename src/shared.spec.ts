import { describe, expect, it } from '@jest/globals';
import { Shared } from './shared.js';

describe('a shared value', () => {
  it('is computed once for all who ask meanwhile and soon after', async () => {
    let computed = 0;
    let answer: (value: number) => void = () => {};
    const shared = new Shared(() => {
      computed += 1;
      return new Promise<number>((resolve) => {
        answer = resolve;
      });
    }, 60_000);
    const asked = Array.from({ length: 1_000 }, () => shared.get());
    answer(7);
    expect(new Set(await Promise.all(asked))).toEqual(new Set([7]));
    expect(await shared.get()).toBe(7);
    expect(computed).toBe(1);
  });

  it('is computed anew when it is old, and after a failure', async () => {
    let computed = 0;
    const shared = new Shared(async () => {
      computed += 1;
      if (computed === 1) throw new Error('away');
      return computed;
    }, 0);
    await expect(shared.get()).rejects.toThrow('away');
    expect(await shared.get()).toBe(2);
    while ((await shared.get()) === 2);
    expect(computed).toBe(3);
  });
});
