import { Injectable } from '@nestjs/common';
import { type Caller, treasuriesOf } from '../access/caller.js';
import { checkSpan, grantOfFilter, notSeen } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { consistencyRanges, inclusionRanges, leafHash } from '../domain/merkle.js';
import { formatVerifierKey } from '../domain/note.js';
import { Problem } from '../domain/problem.js';
import { boundedByBytes, foundOf, type PagedRow, page } from '../http/paging.js';
import { addSubtree, type GrantRecord } from '../ledger/grant-rows.js';
import { isRefusalKind } from '../ledger/refusals.js';
import { Wallets } from '../treasury/wallets.js';
import type { ConsistencyQuery, EventsQuery, ExportQuery } from './audit.dto.js';
import { CSV_HEAD, csvLine } from './csv.js';
import { LogKeys } from './log-keys.js';
import { newestCheckpoint, rangeHashes, type StoredCheckpoint } from './log-rows.js';
import { forHolder } from './old-records.js';

/** How many lines of an export are read at once. */
const EXPORT_BATCH = 1_000;

interface EventRow extends Partial<PagedRow> {
  id: string;
  treasury_id: string;
  record: string;
  leaf_index: string | null;
  /** Its place in the order of writing. */
  seq: string;
  /** Its chain's grants, the root first; only of what a holder reads. */
  path?: string[];
}

/** Reads the audit log. */
@Injectable()
export class AuditService {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly keys: LogKeys,
  ) {}

  /** A page of the events the caller may see, newest first: an admin its treasuries', a holder its subtree's. */
  async events(caller: Caller, query: EventsQuery) {
    const conditions = visibleTo(caller)
      .add(query.paymentId, (n) => `e.payment_id = ${n}`)
      .add(query.kind, (n) => `e.kind = ${n}`)
      // The reason of a refusal is its code.
      .add(query.code, (n) => `${isRefusalKind('e.kind')} AND e.record::jsonb ->> 'reason' = ${n}`)
      .add(query.actor, (n) => `e.actor = ${n}`)
      .add(query.from, (n) => `e.created_at >= ${n}::timestamptz`)
      .add(query.to, (n) => `e.created_at <= ${n}::timestamptz`);
    checkSpan(query.from, query.to);
    const trees = await this.trees(caller, query.grantId);
    if (query.paymentId !== undefined) await this.checkPayment(caller, query.paymentId);
    if (query.cursor !== undefined) {
      const last = await this.event(caller, trees, query.cursor);
      if (!last) throw notSeen('cursor', `event ${query.cursor}`);
      conditions.add(last.seq, (n) => `e.seq < ${n}`);
    }
    const rows = await this.find(trees, conditions, query.limit + 1);
    return page(
      rows,
      query.limit,
      ({ id }) => id,
      (row) => {
        const { version: _version, ...event } = JSON.parse(row.record);
        return { ...event, data: dataFor(caller, row, event.data), leafIndex: row.leaf_index };
      },
      foundOf(rows),
    );
  }

  /**
   * Proves that an event is in the log, under the newest checkpoint.
   *
   * @throws Problem `not_found` for what the caller may not see, `unavailable` while it is not sealed,
   *   `forbidden` for an old record that holds figures of grants above the caller's.
   */
  async proof(caller: Caller, id: string) {
    const event = await this.event(caller, await this.trees(caller), id);
    if (!event) throw new Problem('not_found', `no event ${id}`);
    const { data } = JSON.parse(event.record);
    if (dataFor(caller, event, data) !== data) {
      throw new Problem(
        'forbidden',
        `event ${id} was sealed with figures of grants above yours, so its proof would show them; ask an admin or auditor for it`,
      );
    }
    if (event.leaf_index === null) throw notSealedYet(`event ${id}`);
    const { size, note } = await this.newest(event.treasury_id);
    const ranges = inclusionRanges(Number(event.leaf_index), size);
    return {
      id,
      treasuryId: event.treasury_id,
      record: event.record,
      leafIndex: event.leaf_index,
      leafHash: leafHash(event.record).toString('base64'),
      treeSize: String(size),
      inclusionProof: await this.hashes(event.treasury_id, ranges),
      checkpoint: note,
    };
  }

  /** The newest checkpoint of a log. @throws Problem `unavailable` before the first. */
  async checkpoint(caller: Caller, treasuryId: string | undefined): Promise<string> {
    return (await this.newest(await this.logOf(caller, treasuryId))).note;
  }

  /**
   * Proves that the tree of one size is the beginning of the tree of another.
   *
   * @throws Problem `invalid_request` for sizes the log does not have, or in the wrong order.
   */
  async consistency(caller: Caller, query: ConsistencyQuery) {
    const treasuryId = await this.logOf(caller, query.treasuryId);
    const { size } = await this.newest(treasuryId);
    const from = Number(query.from);
    const to = query.to === undefined ? size : Number(query.to);
    if (to > size) {
      const field = query.to === undefined ? 'from' : 'to';
      throw new Problem('invalid_request', `${field}: the log has ${size} leaves`, { field });
    }
    if (from > to) {
      throw new Problem('invalid_request', `from: is larger than the later size ${to}`, {
        field: 'from',
      });
    }
    const roots = [from, to].map((end) => ({ start: 0, end }));
    const [fromRoot = '', toRoot = '', ...consistencyProof] = await this.hashes(treasuryId, [
      ...roots,
      ...consistencyRanges(from, to),
    ]);
    return { from: String(from), to: String(to), fromRoot, toRoot, consistencyProof };
  }

  /** A log's public key. @throws Problem `unavailable` before there is one. */
  async key(caller: Caller, treasuryId: string | undefined): Promise<string> {
    const key = await this.keys.find(this.database.pool, await this.logOf(caller, treasuryId));
    if (!key) throw notSealedYet('the log');
    return `${formatVerifierKey(key)}\n`;
  }

  /**
   * The sealed records of a log in its order, as lines. Read in batches, so that a long log needs
   * little memory. What is sealed while it runs is left for the next export.
   */
  async export(caller: Caller, query: ExportQuery): Promise<AsyncIterable<string>> {
    const treasuryId = await this.logOf(caller, query.treasuryId);
    const size = (await newestCheckpoint(this.database.pool, treasuryId))?.size ?? 0;
    const last = query.to === undefined ? size - 1 : Math.min(Number(query.to), size - 1);
    const rows = this.readRows(treasuryId, Number(query.from ?? 0), last);
    return query.format === 'csv' ? csv(rows) : jsonLines(rows);
  }

  /** The grants in whose trees events must stand: a holder's own, and the one that is asked for. */
  private async trees(caller: Caller, grantId?: string): Promise<GrantRecord[]> {
    const ids = [caller.kind === 'holder' ? caller.grantId : undefined, grantId];
    const grants: GrantRecord[] = [];
    for (const id of ids) {
      if (id === undefined) continue;
      grants.push(await grantOfFilter(this.database.pool, caller, id, 'grantId'));
    }
    return grants;
  }

  /** @throws Problem `invalid_request` for a payment that the caller may not see. */
  private async checkPayment(caller: Caller, id: string): Promise<void> {
    const { rows } = await this.database.pool.query<{ grant_id: string }>(
      'SELECT grant_id FROM payments WHERE id = $1',
      [id],
    );
    const [payment] = rows;
    const seen =
      payment &&
      (await grantOfFilter(this.database.pool, caller, payment.grant_id, 'paymentId').catch(
        () => undefined,
      ));
    if (!seen) throw notSeen('paymentId', `payment ${id}`);
  }

  /** One event of the caller's treasuries; see {@link find}. */
  private async event(
    caller: Caller,
    trees: readonly GrantRecord[],
    id: string,
  ): Promise<EventRow | undefined> {
    const [event] = await this.find(
      trees,
      visibleTo(caller).add(id, (n) => `e.id = ${n}`),
      1,
    );
    return event;
  }

  /**
   * The newest events under conditions: the newest of each treasury, and of these the newest. Asked for
   * several treasuries at once, Postgres reads and sorts all that they have.
   *
   * @param trees - the grants in whose trees they stand, if any.
   */
  private async find(
    trees: readonly GrantRecord[],
    conditions: Conditions,
    limit: number,
  ): Promise<EventRow[]> {
    for (const grant of trees) addSubtree(conditions, grant);
    const { rows } = await this.database.pool.query<EventRow>(
      boundedByBytes(`SELECT e.*, octet_length(e.record) AS page_bytes FROM treasuries t, LATERAL (
         SELECT e.treasury_id, e.id, e.record, e.leaf_index, e.seq${trees.length > 0 ? ', g.path' : ''} FROM log_events e ${trees.length > 0 ? OF_TREES : ''}
         ${conditions.where} ORDER BY e.seq DESC LIMIT ${limit}) e
       ORDER BY e.seq DESC LIMIT ${limit}`),
      conditions.values,
    );
    return rows;
  }

  private async *readRows(
    treasuryId: string,
    first: number,
    last: number,
  ): AsyncGenerator<EventRow[]> {
    for (let from = first; from <= last; from += EXPORT_BATCH) {
      const { rows } = await this.database.pool.query<EventRow>(
        `SELECT record, leaf_index FROM log_events
         WHERE treasury_id = $1 AND leaf_index BETWEEN $2 AND $3 ORDER BY leaf_index`,
        [treasuryId, from, Math.min(from + EXPORT_BATCH - 1, last)],
      );
      yield rows;
    }
  }

  /** The treasury whose log a caller asks for. @throws Problem `not_found` for one it may not see. */
  private async logOf(caller: Caller, treasuryId: string | undefined): Promise<string> {
    if (caller.kind === 'holder') {
      if (treasuryId !== undefined && treasuryId !== caller.treasuryId)
        throw noTreasury(treasuryId);
      return caller.treasuryId;
    }
    const id = await this.wallets.treasuryFor(caller, treasuryId);
    const found = await this.database.prisma.treasury.findUnique({ where: { id } });
    if (!found) throw noTreasury(id);
    return id;
  }

  private async newest(treasuryId: string): Promise<StoredCheckpoint> {
    const checkpoint = await newestCheckpoint(this.database.pool, treasuryId);
    if (!checkpoint) throw notSealedYet('the log');
    return checkpoint;
  }

  private async hashes(treasuryId: string, ranges: Parameters<typeof rangeHashes>[2]) {
    const hashes = await rangeHashes(this.database.pool, treasuryId, ranges);
    return hashes.map((hash) => hash.toString('base64'));
  }
}

/** The conditions on treasuries `t` and their events `e` that a caller's view begins with. */
function visibleTo(caller: Caller): Conditions {
  return new Conditions()
    .always('e.treasury_id = t.id')
    .add(treasuriesOf(caller), (n) => `t.id = ANY (${n}::text[])`);
}

/** The part of a record's data that a caller may read. @returns the same object when that is all of it. */
function dataFor(
  caller: Caller,
  { path }: EventRow,
  data: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (caller.kind === 'admin') return data;
  if (!path) throw new Error('a holder reads only events of its tree');
  return forHolder(data, path, caller.grantId);
}

/** The grants of events `e`, for what {@link addSubtree} asks of them. */
const OF_TREES = 'JOIN grants g ON g.treasury_id = e.treasury_id AND g.id = e.grant_id';

async function* jsonLines(batches: AsyncIterable<EventRow[]>): AsyncGenerator<string> {
  for await (const rows of batches) yield `${rows.map(({ record }) => record).join('\n')}\n`;
}

async function* csv(batches: AsyncIterable<EventRow[]>): AsyncGenerator<string> {
  yield CSV_HEAD;
  for await (const rows of batches) {
    yield rows.map(({ record, leaf_index }) => csvLine(leaf_index ?? '', record)).join('');
  }
}

function notSealedYet(what: string): Problem {
  return new Problem('unavailable', `${what} is not sealed yet; ask again in a second`, {
    retryAfterSeconds: 1,
  });
}

function noTreasury(id: string): Problem {
  return new Problem('not_found', `no treasury ${id}`);
}
