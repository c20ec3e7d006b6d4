import { Injectable } from '@nestjs/common';
import { type Caller, treasuriesOf } from '../access/caller.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { page } from '../http/paging.js';
import { Wallets } from '../treasury/wallets.js';
import type { EventsQuery } from './audit.dto.js';

/** How many lines of an export are read at once. */
const EXPORT_BATCH = 1_000;

interface EventRow {
  record: string;
  leaf_index: string | null;
  chain_hash: string | null;
}

/** Reads the audit log. */
@Injectable()
export class AuditService {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
  ) {}

  /** A page of the events the caller may see, newest first: its treasuries', a holder its subtree's. */
  async events(caller: Caller, query: EventsQuery) {
    const holder = caller.kind === 'holder' ? caller : undefined;
    const ofTree = (n: string) => `EXISTS (SELECT 1 FROM grants g
      WHERE g.treasury_id = e.treasury_id AND g.id = e.grant_id AND g.path @> ARRAY[${n}::text])`;
    const conditions = new Conditions()
      .add(treasuriesOf(caller), (n) => `e.treasury_id = ANY (${n}::text[])`)
      .add(holder?.grantId, ofTree)
      .add(query.grantId, ofTree)
      .add(query.paymentId, (n) => `e.payment_id = ${n}`)
      .add(query.kind, (n) => `e.kind = ${n}`)
      .add(query.actor, (n) => `e.actor = ${n}`)
      .add(query.from, (n) => `e.created_at >= ${n}::timestamptz`)
      .add(query.to, (n) => `e.created_at <= ${n}::timestamptz`)
      .add(query.cursor, (n) => `e.seq < (SELECT seq FROM events WHERE id = ${n})`);
    const { rows } = await this.database.pool.query<EventRow & { id: string }>(
      `SELECT e.id, e.record, e.leaf_index, e.chain_hash FROM events e ${conditions.where}
       ORDER BY e.seq DESC LIMIT ${query.limit + 1}`,
      conditions.values,
    );
    return page(
      rows,
      query.limit,
      ({ id }) => id,
      (row) => {
        const { version: _version, ...event } = JSON.parse(row.record);
        return { ...event, leafIndex: row.leaf_index, chainHash: row.chain_hash };
      },
    );
  }

  /**
   * The sealed records of a treasury's log (the main one's, when undefined) as lines, in the order of
   * the log. Read in batches, so that a long log needs little memory.
   *
   * @throws Problem `not_found` for a treasury the caller may not see.
   */
  async lines(
    caller: Caller,
    treasuryId: string | undefined,
    from: string | undefined,
    to: string | undefined,
  ): Promise<AsyncIterable<string>> {
    const id = await this.wallets.treasuryFor(caller, treasuryId);
    return this.readLines(id, BigInt(from ?? '0'), to === undefined ? undefined : BigInt(to));
  }

  private async *readLines(
    treasuryId: string,
    from: bigint,
    to: bigint | undefined,
  ): AsyncIterable<string> {
    let next = from;
    while (true) {
      const { rows } = await this.database.pool.query<EventRow>(
        `SELECT record, leaf_index FROM events
         WHERE treasury_id = $1 AND leaf_index >= $2 AND leaf_index <= coalesce($3::bigint, leaf_index)
         ORDER BY leaf_index LIMIT ${EXPORT_BATCH}`,
        [treasuryId, next.toString(), to?.toString() ?? null],
      );
      if (rows.length > 0) yield `${rows.map(({ record }) => record).join('\n')}\n`;
      if (rows.length < EXPORT_BATCH) return;
      next = BigInt(rows.at(-1)?.leaf_index ?? 0) + 1n;
    }
  }
}
