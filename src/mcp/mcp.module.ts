import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { CatalogModule } from '../catalog/catalog.module.js';
import { GrantsModule } from '../grants/grants.module.js';
import { PaymentsModule } from '../payments/payments.module.js';
import { McpController } from './mcp.controller.js';

/** The tools of a grant's holder, for MCP hosts. */
@Module({
  imports: [AccessModule, CatalogModule, GrantsModule, PaymentsModule],
  controllers: [McpController],
})
export class McpModule {}
