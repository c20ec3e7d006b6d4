import { currencyOf, parseAmount, parseAtomic } from '../domain/money.js';
import type { Asset } from '../domain/network.js';
import { Problem } from '../domain/problem.js';
import { parseAddress } from '../evm.js';
import { parsePaymentRequired } from '../x402/parse.js';
import { type ListedOffer, type Listing, listingOf, type RawListing } from './listing.js';

/** Most operations that one document lists, the pages of a discovery endpoint taken together. */
export const MAX_LISTINGS = 50_000;

/** The currency of prices that a document gives in dollars: what the published servers make of `$0.01`. */
const DOLLARS_ARE = 'USDC';

/** The tokens that can be paid here. */
export interface Tokens {
  asset(network: string, address: string): Asset | undefined;
  /** The networks that have a token at an address. */
  networksWith(address: string): readonly string[];
  hasCurrency(code: string): boolean;
}

/** Kind of a document. */
export type DocumentKind = 'discovery' | 'well-known' | 'openapi';

/** A document as it was read. */
export interface ReadDocument {
  readonly kind: DocumentKind;
  readonly listings: readonly Listing[];
  /** URLs that are listed without a price. */
  readonly unpriced: readonly string[];
  /** Entries that cannot be listed: of another token, malformed, without a price. */
  readonly skipped: number;
  /** Entries in all. */
  readonly entries: number;
  /** Entries of all pages, where a discovery endpoint says so. */
  readonly total: number | undefined;
}

type Members = Readonly<Record<string, unknown>>;

/**
 * Reads what a document lists: a page of `/discovery/resources`, `/.well-known/x402`, or an OpenAPI document with
 * `x-payment-info`. Each entry is judged alone.
 *
 * @param base - where the document was fetched.
 * @throws Error saying that it is none of them.
 */
export function readDocument(document: unknown, base: URL, tokens: Tokens): ReadDocument {
  const root = membersOf(document);
  if (root && typeof root.openapi === 'string') return readOpenApi(root, base, tokens);
  if (root && Array.isArray(root.items)) {
    const pages = membersOf(root.pagination);
    const total = typeof pages?.total === 'number' ? pages.total : undefined;
    return readEntries('discovery', root.items, base, tokens, total);
  }
  if (root && Array.isArray(root.resources)) {
    return readEntries('well-known', root.resources, base, tokens, undefined);
  }
  throw new Error(
    'it is no page of /discovery/resources, no /.well-known/x402 and no OpenAPI document',
  );
}

function readEntries(
  kind: 'discovery' | 'well-known',
  entries: readonly unknown[],
  base: URL,
  tokens: Tokens,
  total: number | undefined,
): ReadDocument {
  const listings: Listing[] = [];
  const unpriced: string[] = [];
  const read = entries.slice(0, MAX_LISTINGS);
  for (const entry of read) {
    if (typeof entry === 'string') {
      // "GET https://..." or the URL alone.
      const url = resolved(entry.replace(/^GET\s+/, ''), base);
      if (url) unpriced.push(url);
      continue;
    }
    const item = membersOf(entry);
    const listing = item && listingOf(entryOf(item, base, tokens));
    if (listing) listings.push(listing);
  }
  const skipped = entries.length - listings.length - unpriced.length;
  return { kind, listings, unpriced, skipped, entries: entries.length, total };
}

/** An entry of a discovery endpoint, or an object of a `/.well-known/x402`. */
function entryOf(item: Members, base: URL, tokens: Tokens): RawListing {
  const resource = membersOf(item.resource);
  const url = firstText(item.url, item.resource, resource?.url);
  const metadata = membersOf(item.metadata);
  return {
    method: methodOf(item),
    url: url === undefined ? undefined : resolved(url, base),
    name: firstText(item.serviceName, resource?.serviceName, item.name, metadata?.name),
    description: firstText(
      item.description,
      resource?.description,
      metadata?.description,
      membersOf(firstOf(item.accepts))?.description,
    ),
    tags: item.tags ?? resource?.tags,
    offers: allOffers(item, tokens),
  };
}

/** The method that an entry's bazaar extension names, or the `outputSchema` of x402 v1. */
function methodOf(item: Members): unknown {
  const bazaar = membersOf(membersOf(item.extensions)?.bazaar);
  const input = membersOf(membersOf(bazaar?.info)?.input);
  const schema = membersOf(membersOf(firstOf(item.accepts))?.outputSchema);
  return item.method ?? input?.method ?? membersOf(schema?.input)?.method;
}

/** The entries of an item's `accepts` that are of registered tokens, read as those of a 402. */
function offersOf(item: Members, tokens: Tokens): ListedOffer[] {
  if (!Array.isArray(item.accepts)) return [];
  const x402Version = item.x402Version === 1 ? 1 : 2;
  return offersOf402({ x402Version, accepts: item.accepts }, tokens);
}

/** The offers of a 402 that are of registered tokens; none where it cannot be read. */
export function offersOf402(paymentRequired: unknown, tokens: Tokens): ListedOffer[] {
  try {
    const { offers } = parsePaymentRequired(paymentRequired);
    return offers.flatMap(({ network, asset, payTo, amount }) => {
      const currency = tokens.asset(network, asset)?.currency;
      return currency === undefined ? [] : [{ network, asset, payTo, amount, currency }];
    });
  } catch (error) {
    if (error instanceof Problem) return [];
    throw error;
  }
}

/** Every offer of an entry or of `x-payment-info`, in both dialects. A price in money counts where no token is named. */
function allOffers(info: Members, tokens: Tokens): ListedOffer[] {
  const offers = Array.isArray(info.offers) ? info.offers : [info];
  const exact = [
    ...offersOf(info, tokens),
    ...offers.flatMap((offer) => atomicOffer(membersOf(offer), tokens)),
  ];
  if (exact.length > 0) return exact;
  return moneyOf(info.price ?? info.maxPrice ?? info.minPrice, tokens);
}

/**
 * A price in money: `"$0.01"`, `"0.01"`, or `{ mode, currency, amount | min, max }`. Of a range the upper end counts: a
 * grant that can pay it can pay all of it.
 */
function moneyOf(price: unknown, tokens: Tokens): ListedOffer[] {
  const members = membersOf(price);
  const text = members ? (members.amount ?? members.max ?? members.min) : price;
  const given = members?.currency ?? 'USD';
  const code = given === 'USD' ? DOLLARS_ARE : given;
  if (typeof code !== 'string' || !tokens.hasCurrency(code)) return [];
  const digits = typeof text === 'string' ? text.replace(/^\$/, '') : String(text);
  try {
    const amount = parseAmount(digits, currencyOf(code), 'price');
    return [{ network: null, asset: null, payTo: null, currency: code, amount }];
  } catch (error) {
    if (error instanceof Problem) return [];
    throw error;
  }
}

/** A price in base units of a token that stands as the currency. */
function atomicOffer(offer: Members | undefined, tokens: Tokens): ListedOffer[] {
  const asset = parseAddress(offer?.currency ?? offer?.asset);
  const amount = parseAtomic(offer?.amount);
  if (!offer || asset === undefined || amount === undefined) return [];
  const named = typeof offer.network === 'string' ? [offer.network] : tokens.networksWith(asset);
  const payTo = parseAddress(offer.payTo ?? offer.recipient) ?? null;
  return named.flatMap((network) => {
    const currency = tokens.asset(network, asset)?.currency;
    return currency === undefined ? [] : [{ network, asset, payTo, amount, currency }];
  });
}

function readOpenApi(root: Members, base: URL, tokens: Tokens): ReadDocument {
  const server = serverOf(root, base);
  const title = membersOf(root.info)?.title;
  const listings: Listing[] = [];
  let entries = 0;
  for (const [path, item] of Object.entries(membersOf(root.paths) ?? {})) {
    for (const [method, given] of Object.entries(membersOf(item) ?? {})) {
      const operation = membersOf(given);
      const info = membersOf(operation?.['x-payment-info']);
      if (!operation || !info || entries >= MAX_LISTINGS) continue;
      entries += 1;
      const listing = listingOf({
        method,
        url: server === undefined ? undefined : `${server}${path}`,
        name: firstText(operation.summary, operation.operationId, title),
        description: firstText(info.description, operation.description, title),
        tags: operation.tags,
        offers: speaksX402(info) ? allOffers(info, tokens) : [],
      });
      if (listing) listings.push(listing);
    }
  }
  const skipped = entries - listings.length;
  return { kind: 'openapi', listings, unpriced: [], skipped, entries, total: undefined };
}

/** Whether an operation may be paid by x402: one that lists its protocols lists it. */
function speaksX402({ protocols }: Members): boolean {
  if (!Array.isArray(protocols)) return true;
  return protocols.some((each) => each === 'x402' || membersOf(each)?.x402 !== undefined);
}

/** The first server of an OpenAPI document, without a slash at its end. */
function serverOf(root: Members, base: URL): string | undefined {
  const server = membersOf(firstOf(root.servers));
  const variables = membersOf(server?.variables) ?? {};
  const text = typeof server?.url === 'string' ? server.url : '/';
  const filled = text.replace(/\{([^}]{1,64})\}/g, (whole, name: string) => {
    const value = Object.hasOwn(variables, name) ? membersOf(variables[name])?.default : undefined;
    return typeof value === 'string' ? value : whole;
  });
  return resolved(filled, base)?.replace(/\/$/, '');
}

function resolved(text: string, base: URL): string | undefined {
  try {
    return new URL(text, base).href;
  } catch {
    return undefined;
  }
}

function firstText(...values: readonly unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === 'string' && value !== '');
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined;
}

function membersOf(value: unknown): Members | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Members)
    : undefined;
}
