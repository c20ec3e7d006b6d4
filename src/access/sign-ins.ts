import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { appendServiceEvent } from '../ledger/service-events.js';
import type { AdminIdentity } from './tokens.js';

/** How many tokens a process remembers to have told of. */
const CAPACITY = 10_000;

/** Tells the log of every admin token's first use: who came in, with which role. */
@Injectable()
export class SignIns {
  /** Told of already, by whichever process. */
  readonly #told = new Set<string>();

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
    if (this.#told.has(token.id)) return;
    await this.database.transaction(async (tx) => {
      const { rowCount } = await tx.query(
        `INSERT INTO admin_sign_ins (token_id, expires_at) VALUES ($1, to_timestamp($2))
         ON CONFLICT DO NOTHING`,
        [token.id, token.expiresAt],
      );
      if (rowCount !== 1) return;
      await appendServiceEvent(tx, {
        kind: 'admin.signed_in',
        actor: `admin:${name}`,
        data: { role, treasuries: treasuries ?? null },
      });
    }, 'all');
    if (this.#told.size >= CAPACITY) this.#told.clear();
    this.#told.add(token.id);
  }
}
