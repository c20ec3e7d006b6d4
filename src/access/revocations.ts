import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { appendServiceEvent } from '../ledger/service-events.js';
import { OnJob } from '../outbox/on-job.js';
import type { AdminIdentity } from './tokens.js';

/** How often what no longer matters is forgotten, in milliseconds. */
const FORGET_MS = 30_000;

/** Admin tokens that were revoked before their end. Grant tokens end by their grant's generation. */
@Injectable()
export class Revocations {
  constructor(private readonly database: Database) {}

  /**
   * Ends an admin's token and writes its event, in one transaction. A token that was ended before gets no second event.
   *
   * @param token - its `expiresAt` is in Unix seconds; until then the revocation is remembered.
   * @returns whether this call ended it.
   */
  revoke(
    token: { readonly id: string; readonly expiresAt: number; readonly identity: AdminIdentity },
    actor: string,
    requestId: string,
  ): Promise<boolean> {
    const { id, expiresAt, identity } = token;
    return this.database.transaction(async (tx) => {
      const ended = await tx.query(
        `INSERT INTO revoked_tokens (token_id, revoked_by, expires_at)
         VALUES ($1, $2, to_timestamp($3)) ON CONFLICT DO NOTHING`,
        [id, actor, expiresAt],
      );
      if (ended.rowCount !== 1) return false;
      const { name, role } = identity;
      const data = { name, role, tokenId: id, expiresAt };
      await appendServiceEvent(tx, { kind: 'admin.token_revoked', actor, requestId, data });
      return true;
    }, 'all');
  }

  /** @param expiresAt - Unix seconds. */
  async isRevoked({
    id,
    expiresAt,
  }: {
    readonly id: string;
    readonly expiresAt: number;
  }): Promise<boolean> {
    // Earlier versions noted a sign-in by a hash of one spelling of its token (sha256:). Another spelling cannot be
    // traced to that row, but its end can: such a row refuses every sign-in that ends at the same time.
    const { rows } = await this.database.pool.query(
      `SELECT 1 FROM revoked_tokens
       WHERE token_id = $1 OR ($1 ~ '^(jti|jws):' AND token_id ~ '^sha256:' AND expires_at = to_timestamp($2))`,
      [id, expiresAt],
    );
    return rows.length > 0;
  }

  /** Forgets proofs and revocations whose token or window is over: they can never count again. */
  @OnJob('access.forget', { everyMs: FORGET_MS })
  async forget(): Promise<void> {
    await this.database.pool.query('DELETE FROM dpop_proofs WHERE expires_at < now()');
    // A minute more: token times are checked by each process's own clock.
    await this.database.pool.query(
      `DELETE FROM revoked_tokens WHERE expires_at < now() - interval '1 minute'`,
    );
    await this.database.pool.query(
      `DELETE FROM admin_tokens WHERE expires_at < now() - interval '1 minute'`,
    );
    await this.database.pool.query(
      `DELETE FROM admin_sign_ins WHERE expires_at < now() - interval '1 minute'`,
    );
    await this.database.pool.query('DELETE FROM console_sessions WHERE expires_at < now()');
  }
}
