import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { canonicalJson } from '../../src/domain/canonical.js';
import { leafHash, MerkleTree } from '../../src/domain/merkle.js';
import { formatCheckpoint, signNote, type VerifierKey } from '../../src/domain/note.js';

const TREASURY = 'trs_01000000000000000000000000';
export const ROOT = 'grt_01000000000000000000000000';
export const WALLET = '0x58A57ed9d8d624cBD12e2C467D34787555bB1b25';
export const ASSET = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
export const PAYEE = '0x1111111111111111111111111111111111111111';
const START = Date.parse('2026-11-21T10:00:00.000Z');

/** A log's key, the same in every run. */
const PRIVATE: KeyObject = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    createHash('sha256').update('a test key').digest(),
  ]),
  format: 'der',
  type: 'pkcs8',
});
export const KEY: VerifierKey = {
  name: `bursar/${TREASURY}`,
  publicKey: Buffer.from(
    createPublicKey(PRIVATE).export({ format: 'jwk' }).x as string,
    'base64url',
  ),
};

type Data = Record<string, unknown>;

const ROOT_TERMS: Data = {
  holder: 'agent',
  currency: 'USDC',
  budget: '1000000000000',
  maxPerPayment: null,
  maxPayments: null,
  windows: [],
  approvalAbove: null,
  scope: {},
  startsAt: new Date(START).toISOString(),
  expiresAt: new Date(START + 10 ** 11).toISOString(),
  purpose: null,
};

/** The members of a record that may be chosen. */
interface Members {
  readonly grantId?: string;
  readonly paymentId?: string;
  readonly data?: Data;
  /** Left out, somebody who may write a record of the kind. */
  readonly actor?: string;
  /** Unix milliseconds; left out, the log's own time. */
  readonly at?: number;
}

/** Makes the records of a log as the service writes them, each by itself, a millisecond after the last. */
export class SyntheticLog {
  #count = 0;
  #now = START;
  readonly #terms = new Map<string, Data>();
  readonly #ends = new Map<number, number>();

  /** The time of the next record, in Unix milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** Lets time pass before the next record. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** One record as its line. */
  line(kind: string, members: Members = {}): string {
    const number = this.#count++;
    const at = members.at ?? this.#now;
    this.#now = Math.max(this.#now, at) + 1;
    return canonicalJson({
      version: 'bursar.event.v1',
      id: id('evt', number),
      treasuryId: TREASURY,
      kind,
      actor: members.actor ?? actorOf(kind, members.grantId),
      at: new Date(at).toISOString(),
      grantId: members.grantId ?? null,
      paymentId: members.paymentId ?? null,
      requestId: `req-${number}`,
      reason: null,
      data: members.data ?? {},
    });
  }

  /** The records every log begins with: treasury, wallet, and a root grant. */
  beginning(terms: Data = {}): string[] {
    return [
      this.line('treasury.created', { data: { name: 'main' } }),
      this.line('wallet.added', { data: { address: WALLET, position: 0, walletId: 'wal_1' } }),
      this.grant(ROOT, undefined, terms),
    ];
  }

  /** A minting. A child has the terms of its parent, but for those that are given. */
  grant(grantId: string, parentId: string | undefined, terms: Data = {}, actor?: string): string {
    const parent = this.#terms.get(parentId ?? '');
    const data = {
      ...(parent ?? ROOT_TERMS),
      parentId: parentId ?? null,
      delegationDepth: Math.max(0, Number(parent?.delegationDepth ?? 4) - 1),
      funding: 'shared',
      ...terms,
    };
    this.#terms.set(grantId, data);
    const by = actor ?? (parentId ? `grant:${parentId}` : 'admin:test');
    return this.line(parentId ? 'grant.delegated' : 'grant.minted', { grantId, data, actor: by });
  }

  /** Notes amended terms: a child that is minted later has them. */
  amended(grantId: string, terms: Data): void {
    this.#terms.set(grantId, { ...this.#terms.get(grantId), ...terms });
  }

  authorized(
    number: number,
    grants: readonly string[],
    value = '10000',
    changes: { decision?: Data; data?: Data; actor?: string; at?: number } = {},
  ): string {
    const paymentId = id('pay', number);
    const now = changes.at ?? this.#now;
    const decision: Data = {
      version: 'bursar.decision.v1',
      paymentId,
      treasuryId: TREASURY,
      grants,
      request: { method: 'GET', url: `https://api.example.com/data/${number}` },
      resource: null,
      x402Version: 2,
      requirementHash: sha256(`requirement ${number}`),
      network: 'eip155:84532',
      asset: ASSET,
      from: WALLET,
      to: PAYEE,
      value,
      validAfter: '0',
      validBefore: String(Math.floor(now / 1000) + 60),
      decidedAt: new Date(now).toISOString(),
      ...changes.decision,
    };
    this.#ends.set(number, Number(decision.validBefore) * 1000);
    return this.line('payment.authorized', {
      grantId: grants.at(-1) as string,
      paymentId,
      at: changes.at ?? Date.parse(String(decision.decidedAt)),
      ...(changes.actor === undefined ? {} : { actor: changes.actor }),
      data: {
        currency: 'USDC',
        decision,
        nonce: `0x${sha256(canonicalJson(decision))}`,
        ...changes.data,
      },
    });
  }

  /** The end of a payment; a release once its signature has run out. */
  ended(
    number: number,
    grantId: string,
    kind = 'settled',
    value = '10000',
    data: Data = {},
  ): string {
    if (kind === 'released') this.#now = Math.max(this.#now, this.#ends.get(number) ?? 0);
    return this.line(`payment.${kind}`, {
      grantId,
      paymentId: id('pay', number),
      data: {
        blockNumber: String(number),
        currency: 'USDC',
        network: 'eip155:84532',
        transaction: kind === 'released' ? null : `0x${sha256(`transaction ${number}`)}`,
        value,
        ...data,
      },
    });
  }

  /**
   * A whole log: payments of a few dozen grants in three levels, most settled, some released, some
   * refused, a few still open.
   */
  *whole(records: number): Generator<string> {
    yield* this.beginning();
    const grants: string[][] = [[ROOT]];
    for (let number = 1; number <= 30 && this.#count < records; number += 1) {
      const parent = grants[Math.floor((number - 1) / 5)] as string[];
      const grantId = id('grt', number + 1);
      grants.push([...parent, grantId]);
      yield this.grant(grantId, parent.at(-1));
    }
    for (let number = 0; this.#count < records; number += 1) {
      const path = grants[number % grants.length] as string[];
      const grantId = path.at(-1) as string;
      yield this.authorized(number, path);
      if (number % 10 === 0 && this.#count < records) {
        yield this.line('payment.refused', { grantId, data: { code: 'budget_exceeded' } });
      }
      if (number % 50 === 7 || this.#count >= records) continue;
      yield this.ended(number, grantId, number % 5 === 0 ? 'released' : 'settled');
    }
  }
}

/** The checkpoint of a log's first `lines`, signed by {@link KEY}. */
export function checkpointOf(lines: Iterable<string>, origin = KEY.name): string {
  const tree = new MerkleTree();
  for (const line of lines) tree.append(leafHash(line));
  const text = formatCheckpoint({ origin, size: tree.size, root: tree.root() });
  return signNote(text, { ...KEY, name: origin }, PRIVATE);
}

/** A TypeID-like id that sorts by its number. */
export function id(kind: string, number: number): string {
  return `${kind}_01${String(number).padStart(24, '0')}`;
}

/** Somebody who may write a record of a kind. */
function actorOf(kind: string, grantId: string | undefined): string {
  if (/^payment\.(settled|released|cancelled|seen|refused_more)$|^grant\.returned$/.test(kind)) {
    return 'system:test';
  }
  if (/^payment\.(approved|rejected)$|^wallet\.(draining|active|retired)$/.test(kind)) {
    return 'admin:test';
  }
  return grantId ? `grant:${grantId}` : 'system:test';
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
