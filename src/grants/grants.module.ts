import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { AmendingService } from './amending.service.js';
import { BulkController } from './bulk.controller.js';
import { BulkService } from './bulk.service.js';
import { CarveOuts } from './carve-outs.js';
import { GrantTokens } from './grant-tokens.js';
import { GrantsController } from './grants.controller.js';
import { GrantsService } from './grants.service.js';
import { LifeService } from './life.service.js';
import { MintingService } from './minting.service.js';
import { ReplayService } from './replay.service.js';
import { RequestsController } from './requests.controller.js';
import { RequestsService } from './requests.service.js';
import { RevocationService } from './revocation.service.js';

/** Minting, delegating, showing and ending grants. */
@Module({
  imports: [AccessModule, TreasuryModule, OutboxModule],
  controllers: [BulkController, GrantsController, RequestsController],
  providers: [
    GrantsService,
    MintingService,
    AmendingService,
    RequestsService,
    LifeService,
    RevocationService,
    ReplayService,
    BulkService,
    CarveOuts,
    GrantTokens,
  ],
  exports: [GrantsService, MintingService, LifeService, RequestsService],
})
export class GrantsModule {}
