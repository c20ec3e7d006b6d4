import { Controller, Get, Headers, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiHeader, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Allow, LedgerChecksToken } from '../access/allow.js';
import { type Caller, CurrentCaller, type HolderCaller, RequestId } from '../access/caller.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput, jsonSchema, QueryInput, RawBody } from '../http/contract.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { pageOf } from '../http/paging.js';
import { ApprovalsService } from './approvals.service.js';
import {
  decidedSchema,
  handedOutSchema,
  type ListQuery,
  listSchema,
  type PayBody,
  paidSchema,
  paymentSchema,
  paySchema,
  pendingSchema,
  quoteSchema,
  type ReceiptBody,
  receiptSchema,
  type VerdictBody,
  verdictSchema,
} from './payments.dto.js';
import { PaymentsService } from './payments.service.js';
import { QuoteService } from './quote.service.js';
import { ReceiptsService } from './receipts.service.js';

/** How soon an agent should look whether its payment was approved, in seconds. */
const APPROVAL_POLL_SECONDS = 5;

/** `/v1/payments`: paying, and what became of payments. */
@ApiTags('payments')
@Controller('v1/payments')
export class PaymentsController {
  constructor(
    private readonly payments: PaymentsService,
    private readonly approvals: ApprovalsService,
    private readonly quotes: QuoteService,
    private readonly receipts: ReceiptsService,
  ) {}

  @Post()
  @Allow('holder')
  @LedgerChecksToken()
  @ApiHeader({
    name: 'Idempotency-Key',
    required: true,
    description:
      '1 to 255 characters. One key is one purchase: keep it over retries and restarts, and take a new one only ' +
      'for another purchase or when nextAction is new_key',
  })
  @Answers(201, paidSchema, 'Reserved and signed: retry the request with this header')
  @ApiResponse({
    status: 202,
    description:
      'It waits for an approval. Ask again with the same key, after the seconds in Retry-After: once approved, that ' +
      'call decides again, signs and answers 201',
    schema: jsonSchema(pendingSchema, 'output'),
  })
  async pay(
    @CurrentCaller() caller: Caller,
    @RawBody(paySchema) body: unknown,
    @Headers('idempotency-key') key: string | undefined,
    @RequestId() requestId: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { status, replayed, answer } = await this.payments.pay(
      holder(caller),
      body,
      parseIdempotencyKey(key),
      requestId,
    );
    void reply.status(status);
    if (replayed) void reply.header('idempotent-replayed', 'true');
    if (status === 202) void reply.header('retry-after', String(APPROVAL_POLL_SECONDS));
    return answer;
  }

  @Post('quote')
  @HttpCode(200)
  @Allow('holder')
  @Answers(200, quoteSchema, 'What a payment would cost and meet now; changes nothing')
  quote(@CurrentCaller() caller: Caller, @BodyInput(paySchema) body: PayBody) {
    return this.quotes.quote(holder(caller), body);
  }

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Answers(200, pageOf(paymentSchema), 'The payments the caller may see, oldest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(listSchema) query: ListQuery) {
    return this.payments.list(caller, query);
  }

  @Get(':id')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Answers(200, paymentSchema, 'One payment')
  get(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.receipts.paymentWithReceipts(caller, id);
  }

  @Get(':id/header')
  @Allow('holder')
  @Answers(200, handedOutSchema, 'The header of an open or settled payment, for its own holder')
  header(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.payments.header(holder(caller), id);
  }

  @Post(':id/approve')
  @HttpCode(200)
  @Allow('admin', 'approver', 'holder')
  @Answers(200, decidedSchema, 'Permitted: the agent asks again with its key, and is decided then')
  approve(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(verdictSchema) body: VerdictBody,
    @RequestId() requestId: string,
  ) {
    return this.approvals.approve(caller, id, body, requestId);
  }

  @Post(':id/reject')
  @HttpCode(200)
  @Allow('admin', 'approver', 'holder')
  @Answers(200, decidedSchema, 'Rejected for good, also after an approval that was not collected')
  reject(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(verdictSchema) body: VerdictBody,
    @RequestId() requestId: string,
  ) {
    return this.approvals.reject(caller, id, body, requestId);
  }

  @Post(':id/receipt')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Answers(
    202,
    decidedSchema,
    'Kept as evidence; the chain is asked at once. The payment as it is known until then',
  )
  async receipt(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(receiptSchema) body: ReceiptBody,
    @RequestId() requestId: string,
  ) {
    return { payment: await this.receipts.handIn(caller, id, body, requestId) };
  }
}

function holder(caller: Caller): HolderCaller {
  if (caller.kind !== 'holder') throw new Problem('forbidden', 'only a grant holder pays');
  return caller;
}
