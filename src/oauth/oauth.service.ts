import { Inject, Injectable } from '@nestjs/common';
import { type AdminCaller, type Caller, treasuriesOf } from '../access/caller.js';
import { Oidc } from '../access/oidc.js';
import { Revocations } from '../access/revocations.js';
import { type AdminIdentity, Tokens, type VerifiedToken } from '../access/tokens.js';
import { CONFIG, type Config } from '../config/config.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { effectiveStatus, remaining } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { appendEvents } from '../ledger/events.js';
import { replaceToken } from '../ledger/grant-changes.js';
import {
  databaseNow,
  GRANT_COLUMNS,
  type GrantRecord,
  lockChain,
  readGrants,
  toGrantRecord,
} from '../ledger/grant-rows.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { Wallets } from '../treasury/wallets.js';
import type { Introspection } from './oauth.dto.js';

/** All that is said of a token that is not active, or not the caller's to ask about (RFC 7662, 2.2). */
const INACTIVE: Introspection = { active: false };

type GrantToken = Extract<VerifiedToken, { kind: 'grant' }>;

/** An admin's token, of our own or of the identity provider. */
interface AdminToken {
  readonly id: string;
  readonly issuedAt: number | undefined;
  readonly expiresAt: number;
  readonly identity: AdminIdentity;
  readonly isOwn: boolean;
}

/** Tells of tokens, and ends them. */
@Injectable()
export class OauthService {
  constructor(
    private readonly tokens: Tokens,
    private readonly oidc: Oidc,
    private readonly revocations: Revocations,
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly notifier: Notifier,
    @Inject(CONFIG) private readonly config: Pick<Config, 'issuer'>,
  ) {}

  /**
   * Whether a token is active: it holds, was not ended, and its grant and every ancestor are alive. Of
   * tokens beyond the caller's sight it says what it says of garbage.
   */
  async introspect(caller: Caller, token: string): Promise<Introspection> {
    const found = await this.look(token);
    if (found === undefined) return INACTIVE;
    return 'kind' in found ? this.grantToken(caller, found) : this.adminToken(caller, found);
  }

  /**
   * Ends a token: a grant's by its generation, an admin's by its id. Idempotent, and silent about
   * tokens that do not hold or that the caller may not see (RFC 7009, section 2.2).
   *
   * @throws Problem `forbidden` for an approver or auditor who would end another's.
   */
  async revoke(caller: Caller, token: string, requestId: string): Promise<void> {
    const found = await this.look(token);
    if (found === undefined) return;
    if ('kind' in found) return this.endGrantToken(caller, found, requestId);
    if (caller.kind === 'admin') return this.endAdminToken(caller, found, requestId);
  }

  private async look(token: string): Promise<GrantToken | AdminToken | undefined> {
    try {
      if (this.oidc.claims(token)) return { ...(await this.oidc.verify(token)), isOwn: false };
      const verified = await this.tokens.verify(token);
      if (verified.kind === 'grant') return verified;
      const { jti: id, issuedAt, expiresAt, identity } = verified;
      return { id, issuedAt, expiresAt, identity, isOwn: true };
    } catch (error) {
      if (error instanceof Problem && error.code !== 'unavailable') return undefined;
      throw error;
    }
  }

  private async grantToken(caller: Caller, token: GrantToken): Promise<Introspection> {
    const grant = await this.visible(caller, token);
    if (!grant) return INACTIVE;
    const known = await readGrants(this.database.pool, grant.treasuryId, grant.path);
    const chain = grant.path.map((id) => known.get(id)).filter((each) => each !== undefined);
    const now = await databaseNow(this.database.pool);
    if (effectiveStatus(chain, now) !== 'active') return INACTIVE;
    const { jkt } = token.identity;
    return {
      active: true,
      token_type: jkt === undefined ? 'Bearer' : 'DPoP',
      scope: scopeText(grant),
      sub: grant.id,
      username: grant.holder,
      iss: this.config.issuer,
      aud: 'bursar:grants',
      jti: token.jti,
      iat: token.issuedAt,
      exp: token.expiresAt,
      ...(jkt === undefined ? {} : { cnf: { jkt } }),
      remaining: formatAmount(remaining(chain, now), currencyOf(grant.currency)),
      currency: grant.currency,
      treasuryId: grant.treasuryId,
    };
  }

  private async adminToken(caller: Caller, token: AdminToken): Promise<Introspection> {
    if (caller.kind !== 'admin') return INACTIVE;
    if (await this.revocations.isRevoked(token)) return INACTIVE;
    const { name, role } = token.identity;
    return {
      active: true,
      token_type: 'Bearer',
      sub: name,
      ...(token.isOwn ? { iss: this.config.issuer, aud: 'bursar:admins', jti: token.id } : {}),
      ...(token.issuedAt === undefined ? {} : { iat: token.issuedAt }),
      exp: token.expiresAt,
      role,
    };
  }

  private async endGrantToken(caller: Caller, token: GrantToken, requestId: string): Promise<void> {
    const grant = await this.visible(caller, token);
    if (!grant) return;
    if (caller.kind === 'admin' && caller.role !== 'admin') throw mayNotEnd(caller);
    const { treasuryId, id, tokenGeneration } = grant;
    await this.database.transaction(async (tx) => {
      refuseReplaced(caller, await lockChain(tx, treasuryId, id));
      // Guarded by the generation: a fresh token that was issued meanwhile goes on working.
      if (!(await replaceToken(tx, { treasuryId, id, tokenGeneration }))) return;
      await appendEvents(tx, await databaseNow(tx), [
        {
          treasuryId,
          kind: 'grant.token_revoked',
          actor: caller.actor,
          grantId: id,
          requestId,
          data: { generation: tokenGeneration },
        },
      ]);
    });
    this.notifier.eventsWritten(treasuryId);
  }

  private async endAdminToken(
    caller: AdminCaller,
    token: AdminToken,
    requestId: string,
  ): Promise<void> {
    const { name } = token.identity;
    if (caller.role !== 'admin' && caller.name !== name) throw mayNotEnd(caller);
    if (await this.revocations.isRevoked(token)) return;
    if (!(await this.revocations.revoke(token, caller.actor, requestId))) return;
    this.notifier.eventsWritten(await this.wallets.mainTreasuryId());
  }

  /** The grant of a token that still counts, where the caller may see it. */
  private async visible(
    caller: Caller,
    { identity }: GrantToken,
  ): Promise<GrantRecord | undefined> {
    const conditions = new Conditions()
      .add(identity.treasuryId, (n) => `g.treasury_id = ${n}`)
      .add(identity.grantId, (n) => `g.id = ${n}`)
      .add(identity.generation, (n) => `g.token_generation = ${n}`)
      .add(identity.jkt ?? null, (n) => `g.holder_key_thumbprint IS NOT DISTINCT FROM ${n}`)
      .add(treasuriesOf(caller), (n) => `g.treasury_id = ANY (${n}::text[])`)
      .add(caller.kind === 'holder' ? caller.grantId : undefined, (n) => `${n} = ANY (g.path)`);
    const { rows } = await this.database.pool.query(
      `SELECT ${GRANT_COLUMNS} FROM grants g ${conditions.where}`,
      conditions.values,
    );
    return rows[0] && toGrantRecord(rows[0]);
  }
}

/** A grant's scope as RFC 6749, section 3.3 writes scopes: tokens of visible ASCII with spaces between. */
function scopeText({ delegationDepth, scope }: GrantRecord): string {
  const words = [
    'pay',
    ...(delegationDepth > 0 ? ['delegate'] : []),
    ...(scope.networks ?? []).map((network) => `network:${network}`),
    ...(scope.payTo ?? []).map((address) => `payto:${address}`),
    ...(scope.resources ?? []).map((pattern) => `resource:${pattern}`),
  ];
  return words.map((word) => encodeURI(word).replaceAll('%25', '%')).join(' ');
}

function mayNotEnd({ role }: AdminCaller): Problem {
  return new Problem('forbidden', `role ${role} may end its own tokens only; it takes an admin`);
}
