import type { ClientBase, Pool } from 'pg';
import { type Listing, originAbove, originOf } from './listing.js';

/** Most rows of a treasury's catalogs together. */
const MAX_SERVICES = 100_000;

/** How many rows go into one statement. */
const BATCH = 1_000;

/** Days over which payments to a host are counted. */
const MEASURED_DAYS = 30;

/** A document of a catalog, and how its last reading went. */
export interface CatalogSource {
  readonly url: string;
  /** Absent where it could not be read. */
  readonly kind?: 'discovery' | 'well-known' | 'openapi';
  readonly status: 'read' | 'absent' | 'failed';
  /** Why it failed, or what was left aside; null where all was read. */
  readonly reason: string | null;
  /** Operations that are listed, and entries that were skipped. */
  readonly services: number;
  readonly skipped: number;
  readonly readAt: string;
}

/** A catalog as it is stored. */
export interface CatalogRow {
  readonly treasury_id: string;
  readonly id: string;
  readonly url: string;
  readonly description: string | null;
  readonly sources: CatalogSource[];
  readonly read_at: Date | null;
  readonly next_at: Date;
  readonly lease: string | null;
  readonly created_at: Date;
  readonly created_by: string;
}

/** Finds a catalog by its id. @param lock - locks its row. */
export async function findCatalog(
  tx: Pool | ClientBase,
  id: string,
  lock = false,
): Promise<CatalogRow | undefined> {
  const { rows } = await tx.query<CatalogRow>(
    `SELECT * FROM catalogs WHERE id = $1${lock ? ' FOR NO KEY UPDATE' : ''}`,
    [id],
  );
  return rows[0];
}

/**
 * SQL of the expected price of a settled purchase: the price by the share of payments to the host that settled, of the last
 * 30 days. Two of three that nobody made stand for a host that nobody paid yet.
 */
const rankOf = (amount: string, settled: string, released: string) =>
  `trunc(${amount} * 1000 * (${settled} + ${released} + 3) / (${settled} + 2))`;

/** SQL of how payments to hosts ended, for those of `hosts(treasury_id, host)`. */
const MEASURED = `SELECT s.treasury_id, s.host,
    coalesce(sum(h.payments) FILTER (WHERE h.status = 'settled'), 0)::bigint AS settled,
    coalesce(sum(h.payments) FILTER (WHERE h.status = 'released'), 0)::bigint AS released
  FROM hosts JOIN spend_series s USING (treasury_id, host)
  JOIN spend_hours h ON h.treasury_id = s.treasury_id AND h.series_id = s.id
  WHERE h.status IN ('settled', 'released') AND h.hour > now() - interval '${MEASURED_DAYS} days'
  GROUP BY s.treasury_id, s.host`;

/** Writes what a document lists, instead of what it listed before. */
export async function replaceServices(
  tx: ClientBase,
  catalog: Pick<CatalogRow, 'treasury_id' | 'id'>,
  source: string,
  catalogOrigin: string,
  listings: readonly Listing[],
): Promise<void> {
  await tx.query(
    'DELETE FROM services WHERE treasury_id = $1 AND catalog_id = $2 AND source = $3',
    [catalog.treasury_id, catalog.id, source],
  );
  const rows = listings.flatMap((listing) => listing.offers.map((offer) => ({ listing, offer })));
  for (let start = 0; start < rows.length; start += BATCH) {
    const some = rows.slice(start, start + BATCH);
    const column = <T>(of: (row: (typeof rows)[number]) => T) => some.map(of);
    await tx.query(
      `WITH listed AS (
         SELECT * FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::boolean[],
           $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[], $16::numeric[], $17::text[], $18::text[],
           $19::text[])
           AS l (method, url, origin, origin_above, host, path, is_unambiguous, first_hand, network, asset, pay_to,
             currency, amount, name, description, words)),
       hosts AS (SELECT DISTINCT $1::text AS treasury_id, host FROM listed),
       measured AS (${MEASURED})
       INSERT INTO services (treasury_id, catalog_id, source, method, url, origin, origin_above, host, path,
         is_unambiguous, first_hand, network, asset, pay_to, currency, amount, name, description, words, settled,
         released, rank, seen_at)
       SELECT $1, $2, $3, l.method, l.url, l.origin, l.origin_above, l.host, l.path, l.is_unambiguous, l.first_hand,
         l.network, l.asset, l.pay_to, l.currency, l.amount, l.name, l.description,
         array_to_tsvector(string_to_array(l.words, ' ')), coalesce(m.settled, 0), coalesce(m.released, 0),
         ${rankOf('l.amount', 'coalesce(m.settled, 0)', 'coalesce(m.released, 0)')}, now()
       FROM listed l LEFT JOIN measured m ON m.host = l.host`,
      [
        ...[catalog.treasury_id, catalog.id, source],
        column(({ listing }) => listing.method),
        column(({ listing }) => listing.url),
        column(({ listing }) => originOf(listing.resource)),
        column(({ listing }) => originAbove(listing.resource)),
        column(({ listing }) => listing.resource.host),
        column(({ listing }) => listing.resource.path),
        column(({ listing }) => listing.resource.unambiguous),
        column(({ listing }) => originOf(listing.resource) === catalogOrigin),
        column(({ offer }) => offer.network),
        column(({ offer }) => offer.asset),
        column(({ offer }) => offer.payTo),
        column(({ offer }) => offer.currency),
        column(({ offer }) => offer.amount.toString()),
        column(({ listing }) => listing.name),
        column(({ listing }) => listing.description),
        column(({ listing }) => listing.words.join(' ')),
      ],
    );
  }
}

/** Counts anew how payments to the hosts that are listed ended, and ranks by it. */
export async function measureServices(tx: Pool | ClientBase): Promise<void> {
  await tx.query(
    `WITH hosts AS (SELECT DISTINCT treasury_id, host FROM services), measured AS (${MEASURED})
     UPDATE services v SET settled = coalesce(m.settled, 0), released = coalesce(m.released, 0),
       rank = ${rankOf('v.amount', 'coalesce(m.settled, 0)', 'coalesce(m.released, 0)')}
     FROM hosts LEFT JOIN measured m USING (treasury_id, host)
     WHERE v.treasury_id = hosts.treasury_id AND v.host = hosts.host
       AND (v.settled, v.released) IS DISTINCT FROM (coalesce(m.settled, 0), coalesce(m.released, 0))`,
  );
}

/** Rows that a catalog may still have, what it lists of a document before aside. */
export async function roomFor(
  tx: ClientBase,
  { treasury_id, id }: Pick<CatalogRow, 'treasury_id' | 'id'>,
  source: string,
): Promise<number> {
  const { rows } = await tx.query<{ others: string }>(
    `SELECT count(*) AS others FROM services WHERE treasury_id = $1 AND NOT (catalog_id = $2 AND source = $3)`,
    [treasury_id, id, source],
  );
  return Math.max(0, MAX_SERVICES - Number(rows[0]?.others ?? 0));
}
