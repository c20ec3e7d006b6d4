import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Approvals, type Verdict } from '../ledger/approvals.js';
import { findGrant, type GrantRecord } from '../ledger/grant-rows.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { OnJob } from '../outbox/on-job.js';
import { PaymentList } from './payment-list.service.js';
import { viewPayment } from './payment-view.js';
import type { VerdictBody } from './payments.dto.js';
import { refusal } from './payments.service.js';

/** How often payments that waited too long are looked for, in milliseconds. */
const SWEEP_MS = 5_000;

/** Decides about payments that wait for an approval. */
@Injectable()
export class ApprovalsService {
  readonly #log = new Logger('payments');

  constructor(
    private readonly payments: PaymentList,
    private readonly approvals: Approvals,
    private readonly notifier: Notifier,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Pick<Config, 'approvalSeconds' | 'twoPerson'>,
  ) {}

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
    if ('code' in made) throw refusal(made, await this.ownOf(caller, pending.grantId));
    this.notifier.eventsWritten(pending.treasuryId);
    return { payment: viewPayment(made) };
  }

  /** Rejects a waiting payment for good. @throws Problem as {@link approve}. */
  async reject(caller: Caller, id: string, body: VerdictBody, requestId: string) {
    const pending = await this.payments.visible(caller, id);
    const verdict = verdictOf(caller, body, requestId);
    const payment = await this.approvals.reject(pending, verdict);
    this.notifier.eventsWritten(pending.treasuryId);
    return { payment: viewPayment(payment) };
  }

  /** The grants of a chain whose figures a caller may read: a holder's own and those below. */
  private async ownOf(caller: Caller, grantId: string): Promise<readonly string[] | undefined> {
    if (caller.kind === 'admin') return undefined;
    const path = (await findGrant(this.database.pool, grantId))?.path ?? [];
    const place = path.indexOf(caller.grantId);
    return place < 0 ? [] : path.slice(place);
  }

  /** Ends the payments that waited too long. */
  @OnJob('payments.lapse', { everyMs: SWEEP_MS })
  async lapse(): Promise<void> {
    const treasuries = await this.approvals.lapse();
    for (const treasuryId of treasuries) this.notifier.eventsWritten(treasuryId);
    if (treasuries.length > 0) this.#log.log('payments that nobody approved in time were ended');
  }
}

function verdictOf(caller: Caller, body: VerdictBody, requestId: string): Verdict {
  const isCurrent = (chain: readonly GrantRecord[]) => refuseReplaced(caller, chain);
  return { actor: caller.actor, reason: body.reason, requestId, isCurrent };
}
