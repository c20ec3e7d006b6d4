import { hash } from 'node:crypto';

/**
 * The Merkle tree of RFC 9162, section 2.1, over SHA-256. Pure: where hashes are kept is the caller's
 * matter, who is asked for those of complete subtrees only, which never change once they are there.
 *
 * Sizes and indexes are whole numbers below 2^53. A hash is 32 bytes.
 */

/** The root of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Buffer = hash('sha256', '', 'buffer');

/** The hash of a leaf: SHA-256(0x00, record). A text counts as its UTF-8. */
export function leafHash(record: string | Uint8Array): Buffer {
  const length = typeof record === 'string' ? Buffer.byteLength(record) : record.length;
  const bytes = Buffer.allocUnsafe(length + 1);
  bytes[0] = 0;
  if (typeof record === 'string') bytes.write(record, 1, 'utf8');
  else bytes.set(record, 1);
  return hash('sha256', bytes, 'buffer');
}

/** The hash of an inner node: SHA-256(0x01, left, right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(65);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 33);
  return hash('sha256', bytes, 'buffer');
}

/** The complete subtree over leaves `index * 2^level` to `(index + 1) * 2^level - 1`. */
export interface Node {
  readonly level: number;
  readonly index: number;
}

/** Leaves `start` to `end - 1`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The complete subtrees that make up a range of leaves, left to right, largest first. `start` is where
 * a subtree of the tree begins, as in every range this file hands out.
 */
export function completeNodes({ start, end }: Range): Node[] {
  const nodes: Node[] = [];
  for (let at = start; at < end; ) {
    const level = floorLog2(end - at);
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

/** The hash of a range from those of its {@link completeNodes}; of none, that of the empty tree. */
export function foldNodes(hashes: readonly Uint8Array[]): Buffer {
  const last = hashes.at(-1);
  if (!last) return EMPTY_ROOT;
  let folded: Uint8Array = last;
  for (let at = hashes.length - 2; at >= 0; at -= 1) {
    folded = nodeHash(hashes[at] as Uint8Array, folded);
  }
  return Buffer.from(folded);
}

/**
 * The ranges whose hashes prove that leaf `index` is in the tree of `size` leaves, from the leaf up
 * (RFC 9162, 2.1.3.1).
 */
export function inclusionRanges(index: number, size: number): Range[] {
  const ranges: Range[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitAt(end - start);
    if (index < middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
    }
  }
  return ranges;
}

/**
 * The ranges whose hashes prove that the tree of `from` leaves is the beginning of the tree of `to`
 * leaves (RFC 9162, 2.1.4.1). None when either is empty or both are the same size.
 */
export function consistencyRanges(from: number, to: number): Range[] {
  if (from === 0 || from === to) return [];
  const ranges: Range[] = [];
  let start = 0;
  let end = to;
  // While the old tree's root is a node on the way down, the verifier knows it already.
  let isOldRoot = true;
  while (end !== from) {
    const middle = start + splitAt(end - start);
    if (from <= middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
      isOldRoot = false;
    }
  }
  if (!isOldRoot) ranges.unshift({ start, end });
  return ranges;
}

/**
 * The root that an inclusion proof leads to (RFC 9162, 2.1.3.2), or undefined when the proof is not of
 * this shape.
 */
export function inclusionRoot(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
): Buffer | undefined {
  if (!(index >= 0 && index < size) || proof.some(({ length }) => length !== 32)) return undefined;
  const ranges = inclusionRanges(index, size);
  if (ranges.length !== proof.length) return undefined;
  let root: Buffer = Buffer.from(leaf);
  for (const [at, sibling] of proof.entries()) {
    const isLeft = (ranges[at] as Range).start < index;
    root = isLeft ? nodeHash(sibling, root) : nodeHash(root, sibling);
  }
  return root;
}

/** Whether a consistency proof shows that the first tree is the beginning of the second. */
export function isConsistent(
  from: { readonly size: number; readonly root: Uint8Array },
  to: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (from.size > to.size || proof.some(({ length }) => length !== 32)) return false;
  if (from.size === 0) return proof.length === 0 && EMPTY_ROOT.equals(from.root);
  const ranges = consistencyRanges(from.size, to.size);
  if (ranges.length !== proof.length) return false;
  // The proof's ranges lie one around the other. Those within the old tree make up its root; all of
  // them, the new one's.
  let oldRoot: Uint8Array | undefined;
  let newRoot: Uint8Array | undefined;
  const isWhole = ranges.length === 0 || (ranges[0] as Range).end > from.size;
  if (isWhole) {
    oldRoot = from.root;
    newRoot = from.root;
  }
  for (const [at, hashed] of proof.entries()) {
    const { start, end } = ranges[at] as Range;
    if (end <= from.size) {
      oldRoot = oldRoot ? nodeHash(hashed, oldRoot) : hashed;
      newRoot = newRoot ? nodeHash(hashed, newRoot) : hashed;
    } else {
      if (!newRoot || start < from.size) return false;
      newRoot = nodeHash(newRoot, hashed);
    }
  }
  return (
    oldRoot !== undefined &&
    newRoot !== undefined &&
    Buffer.compare(oldRoot, from.root) === 0 &&
    Buffer.compare(newRoot, to.root) === 0
  );
}

/** A growing tree that keeps no more than its root needs: a hash for each bit of its size. */
export class MerkleTree {
  /** Hashes of complete subtrees, by level; undefined where the size has no such bit. */
  readonly #peaks: (Uint8Array | undefined)[] = [];
  #size = 0;

  /** How many leaves it has. */
  get size(): number {
    return this.#size;
  }

  /** Adds a leaf's hash. */
  append(leaf: Uint8Array): void {
    let carried = leaf;
    let level = 0;
    for (; ; level += 1) {
      const peak = this.#peaks[level];
      if (!peak) break;
      carried = nodeHash(peak, carried);
      this.#peaks[level] = undefined;
    }
    this.#peaks[level] = carried;
    this.#size += 1;
  }

  /** The root of what was added so far. */
  root(): Buffer {
    return foldNodes(this.#peaks.filter((peak) => peak !== undefined).reverse());
  }
}

/** Where a tree of more than one leaf divides: the largest power of two below its size. */
function splitAt(size: number): number {
  return 2 ** floorLog2(size - 1);
}

function floorLog2(size: number): number {
  const rounded = Math.floor(Math.log2(size));
  return 2 ** rounded > size ? rounded - 1 : rounded;
}
