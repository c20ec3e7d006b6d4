import type { ClientBase, Pool } from 'pg';
import { completeNodes, foldNodes, type Range } from '../domain/merkle.js';
import { hashInTile, type Tile, type TilePlace, tileOf } from './tiles.js';

/** Name of a log: the first line of its checkpoints and the name of its key. */
export function originOf(treasuryId: string): string {
  return `bursar/${treasuryId}`;
}

/** A checkpoint as it was signed and kept. */
export interface StoredCheckpoint {
  readonly size: number;
  /** The signed note (C2SP tlog-checkpoint). */
  readonly note: string;
}

/** A treasury's newest checkpoint; undefined before the first sealing. */
export async function newestCheckpoint(
  tx: Pool | ClientBase,
  treasuryId: string,
): Promise<StoredCheckpoint | undefined> {
  const { rows } = await tx.query<{ size: string; note: string }>(
    `SELECT size, note FROM log_checkpoints WHERE treasury_id = $1 ORDER BY size DESC LIMIT 1`,
    [treasuryId],
  );
  return rows[0] && { size: Number(rows[0].size), note: rows[0].note };
}

/** Reads tiles. @throws Error when one is not there. */
export async function readTiles(
  tx: Pool | ClientBase,
  treasuryId: string,
  places: readonly TilePlace[],
): Promise<Tile[]> {
  if (places.length === 0) return [];
  const { rows } = await tx.query<{ level: number; index: string; hashes: Buffer }>(
    // Each by itself: joined, Postgres may read every tile of the log while it knows nothing of their number.
    `SELECT t.* FROM unnest($2::int[], $3::bigint[]) AS p (level, index), LATERAL (
       SELECT level, index, hashes FROM log_tiles l
       WHERE l.treasury_id = $1 AND l.level = p.level AND l.index = p.index LIMIT 1) t`,
    [treasuryId, places.map(({ level }) => level), places.map(({ index }) => index)],
  );
  if (rows.length < places.length) throw new Error(`the log of ${treasuryId} lacks a tile`);
  return rows.map((row) => ({ ...row, index: Number(row.index) }));
}

/** Writes tiles: new ones, and the longer form of old ones. */
export async function writeTiles(
  tx: ClientBase,
  treasuryId: string,
  tiles: readonly Tile[],
): Promise<void> {
  await tx.query(
    `INSERT INTO log_tiles (treasury_id, level, index, hashes)
     SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[])
     ON CONFLICT (treasury_id, level, index) DO UPDATE SET hashes = EXCLUDED.hashes`,
    [
      treasuryId,
      tiles.map(({ level }) => level),
      tiles.map(({ index }) => index),
      tiles.map(({ hashes }) => hashes),
    ],
  );
}

/** The hashes of ranges of leaves, in one query of a few rows however large the log is. */
export async function rangeHashes(
  tx: Pool | ClientBase,
  treasuryId: string,
  ranges: readonly Range[],
): Promise<Buffer[]> {
  const nodes = ranges.map(completeNodes);
  const places = new Map(nodes.flat().map((node) => [placeKey(tileOf(node)), tileOf(node)]));
  const tiles = await readTiles(tx, treasuryId, [...places.values()]);
  const hashes = new Map(tiles.map((tile) => [placeKey(tile), tile.hashes]));
  return nodes.map((each) =>
    foldNodes(each.map((node) => hashInTile(node, hashes.get(placeKey(tileOf(node))) as Buffer))),
  );
}

function placeKey({ level, index }: TilePlace): string {
  return `${level}/${index}`;
}
