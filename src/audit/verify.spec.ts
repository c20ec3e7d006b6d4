import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkpointOf, id, KEY, ROOT, SyntheticLog } from '../../test/support/synthetic-log.js';
import { parseCheckpoint, parseNote } from '../domain/note.js';
import { type Verification, VerifyError, verifyLog } from './verify.js';

/** How many random edits are tried; 10,000 by hand: `BURSAR_AUDIT_EDITS=10000 npm test -- verify`. */
const EDITS = Number(process.env.BURSAR_AUDIT_EDITS ?? 400);

let directory: string;
let file: string;
const lines = [...new SyntheticLog().whole(200)];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bursar-verify-'));
  file = join(directory, 'log.jsonl');
});
afterAll(() => rm(directory, { recursive: true }));

async function verify(
  content: string | Buffer,
  notes: readonly string[] = [],
  key: typeof KEY | undefined = KEY,
): Promise<Verification> {
  await writeFile(file, content);
  const checkpoints = notes.map((text) => {
    const note = parseNote(text);
    return { note, checkpoint: parseCheckpoint(note.text) };
  });
  return verifyLog({ file, checkpoints, key, chains: undefined });
}

function textOf(records: readonly string[]): string {
  return records.map((line) => `${line}\n`).join('');
}

/** Numbers that look random and are the same in every run (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

describe('verifyLog', () => {
  it('accepts a log as it was exported, with every checkpoint it had', async () => {
    const notes = [1, 2, 100, 199, 200].map((size) => checkpointOf(lines.slice(0, size)));
    const verified = await verify(textOf(lines), notes);
    expect(verified).toMatchObject({ records: 200, checkpoints: 5, covered: 200 });
    expect(verified.root).toEqual(
      Buffer.from(parseCheckpoint(parseNote(notes.at(-1) as string).text).root),
    );
  });

  it('says how far checkpoints vouch for a log that has grown', async () => {
    const notes = [checkpointOf(lines.slice(0, 150))];
    expect(await verify(textOf(lines), notes)).toMatchObject({ records: 200, covered: 150 });
  });

  it(`finds each of ${EDITS} random edits, given one earlier checkpoint`, async () => {
    const seed = Number(process.env.BURSAR_AUDIT_SEED ?? 1);
    const random = randomFrom(seed);
    for (let edit = 0; edit < EDITS; edit += 1) {
      // Covers the whole log, or its beginning: then the edit is in what it covers.
      const covered = edit % 2 === 0 ? lines.length : 1 + random(lines.length);
      const note = checkpointOf(lines.slice(0, covered));
      const [what, content] = edited(random, covered);
      const found = await verify(content, [note]).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (!(found instanceof VerifyError)) {
        throw new Error(`seed ${seed}, edit ${edit}: ${what} of ${covered} went unseen: ${found}`);
      }
      expect(found.message).not.toContain('\n');
    }
  }, 600_000);

  /** An edit of what the first `covered` lines are. */
  function edited(random: (below: number) => number, covered: number): [string, Buffer] {
    const at = random(covered);
    const other = random(covered);
    const bytes = Buffer.from(textOf(lines));
    const coveredBytes = Buffer.byteLength(textOf(lines.slice(0, covered)));
    const line = lines[at] as string;
    const remade = (what: string, records: readonly string[]): [string, Buffer] => [
      `${what} line ${at + 1}`,
      Buffer.from(textOf(records)),
    ];
    switch (random(7)) {
      case 0:
        return remade('drop', lines.toSpliced(at, 1));
      case 1:
        if (other === at) return remade('double', lines.toSpliced(at, 0, line));
        return remade('swap', lines.with(at, lines[other] as string).with(other, line));
      case 2:
        return remade('cut', lines.with(at, line.slice(0, random(line.length))));
      case 3: {
        const end = random(coveredBytes);
        return [`cut the file at byte ${end}`, bytes.subarray(0, end)];
      }
      case 4:
        if (other === at) return remade('drop', lines.toSpliced(at, 1));
        return remade('move', lines.toSpliced(at, 1).toSpliced(other, 0, line));
      default: {
        const place = random(coveredBytes);
        const bit = random(8);
        bytes[place] = (bytes[place] as number) ^ (1 << bit);
        return [`flip bit ${bit} of byte ${place}`, bytes];
      }
    }
  }

  it('says between which checkpoints a line was changed', async () => {
    const notes = [50, 100, 150].map((size) => checkpointOf(lines.slice(0, size)));
    const changed = lines.with(70, (lines[70] as string).replace('req-70', 'req-71'));
    await expect(verify(textOf(changed), notes)).rejects.toThrow(
      /^lines 51 to 100 are not what the checkpoint of size 100 was made of.*up to line 50/,
    );
  });

  it.each([
    [
      'another order of members',
      (line: string) => line.replace(/^\{("actor":"[^"]*"),/, '{').replace(/\}$/, ',"actor":"x"}'),
      'is not canonical',
    ],
    ['a space', (line: string) => line.replace(':', ': '), 'is not canonical'],
    [
      'a member twice',
      (line: string) => line.replace('"at":', '"at":"x","at":'),
      'is not canonical',
    ],
    [
      'another version',
      (line: string) => line.replace('event.v1', 'event.v2'),
      'is not a bursar.event.v1',
    ],
    ['no member "at"', (line: string) => line.replace(/"at":"[^"]*",/, ''), 'lacks a member'],
    [
      'another treasury',
      (line: string) => line.replace(/"treasuryId":"trs_01/, '"treasuryId":"trs_02'),
      'is of another treasury',
    ],
    ['nothing in it', () => '', 'JSON'],
    ['no object', () => 'null', 'is not a bursar.event.v1'],
    ['a nesting without end', () => '['.repeat(500_000), ''],
  ])('refuses a line with %s, and says which', async (_what, change, reason) => {
    const changed = lines.with(32, change(lines[32] as string));
    await expect(verify(textOf(changed))).rejects.toThrow(
      expect.objectContaining({
        name: 'VerifyError',
        message: expect.stringMatching(new RegExp(`^line 33 \\(leaf 32\\): .*${reason}`)),
      }),
    );
  });

  it('refuses a line longer than any record before it fills the memory', async () => {
    await expect(verify('x'.repeat(3_000_000))).rejects.toThrow(
      'line 1: is longer than any record',
    );
  });

  it('refuses an empty file, and one without its last line end', async () => {
    await expect(verify('')).rejects.toThrow('the file is empty');
    await expect(verify('', [checkpointOf(lines)])).rejects.toThrow('the file has no records');
    await expect(verify(textOf(lines).slice(0, -1))).rejects.toThrow(/^line 200.*cut off/);
  });

  it('refuses a checkpoint that another key signed, or that was made for another log', async () => {
    const forged = checkpointOf(lines).replace(/(\u2014 \S+ \S{10})./, (_, head) => `${head}A`);
    await expect(verify(textOf(lines), [forged])).rejects.toThrow(/is not signed by bursar\/trs_/);
    const other = checkpointOf(lines, 'bursar/trs_02000000000000000000000000');
    await expect(verify(textOf(lines), [other])).rejects.toThrow(/^no checkpoint is of the log/);
    const wrongKey = { ...KEY, name: 'bursar/trs_02000000000000000000000000' };
    await expect(verify(textOf(lines), [], wrongKey)).rejects.toThrow(
      /^the key is of bursar\/trs_02/,
    );
  });

  it('passes over checkpoints of other logs in a witness’s file', async () => {
    const other = checkpointOf(lines, 'bursar/trs_02000000000000000000000000');
    expect(await verify(textOf(lines), [other, checkpointOf(lines)])).toMatchObject({
      checkpoints: 1,
    });
  });

  it('finds a history that was written anew, though it agrees with itself', async () => {
    const log = new SyntheticLog();
    const rewritten = [
      ...log.beginning(),
      log.authorized(1, [ROOT], '20000'),
      log.ended(1, ROOT, 'settled', '20000'),
    ];
    const honest = new SyntheticLog();
    const before = [...honest.beginning(), honest.authorized(1, [ROOT])];
    await verify(textOf(rewritten), [checkpointOf(rewritten)]);
    await expect(
      verify(textOf(rewritten), [checkpointOf(before), checkpointOf(rewritten)]),
    ).rejects.toThrow(/^lines 1 to 4 are not what the checkpoint of size 4/);
  });

  it('lists kinds it does not know, and replays the rest', async () => {
    const log = new SyntheticLog();
    const records = [...log.beginning(), log.line('grant.blessed', { grantId: ROOT })];
    const { replay } = await verify(textOf([...records, log.authorized(1, [ROOT])]));
    expect(replay.unknownKinds).toEqual(['grant.blessed']);
    expect(replay.open.get(id('pay', 1))).toMatchObject({ value: 10000n, grants: [ROOT] });
  });
});
