import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Queues } from '../outbox/queues.js';

/** How often what no longer matters is forgotten, in milliseconds. */
const FORGET_MS = 30_000;

/** Admin tokens that were revoked before their end. Grant tokens end by their grant's generation. */
@Injectable()
export class Revocations implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
  ) {}

  onModuleInit(): void {
    this.queues.handle('access.forget', () => this.forget());
    this.queues.schedule('access-forget', 'access.forget', {}, FORGET_MS);
  }

  /** Ends a token. Idempotent. @param expiresAt - Unix seconds: until then it is remembered. */
  async revoke(tokenId: string, expiresAt: number, actor: string): Promise<void> {
    await this.database.pool.query(
      `INSERT INTO revoked_tokens (token_id, revoked_by, expires_at)
       VALUES ($1, $2, to_timestamp($3)) ON CONFLICT DO NOTHING`,
      [tokenId, actor, expiresAt],
    );
  }

  async isRevoked(tokenId: string): Promise<boolean> {
    const { rows } = await this.database.pool.query(
      'SELECT 1 FROM revoked_tokens WHERE token_id = $1',
      [tokenId],
    );
    return rows.length > 0;
  }

  /** Forgets proofs and revocations whose token or window is over: they can never count again. */
  async forget(): Promise<void> {
    await this.database.pool.query('DELETE FROM dpop_proofs WHERE expires_at < now()');
    // A minute more: token times are checked by each process's own clock.
    await this.database.pool.query(
      `DELETE FROM revoked_tokens WHERE expires_at < now() - interval '1 minute'`,
    );
    await this.database.pool.query(
      `DELETE FROM admin_sign_ins WHERE expires_at < now() - interval '1 minute'`,
    );
  }
}
