import { Module } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Approvals } from './approvals.js';
import { Ledger } from './ledger.js';

/** The ledger itself knows nothing of Nest; this is its one door into it. */
@Module({
  providers: [
    {
      provide: Ledger,
      inject: [Database, CONFIG],
      useFactory: (database: Database, { batches, bounds }: Config) =>
        new Ledger(database, batches, bounds),
    },
    {
      provide: Approvals,
      inject: [Database],
      useFactory: (database: Database) => new Approvals(database),
    },
  ],
  exports: [Ledger, Approvals],
})
export class LedgerModule {}
