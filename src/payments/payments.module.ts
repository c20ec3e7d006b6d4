import { Module } from '@nestjs/common';
import { LedgerModule } from '../ledger/ledger.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { ApprovalsService } from './approvals.service.js';
import { CancelController } from './cancel.controller.js';
import { PaymentsController } from './payments.controller.js';
import { PaymentsService } from './payments.service.js';
import { QuoteService } from './quote.service.js';
import { ReceiptsService } from './receipts.service.js';

/** From a seller's requirements to the header to retry with. */
@Module({
  imports: [LedgerModule, TreasuryModule, OutboxModule],
  controllers: [PaymentsController, CancelController],
  providers: [PaymentsService, QuoteService, ApprovalsService, ReceiptsService],
})
export class PaymentsModule {}
