import { domainSeparator, keccak256, type TypedDataDomain } from 'viem';

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
  const struct = Buffer.alloc(32 * (fields.length + 1));
  struct.set(typeHashOf(data), 0);
  fields.forEach(({ name, type }, index) => {
    const value = data.message[name];
    if (value === undefined) throw new Error(`the message has no ${name}`);
    struct.set(wordOf(type, value), 32 * (index + 1));
  });
  const signed = Buffer.alloc(66);
  signed[0] = 0x19;
  signed[1] = 0x01;
  signed.set(separatorOf(data.domain), 2);
  signed.set(keccak256(struct, 'bytes'), 34);
  return keccak256(signed, 'bytes');
}

/** By what the domain says: there are as many as the registry has tokens. */
const separators = new Map<string, Buffer>();

function separatorOf(domain: TypedDataDomain): Buffer {
  const { name, version, chainId, verifyingContract, salt } = domain;
  const key = JSON.stringify([name, version, String(chainId), verifyingContract, salt]);
  const known = separators.get(key);
  if (known) return known;
  const separator = bytesOf(domainSeparator({ domain }));
  separators.set(key, separator);
  return separator;
}

/** By the list of fields, which is a constant of the code. */
const typeHashes = new WeakMap<object, Uint8Array>();

function typeHashOf({ types, primaryType }: FlatTypedData): Uint8Array {
  const fields = types[primaryType] ?? [];
  const known = typeHashes.get(fields);
  if (known) return known;
  const encoded = `${primaryType}(${fields.map(({ type, name }) => `${type} ${name}`).join(',')})`;
  const hash = keccak256(Buffer.from(encoded, 'utf8'), 'bytes');
  typeHashes.set(fields, hash);
  return hash;
}

function wordOf(type: string, value: string | bigint): Buffer {
  if (type === 'uint256' && typeof value === 'bigint' && value >= 0n && value < 1n << 256n) {
    return Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
  }
  if (type === 'address' && typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value)) {
    return Buffer.from(value.slice(2).padStart(64, '0'), 'hex');
  }
  if (type === 'bytes32' && typeof value === 'string' && /^0x[0-9a-fA-F]{64}$/.test(value)) {
    return bytesOf(value);
  }
  throw new Error(`${String(value)} is no ${type} of a flat message`);
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.slice(2), 'hex');
}
