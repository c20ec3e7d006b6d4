import { currencyOf, formatAmount, parseAmount } from '../domain/money.js';
import type { Network } from '../domain/network.js';
import { bazaarOf } from './bazaar.js';
import { type GatewayFile, GatewayFileError, type PlaceOf } from './gateway-file.js';
import type { Market } from './offers.js';
import type { ImportedDocument, ImportedOperation } from './openapi-import.js';
import { declaredPrice, type PriceList, pricesOf } from './price-list.js';
import { Quotes } from './quotes.js';
import { Routes } from './routes.js';

/** An operation that is served. */
export interface SoldOperation extends ImportedOperation {
  /** Its prices; undefined for a free one. */
  readonly prices: PriceList | undefined;
  readonly settle: 'after' | 'before' | 'first_byte';
  /** Whether paid answers are handed on while they arrive. */
  readonly isStreamed: boolean;
  readonly timeoutSeconds: number;
  readonly description: string;
  /** Extensions of x402 v2 in its 402. */
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** Everything that one configuration sells. It never changes: a new configuration is a new shop. */
export class Shop {
  readonly routes: Routes<SoldOperation>;
  readonly markets: readonly Market[];
  readonly quotes: Quotes;
  readonly openedAt = new Date().toISOString();

  constructor(
    readonly file: GatewayFile,
    readonly imported: ImportedDocument,
    readonly operations: readonly SoldOperation[],
    networks: readonly Network[],
  ) {
    this.routes = new Routes(operations);
    this.markets = marketsOf(file, networks);
    const priced = operations.flatMap(({ id, method, path, prices, timeoutSeconds }) =>
      prices ? [{ id, method, path, prices, timeoutSeconds }] : [],
    );
    const { payTo, settleSeconds } = file;
    const markets = this.markets.map(({ network, asset }) => ({
      network: network.network,
      asset: asset.address,
    }));
    this.quotes = new Quotes({ payTo, settleSeconds, markets, operations: priced }, this.markets);
  }

  /** The price of an operation for people, such as `0.01 USDC a request`. */
  costOf({ prices }: SoldOperation): string {
    const [market] = this.markets;
    if (!prices || !market) return 'free';
    const currency = currencyOf(market.asset.currency);
    const { min, max } = pricesOf(prices, currency);
    const least = formatAmount(min, currency);
    const range = min === max ? least : `${least} to ${formatAmount(max, currency)}`;
    return `${range} ${currency.code} a request`;
  }

  /** The upstream's base. */
  get upstream(): string {
    return this.file.upstream ?? this.imported.server ?? '';
  }
}

/**
 * Puts a configuration and a document together.
 *
 * @throws GatewayFileError naming every line that does not fit the document or the configured networks.
 */
export function openShop(
  file: GatewayFile,
  imported: ImportedDocument,
  networks: readonly Network[],
  placeOf: PlaceOf,
): Shop {
  const problems: string[] = [];
  const complain = (path: readonly PropertyKey[], what: string) =>
    problems.push(`${placeOf(path)}${what}`);
  for (const name of file.network) {
    const network = networks.find((each) => each.network === name);
    if (!network) complain(['network'], `${name} is not configured; name it in BURSAR_NETWORKS`);
    else if (!network.assets.some(({ currency }) => file.currency.includes(currency))) {
      complain(
        ['currency'],
        `no token of ${name} is counted in ${file.currency.join(' or ')}; see BURSAR_NETWORKS`,
      );
    }
  }
  if (file.upstream === undefined && !/^https?:\/\//.test(imported.server ?? '')) {
    complain(['upstream'], 'is required: the document names no server with an http or https URL');
  }
  const ids = new Set(
    imported.operations.flatMap(({ id, method, path }) => [id, `${method} ${path}`]),
  );
  for (const key of Object.keys(file.operations)) {
    if (!ids.has(key)) {
      complain(
        ['operations', key],
        'is no operation of the document; give an operationId, or "METHOD /path" as it stands there',
      );
    }
  }
  const markets = problems.length > 0 ? [] : marketsOf(file, networks);
  const operations = imported.operations.flatMap((operation) => {
    const sold = soldOperation(operation, file, markets, (what, key) =>
      complain(key === undefined ? ['price'] : ['operations', key], what),
    );
    return sold ? [sold] : [];
  });
  if (operations.length === 0) {
    complain([], 'nothing is served: give `price`, `free`, or prices of single operations');
  }
  if (problems.length > 0) throw new GatewayFileError([...new Set(problems)].join('\n'));
  return new Shop(file, imported, operations, networks);
}

function marketsOf(file: GatewayFile, networks: readonly Network[]): Market[] {
  return file.network.flatMap((name) => {
    const network = networks.find((each) => each.network === name);
    return (network?.assets ?? []).flatMap((asset) =>
      network && file.currency.includes(asset.currency) ? [{ network, asset }] : [],
    );
  });
}

/** An operation with its price; undefined where it has none: it is not served, rather than given away. */
function soldOperation(
  operation: ImportedOperation,
  file: GatewayFile,
  markets: readonly Market[],
  complain: (what: string, key?: string) => void,
): SoldOperation | undefined {
  const key = [operation.id, `${operation.method} ${operation.path}`].find((each) =>
    Object.hasOwn(file.operations, each),
  );
  const own = key === undefined ? {} : (file.operations[key] ?? {});
  const decimals = Math.min(...markets.map(({ asset }) => asset.decimals), 6);
  const price = own.price ?? declaredPrice(operation.paymentInfo, decimals) ?? file.price;
  const isFree =
    own.free ??
    (own.price === undefined && own.rules === undefined && price === undefined && file.free);
  if (!isFree && price === undefined) {
    if (own.rules !== undefined)
      complain('has rules, and no price for what no rule holds for', key);
    return undefined;
  }
  const prices: PriceList | undefined = isFree
    ? undefined
    : {
        price: price ?? '',
        rules: (own.rules ?? []).map(({ query = {}, headers = {}, body = {}, price: amount }) => ({
          query,
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
          ),
          body,
          price: amount,
        })),
      };
  for (const amount of prices ? [prices.price, ...prices.rules.map((rule) => rule.price)] : []) {
    for (const { asset } of markets) {
      try {
        parseAmount(amount, currencyOf(asset.currency), 'price');
      } catch (error) {
        complain(
          (error as Error).message,
          own.price === undefined && own.rules === undefined ? undefined : key,
        );
      }
    }
  }
  const settle = own.settle ?? file.settle;
  if (own.stream === true && settle === 'after') {
    complain(
      'streams, and settles after the whole answer; give `settle: first_byte` or `before`',
      key,
    );
  }
  if (own.stream === false && settle === 'first_byte') {
    complain(
      'settles at the first byte, and does not stream; give `settle: after` or `before`',
      key,
    );
  }
  const description = (own.description ?? operation.summary ?? operation.id).slice(0, 300);
  return {
    ...operation,
    prices,
    settle,
    isStreamed: settle === 'first_byte' || own.stream === true,
    timeoutSeconds: own.timeoutSeconds ?? file.timeoutSeconds,
    description,
    extensions: prices ? bazaarOf(operation) : {},
  };
}
