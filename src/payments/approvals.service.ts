import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config.js';
import { Approvals, type Verdict } from '../ledger/approvals.js';
import { type GrantRecord, refuseReplaced } from '../ledger/grant-rows.js';
import { Outbox } from '../outbox/outbox.js';
import { Queues } from '../outbox/queues.js';
import { viewPayment } from './payment-view.js';
import type { VerdictBody } from './payments.dto.js';
import { PaymentsService, refusal } from './payments.service.js';

/** How often payments that waited too long are looked for, in milliseconds. */
const SWEEP_MS = 1_000;

/** Decides about payments that wait for an approval. */
@Injectable()
export class ApprovalsService implements OnModuleInit {
  readonly #log = new Logger('payments');

  constructor(
    private readonly payments: PaymentsService,
    private readonly approvals: Approvals,
    private readonly queues: Queues,
    private readonly outbox: Outbox,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.queues.handle('payments.lapse', () => this.lapse());
    this.queues.schedule('payments-lapse', 'payments.lapse', {}, SWEEP_MS);
  }

  /**
   * Permits a waiting payment. It is decided again, reserved and signed when its agent asks for it next.
   *
   * @throws Problem `forbidden` for who may not approve it, `invalid_transition` when it no longer waits, or
   *   the denial of a grant that has ended.
   */
  async approve(caller: Caller, id: string, given: VerdictBody, requestId: string) {
    const pending = await this.payments.visible(caller, id);
    const { approvalSeconds: collectSeconds, twoPerson } = this.config;
    const verdict = verdictOf(caller, given, requestId);
    const made = await this.approvals.approve(pending, verdict, { collectSeconds, twoPerson });
    if ('code' in made) throw refusal(made);
    this.outbox.eventsWritten(pending.treasuryId);
    return { payment: viewPayment(made) };
  }

  /** Rejects a waiting payment for good. @throws Problem as {@link approve}. */
  async reject(caller: Caller, id: string, body: VerdictBody, requestId: string) {
    const pending = await this.payments.visible(caller, id);
    const verdict = verdictOf(caller, body, requestId);
    const payment = await this.approvals.reject(pending, verdict);
    this.outbox.eventsWritten(pending.treasuryId);
    return { payment: viewPayment(payment) };
  }

  /** Ends the payments that waited too long. */
  async lapse(): Promise<void> {
    const treasuries = await this.approvals.lapse();
    for (const treasuryId of treasuries) this.outbox.eventsWritten(treasuryId);
    if (treasuries.length > 0) this.#log.log('payments that nobody approved in time were ended');
  }
}

function verdictOf(caller: Caller, body: VerdictBody, requestId: string): Verdict {
  const isCurrent = (chain: readonly GrantRecord[]) => refuseReplaced(caller, chain);
  return { actor: caller.actor, reason: body.reason, requestId, isCurrent };
}
