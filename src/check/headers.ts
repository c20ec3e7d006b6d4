import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1';
import { type Address, concat, type Hex, hashStruct, keccak256, recoverAddress } from 'viem';
import { isHexOf, parseAddress } from '../evm.js';
import { type Chain, shortly } from './chain.js';
import type { Tally } from './report.js';
import type { Snapshot } from './snapshot.js';

/** How many headers are looked up at once. */
const HEADERS_AT_ONCE = 200;

/** Members that an EIP-3009 authorization's signature covers, beside the token's domain. */
const TYPES = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const;

/** A header as somebody received it. */
interface Header {
  /** Where it stands, such as `headers.ndjson:12`. */
  readonly place: string;
  readonly value: string;
  /** The payment it came with, where the line says so. */
  readonly paymentId: string | undefined;
  readonly x402Version: unknown;
  /** The entry that v2 echoes; empty in v1. */
  readonly accepted: Readonly<Record<string, unknown>>;
  /** Names that v1 has instead. */
  readonly scheme: unknown;
  readonly network: unknown;
  readonly signature: Hex;
  readonly from: Address;
  readonly to: string;
  readonly amount: string;
  readonly validAfter: string;
  readonly validBefore: string;
  readonly nonce: Hex;
}

/** Headers of a payment that were seen before. */
interface SeenHeaders {
  readonly signature: Hex;
  readonly values: Set<string>;
}

interface Row {
  readonly id: string;
  readonly network: string;
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: string;
  readonly amount: string;
  readonly valid_after: string;
  readonly valid_before: string;
  readonly nonce: Hex;
  readonly scheme: string;
}

const WHAT = 'every header that was returned is of a committed payment';

/**
 * I4, of headers that clients really received: each has a committed payment that says the same in every
 * signed member, and is signed by its payer over the EIP-712 digest of its row. All headers of a payment carry
 * one authorization and one signature. What wraps them may differ, as long as it is an entry with the
 * payment's material terms.
 *
 * @param chains - by network; a token's domain separator is asked of the token.
 * @throws Error for a file that cannot be read.
 */
export async function checkHeaders(
  snapshot: Snapshot,
  tally: Tally,
  files: readonly string[],
  chains: ReadonlyMap<string, Chain>,
  progress: (what: string) => void,
): Promise<void> {
  const verify = verifier(tally, chains);
  const seen = new Map<string, SeenHeaders>();
  let count = 0;
  const look = async (headers: readonly Header[]) => {
    const rows = await findRows(snapshot, headers);
    for (const header of headers) {
      const row = rows.get(`${header.from} ${header.nonce}`);
      if (!row) {
        tally.broken({ id: header.place, what: WHAT, detail: 'no payment has its nonce' });
        continue;
      }
      const wrong = await wrongWith(header, row, seen, verify);
      if (wrong) tally.broken({ id: row.id, what: WHAT, detail: `${header.place}: ${wrong}` });
    }
    count += headers.length;
    progress(`I4: ${count} headers`);
  };
  for (const file of files) {
    let batch: Header[] = [];
    for await (const { place, line } of linesOf(file)) {
      tally.count('headers', 1);
      const header = parseHeader(place, line);
      if (typeof header === 'string') {
        tally.broken({ id: place, what: WHAT, detail: header });
        continue;
      }
      batch.push(header);
      if (batch.length === HEADERS_AT_ONCE) {
        await look(batch);
        batch = [];
      }
    }
    await look(batch);
  }
}

async function* linesOf(file: string) {
  const name = file.split('/').at(-1);
  let number = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(file, 'utf8') })) {
      number += 1;
      if (line.trim() !== '') yield { place: `${name}:${number}`, line: line.trim() };
    }
  } catch (error) {
    throw new Error(`--headers ${file}: ${shortly(error)}`);
  }
}

/** A line as a header, or what is wrong with it. */
function parseHeader(place: string, line: string): Header | string {
  try {
    const given: unknown = /^["{]/.test(line) ? JSON.parse(line) : line;
    const { header = given, paymentId, payment } = (given ?? {}) as Record<string, unknown>;
    const { value = header } = (header ?? {}) as Record<string, unknown>;
    if (typeof value !== 'string') return 'the line has no header';
    const id = paymentId ?? (payment as { id?: unknown } | undefined)?.id;
    const text = Buffer.from(value, 'base64').toString('utf8');
    const { x402Version, accepted = {}, scheme, network, payload } = JSON.parse(text);
    const { from, to, value: amount, validAfter, validBefore, nonce } = payload.authorization;
    const { signature } = payload;
    const payer = parseAddress(from);
    const isSound =
      payer !== undefined &&
      parseAddress(to) !== undefined &&
      isHexOf(nonce, 32) &&
      isHexOf(signature, 65) &&
      [amount, validAfter, validBefore].every((each) => /^[0-9]{1,78}$/.test(each));
    if (!isSound) return 'its authorization is malformed';
    return {
      place,
      value,
      paymentId: typeof id === 'string' ? id : undefined,
      x402Version,
      accepted,
      scheme,
      network,
      signature,
      from: payer,
      to,
      amount,
      validAfter,
      validBefore,
      nonce,
    };
  } catch {
    return 'it is no base64 of a payment in JSON';
  }
}

/** By payer and nonce. Asked of the database as it is now: a header may be younger than the snapshot. */
async function findRows(snapshot: Snapshot, headers: readonly Header[]): Promise<Map<string, Row>> {
  const rows = await snapshot.rows<Row>(
    `SELECT p.id, p.network, p.asset, p.payer, p.pay_to, p.amount, p.valid_after, p.valid_before, p.nonce,
       p.scheme
     FROM unnest($1::text[], $2::text[]) AS h (payer, nonce)
     CROSS JOIN (SELECT DISTINCT network, asset FROM wallet_balances) t
     JOIN payments p ON p.network = t.network AND p.asset = t.asset AND p.payer = h.payer AND p.nonce = h.nonce`,
    [headers.map(({ from }) => from), headers.map(({ nonce }) => nonce)],
  );
  return new Map(rows.map((row) => [`${row.payer} ${row.nonce}`, row]));
}

async function wrongWith(
  header: Header,
  row: Row,
  seen: Map<string, SeenHeaders>,
  verify: (header: Header, row: Row) => Promise<string | undefined>,
): Promise<string | undefined> {
  if (header.paymentId !== undefined && header.paymentId !== row.id) {
    return `it came with payment ${header.paymentId}`;
  }
  const before = seen.get(row.id) ?? { signature: header.signature, values: new Set() };
  if (before.values.has(header.value)) return undefined;
  if (before.signature !== header.signature) return 'its payment has another signature as well';
  seen.set(row.id, before);
  before.values.add(header.value);
  const members: readonly (readonly [string, unknown, unknown])[] = [
    ['to', header.to.toLowerCase(), row.pay_to.toLowerCase()],
    ['value', header.amount, row.amount],
    ['validAfter', header.validAfter, row.valid_after],
    ['validBefore', header.validBefore, row.valid_before],
    ...wrapperMembers(header, row),
  ];
  const other = members.find(([, sent, committed]) => sent !== committed);
  if (other) return `its ${other[0]} is ${String(other[1])}, committed is ${String(other[2])}`;
  return verify(header, row);
}

/** Members of an entry that wraps an authorization, each beside its payment's. */
function wrapperMembers(
  { x402Version, accepted, scheme, network }: Header,
  row: Row,
): (readonly [string, unknown, unknown])[] {
  if (x402Version === 1) {
    const names: Readonly<Record<string, number>> = EVM_NETWORK_CHAIN_ID_MAP;
    const named = typeof network === 'string' ? `eip155:${names[network]}` : network;
    return [
      ['scheme', scheme, row.scheme],
      ['network', named, row.network],
    ];
  }
  return [
    ['x402Version', x402Version, 2],
    ['accepted.scheme', accepted.scheme, row.scheme],
    ['accepted.network', accepted.network, row.network],
    ['accepted.amount', accepted.amount, row.amount],
    ['accepted.asset', lower(accepted.asset), row.asset.toLowerCase()],
    ['accepted.payTo', lower(accepted.payTo), row.pay_to.toLowerCase()],
  ];
}

function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

/** Recovers who signed the digest of a row. */
function verifier(tally: Tally, chains: ReadonlyMap<string, Chain>) {
  const separators = new Map<string, Promise<Hex>>();
  const separatorOf = (chain: Chain, asset: Address) => {
    const key = `${chain.network} ${asset}`;
    const known = separators.get(key) ?? chain.domainSeparator(asset);
    separators.set(key, known);
    return known;
  };
  return async (header: Header, row: Row): Promise<string | undefined> => {
    const chain = chains.get(row.network);
    if (!chain) {
      tally.skip(`the signatures of headers: ${row.network} was not asked for its tokens' domains`);
      return undefined;
    }
    let separator: Hex;
    try {
      separator = await separatorOf(chain, row.asset);
    } catch (error) {
      tally.skip(`the signatures of headers: ${row.network}: ${shortly(error)}`);
      return undefined;
    }
    const struct = hashStruct({
      types: TYPES,
      primaryType: 'TransferWithAuthorization',
      data: {
        from: row.payer,
        to: row.pay_to as Address,
        value: BigInt(row.amount),
        validAfter: BigInt(row.valid_after),
        validBefore: BigInt(row.valid_before),
        nonce: row.nonce,
      },
    });
    const digest = keccak256(concat(['0x1901', separator, struct]));
    try {
      const signer = await recoverAddress({ hash: digest, signature: header.signature });
      tally.count('signatures', 1);
      return signer === row.payer ? undefined : `it is signed by ${signer}, not by ${row.payer}`;
    } catch {
      return 'its signature is none';
    }
  };
}
