import { beforeEach, describe, expect, it } from '@jest/globals';
import { Liveness } from './liveness.js';

describe('a worker', () => {
  let now: number;
  let liveness: Liveness;

  beforeEach(() => {
    now = 1_000;
    liveness = new Liveness(100, () => now);
    liveness.saw('audit');
  });

  it('is well as long as it shows life', () => {
    for (let turn = 0; turn < 5; turn += 1) {
      now += 100;
      expect(liveness.silent()).toEqual([]);
      liveness.saw('audit');
    }
  });

  it('hangs when it was silent for longer, and is well with the next job', () => {
    now += 101;
    expect(liveness.silent()).toEqual(['audit']);
    expect(liveness.silences()).toEqual(new Map([['audit', 101]]));
    liveness.saw('audit');
    expect(liveness.silent()).toEqual([]);
  });

  it('is replaced once, and again when the next one is silent for as long', () => {
    now += 101;
    expect([liveness.isDue('audit'), liveness.isDue('audit')]).toEqual([true, false]);
    now += 99;
    expect(liveness.isDue('audit')).toBe(false);
    now += 1;
    expect(liveness.isDue('audit')).toBe(true);
  });

  it('that is being closed, or was never there, is not watched', () => {
    now += 101;
    liveness.end();
    liveness.saw('audit');
    expect(liveness.silent()).toEqual([]);
    expect(liveness.silences().size).toBe(0);
  });
});
