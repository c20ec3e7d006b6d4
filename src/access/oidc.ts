import { createHash, createHmac } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { decodeJwt, errors, jwtVerify } from 'jose';
import { z } from 'zod';
import { CONFIG, type Config, type OidcConfig } from '../config/config.js';
import { Problem } from '../domain/problem.js';
import { ADMIN_ROLES, type AdminRole } from './caller.js';
import { isCompactJws, signingInputOf } from './compact-jws.js';
import {
  expiredSignIn,
  invalidToken,
  TOKEN_FAULTS,
  type TokenFault,
  unsaidFault,
} from './invalid-token.js';
import { MasterSecret } from './master-secret.js';
import { ProviderKeys, ProviderUnavailable } from './provider-keys.js';
import type { AdminIdentity } from './tokens.js';

/** Asymmetric ones only: with a shared secret, whoever verifies could sign. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'EdDSA',
];

/** Accepted `typ` of an access or ID token (RFC 9068, section 2.1; OpenID Connect says nothing). */
const TYPES: readonly (string | undefined)[] = [undefined, 'JWT', 'at+jwt', 'application/at+jwt'];

/** The latest time a claim may name, in Unix seconds (the year 5138): Postgres must be able to store it. */
const MAX_TIME = 1e11;

const claimsSchema = z.looseObject({
  sub: z.string().regex(/^[\x21-\x7e]{1,255}$/),
  exp: z.number().max(MAX_TIME),
  iat: z.number().max(MAX_TIME).optional(),
  jti: z.string().min(1).max(1_024).optional(),
});

/** An admin who signed in at the provider. */
export interface OidcToken {
  /** The token's identity in every spelling: a hash of its issuer and `jti`, or of its signing input. */
  readonly id: string;
  readonly issuedAt: number | undefined;
  readonly expiresAt: number;
  readonly identity: AdminIdentity;
}

/**
 * Sign-in for humans: tokens of one OpenID provider, whose keys come from its own JWK set (OpenID
 * Connect Discovery 1.0, RFC 7517). The role and the treasuries are read from claims that the
 * configuration names.
 */
@Injectable()
export class Oidc {
  readonly #config: OidcConfig | undefined;
  readonly #salt: Buffer;
  readonly #keys: ProviderKeys | undefined;

  constructor(@Inject(CONFIG) config: Pick<Config, 'oidc'>, masterSecret: MasterSecret) {
    this.#config = config.oidc;
    this.#keys = config.oidc && new ProviderKeys(config.oidc.issuer);
    this.#salt = masterSecret.derive('people');
  }

  /** Whether a token is in canonical form and says that the provider issued it; nothing of it is believed yet. */
  claims(token: string): boolean {
    if (this.#config === undefined || !isCompactJws(token)) return false;
    try {
      return decodeJwt(token).iss === this.#config.issuer;
    } catch {
      return false;
    }
  }

  /**
   * Verifies a token of the provider.
   *
   * @throws Problem `invalid_token`; `forbidden` when it holds but names no role or treasury here;
   *   `unavailable` when the provider's keys cannot be had.
   */
  async verify(token: string): Promise<OidcToken> {
    const config = this.#config;
    const keys = this.#keys;
    if (config === undefined || keys === undefined) throw invalidToken(TOKEN_FAULTS.form);
    const claims = await this.verified(token, config, keys);
    const role = roleOf(valueAt(claims, config.roleClaim));
    if (role === undefined) {
      throw new Problem(
        'forbidden',
        `your sign-in names no role here: claim ${config.roleClaim} must hold one of: ${ADMIN_ROLES.join(', ')}`,
      );
    }
    return {
      id: idOf(token, claims.jti, config.issuer),
      issuedAt: claims.iat,
      expiresAt: claims.exp,
      identity: { name: this.nameOf(claims.sub), role, treasuries: treasuriesOf(claims, config) },
    };
  }

  /**
   * How somebody who signed in is named here, and in the log: a commitment to issuer and subject, salted
   * with a secret of the service. The log must not tell who a person is to whoever reads it; whoever has
   * the secret can show it (`bursar actor SUBJECT`).
   */
  nameOf(subject: string): string {
    const who = `${this.#config?.issuer ?? ''}\n${subject}`;
    return `oidc:${createHmac('sha256', this.#salt).update(who).digest('base64url').slice(0, 22)}`;
  }

  private async verified(
    token: string,
    config: OidcConfig,
    keys: ProviderKeys,
  ): Promise<z.infer<typeof claimsSchema>> {
    let fault: TokenFault;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
        issuer: config.issuer,
        audience: config.audience,
        algorithms: ALGORITHMS,
      });
      const claims = claimsSchema.safeParse(payload);
      // One that is bound to a key is no bearer token, and an admin here sends no proof.
      if (claims.success && TYPES.includes(protectedHeader.typ) && claims.data.cnf === undefined) {
        return claims.data;
      }
      fault = unsaidFault(
        claims.success
          ? 'it is not a bearer token: its typ is of another kind, or it is bound to a key (cnf)'
          : `it lacks a claim: ${claims.error.issues[0]?.path.join('.')}`,
      );
    } catch (error) {
      if (error instanceof ProviderUnavailable) {
        throw new Problem('unavailable', 'the identity provider does not answer; try again', {
          retryAfterSeconds: 5,
        });
      }
      fault = faultOf(error, token, config);
    }
    throw invalidToken(fault);
  }
}

/** Log text for a token that jose refuses: the claim at fault with what is expected of it. */
function faultOf(error: unknown, token: string, { audience }: OidcConfig): TokenFault {
  // The signature is checked before the claims.
  if (error instanceof errors.JWTExpired) return expiredSignIn(error.payload.exp);
  const { message } = error as Error;
  if (!(error instanceof errors.JWTClaimValidationFailed) || error.claim !== 'aud')
    return unsaidFault(message);
  const { aud } = decodeJwt(token);
  return unsaidFault(
    `its aud is ${JSON.stringify(aud ?? null).slice(0, 200)}, and BURSAR_OIDC_AUDIENCE is ${JSON.stringify(audience)}`,
  );
}

/** Nothing of an id may be of the token's holder's choosing, or a revocation could be evaded. */
function idOf(token: string, jti: string | undefined, issuer: string): string {
  const [kind, identity] =
    jti === undefined ? ['jws', signingInputOf(token)] : ['jti', JSON.stringify([issuer, jti])];
  return `${kind}:${createHash('sha256').update(identity).digest('base64url')}`;
}

/** The strongest role a claim names: a text, or a list that may hold other applications' roles too. */
function roleOf(claim: unknown): AdminRole | undefined {
  const named = Array.isArray(claim) ? claim : [claim];
  return ADMIN_ROLES.find((role) => named.includes(role));
}

/** @throws Problem `forbidden` when the claim is configured and names none. */
function treasuriesOf(claims: object, { treasuriesClaim }: OidcConfig): string[] | undefined {
  if (treasuriesClaim === undefined) return undefined;
  const value = valueAt(claims, treasuriesClaim);
  const named = (Array.isArray(value) ? value : [value]).filter(
    (id): id is string => typeof id === 'string' && /^trs_[0-9a-z]{26}$/.test(id),
  );
  if (named.length === 0) {
    throw new Problem(
      'forbidden',
      `your sign-in names no treasury here: claim ${treasuriesClaim} must list ids of treasuries`,
    );
  }
  return named;
}

/** A claim by its name, or by a path with dots: some providers put URLs there, others objects. */
function valueAt(claims: object, path: string): unknown {
  const own = (value: unknown, name: string): unknown =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, name)
      ? (value as Record<string, unknown>)[name]
      : undefined;
  return own(claims, path) ?? path.split('.').reduce(own, claims as unknown);
}
