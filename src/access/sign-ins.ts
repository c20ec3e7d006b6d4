import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Database } from '../database/database.js';
import { appendServiceEvent } from '../ledger/service-events.js';
import type { AdminIdentity } from './tokens.js';

/** How many tokens a process remembers to have told of. */
const CAPACITY = 10_000;

/** How often the time of a token's use is written, in milliseconds. */
const LAST_USED_MS = 60_000;

/** A token from elsewhere has no row. */
const USED = 'UPDATE admin_tokens SET last_used_at = now() WHERE token_id = $1';

/** Tells the log of every admin token's first use: who came in, with which role. Keeps when it was used last. */
@Injectable()
export class SignIns {
  /** Sign-ins that the log knows already, by whichever process; and when its use was written here, by this process's clock. */
  readonly #told = new LRUCache<string, number>({ max: CAPACITY });

  constructor(private readonly database: Database) {}

  /**
   * Notes that a token was used, with its event where it is the first time. If the event cannot be
   * written, nobody comes in.
   *
   * @param expiresAt - Unix seconds: until then the token is remembered.
   */
  async note(
    token: { readonly id: string; readonly expiresAt: number },
    { name, role, treasuries }: AdminIdentity,
  ): Promise<void> {
    const written = this.#told.get(token.id);
    if (written !== undefined && performance.now() - written < LAST_USED_MS) return;
    if (written !== undefined) {
      this.#told.set(token.id, performance.now());
      await this.database.pool.query(USED, [token.id]);
      return;
    }
    await this.database.transaction(async (tx) => {
      const { rowCount } = await tx.query(
        `INSERT INTO admin_sign_ins (token_id, expires_at) VALUES ($1, to_timestamp($2))
         ON CONFLICT DO NOTHING`,
        [token.id, token.expiresAt],
      );
      await tx.query(USED, [token.id]);
      if (rowCount !== 1) return;
      await appendServiceEvent(tx, {
        kind: 'admin.signed_in',
        actor: `admin:${name}`,
        data: { role, treasuries: treasuries ?? null },
      });
    }, 'all');
    this.#told.set(token.id, performance.now());
  }
}
