import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { GrantsController } from './grants.controller.js';
import { GrantsService } from './grants.service.js';

/** Minting, delegating, showing and ending grants. */
@Module({
  imports: [AccessModule, TreasuryModule, OutboxModule],
  controllers: [GrantsController],
  providers: [GrantsService],
})
export class GrantsModule {}
