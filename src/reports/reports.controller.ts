import { Controller, Get, Req, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { Answers, AnswersAlsoText, Operation, QueryInput } from '../http/contract.js';
import {
  type RefusalsQuery,
  refusalsQuery,
  refusalsReportSchema,
  type SpendQuery,
  spendQuery,
  spendReportSchema,
} from './reports.dto.js';
import { ReportsService } from './reports.service.js';

/** `/v1/reports`: who spent what, and what was refused. */
@ApiTags('Reports')
@Controller('v1/reports')
export class ReportsController {
  constructor(private readonly reports: ReportsService) {}

  @Get('spend')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getSpendReport', 'Report who spent what')
  @AnswersAlsoText(
    spendReportSchema,
    'text/csv',
    'The sums of each group; with Accept: text/csv all groups as CSV for spreadsheets',
  )
  async spend(
    @CurrentCaller() caller: Caller,
    @QueryInput(spendQuery) query: SpendQuery,
    @Req() { headers }: FastifyRequest,
  ) {
    if (!/\btext\/csv\b/i.test(headers.accept ?? '')) return this.reports.spend(caller, query);
    const csv = await this.reports.spendCsv(caller, query);
    return new StreamableFile(Buffer.from(csv), { type: 'text/csv; charset=utf-8' });
  }

  @Get('refusals')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getRefusalsReport', 'Count refused payments by their code')
  @Answers(200, refusalsReportSchema, 'The counts of each code')
  refusals(@CurrentCaller() caller: Caller, @QueryInput(refusalsQuery) query: RefusalsQuery) {
    return this.reports.refusals(caller, query);
  }
}
