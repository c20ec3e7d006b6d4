import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Caller } from '../access/caller.js';
import { checkSpan, grantOfFilter, treasuriesOfFilter } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { csvCell } from '../http/csv.js';
import { addSubtree, databaseNow, type GrantRecord } from '../ledger/grant-rows.js';
import { isRefusalKind } from '../ledger/refusals.js';
import {
  type Dimension,
  formatCursor,
  type RefusalsQuery,
  type RefusalsReport,
  type SpendItem,
  type SpendQuery,
  type SpendReport,
} from './reports.dto.js';
import { type SpendRow, spendSql } from './spend-query.js';

/** The most groups that one CSV file holds. */
const MAX_CSV_ROWS = 100_000;

const DAY_MS = 86_400_000;

/** The members of an item that are no group, in the order of the CSV columns. */
const FIGURES = ['currency', 'payments', 'settled', 'open', 'released', 'refused'] as const;

/** Tells who spent what, and what was refused. */
@Injectable()
export class ReportsService {
  constructor(private readonly database: Database) {}

  /** A page of the groups of a report, in the order of their dimensions. */
  async spend(caller: Caller, query: SpendQuery): Promise<SpendReport> {
    const { groupBy, limit, cursor } = query;
    if (cursor !== undefined && cursor.length !== groupBy.length + 1) {
      throw new Problem('invalid_request', 'cursor: is of a report with other dimensions', {
        field: 'cursor',
      });
    }
    const rows = await this.rows(caller, query, limit + 1);
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    return {
      items: shown.map((row) => itemOf(row, groupBy)),
      nextCursor: last === undefined ? null : formatCursor(last.keys),
    };
  }

  /**
   * All groups of a report as CSV (RFC 4180).
   *
   * @throws Problem `invalid_request` for more than {@link MAX_CSV_ROWS}: a file that is cut looks like a whole one.
   */
  async spendCsv(caller: Caller, query: SpendQuery): Promise<string> {
    const rows = await this.rows(caller, { ...query, cursor: undefined }, MAX_CSV_ROWS + 1);
    if (rows.length > MAX_CSV_ROWS) {
      throw new Problem(
        'invalid_request',
        `groupBy: the report has more than ${MAX_CSV_ROWS} groups; leave a dimension out, or ask for a shorter time`,
        { field: 'groupBy' },
      );
    }
    const head = [...query.groupBy, ...FIGURES].map(csvCell).join(',');
    const lines = rows.map((row) => {
      const item = itemOf(row, query.groupBy);
      return [...row.groups, ...FIGURES.map((figure) => item[figure])].map(csvCell).join(',');
    });
    return `${[head, ...lines].join('\r\n')}\r\n`;
  }

  /** The refused payments of a time, by code. What was only counted stands where its count was told. */
  async refusals(
    caller: Caller,
    { grantId, treasuryId, ...span }: RefusalsQuery,
  ): Promise<RefusalsReport> {
    checkSpan(span.from, span.to);
    const to = span.to ?? (await databaseNow(this.database.pool)).toISOString();
    const from = span.from ?? new Date(Date.parse(to) - DAY_MS).toISOString();
    checkSpan(from, to);
    const conditions = new Conditions()
      .add(
        await treasuriesOfFilter(this.database.pool, caller, treasuryId),
        (n) => `e.treasury_id = ANY (${n}::text[])`,
      )
      .add(from, (n) => `e.created_at >= ${n}::timestamptz`)
      .add(to, (n) => `e.created_at <= ${n}::timestamptz`)
      .always(isRefusalKind('e.kind'));
    for (const tree of await this.trees(caller, grantId)) addSubtree(conditions, tree);
    const { rows } = await this.database.pool.query<{
      code: string;
      refusals: string;
      grants: string;
      latest: Date;
    }>(
      `SELECT r.code, sum(r.refusals) AS refusals, count(DISTINCT r.grant_id) AS grants, max(r.at) AS latest
       FROM (SELECT d.data ->> 'code' AS code, coalesce((d.data ->> 'refusals')::bigint, 1) AS refusals, e.grant_id,
           e.created_at AS at
         FROM events e JOIN grants g ON g.treasury_id = e.treasury_id AND g.id = e.grant_id,
           LATERAL (SELECT e.record::jsonb -> 'data' AS data OFFSET 0) d
         ${conditions.where}) r
       GROUP BY 1 ORDER BY 2 DESC, 1`,
      conditions.values,
    );
    return {
      from,
      to,
      items: rows.map(({ code, refusals, grants, latest }) => ({
        code,
        refusals: Number(refusals),
        grants: Number(grants),
        latestAt: latest.toISOString(),
      })),
    };
  }

  private async rows(caller: Caller, query: SpendQuery, limit: number): Promise<SpendRow[]> {
    checkSpan(query.from, query.to);
    const scope = {
      groupBy: query.groupBy,
      treasuries: await treasuriesOfFilter(this.database.pool, caller, query.treasuryId),
      trees: await this.trees(caller, query.grantId),
      from: query.from === undefined ? undefined : Date.parse(query.from),
      // Times are kept in milliseconds, and the end is included.
      until: query.to === undefined ? undefined : Date.parse(query.to) + 1,
      after: query.cursor,
      limit,
    };
    return this.database.transaction(async (tx) => {
      // One snapshot for the places and the sums.
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      // Compiling the plan takes longer than running it, and a group for each payment needs room to be counted in.
      await tx.query(`SET LOCAL jit = off; SET LOCAL work_mem = '64MB'`);
      const folded = await readFolded(tx, scope.treasuries);
      const { sql, values } = spendSql({ ...scope, folded });
      const { rows } = await tx.query<SpendRow>(sql, values);
      return rows;
    });
  }

  /** The grants in whose trees payments must stand: a holder's own, and the one that is asked for. */
  private async trees(caller: Caller, grantId: string | undefined): Promise<GrantRecord[]> {
    const ids = [caller.kind === 'holder' ? caller.grantId : undefined, grantId];
    const trees: GrantRecord[] = [];
    for (const id of ids) {
      if (id === undefined) continue;
      trees.push(await grantOfFilter(this.database.pool, caller, id, 'grantId'));
    }
    return trees;
  }
}

/** The leaf of each log from which on nothing is folded. */
async function readFolded(
  tx: ClientBase,
  treasuries: readonly string[] | undefined,
): Promise<Map<string, string>> {
  const { rows } = await tx.query<{ id: string; leaf_index: string }>(
    `SELECT t.id, coalesce(c.leaf_index, 0) AS leaf_index FROM treasuries t
     LEFT JOIN spend_cursors c ON c.treasury_id = t.id WHERE $1::text[] IS NULL OR t.id = ANY ($1::text[])`,
    [treasuries ?? null],
  );
  return new Map(rows.map(({ id, leaf_index }) => [id, leaf_index]));
}

function itemOf(row: SpendRow, groupBy: readonly Dimension[]): SpendItem {
  const currency = currencyOf(row.currency);
  const units = (atomic: string) => formatAmount(BigInt(atomic), currency);
  return {
    group: Object.fromEntries(groupBy.map((name, place) => [name, row.groups[place] ?? null])),
    currency: row.currency,
    payments: Number(row.payments),
    settled: units(row.settled),
    open: units(row.open),
    released: units(row.released),
    refused: Number(row.refused),
  };
}
