import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AccessModule } from './access/access.module.js';
import { AuditModule } from './audit/audit.module.js';
import { CONFIG, type Config } from './config.js';
import { Database } from './database/database.js';
import { GrantsModule } from './grants/grants.module.js';
import { ProblemFilter } from './http/problem.filter.js';
import { LedgerModule } from './ledger/ledger.module.js';
import { OauthModule } from './oauth/oauth.module.js';
import { OpsModule } from './ops/ops.module.js';
import { OutboxModule } from './outbox/outbox.module.js';
import { PaymentsModule } from './payments/payments.module.js';
import { SettlementModule } from './settlement/settlement.module.js';
import { TreasuryModule } from './treasury/treasury.module.js';

/** What every room may ask for: the configuration, and the one database of the process. */
@Module({})
class CoreModule {}

/** The service: one module a room. */
@Module({})
export class AppModule {
  /** Builds the service over an open database; whoever opened it closes it. */
  static of(config: Config, database: Database): DynamicModule {
    return {
      module: AppModule,
      imports: [
        {
          module: CoreModule,
          global: true,
          providers: [
            { provide: CONFIG, useValue: config },
            { provide: Database, useValue: database },
          ],
          exports: [CONFIG, Database],
        },
        AccessModule,
        TreasuryModule,
        LedgerModule,
        OutboxModule,
        GrantsModule,
        PaymentsModule,
        SettlementModule,
        AuditModule,
        OauthModule,
        OpsModule,
      ],
      providers: [{ provide: APP_FILTER, useClass: ProblemFilter }],
    };
  }
}
