import { Module } from '@nestjs/common';
import { HttpModule } from '../http/http.module.js';
import { LedgerModule } from '../ledger/ledger.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { HealthController } from './health.controller.js';
import { HealthService } from './health.service.js';
import { Metrics } from './metrics.js';
import { SummaryController } from './summary.controller.js';
import { SummaryService } from './summary.service.js';

/** Whether the service is well. */
@Module({
  imports: [HttpModule, LedgerModule, OutboxModule, TreasuryModule],
  providers: [HealthService, SummaryService, Metrics],
  controllers: [HealthController, SummaryController],
})
export class OpsModule {}
