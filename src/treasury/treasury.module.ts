import { Module } from '@nestjs/common';
import { OutboxModule } from '../outbox/outbox.module.js';
import { Currencies } from './currencies.js';
import { GasFundsReader } from './gas-funds.js';
import { LowTreasuries } from './low-treasuries.js';
import { Networks } from './networks.js';
import { TreasuryController } from './treasury.controller.js';
import { TreasurySettings } from './treasury-settings.js';
import { Wallets } from './wallets.js';

/** Networks, their tokens, and the wallets that pay. */
@Module({
  imports: [OutboxModule],
  controllers: [TreasuryController],
  providers: [Currencies, Networks, Wallets, GasFundsReader, TreasurySettings, LowTreasuries],
  exports: [Networks, Wallets, GasFundsReader],
})
export class TreasuryModule {}
