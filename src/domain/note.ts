import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

/** Signature type of the Ed25519 signatures of a signed note. */
const ED25519 = 1;

/** How many signatures a note may carry; the specification asks for 16 at least. */
const MAX_SIGNATURES = 100;

/** A public key that notes are verified with (C2SP signed-note, "Verifier keys"). */
export interface VerifierKey {
  /** A log's is its origin. Never empty, without spaces and "+". */
  readonly name: string;
  /** Ed25519, 32 bytes (RFC 8032). */
  readonly publicKey: Uint8Array;
}

/** A note or key that is not of the form its specification gives. One line. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}

/** A parsed signed note. Nothing of it is believed until {@link isSignedBy} says so. */
export interface SignedNote {
  /** Signed text, its last newline included. */
  readonly text: string;
  readonly signatures: readonly {
    readonly name: string;
    readonly keyId: number;
    readonly signature: Uint8Array;
  }[];
}

/** The head of a log: its first `size` leaves have this root (C2SP tlog-checkpoint). */
export interface Checkpoint {
  /** Which log. */
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** The key id of a signature line: the first four bytes of a hash over name, type and key. */
export function keyIdOf({ name, publicKey }: VerifierKey): number {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), publicKey]);
  return hash('sha256', bytes, 'buffer').readUInt32BE(0);
}

/** `<name>+<key id in hex>+<base64 of type and key>`: how a verifier key is handed around. */
export function formatVerifierKey(key: VerifierKey): string {
  const id = keyIdOf(key).toString(16).padStart(8, '0');
  const bytes = Buffer.concat([Buffer.of(ED25519), key.publicKey]);
  return `${key.name}+${id}+${bytes.toString('base64')}`;
}

/** @throws NoteError for what is not the verifier key of an Ed25519 key. */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name = '', id = '', base64 = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  const bytes = decodeBase64(base64);
  if (!isKeyName(name) || bytes?.length !== 33 || bytes[0] !== ED25519) {
    throw new NoteError('not an Ed25519 verifier key (name+id+base64; C2SP signed-note)');
  }
  const key = { name, publicKey: new Uint8Array(bytes.subarray(1)) };
  if (keyIdOf(key) !== Number.parseInt(id, 16)) {
    throw new NoteError('the id in the verifier key is not the one of its name and key');
  }
  return key;
}

/**
 * Signs a text as a note (C2SP signed-note).
 *
 * @param text - ends with a newline.
 * @param privateKey - the Ed25519 key of `key`.
 */
export function signNote(text: string, key: VerifierKey, privateKey: KeyObject): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyIdOf(key));
  const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]);
  return `${text}\n\u2014 ${key.name} ${signature.toString('base64')}\n`;
}

/** @throws NoteError for what is not a signed note. */
export function parseNote(note: string): SignedNote {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a note must not hold
  if (!note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note)) {
    throw new NoteError('a signed note is UTF-8 without control characters');
  }
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) {
    throw new NoteError('a signed note is a text, an empty line and signature lines');
  }
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw new NoteError('the note has too many signatures');
  const signatures = lines.map((line) => {
    const [, name = '', base64 = ''] = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line) ?? [];
    const bytes = decodeBase64(base64);
    if (!isKeyName(name) || !bytes || bytes.length < 5) {
      throw new NoteError('the note has a line that should be a signature and is none');
    }
    return { name, keyId: bytes.readUInt32BE(0), signature: new Uint8Array(bytes.subarray(4)) };
  });
  return { text: note.slice(0, split + 1), signatures };
}

/** Whether a note carries a key's signature, and none in the key's name and id that is false. */
export function isSignedBy({ text, signatures }: SignedNote, key: VerifierKey): boolean {
  const id = keyIdOf(key);
  const own = signatures.filter(({ name, keyId }) => name === key.name && keyId === id);
  if (own.length === 0) return false;
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key.publicKey).toString('base64url') },
    format: 'jwk',
  });
  return own.every(({ signature }) => verify(null, Buffer.from(text), publicKey, signature));
}

/** The text of a checkpoint: origin, size and root, a line each. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/** Reads a note's text as a checkpoint. @throws NoteError when it is none. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', base64 = '', ...extensions] = text.split('\n');
  const root = decodeBase64(base64);
  if (
    origin === '' ||
    !/^(0|[1-9][0-9]{0,15})$/.test(size) ||
    !Number.isSafeInteger(Number(size)) ||
    root?.length !== 32 ||
    extensions.pop() !== '' ||
    extensions.includes('')
  ) {
    throw new NoteError('not a checkpoint (origin, size and root; C2SP tlog-checkpoint)');
  }
  return { origin, size: Number(size), root: new Uint8Array(root) };
}

/**
 * The signed notes in a text that holds any number of checkpoints one after the other, as a witness's
 * file does. @throws NoteError when something in it is no signed note.
 */
export function splitNotes(text: string): string[] {
  const notes: string[] = [];
  let note = '';
  let isSigned = false;
  for (const line of text.split('\n')) {
    const isSignature = line.startsWith('\u2014 ');
    if (isSigned && !isSignature) {
      notes.push(note);
      note = '';
      isSigned = false;
    }
    if (line === '' && note === '') continue;
    note += `${line}\n`;
    isSigned ||= isSignature;
  }
  if (isSigned) notes.push(note);
  else if (note !== '') throw new NoteError('the last checkpoint has no signature');
  return notes;
}

/** Base64 as RFC 4648 section 4 writes it, padding and all; undefined for anything else. */
function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text && text !== '' ? bytes : undefined;
}

function isKeyName(name: string): boolean {
  return name !== '' && !/[\s+]/u.test(name);
}
