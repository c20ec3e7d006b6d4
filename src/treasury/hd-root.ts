import { pbkdf2Sync } from 'node:crypto';
import { HDKey } from 'viem/accounts';

/**
 * The root of a phrase's key tree (BIP-39, without a passphrase; BIP-32): what viem's `mnemonicToAccount`
 * makes anew for every account, in JavaScript; here by OpenSSL, and once for all accounts of a signer.
 *
 * @param mnemonic - words that were checked.
 */
export function hdRoot(mnemonic: string): HDKey {
  const seed = pbkdf2Sync(mnemonic.normalize('NFKD'), 'mnemonic', 2048, 64, 'sha512');
  return HDKey.fromMasterSeed(seed);
}
