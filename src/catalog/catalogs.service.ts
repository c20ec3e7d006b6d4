import { createHash } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { type Caller, seesTreasury, treasuriesOf } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { parseGuardedUrl } from '../http/guarded-request.js';
import { type Page, page } from '../http/paging.js';
import { newId } from '../ids.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { Notifier } from '../outbox/notifier.js';
import { Queues } from '../outbox/queues.js';
import { Wallets } from '../treasury/wallets.js';
import { type CatalogRow, findCatalog } from './catalog-rows.js';
import type { CatalogBody, CatalogListQuery, CatalogView } from './catalogs.dto.js';

/** Most catalogs of a treasury. */
const MAX_CATALOGS = 50;

/** An admin that changes a catalog, and its request. */
interface Act {
  readonly caller: Caller;
  readonly requestId: string;
}

/** Subscribes to what origins sell. */
@Injectable()
export class CatalogsService {
  readonly #log = new Logger('catalog');

  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly notifier: Notifier,
    private readonly queues: Queues,
    @Inject(CONFIG) private readonly config: Pick<Config, 'webhooks'>,
  ) {}

  /**
   * Subscribes to an origin or a document. It is read at once, and every hour.
   *
   * @throws Problem `invalid_request` for an address that may not be reached, `conflict` for one that is subscribed to, and
   *   past the bound.
   */
  async subscribe(
    { caller, requestId }: Act,
    { url: given, description, treasuryId }: CatalogBody,
  ): Promise<{ catalog: CatalogView }> {
    const url = parseGuardedUrl(given, this.config.webhooks.allow);
    if (typeof url === 'string') {
      throw new Problem('invalid_request', `url: ${url}`, { field: 'url' });
    }
    const treasury = await this.wallets.treasuryFor(caller, treasuryId);
    const id = newId('cat');
    const row = await this.database.transaction(async (tx) => {
      // One at a time, so that they are counted.
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('catalogs ' || $1, 0))`, [
        treasury,
      ]);
      const { rows: known } = await tx.query<{ id: string; url: string }>(
        'SELECT id, url FROM catalogs WHERE treasury_id = $1',
        [treasury],
      );
      const same = known.find((each) => each.url === url.href);
      if (same) {
        throw new Problem('conflict', `url: catalog ${same.id} has this address already`, {
          field: 'url',
        });
      }
      if (known.length >= MAX_CATALOGS) {
        throw new Problem(
          'conflict',
          `the treasury has ${MAX_CATALOGS} catalogs, as many as it may; delete one`,
        );
      }
      const now = await databaseNow(tx);
      const { rows } = await tx.query<CatalogRow>(
        `INSERT INTO catalogs (treasury_id, id, url, description, next_at, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $5, $6) RETURNING *`,
        [treasury, id, url.href, description ?? null, now, caller.actor],
      );
      await appendEvents(tx, now, [
        {
          treasuryId: treasury,
          kind: 'catalog.subscribed',
          actor: caller.actor,
          requestId,
          data: termsOf(id, url.href),
        },
      ]);
      return rows[0] as CatalogRow;
    });
    this.notifier.eventsWritten(treasury);
    this.readSoon(id);
    return { catalog: viewCatalog(row) };
  }

  /** A page of the catalogs of the caller's treasuries, newest first. */
  async list(caller: Caller, { cursor, limit }: CatalogListQuery): Promise<Page<CatalogView>> {
    const conditions = new Conditions()
      .add(treasuriesOf(caller), (n) => `treasury_id = ANY (${n}::text[])`)
      .add(cursor, (n) => `id < ${n}`);
    const { rows } = await this.database.pool.query<CatalogRow>(
      `SELECT * FROM catalogs ${conditions.where} ORDER BY id DESC LIMIT ${limit + 1}`,
      conditions.values,
    );
    return page(rows, limit, ({ id }) => id, viewCatalog);
  }

  /** A catalog with how its documents were read. @throws Problem `not_found` */
  async get(caller: Caller, id: string): Promise<{ catalog: CatalogView }> {
    return { catalog: viewCatalog(await this.visible(caller, id)) };
  }

  /** Reads a catalog now. @throws Problem `not_found` */
  async refresh(caller: Caller, id: string): Promise<{ catalog: CatalogView }> {
    await this.visible(caller, id);
    const { rows } = await this.database.pool.query<CatalogRow>(
      'UPDATE catalogs SET next_at = now() WHERE id = $1 RETURNING *',
      [id],
    );
    const [row] = rows;
    if (!row) throw notFound(id);
    this.readSoon(id);
    return { catalog: viewCatalog(row) };
  }

  /** Removes a catalog with what it lists. @throws Problem `not_found` */
  async remove({ caller, requestId }: Act, id: string): Promise<{ catalog: CatalogView }> {
    await this.visible(caller, id);
    const row = await this.database.transaction(async (tx) => {
      const found = await findCatalog(tx, id, true);
      if (!found) throw notFound(id);
      await appendEvents(tx, await databaseNow(tx), [
        {
          treasuryId: found.treasury_id,
          kind: 'catalog.removed',
          actor: caller.actor,
          requestId,
          data: termsOf(id, found.url),
        },
      ]);
      await tx.query('DELETE FROM catalogs WHERE treasury_id = $1 AND id = $2', [
        found.treasury_id,
        id,
      ]);
      return found;
    });
    this.notifier.eventsWritten(row.treasury_id);
    return { catalog: viewCatalog(row) };
  }

  private async visible(caller: Caller, id: string): Promise<CatalogRow> {
    const row = await findCatalog(this.database.pool, id);
    if (!row || !seesTreasury(caller, row.treasury_id)) throw notFound(id);
    return row;
  }

  /** Has a catalog read without waiting for the sweep. */
  private readSoon(catalogId: string): void {
    this.queues.add('catalogs.read', { catalogId }, `catalog-${catalogId}`).catch((error) => {
      this.#log.warn(`the queue was not told of a catalog (${error}); the sweep will find it`);
    });
  }
}

/** A catalog in its events: the rest of an address may hold a secret. */
function termsOf(catalogId: string, url: string) {
  const urlHash = createHash('sha256').update(url).digest('hex');
  return { catalogId, origin: new URL(url).origin, urlHash };
}

function notFound(id: string): Problem {
  return new Problem('not_found', `no catalog ${id}`);
}

function viewCatalog(row: CatalogRow): CatalogView {
  return {
    id: row.id,
    treasuryId: row.treasury_id,
    url: row.url,
    description: row.description,
    services: row.sources.reduce((sum, { services }) => sum + services, 0),
    sources: row.sources,
    readAt: row.read_at?.toISOString() ?? null,
    nextReadAt: row.next_at.toISOString(),
    createdAt: row.created_at.toISOString(),
    createdBy: row.created_by,
  };
}
