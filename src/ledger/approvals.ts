import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import type { Denial } from '../domain/denials.js';
import { lifeDenial } from '../domain/denials.js';
import { Problem } from '../domain/problem.js';
import { approverProblem, isApproved, standingProblem } from './approver.js';
import { addUsage } from './bounds.js';
import { appendEvents } from './events.js';
import { readActors } from './grant-actors.js';
import {
  chainOf,
  databaseNow,
  type GrantRecord,
  lockChain,
  lockChains,
  writeCounters,
} from './grant-rows.js';
import { readKnownPayees } from './known-payees.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';

/** Approver of a waiting payment, and the reason. */
export interface Verdict {
  readonly actor: string;
  /** Throws when the decider's own token was replaced; asked under the locks of the chain. */
  readonly isCurrent: (chain: readonly GrantRecord[]) => void;
  readonly reason: string | undefined;
  readonly requestId: string;
}

/** Which waiting payment is meant. */
export interface WaitingPayment {
  readonly treasuryId: string;
  readonly id: string;
  readonly grantId: string;
}

/** Conditions of an approval. */
export interface ApprovalTerms {
  /** How long the agent has to collect the payment. */
  readonly collectSeconds: number;
  /** Whether nobody may approve a payment that he had a part in. */
  readonly twoPerson: boolean;
}

/**
 * Permits waiting payments, or ends them, under the locks of the chain's grants: whoever changes a payment that waits
 * holds them.
 */
export class Approvals {
  constructor(private readonly database: Database) {}

  /**
   * Permits a waiting payment. Nothing is reserved or signed: everything is decided again when the agent
   * collects it. A second approval changes nothing, unless the first approver no longer counts.
   *
   * @returns the payment, or the denial of a grant that has ended: no approval can help then.
   * @throws Problem `invalid_transition` when it no longer waits, `forbidden` for who may not approve it.
   */
  approve(
    waiting: WaitingPayment,
    verdict: Verdict,
    { collectSeconds, twoPerson }: ApprovalTerms,
  ): Promise<PaymentRecord | Denial> {
    const { treasuryId, id } = waiting;
    return this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, waiting.grantId);
      verdict.isCurrent(chain);
      const pending = await findPending(tx, treasuryId, id);
      const now = await databaseNow(tx);
      if (pending.approval && now >= pending.approval.lapsesAt) throw lapsed(pending);
      const actorsOf = twoPerson
        ? await readActors(
            tx,
            treasuryId,
            chain.map((grant) => grant.id),
          )
        : undefined;
      const { isKnown } = await readKnownPayees(tx, treasuryId, chain, [pending]);
      const problem = approverProblem(verdict.actor, pending, chain, actorsOf, isKnown);
      if (problem) throw problem;
      const denial = lifeDenial(chain, now);
      if (denial?.code === 'grant_revoked' || denial?.code === 'grant_expired') return denial;
      if (isApproved(pending, chain, actorsOf, isKnown)) return pending;
      const lapsesAt = new Date(now.getTime() + collectSeconds * 1000);
      await tx.query(
        `UPDATE payments SET approved_at = $3, approval_lapses_at = $4, decided_by = $5, decided_reason = $6
         WHERE treasury_id = $1 AND id = $2`,
        [treasuryId, id, now, lapsesAt, verdict.actor, verdict.reason ?? null],
      );
      const payment: PaymentRecord = {
        ...pending,
        approval: pending.approval && { ...pending.approval, approvedAt: now, lapsesAt },
        decidedBy: verdict.actor,
        decidedReason: verdict.reason,
      };
      await appendEvents(tx, now, [
        verdictEvent(payment, 'payment.approved', verdict, { twoPerson }),
      ]);
      return payment;
    });
  }

  /**
   * Rejects a waiting payment for good, also one that was approved and not collected yet.
   *
   * @throws Problem `invalid_transition` when it no longer waits, `forbidden` for who may not decide it.
   */
  reject({ treasuryId, id, grantId }: WaitingPayment, verdict: Verdict): Promise<PaymentRecord> {
    return this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, grantId);
      verdict.isCurrent(chain);
      const pending = await findPending(tx, treasuryId, id);
      const { isKnown } = await readKnownPayees(tx, treasuryId, chain, [pending]);
      const problem = standingProblem(verdict.actor, pending, chain, isKnown);
      if (problem) throw problem;
      const [rejected] = await endAll(tx, [pending], verdict);
      if (!rejected) throw new Error(`payment ${id} was not rejected`);
      await countOut(tx, treasuryId, [rejected], new Map(chain.map((each) => [each.id, each])));
      return rejected;
    });
  }

  /** Ends payments that waited too long. @returns the treasuries it wrote events of. */
  async lapse(): Promise<string[]> {
    const { rows: due } = await this.database.pool.query<{
      treasury_id: string;
      id: string;
      grant_id: string;
    }>(
      `SELECT p.treasury_id, p.id, p.grant_id FROM payments p
       WHERE p.status = 'pending_approval' AND p.approval_lapses_at <= now()
       ORDER BY p.treasury_id, p.id LIMIT ${LAPSE_BATCH}`,
    );
    const ended: string[] = [];
    for (const treasuryId of new Set(due.map(({ treasury_id }) => treasury_id))) {
      const own = due.filter(({ treasury_id }) => treasury_id === treasuryId);
      if (await this.lapseOf(treasuryId, own)) ended.push(treasuryId);
    }
    return ended;
  }

  /** One transaction a treasury: its usage is the last lock. @returns whether any lapsed. */
  private lapseOf(
    treasuryId: string,
    due: readonly { readonly id: string; readonly grant_id: string }[],
  ): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const grants = await lockChains(
        tx,
        treasuryId,
        due.map(({ grant_id }) => grant_id),
      );
      // Read again under the locks: some may have been handed over, or decided, meanwhile.
      const { rows } = await tx.query<PaymentRow>(
        `SELECT ${PAYMENT_COLUMNS} FROM payments p
         WHERE p.treasury_id = $1 AND p.id = ANY ($2::text[]) AND p.status = 'pending_approval'
           AND p.approval_lapses_at <= now()
         ORDER BY p.id`,
        [treasuryId, due.map(({ id }) => id)],
      );
      const lapsedNow = await endAll(tx, rows.map(toPaymentRecord), LAPSED);
      await countOut(tx, treasuryId, lapsedNow, grants);
      return lapsedNow.length > 0;
    });
  }
}

/** How many payments lapse in one transaction. */
const LAPSE_BATCH = 1_000;

const LAPSED = {
  actor: 'system:payments',
  reason: 'it was not approved, or not collected, in time',
  requestId: 'lapse',
} as const;

/** Takes payments that wait no more out of the counts of their chains, which are locked, and of the treasury. */
async function countOut(
  tx: ClientBase,
  treasuryId: string,
  ended: readonly PaymentRecord[],
  grants: Map<string, GrantRecord>,
): Promise<void> {
  const changed = new Set<string>();
  for (const { grantId } of ended) {
    for (const grant of chainOf(grants, grantId)) {
      grants.set(grant.id, { ...grant, waiting: grant.waiting - 1 });
      changed.add(grant.id);
    }
  }
  await writeCounters(
    tx,
    treasuryId,
    [...changed].map((id) => grants.get(id)).filter((each) => each !== undefined),
  );
  await addUsage(tx, treasuryId, { waiting: -ended.length });
}

/** Ends waiting payments that are locked. They hold no money. */
async function endAll(
  tx: ClientBase,
  pending: readonly PaymentRecord[],
  verdict: Omit<Verdict, 'isCurrent'>,
): Promise<PaymentRecord[]> {
  if (pending.length === 0) return [];
  const now = await databaseNow(tx);
  await tx.query(
    `UPDATE payments p SET status = 'rejected', ended_at = $3, decided_by = $4,
       decided_reason = $5
     FROM unnest($1::text[], $2::text[]) AS e (treasury_id, id)
     WHERE p.treasury_id = e.treasury_id AND p.id = e.id`,
    [
      pending.map(({ treasuryId }) => treasuryId),
      pending.map(({ id }) => id),
      now,
      verdict.actor,
      verdict.reason ?? null,
    ],
  );
  const rejected = pending.map(
    (payment): PaymentRecord => ({
      ...payment,
      status: 'rejected',
      endedAt: now,
      decidedBy: verdict.actor,
      decidedReason: verdict.reason,
    }),
  );
  await appendEvents(
    tx,
    now,
    rejected.map((payment) => verdictEvent(payment, 'payment.rejected', verdict)),
  );
  return rejected;
}

async function findPayment(
  tx: ClientBase,
  treasuryId: string,
  paymentId: string,
): Promise<PaymentRecord | undefined> {
  const { rows } = await tx.query<PaymentRow>(
    `SELECT ${PAYMENT_COLUMNS} FROM payments p
     WHERE p.treasury_id = $1 AND p.id = $2`,
    [treasuryId, paymentId],
  );
  return rows[0] && toPaymentRecord(rows[0]);
}

async function findPending(
  tx: ClientBase,
  treasuryId: string,
  paymentId: string,
): Promise<PaymentRecord> {
  const payment = await findPayment(tx, treasuryId, paymentId);
  if (!payment) throw new Problem('not_found', `no payment ${paymentId}`);
  if (payment.status !== 'pending_approval') {
    throw new Problem(
      'invalid_transition',
      `payment ${paymentId} does not wait for an approval: it is ${payment.status}`,
    );
  }
  return payment;
}

function lapsed({ id }: PaymentRecord): Problem {
  return new Problem(
    'invalid_transition',
    `payment ${id} waited too long for its approval; the agent must ask anew`,
  );
}

function verdictEvent(
  payment: PaymentRecord,
  kind: 'payment.approved' | 'payment.rejected',
  verdict: Omit<Verdict, 'isCurrent'>,
  more: { readonly twoPerson?: boolean } = {},
) {
  return {
    treasuryId: payment.treasuryId,
    kind,
    actor: verdict.actor,
    grantId: payment.grantId,
    paymentId: payment.id,
    requestId: verdict.requestId,
    reason: verdict.reason,
    data: {
      value: payment.amount.toString(),
      currency: payment.currency,
      ...(kind === 'payment.approved'
        ? { collectBefore: payment.approval?.lapsesAt.toISOString() ?? null }
        : {}),
      ...more,
    },
  };
}
