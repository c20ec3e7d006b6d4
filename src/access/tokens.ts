import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { JwtService, TokenExpiredError } from '@nestjs/jwt';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { CONFIG, type Config } from '../config/config.js';
import type { Problem } from '../domain/problem.js';
import { ADMIN_ROLES, type AdminRole } from './caller.js';
import { isCompactJws, signingInputOf } from './compact-jws.js';
import {
  expiredAdminToken,
  expiredGrantToken,
  invalidToken,
  TOKEN_FAULTS,
  unsaidFault,
} from './invalid-token.js';
import { Keys } from './keys.js';

/** `typ` and `aud` of each kind of token: one kind is never taken for the other (RFC 8725, 3.11). */
const KINDS = {
  grant: { typ: 'grant+jwt', audience: 'bursar:grants' },
  admin: { typ: 'admin+jwt', audience: 'bursar:admins' },
} as const;

/**
 * How long a token may outlive its grant, in seconds. The token only identifies: a holder whose grant
 * has ended can still read what became of it, and is told `grant_expired`, not `invalid_token`.
 */
const GRACE_SECONDS = 86_400;

/** How many verified tokens a process remembers; about a kilobyte each. */
const MAX_REMEMBERED = 10_000;

const everyToken = z.object({ jti: z.string(), iat: z.int(), exp: z.int() });

const grantClaims = everyToken.extend({
  sub: z.string(),
  treasury: z.string(),
  generation: z.int(),
  cnf: z.object({ jkt: z.string() }).optional(),
});

const adminClaims = everyToken.extend({
  sub: z.string(),
  role: z.enum(ADMIN_ROLES),
  treasuries: z.array(z.string()).optional(),
});

const headerSchema = z.object({ alg: z.literal('ES256'), typ: z.string(), kid: z.string() });

/** Claims of a grant token: which grant, and of which generation of its tokens. */
export interface GrantIdentity {
  readonly grantId: string;
  readonly treasuryId: string;
  readonly generation: number;
  /** RFC 7638 thumbprint of the key it is bound to (RFC 7800, RFC 9449 section 6.1). */
  readonly jkt?: string | undefined;
}

/** A token as it is handed out. */
export interface MintedToken {
  readonly token: string;
  /** RFC 3339. */
  readonly tokenExpiresAt: string;
}

/** Claims of an admin token. */
export interface AdminIdentity {
  readonly name: string;
  readonly role: AdminRole;
  /** The treasuries it may see and act on; undefined for all. */
  readonly treasuries?: readonly string[] | undefined;
}

/** A token that holds: whom it names, and its own id and times (Unix seconds). */
export type VerifiedToken = {
  readonly kid: string;
  readonly jti: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
} & (
  | { readonly kind: 'grant'; readonly identity: GrantIdentity }
  | { readonly kind: 'admin'; readonly identity: AdminIdentity }
);

/** Mints and verifies the service's tokens: ES256 JWTs (RFC 7519) that identify and carry no limits. */
@Injectable()
export class Tokens {
  /** By signing input, so that other spellings of one token take no room of their own. */
  readonly #verified = new LRUCache<
    string,
    { readonly text: string; readonly token: VerifiedToken }
  >({ max: MAX_REMEMBERED });

  constructor(
    private readonly jwt: JwtService,
    private readonly keys: Keys,
    @Inject(CONFIG) private readonly config: Pick<Config, 'issuer' | 'oidc' | 'tokenTtlSeconds'>,
  ) {}

  /** A token for a grant's holder. It lives `tokenTtlSeconds` at most, so its holder renews it in time. */
  async mintGrantToken(identity: GrantIdentity, grantExpiresAt: Date): Promise<MintedToken> {
    const { grantId, treasuryId, generation, jkt } = identity;
    const expires = Math.min(
      Math.ceil(grantExpiresAt.getTime() / 1000) + GRACE_SECONDS,
      Math.ceil(Date.now() / 1000) + this.config.tokenTtlSeconds,
    );
    const token = await this.mint('grant', {
      sub: grantId,
      treasury: treasuryId,
      generation,
      exp: expires,
      ...(jkt === undefined ? {} : { cnf: { jkt } }),
    });
    return { token, tokenExpiresAt: new Date(expires * 1000).toISOString() };
  }

  /** A token for an admin, living `ttlSeconds`, with the id that `AdminTokens` keeps of it. */
  mintAdminToken(
    { name, role, treasuries }: AdminIdentity,
    ttlSeconds: number,
    id: string,
  ): Promise<string> {
    const expires = Math.floor(Date.now() / 1000) + ttlSeconds;
    return this.mint('admin', {
      sub: name,
      role,
      jti: id,
      exp: expires,
      ...(treasuries === undefined ? {} : { treasuries }),
    });
  }

  /**
   * Verifies a token of either kind: pinned algorithm, known key, and `typ`, `iss` and `aud` of one
   * kind. `jku`, `x5u` and an embedded `jwk` are never looked at.
   *
   * What held once is remembered until it expires or its key is retired. That spares the signature
   * only: the guard or the ledger asks the database every time whether the token was replaced or revoked.
   *
   * @throws Problem `invalid_token`, without saying which check failed to whoever is guessing.
   */
  async verify(token: string): Promise<VerifiedToken> {
    const remembered = this.remembered(token);
    if (remembered) return remembered;
    if (!isCompactJws(token)) throw invalidToken(TOKEN_FAULTS.form);
    const signingInput = signingInputOf(token);
    const verified = await this.check(token);
    this.#verified.set(signingInput, { text: token, token: verified });
    return verified;
  }

  /** The content of a token that held before, and still does. */
  remembered(token: string): VerifiedToken | undefined {
    // The cache does not note the use, which costs more than finding the entry. So the oldest token goes first.
    const known = this.#verified.peek(signingInputOf(token));
    if (known?.text !== token) return undefined;
    const { expiresAt, kid } = known.token;
    return expiresAt > Date.now() / 1000 && this.keys.find(kid) ? known.token : undefined;
  }

  private async check(token: string): Promise<VerifiedToken> {
    const header = headerSchema.safeParse(headerOf(token));
    const key = header.success ? await this.keys.seek(header.data.kid) : undefined;
    if (!header.success || !key) throw this.notOurs(token, header.success);
    const { typ, kid } = header.data;
    if (typ === KINDS.grant.typ) {
      const claims = grantClaims.safeParse(await this.claims(token, key.publicPem, 'grant'));
      if (!claims.success) throw invalidToken(TOKEN_FAULTS.claims);
      const { sub, treasury, generation, cnf, jti, iat, exp } = claims.data;
      const identity = { grantId: sub, treasuryId: treasury, generation, jkt: cnf?.jkt };
      return { kind: 'grant', kid, jti, issuedAt: iat, expiresAt: exp, identity };
    }
    if (typ === KINDS.admin.typ) {
      const claims = adminClaims.safeParse(await this.claims(token, key.publicPem, 'admin'));
      if (!claims.success) throw invalidToken(TOKEN_FAULTS.claims);
      const { sub, role, treasuries, jti, iat, exp } = claims.data;
      const identity = { name: sub, role, treasuries };
      return { kind: 'admin', kid, jti, issuedAt: iat, expiresAt: exp, identity };
    }
    throw invalidToken(TOKEN_FAULTS.header);
  }

  /** A token whose key is not known here: the log says whose it claims to be. */
  private notOurs(token: string, isHeaderWhole: boolean): Problem {
    const { iss } = claimsOf(token);
    if (iss === this.config.issuer) {
      return invalidToken(
        isHeaderWhole ? unsaidFault('its kid is no key of this service') : TOKEN_FAULTS.header,
      );
    }
    const known = [
      `BURSAR_ISSUER (${this.config.issuer})`,
      this.config.oidc && `BURSAR_OIDC_ISSUER (${this.config.oidc.issuer})`,
    ];
    return invalidToken(
      unsaidFault(`its issuer ${shown(iss)} is not ${known.filter(Boolean).join(' or ')}`),
    );
  }

  private mint(kind: keyof typeof KINDS, claims: Record<string, unknown>): Promise<string> {
    const { kid, privatePem } = this.keys.current();
    const { typ, audience } = KINDS[kind];
    return this.jwt.signAsync(
      { jti: randomUUID(), ...claims },
      {
        privateKey: privatePem,
        algorithm: 'ES256',
        issuer: this.config.issuer,
        audience,
        header: { alg: 'ES256', typ, kid },
      },
    );
  }

  private async claims(
    token: string,
    publicKey: string,
    kind: keyof typeof KINDS,
  ): Promise<unknown> {
    try {
      return await this.jwt.verifyAsync(token, {
        publicKey,
        algorithms: ['ES256'],
        issuer: this.config.issuer,
        audience: KINDS[kind].audience,
      });
    } catch (error) {
      // The signature is checked before the claims: whoever holds an expired token may be told so.
      if (error instanceof TokenExpiredError) {
        const { sub, exp = 0 } = claimsOf(token);
        throw invalidToken(
          kind === 'grant' ? expiredGrantToken(String(sub), exp) : expiredAdminToken(exp),
        );
      }
      throw invalidToken(unsaidFault((error as Error).message));
    }
  }
}

/** The token's header, not yet believed; undefined when it is none. */
function headerOf(token: string): unknown {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** The token's claims, not believed; none where it has no such form. */
function claimsOf(token: string): { iss?: string; sub?: string; exp?: number } {
  try {
    return decodeJwt(token);
  } catch {
    return {};
  }
}

/** A claim as the log shows it: whoever made the token chose it. */
function shown(claim: unknown): string {
  return claim === undefined ? '(none)' : JSON.stringify(claim).slice(0, 200);
}
