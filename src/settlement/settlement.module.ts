import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { Canceller } from './canceller.js';
import { ChainReader } from './chain-reader.js';
import { CodeWatch } from './code-watch.js';
import { OutsideSpends } from './outside-spends.js';
import { ReleaseReader } from './releases.js';
import { SettlementService } from './settlement.service.js';

/** Following the chains, and ending reservations as they say. */
@Module({
  imports: [OutboxModule, TreasuryModule],
  providers: [ChainReader, ReleaseReader, OutsideSpends, CodeWatch, SettlementService, Canceller],
})
export class SettlementModule {}
