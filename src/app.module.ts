import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AccessModule } from './access/access.module.js';
import { ApprovalLinksModule } from './approval-links/approval-links.module.js';
import { AuditModule } from './audit/audit.module.js';
import { CatalogModule } from './catalog/catalog.module.js';
import { CONFIG, type ServiceConfig } from './config/config.js';
import { ConsoleModule } from './console/console.module.js';
import { CoreModule, type ServiceSecrets } from './core.module.js';
import type { Database } from './database/database.js';
import { EventsModule } from './events/events.module.js';
import { GatewayModule } from './gateway/gateway.module.js';
import { GrantsModule } from './grants/grants.module.js';
import { ProblemFilter } from './http/problem.filter.js';
import { LedgerModule } from './ledger/ledger.module.js';
import { McpModule } from './mcp/mcp.module.js';
import { OauthModule } from './oauth/oauth.module.js';
import { OpsModule } from './ops/ops.module.js';
import { OutboxModule } from './outbox/outbox.module.js';
import { PaymentsModule } from './payments/payments.module.js';
import { ReportsModule } from './reports/reports.module.js';
import { SettlementModule } from './settlement/settlement.module.js';
import { TracingModule } from './tracing/tracing.module.js';
import { TreasuryModule } from './treasury/treasury.module.js';

/** The service: one module a room. */
@Module({})
export class AppModule {
  /** Builds the service over an open database; whoever opened it closes it. */
  static of(config: ServiceConfig, database: Database, secrets: ServiceSecrets): DynamicModule {
    return {
      module: AppModule,
      imports: [
        CoreModule.of(config, database, secrets),
        TracingModule,
        AccessModule,
        TreasuryModule,
        LedgerModule,
        OutboxModule,
        GrantsModule,
        PaymentsModule,
        ApprovalLinksModule,
        SettlementModule,
        AuditModule,
        EventsModule,
        CatalogModule,
        ReportsModule,
        GatewayModule,
        OauthModule,
        McpModule,
        ConsoleModule,
        OpsModule,
      ],
      providers: [
        {
          provide: APP_FILTER,
          inject: [CONFIG],
          useFactory: (own: ServiceConfig) => new ProblemFilter(own),
        },
      ],
    };
  }
}
