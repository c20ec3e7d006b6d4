import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput, text } from '../http/contract.js';
import { requestCancellations } from '../ledger/cancellations.js';
import { databaseNow, lockChain } from '../ledger/grant-rows.js';
import { Outbox } from '../outbox/outbox.js';
import { GasAccount } from '../treasury/gas-account.js';
import { paymentSchema } from './payments.dto.js';
import { PaymentsService } from './payments.service.js';

const cancelSchema = z.strictObject({ reason: text(1, 1000).optional() });

/** `POST /v1/payments/:id/cancel`: asking the chain to take a signature back. */
@ApiTags('payments')
@Controller('v1/payments')
export class CancelController {
  constructor(
    private readonly payments: PaymentsService,
    private readonly database: Database,
    private readonly gas: GasAccount,
    private readonly outbox: Outbox,
  ) {}

  @Post(':id/cancel')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Answers(
    202,
    z.object({ payment: paymentSchema }),
    'Asked for. It ends cancelled, or settled if the transfer is faster, once that is final',
  )
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(cancelSchema) body: z.infer<typeof cancelSchema>,
    @RequestId() requestId: string,
  ) {
    // A holder sees the payments of its own grant and those below: those it may also cancel.
    const before = await this.payments.visible(caller, id);
    if (before.status !== 'authorized') {
      throw new Problem(
        'invalid_transition',
        `payment ${id} is ${before.status}, not open to cancel`,
      );
    }
    if (this.gas.address === undefined) {
      throw new Problem(
        'unavailable',
        'there is no gas account to cancel with; set BURSAR_GAS_KEY',
      );
    }
    const { treasuryId, grantId } = before;
    await this.database.transaction(async (tx) => {
      await lockChain(tx, treasuryId, grantId);
      await requestCancellations(tx, await databaseNow(tx), {
        treasuryId,
        of: { paymentId: id },
        actor: caller.actor,
        requestId,
        reason: body.reason,
      });
    });
    this.outbox.eventsWritten(treasuryId);
    return { payment: await this.payments.get(caller, id) };
  }
}
