import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { ReportsController } from './reports.controller.js';
import { ReportsService } from './reports.service.js';
import { SpendFold } from './spend-fold.js';

/** Reports of spend: sums that a worker folds from the log, and what is not folded yet. */
@Module({
  imports: [OutboxModule],
  controllers: [ReportsController],
  providers: [ReportsService, SpendFold],
})
export class ReportsModule {}
