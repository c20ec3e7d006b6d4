import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { checkSpan, treasuriesOfFilter } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { page } from '../http/paging.js';
import type {
  ConversionDimension,
  ConversionQuery,
  ConversionReport,
  RevenueDimension,
  RevenueQuery,
  RevenueReport,
  SalesQuery,
  SaleView,
} from './gateway.dto.js';

/** The word for a sale's state, see SALE_STATUSES. */
const STATUS = `CASE
  WHEN s.charge = 'settled' AND s.call IN ('failed', 'lost') THEN 'refund_owed'
  WHEN s.charge = 'settled' THEN 'settled'
  WHEN s.ended_at IS NULL THEN 'open'
  WHEN s.settle = 'free' AND s.call = 'answered' THEN 'free' ELSE 'uncharged' END`;

const GROUPS: Readonly<Record<RevenueDimension, string>> = {
  operation: 's.operation',
  payer: 's.payer',
  day: `to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')`,
  network: 's.network',
};

/** SQL: unpaid requests and sales in one shape. */
const ASKED_AND_SOLD = `(
  SELECT treasury_id, operation, to_char(day, 'YYYY-MM-DD') AS day, asked, 0 AS sales, 0 AS settled FROM gateway_asks
  UNION ALL
  SELECT treasury_id, operation, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 0, 1, (charge = 'settled')::int
  FROM gateway_sales)`;

const CONVERSION_GROUPS: Readonly<Record<ConversionDimension, string>> = {
  operation: 'u.operation',
  day: 'u.day',
};

type SaleRow = Omit<SaleView, 'createdAt' | 'endedAt'> & { createdAt: Date; endedAt: Date | null };

/** Tells what gateways sold. */
@Injectable()
export class GatewayService {
  constructor(private readonly database: Database) {}

  /** A page of sales, the newest first. */
  async sales(caller: Caller, query: SalesQuery) {
    const where = (await this.scope(caller, query))
      .add(query.operation, (value) => `s.operation = ${value}`)
      .add(query.payer, (value) => `lower(s.payer) = lower(${value})`)
      .add(query.status, (value) => `${STATUS} = ${value}`)
      .add(query.cursor, (value) => `s.id < ${value}`);
    const { rows } = await this.database.pool.query<SaleRow>(
      `SELECT s.id, s.treasury_id AS "treasuryId", ${STATUS} AS status, s.operation, s.resource, s.amount, s.currency, s.network,
         s.asset, s.payer, s.pay_to AS "payTo", s.settle, s.status_code AS "statusCode", s.transaction, s.reason,
         s.config_hash AS "configHash", s.created_at AS "createdAt", s.ended_at AS "endedAt"
       FROM gateway_sales s ${where.where} ORDER BY s.id DESC LIMIT ${query.limit + 1}`,
      where.values,
    );
    return page(
      rows,
      query.limit,
      ({ id }) => id,
      (row): SaleView => ({
        ...row,
        amount: formatAmount(BigInt(row.amount), currencyOf(row.currency)),
        createdAt: row.createdAt.toISOString(),
        endedAt: row.endedAt?.toISOString() ?? null,
      }),
    );
  }

  /** The sums of each group, in the order of the groups. */
  async revenue(caller: Caller, query: RevenueQuery): Promise<RevenueReport> {
    const where = await this.scope(caller, query);
    const groups = query.groupBy.map((name) => GROUPS[name]);
    const keys = [...groups, 's.currency'].join(', ');
    const { rows } = await this.database.pool.query<RevenueRow>(
      `SELECT array[${groups.join(', ')}]::text[] AS groups, s.currency, count(*) AS sales,
         count(*) FILTER (WHERE s.charge = 'settled') AS settled,
         coalesce(sum(s.amount) FILTER (WHERE s.charge = 'settled'), 0) AS revenue,
         coalesce(sum(s.amount) FILTER (WHERE ${STATUS} = 'refund_owed' AND NOT EXISTS (
           SELECT FROM gateway_credit_notes n WHERE n.treasury_id = s.treasury_id AND n.sale_id = s.id
             AND n.status = 'refunded')), 0) AS owed,
         count(*) FILTER (WHERE ${STATUS} = 'free') AS free,
         count(*) FILTER (WHERE ${STATUS} = 'uncharged') AS uncharged
       FROM gateway_sales s ${where.where} GROUP BY ${keys} ORDER BY ${keys} LIMIT ${query.limit + 1} OFFSET ${offsetOf(query)}`,
      where.values,
    );
    return reportPage(rows, query, (row) => {
      const currency = currencyOf(row.currency);
      return {
        currency: row.currency,
        sales: Number(row.sales),
        settled: Number(row.settled),
        revenue: formatAmount(BigInt(row.revenue), currency),
        owed: formatAmount(BigInt(row.owed), currency),
        free: Number(row.free),
        uncharged: Number(row.uncharged),
      };
    });
  }

  /** How many of those that asked for a price paid it, by group. */
  async conversion(caller: Caller, query: ConversionQuery): Promise<ConversionReport> {
    const treasuries = await treasuriesOfFilter(this.database.pool, caller, query.treasuryId);
    const where = new Conditions()
      .add(treasuries, (value) => `u.treasury_id = ANY (${value}::text[])`)
      .add(query.from, (value) => `u.day >= ${value}`)
      .add(query.to, (value) => `u.day <= ${value}`);
    const groups = query.groupBy.map((name) => CONVERSION_GROUPS[name]).join(', ');
    const { rows } = await this.database.pool.query<ConversionRow>(
      `SELECT array[${groups}]::text[] AS groups, sum(u.asked) AS asked, sum(u.sales) AS sales, sum(u.settled) AS settled
       FROM ${ASKED_AND_SOLD} u ${where.where} GROUP BY 1 ORDER BY 1 LIMIT ${query.limit + 1} OFFSET ${offsetOf(query)}`,
      where.values,
    );
    return reportPage(rows, query, (row) => ({
      asked: Number(row.asked),
      sales: Number(row.sales),
      settled: Number(row.settled),
    }));
  }

  private async scope(
    caller: Caller,
    {
      treasuryId,
      from,
      to,
    }: { treasuryId?: string | undefined; from?: string | undefined; to?: string | undefined },
  ): Promise<Conditions> {
    checkSpan(from, to);
    const treasuries = await treasuriesOfFilter(this.database.pool, caller, treasuryId);
    return new Conditions()
      .add(treasuries, (value) => `s.treasury_id = ANY (${value}::text[])`)
      .add(from, (value) => `s.created_at >= ${value}::timestamptz`)
      .add(to, (value) => `s.created_at <= ${value}::timestamptz`);
  }
}

/** The place of a page of a report: how many groups stand before it. */
function offsetOf({ cursor }: { readonly cursor?: string | undefined }): number {
  return Number(cursor ?? 0);
}

/**
 * A page of a report.
 *
 * @param rows - one more than the page has, where there is another page.
 */
function reportPage<Row extends { readonly groups: readonly string[] }, Sums extends object>(
  rows: readonly Row[],
  query: {
    readonly groupBy: readonly string[];
    readonly limit: number;
    readonly cursor?: string | undefined;
  },
  sumsOf: (row: Row) => Sums,
) {
  const { groupBy, limit } = query;
  const items = rows.slice(0, limit).map((row) => ({
    group: Object.fromEntries(groupBy.map((name, place) => [name, row.groups[place] ?? ''])),
    ...sumsOf(row),
  }));
  const nextCursor = rows.length > limit ? String(offsetOf(query) + limit) : null;
  return { items, nextCursor };
}

interface ConversionRow {
  readonly groups: readonly string[];
  readonly asked: string;
  readonly sales: string;
  readonly settled: string;
}

interface RevenueRow {
  readonly groups: readonly string[];
  readonly currency: string;
  readonly sales: string;
  readonly settled: string;
  readonly revenue: string;
  readonly owed: string;
  readonly free: string;
  readonly uncharged: string;
}
