import { createReadStream } from 'node:fs';
import { canonicalJson } from '../domain/canonical.js';
import { leafHash, MerkleTree } from '../domain/merkle.js';
import {
  type Checkpoint,
  formatVerifierKey,
  isSignedBy,
  type SignedNote,
  type VerifierKey,
} from '../domain/note.js';
import type { ChainComparison } from './on-chain.js';
import { type AuditRecord, Replay } from './replay.js';

/** No record is longer, in bytes. */
const MAX_LINE_BYTES = 1_048_576;

const READ_BYTES = 1_048_576;
const NEWLINE = 0x0a;

/** Evidence that a log is held against. */
export interface VerifyOptions {
  /** The whole log as `GET /v1/audit/export` gave it. */
  readonly file: string;
  /** Earlier and later heads of it; those of other logs are passed over. */
  readonly checkpoints: readonly { readonly note: SignedNote; readonly checkpoint: Checkpoint }[];
  /** The log's key; without it signatures are not checked. */
  readonly key: VerifierKey | undefined;
  /** The chains to compare payments with; undefined to leave that out. */
  readonly chains: ChainComparison | undefined;
}

/** Result when everything holds. */
export interface Verification {
  readonly origin: string;
  readonly records: number;
  readonly root: Buffer;
  /** How many checkpoints agree, and how many records the newest of them covers. */
  readonly checkpoints: number;
  readonly covered: number;
  readonly replay: Replay;
}

/** Failure, in one line that says where. */
export class VerifyError extends Error {
  override readonly name = 'VerifyError';
}

/**
 * Verifies an exported log offline: that every line is a canonical record, that the tree over the lines
 * has the root of each checkpoint, that the checkpoints are signed, and that what the records tell can
 * have happened ({@link Replay}). The file is read once, in little memory.
 *
 * @throws VerifyError for the first thing that does not hold.
 */
export async function verifyLog(options: VerifyOptions): Promise<Verification> {
  const tree = new MerkleTree();
  const replay = new Replay();
  let treasuryId: string | undefined;
  let heads: Head[] = [];
  let passed = 0;
  for await (const lines of readLines(options.file)) {
    for (const line of lines) {
      const where = `line ${tree.size + 1} (leaf ${tree.size})`;
      const record = at(where, () => parseRecord(line));
      if (treasuryId === undefined) {
        treasuryId = record.treasuryId;
        heads = headsOf(`bursar/${treasuryId}`, options);
      } else if (record.treasuryId !== treasuryId) {
        throw new VerifyError(`${where}: is of another treasury, ${record.treasuryId}`);
      }
      const ending = at(where, () => replay.apply(record));
      if (options.chains && ending) await options.chains.compare(ending);
      tree.append(leafHash(line));
      for (; heads[passed]?.size === tree.size; passed += 1) {
        agree(heads[passed] as Head, tree, heads[passed - 1]?.size ?? 0);
      }
    }
  }
  if (treasuryId === undefined) {
    if (options.checkpoints.length > 0) throw new VerifyError('the file has no records');
    throw new VerifyError('the file is empty');
  }
  const missing = heads[passed];
  if (missing) {
    throw new VerifyError(
      `the end is missing: the file has ${tree.size} records, and a checkpoint says ${missing.size}`,
    );
  }
  await options.chains?.finish(replay.wallets, replay.open.values(), replay.explained);
  return {
    origin: `bursar/${treasuryId}`,
    records: tree.size,
    root: tree.root(),
    checkpoints: heads.length,
    covered: heads.at(-1)?.size ?? 0,
    replay,
  };
}

type Head = Checkpoint;

/** The heads of one log by size, their signatures checked. */
function headsOf(origin: string, { checkpoints, key }: VerifyOptions): Head[] {
  if (key && key.name !== origin) {
    throw new VerifyError(`the key is of ${key.name}, and the file is the log ${origin}`);
  }
  const own = checkpoints.filter(({ checkpoint }) => checkpoint.origin === origin);
  if (own.length === 0 && checkpoints.length > 0) {
    const others = checkpoints[0]?.checkpoint.origin;
    throw new VerifyError(`no checkpoint is of the log ${origin}; the first is of ${others}`);
  }
  for (const { note, checkpoint } of own) {
    if (key && !isSignedBy(note, key)) {
      throw new VerifyError(
        `the checkpoint of size ${checkpoint.size} is not signed by ${formatVerifierKey(key)}`,
      );
    }
  }
  return own
    .map(({ checkpoint }) => checkpoint)
    .filter(({ size }) => size > 0)
    .sort((a, b) => a.size - b.size);
}

function agree(head: Head, tree: MerkleTree, before: number): void {
  if (tree.root().equals(head.root)) return;
  const from = before === head.size ? 0 : before;
  throw new VerifyError(
    `lines ${from + 1} to ${head.size} are not what the checkpoint of size ${head.size} was made of: one was changed, dropped, added or moved` +
      (from > 0 ? ` (up to line ${from} a checkpoint agrees)` : ''),
  );
}

/** One line as a record. @throws Error when it is not one in canonical form. */
function parseRecord(line: Buffer): AuditRecord {
  const text = line.toString('utf8');
  const value = JSON.parse(text) as Partial<Record<string, unknown>> | null;
  if (!isCanonical(text, value)) throw new Error('is not canonical JSON (RFC 8785)');
  if (value?.version !== 'bursar.event.v1') throw new Error('is not a bursar.event.v1 record');
  const isText = (name: string) => typeof value[name] === 'string';
  const isTextOrNull = (name: string) => value[name] === null || isText(name);
  const isSound =
    ['id', 'treasuryId', 'kind', 'actor', 'at'].every(isText) &&
    ['grantId', 'paymentId', 'requestId', 'reason'].every(isTextOrNull) &&
    typeof value.data === 'object' &&
    value.data !== null;
  if (!isSound) throw new Error('lacks a member that every record has');
  return value as unknown as AuditRecord;
}

/** Whether a text is the canonical form of its value: by the quick way first, which holds for most. */
function isCanonical(text: string, value: unknown): boolean {
  return (JSON.stringify(value) === text && isSorted(value)) || canonicalJson(value) === text;
}

function isSorted(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let last: string | undefined;
  for (const name in value) {
    if (last !== undefined && name <= last) return false;
    if (!isSorted((value as Record<string, unknown>)[name])) return false;
    last = name;
  }
  return true;
}

function at<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new VerifyError(`${where}: ${reason}`);
  }
}

/** The lines of a file as bytes, without their newlines. @throws VerifyError for what is no line. */
async function* readLines(file: string): AsyncGenerator<Buffer[]> {
  let rest: Buffer = Buffer.alloc(0);
  let count = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES })) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk as Buffer]) : (chunk as Buffer);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    rest = bytes.subarray(start);
    count += lines.length;
    if (rest.length > MAX_LINE_BYTES) {
      throw new VerifyError(`line ${count + 1}: is longer than any record`);
    }
    yield lines;
  }
  if (rest.length > 0) throw new VerifyError(`line ${count + 1}: is cut off, it has no line end`);
}
