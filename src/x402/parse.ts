import { PaymentRequiredV1Schema, PaymentRequiredV2Schema } from '@x402/core/schemas';
import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1';
import { getAddress, isAddress, zeroAddress } from 'viem';
import { parseAtomic } from '../domain/money.js';
import { Problem, type ProblemCode } from '../domain/problem.js';

/** Bounds on what a seller may send. All inclusive. */
export const LIMITS = Object.freeze({
  /** Characters of the decoded JSON. */
  jsonCharacters: 49_152,
  depth: 8,
  accepts: 16,
  timeoutSeconds: 300,
  urlCharacters: 2_048,
});

/** One entry of a seller's `accepts`, strictly parsed. */
export interface Offer {
  /** Position in `accepts`. */
  readonly index: number;
  readonly scheme: 'exact';
  /** CAIP-2; for v1 translated from the network's name. */
  readonly network: string;
  /** Token contract, EIP-55 checksummed. */
  readonly asset: string;
  /** Atomic units. */
  readonly amount: bigint;
  /** EIP-55 checksummed. */
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  /** The URL the seller says it is for; undefined where a v2 seller names none. */
  readonly resource: string | undefined;
  /** The entry as it came, as JSON text: what v2 echoes in `accepted`. */
  readonly json: string;
}

/** An entry that cannot be paid, and why. */
export interface UnusableOffer {
  readonly index: number;
  readonly code: ProblemCode;
  readonly detail: string;
}

/** A 402 answer, parsed, normalised over the protocol's versions and frozen. */
export interface PaymentTerms {
  readonly x402Version: 1 | 2;
  readonly offers: readonly Offer[];
  readonly unusable: readonly UnusableOffer[];
  /** v2 `resource` object and `extensions`, as JSON text, for the echo. */
  readonly resourceJson: string | undefined;
  readonly extensionsJson: string | undefined;
}

/**
 * Parses a seller's payment requirements: the v2 object, the v2 `PAYMENT-REQUIRED` header value
 * (base64 JSON), or the v1 402 body, recognised by `x402Version`. The published schemas come first;
 * they let through what a payer must not sign for (amounts that are no integers, timeouts without
 * bound), so every entry is then held to Bursar's own bounds. An entry of a kind Bursar cannot pay
 * does not spoil its neighbours.
 *
 * @throws Problem `requirements_invalid` when the whole is malformed, oversized or too deep.
 */
export function parsePaymentRequired(input: unknown): PaymentTerms {
  const body = typeof input === 'string' ? decodeHeader(input) : input;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('must be an object, or the base64 value of a PAYMENT-REQUIRED header');
  }
  refuseUnsafe(body, 1);
  if (typeof input !== 'string' && JSON.stringify(body).length > LIMITS.jsonCharacters) {
    throw invalid(`is longer than ${LIMITS.jsonCharacters} characters`);
  }
  const version = (body as { x402Version?: unknown }).x402Version;
  if (version !== 1 && version !== 2) {
    throw invalid('x402Version must be 1 or 2');
  }
  const schema = version === 2 ? PaymentRequiredV2Schema : PaymentRequiredV1Schema;
  const checked = schema.safeParse(body);
  if (!checked.success) {
    const issue = checked.error.issues[0];
    throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
  }
  // The schemas drop what they do not know; the echo must not, so entries are read from the original.
  const raw = body as {
    accepts: Record<string, unknown>[];
    resource?: { url: string };
    extensions?: Record<string, unknown>;
  };
  if (raw.accepts.length > LIMITS.accepts) {
    throw invalid(`accepts has ${raw.accepts.length} entries; at most ${LIMITS.accepts} are read`);
  }
  const offers: Offer[] = [];
  const unusable: UnusableOffer[] = [];
  raw.accepts.forEach((entry, index) => {
    try {
      offers.push(Object.freeze(parseOffer(entry, index, version, raw.resource?.url)));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      unusable.push(Object.freeze({ index, code: error.code, detail: error.detail }));
    }
  });
  return Object.freeze({
    x402Version: version,
    offers: Object.freeze(offers),
    unusable: Object.freeze(unusable),
    resourceJson: version === 2 && raw.resource ? JSON.stringify(raw.resource) : undefined,
    extensionsJson: version === 2 && raw.extensions ? JSON.stringify(raw.extensions) : undefined,
  });
}

function parseOffer(
  entry: Record<string, unknown>,
  index: number,
  version: 1 | 2,
  sharedResource: string | undefined,
): Offer {
  const at = `accepts[${index}]`;
  const { scheme, network, asset, payTo, maxTimeoutSeconds } = entry;
  if (scheme !== 'exact') {
    throw new Problem(
      'scheme_not_supported',
      `${at}: scheme ${shown(scheme)} is not supported, exact is`,
    );
  }
  const method = (entry.extra as { assetTransferMethod?: unknown } | null | undefined)
    ?.assetTransferMethod;
  if (method !== undefined && method !== 'eip3009') {
    throw new Problem(
      'scheme_not_supported',
      `${at}: exact by ${shown(method)} is not supported, by eip3009 is`,
    );
  }
  const amountField = version === 2 ? 'amount' : 'maxAmountRequired';
  const amount = parseAtomic(entry[amountField]);
  if (amount === undefined) {
    throw invalid(`${at}.${amountField} must be a decimal integer below 2^256, in atomic units`);
  }
  if (
    !Number.isInteger(maxTimeoutSeconds) ||
    (maxTimeoutSeconds as number) < 1 ||
    (maxTimeoutSeconds as number) > LIMITS.timeoutSeconds
  ) {
    throw invalid(
      `${at}.maxTimeoutSeconds must be a whole number from 1 to ${LIMITS.timeoutSeconds}`,
    );
  }
  const resource = version === 2 ? sharedResource : (entry.resource as string);
  if (resource !== undefined && resource.length > LIMITS.urlCharacters) {
    throw invalid(`${at}: the resource's URL is longer than ${LIMITS.urlCharacters} characters`);
  }
  return {
    index,
    scheme,
    network: caip2(network as string, version, at),
    asset: address(asset, `${at}.asset`),
    amount,
    payTo: address(payTo, `${at}.payTo`),
    maxTimeoutSeconds: maxTimeoutSeconds as number,
    resource,
    json: JSON.stringify(entry),
  };
}

function caip2(network: string, version: 1 | 2, at: string): string {
  if (version === 2) {
    if (/^eip155:[1-9][0-9]{0,15}$/.test(network)) return network;
  } else if (Object.hasOwn(EVM_NETWORK_CHAIN_ID_MAP, network)) {
    const names: Readonly<Record<string, number>> = EVM_NETWORK_CHAIN_ID_MAP;
    return `eip155:${names[network]}`;
  }
  throw new Problem(
    'network_not_supported',
    `${at}: network ${shown(network)} is not an EVM network of x402 v${version}`,
  );
}

function address(text: unknown, at: string): string {
  // viem checks the EIP-55 checksum of mixed-case text: a mistyped payee is refused, not paid.
  if (typeof text !== 'string' || !isAddress(text) || text === zeroAddress) {
    throw invalid(`${at} must be an EVM address with a valid checksum`);
  }
  return getAddress(text);
}

function decodeHeader(value: string): unknown {
  if (value.length > Math.ceil(LIMITS.jsonCharacters / 3) * 4) {
    throw invalid(`is longer than ${LIMITS.jsonCharacters} characters`);
  }
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) {
    throw invalid('is neither an object nor base64, as a PAYMENT-REQUIRED header is');
  }
  try {
    return JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
  } catch {
    throw invalid('is base64, but not of JSON');
  }
}

/**
 * Bounds the depth, and refuses keys that mean something to JavaScript rather than to the protocol,
 * and text that cannot be stored or hashed: NUL (Postgres has none), lone surrogates (UTF-8 has none).
 */
function refuseUnsafe(value: unknown, depth: number): void {
  if (typeof value === 'string' && (value.includes('\u0000') || !value.isWellFormed())) {
    throw invalid('holds text that is not well-formed Unicode without NUL');
  }
  // JSON.parse reads 1e400 as Infinity, which no JSON can hold again.
  if (typeof value === 'number' && !Number.isFinite(value))
    throw invalid('holds a number too large');
  if (typeof value !== 'object' || value === null) return;
  if (depth > LIMITS.depth) throw invalid(`is nested deeper than ${LIMITS.depth} levels`);
  for (const key of Object.keys(value)) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
      throw invalid(`has a member named "${key}"`);
    }
    refuseUnsafe(key, depth);
    refuseUnsafe((value as Record<string, unknown>)[key], depth + 1);
  }
}

/** A seller's text as an error shows it: short, and only ever text. */
function shown(value: unknown): string {
  return typeof value === 'string'
    ? `"${value.slice(0, 64).toWellFormed()}"`
    : `of type ${typeof value}`;
}

function invalid(what: string): Problem {
  return new Problem('requirements_invalid', `paymentRequired ${what}`, {
    field: 'paymentRequired',
  });
}
