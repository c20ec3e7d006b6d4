import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { cancelOn, releaseOn, settleOn } from '../domain/charge.js';
import type { BlockMark } from '../domain/network.js';
import type { PaymentEnd } from '../domain/payment.js';
import { parseTraceparent } from '../tracing/trace-scope.js';
import { addUsage } from './bounds.js';
import { returnAfterEnd, writeReturns } from './carve-outs.js';
import { appendEvents, type NewEvent } from './events.js';
import { chainOf, databaseNow, type GrantRecord, lockChains, writeCounters } from './grant-rows.js';
import { reopenSpends } from './outside-spends.js';
import { dropSightings } from './sightings.js';

/** The end of one payment, as the finalized chain tells it. */
export interface Closing {
  readonly treasuryId: string;
  readonly paymentId: string;
  readonly end: PaymentEnd;
  /** Amount that the transaction moved to the payee, in atomic units; 0 unless it settled the payment. */
  readonly paid: bigint;
  /** The transaction that settled or cancelled it; undefined for a release. */
  readonly transaction: string | undefined;
  readonly blockNumber: bigint;
}

/** A wallet's balance of an asset at the block read up to. Atomic units. */
export interface BalanceReading {
  readonly treasuryId: string;
  readonly walletId: string;
  readonly asset: string;
  readonly balance: bigint;
}

/** Everything one reading of a network found, up to and including one finalized block. */
export interface ChainReading {
  readonly network: string;
  /** The block the previous reading ended at; undefined for the first. */
  readonly after: bigint | undefined;
  readonly upTo: BlockMark;
  readonly closings: readonly Closing[];
  /**
   * Every wallet's balance at `upTo`. Undefined in the middle of a catch-up, where a node may no longer
   * know the balances of so long ago: what settled is then taken off the balances known, and what came
   * in counts once the catch-up is over.
   */
  readonly balances: readonly BalanceReading[] | undefined;
}

/** How many of the blocks read up to are remembered of a network, to find the way back after a reorg. */
export const BLOCKS_REMEMBERED = 128;

interface ClosedRow {
  treasury_id: string;
  id: string;
  grant_id: string;
  status: PaymentEnd;
  currency: string;
  amount: string;
  paid: string;
  wallet_id: string;
  asset: string;
  transaction: string | null;
  block_number: string;
  authorized_at: Date;
  traceparent: string | null;
}

/**
 * Writes what the chain says, in one transaction: ends reservations, moves the balances and the
 * cursor. All or nothing, so that a balance never counts a payment twice: once as gone from the
 * wallet, once as still reserved.
 *
 * Each payment ends once: the guarded update passes over what is no longer `authorized`.
 *
 * @returns the ids of the payments that ended now, or undefined when another worker has read on
 *   meanwhile and this reading is out of date.
 */
export function applyReading(
  database: Database,
  reading: ChainReading,
): Promise<string[] | undefined> {
  return database.transaction(async (tx) => {
    if (!(await advanceCursor(tx, reading))) return undefined;
    return endPayments(tx, reading);
  });
}

/**
 * Ends payments whose time is over at the block the network was read up to. Its balances stay as they were
 * read at that block.
 *
 * @param at - the block at which their nonces were looked up.
 * @returns the ids of the payments that ended now, or undefined when the cursor is no longer at that block.
 */
export function applyReleases(
  database: Database,
  network: string,
  at: BlockMark,
  closings: readonly Closing[],
): Promise<string[] | undefined> {
  return database.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE chain_cursors SET updated_at = now()
       WHERE network = $1 AND block_number = $2 AND block_hash = $3`,
      [network, at.number.toString(), at.hash],
    );
    if (rowCount !== 1) return undefined;
    return endPayments(tx, { network, upTo: at, closings, balances: undefined });
  });
}

async function endPayments(
  tx: ClientBase,
  reading: Omit<ChainReading, 'after'>,
): Promise<string[]> {
  const closed = await closePayments(tx, reading);
  await creditGrants(tx, reading.network, closed, await databaseNow(tx));
  await creditWallets(tx, reading, closed);
  await dropSightings(tx, closed);
  for (const treasuryId of [...new Set(closed.map((each) => each.treasury_id))].sort()) {
    const ended = closed.filter((each) => each.treasury_id === treasuryId).length;
    await addUsage(tx, treasuryId, { openPayments: -ended });
  }
  return closed.map(({ id }) => id);
}

/** Moves the network's cursor on, unless another worker already has. Its row is the workers' mutex. */
async function advanceCursor(tx: ClientBase, reading: ChainReading): Promise<boolean> {
  const { upTo } = reading;
  const values = [reading.network, upTo.number.toString(), upTo.hash, upTo.time.toString()];
  const { rowCount } =
    reading.after === undefined
      ? await tx.query(
          `INSERT INTO chain_cursors (network, block_number, block_hash, block_time)
           VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
          values,
        )
      : await tx.query(
          `UPDATE chain_cursors SET block_number = $2, block_hash = $3, block_time = $4,
             updated_at = now()
           WHERE network = $1 AND block_number = $5 AND block_number < $2`,
          [...values, reading.after.toString()],
        );
  if (rowCount !== 1) return false;
  await tx.query(
    `INSERT INTO chain_blocks (network, number, hash, time) VALUES ($1, $2, $3, $4)
     ON CONFLICT (network, number) DO UPDATE SET hash = excluded.hash, time = excluded.time`,
    values,
  );
  await tx.query(
    `DELETE FROM chain_blocks WHERE network = $1 AND number <= (
       SELECT number FROM chain_blocks WHERE network = $1
       ORDER BY number DESC OFFSET ${BLOCKS_REMEMBERED} LIMIT 1)`,
    [reading.network],
  );
  return true;
}

/**
 * Sets a network back to an earlier block that its chain still has: what was read after it is read
 * again. What ended in between stays ended.
 *
 * @returns false when another worker has moved the cursor meanwhile.
 */
export function rewindCursor(
  database: Database,
  network: string,
  from: bigint,
  to: BlockMark,
): Promise<boolean> {
  return database.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE chain_cursors SET block_number = $2, block_hash = $3, block_time = $4,
         head_hash = NULL, updated_at = now()
       WHERE network = $1 AND block_number = $5`,
      [network, to.number.toString(), to.hash, to.time.toString(), from.toString()],
    );
    if (rowCount !== 1) return false;
    await tx.query('DELETE FROM chain_blocks WHERE network = $1 AND number > $2', [
      network,
      to.number.toString(),
    ]);
    await reopenSpends(tx, network, to.number);
    return true;
  });
}

async function closePayments(
  tx: ClientBase,
  { closings, upTo }: Omit<ChainReading, 'after'>,
): Promise<ClosedRow[]> {
  if (closings.length === 0) return [];
  // A release needs the final block's time and this clock past the payment's end, whatever was read.
  const { rows } = await tx.query<ClosedRow>(
    `UPDATE payments p SET status = c.status, paid = c.paid, transaction = c.transaction,
       block_number = c.block_number, ended_at = clock_timestamp()
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $7::numeric[])
       AS c (treasury_id, id, status, transaction, block_number, paid)
     WHERE p.treasury_id = c.treasury_id AND p.id = c.id AND p.status = 'authorized'
       AND (c.status <> 'released'
         OR p.valid_before < least($6, floor(extract(epoch FROM clock_timestamp()))::bigint))
     RETURNING p.treasury_id, p.id, p.grant_id, p.status, p.currency, p.amount, p.paid, p.wallet_id, p.asset,
       p.transaction, p.block_number, p.authorized_at, p.traceparent`,
    [
      closings.map(({ treasuryId }) => treasuryId),
      closings.map(({ paymentId }) => paymentId),
      closings.map(({ end }) => end),
      closings.map(({ transaction }) => transaction ?? null),
      closings.map(({ blockNumber }) => blockNumber.toString()),
      upTo.time.toString(),
      closings.map(({ paid }) => paid.toString()),
    ],
  );
  return rows;
}

/**
 * Turns what was reserved into spent, or gives it back, on the paying grants and all above them: to
 * their budgets, to what was set aside for a carve-out, and to the windows that are still open. Writes their
 * events.
 */
async function creditGrants(
  tx: ClientBase,
  network: string,
  closed: readonly ClosedRow[],
  now: Date,
): Promise<void> {
  const treasuries = new Set(closed.map(({ treasury_id }) => treasury_id));
  // The same order as every other lock on grants (see lockChains): by treasury, then id.
  for (const treasuryId of [...treasuries].sort()) {
    const payments = closed.filter(({ treasury_id }) => treasury_id === treasuryId);
    const grants = await lockChains(
      tx,
      treasuryId,
      payments.map(({ grant_id }) => grant_id),
    );
    for (const payment of payments) {
      const credited = creditedBy(payment, chainOf(grants, payment.grant_id));
      for (const grant of credited) grants.set(grant.id, grant);
    }
    const returns = returnAfterEnd(grants, now);
    await writeCounters(tx, treasuryId, [...grants.values()]);
    // Read after the locks, and a return after the end that made it possible: the log is replayed in order.
    await appendEvents(
      tx,
      now,
      payments.map((payment) => endedEvent(network, payment)),
    );
    await writeReturns(tx, treasuryId, returns, now);
  }
}

/** The chain of a payment after its end. */
function creditedBy(
  { status, amount, paid, authorized_at: decidedAt }: ClosedRow,
  chain: readonly GrantRecord[],
): GrantRecord[] {
  if (status === 'settled') {
    return settleOn(chain, { held: BigInt(amount), paid: BigInt(paid), decidedAt });
  }
  if (status === 'cancelled') return cancelOn(chain, BigInt(amount));
  return releaseOn(chain, BigInt(amount), decidedAt);
}

function endedEvent(network: string, payment: ClosedRow): NewEvent {
  return {
    treasuryId: payment.treasury_id,
    kind: `payment.${payment.status}`,
    actor: 'system:settlement',
    grantId: payment.grant_id,
    paymentId: payment.id,
    trace: parseTraceparent(payment.traceparent) ?? null,
    data: {
      currency: payment.currency,
      value: payment.amount,
      network,
      transaction: payment.transaction,
      blockNumber: payment.block_number,
      // Records without this member are of a time when what was signed was always paid whole.
      ...(payment.status === 'settled' ? { paid: payment.paid } : {}),
      // Records without this member are of a time when a cancelled payment was no longer counted.
      ...(payment.status === 'cancelled' ? { counted: true } : {}),
    },
  };
}

/** Frees what the ended payments held on their wallets, and sets the balances that were read. */
async function creditWallets(
  tx: ClientBase,
  { network, upTo, balances }: Omit<ChainReading, 'after'>,
  closed: readonly ClosedRow[],
): Promise<void> {
  if (closed.length === 0 && !balances?.length) return;
  // In the order in which reservations lock them.
  await tx.query(
    `SELECT 1 FROM wallet_balances WHERE network = $1
     ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`,
    [network],
  );
  // A balance that was read at or above a transfer's block has it already.
  await tx.query(
    `UPDATE wallet_balances b SET reserved = b.reserved - d.freed,
       balance = greatest(b.balance - d.paid, 0)
     FROM (
       SELECT c.treasury_id, c.wallet_id, c.asset, sum(c.amount) AS freed,
         coalesce(sum(c.paid) FILTER (WHERE c.block > w.block_number), 0) AS paid
       FROM unnest($2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::bigint[])
         AS c (treasury_id, wallet_id, asset, amount, paid, block)
       JOIN wallet_balances w ON w.treasury_id = c.treasury_id AND w.wallet_id = c.wallet_id
         AND w.network = $1 AND w.asset = c.asset
       GROUP BY c.treasury_id, c.wallet_id, c.asset) d
     WHERE b.treasury_id = d.treasury_id AND b.wallet_id = d.wallet_id AND b.network = $1
       AND b.asset = d.asset`,
    [
      network,
      closed.map(({ treasury_id }) => treasury_id),
      closed.map(({ wallet_id }) => wallet_id),
      closed.map(({ asset }) => asset),
      closed.map(({ amount }) => amount),
      closed.map(({ paid }) => paid),
      closed.map(({ block_number }) => block_number),
    ],
  );
  if (!balances) return;
  await tx.query(
    `UPDATE wallet_balances b SET balance = r.balance, block_number = $2, updated_at = now()
     FROM unnest($3::text[], $4::text[], $5::text[], $6::numeric[])
       AS r (treasury_id, wallet_id, asset, balance)
     WHERE b.treasury_id = r.treasury_id AND b.wallet_id = r.wallet_id AND b.network = $1
       AND b.asset = r.asset`,
    [
      network,
      upTo.number.toString(),
      balances.map(({ treasuryId }) => treasuryId),
      balances.map(({ walletId }) => walletId),
      balances.map(({ asset }) => asset),
      balances.map(({ balance }) => balance.toString()),
    ],
  );
}
