import { Module } from '@nestjs/common';
import { GrantsModule } from '../grants/grants.module.js';
import { PaymentsModule } from '../payments/payments.module.js';
import { ApprovalLinksController } from './approval-links.controller.js';
import { ApprovalLinks } from './approval-links.service.js';

/** Links by which one person decides about one payment or raise, without a token at hand. */
@Module({
  imports: [GrantsModule, PaymentsModule],
  controllers: [ApprovalLinksController],
  providers: [ApprovalLinks],
  exports: [ApprovalLinks],
})
export class ApprovalLinksModule {}
