import { createHash } from 'node:crypto';

/** The chain hashes of an exported log, worked out from its lines alone. */
export function chainHashes(lines: readonly string[]): string[] {
  let hash = Buffer.alloc(32);
  return lines.map((line) => {
    const leaf = sha256(Buffer.from([0]), Buffer.from(line, 'utf8'));
    hash = sha256(Buffer.from([1]), hash, leaf);
    return hash.toString('hex');
  });
}

/** The lines of a JSON Lines text, which must end with a newline. */
export function linesOf(text: string): string[] {
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new Error('the last line is cut off');
  return text.slice(0, -1).split('\n');
}

function sha256(...parts: Buffer[]): Buffer<ArrayBuffer> {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Buffer.from(hash.digest());
}
