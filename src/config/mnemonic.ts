import { validateMnemonic } from '@scure/bip39';
import { english } from 'viem/accounts';

/** Whether a phrase is of BIP-39: 12 or 24 English words, the last of which holds a checksum of the others. */
export function isMnemonic(phrase: string): boolean {
  return [12, 24].includes(phrase.split(' ').length) && validateMnemonic(phrase, english);
}
