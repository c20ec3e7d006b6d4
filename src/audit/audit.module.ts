import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { AuditController } from './audit.controller.js';
import { AuditService } from './audit.service.js';
import { EventFeed } from './event-feed.js';
import { LogKeys } from './log-keys.js';
import { Sealer } from './sealer.js';
import { Witnesses } from './witnesses.js';

/** The audit log: sealing events, reading and exporting them. */
@Module({
  imports: [OutboxModule, TreasuryModule],
  controllers: [AuditController],
  providers: [AuditService, EventFeed, LogKeys, Sealer, Witnesses],
  exports: [EventFeed],
})
export class AuditModule {}
