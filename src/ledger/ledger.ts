import type { ClientBase } from 'pg';
import {
  type Database,
  isConflict,
  isDatabaseUnavailable,
  type TransactionEnds,
} from '../database/database.js';
import type { Bounds } from '../domain/bounds.js';
import type { Denial } from '../domain/denials.js';
import { Problem } from '../domain/problem.js';
import { inSharedSpan } from '../tracing/trace-scope.js';
import type { Place } from './admission.js';
import { Batcher, type BatcherBounds } from './batcher.js';
import { GrantCache } from './grant-cache.js';
import { databaseNow, lockChain } from './grant-rows.js';
import { chainIn, type PendingWrites } from './locked-state.js';
import type { Reservation, ReservationOrder } from './order.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';
import { write } from './pending-writes.js';
import { type PresentedToken, refuseReplacedToken } from './presented-tokens.js';
import { KEEP_PLANS, readLockedState } from './read-locked-state.js';
import { namingPayment, refuseHandOut } from './replays.js';
import { decideOrder } from './reservations.js';
import { holdSuspension, isSuspended } from './suspensions.js';

type ReservationResult = PromiseSettledResult<Reservation>;

interface PaymentKey {
  readonly grantId: string;
  readonly idempotencyKey: string;
}

/** The batchers of one treasury: of payments, and of looking up whether keys have one. */
interface Queues {
  readonly orders: Batcher<ReservationOrder, Reservation>;
  readonly lookups: Batcher<PaymentKey, boolean>;
}

/** Lookups of keys are small, and of use only to those who are told at once. */
const LOOKUPS: BatcherBounds = { maxBatch: 128, maxInFlight: 1, maxWaiting: 256, maxWaitMs: 50 };

/** Seconds after which whoever is turned away may ask again: not all of them at the same time. */
const TURNED_AWAY_SECONDS = 3;

/** The answer to whoever would wait too long: nothing was read, decided or reserved. */
export function turnedAway(): Problem {
  return new Problem(
    'unavailable',
    'more payments are asked for than can be made in time; try again, with the same Idempotency-Key',
    { retryAfterSeconds: 1 + Math.floor(Math.random() * TURNED_AWAY_SECONDS) },
  );
}

/**
 * The one door to money. Orders that arrive together are decided together: one transaction locks every
 * grant and wallet they need, decides each in turn over what it read, writes everything with set-based
 * statements, and commits before anything is signed. Replicas meet only in Postgres.
 *
 * Locks are always taken in the order that docs/architecture.md has under "Lock order", so that no two transactions wait
 * for each other.
 */
export class Ledger {
  readonly #cache = new GrantCache();
  /** By treasury: batches of different treasuries never lock the same rows. */
  readonly #queues = new Map<string, Queues>();
  #turnedAwayAt = Number.NEGATIVE_INFINITY;
  /** The outcomes of this process's requests for payments, by {@link note}. */
  readonly outcomes: Map<string, number> = new Map();

  constructor(
    private readonly database: Database,
    private readonly bounds: BatcherBounds,
    /** The bounds of what callers may make. */
    private readonly creations: Bounds,
  ) {}

  /**
   * Decides an order and, when it is allowed, reserves its amount on every grant of the chain and on
   * the wallet. A refusal is recorded too, or counted (refusals.ts). An order with a key that was used before returns the
   * payment made then.
   *
   * @throws Problem `not_found` for an unknown grant, `invalid_token` for a replaced token,
   *   `idempotency_mismatch` when the key belongs to another purchase, `payment_ended` or
   *   `payment_expiring` when that purchase can no longer be paid, `unavailable` when too many wait.
   * @param place - from {@link enter}, which is asked here when left out.
   */
  async reserve(order: ReservationOrder, place?: Place): Promise<Reservation> {
    // The place of a caller that hung up was left.
    const taken = place?.isIn ? place : this.enter(order.treasuryId, order.grantId);
    if (!taken) throw turnedAway();
    return this.queue(order.treasuryId).join(order, taken);
  }

  /**
   * Asks for a place among the orders of a treasury, before anything else is done for one.
   *
   * @param isKnown - for the key of a payment that exists: it goes before those of new ones.
   * @returns undefined where its answer would come too late. A place that is not handed to {@link reserve} must be
   *   left.
   */
  enter(treasuryId: string, grantId: string, isKnown = false): Place | undefined {
    // Grants that were not read yet have one share together: one holder may have made many of them.
    const path = this.#cache.pathOf(treasuryId, grantId) ?? ['unread'];
    // A grant's own payments stand beside its children, as if they were one more child, and take no child's share.
    const place = this.queue(treasuryId).enter([...path, grantId], isKnown);
    if (!place) this.#turnedAwayAt = performance.now();
    return place;
  }

  /** Whether somebody was turned away within the last second. */
  get isBusy(): boolean {
    return performance.now() - this.#turnedAwayAt < 1_000;
  }

  /**
   * Whether a grant has a payment with a key. Those who ask at the same time are answered by one statement; where too
   * many ask, some are told that it has none.
   */
  async knows(treasuryId: string, grantId: string, idempotencyKey: string): Promise<boolean> {
    const lookups = this.queuesOf(treasuryId).lookups;
    const place = lookups.enter([grantId]);
    return place !== undefined && lookups.join({ grantId, idempotencyKey }, place);
  }

  /** Counts what became of a request for a payment: `paid`, `replayed`, `pending`, or the code of its problem. */
  note(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  /**
   * Looks up a payment whose header its holder wants again, under the locks and rules of a replay.
   *
   * @returns the payment, or the denial of a grant of its chain.
   * @throws Problem `invalid_token`, `invalid_transition` while it waits for an approval, `payment_ended`,
   *   `payment_expiring`.
   */
  handOut(
    treasuryId: string,
    paymentId: string,
    token: PresentedToken,
  ): Promise<{ payment: PaymentRecord; denial: Denial | undefined }> {
    return this.database.transaction(async (tx) => {
      await holdSuspension(tx, treasuryId);
      const found = await findPayment(tx, treasuryId, paymentId);
      const chain = await lockChain(tx, treasuryId, found.grantId);
      refuseReplacedToken(token, chain.at(-1));
      // Read again: what held the locks before may have changed it.
      const payment = await findPayment(tx, treasuryId, paymentId);
      const isStopped = await isSuspended(tx, treasuryId);
      const now = await databaseNow(tx);
      return namingPayment(payment, () => {
        const denial = refuseHandOut(payment, chain, now, isStopped);
        if (payment.status === 'pending_approval' && !denial) {
          throw new Problem(
            'invalid_transition',
            `payment ${paymentId} waits for an approval; ask with POST /v1/payments and its key instead`,
          );
        }
        return { payment, denial };
      });
    });
  }

  private queue(treasuryId: string): Batcher<ReservationOrder, Reservation> {
    return this.queuesOf(treasuryId).orders;
  }

  private queuesOf(treasuryId: string): Queues {
    // Treasuries are few; a queue that is empty costs nothing.
    let queues = this.#queues.get(treasuryId);
    if (!queues) {
      queues = {
        orders: new Batcher((orders) => this.carryOut(treasuryId, orders), this.bounds),
        lookups: new Batcher((keys) => this.lookUp(treasuryId, keys), LOOKUPS),
      };
      this.#queues.set(treasuryId, queues);
    }
    return queues;
  }

  private async lookUp(
    treasuryId: string,
    keys: readonly PaymentKey[],
  ): Promise<PromiseSettledResult<boolean>[]> {
    const { rows } = await this.database.pipelined(
      (tx) => {
        tx.query(KEEP_PLANS).catch(() => {});
        return tx.query<{ is_known: boolean }>({
          name: 'look-up-keys',
          text: `SELECT EXISTS (SELECT 1 FROM payments p WHERE p.treasury_id = $1 AND p.grant_id = k.grant_id
               AND p.idempotency_key = k.idempotency_key) AS is_known
             FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS k (grant_id, idempotency_key, place)
             ORDER BY k.place`,
          values: [
            treasuryId,
            keys.map(({ grantId }) => grantId),
            keys.map(({ idempotencyKey }) => idempotencyKey),
          ],
        });
      },
      [treasuryId],
      'payments',
    );
    return rows.map(({ is_known: value }) => ({ status: 'fulfilled', value }));
  }

  /**
   * Carries a batch out. One that fails is halved, unless the database is unavailable, until the order at fault stands
   * alone.
   */
  private async carryOut(
    treasuryId: string,
    orders: readonly ReservationOrder[],
  ): Promise<readonly ReservationResult[]> {
    try {
      const traces = orders.map(({ trace }) => trace);
      // The treasury is named: a batch runs in the asynchronous context of whichever request came first.
      return await inSharedSpan('ledger batch', traces, { 'bursar.orders': orders.length }, () =>
        this.database.pipelined(
          (tx, ends) => this.decideAll(tx, ends, treasuryId, orders),
          [treasuryId],
          'payments',
        ),
      );
    } catch (error) {
      if (orders.length === 1 || (isDatabaseUnavailable(error) && !isConflict(error))) throw error;
      const half = Math.ceil(orders.length / 2);
      const outcomes: ReservationResult[] = [];
      for (const part of [orders.slice(0, half), orders.slice(half)]) {
        try {
          outcomes.push(...(await this.carryOut(treasuryId, part)));
        } catch (reason) {
          outcomes.push(...part.map(() => ({ status: 'rejected' as const, reason })));
        }
      }
      return outcomes;
    }
  }

  private async decideAll(
    tx: ClientBase,
    ends: TransactionEnds,
    treasuryId: string,
    orders: readonly ReservationOrder[],
  ): Promise<ReservationResult[]> {
    const chains = await this.#cache.chains(
      tx,
      treasuryId,
      orders.map(({ grantId }) => grantId),
    );
    const state = await readLockedState(tx, treasuryId, chains, orders, this.creations);
    const writes: PendingWrites = {
      payments: [],
      handedOver: [],
      events: [],
      charged: new Set(),
      knownPayees: [],
      breakers: { counted: new Set(), trips: [] },
      crossings: new Map(),
      usage: { alive: 0, waiting: 0, openPayments: 0 },
    };
    const outcomes = orders.map((order): ReservationResult => {
      try {
        const chain = chainIn(state, chains.get(order.grantId) ?? []);
        const value = decideOrder(order, chain, state, writes);
        return { status: 'fulfilled', value };
      } catch (reason) {
        return { status: 'rejected', reason };
      }
    });
    await ends.begun;
    await write(tx, treasuryId, state, writes, ends);
    return outcomes;
  }
}

async function findPayment(
  tx: ClientBase,
  treasuryId: string,
  paymentId: string,
): Promise<PaymentRecord> {
  const { rows } = await tx.query<PaymentRow>(
    `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.treasury_id = $1 AND p.id = $2`,
    [treasuryId, paymentId],
  );
  if (!rows[0]) throw new Problem('not_found', `no payment ${paymentId}`);
  return toPaymentRecord(rows[0]);
}
