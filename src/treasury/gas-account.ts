import type { Hex, TransactionSerializableEIP1559 } from 'viem';
import { hdKeyToAccount, type LocalAccount, privateKeyToAccount } from 'viem/accounts';
import { hdRoot } from './hd-root.js';
import type { WalletKeys } from './signer-of.js';

/** Transactions that {@link GasAccount.sign} signs: EIP-1559 transactions that move no ether to anybody else. */
export type GasTransaction = Omit<TransactionSerializableEIP1559, 'type' | 'value'>;

/**
 * The account that pays the gas of cancellations. It holds ether and no tokens, serves all treasuries,
 * and is nobody's wallet: its key is `BURSAR_GAS_KEY`, else `m/44'/60'/0'/1/0` of the phrase, a branch
 * (BIP-44 "change") that no wallet is on.
 */
export class GasAccount {
  readonly #account: LocalAccount | undefined;

  /** @param gasKey - a key of its own; without one, a branch of the phrase if the keys are of a phrase. */
  constructor(gasKey: Hex | undefined, walletKeys: WalletKeys) {
    if (gasKey !== undefined) this.#account = privateKeyToAccount(gasKey);
    else if (walletKeys.kind === 'phrase') {
      const root = hdRoot(walletKeys.phrase);
      this.#account = hdKeyToAccount(root, { accountIndex: 0, changeIndex: 1 });
    }
  }

  /** EIP-55 checksummed; undefined when this process has no gas key. */
  get address(): Hex | undefined {
    return this.#account?.address;
  }

  /** Signs, deterministically. @throws Error without a key, or when value would leave the account. */
  async sign(transaction: GasTransaction): Promise<Hex> {
    if (!this.#account?.signTransaction) throw new Error('there is no gas account');
    return this.#account.signTransaction({ ...transaction, type: 'eip1559', value: 0n });
  }
}
