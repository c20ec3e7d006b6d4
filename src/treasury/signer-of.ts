import { isMnemonic } from '../config/mnemonic.js';
import { KeystoreSigner } from './keystore.js';
import { MnemonicSigner, type Signer } from './signer.js';
import { SocketSigner } from './signer-socket.js';

/** The place of the wallets' keys. */
export type WalletKeys =
  | { readonly kind: 'signer'; readonly socket: string }
  | { readonly kind: 'keystore'; readonly path: string; readonly password: string }
  | {
      readonly kind: 'phrase';
      /** BIP-39. */
      readonly phrase: string;
      /** Wallets of each treasury taken from it. */
      readonly count: number;
      /** The file that holds the phrase, unless the environment does. */
      readonly file: string;
    };

/**
 * The signer for the keys: another process, keystores, or the phrase.
 *
 * @throws Error when the phrase is none, as a damaged file would hold: other words are other, empty wallets.
 */
export function signerOf(keys: WalletKeys): Signer {
  if (keys.kind === 'signer') return new SocketSigner(keys.socket);
  if (keys.kind === 'keystore') return new KeystoreSigner(keys.path, keys.password);
  // A phrase from the environment was checked there.
  if (!isMnemonic(keys.phrase)) {
    throw new Error(
      `${keys.file} does not hold a valid BIP-39 phrase of 12 or 24 English words; restore it, its wallets hold the money`,
    );
  }
  return new MnemonicSigner(keys.phrase, keys.count);
}
