import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { OauthController } from './oauth.controller.js';
import { OauthService } from './oauth.service.js';

/** Tokens for other programs' OAuth libraries: introspection, revocation, metadata. */
@Module({
  imports: [AccessModule, OutboxModule, TreasuryModule],
  controllers: [OauthController],
  providers: [OauthService],
})
export class OauthModule {}
