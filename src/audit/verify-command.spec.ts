import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkpointOf, SyntheticLog } from '../../test/support/synthetic-log.js';
import { auditCommand } from './verify-command.js';

let directory: string;
const path = (name: string) => join(directory, name);
const lines = new SyntheticLog().beginning();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bursar-command-'));
  await writeFile(path('log'), lines.map((line) => `${line}\n`).join(''));
  await writeFile(path('note'), checkpointOf(lines));
  await writeFile(path('text'), 'neither a log nor a note\n');
  await writeFile(path('empty'), '');
});
afterAll(() => rm(directory, { recursive: true }));

describe('bursar audit', () => {
  it.each([
    [['verify'], 'usage: npx bursar audit verify FILE'],
    [['prove', 'log'], 'usage: npx bursar audit verify FILE'],
    [['verify', 'log', 'log'], 'usage: npx bursar audit verify FILE'],
    [['verify', 'nowhere'], 'there is no file'],
    [['verify', 'text'], 'line 1 (leaf 0): '],
    [['verify', 'log', '--key', 'a+b+c'], '--key: not an Ed25519 verifier key'],
    [['verify', 'log', '--key', 'text'], '--key: '],
    [['verify', 'log', '--key', 'nowhere'], 'ENOENT'],
    [['verify', 'log', '--checkpoint', 'text'], 'the last checkpoint has no signature'],
    [['verify', 'log', '--checkpoint', 'empty'], 'holds no checkpoint'],
    [['verify', 'log', '--checkpoint', 'nowhere'], 'ENOENT'],
    [['verify', 'log', '--rpc', 'http://127.0.0.1:1'], '--rpc http://127.0.0.1:1: does not answer'],
    [['verify', 'log', '--fast'], 'there is no option --fast'],
  ])('says what is wrong with: %s', async (args, reason) => {
    const files = ['log', 'note', 'text', 'empty', 'nowhere'];
    const given = args.map((word, at) => (at > 0 && files.includes(word) ? path(word) : word));
    const error = await auditCommand(given).catch((failure: Error) => failure);
    expect(error).toMatchObject({ message: expect.stringContaining(reason) });
  });
});
