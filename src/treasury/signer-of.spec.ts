import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadConfig } from '../config/config.js';
import { makeSecrets } from '../secrets.js';
import { signerOf } from './signer-of.js';

describe('the phrase that is kept in the data directory', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'bursar-signer-'));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  const wallets = async () => {
    const config = loadConfig({ BURSAR_DATA_DIR: dataDir });
    const { walletKeys } = await makeSecrets(config, false, () => {});
    return signerOf(walletKeys).wallets({ position: 0, name: 'main' });
  };

  it('is made once, and its wallets stay', async () => {
    const made = await wallets();
    expect(await wallets()).toEqual(made);
  });

  it.each([
    ['cut short', (phrase: string) => phrase.split(' ').slice(0, 9).join(' ')],
    ['of another order', (phrase: string) => phrase.split(' ').reverse().join('  ')],
    ['empty', () => ''],
  ])('is refused when it is %s', async (_, spoil) => {
    await wallets();
    const path = join(dataDir, 'wallet-mnemonic');
    await writeFile(path, spoil(await readFile(path, 'utf8')));
    await expect(wallets()).rejects.toThrow(/wallet-mnemonic does not hold a valid BIP-39 phrase/);
  });
});
