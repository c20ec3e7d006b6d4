import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { CarveOuts } from './carve-outs.js';
import { GrantTokens } from './grant-tokens.js';
import { GrantsController } from './grants.controller.js';
import { GrantsService } from './grants.service.js';
import { LifeService } from './life.service.js';
import { MintingService } from './minting.service.js';

/** Minting, delegating, showing and ending grants. */
@Module({
  imports: [AccessModule, TreasuryModule, OutboxModule],
  controllers: [GrantsController],
  providers: [GrantsService, MintingService, LifeService, CarveOuts, GrantTokens],
})
export class GrantsModule {}
