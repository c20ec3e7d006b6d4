import { domainSeparator, type TypedDataDomain } from 'viem';
import { keccak256 } from './keccak.js';

/** Typed data whose one struct holds only addresses, uint256 and bytes32, as EIP-3009's messages do. */
export interface FlatTypedData {
  readonly domain: TypedDataDomain;
  readonly types: Readonly<
    Record<string, readonly { readonly name: string; readonly type: string }[]>
  >;
  readonly primaryType: string;
  readonly message: Readonly<Record<string, string | bigint>>;
}

/**
 * The EIP-712 digest of flat typed data: what viem's `hashTypedData` gives, with the parts that are
 * the same for every payment of a token made once.
 *
 * @returns 32 bytes.
 * @throws Error for a struct that holds anything else.
 */
export function digestOf(data: FlatTypedData): Uint8Array {
  const fields = data.types[data.primaryType] ?? [];
  let struct = typeHashOf(data);
  for (const { name, type } of fields) {
    const value = data.message[name];
    if (value === undefined) throw new Error(`the message has no ${name}`);
    struct += wordOf(type, value);
  }
  const signed = Buffer.allocUnsafe(66);
  signed[0] = 0x19;
  signed[1] = 0x01;
  signed.set(separatorOf(data.domain), 2);
  signed.set(keccak256(Buffer.from(struct, 'hex')), 34);
  return keccak256(signed);
}

/** Domain separators by the members of the domain: one for each registered token. */
const separators = new Map<string, Buffer>();

function separatorOf(domain: TypedDataDomain): Buffer {
  const { name, version, chainId, verifyingContract, salt } = domain;
  const key = JSON.stringify([name, version, String(chainId), verifyingContract, salt]);
  const known = separators.get(key);
  if (known) return known;
  const separator = Buffer.from(domainSeparator({ domain }).slice(2), 'hex');
  separators.set(key, separator);
  return separator;
}

/** Type hashes in hex by the array of fields, which is a constant of the code. */
const typeHashes = new WeakMap<object, string>();

function typeHashOf({ types, primaryType }: FlatTypedData): string {
  const fields = types[primaryType] ?? [];
  const known = typeHashes.get(fields);
  if (known) return known;
  const encoded = `${primaryType}(${fields.map(({ type, name }) => `${type} ${name}`).join(',')})`;
  const hash = Buffer.from(keccak256(Buffer.from(encoded, 'utf8'))).toString('hex');
  typeHashes.set(fields, hash);
  return hash;
}

/** A value as the 32 bytes it is in a struct, in hex. */
function wordOf(type: string, value: string | bigint): string {
  if (type === 'uint256' && typeof value === 'bigint' && value >= 0n && value < 1n << 256n) {
    return value.toString(16).padStart(64, '0');
  }
  if (type === 'address' && typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value)) {
    return value.slice(2).padStart(64, '0');
  }
  if (type === 'bytes32' && typeof value === 'string' && /^0x[0-9a-fA-F]{64}$/.test(value)) {
    return value.slice(2);
  }
  throw new Error(`${String(value)} is no ${type} of a flat message`);
}
