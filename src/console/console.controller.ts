import { Controller, Delete, Get, HttpCode, Inject, Logger, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { AccessGuard } from '../access/access.guard.js';
import { Allow, Public } from '../access/allow.js';
import { type AuthenticatedRequest, type Caller, CurrentCaller } from '../access/caller.js';
import { LOGIN_SECONDS, ProviderLogins } from '../access/provider-logins.js';
import { Sessions } from '../access/sessions.js';
import { CONFIG, type Config } from '../config/config.js';
import { Problem } from '../domain/problem.js';
import { BodyInput } from '../http/contract.js';
import { publicUrlOf } from '../http/public-url.js';

/** The longest token that a sign-in takes; one of the service has about 500 characters. */
const MAX_TOKEN_CHARACTERS = 8_192;

const signInSchema = z.strictObject({ token: z.string().min(1).max(MAX_TOKEN_CHARACTERS) });
type SignIn = z.infer<typeof signInSchema>;

const loginSchema = z.strictObject({
  again: z.boolean().default(false).describe('the provider asks the person, signed in or not'),
  place: z
    .string()
    .max(512)
    .regex(/^\/(?!\/)[\x21-\x7e]*$/, 'must be a path of the console')
    .default('/')
    .describe('the page to come back to'),
});

/** Path that the provider leads back to. */
const CALLBACK_PATH = '/console/session/callback';

/**
 * `/console/session`: a person shows a token once, and the browser keeps a cookie that its scripts cannot read. No part of
 * the contract: only the console uses it.
 */
@ApiExcludeController()
@Controller('console/session')
export class ConsoleController {
  readonly #log = new Logger('access');

  constructor(
    private readonly guard: AccessGuard,
    private readonly sessions: Sessions,
    private readonly logins: ProviderLogins,
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'consoleIdleSeconds' | 'publicUrl' | 'twoPerson'>,
  ) {}

  /** The ways to sign in, beside a token. */
  @Get('ways')
  @Public()
  ways() {
    return { provider: this.logins.isOn };
  }

  /** Begins a login at the identity provider. */
  @Post('login')
  @HttpCode(200)
  @Public()
  async login(
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @BodyInput(loginSchema) { again, place }: z.infer<typeof loginSchema>,
  ) {
    // Or a page elsewhere could begin a login that the attacker ends.
    this.sessions.requireSameOrigin(request);
    const base = publicUrlOf(this.config, request);
    if (base === undefined) {
      throw new Problem('unavailable', 'set BURSAR_PUBLIC_URL, which the provider leads back to');
    }
    const { url, sealed } = await this.logins.begin(base + CALLBACK_PATH, {
      place,
      isAgain: again,
    });
    void reply.header('set-cookie', this.sessions.loginCookie(sealed, LOGIN_SECONDS));
    return { url };
  }

  /** Ends a login: the provider's page leads here. Whatever happens, the person sees the console. */
  @Get('callback')
  @Public()
  async callback(@Req() request: AuthenticatedRequest, @Res() reply: FastifyReply): Promise<void> {
    const cookies = [this.sessions.loginCookie('', 0)];
    let to = '/console/';
    try {
      const query = request.url.slice(request.url.indexOf('?'));
      const {
        tokens,
        authenticatedAt = 0,
        place,
      } = await this.logins.finish(query, this.sessions.loginOf(request) ?? '');
      const token = await this.accepted(tokens, request, reply);
      const { exp = 0 } = decodeJwt(token);
      cookies.push(await this.sessions.open(token, exp, authenticatedAt));
      to = `/console${place}`;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#log.warn(`a login of the console failed: ${error.detail}`);
      // A code and no text: whoever makes a link to the console must not have it say something.
      to += `?login=${error.code}`;
    }
    void reply.header('set-cookie', cookies).header('cache-control', 'no-store').redirect(to, 303);
  }

  /** The first token that identifies somebody here. @throws Problem as the last one is refused. */
  private async accepted(
    tokens: readonly string[],
    request: AuthenticatedRequest,
    reply: FastifyReply,
  ): Promise<string> {
    let refusal = new Problem('forbidden', 'the provider gave no token');
    for (const token of tokens) {
      try {
        await this.guard.identify(`Bearer ${token}`, request, reply, false);
        return token;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        refusal = error;
      }
    }
    throw refusal;
  }

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
