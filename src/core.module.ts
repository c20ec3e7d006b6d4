import { type DynamicModule, Module } from '@nestjs/common';
import { MasterSecret } from './access/master-secret.js';
import { CONFIG, type ServiceConfig } from './config/config.js';
import { Database } from './database/database.js';
import type { Secrets } from './secrets.js';
import { GasAccount } from './treasury/gas-account.js';
import { SIGNER } from './treasury/signer.js';
import { signerOf } from './treasury/signer-of.js';

/** Secrets that a service needs. */
export type ServiceSecrets = Omit<Secrets, 'facilitatorKey'>;

/** Providers that every room may inject: the settings, the one database of the process, and what holds a secret. */
@Module({})
export class CoreModule {
  static of(
    config: ServiceConfig,
    database: Database,
    { masterSecret, walletKeys, gasKey }: ServiceSecrets,
  ): DynamicModule {
    return {
      module: CoreModule,
      global: true,
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: Database, useValue: database },
        { provide: MasterSecret, useValue: masterSecret },
        // The keys themselves are nobody's to inject.
        { provide: SIGNER, useFactory: () => signerOf(walletKeys) },
        { provide: GasAccount, useFactory: () => new GasAccount(gasKey, walletKeys) },
      ],
      exports: [CONFIG, Database, MasterSecret, SIGNER, GasAccount],
    };
  }
}
