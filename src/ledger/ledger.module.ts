import { Module } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Ledger } from './ledger.js';

/** The ledger itself knows nothing of Nest; this is its one door into it. */
@Module({
  providers: [
    {
      provide: Ledger,
      inject: [Database],
      useFactory: (database: Database) => new Ledger(database),
    },
  ],
  exports: [Ledger],
})
export class LedgerModule {}
