import { hkdfSync } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { Redis } from 'ioredis';
import { CONFIG, type Config, RATE_WINDOW_MS } from '../config.js';
import { RateLimits } from '../http/rate-limits.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { AccessGuard } from './access.guard.js';
import { JwksController } from './jwks.controller.js';
import { Keys } from './keys.js';
import { Oidc } from './oidc.js';
import { Revocations } from './revocations.js';
import { SignIns } from './sign-ins.js';
import { Tokens } from './tokens.js';

/** Who is calling, and how often: tokens, their keys, and the guard of every route. */
@Module({
  imports: [JwtModule.register({}), OutboxModule],
  controllers: [JwksController],
  providers: [
    Keys,
    Tokens,
    Oidc,
    Revocations,
    SignIns,
    { provide: RateLimits, inject: [CONFIG], useFactory: rateLimits },
    { provide: APP_GUARD, useClass: AccessGuard },
  ],
  exports: [Keys, Tokens, Oidc, Revocations, RateLimits],
})
export class AccessModule {}

function rateLimits({ rateLimits: limits, redisUrl, masterSecret }: Config): RateLimits {
  if (redisUrl === undefined) return new RateLimits({ limits, windowMs: RATE_WINDOW_MS });
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: 1_000,
  });
  // The queues on the same Redis complain already; here nothing is lost but exactness.
  redis.on('error', () => {});
  // Only replicas of one service may add up, and they share the master secret.
  const service = Buffer.from(
    hkdfSync('sha256', masterSecret ?? '', '', 'bursar/rate-limits', 12),
  ).toString('hex');
  const shared = { redis, prefix: `bursar:limits:${service}` };
  return new RateLimits({ limits, windowMs: RATE_WINDOW_MS, shared });
}
