import type { Pool } from 'pg';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import type { Network } from '../domain/network.js';
import { type Market, type Offer, offersOf } from './offers.js';
import { type PricedRequest, type PriceList, priceOf } from './price-list.js';

/** Beyond the time that a call and its settlement need, in seconds: what the payer takes to sign and to send. */
const SIGNING_SECONDS = 60;

/** An operation with its prices. */
interface PricedOperation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly prices: PriceList;
  readonly timeoutSeconds: number;
}

/** Everything of a configuration that its offers depend on, as JSON. */
export interface QuotedPrices {
  readonly payTo: `0x${string}`;
  readonly settleSeconds: number;
  /** Tokens, by their networks' CAIP-2 names. */
  readonly markets: readonly { readonly network: string; readonly asset: string }[];
  readonly operations: readonly PricedOperation[];
}

/** Gives the offers of one configuration. */
export class Quotes {
  readonly #operations: ReadonlyMap<string, PricedOperation>;

  constructor(
    readonly prices: QuotedPrices,
    private readonly markets: readonly Market[],
  ) {
    this.#operations = new Map(
      prices.operations.map((operation) => [`${operation.method} ${operation.path}`, operation]),
    );
  }

  /** Quotes of prices that were kept. Tokens that are no longer configured are left out. */
  static of(prices: QuotedPrices, networks: readonly Network[]): Quotes {
    const markets = prices.markets.flatMap((market) => {
      const network = networks.find((each) => each.network === market.network);
      const asset = network?.assets.find(({ address }) => address === market.asset);
      return network && asset ? [{ network, asset }] : [];
    });
    return new Quotes(prices, markets);
  }

  /** The offers for a request of an operation; none for one that had no price then. */
  offersFor(
    { id, method, path }: Pick<PricedOperation, 'id' | 'method' | 'path'>,
    request: PricedRequest,
  ): Offer[] {
    const operation = this.#operations.get(`${method} ${path}`);
    if (operation?.id !== id) return [];
    const { settleSeconds, payTo } = this.prices;
    const seconds = operation.timeoutSeconds + settleSeconds + SIGNING_SECONDS;
    return offersOf(this.markets, priceOf(operation.prices, request), payTo, seconds);
  }
}

/** Prices that were served before others. */
export interface EarlierPrices {
  readonly prices: QuotedPrices;
  /** Seconds since the others are served, here or by another gateway of the API. */
  readonly replacedFor: number;
}

/**
 * Keeps the prices that a gateway serves from now on, for the next one that starts.
 *
 * @param upstream - the API that is sold: its gateways share what they quoted.
 * @returns the prices before these; undefined where there were none.
 */
export async function keepPrices(
  pool: Pool,
  treasuryId: string,
  upstream: string,
  prices: QuotedPrices,
): Promise<EarlierPrices | undefined> {
  const json = canonicalJson(prices);
  const mine = [treasuryId, upstream, sha256Hex(json)];
  // Prices that others replaced and that come back are served anew from now on.
  await pool.query(
    `INSERT INTO gateway_prices AS p (treasury_id, upstream, hash, prices, served_from) VALUES ($1, $2, $3, $4, now())
     ON CONFLICT (treasury_id, upstream, hash) DO UPDATE SET served_from = now()
     WHERE EXISTS (SELECT FROM gateway_prices o WHERE o.treasury_id = $1 AND o.upstream = $2 AND o.served_from > p.served_from)`,
    [...mine, json],
  );
  const { rows } = await pool.query<{ prices: QuotedPrices; seconds: string }>(
    `SELECT o.prices, extract(epoch FROM now() - p.served_from)::text AS seconds
     FROM gateway_prices p JOIN gateway_prices o ON o.treasury_id = p.treasury_id AND o.upstream = p.upstream AND o.hash <> p.hash
     WHERE p.treasury_id = $1 AND p.upstream = $2 AND p.hash = $3
     ORDER BY o.served_from DESC LIMIT 1`,
    mine,
  );
  await pool.query(
    `DELETE FROM gateway_prices WHERE treasury_id = $1 AND upstream = $2 AND hash NOT IN
       (SELECT hash FROM gateway_prices WHERE treasury_id = $1 AND upstream = $2 ORDER BY served_from DESC LIMIT 2)`,
    mine.slice(0, 2),
  );
  const [found] = rows;
  return found && { prices: found.prices, replacedFor: Number(found.seconds) };
}
