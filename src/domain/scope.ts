import ipaddr from 'ipaddr.js';
import { Problem } from './problem.js';

/** Where money may go. An absent list allows everything; an empty one allows nothing. */
export interface Scope {
  /** CAIP-2 networks, such as `eip155:8453`. */
  readonly networks?: readonly string[];
  /** Payee addresses, EIP-55 checksummed. */
  readonly payTo?: readonly string[];
  /** Resource patterns: `https://host[:port]/path`, see {@link parsePattern}. */
  readonly resources?: readonly string[];
}

/**
 * How many patterns one scope may hold. It also makes containment exact: a prefix or a wildcard host
 * admits more next characters (or labels) than this many narrower patterns could cover together, so a
 * pattern lies within a union of patterns only if it lies within one of them.
 */
export const MAX_SCOPE_ENTRIES = 32;

/** A URL taken apart and normalised, so that two spellings of one resource are equal. */
export interface Resource {
  readonly protocol: string;
  /** Lower case ASCII (punycode) form. */
  readonly host: string;
  /** Always explicit: the protocol's default where the URL names none. */
  readonly port: string;
  /** Dot segments resolved, unreserved characters decoded, hex digits in upper case. */
  readonly path: string;
  /**
   * False when servers may read the path in another way than it shows: an encoded slash, backslash or
   * NUL, a broken or doubled escape, a dot segment with a parameter.
   */
  readonly unambiguous: boolean;
}

/** A resource pattern taken apart. */
export interface ResourcePattern {
  readonly protocol: string;
  /** The host, without the wildcard label. */
  readonly host: string;
  /** True when the pattern's leftmost host label is `*`: exactly one label of any name. */
  readonly anyLabel: boolean;
  readonly port: string;
  /** The path, without the trailing `*`. */
  readonly path: string;
  /** True when the pattern's path ends in `*`: anything may follow. */
  readonly anySuffix: boolean;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'https:': '443', 'http:': '80' };
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);
/** The longest URL or pattern that is read, in characters. */
export const MAX_URL_LENGTH = 2048;

/**
 * Parses and normalises an absolute http(s) URL (WHATWG URL, then RFC 3986 section 6.2.2).
 *
 * @returns undefined when the text is not such a URL, is longer than 2,048 characters, or carries
 *   userinfo, which has no place in a resource's identity.
 */
export function parseResource(text: string): Resource | undefined {
  const url = text.length > MAX_URL_LENGTH ? undefined : parseUrl(text);
  return url && url.username === '' && url.password === '' ? resourceOf(url) : undefined;
}

/** Normalises an http(s) URL; undefined for any other scheme. */
function resourceOf(url: URL): Resource | undefined {
  const defaultPort = DEFAULT_PORTS[url.protocol];
  if (defaultPort === undefined) return undefined;
  const { path, unambiguous } = normalisePath(url.pathname);
  return {
    protocol: url.protocol,
    host: url.hostname,
    port: url.port === '' ? defaultPort : url.port,
    path,
    unambiguous,
  };
}

/**
 * Finds out whether a seller declares a resource on another public host than the one that was asked.
 * The declared resource is unsigned and often wrong behind proxies, so nothing else about it counts:
 * another scheme, port or path, a relative path, an opaque name and a host that is not public are no
 * contradiction.
 *
 * @returns the declared resource, of an http URL its https twin, or undefined when it contradicts nothing.
 */
export function declaredElsewhere(
  declared: string | undefined,
  requested: Resource,
): Resource | undefined {
  const url = declared === undefined ? undefined : parseUrl(declared);
  const resource = url && resourceOf(url);
  if (!resource || withoutRootDot(resource.host) === withoutRootDot(requested.host)) {
    return undefined;
  }
  if (!isPublicHost(resource.host)) return undefined;
  // Patterns admit plain http on loopback hosts only: the https twin is what a scope can admit.
  return resource.protocol === 'http:'
    ? { ...resource, protocol: 'https:', port: resource.port === '80' ? '443' : resource.port }
    : resource;
}

/** The resources of a payment that must be in scope: the one that was asked, and a declared one of another public host. */
export function resourcesInScope(requested: Resource, declared: string | undefined): Resource[] {
  const elsewhere = declaredElsewhere(declared, requested);
  return elsewhere ? [requested, elsewhere] : [requested];
}

/**
 * A DNS name of two labels or more. URL parsers let more through: a host such as `*.com` would turn the hint
 * which pattern to add into a wildcard.
 */
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+$/;

const GLOBAL_IPV6 = ipaddr.IPv6.parse('2000::');

/** Endings of host names that no public DNS serves (RFC 6761, RFC 6762, ICANN's `.internal`). */
const PRIVATE_HOST = /(?:^|\.)(?:local|internal|localhost|test)$/;

/**
 * Whether a host may be reached from the public internet by its form: a name of two labels or more, or an
 * IP address of the global ranges.
 *
 * @param host - as `URL.hostname` gives it: lower case, IPv6 in brackets.
 */
function isPublicHost(host: string): boolean {
  const address = host.startsWith('[') ? host.slice(1, -1) : host;
  if (ipaddr.isValid(address)) {
    const ip = ipaddr.process(address);
    // IANA gives out only 2000::/3 of IPv6 (RFC 4291, section 2.4).
    return ip.range() === 'unicast' && (ip instanceof ipaddr.IPv4 || ip.match(GLOBAL_IPV6, 3));
  }
  const name = withoutRootDot(host);
  return DNS_NAME.test(name) && !PRIVATE_HOST.test(name);
}

function withoutRootDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/**
 * Parses a resource pattern: `https://host[:port]/path`, where `*` may stand as the whole leftmost
 * label of the host or at the end of the path, and nowhere else. Plain `http` is accepted for
 * loopback hosts only, where there is no network to tamper on.
 *
 * @throws Problem `invalid_request` saying what the pattern breaks.
 */
export function parsePattern(text: string): ResourcePattern {
  const refuse = (why: string): never => {
    throw new Problem('invalid_request', `resource pattern "${text.slice(0, 100)}" ${why}`, {
      field: 'scope.resources',
    });
  };
  const match = /^(https?):\/\/(\*\.)?([^/?#*]+)(\/[^?#*]*)(\*)?$/.exec(text);
  if (text.length > MAX_URL_LENGTH || !match) {
    return refuse(
      'must be https://host[:port]/path; "*" may stand as the whole leftmost host label or at the ' +
        'end of the path ("https://host/*" allows every path)',
    );
  }
  // The URL parser turns a backslash into a slash and drops white space and controls: such a pattern
  // would mean another one than it shows.
  if (/[\\\s\p{Cc}]/u.test(text)) return refuse('holds a backslash, white space or a control');
  const [, scheme, wildcard, authority, path, star] = match;
  const resource = parseResource(`${scheme}://${authority}${path}`);
  if (!resource) return refuse('is not a valid URL (userinfo is not allowed)');
  if (!resource.unambiguous) return refuse('holds an encoded slash, backslash or NUL');
  const anyLabel = wildcard !== undefined;
  if (anyLabel && (/^[0-9.]+$/.test(resource.host) || resource.host.startsWith('['))) {
    return refuse('puts a wildcard before an IP address');
  }
  if (resource.protocol === 'http:' && (anyLabel || !LOOPBACK_HOSTS.has(resource.host))) {
    return refuse('uses http; only https is allowed beyond loopback hosts');
  }
  // A dot segment that the URL parser resolved away would make the pattern mean another path than it
  // shows; whoever wrote it meant something else.
  if (/(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(path ?? '')) return refuse('holds a dot segment');
  return {
    protocol: resource.protocol,
    host: resource.host,
    anyLabel,
    port: resource.port,
    path: resource.path,
    anySuffix: star !== undefined,
  };
}

/**
 * Whether a pattern admits a resource. An ambiguous path is admitted only by a pattern of the whole host
 * (`https://host/*`), for which the path does not matter.
 */
export function patternAdmits(pattern: ResourcePattern, resource: Resource): boolean {
  const isWholeHost = pattern.anySuffix && pattern.path === '/';
  if (!resource.unambiguous && !isWholeHost) return false;
  if (pattern.protocol !== resource.protocol || pattern.port !== resource.port) return false;
  const host = pattern.anyLabel ? withoutLeftmostLabel(resource.host) : resource.host;
  if (host !== pattern.host) return false;
  return pattern.anySuffix
    ? resource.path.startsWith(pattern.path)
    : resource.path === pattern.path;
}

/** The pattern that admits every path of a resource's host; undefined where no pattern may. */
export function wholeHostPattern({ protocol, host, port }: Resource): string | undefined {
  if (protocol === 'http:' && !LOOPBACK_HOSTS.has(host)) return undefined;
  return `${protocol}//${host}${port === DEFAULT_PORTS[protocol] ? '' : `:${port}`}/*`;
}

/** Whether every resource that `inner` admits is admitted by `outer`. */
export function patternContains(outer: ResourcePattern, inner: ResourcePattern): boolean {
  if (outer.protocol !== inner.protocol || outer.port !== inner.port) return false;
  if (inner.anyLabel && !outer.anyLabel) return false;
  const host = outer.anyLabel && !inner.anyLabel ? withoutLeftmostLabel(inner.host) : inner.host;
  if (host !== outer.host) return false;
  if (outer.anySuffix) return inner.path.startsWith(outer.path);
  return !inner.anySuffix && inner.path === outer.path;
}

/** The first of the resources that a list of patterns does not admit. */
export function unadmitted(
  resources: readonly string[],
  asked: readonly Resource[],
): Resource | undefined {
  const patterns = parsedPatterns(resources);
  return asked.find((resource) => !patterns.some((pattern) => patternAdmits(pattern, resource)));
}

/** The dimension of a scope that refuses, or undefined when it admits the payment. */
export function scopeRefuses(
  scope: Scope,
  payment: { network: string; payTo: string; resources: readonly Resource[] },
): keyof Scope | undefined {
  if (scope.networks && !scope.networks.includes(payment.network)) return 'networks';
  if (scope.payTo && !includesAddress(scope.payTo, payment.payTo)) return 'payTo';
  if (scope.resources && unadmitted(scope.resources, payment.resources)) return 'resources';
  return undefined;
}

/**
 * The first dimension in which `inner` is wider than `outer`, or undefined when everything `inner`
 * admits is admitted by `outer`.
 */
export function scopeExceeds(outer: Scope, inner: Scope): keyof Scope | undefined {
  if (outer.networks) {
    const allowed = outer.networks;
    if (!inner.networks?.every((network) => allowed.includes(network))) return 'networks';
  }
  if (outer.payTo) {
    const allowed = outer.payTo;
    if (!inner.payTo?.every((payee) => includesAddress(allowed, payee))) return 'payTo';
  }
  if (outer.resources) {
    const allowed = outer.resources.map(parsePattern);
    const within = inner.resources
      ?.map(parsePattern)
      .every((pattern) => allowed.some((wider) => patternContains(wider, pattern)));
    if (!within) return 'resources';
  }
  return undefined;
}

/** Patterns by the list that holds them: a grant's scope is fixed, and asked for every payment. */
const PARSED = new WeakMap<readonly string[], readonly ResourcePattern[]>();

function parsedPatterns(resources: readonly string[]): readonly ResourcePattern[] {
  const known = PARSED.get(resources);
  if (known) return known;
  const patterns = resources.map(parsePattern);
  PARSED.set(resources, patterns);
  return patterns;
}

function includesAddress(addresses: readonly string[], wanted: string): boolean {
  return addresses.some((address) => address.toLowerCase() === wanted.toLowerCase());
}

function withoutLeftmostLabel(host: string): string | undefined {
  const dot = host.indexOf('.');
  return dot > 0 ? host.slice(dot + 1) : undefined;
}

/** Parses a URL; undefined when the text is none. */
export function parseUrl(text: string): URL | undefined {
  // Not URL.canParse: Node 20's, once it is hot, says no to valid URLs with Latin-1 letters.
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function normalisePath(pathname: string): { path: string; unambiguous: boolean } {
  let unambiguous = true;
  const path = pathname.replace(/%([0-9a-fA-F]{2})?/g, (_escape, hex: string | undefined) => {
    if (hex === undefined) {
      unambiguous = false;
      return '%';
    }
    const code = Number.parseInt(hex, 16);
    if (code === 0x2f || code === 0x5c || code === 0) unambiguous = false;
    const character = String.fromCharCode(code);
    return /[A-Za-z0-9\-._~]/.test(character) ? character : `%${hex.toUpperCase()}`;
  });
  // Some servers resolve `..;` as `..`, and some decode twice: what they would serve is not what the
  // path shows.
  if (/(?:^|\/)\.{1,2};/.test(path) || /%25[0-9A-Fa-f]{2}/.test(path)) unambiguous = false;
  if (/%[89A-F]/.test(path) && resemblesSyntax(path)) unambiguous = false;
  return { path, unambiguous };
}

/** Slashes and backslashes of other scripts that no normalisation form turns into ASCII ones. */
const OTHER_SLASHES = /[\u2044\u2215\u2216\u2571\u2572\u29f5\u29f8\u29f9\u3002\uff61]/u;

/**
 * Whether a path has characters beyond ASCII that some servers turn into ones with a meaning in paths: dots, slashes,
 * backslashes and percent signs of other scripts or widths (NFKC), or bytes that are no UTF-8, such as overlong
 * forms of a dot.
 */
function resemblesSyntax(path: string): boolean {
  let text: string;
  try {
    text = decodeURIComponent(path);
  } catch {
    return true;
  }
  for (const character of text) {
    if (character <= '\u007f') continue;
    if (/[./\\%?#;]/.test(character.normalize('NFKC')) || OTHER_SLASHES.test(character))
      return true;
  }
  return false;
}
