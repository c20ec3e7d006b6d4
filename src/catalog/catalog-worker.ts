import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { parseResource } from '../domain/scope.js';
import { AddressRefused, parseGuardedUrl } from '../http/guarded-request.js';
import type { JobPayload } from '../outbox/jobs.js';
import { OnJob } from '../outbox/on-job.js';
import { Queues } from '../outbox/queues.js';
import { Networks } from '../treasury/networks.js';
import {
  type CatalogRow,
  type CatalogSource,
  findCatalog,
  measureServices,
  replaceServices,
  roomFor,
} from './catalog-rows.js';
import type { Tokens } from './documents.js';
import { normalUrl, originOf } from './listing.js';
import { CATALOG_MS, readSource, type SourceReading, sourcesOf } from './source-reader.js';

/** How often due catalogs are looked for, in milliseconds. */
const SWEEP_MS = 5_000;

/** How often payments to the hosts that are listed are counted anew, in milliseconds. */
const MEASURE_MS = 60_000;

/** Catalogs that are read at once, over all workers: strangers that hang leave places for webhooks. */
const AT_ONCE = 4;

/** How long one worker has a catalog, in seconds: longer than a reading may take. */
const LEASE_SECONDS = CATALOG_MS / 1_000 + 60;

/** Seconds until a catalog is read again, and until one of which nothing could be read is. */
const AGAIN_SECONDS = 3_600;
const RETRY_SECONDS = 300;

/** Days after which what a document listed goes, though the document could not be read since. */
const KEPT_DAYS = 7;

/**
 * Reads catalogs. Each is read by one worker at a time, by a lease that ends by itself, and within its own bounds: one
 * that hangs or lies harms no other.
 */
@Injectable()
export class CatalogWorker {
  readonly #log = new Logger('catalog');
  #measuredAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly networks: Networks,
    @Inject(CONFIG) private readonly config: Pick<Config, 'webhooks'>,
  ) {}

  @OnJob('catalogs.read')
  onRead({ catalogId }: JobPayload<'catalogs.read'>): Promise<void> {
    return this.read(catalogId);
  }

  /** Has catalogs that are due read, and counts payments to the hosts that are listed. */
  @OnJob('catalogs.sweep', { everyMs: SWEEP_MS })
  async sweep(): Promise<void> {
    const { rows } = await this.database.pool.query<{ id: string }>(
      `SELECT id FROM catalogs WHERE next_at <= now() AND (lease_until IS NULL OR lease_until < now())
       ORDER BY next_at
       LIMIT greatest(0, ${AT_ONCE} - (SELECT count(*) FROM catalogs WHERE lease_until >= now()))`,
    );
    for (const { id } of rows) {
      await this.queues.add('catalogs.read', { catalogId: id }, `catalog-${id}`);
    }
    if (performance.now() - this.#measuredAt < MEASURE_MS) return;
    this.#measuredAt = performance.now();
    await measureServices(this.database.pool);
  }

  /** Reads the documents of a catalog, one after another. */
  async read(catalogId: string): Promise<void> {
    const lease = randomUUID();
    const { rows } = await this.database.pool.query<CatalogRow>(
      `UPDATE catalogs SET lease = $2, lease_until = now() + make_interval(secs => $3)
       WHERE id = $1 AND next_at <= now() AND (lease_until IS NULL OR lease_until < now()) RETURNING *`,
      [catalogId, lease, LEASE_SECONDS],
    );
    const [catalog] = rows;
    if (!catalog) return;
    const deadline = performance.now() + CATALOG_MS;
    const sources: CatalogSource[] = [];
    for (const reading of await this.readings(catalog, deadline)) {
      const source = await this.keep(catalog, lease, reading);
      // It was removed meanwhile, or another worker has it.
      if (!source) return;
      sources.push(source);
    }
    await this.finish(catalog, lease, sources);
  }

  private async readings(catalog: CatalogRow, deadline: number): Promise<SourceReading[]> {
    const { allow } = this.config.webhooks;
    const url = parseGuardedUrl(catalog.url, allow);
    if (typeof url === 'string') throw new AddressRefused(`catalog ${catalog.id}: url: ${url}`);
    const options = { allow, tokens: this.tokens(), deadline };
    return Promise.all(sourcesOf(url).map((source) => readSource(source, options)));
  }

  /** Writes what a document lists, if the catalog is still this worker's. */
  private keep(
    catalog: CatalogRow,
    lease: string,
    { source, listings }: SourceReading,
  ): Promise<CatalogSource | undefined> {
    return this.database.transaction(async (tx) => {
      const found = await findCatalog(tx, catalog.id, true);
      if (found?.lease !== lease) return undefined;
      if (!listings) return source;
      const room = await roomFor(tx, catalog, source.url);
      const kept: (typeof listings)[number][] = [];
      let offers = 0;
      for (const listing of listings) {
        offers += listing.offers.length;
        if (offers > room) break;
        kept.push(listing);
      }
      await replaceServices(tx, catalog, source.url, originOfUrl(catalog.url), kept);
      if (kept.length === listings.length) return source;
      const reason = `the treasury's catalogs are full: ${kept.length} of ${listings.length} operations are kept`;
      return { ...source, services: kept.length, reason };
    });
  }

  private async finish(
    { treasury_id, id, next_at }: CatalogRow,
    lease: string,
    sources: readonly CatalogSource[],
  ): Promise<void> {
    const isRead = sources.some(({ status }) => status === 'read');
    if (!isRead) this.#log.warn(`catalog ${id}: none of its documents could be read`);
    await this.database.pool.query(
      `DELETE FROM services WHERE treasury_id = $1 AND catalog_id = $2 AND seen_at < now() - make_interval(days => $3)`,
      [treasury_id, id, KEPT_DAYS],
    );
    await this.database.pool.query(
      `UPDATE catalogs SET lease = NULL, lease_until = NULL, sources = $3, read_at = now(),
         next_at = CASE WHEN next_at = $5 THEN now() + make_interval(secs => $4) ELSE next_at END
       WHERE id = $1 AND lease = $2`,
      // A refresh that was asked for meanwhile reads it once more.
      [id, lease, JSON.stringify(sources), isRead ? AGAIN_SECONDS : RETRY_SECONDS, next_at],
    );
  }

  private tokens(): Tokens {
    const { networks } = this;
    const all = networks.all();
    return {
      asset: (network, address) => networks.asset(network, address),
      networksWith: (address) =>
        all
          .filter(({ network }) => networks.asset(network, address) !== undefined)
          .map(({ network }) => network),
      hasCurrency: (code) =>
        all.some(({ assets }) => assets.some(({ currency }) => currency === code)),
    };
  }
}

/** The origin of a catalog's address, as those of operations are written. */
function originOfUrl(text: string): string {
  const resource = parseResource(normalUrl(text) ?? text);
  return resource === undefined ? '' : originOf(resource);
}
