import { describe, expect, it } from '@jest/globals';
import { parseTransaction } from 'viem';
import { GasAccount } from './gas-account.js';

const KEY = `0x${'11'.repeat(32)}` as const;

const ELSEWHERE = { kind: 'signer', socket: '/run/signer.sock' } as const;

describe('GasAccount', () => {
  it('signs away no coin, whatever it is given', async () => {
    const transaction = { to: `0x${'22'.repeat(20)}` as const, chainId: 1, nonce: 0, value: 5n };
    const signed = await new GasAccount(KEY, ELSEWHERE).sign(transaction);
    expect(parseTransaction(signed).value).toBeUndefined();
  });

  it('signs nothing without a key', async () => {
    const account = new GasAccount(undefined, ELSEWHERE);
    expect(account.address).toBeUndefined();
    await expect(account.sign({ chainId: 1, nonce: 0 })).rejects.toThrow('there is no gas account');
  });
});
