import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const ROOT = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

/** The rows of the table of threats: the attack, and the tests named as its proof. */
const rows = read('docs/security.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (attack|-+) +\|/.test(line))
  .map((line) => {
    const [, attack = '', , proof = ''] = line.split(/(?<!\\) ?\| ?/);
    return { attack: attack.trim(), proofs: proof.trim().split('<br>') };
  });

describe('the table of threats in docs/security.md', () => {
  it('has every threat', () => {
    expect(rows.length).toBeGreaterThanOrEqual(24);
    expect(new Set(rows.map(({ attack }) => attack)).size).toBe(rows.length);
  });

  it.each(rows)('names tests that exist, against: $attack', ({ proofs }) => {
    for (const proof of proofs) {
      const [, path = '', name = ''] = /^`([^`]+)`: "(.+)"$/.exec(proof) ?? [];
      expect({ proof, path }).toEqual({ proof, path: expect.stringMatching(/spec\.ts$|\.mjs$/) });
      const isThere = read(path).includes(name);
      expect({ path, name, isThere }).toEqual({ path, name, isThere: true });
    }
  });
});
