import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { onLane } from '../database/treasury-scope.js';
import type { AuthenticatedRequest, Caller } from './caller.js';

/** A caller whose connection outlives its request. */
export interface StandingCaller {
  readonly caller: Caller;
  readonly token: NonNullable<AuthenticatedRequest['token']>;
}

/** Tells whose token has ended, for answers that last: a stream must not outlive the token that opened it. */
@Injectable()
export class TokenLife {
  constructor(private readonly database: Database) {}

  /** Those whose token has expired, was replaced, or was revoked. Two queries, however many are asked for. */
  async ended<Standing extends StandingCaller>(all: readonly Standing[]): Promise<Standing[]> {
    const now = Date.now() / 1_000;
    const live = all.filter(({ token }) => token.expiresAt > now);
    const [generations, revoked] = await onLane('work', () =>
      Promise.all([this.generations(live), this.revoked(live)]),
    );
    const alive = new Set(
      live.filter(({ caller, token }) =>
        caller.kind === 'holder'
          ? generations.get(caller.grantId) === caller.tokenGeneration
          : !revoked.has(token.id),
      ),
    );
    return all.filter((each) => !alive.has(each));
  }

  private async generations(all: readonly StandingCaller[]): Promise<Map<string, number>> {
    const ids = all.flatMap(({ caller }) => (caller.kind === 'holder' ? [caller.grantId] : []));
    if (ids.length === 0) return new Map();
    const { rows } = await this.database.pool.query<{ id: string; token_generation: number }>(
      'SELECT id, token_generation FROM grants WHERE id = ANY ($1::text[])',
      [[...new Set(ids)]],
    );
    return new Map(rows.map(({ id, token_generation }) => [id, token_generation]));
  }

  private async revoked(all: readonly StandingCaller[]): Promise<Set<string>> {
    const tokens = all.filter(({ caller }) => caller.kind === 'admin').map(({ token }) => token);
    if (tokens.length === 0) return new Set();
    // The same rule as of `Revocations.isRevoked`.
    const { rows } = await this.database.pool.query<{ id: string }>(
      `SELECT DISTINCT k.id FROM unnest($1::text[], $2::bigint[]) AS k (id, ends) WHERE EXISTS (
         SELECT 1 FROM revoked_tokens r WHERE r.token_id = k.id OR
           (k.id ~ '^(jti|jws):' AND r.token_id ~ '^sha256:' AND r.expires_at = to_timestamp(k.ends)))`,
      [tokens.map(({ id }) => id), tokens.map(({ expiresAt }) => Math.floor(expiresAt))],
    );
    return new Set(rows.map(({ id }) => id));
  }
}
