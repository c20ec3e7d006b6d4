import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { ClientBase, Pool } from 'pg';
import { open, seal } from '../access/keys.js';
import { MasterSecret } from '../access/master-secret.js';
import { formatVerifierKey, type VerifierKey } from '../domain/note.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { originOf } from './log-rows.js';

/** A log's key with its private half. */
export interface LogKey extends VerifierKey {
  readonly privateKey: KeyObject;
}

/**
 * The Ed25519 keys that checkpoints are signed with, one a treasury. As the tokens' keys they live in
 * the database, the private halves sealed under the master secret.
 */
@Injectable()
export class LogKeys {
  constructor(private readonly masterSecret: MasterSecret) {}

  /**
   * A treasury's key, made in the caller's transaction if there is none. The caller holds the
   * treasury's row, so that two never make one.
   */
  async signing(tx: ClientBase, treasuryId: string): Promise<LogKey> {
    const name = originOf(treasuryId);
    const secret = this.sealingKey();
    const { rows } = await tx.query<{ public_key: Buffer; sealed_private: string }>(
      'SELECT public_key, sealed_private FROM log_keys WHERE treasury_id = $1',
      [treasuryId],
    );
    if (rows[0]) {
      const privateKey = createPrivateKey(open(rows[0].sealed_private, secret, name));
      return { name, publicKey: rows[0].public_key, privateKey };
    }
    const made = generateKeyPairSync('ed25519');
    const { x } = made.publicKey.export({ format: 'jwk' });
    const publicKey = Buffer.from(x as string, 'base64url');
    const pem = made.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const now = await databaseNow(tx);
    await tx.query(
      `INSERT INTO log_keys (treasury_id, public_key, sealed_private, created_at)
       VALUES ($1, $2, $3, $4)`,
      [treasuryId, publicKey, seal(pem, secret, name), now],
    );
    await appendEvents(tx, now, [
      {
        treasuryId,
        kind: 'key.created',
        actor: 'system:audit',
        data: { use: 'log', algorithm: 'Ed25519', key: formatVerifierKey({ name, publicKey }) },
      },
    ]);
    return { name, publicKey, privateKey: made.privateKey };
  }

  /** The public half of a treasury's key; undefined before the first sealing. */
  async find(pool: Pool, treasuryId: string): Promise<VerifierKey | undefined> {
    const { rows } = await pool.query<{ public_key: Buffer }>(
      'SELECT public_key FROM log_keys WHERE treasury_id = $1',
      [treasuryId],
    );
    return rows[0] && { name: originOf(treasuryId), publicKey: rows[0].public_key };
  }

  private sealingKey(): Buffer {
    return this.masterSecret.derive('log-keys');
  }
}
