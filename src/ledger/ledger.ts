import type { ClientBase } from 'pg';
import { type Database, isConflict, isDatabaseUnavailable } from '../database/database.js';
import type { PaymentOption, WalletSnapshot } from '../domain/policy.js';
import { Batcher, type BatcherBounds } from './batcher.js';
import { appendEvents } from './events.js';
import { GrantCache } from './grant-cache.js';
import { type GrantRecord, lockStates, writeCounters } from './grant-rows.js';
import {
  insertPayments,
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';
import { boundRefusals } from './refusals.js';
import {
  type Books,
  chainIn,
  decideOrder,
  keyOf,
  type Reservation,
  type ReservationOrder,
  type Writings,
} from './reservations.js';

type Settled = PromiseSettledResult<Reservation>;

/**
 * The one door to money. Orders that arrive together are decided together: one transaction locks every
 * grant and wallet they need, decides each in turn over what it read, writes everything with set-based
 * statements, and commits before anything is signed. Replicas meet only in Postgres.
 *
 * Locks are always taken in this order, so that no two transactions wait for each other: existing
 * payments, then grants by id, then wallet balances by wallet, network and asset.
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
   *   `idempotency_mismatch` when the key was used for another body, `unavailable` when too many wait.
   */
  reserve(order: ReservationOrder): Promise<Reservation> {
    return this.queue(order.treasuryId).join(order);
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
      return await this.database.transaction(
        (tx) => this.decideAll(tx, treasuryId, orders),
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
    treasuryId: string,
    orders: readonly ReservationOrder[],
  ): Promise<Settled[]> {
    const chains = await this.#cache.chains(
      tx,
      treasuryId,
      orders.map(({ grantId }) => grantId),
    );
    const payable = new Map(orders.map((order) => [order, onceOnly(order.options)]));
    const books = await openBooks(tx, treasuryId, chains, orders, payable);
    const writings: Writings = { payments: [], events: [], charged: new Set() };
    const outcomes = orders.map((order): Settled => {
      try {
        const chain = chainIn(books, chains.get(order.grantId) ?? []);
        const options = payable.get(order) ?? order.options;
        const value = decideOrder({ ...order, options }, chain, books, writings);
        return { status: 'fulfilled', value };
      } catch (reason) {
        return { status: 'rejected', reason };
      }
    });
    await write(tx, treasuryId, books, writings);
    return outcomes;
  }
}

/** Locks what a batch needs, and reads it as it is then. */
export async function openBooks(
  tx: ClientBase,
  treasuryId: string,
  chains: ReadonlyMap<string, readonly GrantRecord[]>,
  orders: readonly ReservationOrder[],
  payable: ReadonlyMap<ReservationOrder, () => readonly PaymentOption[]>,
): Promise<Books> {
  const known = new Map([...chains.values()].flat().map((grant) => [grant.id, grant]));
  const states = await lockStates(tx, treasuryId, [...known.keys()]);
  const grants = new Map<string, GrantRecord>();
  for (const [id, state] of states) {
    const terms = known.get(id);
    if (terms) grants.set(id, { ...terms, ...state });
  }
  const wallets = await lockWallets(tx, treasuryId, wantedAssets(payable.values()));
  // Behind the grants' locks: of two requests with one key, the second sees the first's payment.
  const { payments, now } = await findByKeys(tx, treasuryId, orders);
  const waiting = await countWaiting(tx, treasuryId, chains);
  return { grants, wallets, payments, waiting, now };
}

/** Writes what was decided: counters, wallets, payments and events. */
export async function write(
  tx: ClientBase,
  treasuryId: string,
  books: Books,
  { payments, events, charged }: Writings,
): Promise<void> {
  const changed = [...charged]
    .map((id) => books.grants.get(id))
    .filter((each) => each !== undefined);
  await writeCounters(tx, treasuryId, changed);
  if (changed.length > 0) await writeWallets(tx, treasuryId, books.wallets);
  await insertPayments(tx, payments);
  await appendEvents(tx, books.now, await boundRefusals(tx, books.now, events));
}

/** Asks for an order's options once; what they throw is thrown again to whoever needs them. */
function onceOnly(options: ReservationOrder['options']): ReservationOrder['options'] {
  let found: readonly PaymentOption[];
  try {
    found = options();
  } catch (error) {
    return () => {
      throw error;
    };
  }
  return () => found;
}

/** The tokens that a batch may pay with, as `network asset`. */
function wantedAssets(payable: Iterable<() => readonly PaymentOption[]>): Set<string> {
  const wanted = new Set<string>();
  for (const options of payable) {
    try {
      for (const { network, asset } of options()) wanted.add(`${network} ${asset}`);
    } catch {
      // It has nothing to pay with; its own decision says so.
    }
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
  }>(
    `SELECT b.wallet_id AS id, w.address, b.network, b.asset, b.balance, b.reserved
     FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     WHERE b.treasury_id = $1 AND w.status = 'active'
       AND (b.network, b.asset) IN (SELECT * FROM unnest($2::text[], $3::text[]))
     ORDER BY b.wallet_id, b.network, b.asset FOR NO KEY UPDATE OF b`,
    [treasuryId, pairs.map(([network]) => network), pairs.map(([, asset]) => asset)],
  );
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
  const { rows } = await tx.query<Partial<PaymentRow> & { now: Date }>(
    `SELECT t.now, ${PAYMENT_COLUMNS}
     FROM (SELECT date_trunc('milliseconds', clock_timestamp()) AS now) t
     LEFT JOIN (
       SELECT p.* FROM unnest($2::text[], $3::text[]) AS k (grant_id, idempotency_key)
       JOIN payments p ON p.treasury_id = $1 AND p.grant_id = k.grant_id
         AND p.idempotency_key = k.idempotency_key) p ON true`,
    [
      treasuryId,
      orders.map(({ grantId }) => grantId),
      orders.map(({ idempotencyKey }) => idempotencyKey),
    ],
  );
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

async function writeWallets(
  tx: ClientBase,
  treasuryId: string,
  wallets: readonly WalletSnapshot[],
): Promise<void> {
  await tx.query(
    `UPDATE wallet_balances b SET reserved = c.reserved
     FROM unnest($2::text[], $3::text[], $4::text[], $5::numeric[]) AS c (wallet_id, network, asset, reserved)
     WHERE b.treasury_id = $1 AND b.wallet_id = c.wallet_id AND b.network = c.network
       AND b.asset = c.asset AND b.reserved <> c.reserved`,
    [
      treasuryId,
      wallets.map(({ id }) => id),
      wallets.map(({ network }) => network),
      wallets.map(({ asset }) => asset),
      wallets.map(({ reserved }) => reserved.toString()),
    ],
  );
}
