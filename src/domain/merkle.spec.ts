import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  completeNodes,
  consistencyRanges,
  EMPTY_ROOT,
  foldNodes,
  inclusionRanges,
  inclusionRoot,
  isConsistent,
  leafHash,
  MerkleTree,
  type Range,
} from './merkle.js';

const SIZES = Array.from({ length: 301 }, (_, size) => size);
const LEAVES = SIZES.map((n) => naiveLeaf(Buffer.from(`leaf ${n}`)));

/** RFC 9162, section 2.1.1, word for word; remembered, or 300 sizes would take minutes. */
const known = new Map<string, Buffer>();
function naiveRoot(start: number, end: number): Buffer {
  const size = end - start;
  if (size === 0) return sha256();
  if (size === 1) return LEAVES[start] as Buffer;
  const key = `${start}-${end}`;
  const found = known.get(key);
  if (found) return found;
  let k = 1;
  while (k * 2 < size) k *= 2;
  const root = sha256(Buffer.of(1), naiveRoot(start, start + k), naiveRoot(start + k, end));
  known.set(key, root);
  return root;
}

/** RFC 9162, section 2.1.3.1: PATH(m, D[start:end]). */
function naivePath(m: number, start: number, end: number): Buffer[] {
  const n = end - start;
  if (n === 1) return [];
  let k = 1;
  while (k * 2 < n) k *= 2;
  return m < k
    ? [...naivePath(m, start, start + k), naiveRoot(start + k, end)]
    : [...naivePath(m - k, start + k, end), naiveRoot(start, start + k)];
}

/** RFC 9162, section 2.1.4.1: SUBPROOF(m, D[start:end], b). */
function naiveSubproof(m: number, start: number, end: number, b: boolean): Buffer[] {
  const n = end - start;
  if (m === n) return b ? [] : [naiveRoot(start, end)];
  let k = 1;
  while (k * 2 < n) k *= 2;
  return m <= k
    ? [...naiveSubproof(m, start, start + k, b), naiveRoot(start + k, end)]
    : [...naiveSubproof(m - k, start + k, end, false), naiveRoot(start, start + k)];
}

function naiveLeaf(record: Buffer): Buffer {
  return sha256(Buffer.of(0), record);
}

function sha256(...parts: Buffer[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

/** Answers ranges as a store of complete subtrees does. */
function hashesOf(ranges: readonly Range[]): Buffer[] {
  return ranges.map((range) =>
    foldNodes(
      completeNodes(range).map(({ level, index }) => {
        const width = 2 ** level;
        return naiveRoot(index * width, (index + 1) * width);
      }),
    ),
  );
}

describe('the Merkle tree', () => {
  it('has the leaf hash and roots that implementations of RFC 6962 and RFC 9162 agree on', () => {
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657'];
    inputs.push('606162636465666768696a6b6c6d6e6f');
    const roots = [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ];
    const tree = new MerkleTree();
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    expect(tree.root().toString('hex')).toBe(empty);
    for (const [at, input] of inputs.entries()) {
      tree.append(leafHash(Buffer.from(input, 'hex')));
      expect(tree.root().toString('hex')).toBe(roots[at]);
    }
  });

  it('hashes a text as its UTF-8', () => {
    expect(leafHash('\u20ac')).toEqual(naiveLeaf(Buffer.from('e282ac', 'hex')));
    expect(leafHash('')).toEqual(naiveLeaf(Buffer.alloc(0)));
  });

  it('has the root of the definition at every size from 0 to 300', () => {
    const tree = new MerkleTree();
    for (const size of SIZES) {
      expect(tree.size).toBe(size);
      expect(tree.root()).toEqual(naiveRoot(0, size));
      expect(hashesOf([{ start: 0, end: size }])[0]).toEqual(naiveRoot(0, size));
      tree.append(LEAVES[size] as Buffer);
    }
  });

  it('proves every leaf of every size up to 300, with the proof of the definition', () => {
    for (const size of SIZES) {
      const root = naiveRoot(0, size);
      for (let index = 0; index < size; index += 1) {
        const proof = hashesOf(inclusionRanges(index, size));
        const same = Buffer.concat(proof).equals(Buffer.concat(naivePath(index, 0, size)));
        const shown = inclusionRoot(index, size, LEAVES[index] as Buffer, proof)?.equals(root);
        if (!same || !shown) throw new Error(`leaf ${index} of ${size}: ${same} ${shown}`);
      }
    }
  });

  it('proves every pair of sizes up to 300 consistent, with the proof of the definition', () => {
    for (const to of SIZES) {
      for (let from = 0; from <= to; from += 1) {
        const proof = hashesOf(consistencyRanges(from, to));
        const expected = from === 0 ? [] : naiveSubproof(from, 0, to, true);
        const same = Buffer.concat(proof).equals(Buffer.concat(expected));
        const shown = isConsistent(head(from), head(to), proof);
        if (!same || !shown) throw new Error(`from ${from} to ${to}: ${same} ${shown}`);
      }
    }
  });

  it('accepts no inclusion proof of another leaf, index or size, nor one with a bit changed', () => {
    for (const size of [1, 2, 3, 7, 8, 9, 100, 255, 256, 257]) {
      const root = naiveRoot(0, size);
      const index = Math.floor(size * 0.7);
      const leaf = LEAVES[index] as Buffer;
      const proof = hashesOf(inclusionRanges(index, size));
      const leadsThere = (at: number, of: number, hash: Buffer, path: Buffer[]) =>
        inclusionRoot(at, of, hash, path)?.equals(root) ?? false;
      expect(leadsThere(index, size, leaf, proof)).toBe(true);
      expect(leadsThere(index, size, LEAVES[index + 1] as Buffer, proof)).toBe(false);
      expect(leadsThere(size, size, leaf, proof)).toBe(false);
      expect(leadsThere(-1, size, leaf, proof)).toBe(false);
      for (let other = 0; other < size; other += 1) {
        if (other !== index) expect(leadsThere(other, size, leaf, proof)).toBe(false);
      }
      expect(leadsThere(index, size, leaf, [...proof, leaf])).toBe(false);
      for (const [at, hash] of proof.entries()) {
        expect(leadsThere(index, size, leaf, proof.toSpliced(at, 1))).toBe(false);
        expect(leadsThere(index, size, leaf, proof.with(at, flip(hash)))).toBe(false);
        expect(leadsThere(index, size, leaf, proof.with(at, hash.subarray(1)))).toBe(false);
      }
    }
  });

  it('accepts no consistency proof between trees that are not one the beginning of the other', () => {
    for (const [from, to] of [
      [1, 2],
      [3, 7],
      [4, 8],
      [6, 8],
      [100, 257],
      [128, 256],
      [255, 256],
    ] as const) {
      const proof = hashesOf(consistencyRanges(from, to));
      const other = { size: from, root: flip(head(from).root) };
      expect(isConsistent(head(from), head(to), proof)).toBe(true);
      expect(isConsistent(other, head(to), proof)).toBe(false);
      expect(isConsistent(head(from), { size: to, root: flip(head(to).root) }, proof)).toBe(false);
      expect(isConsistent(head(to), head(from), proof)).toBe(false);
      expect(isConsistent(head(from), head(to), [...proof, LEAVES[0] as Buffer])).toBe(false);
      for (const [at, hash] of proof.entries()) {
        expect(isConsistent(head(from), head(to), proof.toSpliced(at, 1))).toBe(false);
        expect(isConsistent(head(from), head(to), proof.with(at, flip(hash)))).toBe(false);
      }
    }
    expect(isConsistent(head(5), { size: 5, root: head(6).root }, [])).toBe(false);
    expect(isConsistent({ size: 0, root: head(1).root }, head(6), [])).toBe(false);
    expect(isConsistent({ size: 0, root: EMPTY_ROOT }, head(6), [])).toBe(true);
  });

  it('divides trees right that are larger than any of ours', () => {
    for (const size of [2 ** 31, 2 ** 32 + 1, 2 ** 48 - 1, 2 ** 52 + 3]) {
      const nodes = completeNodes({ start: 0, end: size });
      expect(nodes.reduce((sum, { level }) => sum + 2 ** level, 0)).toBe(size);
      expect(inclusionRanges(size - 1, size).length).toBeLessThanOrEqual(53);
      expect(inclusionRanges(0, size).at(-1)).toMatchObject({ end: size });
    }
  });
});

function head(size: number): { size: number; root: Buffer } {
  return { size, root: naiveRoot(0, size) };
}

function flip(hash: Buffer): Buffer {
  const changed = Buffer.from(hash);
  changed[7] = (changed[7] as number) ^ 4;
  return changed;
}
