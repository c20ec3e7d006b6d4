import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * Seals bytes by AES-256-GCM: 12 bytes of nonce, 16 of tag, the rest.
 *
 * @param key - 32 bytes, such as a `MasterSecret` derives.
 * @param name - authenticated with it, so that what is sealed for one thing does not open for another.
 */
export function sealBytes(plain: Buffer, key: Buffer, name: string): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(name));
  const sealed = [cipher.update(plain), cipher.final()];
  return Buffer.concat([iv, cipher.getAuthTag(), ...sealed]);
}

/** The bytes that {@link sealBytes} sealed. @throws Error when they were changed, or sealed under another key or name. */
export function openBytes(sealed: Buffer, key: Buffer, name: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
    .setAAD(Buffer.from(name))
    .setAuthTag(sealed.subarray(12, 28));
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]);
}
