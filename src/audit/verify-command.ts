import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { readOptions } from '../command-line.js';
import {
  formatVerifierKey,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
  splitNotes,
  type VerifierKey,
} from '../domain/note.js';
import { UsageError } from '../options.js';
import { ChainComparison } from './on-chain.js';
import { type Verification, type VerifyOptions, verifyLog } from './verify.js';
import { withVerifyOptions } from './verify-options.js';

const USAGE = 'npx bursar audit verify FILE [--checkpoint FILE]... [--key KEY] [--rpc URL]...';

/**
 * `bursar audit verify`: reads nothing but the files it is given, and asks nobody but the RPCs.
 *
 * @param args - what follows `audit` on the command line.
 * @returns what was found to hold, in lines.
 * @throws Error with one line that says what does not hold, and where.
 */
export async function auditCommand(args: readonly string[]): Promise<string> {
  const command = withVerifyOptions(new Command('npx bursar').command('audit [words...]'));
  const values = readOptions<{ checkpoint: string[]; key?: string; rpc: string[] }>(command, args);
  const [action, file, ...more] = command.args;
  if (action !== 'verify' || file === undefined || more.length > 0) {
    throw new UsageError(`usage: ${USAGE}`);
  }
  if (!existsSync(file)) throw new Error(`there is no file ${file}`);
  const checkpoints = (await Promise.all(values.checkpoint.map(readCheckpoints))).flat();
  const key = values.key === undefined ? undefined : await readKey(values.key);
  const chains = values.rpc.length > 0 ? await ChainComparison.open(values.rpc) : undefined;
  const verified = await verifyLog({ file, checkpoints, key, chains });
  return report(verified, key, chains).join('\n');
}

async function readCheckpoints(file: string): Promise<VerifyOptions['checkpoints']> {
  return naming(`--checkpoint ${file}`, async () => {
    const notes = splitNotes(await readFile(file, 'utf8')).map(parseNote);
    if (notes.length === 0) throw new Error('holds no checkpoint');
    return notes.map((note) => ({ note, checkpoint: parseCheckpoint(note.text) }));
  });
}

/** A key is given as it is, or as a file that holds it. */
function readKey(text: string): Promise<VerifierKey> {
  return naming('--key', async () => {
    const isFile = !text.includes('+') || existsSync(text);
    return parseVerifierKey(isFile ? (await readFile(text, 'utf8')).trim() : text);
  });
}

async function naming<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function report(
  { origin, records, root, checkpoints, covered, replay }: Verification,
  key: VerifierKey | undefined,
  chains: ChainComparison | undefined,
): string[] {
  const count = (...kinds: string[]) =>
    kinds.reduce((sum, kind) => sum + (replay.counts.get(kind) ?? 0), 0);
  const lines = [
    `ok: ${records} records of the log ${origin}, all canonical; root ${root.toString('base64')}`,
  ];
  if (checkpoints > 0) {
    const signed = key ? `, signed by ${formatVerifierKey(key)}` : '';
    lines.push(`ok: ${checkpoints} checkpoints agree, the newest of size ${covered}${signed}`);
  }
  lines.push(
    `ok: ${count('grant.minted', 'grant.delegated')} grants and ${count('payment.authorized', 'payment.adopted')} payments ` +
      `(${count('payment.settled')} settled, ${count('payment.released')} released, ` +
      `${count('payment.cancelled')} cancelled, ${replay.open.size} open): each nonce is its decision's ` +
      'hash, and nothing is beyond a budget, a count, a window, a scope or a life',
  );
  if (chains) {
    const { compared, passedOver } = chains.summary;
    lines.push(`ok: ${compared} ended payments are on chain as the log says`);
    if (passedOver > 0) lines.push(`note: ${passedOver} are on chains that no --rpc serves`);
  }
  if (checkpoints === 0) {
    lines.push('note: without --checkpoint, nothing shows that this is the log others were shown');
  } else if (covered < records) {
    lines.push(
      `note: nothing vouches yet for the ${records - covered} records after line ${covered}`,
    );
  }
  if (!key && checkpoints > 0) lines.push('note: without --key, no signature was checked');
  if (replay.unknownKinds.length > 0) {
    lines.push(`note: not replayed, being unknown here: ${replay.unknownKinds.join(', ')}`);
  }
  return lines;
}
