import type { Answer } from './api.js';

/** An event with its place in the log, as the service proves it. */
export type Proof = Answer<'/v1/audit/events/{id}/proof'>;

/** One step of a verification, made in this page. */
export interface Finding {
  readonly what: string;
  readonly isGood: boolean;
  readonly detail: string;
}

const ED25519 = 1;
const KEY_BYTES = 33;
const SIGNATURE_BYTES = 68;

/**
 * Verifies an event without believing the service: the record's hash leads to the root of a checkpoint, the log's key signed
 * that checkpoint, and the nonce of a payment is the hash of its decision.
 *
 * @param verifierKey - the log's key as C2SP writes it.
 */
export async function verifyProof(proof: Proof, verifierKey: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const check = async (what: string, test: () => Promise<string>) => {
    try {
      findings.push({ what, isGood: true, detail: await test() });
    } catch (error) {
      findings.push({ what, isGood: false, detail: (error as Error).message });
    }
  };
  await check('The record is the leaf', async () => {
    const hash = base64(await leafHash(proof.record));
    require(hash === proof.leafHash, `its hash is ${hash}, and the proof is of ${proof.leafHash}`);
    return `SHA-256 of 0x00 and ${proof.record.length} bytes is ${hash}`;
  });
  await check('The leaf is in the log', async () => {
    const { size, root } = checkpointOf(proof.checkpoint);
    require(size === BigInt(proof.treeSize), `the checkpoint is of ${size} records`);
    const computed = base64(await rootOf(proof));
    require(computed === root, `the proof leads to ${computed}, and the checkpoint says ${root}`);
    return `leaf ${proof.leafIndex} and ${proof.inclusionProof.length} hashes lead to the root of ${size} records`;
  });
  await check('The log’s key signed it', async () => {
    await requireSigned(proof.checkpoint, verifierKey);
    return `Ed25519 signature of ${checkpointOf(proof.checkpoint).origin}`;
  });
  const { id, kind, data } = JSON.parse(proof.record) as {
    id: string;
    kind: string;
    data: { nonce?: string; decision?: unknown };
  };
  await check('The record is the one asked for', async () => {
    require(id === proof.id, `it is event ${id}, and the page is of ${proof.id}`);
    return id;
  });
  if (kind === 'payment.authorized' && data.decision !== undefined) {
    await check('The nonce is the hash of the decision', async () => {
      const nonce = await nonceOf(data.decision);
      require(nonce ===
        data.nonce, `the decision hashes to ${nonce}, and the record says ${data.nonce}`);
      return `${nonce}: the transfer on chain commits to this decision`;
    });
  }
  return findings;
}

/** The nonce that commits to a decision: SHA-256 of its canonical JSON, which it is once parsed and written again (RFC 8785). */
export async function nonceOf(decision: unknown): Promise<string> {
  return hex(await sha256(utf8(JSON.stringify(decision))));
}

/** Whether an opening is of its commitment: SHA-256 of the other members' canonical JSON. */
export async function isOpeningOf(opening: Readonly<Record<string, unknown>>): Promise<boolean> {
  const { commitment, ...content } = opening;
  return (await nonceOf(content)) === `0x${String(commitment)}`;
}

function require(holds: boolean, fault: string): asserts holds {
  if (!holds) throw new Error(fault);
}

/** RFC 9162, 2.1.1. */
async function leafHash(record: string): Promise<Uint8Array> {
  return sha256(concat(Uint8Array.of(0), utf8(record)));
}

/** RFC 9162, 2.1.3.2. */
async function rootOf({ record, leafIndex, treeSize, inclusionProof }: Proof): Promise<Uint8Array> {
  let place = BigInt(leafIndex);
  let last = BigInt(treeSize) - 1n;
  require(place <= last, `there is no leaf ${place} in a tree of ${treeSize}`);
  let hash = await leafHash(record);
  for (const text of inclusionProof) {
    require(last > 0n, 'the proof is too long');
    const other = bytesOf(text);
    const isRight = (place & 1n) === 1n || place === last;
    hash = await sha256(concat(Uint8Array.of(1), ...(isRight ? [other, hash] : [hash, other])));
    if (isRight) {
      while ((place & 1n) === 0n && place !== 0n) {
        place >>= 1n;
        last >>= 1n;
      }
    }
    place >>= 1n;
    last >>= 1n;
  }
  require(last === 0n, 'the proof is too short');
  return hash;
}

/** C2SP tlog-checkpoint. */
function checkpointOf(note: string): { origin: string; size: bigint; root: string } {
  const [origin = '', size = '', root = ''] = note.split('\n');
  require(/^\d+$/.test(size), 'the checkpoint has no size');
  return { origin, size: BigInt(size), root };
}

/** C2SP signed-note. */
async function requireSigned(note: string, verifierKey: string): Promise<void> {
  const [, name = '', id = '', encoded = ''] =
    /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(verifierKey.trim()) ?? [];
  const key = bytesOf(encoded);
  require(key.length === KEY_BYTES && key[0] === ED25519, 'the key is no Ed25519 verifier key');
  const due = (await sha256(concat(utf8(`${name}\n`), key))).slice(0, 4);
  require(hex(due) === `0x${id}`, 'the key’s id is not of this key');
  const end = note.indexOf('\n\n');
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2).split('\n');
  const publicKey = await crypto.subtle
    .importKey('raw', key.slice(1), 'Ed25519', false, ['verify'])
    .catch(() => {
      throw new Error('this browser cannot verify Ed25519; use npx bursar audit verify');
    });
  for (const line of lines) {
    const [, signer, signed = ''] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    if (signer !== name) continue;
    const bytes = bytesOf(signed);
    if (bytes.length !== SIGNATURE_BYTES || hex(bytes.slice(0, 4)) !== `0x${id}`) continue;
    if (await crypto.subtle.verify('Ed25519', publicKey, bytes.slice(4), utf8(text))) return;
    throw new Error('the signature is not of this key and this checkpoint');
  }
  throw new Error(`no signature is of ${name}`);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function hex(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
