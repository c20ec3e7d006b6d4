import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parseSignature, recoverTypedDataAddress } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import type { exactTypedData } from '../x402/exact.js';
import { MnemonicSigner } from './signer.js';

const MNEMONIC = 'test test test test test test test test test test test junk';
/** The addresses of that well-known phrase, as anvil and hardhat print them. */
const FIRST = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const SECOND = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const THIRD = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

function transfer(value: bigint): ReturnType<typeof exactTypedData> {
  return {
    domain: { name: 'USDC', version: '2', chainId: 84_532, verifyingContract: THIRD },
    types: {
      TransferWithAuthorization: [
        { name: 'from', type: 'address' },
        { name: 'to', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'validAfter', type: 'uint256' },
        { name: 'validBefore', type: 'uint256' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'TransferWithAuthorization',
    message: {
      from: FIRST,
      to: SECOND,
      value,
      validAfter: 0n,
      validBefore: 1_795_255_260n,
      nonce: `0x${'5a'.repeat(32)}`,
    },
  };
}

describe('MnemonicSigner', () => {
  const signer = new MnemonicSigner(MNEMONIC, 2);
  beforeAll(() => signer.wallets({ position: 0 }));

  it('derives the wallets that any BIP-44 wallet derives from the phrase, in their order', async () => {
    const of = async (count: number) =>
      (await new MnemonicSigner(MNEMONIC, count).wallets({ position: 0 })).addresses;
    expect(await of(2)).toEqual([FIRST, SECOND]);
    expect(await of(3)).toEqual([FIRST, SECOND, THIRD]);
  });

  it('gives every treasury a branch of its own, which BIP-44 calls an account', async () => {
    const { addresses } = await signer.wallets({ position: 7 });
    const expected = [0, 1].map(
      (addressIndex) => mnemonicToAccount(MNEMONIC, { accountIndex: 7, addressIndex }).address,
    );
    expect(addresses).toEqual(expected);
    expect(addresses).not.toContain(FIRST);
  });

  it.each([FIRST, SECOND] as const)('signs as %s and nobody else', async (address) => {
    const data = transfer(1n);
    const signature = await signer.sign(address, data);
    expect(await recoverTypedDataAddress({ ...data, signature })).toBe(address);
  });

  it('gives the same bytes for the same data, in another process too', async () => {
    const signature = await signer.sign(FIRST, transfer(7n));
    expect(await signer.sign(FIRST, structuredClone(transfer(7n)))).toBe(signature);
    const other = new MnemonicSigner(MNEMONIC, 1);
    await other.wallets({ position: 0 });
    expect(await other.sign(FIRST, transfer(7n))).toBe(signature);
    expect(signature).toBe(await mnemonicToAccount(MNEMONIC).signTypedData(transfer(7n)));
  });

  it('gives 65 bytes with a low s, which tokens demand (EIP-2)', async () => {
    for (let value = 0n; value < 20n; value += 1n) {
      const signature = await signer.sign(FIRST, transfer(value));
      expect(signature).toMatch(/^0x[0-9a-f]{130}$/);
      expect(BigInt(parseSignature(signature).s) <= HALF_ORDER).toBe(true);
      expect(signature.slice(-2)).toMatch(/^1[bc]$/);
    }
  });

  it('says which setting to look at when it has no key for a wallet', async () => {
    await expect(signer.sign(THIRD, transfer(1n))).rejects.toThrow(
      `no key for wallet ${THIRD}: does BURSAR_WALLET_MNEMONIC belong to another installation?`,
    );
  });

  it('shows no key and no phrase when it is printed', () => {
    const key = Buffer.from(mnemonicToAccount(MNEMONIC).getHdKey().privateKey ?? []);
    expect(key).toHaveLength(32);
    const printed = inspect(signer, { depth: 9, showHidden: true }) + JSON.stringify(signer);
    expect(printed).toContain('count');
    for (const secret of ['junk', key.toString('hex'), key.toString('base64')]) {
      expect(printed).not.toContain(secret);
    }
  });
});
