import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  formatCheckpoint,
  formatVerifierKey,
  isSignedBy,
  keyIdOf,
  NoteError,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
  signNote,
  splitNotes,
} from './note.js';

/** The example of C2SP signed-note. */
const EXAMPLE_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const EXAMPLE_NOTE =
  'This is an example message.\n\n' +
  '\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';

/** The example of Go's sumdb/note, which the specification grew from; its private key is published too. */
const GO_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_SEED = 'AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const GO_TEXT =
  'If you think cryptography is the answer to your problem,\n' +
  "then you don't know what your problem is.\n";
const GO_NOTE = `${GO_TEXT}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

/** The examples of C2SP tlog-checkpoint and signed-note. */
const CHECKPOINT =
  'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
  '\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n';
const POEM =
  'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned \u00e8 subito sera.\n\n' +
  '\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';

const goKey = parseVerifierKey(GO_KEY);
const goPrivate = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(GO_SEED, 'base64').subarray(1),
  ]),
  format: 'der',
  type: 'pkcs8',
});

describe('verifier keys', () => {
  it.each([EXAMPLE_KEY, GO_KEY])('reads and writes %s', (text) => {
    expect(formatVerifierKey(parseVerifierKey(text))).toBe(text);
  });

  it.each([
    ['nothing', ''],
    ['no name', EXAMPLE_KEY.slice('example.com/foo'.length)],
    ['a space in the name', EXAMPLE_KEY.replace('.com/', ' ')],
    ['another id', EXAMPLE_KEY.replace('530d903a', '530d903b')],
    ['another name', EXAMPLE_KEY.replace('foo', 'fop')],
    ['another key', EXAMPLE_KEY.replace('U2k', 'U3k')],
    ['another algorithm', EXAMPLE_KEY.replace('+Aeky', '+Auky')],
    ['a short key', EXAMPLE_KEY.slice(0, -4)],
    ['no base64', `${EXAMPLE_KEY}=`],
    ['a line break', `${EXAMPLE_KEY}\n`],
  ])('refuses a key with %s', (_what, text) => {
    expect(() => parseVerifierKey(text)).toThrow(NoteError);
  });
});

describe('signed notes', () => {
  it.each([
    [EXAMPLE_NOTE, EXAMPLE_KEY],
    [GO_NOTE, GO_KEY],
  ])('verifies the published example', (note, key) => {
    expect(isSignedBy(parseNote(note), parseVerifierKey(key))).toBe(true);
  });

  it('signs as the published implementation does', () => {
    const { x } = createPublicKey(goPrivate).export({ format: 'jwk' });
    expect(x).toBe(Buffer.from(goKey.publicKey).toString('base64url'));
    expect(signNote(GO_TEXT, goKey, goPrivate)).toBe(GO_NOTE);
  });

  it('parses a text that holds an empty line', () => {
    const { text, signatures } = parseNote(POEM);
    expect(text).toBe(POEM.slice(0, POEM.lastIndexOf('\n\n') + 1));
    expect(signatures).toMatchObject([{ name: 'quasimodo.example/salvatore' }]);
  });

  it('ignores signatures of unknown keys, also when they share the name or the id', () => {
    const both = GO_NOTE + EXAMPLE_NOTE.split('\n').at(-2)?.concat('\n');
    expect(isSignedBy(parseNote(both), goKey)).toBe(true);
    expect(isSignedBy(parseNote(EXAMPLE_NOTE), goKey)).toBe(false);
    const namesake = GO_NOTE.replace('PeterNeumann x08go', 'PeterNeumann Uw2QO');
    expect(isSignedBy(parseNote(namesake), goKey)).toBe(false);
  });

  it('refuses a note that carries a false signature beside the true one', () => {
    const line = GO_NOTE.split('\n').at(-2) as string;
    const twice = `${GO_NOTE}${line.replace('Sffc', 'Sffd')}\n`;
    expect(isSignedBy(parseNote(twice), goKey)).toBe(false);
  });

  it('is not signed any more once any bit of the text or the signature changed', () => {
    const bytes = Buffer.from(GO_NOTE);
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ (1 << bit);
        const holds = () => isSignedBy(parseNote(changed.toString('utf8')), goKey);
        let held = false;
        try {
          held = holds();
        } catch (error) {
          expect(error).toBeInstanceOf(NoteError);
        }
        if (held) throw new Error(`bit ${bit} of byte ${at} went unseen`);
      }
    }
  });

  it.each([
    ['nothing', ''],
    ['no signature', 'text\n'],
    ['an empty signature part', 'text\n\n'],
    ['no newline at the end', GO_NOTE.slice(0, -1)],
    ['a control character', GO_NOTE.replace('think', 'th\u0007nk')],
    ['a carriage return', GO_NOTE.replaceAll('\n', '\r\n')],
    ['a hyphen for the dash', GO_NOTE.replace('\u2014', '-')],
    ['a line that is no signature', `${GO_NOTE}more\n`],
    ['a short signature', 'text\n\n\u2014 name AAAA\n'],
    ['too many signatures', GO_NOTE + `${GO_NOTE.split('\n').at(-2)}\n`.repeat(100)],
  ])('refuses a note with %s', (_what, note) => {
    expect(() => parseNote(note)).toThrow(NoteError);
  });
});

describe('checkpoints', () => {
  it('reads and writes the example of the specification', () => {
    const { text, signatures } = parseNote(CHECKPOINT);
    const checkpoint = parseCheckpoint(text);
    expect(checkpoint).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20852163 });
    expect(formatCheckpoint(checkpoint)).toBe(text);
    expect(signatures).toMatchObject([{ name: checkpoint.origin, keyId: 0x033de0ae }]);
  });

  it('signs a checkpoint that it reads again', () => {
    const checkpoint = { origin: goKey.name, size: 7, root: new Uint8Array(32).fill(9) };
    const note = parseNote(signNote(formatCheckpoint(checkpoint), goKey, goPrivate));
    expect(isSignedBy(note, goKey)).toBe(true);
    expect(parseCheckpoint(note.text)).toEqual(checkpoint);
    expect(note.signatures[0]?.keyId).toBe(keyIdOf(goKey));
  });

  it('takes extension lines', () => {
    const text = parseNote(CHECKPOINT).text;
    expect(parseCheckpoint(`${text}more\nand more\n`).size).toBe(20852163);
  });

  it.each([
    ['no origin', (text: string) => text.replace(/^.*\n/, '\n')],
    ['a leading zero', (text: string) => text.replace('\n2', '\n02')],
    ['a negative size', (text: string) => text.replace('\n2', '\n-2')],
    ['a size beyond counting', (text: string) => text.replace('20852163', '9007199254740993')],
    ['a short root', (text: string) => text.replace('CsUYap', 'Cs')],
    ['an empty extension line', (text: string) => `${text}\nmore\n`],
    ['no newline at the end', (text: string) => text.slice(0, -1)],
  ])('refuses one with %s', (_what, change) => {
    expect(() => parseCheckpoint(change(parseNote(CHECKPOINT).text))).toThrow(NoteError);
  });

  it('finds the notes of a file that holds many', () => {
    expect(splitNotes(`${CHECKPOINT}\n${GO_NOTE}${EXAMPLE_NOTE}\n\n`)).toEqual([
      CHECKPOINT,
      GO_NOTE,
      EXAMPLE_NOTE,
    ]);
    expect(splitNotes('')).toEqual([]);
    expect(() => splitNotes(`${CHECKPOINT}origin\n7\n`)).toThrow(NoteError);
  });
});
