import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { sameHands } from '../domain/two-person.js';
import { Approvals, type Verdict } from '../ledger/approvals.js';
import { type GrantRecord, readGrants, refuseReplaced } from '../ledger/grant-rows.js';
import type { PaymentRecord } from '../ledger/payment-rows.js';
import { Outbox } from '../outbox/outbox.js';
import { Queues } from '../outbox/queues.js';
import { paySchema, type VerdictBody } from './payments.dto.js';
import { PaymentsService, refusal, viewPayment } from './payments.service.js';

/** How often payments that waited too long are looked for, in milliseconds. */
const SWEEP_MS = 1_000;

/** Decides about payments that wait for an approval. */
@Injectable()
export class ApprovalsService implements OnModuleInit {
  readonly #log = new Logger('payments');

  constructor(
    private readonly payments: PaymentsService,
    private readonly approvals: Approvals,
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly outbox: Outbox,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.queues.handle('payments.lapse', () => this.lapse());
    this.queues.schedule('payments-lapse', 'payments.lapse', {}, SWEEP_MS);
  }

  /**
   * Approves a waiting payment. The whole decision is made again at this moment; when it is refused,
   * the payment waits on.
   *
   * @throws Problem `forbidden` for a holder that does not stand above the grant that asks for the
   *   approval, `invalid_transition` when it no longer waits, or the denial of the new decision.
   */
  async approve(caller: Caller, id: string, given: VerdictBody, requestId: string) {
    const { pending, grant } = await this.mayDecide(caller, id);
    const body = pending.approval?.body;
    if (body === undefined) throw notWaiting(pending);
    if (this.config.twoPerson) await this.refuseSameHands(caller, grant);
    const order = await this.payments.order(
      {
        treasuryId: pending.treasuryId,
        grantId: pending.grantId,
        tokenGeneration: grant.tokenGeneration,
        keyThumbprint: grant.holderKeyThumbprint,
      },
      paySchema.parse(JSON.parse(body)),
      pending.idempotencyKey,
      requestId,
    );
    const made = await this.approvals.approve(id, order, verdictOf(caller, given, requestId));
    this.outbox.eventsWritten(pending.treasuryId);
    if (made.outcome === 'refused') throw refusal(made.denial);
    return { payment: viewPayment(made.payment) };
  }

  /** Two-person mode: whoever minted a grant of the chain made the payment possible. */
  private async refuseSameHands(caller: Caller, { treasuryId, id, path }: GrantRecord) {
    const { rows } = await this.database.pool.query<{ minted_by: string }>(
      'SELECT minted_by FROM grants WHERE treasury_id = $1 AND id = ANY ($2::text[])',
      [treasuryId, path],
    );
    const minters = rows.map(({ minted_by }) => minted_by);
    if (sameHands(caller.actor, minters, `grant:${id}`) === undefined) return;
    throw new Problem(
      'forbidden',
      'two-person mode: you minted a grant that this payment is made under; somebody else must approve it',
    );
  }

  /** Rejects a waiting payment for good. @throws Problem as {@link approve}. */
  async reject(caller: Caller, id: string, body: VerdictBody, requestId: string) {
    const { pending } = await this.mayDecide(caller, id);
    const verdict = verdictOf(caller, body, requestId);
    const payment = await this.approvals.reject(pending.treasuryId, id, verdict);
    this.outbox.eventsWritten(pending.treasuryId);
    return { payment: viewPayment(payment) };
  }

  /** Ends the payments that waited too long. */
  async lapse(): Promise<void> {
    const treasuries = await this.approvals.lapse();
    for (const treasuryId of treasuries) this.outbox.eventsWritten(treasuryId);
    if (treasuries.length > 0) this.#log.log('payments that nobody approved in time were ended');
  }

  /**
   * A waiting payment that the caller may decide about: admins and approvers all, a holder those that
   * only grants below its own ask an approval for. Otherwise it could delegate to itself and approve
   * what its own limit holds up.
   */
  private async mayDecide(
    caller: Caller,
    id: string,
  ): Promise<{ pending: PaymentRecord; grant: GrantRecord }> {
    const pending = await this.payments.visible(caller, id);
    const { treasuryId, grantId, approval } = pending;
    const grant = (await readGrants(this.database.pool, treasuryId, [grantId])).get(grantId);
    if (!grant) throw new Error(`payment ${id} has no grant`);
    if (!approval) throw notWaiting(pending);
    if (caller.kind === 'holder') {
      const isAbove = grant.path.indexOf(caller.grantId) < grant.path.indexOf(approval.fromAbove);
      if (!isAbove) {
        throw new Problem(
          'forbidden',
          `grant ${approval.fromAbove} asks for the approval; it takes an admin, an approver, or a holder above that grant`,
          { grantId: approval.fromAbove },
        );
      }
    }
    return { pending, grant };
  }
}

function notWaiting({ id, status }: PaymentRecord): Problem {
  return new Problem(
    'invalid_transition',
    `payment ${id} does not wait for an approval: it is ${status}`,
  );
}

function verdictOf(caller: Caller, body: VerdictBody, requestId: string): Verdict {
  const isCurrent = (chain: readonly GrantRecord[]) => refuseReplaced(caller, chain);
  return { actor: caller.actor, reason: body.reason, requestId, isCurrent };
}
