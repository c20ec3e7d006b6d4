import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { DEFAULT_CURRENCY } from '../domain/money.js';
import { Answers, idText, Operation, QueryInput } from '../http/contract.js';
import { QUEUES } from '../outbox/jobs.js';
import { SummaryService } from './summary.service.js';

const amount = z.string().describe('currency units');

const summarySchema = z
  .object({
    treasuryId: z.string(),
    currency: z.string(),
    exposure: z
      .object({
        payments: z.int(),
        amount,
        lastValidBefore: z.iso.datetime().nullable(),
      })
      .describe('signed and unsettled: what may still be spent whatever is decided now'),
    spent: amount.describe('settled for good'),
    funds: z
      .object({ balance: amount, reserved: amount, free: amount })
      .describe(
        'of all wallets but retired ones, in tokens of the currency; what draining ones hold, or ones with code, is not free',
      ),
    grants: z.object({
      active: z.int(),
      suspended: z.int(),
      revoked: z.int(),
      expired: z.int(),
      not_started: z.int(),
    }),
    cancelling: z.int().describe('open payments whose cancellation was asked for'),
    queues: z
      .record(
        z.enum(QUEUES),
        z.object({ waiting: z.int(), active: z.int(), delayed: z.int(), failed: z.int() }),
      )
      .nullable()
      .describe('of the whole service; null when the queues do not answer'),
    networks: z
      .record(z.string(), z.string())
      .describe('of the whole service: ready, or why a network is not'),
  })
  .meta({ id: 'Summary' });

const summaryQuery = z.strictObject({
  treasuryId: idText('trs').optional(),
  currency: z.string().max(16).default(DEFAULT_CURRENCY.code),
});

/** `/v1/summary`: how a treasury stands, in one look. */
@ApiTags('Operations')
@Controller('v1/summary')
export class SummaryController {
  constructor(private readonly summaries: SummaryService) {}

  @Get()
  @Allow('admin', 'approver', 'auditor')
  @Operation('getSummary', 'Read the totals of a treasury', ['not_found'])
  @Answers(200, summarySchema, 'Totals of a treasury; of the main one, unless another is named')
  async summary(
    @CurrentCaller() caller: Caller,
    @QueryInput(summaryQuery) query: z.infer<typeof summaryQuery>,
  ) {
    return this.summaries.read(caller, query);
  }
}
