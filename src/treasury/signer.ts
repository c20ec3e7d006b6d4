import type { Hex } from 'viem';
import { type HDAccount, type HDKey, hdKeyToAccount } from 'viem/accounts';
import type { exactTypedData } from '../x402/exact.js';
import type { cancelTypedData } from './cancel-authorization.js';
import { signDigest } from './ecdsa.js';
import { digestOf } from './eip712.js';
import { hdRoot } from './hd-root.js';

/** The typed data a signer may be asked to sign: payments, and taking them back. Nothing else. */
export type SignableTypedData =
  | ReturnType<typeof exactTypedData>
  | ReturnType<typeof cancelTypedData>;

/** Injection token of the {@link Signer}. */
export const SIGNER = Symbol('signer');

/** Names a treasury to the signer. Each treasury has keys of its own. */
export interface TreasuryKeys {
  /** Its place in the key tree, 0 for the main one. */
  readonly position: number;
  readonly name: string;
}

/** The wallets a signer has the keys of, for one treasury. */
export interface SignerWallets {
  /** EIP-55 checksummed. */
  readonly addresses: readonly string[];
  /**
   * Whether the n-th address is always the same one, as with a phrase. Where keys come and go, as with
   * keystores, their order means nothing.
   */
  readonly isOrdered: boolean;
}

/** Holds wallet keys and signs with them. Keys never leave it. A KMS can be one, or another process. */
export interface Signer {
  /** The wallets of a treasury that it can sign for. Call it for a treasury before the first {@link sign} for one of its wallets. */
  wallets(treasury: TreasuryKeys): Promise<SignerWallets>;
  /**
   * Signs EIP-712 typed data, deterministically (RFC 6979, low s): the same data always gives the
   * same 65 bytes.
   *
   * @param decision - of a payment: the canonical record whose SHA-256 is the nonce. A signer in another process
   *   demands it (`signer-rules.ts`).
   * @throws Error when `address` is not one of those {@link wallets} gave.
   */
  sign(address: string, data: SignableTypedData, decision?: string): Promise<Hex>;
}

/**
 * A signer over a BIP-39 phrase: wallet n of the treasury at position t is the account at
 * `m/44'/60'/t'/0/n` (BIP-44). The hardened account keeps the treasuries' branches apart.
 */
export class MnemonicSigner implements Signer {
  readonly #root: HDKey;
  readonly #keys = new Map<string, Uint8Array>();
  readonly #addresses = new Map<number, readonly string[]>();

  constructor(
    mnemonic: string,
    private readonly count: number,
  ) {
    this.#root = hdRoot(mnemonic);
  }

  async wallets({ position }: Pick<TreasuryKeys, 'position'>): Promise<SignerWallets> {
    let addresses = this.#addresses.get(position);
    if (!addresses) {
      const accounts = Array.from({ length: this.count }, (_, addressIndex) =>
        hdKeyToAccount(this.#root, { accountIndex: position, addressIndex }),
      );
      for (const account of accounts) this.#keys.set(account.address, privateKeyOf(account));
      addresses = accounts.map(({ address }) => address);
      this.#addresses.set(position, addresses);
    }
    return { addresses, isOrdered: true };
  }

  async sign(address: string, data: SignableTypedData): Promise<Hex> {
    const key = this.#keys.get(address);
    if (!key) {
      throw new Error(
        `no key for wallet ${address}: does BURSAR_WALLET_MNEMONIC belong to another installation?`,
      );
    }
    return signWith(key, data);
  }
}

function privateKeyOf(account: HDAccount): Uint8Array {
  const { privateKey } = account.getHdKey();
  if (!privateKey) throw new Error(`no private key of ${account.address}`);
  return privateKey;
}

/** Signs typed data with a key of 32 bytes. The bytes are those of viem's account, in a part of the time. */
export function signWith(privateKey: Uint8Array, data: SignableTypedData): Hex {
  return signDigest(privateKey, digestOf(data));
}
