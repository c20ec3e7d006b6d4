import { parseResource, type Resource } from '../domain/scope.js';

/** Longest URL that is listed, in characters, so that a hit stays within 1 kB. */
const MAX_URL = 400;

/** Bounds on a seller's texts, in bytes of their JSON. */
const NAME_BYTES = 80;
const DESCRIPTION_BYTES = 400;

/** Words of an operation that a search finds, and the longest of them. */
const MAX_WORDS = 64;
const MAX_WORD = 40;

/** One way to pay for an operation. */
export interface ListedOffer {
  /** CAIP-2; null where the document names no token. */
  readonly network: string | null;
  /** Token contract, EIP-55 checksummed. */
  readonly asset: string | null;
  /** EIP-55 checksummed; null where the document does not say. */
  readonly payTo: string | null;
  readonly currency: string;
  /** Atomic units, above 0. */
  readonly amount: bigint;
}

/** An operation that a document lists. Its texts are a stranger's: bounded, and nothing else. */
export interface Listing {
  readonly method: string;
  /** Normalised, without fragment. */
  readonly url: string;
  readonly resource: Resource;
  readonly name: string;
  readonly description: string;
  readonly words: readonly string[];
  readonly offers: readonly ListedOffer[];
}

/** Members of a {@link Listing} as a document has them. */
export interface RawListing {
  readonly method?: unknown;
  readonly url: unknown;
  readonly name?: unknown;
  readonly description?: unknown;
  readonly tags?: unknown;
  readonly offers: readonly ListedOffer[];
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Makes a listing of what a document says; undefined for what cannot be listed. */
export function listingOf(raw: RawListing): Listing | undefined {
  const method = typeof raw.method === 'string' ? raw.method.toUpperCase() : 'GET';
  const url = typeof raw.url === 'string' ? normalUrl(raw.url) : undefined;
  const resource = url === undefined ? undefined : parseResource(url);
  const offers = cheapestEach(raw.offers);
  if (!METHODS.has(method) || url === undefined || !resource || offers.length === 0) {
    return undefined;
  }
  const name = plainText(raw.name, NAME_BYTES);
  const description = plainText(raw.description, DESCRIPTION_BYTES);
  const tags = Array.isArray(raw.tags) ? raw.tags.slice(0, 10) : [];
  const words = wordsOf(
    [name, description, resource.host, resource.path, ...tags]
      .map((text) => plainText(text, DESCRIPTION_BYTES))
      .join(' '),
  ).slice(0, MAX_WORDS);
  return { method, url, resource, name, description, words, offers };
}

/** An absolute http(s) URL as it is listed and looked up: undefined for any other, or one that is too long. */
export function normalUrl(text: string): string | undefined {
  if (!parseResource(text)) return undefined;
  const url = new URL(text);
  url.hash = '';
  // Templates keep their braces: they are shown to people and models.
  const shown = url.href.replace(/%7B/gi, '{').replace(/%7D/gi, '}');
  return shown.length > MAX_URL ? undefined : shown;
}

/** Scheme, host and port of a resource. */
export function originOf({ protocol, host, port }: Resource): string {
  return `${protocol}//${host}:${port}`;
}

/** {@link originOf} without the host's leftmost label; null for a host of one label. */
export function originAbove({ protocol, host, port }: Resource): string | null {
  const dot = host.indexOf('.');
  return dot > 0 ? `${protocol}//${host.slice(dot + 1)}:${port}` : null;
}

/**
 * Characters that show nothing, or steer whoever shows them: controls, formats (text direction, zero width, tags),
 * variation selectors, private use, separators of lines and paragraphs, and what stands for no character.
 */
const INVISIBLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|[\u{fe00}-\u{fe0f}]|[\u{e0100}-\u{e01ef}]/gu;

/**
 * A stranger's text on one line, of what can be seen, cut to so many bytes of its JSON.
 *
 * @param value - anything; what is no text is an empty one.
 */
export function plainText(value: unknown, maxBytes: number): string {
  if (typeof value !== 'string') return '';
  const line = value
    .slice(0, 4 * maxBytes)
    .replace(/\s+/gu, ' ')
    .replace(INVISIBLE, '')
    .trim();
  return cutToBytes(line, maxBytes);
}

/** The beginning of a text whose JSON takes at most so many bytes, without its quotes. */
export function cutToBytes(text: string, maxBytes: number): string {
  if (jsonBytes(text) <= maxBytes) return text;
  let cut = '';
  let bytes = jsonBytes('…');
  for (const character of text) {
    bytes += jsonBytes(character);
    if (bytes > maxBytes) break;
    cut += character;
  }
  return cut === '' ? '' : `${cut.trimEnd()}…`;
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** The words of a text, in lower case, each once: runs of letters and digits. */
export function wordsOf(text: string): string[] {
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  return [...new Set(words.map((word) => word.slice(0, MAX_WORD)))];
}

/** The cheapest offer of each token and payee. */
function cheapestEach(offers: readonly ListedOffer[]): ListedOffer[] {
  const cheapest = new Map<string, ListedOffer>();
  for (const offer of offers) {
    if (offer.amount <= 0n) continue;
    const key = `${offer.network} ${offer.asset} ${offer.payTo}`;
    const known = cheapest.get(key);
    if (!known || offer.amount < known.amount) cheapest.set(key, offer);
  }
  return [...cheapest.values()].slice(0, 8);
}
