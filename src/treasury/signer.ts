import type { Hex } from 'viem';
import { type HDAccount, mnemonicToAccount } from 'viem/accounts';
import type { exactTypedData } from '../x402/exact.js';

/** The typed data a signer may be asked to sign. */
export type SignableTypedData = ReturnType<typeof exactTypedData>;

/** Injection token of the {@link Signer}. */
export const SIGNER = Symbol('signer');

/** Holds wallet keys and signs with them. Keys never leave it. */
export interface Signer {
  /** The addresses it can sign for, EIP-55 checksummed, in the order of their derivation. */
  readonly addresses: readonly string[];
  /**
   * Signs EIP-712 typed data, deterministically (RFC 6979, low s): the same data always gives the
   * same 65 bytes.
   *
   * @throws Error when `address` is not one of its own.
   */
  sign(address: string, data: SignableTypedData): Promise<Hex>;
}

/** A signer over a BIP-39 mnemonic: wallet n is the account at `m/44'/60'/0'/0/n` (BIP-44). */
export class MnemonicSigner implements Signer {
  readonly addresses: readonly string[];
  readonly #accounts: ReadonlyMap<string, HDAccount>;

  constructor(mnemonic: string, count: number) {
    const accounts = Array.from({ length: count }, (_, addressIndex) =>
      mnemonicToAccount(mnemonic, { addressIndex }),
    );
    this.addresses = accounts.map(({ address }) => address);
    this.#accounts = new Map(accounts.map((account) => [account.address, account]));
  }

  async sign(address: string, data: SignableTypedData): Promise<Hex> {
    const account = this.#accounts.get(address);
    if (!account) {
      throw new Error(`no key for wallet ${address}: is BURSAR_WALLET_MNEMONIC another one's?`);
    }
    return account.signTypedData(data);
  }
}
