import { createHash } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { Database } from '../database/database.js';
import { Queues } from '../outbox/queues.js';

/** How many events one transaction seals at most. */
const BATCH = 1_000;

/** How often the sweep looks for events that no bell told of, in milliseconds. */
const SWEEP_MS = 1_000;

/** The hash an empty log starts from. */
export const EMPTY_LOG_HASH = '0'.repeat(64);

/** The hash of one leaf: SHA-256(0x00, record), as RFC 9162 section 2.1.1 hashes leaves. */
export function leafHash(record: string): Buffer {
  return createHash('sha256').update('\x00').update(record, 'utf8').digest();
}

/**
 * The log's hash after one more record: SHA-256(0x01, hash before, leaf hash). Hex. Changing, dropping
 * or swapping any earlier record changes every hash after it.
 */
export function chainHash(before: string, record: string): string {
  return createHash('sha256')
    .update('\x01')
    .update(Buffer.from(before, 'hex'))
    .update(leafHash(record))
    .digest('hex');
}

/** Gives committed events their place in their treasury's log. */
@Injectable()
export class Sealer implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
  ) {}

  onModuleInit(): void {
    this.queues.handle('audit.seal', ({ treasuryId }) => this.seal(treasuryId));
    this.queues.handle('audit.sweep', () => this.sweep());
    this.queues.schedule('audit-sweep', 'audit.sweep', {}, SWEEP_MS);
  }

  /** Seals all of a treasury's unsealed events. Idempotent; picks up after any crash. */
  async seal(treasuryId: string): Promise<void> {
    while ((await this.database.transaction((tx) => sealBatch(tx, treasuryId))) === BATCH);
  }

  /** Seals every treasury that has unsealed events. */
  async sweep(): Promise<void> {
    const { rows } = await this.database.pool.query<{ id: string }>(
      `SELECT t.id FROM treasuries t WHERE EXISTS (
         SELECT 1 FROM events e WHERE e.treasury_id = t.id AND e.leaf_index IS NULL)`,
    );
    for (const { id } of rows) await this.seal(id);
  }
}

async function sealBatch(tx: ClientBase, treasuryId: string): Promise<number> {
  // The treasury's row is the sequencers' mutex: two cannot give the same place in the log.
  await tx.query('SELECT 1 FROM treasuries WHERE id = $1 FOR NO KEY UPDATE', [treasuryId]);
  const { rows: unsealed } = await tx.query<{ id: string; record: string }>(
    `SELECT id, record FROM events WHERE treasury_id = $1 AND leaf_index IS NULL
     ORDER BY seq LIMIT ${BATCH}`,
    [treasuryId],
  );
  if (unsealed.length === 0) return 0;
  const { rows: last } = await tx.query<{ leaf_index: string; chain_hash: string }>(
    `SELECT leaf_index, chain_hash FROM events
     WHERE treasury_id = $1 AND leaf_index IS NOT NULL ORDER BY leaf_index DESC LIMIT 1`,
    [treasuryId],
  );
  let index = last[0] ? BigInt(last[0].leaf_index) + 1n : 0n;
  let hash = last[0]?.chain_hash ?? EMPTY_LOG_HASH;
  const sealed = unsealed.map(({ id, record }) => {
    hash = chainHash(hash, record);
    return { id, index: (index++).toString(), hash };
  });
  await tx.query(
    `UPDATE events e SET leaf_index = s.leaf_index, chain_hash = s.chain_hash
     FROM unnest($2::text[], $3::bigint[], $4::text[]) AS s (id, leaf_index, chain_hash)
     WHERE e.treasury_id = $1 AND e.id = s.id`,
    [
      treasuryId,
      sealed.map(({ id }) => id),
      sealed.map((each) => each.index),
      sealed.map((each) => each.hash),
    ],
  );
  return sealed.length;
}
