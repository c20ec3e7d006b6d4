import { describe, expect, it } from '@jest/globals';
import { networkOf, RateLimits } from './rate-limits.js';

describe('RateLimits', () => {
  const limits = { address: 3, caller: 2, root: 1_000 };

  it('lets as many through as the window has, and says when the next begins', () => {
    const rate = new RateLimits({ limits, windowMs: 10_000 });
    const answers = [0, 1, 2, 3, 4].map((n) => rate.take('address', '10.0.0.1', 50_000 + n));
    expect(answers).toEqual([undefined, undefined, undefined, 10, 10]);
    expect(rate.take('address', '10.0.0.1', 59_999)).toBe(1);
    expect(rate.take('address', '10.0.0.1', 60_000)).toBeUndefined();
  });

  it('counts every address and every caller by itself', () => {
    const rate = new RateLimits({ limits, windowMs: 10_000 });
    for (let n = 0; n < 3; n += 1) rate.take('address', '10.0.0.1', 0);
    expect(rate.take('address', '10.0.0.2', 0)).toBeUndefined();
    expect(rate.take('caller', '10.0.0.1', 0)).toBeUndefined();
  });

  it('stays bounded under more addresses than it can tell apart', () => {
    const rate = new RateLimits({ limits, windowMs: 10_000 });
    for (let n = 0; n < 100_000; n += 1) rate.take('address', `${n}`, 0);
    // From here on the new ones share what is left for one; those that were known keep their own.
    const answers = [1, 2, 3, 4].map((n) => rate.take('address', `more-${n}`, 0));
    expect(answers).toEqual([undefined, undefined, undefined, 10]);
    expect(rate.take('address', '7', 0)).toBeUndefined();
  });
});

describe('networkOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('of %s is %s: a customer with 2^64 addresses is still one', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
