import { createHash } from 'node:crypto';
import { nodeHash } from '../domain/merkle.js';
import type { Tally } from './report.js';
import type { Snapshot } from './snapshot.js';

/** How many hashes a full tile holds (C2SP tlog-tiles). */
const TILE_WIDTH = 256;

/** The tiles that a log's leaves come to; of each its digest is kept. */
export class DueTiles {
  readonly #growing: Buffer[][] = [];
  readonly #full: number[] = [];
  readonly #digests = new Map<string, string>();

  /** Adds the next leaf's hash. */
  append(leaf: Buffer): void {
    this.push(0, leaf);
  }

  /** I8: the tiles that are kept are these, and no others: proofs are made of them. */
  async compare(
    snapshot: Snapshot,
    tally: Tally,
    treasuryId: string,
    where: string,
  ): Promise<void> {
    this.#growing.forEach((hashes, level) => {
      if (hashes.length > 0) this.note(level, hashes);
    });
    const due = this.#digests;
    const broken = (place: string, detail: string) =>
      tally.broken({
        id: `${treasuryId} tile ${place}`,
        what: 'a tile holds the hashes of the records below it',
        detail,
      });
    tally.count('tiles', due.size);
    const pages = snapshot.pages<{ place: string; digest: string }>(
      `SELECT level || '/' || index AS place, encode(sha256(hashes), 'hex') AS digest FROM log_tiles WHERE ${where}`,
    );
    for await (const page of pages) {
      for (const { place, digest } of page) {
        if (due.get(place) !== digest)
          broken(place, due.has(place) ? 'it has others' : 'nothing is there');
        due.delete(place);
      }
    }
    for (const place of due.keys()) broken(place, 'it is gone');
  }

  private push(level: number, hash: Buffer): void {
    const hashes = this.#growing[level] ?? [];
    this.#growing[level] = hashes;
    hashes.push(hash);
    if (hashes.length < TILE_WIDTH) return;
    this.note(level, hashes);
    this.#growing[level] = [];
    this.#full[level] = (this.#full[level] ?? 0) + 1;
    this.push(level + 1, rootOf(hashes));
  }

  private note(level: number, hashes: readonly Buffer[]): void {
    const digest = createHash('sha256').update(Buffer.concat(hashes)).digest('hex');
    this.#digests.set(`${level}/${this.#full[level] ?? 0}`, digest);
  }
}

/** The root over a power of two of hashes. */
function rootOf(hashes: readonly Buffer[]): Buffer {
  let row = hashes;
  while (row.length > 1) {
    row = Array.from({ length: row.length / 2 }, (_, at) =>
      nodeHash(row[2 * at] as Buffer, row[2 * at + 1] as Buffer),
    );
  }
  return row[0] as Buffer;
}
