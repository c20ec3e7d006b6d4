import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { Draining } from './draining.js';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { SummaryController } from './summary.controller.js';

/** Whether the service is well. */
@Module({
  imports: [OutboxModule, TreasuryModule],
  providers: [Draining],
  controllers: [HealthController, MetricsController, SummaryController],
})
export class OpsModule {}
