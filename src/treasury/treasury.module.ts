import { Module } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Networks } from './networks.js';
import { MnemonicSigner, SIGNER } from './signer.js';
import { TreasuryController } from './treasury.controller.js';
import { Wallets } from './wallets.js';

/** Networks, their tokens, and the wallets that pay. */
@Module({
  controllers: [TreasuryController],
  providers: [
    Networks,
    Wallets,
    {
      provide: SIGNER,
      inject: [CONFIG],
      useFactory: ({ walletMnemonic, walletCount }: Config) => {
        if (walletMnemonic === undefined) throw new Error('no wallet mnemonic was resolved');
        return new MnemonicSigner(walletMnemonic, walletCount);
      },
    },
  ],
  exports: [Networks, Wallets, SIGNER],
})
export class TreasuryModule {}
