import type { Config } from '../config.js';
import { KeystoreSigner } from './keystore.js';
import { MnemonicSigner, type Signer } from './signer.js';
import { SocketSigner } from './signer-socket.js';

/** The signer a configuration asks for: another process, keystores, or the phrase. */
export function signerOf(config: Config): Signer {
  const { signerSocket, keystore, keystorePassword, walletMnemonic, walletCount } = config;
  if (signerSocket !== undefined) return new SocketSigner(signerSocket);
  if (keystore !== undefined) return new KeystoreSigner(keystore, keystorePassword ?? '');
  if (walletMnemonic === undefined) throw new Error('no wallet mnemonic was resolved');
  return new MnemonicSigner(walletMnemonic, walletCount);
}
