import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import { LRUCache } from 'lru-cache';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { type Lane, seeTreasuries, takeLane } from '../database/treasury-scope.js';
import { Problem } from '../domain/problem.js';
import { rateLimited } from '../http/edge.js';
import { requestedOrigin } from '../http/public-url.js';
import { RateLimits } from '../http/rate-limits.js';
import {
  ALLOWED,
  type AllowedCaller,
  CHECKED_UNDER_LOCK,
  CONFIRMED,
  LANE,
  PUBLIC,
} from './allow.js';
import {
  type AuthenticatedRequest,
  type Caller,
  type HolderCaller,
  treasuriesOf,
} from './caller.js';
import { checkProof, invalidProof, PROOF_WINDOW_SECONDS, ProofNonces } from './dpop.js';
import { invalidToken, TOKEN_FAULTS } from './invalid-token.js';
import { MasterSecret } from './master-secret.js';
import { Oidc } from './oidc.js';
import { Revocations } from './revocations.js';
import { CONSOLE_HEADER, Sessions } from './sessions.js';
import { SignIns } from './sign-ins.js';
import { type AdminIdentity, type GrantIdentity, Tokens } from './tokens.js';

/** RFC 6750 and RFC 9449, section 7.1. */
const AUTHORIZATION = /^(Bearer|DPoP) ([A-Za-z0-9\-._~+/]+=*)$/i;

/** How many grants' roots one process remembers. */
const MAX_ROOTS = 100_000;

/** Rules that the decorators of a route give. */
interface RouteRules {
  readonly isPublic: boolean;
  readonly lane: Lane | undefined;
  readonly isCheckedLater: boolean;
  /** Callers that the route lets in; none where it says none. */
  readonly allowed: readonly AllowedCaller[];
  readonly isConfirmed: boolean;
}

/**
 * Establishes who is calling, before the handler runs. A grant's token only names the grant. On every request the database is
 * asked whether the grant exists and the token was replaced: here, or by the ledger for a bearer token on a route with
 * `@LedgerChecksToken`. A proof is checked here, against the grant's key, and works once. An admin's token names the admin,
 * and is checked for its revocation.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  readonly #nonces: ProofNonces;
  /** By handler: no two controllers share one. */
  readonly #routes = new WeakMap<object, RouteRules>();
  /** Roots of grants that called, which never change; the oldest go when there are too many. */
  readonly #roots = new LRUCache<string, string>({ max: MAX_ROOTS });

  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: Tokens,
    private readonly oidc: Oidc,
    private readonly revocations: Revocations,
    private readonly signIns: SignIns,
    private readonly sessions: Sessions,
    private readonly limits: RateLimits,
    private readonly database: Database,
    masterSecret: MasterSecret,
    @Inject(CONFIG) private readonly config: Pick<Config, 'dpopNonces' | 'publicUrl' | 'role'>,
  ) {
    this.#nonces = new ProofNonces(masterSecret);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const route = this.routeOf(context);
    if (route.isPublic) return true;
    if (this.config.role === 'worker') {
      throw new Problem('not_found', 'this process is a worker; ask one whose BURSAR_ROLE is api');
    }
    if (route.lane !== undefined) takeLane(route.lane);
    const http = context.switchToHttp();
    const request = http.getRequest<AuthenticatedRequest>();
    const authorization = request.headers.authorization ?? (await this.ofSession(request));
    if (authorization === undefined) throw invalidToken(TOKEN_FAULTS.missing);
    const reply = http.getResponse<FastifyReply>();
    const caller = await this.identify(authorization, request, reply, route.isCheckedLater);
    const waitSeconds = this.limits.take('caller', caller.actor, Date.now());
    if (waitSeconds !== undefined) throw rateLimited('caller', waitSeconds);
    if (caller.kind === 'holder') {
      const rootSeconds = this.limits.take('root', await this.rootOf(caller), Date.now());
      if (rootSeconds !== undefined) throw rateLimited('root', rootSeconds);
    }
    const { allowed } = route;
    if (!allowed.includes(caller.kind === 'holder' ? 'holder' : caller.role)) {
      throw new Problem(
        'forbidden',
        caller.kind === 'holder'
          ? 'grant holders may not do this; it takes an admin'
          : `role ${caller.role} may not do this; it takes one of: ${allowed.join(', ')}`,
      );
    }
    if (route.isConfirmed) requireConfirmed(request, reply);
    seeTreasuries(treasuriesOf(caller) ?? 'all');
    request.caller = caller;
    return true;
  }

  /** The rules of a route, as its decorators give them; read once, since they never change. */
  private routeOf(context: ExecutionContext): RouteRules {
    const handler = context.getHandler();
    const known = this.#routes.get(handler);
    if (known) return known;
    const targets = [handler, context.getClass()];
    const says = (key: string) => this.reflector.getAllAndOverride<boolean>(key, targets) === true;
    const route = {
      isPublic: says(PUBLIC),
      lane: this.reflector.get<Lane | undefined>(LANE, handler),
      isCheckedLater: says(CHECKED_UNDER_LOCK),
      allowed: this.reflector.getAllAndOverride<AllowedCaller[]>(ALLOWED, targets) ?? [],
      isConfirmed: says(CONFIRMED),
    };
    this.#routes.set(handler, route);
    return route;
  }

  /** The root of a holder's grant, since all grants of a tree share one rate. */
  private async rootOf({ treasuryId, grantId }: HolderCaller): Promise<string> {
    const known = this.#roots.peek(grantId);
    if (known !== undefined) return known;
    seeTreasuries([treasuryId]);
    const { rows } = await this.database.pool.query<{ root_id: string }>(
      'SELECT root_id FROM grants WHERE treasury_id = $1 AND id = $2',
      [treasuryId, grantId],
    );
    const [found] = rows;
    if (!found) throw invalidToken(TOKEN_FAULTS.gone);
    this.#roots.set(grantId, found.root_id);
    return found.root_id;
  }

  /**
   * Establishes whom a credential names.
   *
   * @param authorization - as the header has it.
   * @param isCheckedLater - whether the ledger looks at the grant of a bearer token.
   */
  async identify(
    authorization: string,
    request: AuthenticatedRequest,
    reply: FastifyReply,
    isCheckedLater: boolean,
  ): Promise<Caller> {
    const [, scheme = '', token] = AUTHORIZATION.exec(authorization) ?? [];
    if (token === undefined) throw invalidToken(TOKEN_FAULTS.scheme);
    const isBearer = scheme.toLowerCase() === 'bearer';
    if (this.oidc.claims(token)) {
      if (!isBearer) throw invalidToken(TOKEN_FAULTS.unbound);
      const { identity, ...signIn } = await this.oidc.verify(token);
      request.token = signIn;
      return this.admin(signIn, identity);
    }
    const verified = await this.tokens.verify(token);
    request.token = { id: verified.jti, expiresAt: verified.expiresAt };
    if (verified.kind === 'admin') {
      if (!isBearer) throw invalidToken(TOKEN_FAULTS.unbound);
      const { jti, expiresAt } = verified;
      return this.admin({ id: jti, expiresAt }, verified.identity);
    }
    // The scheme says whether the token is bound to a key: a bound one is worth nothing by itself, and
    // one that is not gains nothing by a proof.
    const isBound = verified.identity.jkt !== undefined;
    if (isBearer === isBound) throw invalidToken(TOKEN_FAULTS[isBound ? 'bound' : 'unbound']);
    return isBearer
      ? this.bearer(verified.identity, isCheckedLater)
      : this.prover(verified.identity, token, request, reply);
  }

  /** The credential that a session of the console stands for. */
  private async ofSession(request: AuthenticatedRequest): Promise<string | undefined> {
    const session = await this.sessions.of(request);
    if (!session) {
      if (request.headers[CONSOLE_HEADER] === undefined) return undefined;
      throw invalidToken(TOKEN_FAULTS.session);
    }
    request.session = session;
    return `Bearer ${session.token}`;
  }

  private async admin(
    token: { readonly id: string; readonly expiresAt: number },
    identity: AdminIdentity,
  ): Promise<Caller> {
    if (await this.revocations.isRevoked(token)) throw invalidToken(TOKEN_FAULTS.revoked);
    await this.signIns.note(token, identity);
    const { name, role, treasuries } = identity;
    return { kind: 'admin', name, role, treasuries, actor: `admin:${name}` };
  }

  private async bearer(identity: GrantIdentity, isCheckedLater: boolean): Promise<Caller> {
    if (isCheckedLater) return holderOf(identity);
    const { grantId, treasuryId, generation } = identity;
    seeTreasuries([treasuryId]);
    const { rows } = await this.database.pool.query<{ token_generation: number }>(
      `SELECT token_generation FROM grants
       WHERE treasury_id = $1 AND id = $2 AND holder_key_thumbprint IS NULL`,
      [treasuryId, grantId],
    );
    if (rows[0]?.token_generation !== generation) throw replacedOrGone(rows.length);
    return holderOf(identity);
  }

  private async prover(
    identity: GrantIdentity,
    accessToken: string,
    request: AuthenticatedRequest,
    reply: FastifyReply,
  ): Promise<Caller> {
    const { grantId, treasuryId, generation, jkt } = identity;
    if (this.config.dpopNonces) {
      void reply.header('dpop-nonce', this.#nonces.current(Date.now()));
    }
    const { headers, method, url } = request;
    const proof = await checkProof(typeof headers.dpop === 'string' ? headers.dpop : undefined, {
      method,
      url: (this.config.publicUrl ?? requestedOrigin(request)) + url,
      accessToken,
    });
    if (proof.thumbprint !== jkt)
      throw invalidProof('its key is not the one the grant is bound to');
    if (this.config.dpopNonces && !this.#nonces.holds(proof.nonce, Date.now())) {
      void reply.header(
        'www-authenticate',
        'DPoP realm="bursar", error="use_dpop_nonce", error_description="the proof needs the nonce of the DPoP-Nonce header"',
      );
      throw invalidProof('it lacks the nonce that the DPoP-Nonce header of this answer gives');
    }
    // One statement reads the grant, compares the proof's time with the database's, and keeps the proof, so that no
    // replica takes it again.
    seeTreasuries([treasuryId]);
    const { rows } = await this.database.pool.query<{ in_time: boolean; is_new: boolean }>(
      `WITH bound AS (
         SELECT g.treasury_id, abs(extract(epoch FROM clock_timestamp()) - $6::numeric) <= $7 AS in_time
         FROM grants g WHERE g.treasury_id = $1 AND g.id = $2 AND g.token_generation = $3
           AND g.holder_key_thumbprint = $4),
       used AS (
         INSERT INTO dpop_proofs (treasury_id, proof_hash, expires_at)
         SELECT treasury_id, $5, to_timestamp($6::numeric) + 2 * $7 * interval '1 second'
         FROM bound WHERE in_time
         ON CONFLICT DO NOTHING RETURNING 1)
       SELECT in_time, EXISTS (SELECT 1 FROM used) AS is_new FROM bound`,
      [
        treasuryId,
        grantId,
        generation,
        proof.thumbprint,
        proof.proofHash,
        String(proof.issuedAt),
        PROOF_WINDOW_SECONDS,
      ],
    );
    const [found] = rows;
    if (!found) throw invalidToken(TOKEN_FAULTS.replaced);
    if (!found.in_time) {
      throw invalidProof(`iat is more than ${PROOF_WINDOW_SECONDS} s from the time here`);
    }
    if (!found.is_new) throw invalidProof('its jti was used before; make a new proof every time');
    return holderOf(identity);
  }
}

/** RFC 9470, section 3: the 401 that asks a person to show the credential again. */
function requireConfirmed({ session }: AuthenticatedRequest, reply: FastifyReply): void {
  if (session === undefined || session.isConfirmed) return;
  void reply.header(
    'www-authenticate',
    'Bearer realm="bursar", error="insufficient_user_authentication", max_age="300"',
  );
  throw invalidToken(TOKEN_FAULTS.unconfirmed);
}

/** @param found - how many grants without a key have the id that the token names: none or one. */
function replacedOrGone(found: number): Problem {
  return invalidToken(TOKEN_FAULTS[found === 0 ? 'gone' : 'replaced']);
}

function holderOf({ treasuryId, grantId, generation, jkt }: GrantIdentity): Caller {
  return {
    kind: 'holder',
    treasuryId,
    grantId,
    tokenGeneration: generation,
    keyThumbprint: jkt,
    actor: `grant:${grantId}`,
  };
}
