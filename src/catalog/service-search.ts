import type { ClientBase } from 'pg';
import {
  parsePattern,
  parseResource,
  type ResourcePattern,
  type Scope,
  scopeRefuses,
} from '../domain/scope.js';
import type { ServicePlace } from './services.dto.js';

/** Conditions of a search. */
export interface ServiceSearch {
  readonly treasuryId: string;
  /** The currencies that count, each with the most that may be paid; undefined for no bound. Atomic units. */
  readonly caps: readonly { readonly currency: string; readonly most: bigint | undefined }[];
  /** The scopes of the grants from the root down: all of them hold. */
  readonly scopes: readonly Scope[];
  readonly network: string | undefined;
  /** Words that all must be there, each by its beginning. */
  readonly words: readonly string[] | undefined;
}

/** A row of `services`, as far as hits need it. */
export interface ServiceRow {
  readonly id: string;
  readonly rank: string;
  readonly catalog_id: string;
  readonly method: string;
  readonly url: string;
  readonly network: string | null;
  readonly asset: string | null;
  readonly pay_to: string | null;
  readonly currency: string;
  readonly amount: string;
  readonly name: string;
  readonly description: string;
  readonly settled: string;
  readonly released: string;
  readonly first_hand: boolean;
  readonly seen_at: Date;
}

const COLUMNS = `s.id, s.rank::text, s.catalog_id, s.method, s.url, s.network, s.asset, s.pay_to, s.currency,
  s.amount::text, s.name, s.description, s.settled, s.released, s.first_hand, s.seen_at`;

/** Rows in the order of rank that are looked at before everything that matches is looked for. */
const NEAR_ROWS = 1_000;

/** How often more rows are read for one page, where those before were all left out. */
const MAX_ROUNDS = 20;

/**
 * Finds what a search asks for, in the order of rank. An operation that is listed more than once stands there once: as
 * its own origin lists it, else by its best row.
 *
 * @returns one row more than `limit` where more follow.
 */
export async function searchServices(
  tx: ClientBase,
  search: ServiceSearch,
  after: ServicePlace | undefined,
  limit: number,
): Promise<ServiceRow[]> {
  // Compiling a plan takes longer than running it.
  await tx.query('SET LOCAL jit = off');
  const found: ServiceRow[] = [];
  let place = after;
  for (let round = 0; round < MAX_ROUNDS && found.length <= limit; round += 1) {
    const rows = await nextRows(tx, search, place, limit + 1);
    const last = rows.at(-1);
    found.push(
      ...(await withoutRepeats(
        tx,
        search,
        rows.filter((row) => isInScope(row, search)),
      )),
    );
    if (rows.length <= limit || !last) break;
    place = last;
  }
  return found.slice(0, limit + 1);
}

/**
 * The next rows in the order of rank. Where much matches, they are among the first that the index of that order has.
 * Where little does, Postgres finds all of it by other indexes or one scan, and sorts: walking the order until the end
 * would take several times as long.
 */
async function nextRows(
  tx: ClientBase,
  search: ServiceSearch,
  after: ServicePlace | undefined,
  size: number,
): Promise<ServiceRow[]> {
  const { sql, values } = conditionsOf(search);
  const behind = after
    ? `(s.rank, s.id) > ($${values.push(after.rank)}::numeric, $${values.push(after.id)}::bigint)`
    : 'true';
  const near = await tx.query<ServiceRow>(
    `SELECT ${COLUMNS} FROM (SELECT * FROM services_seen s WHERE s.treasury_id = $1 AND ${behind}
       ORDER BY s.rank, s.id LIMIT ${NEAR_ROWS}) s
     WHERE ${sql} ORDER BY s.rank, s.id LIMIT ${size}`,
    values,
  );
  if (near.rows.length === size) return near.rows;
  const all = await tx.query<ServiceRow>(
    `WITH matching AS MATERIALIZED (SELECT s.id, s.rank FROM services_seen s WHERE ${sql} AND ${behind}),
       best AS MATERIALIZED (SELECT id FROM matching ORDER BY rank, id LIMIT ${size})
     SELECT ${COLUMNS} FROM services_seen s WHERE s.treasury_id = $1 AND s.id IN (SELECT id FROM best)
     ORDER BY s.rank, s.id`,
    values,
  );
  return all.rows;
}

/** The domain's own judgement of a row: the SQL only makes it quick. */
function isInScope({ url, network, pay_to }: ServiceRow, { scopes }: ServiceSearch): boolean {
  const resource = parseResource(url);
  if (!resource) return false;
  const payment = { network: network ?? '', payTo: pay_to ?? '', resources: [resource] };
  return scopes.every((scope) => scopeRefuses(scope, payment) === undefined);
}

/** Leaves out rows of operations that stand elsewhere in the list. */
async function withoutRepeats(
  tx: ClientBase,
  search: ServiceSearch,
  rows: readonly ServiceRow[],
): Promise<ServiceRow[]> {
  if (rows.length === 0) return [];
  const { sql, values } = conditionsOf(search);
  const urls = `$${values.push(rows.map(({ url }) => url))}`;
  const { rows: same } = await tx.query<ServiceRow & { matches: boolean }>(
    `SELECT s.id, s.rank::text, s.method, s.url, s.network, s.pay_to, s.first_hand, (${sql}) IS TRUE AS matches
     FROM services_seen s WHERE s.treasury_id = $1 AND s.url = ANY (${urls}::text[])`,
    values,
  );
  return rows.filter((row) => {
    const listed = same.filter(({ method, url }) => method === row.method && url === row.url);
    if (!row.first_hand && listed.some(({ first_hand }) => first_hand)) return false;
    const better = listed.some(
      (other) =>
        other.matches &&
        other.first_hand === row.first_hand &&
        isBefore(other, row) &&
        isInScope(other, search),
    );
    return !better;
  });
}

function isBefore(a: ServicePlace, b: ServicePlace): boolean {
  const [first, second] = [BigInt(a.rank), BigInt(b.rank)];
  return first === second ? BigInt(a.id) < BigInt(b.id) : first < second;
}

/** The conditions of a search on `services_seen s`. The first value is the treasury. */
function conditionsOf(search: ServiceSearch): { sql: string; values: unknown[] } {
  const values: unknown[] = [search.treasuryId];
  const value = (each: unknown) => `$${values.push(each)}`;
  const conditions = ['s.treasury_id = $1', any(search.caps.map((cap) => capSql(cap, value)))];
  if (search.network !== undefined) conditions.push(`s.network = ${value(search.network)}`);
  if (search.words !== undefined) {
    // Words are letters and digits: nothing in them is syntax.
    const query = search.words.map((word) => `${word}:*`).join(' & ');
    conditions.push(`s.words @@ ${value(query)}::tsquery`);
  }
  for (const scope of distinctScopes(search.scopes)) conditions.push(...scopeSql(scope, value));
  return { sql: conditions.join(' AND '), values };
}

function capSql(
  { currency, most }: ServiceSearch['caps'][number],
  value: (each: unknown) => string,
): string {
  const sql = `s.currency = ${value(currency)}`;
  return most === undefined ? sql : `(${sql} AND s.amount <= ${value(most.toString())}::numeric)`;
}

/** Conditions for a scope to admit a listing, as `scopeRefuses` and `patternAdmits` have it. A listing that does not say is not admitted. */
function scopeSql(scope: Scope, value: (each: unknown) => string): string[] {
  const conditions: string[] = [];
  if (scope.networks) conditions.push(`s.network = ANY (${value(scope.networks)}::text[])`);
  if (scope.payTo) {
    // Both are in their EIP-55 form.
    conditions.push(`s.pay_to = ANY (${value(scope.payTo)}::text[])`);
  }
  if (!scope.resources) return conditions;
  conditions.push(any(patternsSql(scope.resources, value)));
  return conditions;
}

/** Patterns of one host are asked together: an array takes Postgres less time than as many conditions. */
function patternsSql(texts: readonly string[], value: (each: unknown) => string): string[] {
  const byHost = new Map<string, ResourcePattern[]>();
  for (const pattern of texts.map(parsePattern)) {
    const { protocol, host, port, anyLabel } = pattern;
    const key = `${anyLabel ? 's.origin_above' : 's.origin'} = ${protocol}//${host}:${port}`;
    byHost.set(key, [...(byHost.get(key) ?? []), pattern]);
  }
  return [...byHost].map(([key, patterns]) => {
    const [column = '', origin = ''] = key.split(' = ');
    const isThere = `${column} = ${value(origin)}`;
    if (patterns.some(({ anySuffix, path }) => anySuffix && path === '/')) return isThere;
    const begins = patterns.flatMap(({ anySuffix, path }) => (anySuffix ? [path] : []));
    const whole = patterns.flatMap(({ anySuffix, path }) => (anySuffix ? [] : [path]));
    const paths = [
      ...(begins.length > 0 ? [`s.path ^@ ANY (${value(begins)}::text[])`] : []),
      ...(whole.length > 0 ? [`s.path = ANY (${value(whole)}::text[])`] : []),
    ];
    return `(${isThere} AND s.is_unambiguous AND ${any(paths)})`;
  });
}

function any(conditions: readonly string[]): string {
  return conditions.length === 0 ? 'false' : `(${conditions.join(' OR ')})`;
}

/** Grants inherit the scope of the one above: the same is asked once. */
function distinctScopes(scopes: readonly Scope[]): Scope[] {
  return [...new Map(scopes.map((scope) => [JSON.stringify(scope), scope])).values()];
}
