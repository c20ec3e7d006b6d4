import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { Redis } from 'ioredis';
import { CONFIG, type Config, RATE_WINDOW_MS } from '../config/config.js';
import { RateLimits } from '../http/rate-limits.js';
import { UnreadInputGuard } from '../http/unread-input.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { AccessGuard } from './access.guard.js';
import { AdminTokens } from './admin-tokens.js';
import { JwksController } from './jwks.controller.js';
import { Keys } from './keys.js';
import { MasterSecret } from './master-secret.js';
import { Oidc } from './oidc.js';
import { ProviderLogins } from './provider-logins.js';
import { Revocations } from './revocations.js';
import { Sessions } from './sessions.js';
import { SignIns } from './sign-ins.js';
import { TokenLife } from './token-life.js';
import { Tokens } from './tokens.js';

/** Identifies callers and limits their rate: tokens, their keys, and the guard of every route. */
@Module({
  imports: [JwtModule.register({}), OutboxModule],
  controllers: [JwksController],
  providers: [
    Keys,
    Tokens,
    AdminTokens,
    Oidc,
    ProviderLogins,
    Revocations,
    Sessions,
    SignIns,
    TokenLife,
    AccessGuard,
    { provide: RateLimits, inject: [CONFIG, MasterSecret], useFactory: rateLimits },
    { provide: APP_GUARD, useExisting: AccessGuard },
    // Runs after it: a stranger is told 401 before anything else.
    { provide: APP_GUARD, useClass: UnreadInputGuard },
  ],
  exports: [
    AccessGuard,
    Keys,
    Tokens,
    AdminTokens,
    Oidc,
    ProviderLogins,
    Revocations,
    RateLimits,
    Sessions,
    TokenLife,
  ],
})
export class AccessModule {}

function rateLimits(
  { rateLimits: limits, redisUrl }: Config,
  masterSecret: MasterSecret,
): RateLimits {
  if (redisUrl === undefined) return new RateLimits({ limits, windowMs: RATE_WINDOW_MS });
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: 1_000,
  });
  // The queues on the same Redis complain already; here nothing is lost but exactness.
  redis.on('error', () => {});
  // Only replicas of one service may add up, and they share the master secret.
  const service = masterSecret.derive('rate-limits').toString('hex', 0, 12);
  const shared = { redis, prefix: `bursar:limits:${service}` };
  return new RateLimits({ limits, windowMs: RATE_WINDOW_MS, shared });
}
