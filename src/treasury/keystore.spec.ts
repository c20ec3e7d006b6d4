import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { privateKeyToAccount } from 'viem/accounts';
import { KeystoreSigner, makeKeystore, openKeystore } from './keystore.js';

/** The scrypt test vector of the Web3 Secret Storage Definition (ethereum.org), version 3. */
const VECTOR = {
  password: 'testpassword',
  key: '0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d',
  keystore: {
    crypto: {
      cipher: 'aes-128-ctr',
      cipherparams: { iv: '83dbcc02d8ccb40e466191a123791e0e' },
      ciphertext: 'd172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c',
      kdf: 'scrypt',
      kdfparams: {
        dklen: 32,
        n: 262_144,
        p: 8,
        r: 1,
        salt: 'ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19',
      },
      mac: '2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097',
    },
    id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
    version: 3,
  },
} as const;

type Vector = { crypto: { kdfparams: object } };

const MAIN = { position: 0, name: 'main' };
const PASSWORD = 'correct horse';

describe('openKeystore', () => {
  const open = (change: (keystore: Vector) => unknown, password = 'testpassword') =>
    openKeystore(JSON.stringify(change(structuredClone(VECTOR.keystore))), password);

  it("opens the standard's own test vector", async () => {
    expect(await open((keystore) => keystore)).toBe(VECTOR.key);
  });

  it('opens what it made, and nothing else does with another password', async () => {
    const { address, json } = await makeKeystore(PASSWORD);
    const key = await openKeystore(json, PASSWORD);
    expect(privateKeyToAccount(key).address).toBe(address);
    expect(json).not.toContain(key.slice(2));
    const lying = JSON.stringify({ ...JSON.parse(json), address: '11'.repeat(20) });
    await expect(openKeystore(lying, PASSWORD)).rejects.toThrow(/says it is that of/);
    await expect(openKeystore(json, 'wrong')).rejects.toThrow(/^the password is wrong$/);
  });

  it.each([
    [
      'another cipher',
      (k: Vector) => ({ ...k, crypto: { ...k.crypto, cipher: 'aes-256-gcm' } }),
      /only cipher aes-128-ctr/,
    ],
    [
      'another kdf',
      (k: Vector) => ({ ...k, crypto: { ...k.crypto, kdf: 'pbkdf2' } }),
      /only kdf scrypt/,
    ],
    ['another version', (k: Vector) => ({ ...k, version: 4 }), /only version 3/],
    [
      'a kdf that would take all memory',
      (k: Vector) => ({
        ...k,
        crypto: { ...k.crypto, kdfparams: { ...k.crypto.kdfparams, n: 2 ** 30 } },
      }),
      /kdfparams.n/,
    ],
    ['no object', () => 7, /is no keystore/],
  ])('refuses %s, and says so', async (_what, change, message) => {
    await expect(open(change)).rejects.toThrow(message);
  });
});

describe('KeystoreSigner', () => {
  let folder: string;
  let mine: string;
  let theirs: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bursar-keystore-'));
    await mkdir(join(folder, 'other'));
    const [first, second] = [await makeKeystore(PASSWORD), await makeKeystore(PASSWORD)];
    await writeFile(join(folder, 'a.json'), first.json);
    await writeFile(join(folder, 'other', 'b.json'), second.json);
    await writeFile(join(folder, 'readme.txt'), 'no keystore');
    mine = first.address;
    theirs = second.address;
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('keeps the treasuries apart: a folder has one treasury’s keys', async () => {
    const signer = new KeystoreSigner(folder, PASSWORD);
    expect((await signer.wallets(MAIN)).addresses).toEqual([mine]);
    expect((await signer.wallets({ position: 1, name: 'other' })).addresses).toEqual([theirs]);
    expect((await signer.wallets({ position: 2, name: 'none' })).addresses).toEqual([]);
  });

  it('names the file it cannot open, and shows no password', async () => {
    const signer = new KeystoreSigner(folder, 'secret-canary');
    const failure = await signer.wallets(MAIN).catch((error: Error) => error.message);
    expect(failure).toBe(`BURSAR_KEYSTORE: ${join(folder, 'a.json')}: the password is wrong`);
    expect(inspect(signer, { depth: 9, showHidden: true })).not.toContain('secret-canary');
  });
});
