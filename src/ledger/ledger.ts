import type { ClientBase } from 'pg';
import {
  type Database,
  isConflict,
  isDatabaseUnavailable,
  type TransactionEnds,
} from '../database/database.js';
import type { Denial, WalletSnapshot } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { Batcher, type BatcherBounds } from './batcher.js';
import { GrantCache } from './grant-cache.js';
import { databaseNow, type GrantRecord, lockChain, lockStates } from './grant-rows.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';
import { namingPayment, refuseHandOut } from './replays.js';
import {
  type Books,
  chainIn,
  decideOrder,
  keyOf,
  type Reservation,
  type ReservationOrder,
  type Writings,
} from './reservations.js';
import { write } from './writings.js';

type Settled = PromiseSettledResult<Reservation>;

/**
 * The one door to money. Orders that arrive together are decided together: one transaction locks every
 * grant and wallet they need, decides each in turn over what it read, writes everything with set-based
 * statements, and commits before anything is signed. Replicas meet only in Postgres.
 *
 * Locks are always taken in this order, so that no two transactions wait for each other: authorized
 * payments, then grants by id, then wallet balances by wallet, network and asset, then payments that wait for
 * an approval, by id.
 */
export class Ledger {
  readonly #cache = new GrantCache();
  /** One queue a treasury: its batches share locks, others' do not. */
  readonly #queues = new Map<string, Batcher<ReservationOrder, Reservation>>();

  constructor(
    private readonly database: Database,
    private readonly bounds: BatcherBounds,
  ) {}

  /**
   * Decides an order and, when it is allowed, reserves its amount on every grant of the chain and on
   * the wallet. A refusal is recorded too. An order with a key that was used before returns the
   * payment made then.
   *
   * @throws Problem `not_found` for an unknown grant, `invalid_token` for a replaced token,
   *   `idempotency_mismatch` when the key belongs to another purchase, `payment_ended` or
   *   `payment_expiring` when that purchase can no longer be paid, `unavailable` when too many wait.
   */
  reserve(order: ReservationOrder): Promise<Reservation> {
    return this.queue(order.treasuryId).join(order);
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
    caller: { readonly tokenGeneration: number; readonly keyThumbprint: string | undefined },
  ): Promise<{ payment: PaymentRecord; denial: Denial | undefined }> {
    return this.database.transaction(async (tx) => {
      const found = await findPayment(tx, treasuryId, paymentId);
      const chain = await lockChain(tx, treasuryId, found.grantId);
      const grant = chain.at(-1);
      if (
        grant?.tokenGeneration !== caller.tokenGeneration ||
        grant.holderKeyThumbprint !== caller.keyThumbprint
      ) {
        throw new Problem('invalid_token', 'the token was replaced; use the one that replaced it');
      }
      // Read again: what held the locks before may have changed it.
      const payment = await findPayment(tx, treasuryId, paymentId);
      const now = await databaseNow(tx);
      return namingPayment(payment, () => {
        const denial = refuseHandOut(payment, chain, now);
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
    // Treasuries are few; a queue that is empty costs nothing.
    let queue = this.#queues.get(treasuryId);
    if (!queue) {
      queue = new Batcher((orders) => this.carryOut(treasuryId, orders), this.bounds);
      this.#queues.set(treasuryId, queue);
    }
    return queue;
  }

  /**
   * Carries a batch out. Should the database refuse it for what one of them holds, it is halved until
   * that one stands alone.
   */
  private async carryOut(
    treasuryId: string,
    orders: readonly ReservationOrder[],
  ): Promise<readonly Settled[]> {
    try {
      return await this.database.pipelined(
        (tx, ends) => this.decideAll(tx, ends, treasuryId, orders),
        // Said, since a batch runs in the scope of whichever request came first.
        [treasuryId],
      );
    } catch (error) {
      if (orders.length === 1 || (isDatabaseUnavailable(error) && !isConflict(error))) throw error;
      const half = Math.ceil(orders.length / 2);
      const outcomes: Settled[] = [];
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
  ): Promise<Settled[]> {
    const chains = await this.#cache.chains(
      tx,
      treasuryId,
      orders.map(({ grantId }) => grantId),
    );
    const books = await openBooks(tx, treasuryId, chains, orders);
    const writings: Writings = { payments: [], handedOver: [], events: [], charged: new Set() };
    const outcomes = orders.map((order): Settled => {
      try {
        const chain = chainIn(books, chains.get(order.grantId) ?? []);
        const value = decideOrder(order, chain, books, writings);
        return { status: 'fulfilled', value };
      } catch (reason) {
        return { status: 'rejected', reason };
      }
    });
    await ends.begun;
    await write(tx, treasuryId, books, writings, ends);
    return outcomes;
  }
}

/**
 * The statements of a batch are named: Postgres keeps their plans for as long as the connection lives.
 * Planned anew for each batch, they took a tenth of its time. A plan made while the tables were small
 * must still do when they are large, so it goes by the indexes whatever the tables look like.
 */
const KEPT_PLANS = 'SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off';

/**
 * Locks what a batch needs, and reads it as it is then.
 *
 * @param orders - whose earlier payments are looked up by their keys, and whose options' wallets are locked.
 */
async function openBooks(
  tx: ClientBase,
  treasuryId: string,
  chains: ReadonlyMap<string, readonly GrantRecord[]>,
  orders: readonly ReservationOrder[],
): Promise<Books> {
  const known = new Map([...chains.values()].flat().map((grant) => [grant.id, grant]));
  // These queries are pipelined. Postgres runs them in order, so everything after the grant locks sees what
  // the previous lock holder committed: of two requests with one key, the second sees the first's payment.
  const [, states, wallets, { payments, now }, waiting] = await Promise.all([
    tx.query(KEPT_PLANS),
    lockStates(tx, treasuryId, [...known.keys()]),
    lockWallets(tx, treasuryId, wantedAssets(orders)),
    findByKeys(tx, treasuryId, orders),
    countWaiting(tx, treasuryId, chains),
  ]);
  const grants = new Map<string, GrantRecord>();
  for (const [id, state] of states) {
    const terms = known.get(id);
    if (terms) grants.set(id, { ...terms, ...state });
  }
  await lockApproved(tx, treasuryId, payments);
  return { grants, wallets, payments, waiting, now };
}

/**
 * Locks the waiting payments that may be handed over now, and reads them again: somebody may just have taken
 * the approval back.
 */
async function lockApproved(
  tx: ClientBase,
  treasuryId: string,
  payments: Map<string, PaymentRecord>,
): Promise<void> {
  const ids = [...payments.values()]
    .filter(({ status, approval }) => status === 'pending_approval' && approval?.approvedAt)
    .map(({ id }) => id);
  if (ids.length === 0) return;
  const { rows } = await tx.query<PaymentRow>(
    `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.treasury_id = $1 AND p.id = ANY ($2::text[])
     ORDER BY p.id FOR NO KEY UPDATE OF p`,
    [treasuryId, ids],
  );
  for (const row of rows) {
    const payment = toPaymentRecord(row);
    payments.set(keyOf(payment), payment);
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

/** The tokens that a batch may pay with, as `network asset`. */
function wantedAssets(orders: readonly ReservationOrder[]): Set<string> {
  const wanted = new Set<string>();
  for (const order of orders) {
    for (const { network, asset } of order.options()) wanted.add(`${network} ${asset}`);
  }
  return wanted;
}

async function lockWallets(
  tx: ClientBase,
  treasuryId: string,
  wanted: ReadonlySet<string>,
): Promise<WalletSnapshot[]> {
  if (wanted.size === 0) return [];
  const pairs = [...wanted].map((each) => each.split(' '));
  const { rows } = await tx.query<{
    id: string;
    address: string;
    network: string;
    asset: string;
    balance: string;
    reserved: string;
  }>({
    name: 'lock-wallets',
    text: `SELECT b.wallet_id AS id, w.address, b.network, b.asset, b.balance, b.reserved
     FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     WHERE b.treasury_id = $1 AND w.status = 'active' AND b.code IS NULL
       AND (b.network, b.asset) IN (SELECT * FROM unnest($2::text[], $3::text[]))
     ORDER BY b.wallet_id, b.network, b.asset FOR NO KEY UPDATE OF b`,
    values: [treasuryId, pairs.map(([network]) => network), pairs.map(([, asset]) => asset)],
  });
  return rows.map((row) => ({
    ...row,
    balance: BigInt(row.balance),
    reserved: BigInt(row.reserved),
  }));
}

async function findByKeys(
  tx: ClientBase,
  treasuryId: string,
  orders: readonly ReservationOrder[],
): Promise<{ payments: Map<string, PaymentRecord>; now: Date }> {
  const { rows } = await tx.query<Partial<PaymentRow> & { now: Date }>({
    name: 'find-by-keys',
    // An index seek (`key >= k ORDER BY key LIMIT 1`), so that a generic plan must use the unique index.
    text: `SELECT t.now, ${PAYMENT_COLUMNS}
     FROM (SELECT date_trunc('milliseconds', clock_timestamp()) AS now) t
     LEFT JOIN (unnest($2::text[], $3::text[]) AS k (grant_id, idempotency_key)
       JOIN LATERAL (
         SELECT * FROM payments f WHERE f.treasury_id = $1 AND f.grant_id = k.grant_id
           AND f.idempotency_key >= k.idempotency_key
         ORDER BY f.idempotency_key LIMIT 1) p ON p.idempotency_key = k.idempotency_key) ON true`,
    values: [
      treasuryId,
      orders.map(({ grantId }) => grantId),
      orders.map(({ idempotencyKey }) => idempotencyKey),
    ],
  });
  const [first] = rows;
  if (!first) throw new Error('the database did not tell the time');
  const payments = new Map<string, PaymentRecord>();
  for (const row of rows) {
    if (typeof row.id !== 'string') continue;
    const payment = toPaymentRecord(row as PaymentRow);
    payments.set(keyOf(payment), payment);
  }
  return { payments, now: first.now };
}

/** How many payments wait for an approval, of each grant whose chain asks for any. */
async function countWaiting(
  tx: ClientBase,
  treasuryId: string,
  chains: ReadonlyMap<string, readonly GrantRecord[]>,
): Promise<Map<string, number>> {
  const asking = [...chains]
    .filter(([, chain]) => chain.some(({ approvalAbove }) => approvalAbove !== undefined))
    .map(([id]) => id);
  if (asking.length === 0) return new Map();
  const { rows } = await tx.query<{ grant_id: string; waiting: number }>(
    `SELECT grant_id, count(*)::int AS waiting FROM payments
     WHERE treasury_id = $1 AND grant_id = ANY ($2::text[]) AND status = 'pending_approval'
     GROUP BY grant_id`,
    [treasuryId, asking],
  );
  return new Map(rows.map(({ grant_id, waiting }) => [grant_id, waiting]));
}
