import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { Database } from '../database/database.js';
import { leafHash } from '../domain/merkle.js';
import { formatCheckpoint, signNote } from '../domain/note.js';
import { appendEvents, areUnsealed, placeEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { overdueRefusals } from '../ledger/refusals.js';
import { EventCounts } from '../outbox/event-counts.js';
import type { JobPayload } from '../outbox/jobs.js';
import { OnJob } from '../outbox/on-job.js';
import { EventFeed } from './event-feed.js';
import { LogKeys } from './log-keys.js';
import { newestCheckpoint, rangeHashes, readTiles, writeTiles } from './log-rows.js';
import { edgeTiles, TreeEdge } from './tiles.js';

/** How many events one transaction seals at most. */
const BATCH = 2_000;

/** How often the sweep looks for events that no notification told of, in milliseconds. */
const SWEEP_MS = 1_000;

/**
 * Gives committed events their place in their treasury's log, and signs what the log is then.
 *
 * Events are sealed in the order of their `seq`, as far as they are committed. Two transactions that
 * touch the same grant or payment hold its lock one after the other, and write their events behind it:
 * the earlier one's event is always the earlier leaf. Between others the order says nothing.
 */
@Injectable()
export class Sealer {
  constructor(
    private readonly database: Database,
    private readonly keys: LogKeys,
    private readonly feed: EventFeed,
    private readonly counts: EventCounts,
  ) {}

  @OnJob('audit.seal')
  onSeal({ treasuryId }: JobPayload<'audit.seal'>): Promise<void> {
    return this.seal(treasuryId);
  }

  /** Seals all of a treasury's unsealed events. Idempotent; picks up after any crash. */
  async seal(treasuryId: string): Promise<void> {
    const sealBatch = () =>
      this.database.transaction(async (tx) => {
        // The treasury's row is the sequencers' mutex: two cannot give the same place in the log.
        await tx.query('SELECT 1 FROM treasuries WHERE id = $1 FOR NO KEY UPDATE', [treasuryId]);
        return this.sealNext(tx, treasuryId);
      });
    for (;;) {
      const sealed = await sealBatch();
      // Readers in this process need not wait for their next poll.
      if (sealed.length > 0) this.feed.wake();
      for (const kind of sealed) this.counts.sealed.inc({ kind });
      if (sealed.length < BATCH) return;
    }
  }

  /** Seals every treasury that has unsealed events, those of counted refusals among them. */
  @OnJob('audit.sweep', { everyMs: SWEEP_MS })
  async sweep(): Promise<void> {
    await this.database.transaction(async (tx) => {
      const now = await databaseNow(tx);
      await appendEvents(tx, now, await overdueRefusals(tx, now));
    });
    const { rows } = await this.database.pool.query<{ id: string }>(
      `SELECT t.id FROM treasuries t WHERE EXISTS (
         SELECT FROM unsealed_events u WHERE u.treasury_id = t.id)`,
    );
    for (const { id } of rows) await this.seal(id);
  }

  /** @returns the kinds of the events that were sealed. */
  private async sealNext(tx: ClientBase, treasuryId: string): Promise<string[]> {
    const key = await this.keys.signing(tx, treasuryId);
    const { rows: unsealed } = await tx.query<{ seq: string; kind: string; record: string }>(
      `SELECT seq, kind, record FROM events WHERE treasury_id = $1 AND ${areUnsealed('$1', BATCH)} ORDER BY seq`,
      [treasuryId],
    );
    if (unsealed.length === 0) return [];
    const tree = await openTree(tx, treasuryId);
    const first = tree.size;
    for (const { record } of unsealed) tree.append(leafHash(record));
    const seqs = unsealed.map(({ seq }) => seq);
    await placeEvents(tx, treasuryId, seqs, first);
    await writeTiles(tx, treasuryId, tree.grown());
    const { size } = tree;
    const [root] = await rangeHashes(tx, treasuryId, [{ start: 0, end: size }]);
    const text = formatCheckpoint({ origin: key.name, size, root: root as Buffer });
    // Kept in the transaction that makes it true: nobody is shown a checkpoint that a crash takes back.
    // With the size before it, so that the checker misses one that is dropped.
    await tx.query(
      `INSERT INTO log_checkpoints (treasury_id, size, note, previous)
       SELECT $1, $2, $3, coalesce(max(size), 0) FROM log_checkpoints WHERE treasury_id = $1`,
      [treasuryId, size, signNote(text, key, key.privateKey)],
    );
    return unsealed.map(({ kind }) => kind);
  }
}

/** The tree as the newest checkpoint has it. */
async function openTree(tx: ClientBase, treasuryId: string): Promise<TreeEdge> {
  const size = (await newestCheckpoint(tx, treasuryId))?.size ?? 0;
  if (size > 0) return new TreeEdge(size, await readTiles(tx, treasuryId, edgeTiles(size)));
  // A log from before there were checkpoints: its leaves have their places, and keep them.
  const tree = new TreeEdge(0, []);
  for (;;) {
    const { rows } = await tx.query<{ record: string }>(
      `SELECT record FROM log_events WHERE treasury_id = $1 AND leaf_index >= $2
       ORDER BY leaf_index LIMIT ${BATCH}`,
      [treasuryId, tree.size],
    );
    for (const { record } of rows) tree.append(leafHash(record));
    if (rows.length < BATCH) return tree;
  }
}
