import { foldNodes, type Node, nodeHash } from '../domain/merkle.js';

/**
 * Tiles: how the tree is kept. A tile holds up to 256 hashes side by side; those of level 0 are leaves,
 * those of level n + 1 the roots of full tiles of level n (the layout of C2SP tlog-tiles). A tree of a
 * million leaves is 3,924 tiles on three levels, and a proof reads a handful of them.
 */

/** How many levels of the tree one tile spans, and how many hashes it holds when full. */
const TILE_LEVELS = 8;
const TILE_WIDTH = 2 ** TILE_LEVELS;
const HASH_BYTES = 32;

/** Where a tile stands. */
export interface TilePlace {
  readonly level: number;
  readonly index: number;
}

/** A tile as it is kept. */
export interface Tile extends TilePlace {
  /** Its hashes, 32 bytes each. */
  readonly hashes: Buffer;
}

/** The tile that a complete subtree's hash is worked out from. */
export function tileOf(node: Node): TilePlace {
  const level = Math.floor(node.level / TILE_LEVELS);
  return { level, index: Math.floor((node.index * span(node)) / TILE_WIDTH) };
}

/** The hash of a complete subtree, from its {@link tileOf}. */
export function hashInTile(node: Node, hashes: Buffer): Buffer {
  const width = span(node);
  const start = (node.index * width) % TILE_WIDTH;
  if ((start + width) * HASH_BYTES > hashes.length) {
    throw new Error(`the tile of node ${node.level}/${node.index} is too short`);
  }
  return rootOf(
    Array.from({ length: width }, (_, at) =>
      hashes.subarray((start + at) * HASH_BYTES, (start + at + 1) * HASH_BYTES),
    ),
  );
}

/** The tiles that are not full at a size: all that is needed to append. */
export function edgeTiles(size: number): TilePlace[] {
  const places: TilePlace[] = [];
  for (let level = 0, width = size; width > 0; level += 1, width = Math.floor(width / TILE_WIDTH)) {
    if (width % TILE_WIDTH > 0) places.push({ level, index: Math.floor(width / TILE_WIDTH) });
  }
  return places;
}

/** The growing end of a tree. */
export class TreeEdge {
  /** By level: the last tile's index and hashes. */
  readonly #last: { index: number; hashes: Buffer[]; hasGrown: boolean }[] = [];
  /** The tiles that became full since it was opened. */
  readonly #full: Tile[] = [];
  #size: number;

  /**
   * @param size - of the tree.
   * @param tiles - its {@link edgeTiles}.
   */
  constructor(size: number, tiles: readonly Tile[]) {
    this.#size = size;
    const places = edgeTiles(size);
    if (places.length !== tiles.length) throw new Error('the log lacks a tile of its edge');
    for (const { level, index, hashes } of tiles) {
      this.#last[level] = { index, hashes: split(hashes), hasGrown: false };
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a leaf's hash. */
  append(leaf: Buffer): void {
    this.push(0, this.#size, leaf);
    this.#size += 1;
  }

  /** The tiles that are new or longer than they were. */
  grown(): Tile[] {
    const edge = this.#last.flatMap((last, level) =>
      last.hasGrown ? [{ level, index: last.index, hashes: Buffer.concat(last.hashes) }] : [],
    );
    return [...this.#full, ...edge];
  }

  private push(level: number, position: number, hash: Buffer): void {
    const index = Math.floor(position / TILE_WIDTH);
    let last = this.#last[level];
    if (last?.index !== index) {
      last = { index, hashes: [], hasGrown: false };
      this.#last[level] = last;
    }
    last.hashes.push(hash);
    last.hasGrown = true;
    if (last.hashes.length < TILE_WIDTH) return;
    this.#full.push({ level, index, hashes: Buffer.concat(last.hashes) });
    last.hasGrown = false;
    this.push(level + 1, index, rootOf(last.hashes));
  }
}

/** How many hashes of its tile a node covers. */
function span(node: Node): number {
  return 2 ** (node.level % TILE_LEVELS);
}

function split(hashes: Buffer): Buffer[] {
  return Array.from({ length: hashes.length / HASH_BYTES }, (_, at) =>
    hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  );
}

/** The root over a power of two of hashes. */
function rootOf(hashes: readonly Buffer[]): Buffer {
  let row = hashes;
  while (row.length > 1) {
    row = Array.from({ length: row.length / 2 }, (_, at) =>
      nodeHash(row[2 * at] as Buffer, row[2 * at + 1] as Buffer),
    );
  }
  return foldNodes(row);
}
