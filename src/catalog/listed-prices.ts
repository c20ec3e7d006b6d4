import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { parseResource, type Resource } from '../domain/scope.js';
import { originOf } from './listing.js';

/** A way to pay an operation, as its 402 has it. */
export interface AskedPrice {
  readonly treasuryId: string;
  readonly method: string;
  readonly url: string;
  readonly network: string;
  readonly asset: string;
  readonly payTo: string;
  readonly currency: string;
  /** Atomic units. */
  readonly amount: bigint;
}

/** Listing of an operation that is quoted. */
export interface ListedPrice {
  readonly catalogId: string;
  /** Currency units. */
  readonly amount: string;
  readonly currency: string;
  /** How the price that is asked now compares with the listed one. */
  readonly drift: 'none' | 'dearer' | 'cheaper';
  /** Whether another payee is asked for than the listed one. */
  readonly otherPayee: boolean;
  /** RFC 3339. */
  readonly seenAt: string;
}

/** Templates of one origin that are compared with a URL. */
const MAX_CANDIDATES = 1_000;

interface PriceRow {
  readonly catalog_id: string;
  readonly path: string;
  readonly network: string | null;
  readonly asset: string | null;
  readonly pay_to: string | null;
  readonly amount: string;
  readonly first_hand: boolean;
  readonly seen_at: Date;
}

/** Compares what a 402 asks with what the catalogs list. It decides nothing: a listing is a stranger's text. */
@Injectable()
export class ListedPrices {
  constructor(private readonly database: Database) {}

  /** Finds the listing of an operation; undefined for one that is not listed. */
  async find(asked: AskedPrice): Promise<ListedPrice | undefined> {
    const resource = parseResource(asked.url);
    if (!resource) return undefined;
    const { rows } = await this.database.pool.query<PriceRow>(
      `SELECT catalog_id, path, network, asset, pay_to, amount::text, first_hand, seen_at FROM services_seen
       WHERE treasury_id = $1 AND origin = $2 AND method = $3 AND currency = $4
         AND (network IS NULL OR (network = $5 AND asset = $6)) AND (path = $7 OR strpos(path, '%7B') > 0)
       ORDER BY (path = $7) DESC, first_hand DESC, network NULLS LAST, amount, id LIMIT ${MAX_CANDIDATES}`,
      [
        ...[asked.treasuryId, originOf(resource), asked.method, asked.currency],
        ...[asked.network, asked.asset, resource.path],
      ],
    );
    const listed = rows.filter((row) => isListedAs(row.path, resource));
    // One way to pay of several counts as the listed one: that which goes to the payee at hand.
    const best = listed[0];
    const row = listed.find(
      (each) =>
        each.path === best?.path &&
        each.first_hand === best.first_hand &&
        each.network === best.network &&
        each.pay_to === asked.payTo,
    );
    return best && compare(row ?? best, asked);
  }
}

/** Whether a URL's path is one of a listed path, whose parameters are whole segments such as `{id}`. */
function isListedAs(listed: string, { path, unambiguous }: Resource): boolean {
  if (listed === path) return true;
  const [wanted, given] = [listed.split('/'), path.split('/')];
  if (!unambiguous || wanted.length !== given.length) return false;
  return wanted.every((segment, at) =>
    /^%7B[^/]*%7D$/.test(segment) ? given[at] !== '' : segment === given[at],
  );
}

function compare(row: PriceRow, asked: AskedPrice): ListedPrice {
  const listed = BigInt(row.amount);
  const { amount, currency, payTo } = asked;
  return {
    catalogId: row.catalog_id,
    amount: formatAmount(listed, currencyOf(currency)),
    currency,
    drift: amount === listed ? 'none' : amount > listed ? 'dearer' : 'cheaper',
    otherPayee: row.pay_to !== null && row.pay_to !== payTo,
    seenAt: row.seen_at.toISOString(),
  };
}
