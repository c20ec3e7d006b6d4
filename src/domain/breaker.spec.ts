import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { countRefusal, isCountedByBreakers, isWiderBreaker } from './breaker.js';

const at = (milliseconds: number) => ({ at: new Date(milliseconds) });

describe('a breaker', () => {
  it('trips at the refusal with which the last n lie within its seconds, and never else', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1_500 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        (pauses, refusals, seconds) => {
          const times: number[] = [];
          let counted: { at: Date }[] = [];
          let now = 0;
          for (const pause of pauses) {
            now += pause;
            times.push(now);
            const next = countRefusal(counted, at(now), { refusals, seconds });
            const first = times.at(-refusals);
            const isDue = first !== undefined && now - first <= seconds * 1000;
            expect(next.trips).toBe(isDue);
            expect(next.counted.length).toBeLessThanOrEqual(refusals);
            if (next.trips) times.length = 0;
            counted = next.trips ? [] : next.counted;
          }
        },
      ),
    );
  });

  it('counts denials by limits and scope, and no others', () => {
    const counted = [
      'budget_exceeded',
      'per_payment_exceeded',
      'payments_exceeded',
      'window_exceeded',
    ];
    const scope = ['network_not_allowed', 'payee_not_allowed', 'resource_not_allowed'];
    for (const code of [...counted, ...scope]) expect(isCountedByBreakers(code)).toBe(true);
    for (const code of [
      'grant_suspended',
      'grant_expired',
      'max_amount_exceeded',
      'treasury_insufficient',
      'treasury_suspended',
      '',
    ]) {
      expect(isCountedByBreakers(code)).toBe(false);
    }
  });

  it('is wider with more refusals, in less time, or none', () => {
    const parent = { refusals: 20, seconds: 60 };
    expect(isWiderBreaker(parent, parent)).toBe(false);
    expect(isWiderBreaker({ refusals: 19, seconds: 61 }, parent)).toBe(false);
    expect(isWiderBreaker({ refusals: 21, seconds: 60 }, parent)).toBe(true);
    expect(isWiderBreaker({ refusals: 20, seconds: 59 }, parent)).toBe(true);
    expect(isWiderBreaker(undefined, parent)).toBe(true);
  });
});
