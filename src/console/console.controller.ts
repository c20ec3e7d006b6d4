import { Controller, Delete, Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { AccessGuard } from '../access/access.guard.js';
import { Allow, Public } from '../access/allow.js';
import { type AuthenticatedRequest, type Caller, CurrentCaller } from '../access/caller.js';
import { Sessions } from '../access/sessions.js';
import { CONFIG, type Config } from '../config/config.js';
import { Problem } from '../domain/problem.js';
import { BodyInput } from '../http/contract.js';

/** The longest token that a sign-in takes; one of the service has about 500 characters. */
const MAX_TOKEN_CHARACTERS = 8_192;

const signInSchema = z.strictObject({ token: z.string().min(1).max(MAX_TOKEN_CHARACTERS) });
type SignIn = z.infer<typeof signInSchema>;

/**
 * `/console/session`: a person shows a token once, and the browser keeps a cookie that its scripts cannot read. No part of
 * the contract: only the console uses it.
 */
@ApiExcludeController()
@Controller('console/session')
export class ConsoleController {
  constructor(
    private readonly guard: AccessGuard,
    private readonly sessions: Sessions,
    @Inject(CONFIG) private readonly config: Pick<Config, 'consoleIdleSeconds' | 'twoPerson'>,
  ) {}

  @Post()
  @Public()
  async open(
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @BodyInput(signInSchema) { token }: SignIn,
  ) {
    // Or a page elsewhere could sign somebody in as the attacker.
    this.sessions.requireSameOrigin(request);
    const caller = await this.guard.identify(`Bearer ${token}`, request, reply, false);
    const { exp = 0 } = decodeJwt(token);
    void reply.header('set-cookie', await this.sessions.open(token, exp));
    return { session: this.view(caller) };
  }

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  current(@CurrentCaller() caller: Caller, @Req() { session }: AuthenticatedRequest) {
    return {
      session: {
        ...this.view(caller),
        expiresAt: session?.expiresAt.toISOString(),
        confirmedUntil: session?.confirmedUntil.toISOString(),
      },
    };
  }

  /** Takes the session's token, or another one of the same caller, as a confirmation. */
  @Post('confirm')
  @HttpCode(200)
  @Allow('admin', 'approver', 'auditor', 'holder')
  async confirm(
    @CurrentCaller() caller: Caller,
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @BodyInput(signInSchema) { token }: SignIn,
  ) {
    const shown = await this.guard.identify(`Bearer ${token}`, request, reply, false);
    if (shown.actor !== caller.actor) {
      throw new Problem('forbidden', `this token is not of ${caller.actor}; show one that is`);
    }
    if (request.session) await this.sessions.confirm(request.session);
    return { session: this.view(caller) };
  }

  /** Works without a session as well: whoever signs out must not meet an error. */
  @Delete()
  @HttpCode(200)
  @Public()
  async close(
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    this.sessions.requireSameOrigin(request);
    void reply.header('set-cookie', await this.sessions.close(await this.sessions.of(request)));
    return {};
  }

  private view(caller: Caller) {
    const { consoleIdleSeconds: idleSeconds, twoPerson } = this.config;
    return caller.kind === 'holder'
      ? { role: 'holder', actor: caller.actor, grantId: caller.grantId, idleSeconds, twoPerson }
      : { role: caller.role, actor: caller.actor, grantId: null, idleSeconds, twoPerson };
  }
}
