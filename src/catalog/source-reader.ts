import { requestGuarded } from '../http/guarded-request.js';
import type { CatalogSource } from './catalog-rows.js';
import {
  type DocumentKind,
  MAX_LISTINGS,
  offersOf402,
  type ReadDocument,
  readDocument,
  type Tokens,
} from './documents.js';
import { type Listing, listingOf, plainText } from './listing.js';

/** How much of a document, or of a page, is read, in bytes. */
const MAX_BYTES = 4_194_304;

/** Longest YAML that is parsed, in bytes: its parser takes as long as that of twenty times as much JSON. */
const MAX_YAML_BYTES = 262_144;

/** How long one request may take, and all those of one catalog, in milliseconds. */
const REQUEST_MS = 15_000;
export const CATALOG_MS = 120_000;

/** Entries that a page of a discovery endpoint is asked for, and most pages of it. */
const PAGE = 500;
const MAX_PAGES = 500;

/** URLs without a price that are asked for theirs. */
const MAX_PROBES = 50;

/** Documents that an origin is asked for. */
const WELL_KNOWN_PATHS = ['/discovery/resources', '/.well-known/x402', '/openapi.json'];

/** Bounds on requests to strangers. */
export interface SourceOptions {
  /** Addresses or CIDR ranges that are no public ones and may be reached all the same. */
  readonly allow: readonly string[];
  readonly tokens: Tokens;
  /** When a catalog must be done, by `performance.now()`. */
  readonly deadline: number;
}

/** A document that was read, with what it lists; without listings when it was not. */
export interface SourceReading {
  readonly source: CatalogSource;
  /** Undefined where what was listed before stays: the document is not there now. */
  readonly listings: readonly Listing[] | undefined;
}

/** The documents of a catalog: of an origin those at the usual places, else the one at the address. */
export function sourcesOf(url: URL): URL[] {
  if (url.pathname !== '/' || url.search !== '') return [url];
  return WELL_KNOWN_PATHS.map((path) => new URL(path, url));
}

/** Reads one document of a catalog. Never throws: what went wrong is told in its `source`. */
export async function readSource(url: URL, options: SourceOptions): Promise<SourceReading> {
  const readAt = new Date().toISOString();
  const told = { url: url.href, services: 0, skipped: 0, readAt };
  try {
    const first = await fetchDocument(pageOf(url, 0), options);
    if (first === undefined) {
      const source = { ...told, status: 'absent', reason: null } as const;
      return { source, listings: [] };
    }
    const read = readDocument(first, url, options.tokens);
    const whole =
      read.kind === 'discovery' ? await readPages(url, read, options) : { ...read, reason: null };
    const probed = await probe(url, whole.unpriced, options);
    const listings = distinct([...whole.listings, ...probed]).slice(0, MAX_LISTINGS);
    const skipped = whole.skipped + whole.unpriced.length - probed.length;
    const kind: DocumentKind = whole.kind;
    const services = listings.length;
    return {
      source: { ...told, kind, status: 'read', reason: whole.reason, services, skipped },
      listings,
    };
  } catch (error) {
    const reason = plainText(error instanceof Error ? error.message : 'unknown', 200);
    return { source: { ...told, status: 'failed', reason }, listings: undefined };
  }
}

/** A page of a discovery endpoint; any other document as it is. */
function pageOf(url: URL, offset: number): URL {
  if (!url.pathname.endsWith('/discovery/resources')) return url;
  const page = new URL(url);
  page.searchParams.set('limit', String(PAGE));
  page.searchParams.set('offset', String(offset));
  return page;
}

/** The other pages of a discovery endpoint, after the first. A page that fails ends the reading with what there is. */
async function readPages(
  url: URL,
  first: ReadDocument,
  options: SourceOptions,
): Promise<ReadDocument & { readonly reason: string | null }> {
  const listings = [...first.listings];
  let { skipped, entries, total } = first;
  let last = first;
  let reason: string | null = null;
  for (let pages = 1; ; pages += 1) {
    const isEnd = last.entries === 0 || (total !== undefined && entries >= total);
    if (isEnd || !url.pathname.endsWith('/discovery/resources')) break;
    if (pages >= MAX_PAGES || listings.length >= MAX_LISTINGS) {
      reason = `there is more than ${entries} entries; the rest is not read`;
      break;
    }
    try {
      last = readDocument(await fetchDocument(pageOf(url, entries), options), url, options.tokens);
    } catch (error) {
      reason = plainText(`from entry ${entries} on: ${(error as Error).message}`, 200);
      break;
    }
    // A server without pages answers the same again and again.
    if (total === undefined && isSame(last, first)) break;
    total = last.total ?? total;
    entries += last.entries;
    skipped += last.skipped;
    for (const each of last.listings) listings.push(each);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { ...first, listings, skipped, entries, reason };
}

function isSame(a: ReadDocument, b: ReadDocument): boolean {
  const key = ({ entries, listings }: ReadDocument) =>
    JSON.stringify([entries, listings[0]?.url, listings.at(-1)?.url]);
  return key(a) === key(b);
}

/**
 * Asks URLs without a price for theirs: their 402 is the price. Only URLs of the document's own origin are asked, by GET
 * and without a payment, so that a document sends nobody elsewhere.
 */
async function probe(
  base: URL,
  urls: readonly string[],
  options: SourceOptions,
): Promise<Listing[]> {
  const listings: Listing[] = [];
  const own = urls.filter((url) => new URL(url).origin === base.origin);
  for (const url of own.slice(0, MAX_PROBES)) {
    try {
      const { status, headers, body } = await get(new URL(url), options);
      if (status !== 402) continue;
      const header = headers['payment-required'];
      const terms = typeof header === 'string' ? header : body.toString('utf8');
      const offers = offersOf402(terms, options.tokens);
      const listing = listingOf({ method: 'GET', url, ...textsOf(body), offers });
      if (listing) listings.push(listing);
    } catch {
      // It has no price that can be told.
    }
  }
  return listings;
}

/** The description that a 402 of x402 v1 has in its body. */
function textsOf(body: Buffer): { description?: unknown } {
  try {
    const { accepts, resource } = JSON.parse(body.toString('utf8'));
    return { description: resource?.description ?? accepts?.[0]?.description };
  } catch {
    return {};
  }
}

/** @returns undefined for a document that is not there. @throws Error for one that cannot be read. */
async function fetchDocument(url: URL, options: SourceOptions): Promise<unknown> {
  const { status, body, isCut } = await get(url, options);
  if (status === 404 || status === 405 || status === 410) return undefined;
  if (status >= 300 && status < 400) {
    throw new Error(`it redirects (${status}); subscribe to the address that it leads to`);
  }
  if (status !== 200) throw new Error(`it answers ${status}`);
  if (isCut) throw new Error(`it is longer than ${MAX_BYTES} bytes`);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  try {
    return JSON.parse(text);
  } catch {
    return parseYamlDocument(text);
  }
}

/** An OpenAPI document in YAML. Aliases are bounded, so that a small document makes no large one. */
async function parseYamlDocument(text: string): Promise<unknown> {
  if (!/^(?:#.*\r?\n|---\r?\n|\s)*["']?openapi["']?\s*:/.test(text.slice(0, 4_096))) {
    throw new Error('it is neither JSON nor an OpenAPI document in YAML');
  }
  if (text.length > MAX_YAML_BYTES) {
    throw new Error(`it is YAML of more than ${MAX_YAML_BYTES} bytes; serve it as JSON`);
  }
  try {
    // Loaded when it is needed: few catalogs are YAML, and every start would wait for it.
    const { parse } = await import('yaml');
    return parse(text, { maxAliasCount: 100, logLevel: 'silent' });
  } catch {
    throw new Error('it is YAML that cannot be read');
  }
}

async function get(url: URL, { allow, deadline }: SourceOptions) {
  const left = Math.min(REQUEST_MS, deadline - performance.now());
  if (left <= 0) throw new Error('the catalog took too long');
  return requestGuarded(url, {
    method: 'GET',
    headers: { accept: 'application/json, application/yaml;q=0.5', 'user-agent': 'Bursar' },
    allow,
    timeoutMs: left,
    maxBytes: MAX_BYTES,
  });
}

/** The first listing of each operation. */
function distinct(listings: readonly Listing[]): Listing[] {
  const known = new Map<string, Listing>();
  for (const listing of listings) {
    const key = `${listing.method} ${listing.url}`;
    if (!known.has(key)) known.set(key, listing);
  }
  return [...known.values()];
}
