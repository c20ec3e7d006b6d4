import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { CatalogModule } from '../catalog/catalog.module.js';
import { LedgerModule } from '../ledger/ledger.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { ApprovalsService } from './approvals.service.js';
import { CancelController } from './cancel.controller.js';
import { CancelService } from './cancel.service.js';
import { PaymentDoor } from './door.js';
import { PaymentList } from './payment-list.service.js';
import { PaymentsController } from './payments.controller.js';
import { PaymentsService } from './payments.service.js';
import { QuoteService } from './quote.service.js';
import { ReceiptsService } from './receipts.service.js';

/** From a seller's requirements to the header to retry with. */
@Module({
  imports: [AccessModule, CatalogModule, LedgerModule, TreasuryModule, OutboxModule],
  controllers: [PaymentsController, CancelController],
  providers: [
    CancelService,
    PaymentDoor,
    PaymentList,
    PaymentsService,
    QuoteService,
    ApprovalsService,
    ReceiptsService,
  ],
  exports: [ApprovalsService, PaymentList, PaymentsService, QuoteService],
})
export class PaymentsModule {}
