import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { appendEvents, type NewEvent } from './events.js';
import { fenceOnSight, withdrawFence } from './fences.js';
import { databaseNow } from './grant-rows.js';

/** A spend of a wallet that no payment stands for. Amounts are atomic units. */
export interface OutsideSpend {
  readonly treasuryId: string;
  readonly walletId: string;
  /** The wallet's address. */
  readonly address: string;
  readonly network: string;
  readonly asset: string;
  readonly transaction: string;
  /** From 0: which of such spends of the token in the transaction. */
  readonly place: number;
  /** The nonce of its authorization; undefined for a plain transfer. */
  readonly nonce: string | undefined;
  /** Undefined for an authorization that was used without a transfer. */
  readonly payTo: string | undefined;
  readonly amount: bigint;
  readonly blockNumber: bigint;
}

interface SpendRow {
  treasury_id: string;
  wallet_id: string;
  address: string;
  network: string;
  asset: string;
  transaction: string;
  place: number;
  nonce: string | null;
  pay_to: string | null;
  amount: string;
  block_number: string;
  status: 'seen' | 'final' | 'adopted' | 'withdrawn';
}

const SPEND_COLUMNS = `s.treasury_id, s.wallet_id, s.network, s.asset, s.transaction, s.place, s.nonce, s.pay_to,
  s.amount, s.block_number, s.status,
  (SELECT w.address FROM wallets w WHERE w.treasury_id = s.treasury_id AND w.id = s.wallet_id) AS address`;

/** The identity of a spend in two readings: everything but the block, which a reorganisation may change. */
export function spendKey(spend: OutsideSpend): string {
  const { treasuryId, network, transaction, asset, place, nonce, payTo, amount } = spend;
  return [treasuryId, network, transaction, asset, place, nonce, payTo, amount].join(' ');
}

/**
 * Notes spends at their first sight, and holds their wallets. Of an authorization that nobody knows, the database
 * may have lost the payment, and others with it: lost keys are fenced (see fences.ts).
 *
 * @returns those that were not known, or had been withdrawn.
 */
export function sightSpends(
  database: Database,
  spends: readonly OutsideSpend[],
): Promise<OutsideSpend[]> {
  if (spends.length === 0) return Promise.resolve([]);
  return database.transaction(async (tx) => {
    // Before the spends are looked at: of two processes that see one at once, the second finds it known.
    await lockWallets(tx, spends);
    const now = await databaseNow(tx);
    const isNew = await insertSpends(tx, spends, 'seen', now);
    const seen = spends.filter((spend) => isNew.has(spendKey(spend)));
    await hold(tx, seen, now);
    await appendEvents(
      tx,
      now,
      seen.map((spend) => spendEvent('wallet.spend_seen', spend, 'system:settlement')),
    );
    const lost = seen.filter(({ nonce }) => nonce !== undefined);
    for (const [treasuryId, transaction] of transactionOfEach(lost)) {
      await fenceOnSight(tx, treasuryId, now, {
        actor: 'system:settlement',
        reason: `transaction ${transaction} used an authorization that no payment has`,
      });
    }
    return seen;
  });
}

/**
 * Notes which spends the final blocks up to one show. What was seen in one of those blocks, and is not among them, is
 * withdrawn: its wallet is free again, and the fence that it put up falls. Before the cursor moves there: done twice, it changes nothing.
 *
 * @param finals - all spends of the blocks just read, agreed by every RPC that was asked.
 * @returns the treasuries in which something changed.
 */
export function finishSpends(
  database: Database,
  network: string,
  upTo: bigint,
  finals: readonly OutsideSpend[],
): Promise<string[]> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<SpendRow>(
      `SELECT ${SPEND_COLUMNS} FROM outside_spends s
       WHERE s.network = $1 AND s.status = 'seen' AND s.block_number <= $2`,
      [network, upTo.toString()],
    );
    const seen = rows.map(toSpend);
    if (seen.length === 0 && finals.length === 0) return [];
    await lockWallets(tx, [...finals, ...seen]);
    const now = await databaseNow(tx);
    await insertSpends(tx, finals, 'final', now);
    const withdrawn = await tx.query<SpendRow>(
      `UPDATE outside_spends s SET status = 'withdrawn', ended_at = $3
       WHERE s.network = $1 AND s.status = 'seen' AND s.block_number <= $2 RETURNING ${SPEND_COLUMNS}`,
      [network, upTo.toString(), now],
    );
    const gone = withdrawn.rows.map(toSpend);
    await hold(tx, [...finals, ...gone], now);
    await appendEvents(
      tx,
      now,
      gone.map((spend) => spendEvent('wallet.spend_withdrawn', spend, 'system:settlement')),
    );
    const fencing = gone.filter(({ nonce }) => nonce !== undefined);
    for (const [treasuryId, transaction] of transactionOfEach(fencing)) {
      await withdrawFence(tx, treasuryId, {
        actor: 'system:settlement',
        reason: `no final block shows transaction ${transaction}`,
      });
    }
    return [...new Set(gone.map(({ treasuryId }) => treasuryId))];
  });
}

/** A transaction of some spends for each of their treasuries, in the order in which these are locked. */
function transactionOfEach(spends: readonly OutsideSpend[]): [string, string][] {
  const found = new Map(spends.map(({ treasuryId, transaction }) => [treasuryId, transaction]));
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Has the spends of blocks that the chain no longer has judged anew. */
export async function reopenSpends(tx: ClientBase, network: string, above: bigint): Promise<void> {
  await tx.query(
    `UPDATE outside_spends SET status = 'seen'
     WHERE network = $1 AND status = 'final' AND block_number > $2`,
    [network, above.toString()],
  );
}

/** The explanation of a spend, and its author. */
export interface Explanation {
  readonly actor: string;
  readonly reason: string;
}

/**
 * Explains the spends of a transaction: an admin vouches for them, and their wallets may pay again. The grants' money
 * is not touched.
 *
 * @returns the spends explained now.
 * @throws Problem as {@link finalSpends}.
 */
export function adoptSpends(
  database: Database,
  transaction: string,
  by: Explanation,
): Promise<OutsideSpend[]> {
  return database.transaction(async (tx) =>
    explainSpends(tx, await finalSpends(tx, transaction), by, undefined),
  );
}

/**
 * The spends of a transaction that wait for an explanation.
 *
 * @throws Problem `not_found` when the books know no such spend, `invalid_transition` before it is final and after it
 *   was explained or withdrawn.
 */
export async function finalSpends(tx: ClientBase, transaction: string): Promise<OutsideSpend[]> {
  const { rows } = await tx.query<SpendRow>(
    `SELECT ${SPEND_COLUMNS} FROM outside_spends s WHERE s.transaction = $1
     ORDER BY s.treasury_id, s.network, s.asset, s.place`,
    [transaction],
  );
  const [first] = rows;
  if (!first) {
    throw new Problem('not_found', `no unexplained spend in transaction ${transaction} is known`);
  }
  const pending = rows.find(({ status }) => status === 'seen');
  if (pending) {
    throw new Problem(
      'invalid_transition',
      `transaction ${transaction} is in block ${pending.block_number}, which is not final yet; ask again when it is`,
    );
  }
  const open = rows.filter(({ status }) => status === 'final');
  if (open.length > 0) return open.map(toSpend);
  throw new Problem(
    'invalid_transition',
    `transaction ${transaction} needs no explanation: it is ${first.status}`,
  );
}

/** Writes the explanation of final spends of one transaction, and frees wallets that have no other. */
export async function explainSpends(
  tx: ClientBase,
  spends: readonly OutsideSpend[],
  { actor, reason }: Explanation,
  payment: { readonly id: string; readonly grantId: string } | undefined,
): Promise<OutsideSpend[]> {
  await lockWallets(tx, spends);
  const now = await databaseNow(tx);
  const { rows } = await tx.query<SpendRow>(
    `UPDATE outside_spends s SET status = 'adopted', ended_at = $2, ended_by = $3, reason = $4, payment_id = $5
     WHERE s.transaction = $1 AND s.status = 'final' RETURNING ${SPEND_COLUMNS}`,
    [spends[0]?.transaction, now, actor, reason, payment?.id ?? null],
  );
  const explained = rows.map(toSpend);
  await hold(tx, explained, now);
  await appendEvents(
    tx,
    now,
    explained.map((spend) => ({
      ...spendEvent('wallet.spend_adopted', spend, actor),
      grantId: payment?.grantId,
      paymentId: payment?.id,
      reason,
    })),
  );
  return explained;
}

/** Writes spends that are not known, and those that came back. @returns the keys of these. */
async function insertSpends(
  tx: ClientBase,
  spends: readonly OutsideSpend[],
  status: 'seen' | 'final',
  now: Date,
): Promise<Set<string>> {
  if (spends.length === 0) return new Set();
  // A spend that is final, or explained, stays so whatever a lagging RPC shows again.
  const { rows } = await tx.query<SpendRow & { is_new: boolean }>(
    `WITH given AS (
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[],
         $9::numeric[], $10::bigint[])
         AS g (treasury_id, network, transaction, asset, place, wallet_id, nonce, pay_to, amount, block_number)),
     before AS (
       SELECT s.* FROM outside_spends s JOIN given g USING (treasury_id, network, transaction, asset, place)
       WHERE s.status <> 'withdrawn')
     INSERT INTO outside_spends AS s (treasury_id, network, transaction, asset, place, wallet_id, nonce, pay_to, amount,
       block_number, status, seen_at)
     SELECT g.*, $11, $12 FROM given g
     ON CONFLICT (treasury_id, network, transaction, asset, place) DO UPDATE
       SET status = excluded.status, block_number = excluded.block_number, ended_at = NULL,
         seen_at = CASE WHEN s.status = 'withdrawn' THEN excluded.seen_at ELSE s.seen_at END
       WHERE s.status IN ('seen', 'withdrawn')
     RETURNING ${SPEND_COLUMNS}, NOT EXISTS (
       SELECT FROM before b WHERE b.treasury_id = s.treasury_id AND b.network = s.network
         AND b.transaction = s.transaction AND b.asset = s.asset AND b.place = s.place) AS is_new`,
    [
      spends.map(({ treasuryId }) => treasuryId),
      spends.map(({ network }) => network),
      spends.map(({ transaction }) => transaction),
      spends.map(({ asset }) => asset),
      spends.map(({ place }) => place),
      spends.map(({ walletId }) => walletId),
      spends.map(({ nonce }) => nonce ?? null),
      spends.map(({ payTo }) => payTo ?? null),
      spends.map(({ amount }) => amount.toString()),
      spends.map(({ blockNumber }) => blockNumber.toString()),
      status,
      now,
    ],
  );
  return new Set(rows.filter(({ is_new }) => is_new).map((row) => spendKey(toSpend(row))));
}

/** Locks the funds of the wallets of spends, in the order in which reservations lock them: one that waits sees the hold. */
async function lockWallets(tx: ClientBase, spends: readonly OutsideSpend[]): Promise<void> {
  await tx.query(
    `SELECT 1 FROM wallet_balances
     WHERE (treasury_id, wallet_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
     ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`,
    walletsOf(spends),
  );
}

/** Holds the wallets of spends that have an unexplained one, and frees those that have none. Their funds are locked. */
async function hold(tx: ClientBase, spends: readonly OutsideSpend[], now: Date): Promise<void> {
  await tx.query(
    `UPDATE wallet_balances b SET held_since = CASE WHEN EXISTS (
         SELECT FROM outside_spends s WHERE s.treasury_id = b.treasury_id AND s.wallet_id = b.wallet_id
           AND s.status IN ('seen', 'final')) THEN coalesce(b.held_since, $3) END
     WHERE (b.treasury_id, b.wallet_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
    [...walletsOf(spends), now],
  );
}

function walletsOf(spends: readonly OutsideSpend[]): [string[], string[]] {
  return [spends.map(({ treasuryId }) => treasuryId), spends.map(({ walletId }) => walletId)];
}

function spendEvent(kind: NewEvent['kind'], spend: OutsideSpend, actor: string): NewEvent {
  const { treasuryId, walletId, address, network, asset, transaction, place } = spend;
  return {
    treasuryId,
    kind,
    actor,
    data: {
      walletId,
      address,
      network,
      asset,
      transaction,
      place,
      nonce: spend.nonce ?? null,
      to: spend.payTo ?? null,
      value: spend.amount.toString(),
      blockNumber: spend.blockNumber.toString(),
    },
  };
}

function toSpend(row: SpendRow): OutsideSpend {
  return {
    treasuryId: row.treasury_id,
    walletId: row.wallet_id,
    address: row.address,
    network: row.network,
    asset: row.asset,
    transaction: row.transaction,
    place: row.place,
    nonce: row.nonce ?? undefined,
    payTo: row.pay_to ?? undefined,
    amount: BigInt(row.amount),
    blockNumber: BigInt(row.block_number),
  };
}
