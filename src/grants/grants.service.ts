import { Injectable } from '@nestjs/common';
import { type Caller, seesTreasury, treasuriesOf } from '../access/caller.js';
import { grantOfFilter } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { remaining } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { labelJson } from '../http/contract.js';
import { boundedByBytes, foundOf, type Page, type PagedRow, page } from '../http/paging.js';
import {
  addSubtree,
  databaseNow,
  findGrant,
  GRANT_COLUMNS,
  type GrantRecord,
  readGrants,
  toGrantRecord,
} from '../ledger/grant-rows.js';
import { viewGrant, viewGrants } from './grant-view.js';
import type { GrantView, ListQuery, TreeQuery } from './grants.dto.js';

/** How many grants one look for a status reads, and how many looks one page takes at most. */
const LOOK = 500;
const MAX_LOOKS = 4;

/** Shows grants: one, lists and trees. */
@Injectable()
export class GrantsService {
  constructor(private readonly database: Database) {}

  /** The caller's view of one grant. @throws Problem `not_found` for what it may not see. */
  async get(caller: Caller, id: string): Promise<GrantView> {
    const grant = await this.visible(caller, id);
    const { chain, now } = await this.chain(grant);
    return viewGrant(grant, chain, now);
  }

  /**
   * A page of the grants the caller may see; a parent comes before its children, siblings by age. A
   * status is looked for in so many grants a page: one may be short, or empty, and still have a next.
   */
  async list(caller: Caller, query: ListQuery): Promise<Page<GrantView>> {
    const own = caller.kind === 'holder' ? await this.visible(caller, caller.grantId) : undefined;
    const { pool } = this.database;
    // A holder may name its own parent, which it does not see: its own grant says which that is.
    if (query.parentId !== undefined && query.parentId !== own?.parentId) {
      await grantOfFilter(pool, caller, query.parentId, 'parentId');
    }
    await this.checkCursor(caller, query.cursor);
    const conditions = () =>
      (own ? addSubtree(new Conditions(), own) : ofTreasuries(caller))
        .add(
          query.parentId,
          (n) => `(g.treasury_id, g.parent_id) = ${placeOf(n, 'treasury_id, id')}`,
        )
        .add(query.depth, (n) => `g.depth = ${n}`)
        .add(query.holder, (n) => `g.holder = ${n}`)
        .add(query.label && labelJson(query.label), (n) => `g.labels @> ${n}::jsonb`);
    const isTree = own !== undefined;
    if (query.status === undefined) return this.page(conditions(), query, isTree);
    const items: GrantView[] = [];
    let cursor: string | undefined = query.cursor;
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const found = await this.page(conditions(), { limit: LOOK, cursor }, isTree);
      for (const grant of found.items) {
        if (grant.status === query.status) items.push(grant);
        if (items.length === query.limit) {
          const isLast = grant === found.items.at(-1) && found.nextCursor === null;
          return { items, nextCursor: isLast ? null : grant.id };
        }
      }
      if (found.nextCursor === null) return { items, nextCursor: null };
      cursor = found.nextCursor;
    }
    return { items, nextCursor: cursor ?? null };
  }

  /** A page of a grant's tree, the grant itself first, and what the whole of it comes to. */
  async tree(caller: Caller, id: string, query: TreeQuery) {
    const grant = await this.visible(caller, id);
    await this.checkCursor(caller, query.cursor);
    const { chain, now } = await this.chain(grant);
    const amount = (atomic: bigint) => formatAmount(atomic, currencyOf(grant.currency));
    return {
      ...(await this.page(addSubtree(new Conditions(), grant), query, true)),
      totals: {
        grants: chain.some(({ status }) => status === 'revoked') ? 0 : grant.alive,
        payments: grant.payments,
        openPayments: grant.openPayments,
        reserved: amount(grant.reserved),
        spent: amount(grant.spent),
        allocated: amount(grant.allocated),
        remaining: amount(remaining(chain, now)),
      },
    };
  }

  /**
   * A grant the caller may see: a holder its own and those below, an admin all of its treasuries.
   *
   * @throws Problem `not_found`, alike for what is not there and what may not be seen.
   */
  async visible(caller: Caller, id: string): Promise<GrantRecord> {
    const grant = await findGrant(this.database.pool, id);
    const seen =
      grant !== undefined &&
      seesTreasury(caller, grant.treasuryId) &&
      (caller.kind === 'admin' || grant.path.includes(caller.grantId));
    if (!seen) throw grantNotFound(id);
    return grant;
  }

  private async checkCursor(caller: Caller, cursor: string | undefined): Promise<void> {
    if (cursor !== undefined) await grantOfFilter(this.database.pool, caller, cursor, 'cursor');
  }

  /** Reads one page in the order of the trees: by an index, whatever the page's place in it. */
  private async page(
    conditions: Conditions,
    { limit, cursor }: Pick<TreeQuery, 'limit' | 'cursor'>,
    isTree: boolean,
  ): Promise<Page<GrantView>> {
    if (isTree && cursor !== undefined) {
      // Read first: told the place itself, Postgres knows how much is left, and so to stop after a page.
      const last = await findGrant(this.database.pool, cursor);
      conditions.add(last?.path.join('/') ?? null, (n) => `g.lineage > ${n}`);
    } else {
      conditions.add(
        cursor,
        (n) => `(g.treasury_id, g.lineage) > ${placeOf(n, 'treasury_id, lineage')}`,
      );
    }
    const { rows } = await this.database.pool.query<{ id: string } & PagedRow>(
      boundedByBytes(
        `SELECT ${GRANT_COLUMNS}, octet_length(g.scope::text) + octet_length(g.labels::text)
           + coalesce(octet_length(g.purpose), 0) + octet_length(g.holder) + 1024 AS page_bytes
         FROM grants g ${conditions.where} ORDER BY g.treasury_id, g.lineage LIMIT ${limit + 1}`,
      ),
      conditions.values,
    );
    const found = page(rows, limit, ({ id }) => id, toGrantRecord, foundOf(rows));
    const now = await databaseNow(this.database.pool);
    return { ...found, items: await viewGrants(this.database.pool, found.items, now) };
  }

  private async chain(grant: GrantRecord): Promise<{ chain: GrantRecord[]; now: Date }> {
    const now = await databaseNow(this.database.pool);
    const known = await readGrants(this.database.pool, grant.treasuryId, grant.path);
    const chain = grant.path.map((id) => known.get(id)).filter((each) => each !== undefined);
    return { chain, now };
  }
}

/** The one answer for a grant that is not there and for one that may not be seen. */
export function grantNotFound(id: string): Problem {
  return new Problem('not_found', `no grant ${id.slice(0, 64)}`);
}

/** All an admin may see. */
function ofTreasuries(caller: Caller): Conditions {
  return new Conditions().add(treasuriesOf(caller), (n) => `g.treasury_id = ANY (${n}::text[])`);
}

/** Where the grant of an id stands in an order. */
function placeOf(placeholder: string, columns: string): string {
  return `(SELECT ${columns} FROM grants WHERE id = ${placeholder})`;
}
