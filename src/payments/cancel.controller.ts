import { Controller, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Answers, BodyInput, IdInput, Operation, text } from '../http/contract.js';
import { CancelService } from './cancel.service.js';
import { changedPaymentSchema } from './payments.dto.js';

const cancelSchema = z
  .strictObject({ reason: text(1, 1000).optional() })
  .meta({ id: 'Cancellation', example: { reason: 'the seller is down' } });

/** `POST /v1/payments/:id/cancel`: asking the chain to take a signature back. */
@ApiTags('Payments')
@Controller('v1/payments')
export class CancelController {
  constructor(private readonly cancellations: CancelService) {}

  @Post(':id/cancel')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Operation('cancelPayment', 'Cancel a signed, unsettled payment', [
    'invalid_transition',
    'gas_exceeded',
  ])
  @Answers(
    202,
    changedPaymentSchema,
    'Asked for. It ends cancelled, or settled if the transfer is faster, once that is final',
  )
  async cancel(
    @CurrentCaller() caller: Caller,
    @IdInput('pay') id: string,
    @BodyInput(cancelSchema) body: z.infer<typeof cancelSchema>,
    @RequestId() requestId: string,
  ) {
    return { payment: await this.cancellations.request(caller, id, requestId, body.reason) };
  }
}
