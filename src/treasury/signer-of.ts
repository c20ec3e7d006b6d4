import { join } from 'node:path';
import { type Config, isMnemonic } from '../config.js';
import { KeystoreSigner } from './keystore.js';
import { MnemonicSigner, type Signer } from './signer.js';
import { SocketSigner } from './signer-socket.js';

/**
 * The signer a configuration asks for: another process, keystores, or the phrase.
 *
 * @throws Error when the phrase is none, as a damaged file would hold: other words are other, empty wallets.
 */
export function signerOf(config: Config): Signer {
  const { signerSocket, keystore, keystorePassword, walletMnemonic, walletCount } = config;
  if (signerSocket !== undefined) return new SocketSigner(signerSocket);
  if (keystore !== undefined) return new KeystoreSigner(keystore, keystorePassword ?? '');
  if (walletMnemonic === undefined) throw new Error('no wallet mnemonic was resolved');
  // What came by the environment was looked at there.
  if (!isMnemonic(walletMnemonic)) {
    throw new Error(
      `${join(config.dataDir, 'wallet-mnemonic')} does not hold a valid BIP-39 phrase of 12 or 24 English words; restore it, its wallets hold the money`,
    );
  }
  return new MnemonicSigner(walletMnemonic, walletCount);
}
