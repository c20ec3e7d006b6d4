import type { ClientBase } from 'pg';
import type { Bounds } from '../domain/bounds.js';
import type { WalletSnapshot } from '../domain/policy.js';
import { readBreakerCounts } from './breakers.js';
import { readActors } from './grant-actors.js';
import { type FixedGrant, lockKnown } from './grant-rows.js';
import { readKnownPayees } from './known-payees.js';
import type { LockedState } from './locked-state.js';
import { keyOf, type ReservationOrder } from './order.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';
import { holdSuspension } from './suspensions.js';

/**
 * The statements of a batch are named: Postgres keeps their plans for as long as the connection lives.
 * Planned anew for each batch, they took a tenth of its time. A plan made while the tables were small
 * must still do when they are large, so it goes by the indexes whatever the tables look like.
 */
export const KEEP_PLANS =
  'SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off';

/**
 * Locks what a batch needs, and reads it as it is then.
 *
 * @param orders - whose earlier payments are looked up by their keys, and whose options' wallets are locked.
 */
export async function readLockedState(
  tx: ClientBase,
  treasuryId: string,
  chains: ReadonlyMap<string, readonly FixedGrant[]>,
  orders: readonly ReservationOrder[],
  bounds: Bounds,
): Promise<LockedState> {
  const known = new Map<string, FixedGrant>();
  for (const chain of chains.values()) for (const grant of chain) known.set(grant.id, grant);
  // These queries are pipelined. Postgres runs them in order, so everything after the grant locks sees what
  // the previous lock holder committed: of two requests with one key, the second sees the first's payment.
  // The lock of the suspension is taken first, and the suspension is read behind it. So a batch either ends before a
  // suspension begins, or sees it.
  const [, , grants, wallets, { payments, ...read }, knownPayees, breakerCounts] =
    await Promise.all([
      tx.query(KEEP_PLANS),
      holdSuspension(tx, treasuryId),
      lockKnown(tx, treasuryId, known),
      lockWallets(tx, treasuryId, wantedAssets(orders)),
      readPaymentsAndTreasury(tx, treasuryId, orders),
      readKnownPayees(tx, treasuryId, known.values(), payeesOf(orders)),
      readBreakerCounts(tx, treasuryId, known.values()),
    ]);
  const approved = grantsOfApproved(payments.values());
  const chainIds = approved.flatMap((grantId) => chains.get(grantId)?.map(({ id }) => id) ?? []);
  const actorsOf = await readActors(tx, treasuryId, chainIds);
  return { grants, wallets, payments, bounds, actorsOf, knownPayees, breakerCounts, ...read };
}

/** The grants of the payments that may be handed over now. Approvals change only under the locks of their chain, which this batch holds. */
function grantsOfApproved(payments: Iterable<PaymentRecord>): string[] {
  return [...payments]
    .filter(({ status, approval }) => status === 'pending_approval' && approval?.approvedAt)
    .map(({ grantId }) => grantId);
}

/** The offers that a batch may pay: each names a payee. */
function* payeesOf(orders: readonly ReservationOrder[]) {
  for (const order of orders) yield* order.matchable();
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
     WHERE b.treasury_id = $1 AND w.status = 'active' AND b.code IS NULL AND b.held_since IS NULL
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

interface TreasuryRow {
  now: Date;
  in_use_alive: number;
  in_use_waiting: number;
  in_use_open: number;
}

async function readPaymentsAndTreasury(
  tx: ClientBase,
  treasuryId: string,
  orders: readonly ReservationOrder[],
): Promise<
  Pick<LockedState, 'payments' | 'now' | 'usage' | 'isStopped' | 'paysZero' | 'fencedUntil'>
> {
  const { rows } = await tx.query<
    Partial<PaymentRow> &
      TreasuryRow & { is_stopped: boolean; zero_payments: boolean; fenced_until: Date | null }
  >({
    name: 'find-by-keys',
    // An index seek (`key >= k ORDER BY key LIMIT 1`), so that a generic plan must use the unique index.
    text: `SELECT t.*, ${PAYMENT_COLUMNS}
     FROM (SELECT date_trunc('milliseconds', clock_timestamp()) AS now, u.alive AS in_use_alive,
         u.waiting AS in_use_waiting, u.open_payments AS in_use_open, o.zero_payments, o.fenced_until,
         EXISTS (SELECT FROM treasury_suspensions s WHERE s.treasury_id = o.id) AS is_stopped
       FROM treasuries o JOIN treasury_usage u ON u.treasury_id = o.id WHERE o.id = $1) t
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
  if (!first) throw new Error(`treasury ${treasuryId} has no usage`);
  const usage = {
    alive: first.in_use_alive,
    waiting: first.in_use_waiting,
    openPayments: first.in_use_open,
  };
  const payments = new Map<string, PaymentRecord>();
  for (const row of rows) {
    if (typeof row.id !== 'string') continue;
    const payment = toPaymentRecord(row as PaymentRow);
    payments.set(keyOf(payment), payment);
  }
  return {
    payments,
    now: first.now,
    usage,
    isStopped: first.is_stopped,
    paysZero: first.zero_payments,
    fencedUntil: first.fenced_until ?? undefined,
  };
}
