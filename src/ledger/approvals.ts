import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { appendEvents } from './events.js';
import { chainOf, databaseNow, type GrantRecord, lockChain, readGrants } from './grant-rows.js';
import { openBooks } from './ledger.js';
import {
  authorizePending,
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';
import {
  decideApproved,
  type Reservation,
  type ReservationOrder,
  type Writings,
} from './reservations.js';
import { write } from './writings.js';

/** Who decides about a waiting payment, and why. */
export interface Verdict {
  readonly actor: string;
  /** Throws when the decider's own token was replaced; asked under the locks of the chain. */
  readonly isCurrent: (chain: readonly GrantRecord[]) => void;
  readonly reason: string | undefined;
  readonly requestId: string;
}

/** Lets waiting payments go on, or ends them. */
export class Approvals {
  constructor(private readonly database: Database) {}

  /**
   * Approves a waiting payment: the whole decision is made again at this moment, under the locks. When
   * it is refused, that is recorded and the payment waits on.
   *
   * @param order - the order made again of the request that waits.
   * @throws Problem `invalid_transition` when it no longer waits.
   */
  approve(paymentId: string, order: ReservationOrder, verdict: Verdict): Promise<Reservation> {
    return this.database.transaction(async (tx) => {
      const pending = await lockPending(tx, order.treasuryId, paymentId);
      const { path = [] } =
        (await readGrants(tx, order.treasuryId, [pending.grantId])).get(pending.grantId) ?? {};
      const terms = await readGrants(tx, order.treasuryId, path);
      const books = await openBooks(
        tx,
        order.treasuryId,
        new Map([[pending.grantId, chainOf(terms, pending.grantId)]]),
        [],
        [order.options],
      );
      if (pending.approval && books.now >= pending.approval.lapsesAt) throw lapsed(pending);
      const chain = chainOf(books.grants, pending.grantId);
      verdict.isCurrent(chain);
      const writings: Writings = { payments: [], events: [], charged: new Set() };
      const made = decideApproved(pending, order, chain, books, writings);
      if (made.outcome === 'refused') {
        await write(tx, order.treasuryId, books, writings);
        return made;
      }
      const payment: PaymentRecord = {
        ...made.payment,
        decidedBy: verdict.actor,
        decidedReason: verdict.reason,
      };
      await authorizePending(tx, payment);
      const approved = verdictEvent(payment, 'payment.approved', verdict);
      writings.events.unshift(approved);
      await write(tx, order.treasuryId, books, writings);
      return { ...made, payment };
    });
  }

  /**
   * Rejects a waiting payment for good.
   *
   * @throws Problem `invalid_transition` when it no longer waits.
   */
  reject(treasuryId: string, paymentId: string, verdict: Verdict): Promise<PaymentRecord> {
    return this.database.transaction(async (tx) => {
      const pending = await lockPending(tx, treasuryId, paymentId);
      verdict.isCurrent(await lockChain(tx, treasuryId, pending.grantId));
      const [rejected] = await endAll(tx, [pending], verdict);
      if (!rejected) throw new Error(`payment ${paymentId} was not rejected`);
      return rejected;
    });
  }

  /** Ends payments that waited too long. @returns the treasuries it wrote events of. */
  lapse(): Promise<string[]> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<PaymentRow>(
        `SELECT ${PAYMENT_COLUMNS} FROM payments p
         WHERE p.status = 'pending_approval' AND p.approval_lapses_at <= now()
         ORDER BY p.treasury_id, p.id LIMIT ${LAPSE_BATCH} FOR NO KEY UPDATE SKIP LOCKED`,
      );
      const ended = await endAll(tx, rows.map(toPaymentRecord), LAPSED);
      return [...new Set(ended.map(({ treasuryId }) => treasuryId))];
    });
  }
}

/** How many payments lapse in one transaction. */
const LAPSE_BATCH = 1_000;

const LAPSED = {
  actor: 'system:payments',
  reason: 'nobody approved it in time',
  requestId: 'lapse',
} as const;

/** Ends waiting payments that are locked. They hold nothing: no grant changes. */
async function endAll(
  tx: ClientBase,
  pending: readonly PaymentRecord[],
  verdict: Omit<Verdict, 'isCurrent'>,
): Promise<PaymentRecord[]> {
  if (pending.length === 0) return [];
  const now = await databaseNow(tx);
  await tx.query(
    `UPDATE payments p SET status = 'rejected', approval_body = NULL, ended_at = $3, decided_by = $4,
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

async function findLocked(
  tx: ClientBase,
  treasuryId: string,
  paymentId: string,
): Promise<PaymentRecord | undefined> {
  const { rows } = await tx.query<PaymentRow>(
    `SELECT ${PAYMENT_COLUMNS} FROM payments p
     WHERE p.treasury_id = $1 AND p.id = $2 FOR NO KEY UPDATE`,
    [treasuryId, paymentId],
  );
  return rows[0] && toPaymentRecord(rows[0]);
}

async function lockPending(
  tx: ClientBase,
  treasuryId: string,
  paymentId: string,
): Promise<PaymentRecord> {
  const payment = await findLocked(tx, treasuryId, paymentId);
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
    `payment ${id} waited too long for its approval; the agent must ask anew, with another Idempotency-Key`,
  );
}

function verdictEvent(
  payment: PaymentRecord,
  kind: 'payment.approved' | 'payment.rejected',
  verdict: Omit<Verdict, 'isCurrent'>,
) {
  return {
    treasuryId: payment.treasuryId,
    kind,
    actor: verdict.actor,
    grantId: payment.grantId,
    paymentId: payment.id,
    requestId: verdict.requestId,
    reason: verdict.reason,
    data: { value: payment.amount.toString(), currency: payment.currency },
  };
}
