import { inspect } from 'node:util';
import { expect, it } from '@jest/globals';
import { MasterSecret } from './master-secret.js';

it('derives a key for each purpose and secret', () => {
  const key = new MasterSecret('a').derive('one');
  expect(key).toHaveLength(32);
  expect(new MasterSecret('a').derive('one')).toEqual(key);
  expect(new MasterSecret('a').derive('two')).not.toEqual(key);
  expect(new MasterSecret('b').derive('one')).not.toEqual(key);
});

it('is never empty', () => {
  expect(() => new MasterSecret('')).toThrow('the master secret is empty');
});

it('is not shown when it is printed', () => {
  const secret = new MasterSecret('a very secret text');
  expect(inspect(secret) + JSON.stringify(secret) + String(secret)).not.toContain('secret text');
});
