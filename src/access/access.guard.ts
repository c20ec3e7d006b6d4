import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { ALLOWED, type AllowedCaller, PUBLIC } from './allow.js';
import type { AuthenticatedRequest, Caller } from './caller.js';
import { invalidToken, Tokens } from './tokens.js';

/**
 * Establishes who is calling, before anything else happens. The token only names a grant; that the
 * grant exists and the token is not a replaced one is asked of the database, every time.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: Tokens,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean>(PUBLIC, targets)) return true;
    if (this.config.role === 'worker') {
      throw new Problem('not_found', 'this process is a worker; ask one whose BURSAR_ROLE is api');
    }
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const caller = await this.identify(request.headers.authorization);
    const allowed = this.reflector.getAllAndOverride<AllowedCaller[]>(ALLOWED, targets) ?? [];
    if (!allowed.includes(caller.kind === 'holder' ? 'holder' : caller.role)) {
      throw new Problem(
        'forbidden',
        caller.kind === 'holder'
          ? 'grant holders may not do this; it takes an admin'
          : `role ${caller.role} may not do this; it takes one of: ${allowed.join(', ')}`,
      );
    }
    request.caller = caller;
    return true;
  }

  private async identify(authorization: string | undefined): Promise<Caller> {
    const token = /^Bearer ([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw invalidToken();
    const { kind, identity } = await this.tokens.verify(token);
    if (kind === 'admin') return { kind, ...identity, actor: `admin:${identity.name}` };
    const { grantId, treasuryId, generation } = identity;
    const { rows } = await this.database.pool.query<{ token_generation: number }>(
      'SELECT token_generation FROM grants WHERE treasury_id = $1 AND id = $2',
      [treasuryId, grantId],
    );
    if (rows[0]?.token_generation !== generation) throw invalidToken();
    return {
      kind: 'holder',
      treasuryId,
      grantId,
      tokenGeneration: generation,
      actor: `grant:${grantId}`,
    };
  }
}
