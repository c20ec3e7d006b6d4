import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Caller } from '../access/caller.js';
import { grantOfFilter } from '../access/grant-filter.js';
import { Database } from '../database/database.js';
import { remaining } from '../domain/grant.js';
import { currencyOf, formatAmount, parseAmount } from '../domain/money.js';
import { approvalNeeded, type IsKnownPayee } from '../domain/policy.js';
import { chainOf, databaseNow, type GrantRecord, readGrants } from '../ledger/grant-rows.js';
import { readKnownPayees } from '../ledger/known-payees.js';
import { isSuspended } from '../ledger/suspensions.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';
import { cutToBytes } from './listing.js';
import { type ServiceRow, type ServiceSearch, searchServices } from './service-search.js';
import {
  formatPlace,
  type ServicesPage,
  type ServicesQuery,
  type ServiceView,
} from './services.dto.js';

/** Most bytes of a hit's JSON. */
const HIT_BYTES = 1_000;

/** Finds what a grant could buy. Nothing here permits anything: a payment is decided by its own 402. */
@Injectable()
export class ServicesService {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly networks: Networks,
  ) {}

  /**
   * A page of the operations that the asker's grant could pay: within the scopes and limits of every grant of its chain.
   * An admin who names no grant sees all that the catalogs of a treasury list.
   *
   * @throws Problem `invalid_request` for a grant that the caller does not see.
   */
  async search(caller: Caller, query: ServicesQuery): Promise<ServicesPage> {
    const grantId = query.grantId ?? (caller.kind === 'holder' ? caller.grantId : undefined);
    const grant =
      grantId === undefined
        ? undefined
        : await grantOfFilter(this.database.pool, caller, grantId, 'grantId');
    const treasuryId =
      grant?.treasuryId ?? (await this.wallets.treasuryFor(caller, query.treasuryId));
    return this.database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const chain = grant ? chainOf(await readGrants(tx, treasuryId, grant.path), grant.id) : [];
      const caps = grant
        ? await this.capsOf(tx, treasuryId, chain, query)
        : this.allCurrencies(query);
      if (caps.length === 0) return { items: [], nextCursor: null };
      const search: ServiceSearch = {
        treasuryId,
        caps,
        scopes: chain.map(({ scope }) => scope),
        network: query.network,
        words: query.q,
      };
      const rows = await searchServices(tx, search, query.cursor, query.limit);
      const shown = rows.slice(0, query.limit);
      const last = rows.length > shown.length ? shown.at(-1) : undefined;
      const isKnown = await this.knownPayees(tx, treasuryId, chain, shown);
      return {
        items: shown.map((row) => viewService(row, chain, isKnown)),
        nextCursor: last === undefined ? null : formatPlace(last),
      };
    });
  }

  /** The most that a payment of a grant may be now; none where it could pay nothing. */
  private async capsOf(
    tx: ClientBase,
    treasuryId: string,
    chain: readonly GrantRecord[],
    { maxPrice }: ServicesQuery,
  ): Promise<ServiceSearch['caps']> {
    const code = chain.at(-1)?.currency;
    if (code === undefined || (await isSuspended(tx, treasuryId))) return [];
    const bounds = [
      remaining(chain, await databaseNow(tx)),
      ...chain.flatMap(({ maxPerPayment }) => maxPerPayment ?? []),
      ...(maxPrice === undefined ? [] : [parseAmount(maxPrice, currencyOf(code), 'maxPrice')]),
    ];
    let most = bounds[0] ?? 0n;
    for (const each of bounds) if (each < most) most = each;
    return most > 0n ? [{ currency: code, most }] : [];
  }

  private allCurrencies({ maxPrice }: ServicesQuery): ServiceSearch['caps'] {
    const codes = new Set(
      this.networks.all().flatMap(({ assets }) => assets.map(({ currency }) => currency)),
    );
    return [...codes].map((code) => ({
      currency: code,
      most:
        maxPrice === undefined ? undefined : parseAmount(maxPrice, currencyOf(code), 'maxPrice'),
    }));
  }

  private async knownPayees(
    tx: ClientBase,
    treasuryId: string,
    chain: readonly GrantRecord[],
    rows: readonly ServiceRow[],
  ): Promise<IsKnownPayee> {
    const payees = rows.flatMap(({ network, pay_to }) =>
      network === null || pay_to === null ? [] : [{ network, payTo: pay_to }],
    );
    return (await readKnownPayees(tx, treasuryId, chain, payees)).isKnown;
  }
}

function viewService(
  row: ServiceRow,
  chain: readonly GrantRecord[],
  isKnown: IsKnownPayee,
): ServiceView {
  const amount = BigInt(row.amount);
  const payment = { amount, network: row.network ?? '', payTo: row.pay_to ?? '' };
  const needsApproval = approvalNeeded(chain, payment, isKnown) !== undefined;
  const view: ServiceView = {
    method: row.method,
    url: row.url,
    amount: formatAmount(amount, currencyOf(row.currency)),
    currency: row.currency,
    network: row.network,
    payTo: row.pay_to,
    ...(chain.length === 0 ? {} : { decision: needsApproval ? 'require_approval' : 'allow' }),
    outcomes: { settled: Number(row.settled), released: Number(row.released) },
    catalogId: row.catalog_id,
    firstHand: row.first_hand,
    seenAt: row.seen_at.toISOString(),
    sellerText: { name: row.name, description: '' },
  };
  const room = HIT_BYTES - Buffer.byteLength(JSON.stringify(view));
  const description = cutToBytes(row.description, Math.max(0, room));
  return { ...view, sellerText: { name: row.name, description } };
}
