import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { AccessGuard } from './access.guard.js';
import { JwksController } from './jwks.controller.js';
import { Keys } from './keys.js';
import { Tokens } from './tokens.js';

/** Who is calling: tokens, their keys, and the guard of every route. */
@Module({
  imports: [JwtModule.register({})],
  controllers: [JwksController],
  providers: [Keys, Tokens, { provide: APP_GUARD, useClass: AccessGuard }],
  exports: [Keys, Tokens],
})
export class AccessModule {}
