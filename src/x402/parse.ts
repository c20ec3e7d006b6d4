import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1';
import { zeroAddress } from 'viem';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { jsonParts } from '../domain/json-text.js';
import { parseAtomic } from '../domain/money.js';
import { Problem, type ProblemCode, untrusted } from '../domain/problem.js';
import { parseAddress } from '../evm.js';
import {
  type Echo,
  headerLineBytes,
  MAX_HEADER_BYTES,
  shrinking,
  soundResource,
  without,
} from './echo.js';
import { bytesWithoutEcho } from './header.js';
import { identifierDeclaration, PAYMENT_IDENTIFIER } from './payment-identifier.js';
import { SCHEME_NAMES, type SchemeName, schemeOf } from './schemes.js';
import { refuseUnsafe, refuseUnsafeText } from './untrusted.js';
import { type JsonPiece, maxTextCharacters, unwrapTerms } from './unwrap.js';

/** Bounds on what is read of a seller's 402. All inclusive. */
export const LIMITS = Object.freeze({
  /** Characters of the decoded JSON. */
  jsonCharacters: 49_152,
  /** Levels of an entry, of `resource` and of `extensions`, each counted from its own brace. */
  depth: 14,
  /** Entries of `accepts`; those behind are counted and not read. */
  accepts: 64,
  /** Characters of a declared resource that are recorded. */
  resourceCharacters: 2_048,
});

/** The longest text that a 402 may be handed in as. */
export const MAX_TERMS_CHARACTERS = maxTextCharacters(LIMITS.jsonCharacters);

/** Stands for a `maxTimeoutSeconds` that a seller left out: then only `maxValiditySeconds` bounds the signature (policy.ts). */
const NO_TIMEOUT = Number.MAX_SAFE_INTEGER;

/** One entry of a seller's `accepts`, checked and frozen: what is signed is what was read here. */
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
  /** How long the seller says it needs; unbounded, and never a reason to sign for longer than configured. */
  readonly maxTimeoutSeconds: number;
  /** Whether the seller settles before it answers (`extra.paymentFlow` is `upfront`). */
  readonly isUpfront: boolean;
  /** Seller's claims about the token's EIP-712 domain and how it is paid; empty where it says nothing. */
  readonly extra: Readonly<Record<string, unknown>>;
  /** The resource the seller declares: unsigned, any text. */
  readonly declaredResource: string | undefined;
  /** The entry as JSON text: what v2 echoes in `accepted`. See {@link parsePaymentRequired}. */
  readonly json: string;
  /** SHA-256 (hex) of the entry's canonical JSON. */
  readonly hash: string;
  /** Rest that the header echoes, as much of it as fits; undefined when not even the entry alone fits. */
  readonly echo: Echo | undefined;
  /** The bytes of its shortest header line, see {@link MAX_HEADER_BYTES}; 0 in v1, whose header is always short. */
  readonly headerBytes: number;
}

/** An entry that cannot be paid, and why. */
export interface UnusableOffer {
  readonly index: number;
  readonly code: ProblemCode;
  readonly detail: string;
  /** The seller's own text at fault, marked as untrusted. */
  readonly sellerText: string | undefined;
}

/** A 402 answer, parsed, normalised over the protocol's versions and frozen. */
export interface PaymentTerms {
  readonly x402Version: 1 | 2;
  readonly offers: readonly Offer[];
  readonly unusable: readonly UnusableOffer[];
  /** How many entries `accepts` has in all. */
  readonly entries: number;
  /** How many of them were not read, see {@link LIMITS}. */
  readonly unread: number;
}

/**
 * Reads a seller's payment requirements, leniently: a version and a list are all a 402 must have. Every
 * entry is judged alone, so that one which is malformed, unknown or unsafe does not spoil its neighbours.
 * Members that nobody signs for and that have a wrong type are left out of the echo.
 *
 * Signing is strict in exchange: an {@link Offer} holds every signed value in its one checked form.
 *
 * Echoes are kept as text. Those of a 402 that is handed in as text are copied byte for byte. Those of an object are written
 * anew: white space, escapes and numbers may then differ (1.0 becomes 1).
 *
 * @param input - any form that {@link unwrapTerms} knows.
 * @throws Problem `requirements_invalid` when there is no version or no list, or when it requires a
 *   `payment-identifier` that no payment can carry.
 */
export function parsePaymentRequired(input: unknown): PaymentTerms {
  const { value: body, text } = unwrapTerms(input, LIMITS.jsonCharacters, invalid);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('must be a 402 as an object, as JSON text, or as its PAYMENT-REQUIRED header');
  }
  const members = membersOf({ value: body, text });
  const version = versionOf(members);
  const accepts = acceptsOf(members);
  const shared = version === 2 ? sharedMembers(members) : NOTHING_SHARED;
  const offers: Offer[] = [];
  const unusable: UnusableOffer[] = [];
  for (const [index, piece] of accepts.slice(0, LIMITS.accepts).entries()) {
    try {
      offers.push(Object.freeze(parseOffer(piece, index, version, shared)));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const { code, detail, fields } = error;
      unusable.push(Object.freeze({ index, code, detail, sellerText: fields.sellerText }));
    }
  }
  return Object.freeze({
    x402Version: version,
    offers: Object.freeze(offers),
    unusable: Object.freeze(unusable),
    entries: accepts.length,
    unread: Math.max(0, accepts.length - LIMITS.accepts),
  });
}

/** An object's members by name. A name that a text has twice is there twice. */
function membersOf({ value, text }: JsonPiece): Map<string, JsonPiece[]> {
  const members = new Map<string, JsonPiece[]>();
  const object = value as Readonly<Record<string, unknown>>;
  const parts =
    text === undefined
      ? Object.keys(object).map((key) => ({ key, text: undefined }))
      : jsonParts(text, text.indexOf('{')).map(({ key = '', start, end }) => ({
          key,
          text: text.slice(start, end),
        }));
  for (const part of parts) {
    const piece = { value: object[part.key], text: part.text };
    const sameName = members.get(part.key);
    if (sameName) sameName.push(piece);
    else members.set(part.key, [piece]);
  }
  return members;
}

/** A member by its name. @throws Problem for one that is named twice: parsers differ in which they take. */
function only(members: ReadonlyMap<string, JsonPiece[]>, name: string): JsonPiece | undefined {
  const [piece, another] = members.get(name) ?? [];
  if (another) {
    throw invalid(`names ${name} twice; which of the two is meant is not for us to guess`);
  }
  return piece;
}

function versionOf(members: ReadonlyMap<string, JsonPiece[]>): 1 | 2 {
  if (members.size === 0) {
    throw invalid(
      'is empty; the terms are in the PAYMENT-REQUIRED header of the 402: send its value',
    );
  }
  const version = only(members, 'x402Version')?.value;
  if (version === 1 || version === '1') return 1;
  if (version === 2 || version === '2') return 2;
  throw invalid(
    'x402Version must be 1 or 2; if the body of the 402 has none, send the value of its PAYMENT-REQUIRED header',
  );
}

function acceptsOf(members: ReadonlyMap<string, JsonPiece[]>): JsonPiece[] {
  const accepts = only(members, 'accepts');
  if (!Array.isArray(accepts?.value)) throw invalid('accepts must be a list');
  const { text } = accepts;
  const entries: readonly unknown[] = accepts.value;
  if (text === undefined) return entries.map((value) => ({ value, text }));
  const parts = jsonParts(text);
  return entries.map((value, index) => {
    const part = parts[index];
    return { value, text: part && text.slice(part.start, part.end) };
  });
}

/** Members that all v2 entries have in common. */
interface SharedMembers {
  readonly declaredResource: string | undefined;
  /** Whether `payment-identifier` is declared properly. */
  readonly hasIdentifier: boolean;
  /** Candidates for the echo, the fullest first, with its length in UTF-8. */
  readonly echoes: readonly { readonly echo: Echo; readonly bytes: number }[];
}

const NO_ECHO: Echo = Object.freeze({ resourceJson: undefined, extensionsJson: undefined });

const NOTHING_SHARED: SharedMembers = {
  declaredResource: undefined,
  hasIdentifier: false,
  echoes: [{ echo: NO_ECHO, bytes: 0 }],
};

/** Reads `resource` and `extensions`. Nobody signs for them: what is unsound is left out. */
function sharedMembers(members: ReadonlyMap<string, JsonPiece[]>): SharedMembers {
  const resource = soundPiece(members.get('resource'));
  const extensions = members.get('extensions');
  const declared = membersIn(extensions?.[0]?.value);
  const sound = declared && soundPiece(extensions);
  const identifier = declared ? identifierDeclaration(declared, sound !== undefined) : 'absent';
  const extensionsJson =
    sound && identifier === 'malformed'
      ? without(sound.json, (key) => key === PAYMENT_IDENTIFIER)
      : sound?.json;
  const url = membersIn(resource?.value)?.url;
  const echo = {
    resourceJson: resource && soundResource(resource.value, resource.json),
    extensionsJson,
  };
  const hasIdentifier = identifier === 'proper';
  return {
    declaredResource: typeof url === 'string' ? url : undefined,
    hasIdentifier,
    echoes: [...shrinking(echo, hasIdentifier)].map((each) => ({
      echo: Object.freeze(each),
      bytes: byteLength(each.resourceJson) + byteLength(each.extensionsJson),
    })),
  };
}

/** A member that may be echoed, with its text; undefined when it is unsafe or named twice. */
function soundPiece(
  pieces: readonly JsonPiece[] = [],
): { value: unknown; json: string } | undefined {
  const [piece, another] = pieces;
  if (!piece || another || piece.value === undefined) return undefined;
  try {
    return { value: piece.value, json: safeJson(piece, 'a member') };
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** The text of a value that is safe to store, hash and echo. @throws Problem saying why it is not. */
function safeJson({ value, text }: JsonPiece, at: string): string {
  const refuse = (what: string) => entryInvalid(`${at} ${what}`);
  const bounds = { ...LIMITS, schemaDepth: LIMITS.depth };
  if (text === undefined) refuseUnsafe(value, bounds, refuse);
  else refuseUnsafeText(value, text, bounds, refuse);
  const json = text ?? JSON.stringify(value);
  if (json.length <= LIMITS.jsonCharacters) return json;
  throw refuse(`is longer than ${LIMITS.jsonCharacters} characters`);
}

function parseOffer(piece: JsonPiece, index: number, version: 1 | 2, shared: SharedMembers): Offer {
  const at = `accepts[${index}]`;
  const entry = membersIn(piece.value);
  if (!entry) throw entryInvalid(`${at} is no object`);
  const scheme = schemeOf(entry.scheme);
  if (!scheme) {
    throw new Problem(
      'scheme_not_supported',
      `${at}: its scheme is not supported; ${SCHEME_NAMES.join(' and ')} is`,
      { sellerText: untrusted(entry.scheme) },
    );
  }
  const extra = entry.extra === undefined || entry.extra === null ? {} : membersIn(entry.extra);
  if (!extra) throw entryInvalid(`${at}.extra is no object`, entry.extra);
  const { isUpfront } = scheme.variant(extra, at);
  const amountField = version === 2 ? 'amount' : 'maxAmountRequired';
  const amount = parseAtomic(entry[amountField]);
  if (amount === undefined) {
    throw entryInvalid(
      `${at}.${amountField} must be a text of decimal digits below 2^256, in atomic units`,
      entry[amountField],
    );
  }
  const maxTimeoutSeconds = timeoutOf(entry.maxTimeoutSeconds, `${at}.maxTimeoutSeconds`);
  const network = caip2(entry.network, version, at);
  const asset = address(entry.asset, `${at}.asset`);
  const payTo = address(entry.payTo, `${at}.payTo`);
  const json = safeJson(piece, at);
  const bytes = bytesWithoutEcho(scheme, amount, shared.hasIdentifier) + byteLength(json);
  const declared = version === 2 ? shared.declaredResource : entry.resource;
  return {
    index,
    scheme: scheme.name,
    network,
    asset,
    amount,
    payTo,
    maxTimeoutSeconds,
    isUpfront,
    extra: Object.freeze({ ...extra }),
    declaredResource:
      typeof declared === 'string'
        ? declared.slice(0, LIMITS.resourceCharacters).toWellFormed()
        : undefined,
    json,
    hash: sha256Hex(canonicalJson(entry)),
    // v1 echoes nothing: its header names scheme and network only.
    ...(version === 1 ? { echo: NO_ECHO, headerBytes: 0 } : fittingEcho(bytes, shared)),
  };
}

/**
 * Finds the largest echo with which an entry's header stays below the limit that servers have.
 *
 * @param bytes - of the header's JSON text without its echoes.
 */
function fittingEcho(
  bytes: number,
  { echoes }: SharedMembers,
): Pick<Offer, 'echo' | 'headerBytes'> {
  const lineOf = (echoed: number) => headerLineBytes('PAYMENT-SIGNATURE', bytes + echoed);
  const fitting = echoes.find((each) => lineOf(each.bytes) <= MAX_HEADER_BYTES);
  return { echo: fitting?.echo, headerBytes: lineOf(echoes.at(-1)?.bytes ?? 0) };
}

/**
 * Reads `maxTimeoutSeconds`: a whole number above 0 or its digits, however large. Left out or null it is
 * {@link NO_TIMEOUT}.
 */
function timeoutOf(value: unknown, at: string): number {
  if (value === undefined || value === null) return NO_TIMEOUT;
  const isDigits = typeof value === 'string' && /^[0-9]{1,1000}$/.test(value);
  const seconds = isDigits ? Number(value) : value;
  if (typeof seconds === 'number' && seconds > 0) {
    const bounded = Math.min(seconds, NO_TIMEOUT);
    if (Number.isInteger(bounded)) return bounded;
  }
  throw entryInvalid(`${at} must be a whole number of seconds above 0`, value);
}

function caip2(network: unknown, version: 1 | 2, at: string): string {
  if (typeof network === 'string') {
    if (version === 2) {
      if (/^eip155:[1-9][0-9]{0,15}$/.test(network)) return network;
    } else if (Object.hasOwn(EVM_NETWORK_CHAIN_ID_MAP, network)) {
      const names: Readonly<Record<string, number>> = EVM_NETWORK_CHAIN_ID_MAP;
      return `eip155:${names[network]}`;
    }
  }
  throw new Problem(
    'network_not_supported',
    `${at}: its network is not an EVM network by the names of x402 v${version}`,
    { sellerText: untrusted(network) },
  );
}

function address(text: unknown, at: string): string {
  const parsed = parseAddress(text);
  if (parsed === undefined || parsed === zeroAddress) {
    throw entryInvalid(`${at} must be an EVM address with a valid checksum`, text);
  }
  return parsed;
}

function membersIn(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function byteLength(text: string | undefined): number {
  return text === undefined ? 0 : Buffer.byteLength(text);
}

function invalid(what: string): Problem {
  return new Problem('requirements_invalid', `paymentRequired ${what}`, {
    field: 'paymentRequired',
  });
}

/** The fault of one entry. @param given - the seller's value at fault, shown as untrusted. */
function entryInvalid(detail: string, given?: unknown): Problem {
  const sellerText = given === undefined ? {} : { sellerText: untrusted(given) };
  return new Problem('requirements_invalid', detail, { field: 'paymentRequired', ...sellerText });
}
