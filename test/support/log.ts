import { createHash } from 'node:crypto';

/**
 * The Merkle root of an exported log, worked out from its lines alone, as RFC 9162 section 2.1.1 writes
 * it down. Base64.
 */
export function rootOf(lines: readonly string[]): string {
  const leaves = lines.map((line) => sha256(Buffer.of(0), Buffer.from(line, 'utf8')));
  return treeHash(leaves).toString('base64');
}

/** The lines of a JSON Lines text, which must end with a newline. */
export function linesOf(text: string): string[] {
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new Error('the last line is cut off');
  return text.slice(0, -1).split('\n');
}

/** Size and root of a checkpoint, unchecked. */
export function headOf(note: string): { size: number; root: string } {
  const [, size, root = ''] = note.split('\n');
  return { size: Number(size), root };
}

function treeHash(leaves: readonly Buffer[]): Buffer {
  if (leaves.length < 2) return leaves[0] ?? sha256();
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha256(Buffer.of(1), treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

function sha256(...parts: Buffer[]): Buffer<ArrayBuffer> {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Buffer.from(hash.digest());
}
