import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { appendServiceEvent } from '../ledger/service-events.js';
import type { AdminRole } from './caller.js';
import { type AdminIdentity, Tokens } from './tokens.js';

/** An admin token that works, as far as this service knows of it. */
export interface AdminTokenView {
  readonly name: string;
  readonly role: AdminRole;
  /** The ids of the treasuries it is for; empty for all. */
  readonly treasuries: readonly string[];
  readonly expiresAt: Date;
  /** Within a minute; null if it was never used. */
  readonly lastUsedAt: Date | null;
}

/** The admin tokens of this service: minted with a record, so that they can be listed and revoked without the token. */
@Injectable()
export class AdminTokens {
  constructor(
    private readonly database: Database,
    private readonly tokens: Tokens,
  ) {}

  /**
   * Mints a token. Its record is written first: a token that is not recorded is never shown.
   *
   * @param actor - who asked for it, for the log; undefined writes no event.
   */
  async mint(identity: AdminIdentity, ttlSeconds: number, actor?: string): Promise<string> {
    const { name, role, treasuries } = identity;
    const id = randomUUID();
    await this.database.transaction(async (tx) => {
      await tx.query(
        `INSERT INTO admin_tokens (token_id, name, role, treasuries, expires_at)
         VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')`,
        [id, name, role, treasuries ?? [], ttlSeconds],
      );
      if (actor === undefined) return;
      const data = { name, role, ttlSeconds, treasuries: treasuries ? [...treasuries] : null };
      await appendServiceEvent(tx, { kind: 'admin.token_minted', actor, data });
    }, 'all');
    return this.tokens.mintAdminToken(identity, ttlSeconds, id);
  }

  /** The tokens that work: neither expired nor revoked. The next to expire comes first. */
  async list(): Promise<AdminTokenView[]> {
    const { rows } = await this.database.pool.query<AdminTokenView>(
      `SELECT name, role, treasuries, expires_at AS "expiresAt", last_used_at AS "lastUsedAt"
       FROM admin_tokens t WHERE expires_at > now()
         AND NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.token_id = t.token_id)
       ORDER BY expires_at, token_id`,
    );
    return rows;
  }

  /**
   * Ends all tokens of a name that work, with an event for each.
   *
   * @returns how many those were.
   */
  async revoke(name: string, actor: string): Promise<number> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<{ tokenId: string; role: AdminRole; expiresAt: Date }>(
        `WITH ended AS (
           INSERT INTO revoked_tokens (token_id, revoked_by, expires_at)
           SELECT token_id, $2, to_timestamp(ceil(extract(epoch FROM expires_at))) FROM admin_tokens
           WHERE name = $1 AND expires_at > now()
           ON CONFLICT DO NOTHING RETURNING token_id, expires_at)
         SELECT t.token_id AS "tokenId", t.role, e.expires_at AS "expiresAt"
         FROM ended e JOIN admin_tokens t ON t.token_id = e.token_id`,
        [name, actor],
      );
      for (const { tokenId, role, expiresAt } of rows) {
        const data = { name, role, tokenId, expiresAt: expiresAt.getTime() / 1_000 };
        await appendServiceEvent(tx, { kind: 'admin.token_revoked', actor, data });
      }
      return rows.length;
    }, 'all');
  }
}
