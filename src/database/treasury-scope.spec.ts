import { describe, expect, it } from '@jest/globals';
import {
  currentTreasuries,
  seeTreasuries,
  treasuriesSetting,
  withinRequest,
} from './treasury-scope.js';

describe('the scope of a query', () => {
  it('is nothing in a request until its caller is known, then the caller’s treasuries', async () => {
    const seen = await new Promise<unknown[]>((resolve) =>
      withinRequest('reads', async () => {
        const before = currentTreasuries();
        await Promise.resolve();
        seeTreasuries(['trs_a']);
        await Promise.resolve();
        resolve([before, currentTreasuries()]);
      }),
    );
    expect(seen).toEqual([[], ['trs_a']]);
  });

  it('is all outside a request, whatever requests do', () => {
    withinRequest('reads', () => seeTreasuries(['trs_a']));
    expect(currentTreasuries()).toBe('all');
    seeTreasuries(['trs_b']);
    expect(currentTreasuries()).toBe('all');
  });
});

describe('treasuriesSetting', () => {
  it('writes all, some and none', () => {
    expect(treasuriesSetting('all')).toBe('*');
    expect(treasuriesSetting(['trs_a', 'trs_b'])).toBe('trs_a,trs_b');
    expect(treasuriesSetting([])).toBe('');
  });

  it.each(['*', "trs_a'; DROP TABLE grants; --", 'trs_a,trs_b', 'grt_a', ''])(
    'refuses "%s", which would stand in SQL',
    (id) => {
      expect(() => treasuriesSetting([id])).toThrow(/is no treasury's id/);
    },
  );
});
