import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { createRemoteJWKSet, decodeJwt, errors, jwtVerify } from 'jose';
import { z } from 'zod';
import { CONFIG, type Config, type OidcConfig } from '../config.js';
import { Problem } from '../domain/problem.js';
import { ADMIN_ROLES, type AdminRole } from './caller.js';
import { type AdminIdentity, invalidToken } from './tokens.js';

/** How long the provider may take to answer, in milliseconds. */
const TIMEOUT_MS = 5_000;

/** How soon an unknown key id may have the key set fetched again, in milliseconds. */
const FETCH_AGAIN_MS = 5_000;

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

/** What an access or ID token's `typ` may say (RFC 9068, section 2.1; OpenID Connect says nothing). */
const TYPES: readonly (string | undefined)[] = [undefined, 'JWT', 'at+jwt', 'application/at+jwt'];

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

const claimsSchema = z.looseObject({
  sub: z.string().regex(/^[\x21-\x7e]{1,255}$/),
  exp: z.number(),
  iat: z.number().optional(),
});

/** An admin who signed in at the provider. */
export interface OidcToken {
  /** What a revocation of this token is noted under. */
  readonly tokenId: string;
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
  #keys: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;

  constructor(@Inject(CONFIG) config: Config) {
    this.#config = config.oidc;
    if (config.masterSecret === undefined) throw new Error('no master secret was resolved');
    this.#salt = Buffer.from(hkdfSync('sha256', config.masterSecret, '', 'bursar/people', 32));
  }

  /** Whether a token says that the provider issued it; nothing of it is believed yet. */
  claims(token: string): boolean {
    if (this.#config === undefined) return false;
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
    if (config === undefined) throw invalidToken();
    const claims = await this.verified(token, config);
    const role = roleOf(valueAt(claims, config.roleClaim));
    if (role === undefined) {
      throw new Problem(
        'forbidden',
        `your sign-in names no role here: claim ${config.roleClaim} must hold one of: ${ADMIN_ROLES.join(', ')}`,
      );
    }
    return {
      tokenId: `sha256:${createHash('sha256').update(token).digest('base64url')}`,
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

  private async verified(token: string, config: OidcConfig): Promise<z.infer<typeof claimsSchema>> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, await this.keys(config), {
        issuer: config.issuer,
        audience: config.audience,
        algorithms: ALGORITHMS,
      });
      const claims = claimsSchema.safeParse(payload);
      // One that is bound to a key is no bearer token, and an admin here sends no proof.
      if (claims.success && TYPES.includes(protectedHeader.typ) && claims.data.cnf === undefined) {
        return claims.data;
      }
    } catch (error) {
      if (isProviderTrouble(error)) {
        throw new Problem('unavailable', 'the identity provider does not answer; try again', {
          retryAfterSeconds: 5,
        });
      }
    }
    throw invalidToken();
  }

  /** The provider's keys: found once by its own document, and refetched by jose when one is unknown. */
  private keys(config: OidcConfig): Promise<ReturnType<typeof createRemoteJWKSet>> {
    this.#keys ??= discover(config.issuer).catch((error: unknown) => {
      this.#keys = undefined;
      throw error;
    });
    return this.#keys;
  }
}

async function discover(issuer: string): Promise<ReturnType<typeof createRemoteJWKSet>> {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'error',
  });
  if (!response.ok) throw new Error(`the identity provider answered ${response.status}`);
  const document = discoverySchema.parse(await response.json());
  // Section 4.3: a document that speaks for another issuer would hand us another's keys.
  if (document.issuer !== issuer) throw new Error('the identity provider names another issuer');
  return createRemoteJWKSet(new URL(document.jwks_uri), {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: FETCH_AGAIN_MS,
  });
}

/** Whether the keys could not be had, rather than the token not hold. */
function isProviderTrouble(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  return error.code === 'ERR_JWKS_TIMEOUT' || error.code === 'ERR_JOSE_GENERIC';
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
