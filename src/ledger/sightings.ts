import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import type { BlockMark } from '../domain/network.js';
import { parseTraceparent } from '../tracing/trace-scope.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow } from './grant-rows.js';

/** A settlement in a block that is not final yet: good news, and no ground for anything final. */
export interface Sighting {
  readonly treasuryId: string;
  readonly paymentId: string;
  readonly transaction: string;
  readonly blockNumber: bigint;
}

interface SightingRow {
  treasury_id: string;
  payment_id: string;
  grant_id: string;
  traceparent: string | null;
  transaction: string;
  block_number: string;
  was_seen: boolean;
}

/**
 * Writes what the blocks that are not final yet show of a network's open payments, all of it: what was
 * seen before and is not among it was taken back by a reorganisation, and is withdrawn. Statuses and
 * money stay as they are.
 *
 * @param after - the cursor the sightings were read behind; nothing is written once it has moved on.
 * @returns the treasuries in which something changed.
 */
export function applySightings(
  database: Database,
  network: string,
  after: bigint,
  head: BlockMark,
  sightings: readonly Sighting[],
): Promise<string[]> {
  return database.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE chain_cursors SET head_number = $3, head_hash = $4, head_time = $5, updated_at = now()
       WHERE network = $1 AND block_number = $2`,
      [network, after.toString(), head.number.toString(), head.hash, head.time.toString()],
    );
    if (rowCount !== 1) return [];
    const seen = [
      sightings.map(({ treasuryId }) => treasuryId),
      sightings.map(({ paymentId }) => paymentId),
      sightings.map(({ transaction }) => transaction),
      sightings.map(({ blockNumber }) => blockNumber.toString()),
    ];
    const withdrawn = await tx.query<SightingRow>(
      `DELETE FROM sightings s USING payments p
       WHERE s.network = $1 AND p.treasury_id = s.treasury_id AND p.id = s.payment_id
         AND NOT EXISTS (SELECT 1 FROM unnest($2::text[], $3::text[]) AS n (treasury_id, payment_id)
           WHERE n.treasury_id = s.treasury_id AND n.payment_id = s.payment_id)
       RETURNING s.treasury_id, s.payment_id, p.grant_id, p.traceparent, s.transaction, s.block_number`,
      [network, ...seen.slice(0, 2)],
    );
    const written = await tx.query<SightingRow>(
      `INSERT INTO sightings AS s (treasury_id, payment_id, network, transaction, block_number)
       SELECT n.treasury_id, n.payment_id, $1, n.transaction, n.block_number
       FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
         AS n (treasury_id, payment_id, transaction, block_number)
       JOIN payments p ON p.treasury_id = n.treasury_id AND p.id = n.payment_id
         AND p.status = 'authorized'
       ON CONFLICT (treasury_id, payment_id) DO UPDATE
         SET transaction = excluded.transaction, block_number = excluded.block_number
         WHERE (s.transaction, s.block_number) <> (excluded.transaction, excluded.block_number)
       RETURNING treasury_id, payment_id, transaction, block_number,
         (SELECT p.grant_id FROM payments p WHERE p.treasury_id = s.treasury_id AND p.id = s.payment_id) AS grant_id,
         (SELECT p.traceparent FROM payments p WHERE p.treasury_id = s.treasury_id AND p.id = s.payment_id) AS traceparent`,
      [network, ...seen],
    );
    const event =
      (kind: NewEvent['kind']) =>
      (row: SightingRow): NewEvent => ({
        treasuryId: row.treasury_id,
        kind,
        actor: 'system:settlement',
        grantId: row.grant_id,
        paymentId: row.payment_id,
        trace: parseTraceparent(row.traceparent) ?? null,
        data: { network, transaction: row.transaction, blockNumber: row.block_number },
      });
    const events = [
      ...withdrawn.rows.map(event('payment.sighting_withdrawn')),
      ...written.rows.map(event('payment.seen')),
    ];
    await appendEvents(tx, await databaseNow(tx), events);
    return [...new Set(events.map(({ treasuryId }) => treasuryId))];
  });
}

/** Forgets the sightings of payments that have ended: what is final needs no provisional word. */
export async function dropSightings(
  tx: ClientBase,
  ended: readonly { treasury_id: string; id: string }[],
): Promise<void> {
  if (ended.length === 0) return;
  await tx.query(
    `DELETE FROM sightings s USING unnest($1::text[], $2::text[]) AS e (treasury_id, id)
     WHERE s.treasury_id = e.treasury_id AND s.payment_id = e.id`,
    [ended.map(({ treasury_id }) => treasury_id), ended.map(({ id }) => id)],
  );
}

/** Columns of a {@link ChainViewRow}, beside those of a payment aliased `p`. */
export const CHAIN_VIEW_COLUMNS = `(SELECT jsonb_build_object('transaction', s.transaction,
    'blockNumber', s.block_number::text,
    'confirmations', greatest(c.head_number - s.block_number + 1, 1)::int)
  FROM sightings s JOIN chain_cursors c ON c.network = s.network
  WHERE s.treasury_id = p.treasury_id AND s.payment_id = p.id) AS seen`;

/** One row of {@link CHAIN_VIEW_COLUMNS}. */
export interface ChainViewRow {
  seen: { transaction: string; blockNumber: string; confirmations: number } | null;
}
