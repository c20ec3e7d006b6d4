import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { ChainReader } from './chain-reader.js';
import { SettlementService } from './settlement.service.js';

@Module({
  imports: [OutboxModule, TreasuryModule],
  providers: [ChainReader, SettlementService],
})
export class SettlementModule {}
