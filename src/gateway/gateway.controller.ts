import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { Answers, Operation, QueryInput } from '../http/contract.js';
import {
  type ConversionQuery,
  conversionQuery,
  conversionSchema,
  type RevenueQuery,
  revenueQuery,
  revenueSchema,
  type SalesQuery,
  salesQuery,
  salesSchema,
} from './gateway.dto.js';
import { GatewayService } from './gateway.service.js';

/** The books of what gateways sell. */
@ApiTags('Gateway')
@Controller('v1')
export class GatewayController {
  constructor(private readonly gateway: GatewayService) {}

  @Get('gateway/sales')
  @Allow('admin', 'approver', 'auditor')
  @Operation('listSales', 'List what gateways sold, newest first')
  @Answers(200, salesSchema, 'A page of sales')
  sales(@CurrentCaller() caller: Caller, @QueryInput(salesQuery) query: SalesQuery) {
    return this.gateway.sales(caller, query);
  }

  @Get('reports/revenue')
  @Allow('admin', 'approver', 'auditor')
  @Operation('getRevenueReport', 'Report who paid for what')
  @Answers(200, revenueSchema, 'The sums of each group')
  revenue(@CurrentCaller() caller: Caller, @QueryInput(revenueQuery) query: RevenueQuery) {
    return this.gateway.revenue(caller, query);
  }

  @Get('reports/conversion')
  @Allow('admin', 'approver', 'auditor')
  @Operation('getConversionReport', 'Report how many that asked for a price paid it')
  @Answers(200, conversionSchema, 'The counts of each group')
  conversion(@CurrentCaller() caller: Caller, @QueryInput(conversionQuery) query: ConversionQuery) {
    return this.gateway.conversion(caller, query);
  }
}
