import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { requestCancellations } from '../ledger/cancellations.js';
import { databaseNow, lockChain } from '../ledger/grant-rows.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { GasAccount } from '../treasury/gas-account.js';
import { canCancel, describeLack, GasFundsReader } from '../treasury/gas-funds.js';
import { PaymentList } from './payment-list.service.js';

/** Requests of cancellations: the chain is asked to take a signature back. */
@Injectable()
export class CancelService {
  constructor(
    private readonly payments: PaymentList,
    private readonly database: Database,
    private readonly gas: GasAccount,
    private readonly gasFunds: GasFundsReader,
    private readonly notifier: Notifier,
    @Inject(CONFIG) private readonly config: Pick<Config, 'cancellationsPerDay'>,
  ) {}

  /**
   * Asks for the cancellation of a signed payment that has not settled.
   *
   * @throws Problem `not_found`, `invalid_transition` when there is nothing to take back, `gas_exceeded`, and
   *   `unavailable` without a gas account.
   */
  async request(caller: Caller, id: string, requestId: string, reason: string | undefined) {
    // A holder sees the payments of its own grant and those below: those it may also cancel.
    const before = await this.payments.visible(caller, id);
    if (before.status !== 'authorized') {
      throw new Problem(
        'invalid_transition',
        `payment ${id} is ${before.status}, not open to cancel`,
      );
    }
    if (before.amount === 0n) {
      throw new Problem(
        'invalid_transition',
        `payment ${id} is of 0, so there is nothing to take back; its signature runs out`,
      );
    }
    await this.refuseWithoutGas(id, before.network);
    const { treasuryId, grantId } = before;
    await this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, grantId);
      refuseReplaced(caller, chain);
      await requestCancellations(tx, await databaseNow(tx), {
        treasuryId,
        of: { paymentId: id },
        bounds:
          caller.kind === 'admin'
            ? undefined
            : { rootId: chain[0]?.id ?? grantId, ...this.config.cancellationsPerDay },
        actor: caller.actor,
        requestId,
        reason,
      });
    });
    this.notifier.eventsWritten(treasuryId);
    return this.payments.get(caller, id);
  }

  /**
   * Says at once that nothing can be sent, instead of leaving a request that waits for funds. An RPC that does not
   * answer refuses nothing: the worker asks again.
   *
   * @throws Problem `unavailable` without a gas account, `invalid_transition` with an empty one.
   */
  private async refuseWithoutGas(id: string, network: string): Promise<void> {
    const { address } = this.gas;
    if (address === undefined) {
      throw new Problem(
        'unavailable',
        'there is no gas account to cancel with; set BURSAR_GAS_KEY',
      );
    }
    const funds = await this.gasFunds.on(network);
    if (!funds || canCancel(funds)) return;
    throw new Problem(
      'invalid_transition',
      `payment ${id} cannot be cancelled: ${describeLack(funds)}`,
      { nextAction: 'ask' },
    );
  }
}
