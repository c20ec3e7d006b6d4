import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { HealthController } from './health.controller.js';

/** Whether the service is well. */
@Module({ imports: [OutboxModule, TreasuryModule], controllers: [HealthController] })
export class OpsModule {}
