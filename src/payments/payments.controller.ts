import { Controller, Get, Headers, HttpCode, Post, Res } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Allow, LedgerChecksToken, TakesLane } from '../access/allow.js';
import { type Caller, CurrentCaller, type HolderCaller, RequestId } from '../access/caller.js';
import { Problem, type ProblemCode } from '../domain/problem.js';
import {
  Answers,
  AnswersOneOf,
  BodyInput,
  IdInput,
  Operation,
  QueryInput,
  RawBody,
} from '../http/contract.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { ApprovalsService } from './approvals.service.js';
import { AdmittedPlace, type Place } from './door.js';
import { PaymentList } from './payment-list.service.js';
import {
  changedPaymentSchema,
  handedOutSchema,
  type ListQuery,
  listSchema,
  type PayBody,
  paidSchema,
  paymentPageSchema,
  paymentSchema,
  paySchema,
  pendingSchema,
  quoteSchema,
  type ReceiptBody,
  receiptSchema,
  type VerdictBody,
  verdictSchema,
} from './payments.dto.js';
import { APPROVAL_POLL_SECONDS, PaymentsService } from './payments.service.js';
import { QuoteService } from './quote.service.js';
import { ReceiptsService } from './receipts.service.js';

/** Error codes of `POST /v1/payments`, beside those that every route can answer. */
const PAYMENT_FAILS: ProblemCode[] = [
  'budget_exceeded',
  'per_payment_exceeded',
  'window_exceeded',
  'payments_exceeded',
  'payee_not_allowed',
  'network_not_allowed',
  'resource_not_allowed',
  'grant_revoked',
  'grant_suspended',
  'treasury_suspended',
  'grant_expired',
  'grant_not_started',
  'max_amount_exceeded',
  'idempotency_mismatch',
  'payment_ended',
  'payment_expiring',
  'requirements_invalid',
  'scheme_not_supported',
  'asset_not_supported',
  'network_not_supported',
  'treasury_insufficient',
];

/** `/v1/payments`: paying, and what became of payments. */
@ApiTags('Payments')
@Controller('v1/payments')
export class PaymentsController {
  constructor(
    private readonly payments: PaymentsService,
    private readonly paymentList: PaymentList,
    private readonly approvals: ApprovalsService,
    private readonly quotes: QuoteService,
    private readonly receipts: ReceiptsService,
  ) {}

  @Post()
  @Allow('holder')
  @LedgerChecksToken()
  @TakesLane('payments')
  @ApiHeader({
    name: 'Idempotency-Key',
    required: true,
    schema: { type: 'string', minLength: 1, maxLength: 255, example: 'market-scan-page-7' },
    description:
      '1 to 255 characters. One key is one purchase: keep it over retries and restarts, and take a new one only ' +
      'for another purchase or when nextAction is new_key',
  })
  @Operation('createPayment', 'Pay for one request', PAYMENT_FAILS)
  @AnswersOneOf({
    201: [paidSchema, 'Reserved and signed: retry the request with this header'],
    202: [
      pendingSchema,
      'It waits for an approval. Ask again with the same key, after the seconds in Retry-After: once approved, that ' +
        'call decides again, signs and answers 201',
    ],
  })
  async pay(
    @CurrentCaller() caller: Caller,
    @RawBody(paySchema) body: unknown,
    @Headers('idempotency-key') key: string | undefined,
    @RequestId() requestId: string,
    @AdmittedPlace() place: Place | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { status, replayed, answer } = await this.payments.pay(
      holder(caller),
      body,
      parseIdempotencyKey(key),
      requestId,
      place,
    );
    void reply.status(status);
    if (replayed) void reply.header('idempotent-replayed', 'true');
    if (status === 202) void reply.header('retry-after', String(APPROVAL_POLL_SECONDS));
    return answer;
  }

  @Post('quote')
  @HttpCode(200)
  @Allow('holder')
  @TakesLane('reads')
  @Operation('quotePayment', 'Quote a payment', [
    'requirements_invalid',
    'scheme_not_supported',
    'asset_not_supported',
    'network_not_supported',
  ])
  @Answers(200, quoteSchema, 'What a payment would cost and meet now; changes nothing')
  quote(@CurrentCaller() caller: Caller, @BodyInput(paySchema) body: PayBody) {
    return this.quotes.quote(holder(caller), body);
  }

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listPayments', 'List payments')
  @Answers(200, paymentPageSchema, 'The payments the caller may see, oldest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(listSchema) query: ListQuery) {
    return this.paymentList.list(caller, query);
  }

  @Get(':id')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getPayment', 'Read a payment')
  @Answers(200, paymentSchema, 'One payment')
  get(@CurrentCaller() caller: Caller, @IdInput('pay') id: string) {
    return this.receipts.paymentWithReceipts(caller, id);
  }

  @Get(':id/header')
  @Allow('holder')
  @TakesLane('work')
  @Operation('getPaymentHeader', "Collect a payment's header again", [
    'grant_revoked',
    'grant_suspended',
    'treasury_suspended',
    'payment_ended',
    'payment_expiring',
    'invalid_transition',
  ])
  @Answers(200, handedOutSchema, 'The header of an open or settled payment, for its own holder')
  header(@CurrentCaller() caller: Caller, @IdInput('pay') id: string) {
    return this.payments.header(holder(caller), id);
  }

  @Post(':id/approve')
  @HttpCode(200)
  @Allow('admin', 'approver', 'holder')
  @Operation('approvePayment', 'Approve a waiting payment', [
    'invalid_transition',
    'grant_revoked',
    'grant_suspended',
    'grant_expired',
  ])
  @Answers(
    200,
    changedPaymentSchema,
    'Approved: the agent repeats its request with the same Idempotency-Key, and the payment is decided then',
  )
  approve(
    @CurrentCaller() caller: Caller,
    @IdInput('pay') id: string,
    @BodyInput(verdictSchema) body: VerdictBody,
    @RequestId() requestId: string,
  ) {
    return this.approvals.approve(caller, id, body, requestId);
  }

  @Post(':id/reject')
  @HttpCode(200)
  @Allow('admin', 'approver', 'holder')
  @Operation('rejectPayment', 'Reject a waiting payment', ['invalid_transition'])
  @Answers(
    200,
    changedPaymentSchema,
    'Rejected for good, also after an approval that was not collected',
  )
  reject(
    @CurrentCaller() caller: Caller,
    @IdInput('pay') id: string,
    @BodyInput(verdictSchema) body: VerdictBody,
    @RequestId() requestId: string,
  ) {
    return this.approvals.reject(caller, id, body, requestId);
  }

  @Post(':id/receipt')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Operation('addReceipt', "Hand in a seller's receipt", ['invalid_transition'])
  @Answers(
    202,
    changedPaymentSchema,
    'Kept as evidence, and the blockchain is asked at once. The answer shows the payment before that',
  )
  async receipt(
    @CurrentCaller() caller: Caller,
    @IdInput('pay') id: string,
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
