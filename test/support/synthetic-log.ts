import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { canonicalJson } from '../../src/domain/canonical.js';
import { leafHash, MerkleTree } from '../../src/domain/merkle.js';
import { formatCheckpoint, signNote, type VerifierKey } from '../../src/domain/note.js';

const TREASURY = 'trs_01000000000000000000000000';
export const ROOT = 'grt_01000000000000000000000000';
const WALLET = '0x58A57ed9d8d624cBD12e2C467D34787555bB1b25';
const ASSET = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
const PAYEE = '0x1111111111111111111111111111111111111111';
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

/** Makes the records of a log as the service writes them, each by itself. */
export class SyntheticLog {
  #count = 0;

  /** One record as its line. */
  line(kind: string, members: { grantId?: string; paymentId?: string; data?: Data } = {}): string {
    const number = this.#count++;
    return canonicalJson({
      version: 'bursar.event.v1',
      id: id('evt', number),
      treasuryId: TREASURY,
      kind,
      actor: members.grantId ? `grant:${members.grantId}` : 'system:test',
      at: timeOf(number),
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

  grant(grantId: string, parentId: string | undefined, terms: Data = {}): string {
    return this.line(parentId ? 'grant.delegated' : 'grant.minted', {
      grantId,
      data: {
        parentId: parentId ?? null,
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
        delegationDepth: 3,
        funding: 'shared',
        purpose: null,
        ...terms,
      },
    });
  }

  authorized(
    number: number,
    grants: readonly string[],
    value = '10000',
    changes: { decision?: Data; data?: Data } = {},
  ): string {
    const paymentId = id('pay', number);
    const decision = {
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
      validBefore: String(Math.floor((START + this.#count) / 1000) + 60),
      decidedAt: timeOf(this.#count),
      ...changes.decision,
    };
    return this.line('payment.authorized', {
      grantId: grants.at(-1) as string,
      paymentId,
      data: {
        currency: 'USDC',
        decision,
        nonce: `0x${sha256(canonicalJson(decision))}`,
        ...changes.data,
      },
    });
  }

  ended(
    number: number,
    grantId: string,
    kind = 'settled',
    value = '10000',
    data: Data = {},
  ): string {
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

function timeOf(number: number): string {
  return new Date(START + number).toISOString();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
