import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** How long a server has from the look-up of its name to the end of its answer, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** How much of an answer is read unless a request says otherwise, in bytes. */
const ANSWER_BYTES = 65_536;

/** Longest address, in characters. */
const MAX_URL = 2_048;

/** Answer to a {@link requestGuarded}. */
export interface GuardedAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Its body, or the first `maxBytes` of it. */
  readonly body: Buffer;
  /** Whether there was more of the body. */
  readonly isCut: boolean;
}

/** A request that is not sent, because its address may not be reached. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/** Options of {@link requestGuarded}. */
export interface GuardedRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Addresses or CIDR ranges that are no public ones and may be reached all the same. */
  readonly allow: readonly string[];
  /** Resolves a name to all its addresses; the system's resolver by default. */
  readonly resolve?: (name: string) => Promise<readonly LookupAddress[]>;
  readonly timeoutMs?: number;
  /** How much of the answer's body is read, in bytes. */
  readonly maxBytes?: number;
}

/**
 * Parses the address of a server that somebody named: a receiver of webhooks, a source of a catalog.
 *
 * @returns what is wrong with it, as a text.
 */
export function parseGuardedUrl(text: string, allow: readonly string[]): URL | string {
  if (text.length > MAX_URL || !URL.canParse(text)) {
    return `must be a URL of ${MAX_URL} characters at most`;
  }
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must have no user and no password';
  if (text.includes('#')) return 'must have no fragment';
  if (url.protocol === 'http:' && allow.length === 0) return 'must begin with https://';
  const literal = literalOf(url);
  if (literal !== undefined) return faultOf(literal, url, allow) ?? url;
  return url;
}

/**
 * Sends a request to an address that was looked up once and judged: the connection goes to that address and to no other,
 * whatever the name resolves to a moment later. Redirects are not followed.
 *
 * @throws AddressRefused for a name with an address that is not public; Error for everything else that went wrong.
 */
export async function requestGuarded(url: URL, options: GuardedRequest): Promise<GuardedAnswer> {
  const signal = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const timedOut = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('no whole answer in time')));
  });
  const sending = addressOf(url, options).then((address) => send(url, address, options, signal));
  sending.catch(() => {});
  return Promise.race([sending, timedOut]);
}

async function addressOf(url: URL, options: GuardedRequest): Promise<LookupAddress> {
  const { allow, resolve = (name: string) => lookup(name, { all: true }) } = options;
  const literal = literalOf(url);
  const found =
    literal === undefined
      ? await resolve(url.hostname)
      : [{ address: literal, family: literal.includes(':') ? 6 : 4 }];
  // All of them: a name that has one public address may not lead elsewhere by another.
  for (const { address } of found) {
    const fault = faultOf(address, url, allow);
    if (fault !== undefined) throw new AddressRefused(`${address} ${fault}`);
  }
  const [first] = found;
  if (!first) throw new AddressRefused(`${url.hostname} has no address`);
  return first;
}

/** The IP address that a URL names itself; undefined for a name. */
function literalOf({ hostname }: URL): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(bare) ? bare : undefined;
}

/** Reason why an address is not reached; undefined for one that may be. */
function faultOf(text: string, { protocol }: URL, allow: readonly string[]): string | undefined {
  // ::ffff:10.0.0.1 is 10.0.0.1.
  const address = ipaddr.process(text);
  if (allow.some((range) => isWithin(address, range))) return undefined;
  if (address.range() !== 'unicast') return `is no public address (${address.range()})`;
  return protocol === 'https:' ? undefined : 'is reached by https only';
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, range: string): boolean {
  const [base = '', bits] = range.split('/');
  const parsed = ipaddr.parse(base);
  const length = bits === undefined ? (parsed.kind() === 'ipv4' ? 32 : 128) : Number(bits);
  return address.kind() === parsed.kind() && address.match(parsed as never, length);
}

function send(
  url: URL,
  { address, family }: LookupAddress,
  { method, headers, body, maxBytes = ANSWER_BYTES }: GuardedRequest,
  signal: AbortSignal,
): Promise<GuardedAnswer> {
  const pinned: LookupFunction = (_name, asked, callback) => {
    if (asked.all) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const request = open(url, {
      method,
      agent: false,
      lookup: pinned,
      signal,
      headers: { ...headers, ...length },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const done = () => {
        request.destroy();
        const whole = Buffer.concat(chunks).subarray(0, maxBytes);
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: whole, isCut: bytes > maxBytes });
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > maxBytes) done();
      });
      response.on('end', done);
      response.on('error', reject);
      response.on('aborted', () => reject(new Error('the answer broke off')));
    });
    request.end(body);
  });
}
