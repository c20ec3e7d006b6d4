import { PaymentRequiredV1Schema, PaymentRequiredV2Schema } from '@x402/core/schemas';
import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1';
import { getAddress, isAddress, zeroAddress } from 'viem';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { parseAtomic } from '../domain/money.js';
import { Problem, type ProblemCode } from '../domain/problem.js';
import { jsonParts } from './json-text.js';
import { checkPaymentIdentifier } from './payment-identifier.js';
import { SCHEME_NAMES, type SchemeName, schemeOf } from './schemes.js';
import { shown } from './shown.js';
import { readHeader, refuseUnsafe } from './untrusted.js';

/** Bounds on what a seller may send. All inclusive. */
export const LIMITS = Object.freeze({
  /** Characters of the decoded JSON. */
  jsonCharacters: 49_152,
  depth: 8,
  /** Depth inside `extensions` (v2) and `outputSchema` (v1), which hold JSON Schemas: ADR 0040. */
  schemaDepth: 16,
  accepts: 16,
  timeoutSeconds: 300,
  urlCharacters: 2_048,
});

/** One entry of a seller's `accepts`, strictly parsed. */
export interface Offer {
  /** Position in `accepts`. */
  readonly index: number;
  readonly scheme: SchemeName;
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
  /** The entry as JSON text: what v2 echoes in `accepted`. See {@link parsePaymentRequired}. */
  readonly json: string;
  /** SHA-256 (hex) of the entry's canonical JSON. */
  readonly hash: string;
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
 * What is echoed is kept as text. Of a header value it is the seller's own text, byte for byte. Of an
 * object it is that object written again: equal to every reader whose numbers are doubles, though 1.0
 * has become 1.
 *
 * @throws Problem `requirements_invalid` when the whole is malformed, oversized or too deep.
 */
export function parsePaymentRequired(input: unknown): PaymentTerms {
  const given = typeof input === 'string' ? readHeader(input, LIMITS, invalid) : undefined;
  const body = given ? given.json : input;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('must be an object, or the base64 value of a PAYMENT-REQUIRED header');
  }
  if (!given) {
    refuseUnsafe(body, LIMITS, invalid);
    if (JSON.stringify(body).length > LIMITS.jsonCharacters) {
      throw invalid(`is longer than ${LIMITS.jsonCharacters} characters`);
    }
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
    extensions?: Record<string, unknown> | null;
  };
  if (raw.accepts.length > LIMITS.accepts) {
    throw invalid(`accepts has ${raw.accepts.length} entries; at most ${LIMITS.accepts} are read`);
  }
  if (version === 2 && raw.extensions) checkPaymentIdentifier(raw.extensions);
  const echo = given ? asWritten(given.text) : rewritten(raw);
  const offers: Offer[] = [];
  const unusable: UnusableOffer[] = [];
  raw.accepts.forEach((entry, index) => {
    try {
      const json = echo.accepts[index] ?? '';
      offers.push(Object.freeze(parseOffer(entry, json, index, version, raw.resource?.url)));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      unusable.push(Object.freeze({ index, code: error.code, detail: error.detail }));
    }
  });
  return Object.freeze({
    x402Version: version,
    offers: Object.freeze(offers),
    unusable: Object.freeze(unusable),
    resourceJson: version === 2 && raw.resource ? echo.resource : undefined,
    extensionsJson: version === 2 && raw.extensions ? echo.extensions : undefined,
  });
}

/** The texts that are echoed. */
interface Echo {
  readonly accepts: readonly string[];
  readonly resource: string | undefined;
  readonly extensions: string | undefined;
}

function asWritten(text: string): Echo {
  const members = jsonParts(text, text.indexOf('{'));
  const find = (name: string) => members.find(({ key }) => key === name);
  const cut = (part?: { start: number; end: number }) => part && text.slice(part.start, part.end);
  return {
    accepts: jsonParts(text, find('accepts')?.start).map((part) => cut(part) ?? ''),
    resource: cut(find('resource')),
    extensions: cut(find('extensions')),
  };
}

function rewritten(body: { accepts: unknown[]; resource?: unknown; extensions?: unknown }): Echo {
  return {
    accepts: body.accepts.map((entry) => JSON.stringify(entry)),
    resource: JSON.stringify(body.resource),
    extensions: JSON.stringify(body.extensions),
  };
}

function parseOffer(
  entry: Record<string, unknown>,
  json: string,
  index: number,
  version: 1 | 2,
  sharedResource: string | undefined,
): Offer {
  const at = `accepts[${index}]`;
  const { network, asset, payTo, maxTimeoutSeconds } = entry;
  const scheme = schemeOf(entry.scheme);
  if (!scheme) {
    throw new Problem(
      'scheme_not_supported',
      `${at}: scheme ${shown(entry.scheme)} is not supported, ${SCHEME_NAMES.join(' and ')} is`,
    );
  }
  scheme.check(entry, at);
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
    scheme: scheme.name,
    network: caip2(network as string, version, at),
    asset: address(asset, `${at}.asset`),
    amount,
    payTo: address(payTo, `${at}.payTo`),
    maxTimeoutSeconds: maxTimeoutSeconds as number,
    resource,
    json,
    hash: sha256Hex(canonicalJson(entry)),
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

function invalid(what: string): Problem {
  return new Problem('requirements_invalid', `paymentRequired ${what}`, {
    field: 'paymentRequired',
  });
}
