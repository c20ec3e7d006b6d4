import { Conditions } from '../database/conditions.js';
import { areUnsealed } from '../ledger/events.js';
import { addSubtree, type GrantRecord } from '../ledger/grant-rows.js';
import { isRefusalKind } from '../ledger/refusals.js';
import type { Dimension } from './reports.dto.js';
import { amountIn, factsOf, refusalsOf, SPEND_KINDS } from './spend-facts.js';

const HOUR_MS = 3_600_000;

/** Scope of a report. */
export interface SpendScope {
  readonly groupBy: readonly Dimension[];
  /** Undefined for all. */
  readonly treasuries: readonly string[] | undefined;
  /** The trees that the grants must all stand in. */
  readonly trees: readonly GrantRecord[];
  /** Milliseconds since 1970. From this time. */
  readonly from: number | undefined;
  /** Before this time. */
  readonly until: number | undefined;
  /** The keys after which the page begins. */
  readonly after: readonly string[] | undefined;
  readonly limit: number;
  /** The leaf of each log from which on nothing is folded. As parameters they let Postgres know how little that is. */
  readonly folded: ReadonlyMap<string, string>;
}

/** One row of a {@link spendSql} query. Amounts are atomic units. */
export interface SpendRow {
  /** The sorting keys: of each dimension, and the currency. */
  keys: string[];
  groups: (string | null)[];
  currency: string;
  payments: string;
  settled: string;
  open: string;
  released: string;
  refused: string;
}

const PAYMENTS_OF_STATUS = (...statuses: string[]) =>
  `coalesce(sum(f.amount) FILTER (WHERE f.status IN (${statuses.map((each) => `'${each}'`).join(', ')})), 0)::text`;

/**
 * One statement, so that the sums, the events that are not folded yet, the open payments and the edges are of one
 * snapshot: a report is exact to the atomic unit while payments are made and folded.
 *
 * Whole hours come from the sums, these events and the open payments. The part of an hour at either end is read from its
 * payments and refusals.
 */
export function spendSql(scope: SpendScope): { sql: string; values: unknown[] } {
  const conditions = new Conditions();
  for (const tree of scope.trees) addSubtree(conditions, tree);
  const inTrees = conditions.where.replace('WHERE', 'AND');
  const values: unknown[] = conditions.values;
  const bind = (value: unknown) => `$${values.push(value)}`;
  const treasuries = scope.treasuries && bind(scope.treasuries);
  const ofTreasury = (column: string) =>
    treasuries === undefined ? 'true' : `${column} = ANY (${treasuries}::text[])`;
  const parts = factParts(scope, { bind, ofTreasury, inTrees });
  const groups = scope.groupBy.map((dimension) => groupOf(dimension, bind));
  const keys = groups.map(
    (_, place) => `CASE WHEN d${place} IS NULL THEN '1' ELSE '0' || d${place} END`,
  );
  const names = groups.map((_, place) => `d${place}`);
  const after =
    scope.after === undefined
      ? ''
      : `WHERE (${[...names.map((_, place) => `k[${place + 1}]`), 'currency'].map((key) => `${key} COLLATE "C"`).join(', ')})
           > (${scope.after.map((key) => `${bind(key)}::text`).join(', ')})`;
  return {
    sql: `SELECT k || currency AS keys, ARRAY[${names.join(', ')}]::text[] AS groups, r.* FROM (
        SELECT q.*, ARRAY[${keys.join(', ')}]::text[] AS k FROM (
          SELECT ${groups.map((sql, place) => `${sql} AS d${place}, `).join('')}g.currency,
            coalesce(sum(f.payments) FILTER (WHERE f.status <> 'refused'), 0)::text AS payments,
            ${PAYMENTS_OF_STATUS('settled')} AS settled, ${PAYMENTS_OF_STATUS('authorized')} AS open,
            ${PAYMENTS_OF_STATUS('released', 'cancelled')} AS released,
            coalesce(sum(f.payments) FILTER (WHERE f.status = 'refused'), 0)::text AS refused
          FROM (${parts.join('\n UNION ALL ')}) f (treasury_id, grant_id, network, pay_to, host, at, status, payments, amount)
          JOIN grants g ON g.treasury_id = f.treasury_id AND g.id = f.grant_id
          WHERE true ${inTrees}
          GROUP BY ${[...groups.map((_, place) => String(place + 1)), 'g.currency'].join(', ')}
          HAVING sum(f.payments) > 0) q) r
      ${after}
      ORDER BY ${[...names.map((_, place) => `k[${place + 1}]`), 'currency'].map((key) => `${key} COLLATE "C"`).join(', ')}
      LIMIT ${scope.limit}`,
    values,
  };
}

/** Parts of the statement that others are made with. */
interface StatementParts {
  /** Adds a value, and gives its parameter. */
  readonly bind: (value: unknown) => string;
  /** The condition on a column with a treasury's id. */
  readonly ofTreasury: (column: string) => string;
  /** The condition on `grants g`, from its `AND` on. */
  readonly inTrees: string;
}

/** The statements that give the facts: those of whole hours, then those of the edges. */
function factParts(scope: SpendScope, { bind, ofTreasury, inTrees }: StatementParts): string[] {
  const { whole, edges } = spans(scope);
  const within = (column: string, { from, until }: Span) =>
    [
      from === undefined ? 'true' : `${column} >= ${bind(new Date(from))}::timestamptz`,
      until === undefined ? 'true' : `${column} < ${bind(new Date(until))}::timestamptz`,
    ].join(' AND ');
  const bucket = bucketOf(scope.groupBy);
  // Summed up here: thousands of open payments are of a few grants, which each row of the report is joined with.
  const payments = (which: string, span: Span) =>
    `SELECT p.treasury_id, p.grant_id, p.network, p.pay_to, coalesce(p.host, ''), ${bucket('p.created_at')},
       p.status, count(*), sum(${amountIn('p.status')})
     FROM payments p WHERE ${which} AND ${ofTreasury('p.treasury_id')} AND ${within('p.created_at', span)}
     GROUP BY 1, 2, 3, 4, 5, 6, 7`;
  const parts: string[] = [];
  if (whole) {
    const ofTree =
      scope.trees.length === 0
        ? ''
        : `AND (h.treasury_id, h.series_id) IN (SELECT s.treasury_id, s.id FROM spend_series s
             JOIN grants g ON g.treasury_id = s.treasury_id AND g.id = s.grant_id WHERE true ${inTrees})`;
    parts.push(
      `SELECT s.treasury_id, s.grant_id, s.network, s.pay_to, s.host, x.at, x.status, x.payments, x.amount
       FROM (SELECT h.treasury_id, h.series_id, ${bucket('h.hour')} AS at, h.status,
           sum(h.payments) AS payments, sum(h.amount) AS amount
         FROM spend_hours h WHERE ${ofTreasury('h.treasury_id')} AND ${within('h.hour', whole)} ${ofTree}
         GROUP BY 1, 2, 3, 4) x
       JOIN spend_series s ON s.treasury_id = x.treasury_id AND s.id = x.series_id`,
      `SELECT treasury_id, grant_id, network, pay_to, host, ${bucket('at')}, status, payments, amount
       FROM (${factsOf(unfolded(scope.folded, bind))}) n WHERE ${within('n.at', whole)}`,
      ...OPEN.map((isOpen) => payments(isOpen(ofTreasury), whole)),
    );
  }
  for (const edge of edges) {
    parts.push(
      payments('true', edge),
      `SELECT treasury_id, grant_id, network, pay_to, host, ${bucket('at')}, status, payments, amount
       FROM (${refusalsOf(
         `SELECT * FROM events WHERE ${isRefusalKind('kind')}
            AND ${ofTreasury('treasury_id')} AND ${within('created_at', edge)}`,
       )}) n`,
    );
  }
  return parts;
}

/**
 * The conditions on open payments, one for each status. An index finds them among millions of ended ones:
 * `(network, status, valid_before)` those that are authorized, and the partial index `payments_waiting` the others.
 */
const OPEN: readonly ((ofTreasury: StatementParts['ofTreasury']) => string)[] = [
  // A payment is signed only for a wallet with a balance on its network, and balances are never deleted.
  (ofTreasury) =>
    `p.status = 'authorized' AND p.network = ANY (ARRAY(
       SELECT DISTINCT b.network FROM wallet_balances b WHERE ${ofTreasury('b.treasury_id')}))`,
  () => `p.status = 'pending_approval'`,
];

/** A time span, in milliseconds since 1970: from the first, before the second. */
interface Span {
  readonly from: number | undefined;
  readonly until: number | undefined;
}

/** The whole hours of a span, and what is left of it at its ends. */
export function spans({ from, until }: Span): { whole: Span | undefined; edges: Span[] } {
  const first = from === undefined ? undefined : Math.ceil(from / HOUR_MS) * HOUR_MS;
  const last = until === undefined ? undefined : Math.floor(until / HOUR_MS) * HOUR_MS;
  if (first !== undefined && last !== undefined && first >= last) {
    return { whole: undefined, edges: [{ from, until }] };
  }
  const edges: Span[] = [];
  if (from !== undefined && first !== undefined && from < first) edges.push({ from, until: first });
  if (until !== undefined && last !== undefined && last < until) edges.push({ from: last, until });
  return { whole: { from: first, until: last }, edges };
}

/** The events that are not folded: sealed behind the fold's place, and not sealed yet. */
function unfolded(folded: ReadonlyMap<string, string>, bind: (value: unknown) => string): string {
  const columns = 'treasury_id, kind, grant_id, payment_id, record, created_at';
  const kinds = bind([...SPEND_KINDS]);
  const ofLog = [...folded].flatMap(([treasuryId, leafIndex]) => {
    const treasury = bind(treasuryId);
    const ofKinds = `treasury_id = ${treasury} AND kind = ANY (${kinds}::text[])`;
    return [
      `SELECT ${columns} FROM log_events WHERE ${ofKinds} AND leaf_index >= ${bind(leafIndex)}::bigint`,
      `SELECT ${columns} FROM events WHERE ${ofKinds} AND ${areUnsealed(treasury)}`,
    ];
  });
  return ofLog.length > 0
    ? ofLog.join(' UNION ALL ')
    : `SELECT ${columns} FROM events WHERE kind = ANY (${kinds}::text[]) AND false`;
}

/** The SQL that rounds a time down to what the dimensions tell apart: the least that a sum must be kept by. */
function bucketOf(groupBy: readonly Dimension[]): (column: string) => string {
  if (groupBy.includes('hour')) return (column) => `date_trunc('hour', ${column}, 'UTC')`;
  if (groupBy.includes('day')) return (column) => `date_trunc('day', ${column}, 'UTC')`;
  return () => 'NULL::timestamptz';
}

const GROUPS: Readonly<Record<Exclude<Dimension, `label:${string}`>, string>> = {
  day: `to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD')`,
  hour: `to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')`,
  grant: 'f.grant_id',
  root: 'g.root_id',
  holder: 'g.holder',
  payTo: `nullif(f.pay_to, '')`,
  host: `nullif(f.host, '')`,
  network: `nullif(f.network, '')`,
  status: 'f.status',
};

function groupOf(dimension: Dimension, bind: (value: unknown) => string): string {
  return dimension.startsWith('label:')
    ? `g.labels ->> ${bind(dimension.slice('label:'.length))}::text`
    : GROUPS[dimension as keyof typeof GROUPS];
}
