import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { calculateJwkThumbprint, exportJWK, type JWK } from 'jose';
import { CONFIG, type Config, ConfigError } from '../config.js';
import { Database } from '../database/database.js';
import { appendServiceEvent } from '../ledger/service-events.js';

/** An ES256 key that tokens are signed with. */
export interface TokenKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicJwk: JWK;
  /** PEM (PKCS #8, SPKI). */
  readonly privatePem: string;
  readonly publicPem: string;
}

/**
 * The keys tokens are signed with. They live in the database, so that every process has the same
 * ones; the private halves are sealed with AES-256-GCM under the master secret.
 */
@Injectable()
export class Keys {
  #keys: readonly TokenKey[] = [];

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Loads the keys, making the first one if there is none.
   *
   * @throws ConfigError when the master secret is not the one they were sealed under.
   */
  async load(): Promise<void> {
    const secret = this.sealingKey();
    // Making the first key is guarded by a lock on the table: two processes that start together on a
    // new database must end up with one and the same key.
    this.#keys = await this.database.transaction(async (tx) => {
      await tx.query('LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE');
      const { rows } = await tx.query<{ kid: string; public_jwk: JWK; sealed_private: string }>(
        'SELECT kid, public_jwk, sealed_private FROM signing_keys WHERE retired_at IS NULL ORDER BY created_at DESC',
      );
      if (rows.length > 0) {
        return rows.map((row) =>
          toTokenKey(row.kid, row.public_jwk, open(row.sealed_private, secret, row.kid)),
        );
      }
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const publicJwk = await exportJWK(publicKey);
      const kid = await calculateJwkThumbprint(publicJwk);
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      await tx.query(
        'INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private) VALUES ($1, $2, $3, $4)',
        [kid, 'ES256', publicJwk, seal(pem, secret, kid)],
      );
      await appendServiceEvent(tx, {
        kind: 'key.created',
        actor: 'system:access',
        data: { use: 'tokens', algorithm: 'ES256', kid },
      });
      return [toTokenKey(kid, publicJwk, pem)];
    });
  }

  /** The key new tokens are signed with. */
  current(): TokenKey {
    const [key] = this.#keys;
    if (!key) throw new Error('no signing key is loaded');
    return key;
  }

  /** A key tokens may still be verified with. */
  find(kid: string): TokenKey | undefined {
    return this.#keys.find((key) => key.kid === kid);
  }

  /** The public keys as a JWK set (RFC 7517). */
  jwks(): { keys: JWK[] } {
    return {
      keys: this.#keys.map(({ publicJwk, kid }) => ({
        ...publicJwk,
        kid,
        alg: 'ES256',
        use: 'sig',
      })),
    };
  }

  private sealingKey(): Buffer {
    const { masterSecret } = this.config;
    if (masterSecret === undefined) throw new Error('no master secret was resolved');
    return Buffer.from(hkdfSync('sha256', masterSecret, '', 'bursar/signing-keys', 32));
  }
}

function toTokenKey(kid: string, publicJwk: JWK, privatePem: string): TokenKey {
  const privateKey: KeyObject = createPrivateKey(privatePem);
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
  return { kid, publicJwk, privatePem, publicPem };
}

/** AES-256-GCM; the key's id is authenticated with it, so that sealed keys cannot be swapped. */
export function seal(plain: string, secret: Buffer, kid: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(Buffer.from(kid));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
}

/** The plain text of what {@link seal} made. @throws ConfigError when the secret is another one. */
export function open(sealed: string, secret: Buffer, kid: string): string {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12))
    .setAAD(Buffer.from(kid))
    .setAuthTag(bytes.subarray(12, 28));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
  } catch {
    throw new ConfigError([
      `BURSAR_MASTER_SECRET: does not open the signing key ${kid} of this database; give the secret the ` +
        'key was made under (without the variable it is the file "master-secret" in BURSAR_DATA_DIR)',
    ]);
  }
}
