import { Module } from '@nestjs/common';
import { CONFIG } from '../config.js';
import { Currencies } from './currencies.js';
import { GasAccount } from './gas-account.js';
import { Networks } from './networks.js';
import { SIGNER } from './signer.js';
import { signerOf } from './signer-of.js';
import { TreasuryController } from './treasury.controller.js';
import { Wallets } from './wallets.js';

/** Networks, their tokens, and the wallets that pay. */
@Module({
  controllers: [TreasuryController],
  providers: [
    Currencies,
    Networks,
    Wallets,
    GasAccount,
    { provide: SIGNER, inject: [CONFIG], useFactory: signerOf },
  ],
  exports: [Networks, Wallets, GasAccount],
})
export class TreasuryModule {}
