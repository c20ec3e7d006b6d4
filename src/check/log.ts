import { type MerkleTree, MerkleTree as Tree } from '../domain/merkle.js';
import { isSignedBy, parseCheckpoint, parseNote, type VerifierKey } from '../domain/note.js';
import type { Tally } from './report.js';
import type { Snapshot } from './snapshot.js';
import { DueTiles } from './tiles.js';

interface Leaf {
  readonly leaf_index: string;
  readonly leaf: Buffer;
}

interface Head {
  readonly size: string;
  readonly note: string;
}

/**
 * I8, the log: every treasury's records, hashed anew, have the root of every checkpoint that was ever
 * signed. So no record was changed, dropped or moved since, and the checkpoints agree with one another. The tiles,
 * which proofs are made of, hold the same hashes.
 */
export async function checkLogs(
  snapshot: Snapshot,
  tally: Tally,
  progress: (what: string) => void,
): Promise<void> {
  const treasuries = await snapshot.rows<{ id: string; public_key: Buffer | null }>(
    `SELECT t.id, k.public_key FROM treasuries t LEFT JOIN log_keys k ON k.treasury_id = t.id ORDER BY t.id`,
  );
  for (const { id, public_key } of treasuries) {
    const key = public_key ? { name: `bursar/${id}`, publicKey: public_key } : undefined;
    await checkLog(snapshot, tally, id, key, progress);
  }
}

async function checkLog(
  snapshot: Snapshot,
  tally: Tally,
  treasuryId: string,
  key: VerifierKey | undefined,
  progress: (what: string) => void,
): Promise<void> {
  const of = `treasury_id = '${treasuryId.replaceAll("'", "''")}'`;
  // The database hashes (RFC 9162, 2.1.1): 32 bytes a record travel, and not the record.
  const leaves = snapshot.pages<Leaf>(
    `SELECT leaf_index, sha256('\\x00'::bytea || convert_to(record, 'UTF8')) AS leaf
     FROM log_events WHERE ${of} AND leaf_index IS NOT NULL ORDER BY leaf_index`,
  );
  const heads = singly(
    snapshot.pages<Head>(`SELECT size, note FROM log_checkpoints WHERE ${of} ORDER BY size`),
  );
  const tree = new Tree();
  const tiles = new DueTiles();
  let checkpoints = 0;
  let head = await next(heads);
  for await (const page of leaves) {
    for (const { leaf_index, leaf } of page) {
      if (BigInt(leaf_index) !== BigInt(tree.size)) {
        tally.broken({
          id: treasuryId,
          what: 'its log has a record at every place',
          detail: `at ${tree.size} there is none, the next is at ${leaf_index}`,
        });
        return;
      }
      tree.append(leaf);
      tiles.append(leaf);
      for (; head && BigInt(head.size) === BigInt(tree.size); head = await next(heads)) {
        checkpoints += 1;
        const wrong = wrongWith(head, tree, key, treasuryId);
        if (wrong) {
          const what = 'every checkpoint has the root of the records before it, signed';
          tally.broken({ id: `${treasuryId} at ${head.size}`, what, detail: wrong });
        }
      }
    }
    progress(`I8: ${tree.size} records of the log of ${treasuryId}`);
  }
  await tiles.compare(snapshot, tally, treasuryId, of);
  tally.count('sealed records', tree.size);
  tally.count('checkpoints', checkpoints);
  for (; head; head = await next(heads)) {
    tally.broken({
      id: `${treasuryId} at ${head.size}`,
      what: 'every record that a checkpoint vouches for is there',
      detail: `the log has ${tree.size} records`,
    });
  }
}

/** Finds the fault of a checkpoint, given the tree over as many records; undefined when nothing is. */
function wrongWith(
  { note, size }: Head,
  tree: MerkleTree,
  key: VerifierKey | undefined,
  treasuryId: string,
): string | undefined {
  try {
    const signed = parseNote(note);
    const checkpoint = parseCheckpoint(signed.text);
    if (checkpoint.origin !== `bursar/${treasuryId}`) return `it is of ${checkpoint.origin}`;
    if (String(checkpoint.size) !== size) return `it says size ${checkpoint.size}`;
    if (!tree.root().equals(checkpoint.root)) return 'the records have another root';
    if (!key) return 'the log has no key';
    return isSignedBy(signed, key) ? undefined : 'it is not signed by the key of the log';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function* singly<T>(pages: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const page of pages) yield* page;
}

async function next<T>(rows: AsyncGenerator<T>): Promise<T | undefined> {
  const { done, value } = await rows.next();
  return done ? undefined : value;
}
