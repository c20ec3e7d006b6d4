import { createHash } from 'node:crypto';
import { canonicalJson } from '../domain/canonical.js';
import { parseAtomic } from '../domain/money.js';
import { isHexOf, isSameAddress, parseAddress } from '../evm.js';
import { networkNamed, type Offer } from './offers.js';
import { object } from './openapi-import.js';

/** The longest payment header that is read, in bytes. */
const MAX_HEADER_BYTES = 16_384;

/** A signed payment that a request carries, read and not verified. */
export interface Credential {
  readonly version: 1 | 2;
  readonly signed: {
    readonly signature: string;
    readonly authorization: Readonly<Record<string, string>>;
  };
  /** The URL that the payer says it pays for (v2); undefined where it does not say. */
  readonly resourceUrl: string | undefined;
  /** The entry of a 402 that it pays, to be compared with the offers. */
  readonly offered: {
    /** CAIP-2. */
    readonly network: string;
    /** Undefined in v1, where only the signature tells the token. */
    readonly asset: string | undefined;
    readonly payTo: string;
    readonly amount: bigint;
  };
  readonly payer: `0x${string}`;
  /** 32 bytes in hex, lower case. */
  readonly nonce: string;
  /** Unix seconds. */
  readonly validBefore: bigint;
  /** SHA-256 of the authorization and its signature, whatever they are wrapped in. */
  readonly hash: string;
}

/** A payment header that cannot be read. The message completes "the payment". */
export class UnreadableCredential extends Error {}

/**
 * Reads a `PAYMENT-SIGNATURE` (v2) or `X-PAYMENT` (v1) header: scheme `exact` by EIP-3009.
 *
 * @throws UnreadableCredential
 */
export function readCredential(value: string): Credential {
  if (value.length > MAX_HEADER_BYTES) throw new UnreadableCredential('is too long');
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) throw new UnreadableCredential('is not base64');
  let payload: Readonly<Record<string, unknown>>;
  try {
    payload = object(JSON.parse(Buffer.from(value, 'base64').toString('utf8')));
  } catch {
    throw new UnreadableCredential('is not JSON');
  }
  const version = payload.x402Version;
  if (version !== 1 && version !== 2) throw new UnreadableCredential('is of no version 1 or 2');
  const accepted = version === 2 ? object(payload.accepted) : payload;
  if (accepted.scheme !== 'exact') throw new UnreadableCredential('is not of the scheme exact');
  const { signature, authorization } = readAuthorization(payload.payload);
  const { from, to, amount, validBefore, nonce } = authorization;
  const network = version === 2 ? String(accepted.network) : networkNamed(String(accepted.network));
  if (network === undefined)
    throw new UnreadableCredential('names a network that x402 v1 does not know');
  const terms = {
    from,
    to,
    amount: amount.toString(),
    validAfter: authorization.validAfter.toString(),
    validBefore: validBefore.toString(),
    nonce: nonce.toLowerCase(),
    signature: signature.toLowerCase(),
  };
  const url = object(payload.resource).url;
  return {
    version,
    signed: {
      signature,
      authorization: {
        from,
        to,
        value: terms.amount,
        validAfter: terms.validAfter,
        validBefore: terms.validBefore,
        nonce,
      },
    },
    resourceUrl: version === 2 && typeof url === 'string' ? url : undefined,
    offered: {
      network,
      asset: version === 2 ? String(accepted.asset) : undefined,
      payTo: to,
      amount,
    },
    payer: from,
    nonce: nonce.toLowerCase(),
    validBefore,
    hash: createHash('sha256').update(canonicalJson(terms)).digest('hex'),
  };
}

/** @throws UnreadableCredential when the payload is no EIP-3009 authorization with a signature. */
function readAuthorization(payload: unknown) {
  const { signature, authorization: given } = object(payload);
  const authorization = object(given);
  const from = parseAddress(authorization.from);
  const to = parseAddress(authorization.to);
  const amount = parseAtomic(authorization.value);
  const validAfter = parseAtomic(authorization.validAfter);
  const validBefore = parseAtomic(authorization.validBefore);
  const { nonce } = authorization;
  if (
    !from ||
    !to ||
    amount === undefined ||
    validAfter === undefined ||
    validBefore === undefined ||
    validBefore > 253_402_300_799n ||
    !isHexOf(nonce, 32) ||
    typeof signature !== 'string' ||
    !/^0x([0-9a-fA-F]{2}){65,2048}$/.test(signature)
  ) {
    throw new UnreadableCredential('has no EIP-3009 authorization with a signature');
  }
  return { signature, authorization: { from, to, amount, validAfter, validBefore, nonce } };
}

/** The offer that a credential pays; undefined when it pays none of them, in token, payee or amount. */
export function offerPaidBy(credential: Credential, offers: readonly Offer[]): Offer | undefined {
  const { network, asset, payTo, amount } = credential.offered;
  return offers.find(
    (offer) =>
      offer.network.network === network &&
      (asset === undefined || isSameAddress(asset, offer.asset.address)) &&
      isSameAddress(payTo, offer.payTo) &&
      amount === offer.amount,
  );
}
