import { hkdfSync } from 'node:crypto';

/**
 * The secret that every replica of a service shares. It never leaves this object: each purpose gets a key of its own.
 */
export class MasterSecret {
  readonly #text: string;

  /** @throws Error when it is empty: keys of an empty secret would be everybody's. */
  constructor(text: string) {
    if (text === '') throw new Error('the master secret is empty');
    this.#text = text;
  }

  /** A key of 32 bytes for one purpose (HKDF with SHA-256, RFC 5869). */
  derive(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#text, '', `bursar/${purpose}`, 32));
  }
}
