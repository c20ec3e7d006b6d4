import {
  createCipheriv,
  createDecipheriv,
  randomBytes,
  randomUUID,
  type ScryptOptions,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { scryptAsync as slowScrypt } from '@noble/hashes/scrypt';
import { concat, type Hex, hexToBytes, keccak256, toHex } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { z } from 'zod';
import { isSameAddress } from '../evm.js';
import {
  type SignableTypedData,
  type Signer,
  type SignerWallets,
  signWith,
  type TreasuryKeys,
} from './signer.js';

/** Scrypt parameters of a new keystore: the standard's own example strength, about 256 MiB for half a second. */
const SCRYPT = { n: 262_144, r: 8, p: 1 } as const;

/** The most memory one key derivation may take, in bytes: what a file asks for is bounded. */
const SCRYPT_MEMORY = 1_100_000_000;

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`));

const cryptoSchema = z.object({
  cipher: z.literal('aes-128-ctr', { error: 'only cipher aes-128-ctr is read' }),
  ciphertext: hex(32),
  cipherparams: z.object({ iv: hex(16) }),
  kdf: z.literal('scrypt', { error: 'only kdf scrypt is read' }),
  kdfparams: z.object({
    dklen: z.literal(32),
    n: z.int().min(2).max(1_048_576),
    r: z.int().min(1).max(32),
    p: z.int().min(1).max(16),
    salt: z.string().regex(/^([0-9a-fA-F]{2}){8,64}$/),
  }),
  mac: hex(32),
});

const keystoreSchema = z.object({
  version: z.literal(3, { error: 'only version 3 is read' }),
  address: z
    .string()
    .regex(/^(0x)?[0-9a-fA-F]{40}$/)
    .optional(),
  crypto: cryptoSchema,
});

/**
 * Opens an encrypted key (Web3 Secret Storage, version 3, scrypt).
 *
 * @throws Error saying what is wrong with the file, or that the password is. Never holds the key.
 */
export async function openKeystore(json: string, password: string): Promise<Hex> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Error('is not JSON');
  }
  const parsed = keystoreSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`is no keystore: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { ciphertext, cipherparams, kdfparams, mac } = parsed.data.crypto;
  const derived = await derive(password, hexToBytes(`0x${kdfparams.salt}`), kdfparams);
  const sealed = hexToBytes(`0x${ciphertext}`);
  const seal = hexToBytes(keccak256(concat([derived.subarray(16, 32), sealed])));
  if (!timingSafeEqual(seal, hexToBytes(`0x${mac}`))) throw new Error('the password is wrong');
  const decipher = createDecipheriv(
    'aes-128-ctr',
    derived.subarray(0, 16),
    hexToBytes(`0x${cipherparams.iv}`),
  );
  const key = toHex(Buffer.concat([decipher.update(sealed), decipher.final()]));
  const { address } = parsed.data;
  const opened = privateKeyToAccount(key).address;
  if (address !== undefined && !isSameAddress(`0x${address.replace(/^0x/, '')}`, opened)) {
    throw new Error(`holds the key of ${opened}, and says it is that of ${address}`);
  }
  return key;
}

/** Makes a new key and encrypts it (Web3 Secret Storage, version 3, scrypt). */
export async function makeKeystore(password: string): Promise<{ address: Hex; json: string }> {
  const key = generatePrivateKey();
  const { address } = privateKeyToAccount(key);
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derived = await derive(password, salt, SCRYPT);
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
  const sealed = Buffer.concat([cipher.update(hexToBytes(key)), cipher.final()]);
  const json = JSON.stringify({
    version: 3,
    id: randomUUID(),
    address: address.slice(2).toLowerCase(),
    crypto: {
      cipher: 'aes-128-ctr',
      ciphertext: sealed.toString('hex'),
      cipherparams: { iv: iv.toString('hex') },
      kdf: 'scrypt',
      kdfparams: { dklen: 32, ...SCRYPT, salt: salt.toString('hex') },
      mac: keccak256(concat([derived.subarray(16, 32), sealed])).slice(2),
    },
  });
  return { address, json };
}

/**
 * A signer over encrypted keystores: the `*.json` files of a folder (or one file) are the main
 * treasury's wallets, those of its subfolder `<name>` the wallets of the treasury of that name.
 */
export class KeystoreSigner implements Signer {
  readonly #password: string;
  readonly #keys = new Map<string, Uint8Array>();
  readonly #opened = new Map<string, Promise<SignerWallets>>();

  constructor(
    private readonly path: string,
    password: string,
  ) {
    this.#password = password;
  }

  /** Opens a treasury's keystores, once. @throws Error naming the file that cannot be opened. */
  wallets({ position, name }: TreasuryKeys): Promise<SignerWallets> {
    const known = this.#opened.get(name);
    if (known) return known;
    const opening = this.open(position === 0 ? this.path : join(this.path, name));
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }

  async sign(address: string, data: SignableTypedData): Promise<Hex> {
    const key = this.#keys.get(address);
    if (!key) throw new Error(`no keystore for wallet ${address} in BURSAR_KEYSTORE`);
    return signWith(key, data);
  }

  private async open(path: string): Promise<SignerWallets> {
    const found = await stat(path).catch(() => undefined);
    // A treasury without a folder has no keys here yet.
    if (!found) return { addresses: [], isOrdered: false };
    const files = found.isDirectory()
      ? (await readdir(path))
          .filter((file) => file.endsWith('.json'))
          .sort()
          .map((file) => join(path, file))
      : [path];
    const addresses: string[] = [];
    // One after the other: each takes a quarter of a gigabyte while it is opened.
    for (const file of files) {
      try {
        const key = await openKeystore(await readFile(file, 'utf8'), this.#password);
        const { address } = privateKeyToAccount(key);
        this.#keys.set(address, hexToBytes(key));
        addresses.push(address);
      } catch (error) {
        throw new Error(
          `BURSAR_KEYSTORE: ${file}: ${error instanceof Error ? error.message : error}`,
        );
      }
    }
    return { addresses, isOrdered: false };
  }
}

async function derive(
  password: string,
  salt: Uint8Array,
  { n, r, p }: { n: number; r: number; p: number },
): Promise<Uint8Array> {
  const text = password.normalize('NFKC');
  // OpenSSL holds to N < 2^(16 r) (RFC 7914, section 2), the keystores of many wallets do not.
  if (Math.log2(n) >= 16 * r) {
    return slowScrypt(text, salt, { N: n, r, p, dkLen: 32, maxmem: SCRYPT_MEMORY });
  }
  const options: ScryptOptions = { N: n, r, p, maxmem: SCRYPT_MEMORY };
  return new Promise((resolve, reject) => {
    scrypt(text, salt, 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
