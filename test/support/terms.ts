import type { Chain } from '../../sandbox/chain.js';

/** 0.01 USDC in atomic units. */
export const CENT = 10_000n;

/** Where made-up sellers live. */
export const RESOURCE_URL = 'https://api.example.com/data/7';

/** A payee nobody has the key of. */
export const PAYEE = '0x1111111111111111111111111111111111111111';
export const OTHER_PAYEE = '0x2222222222222222222222222222222222222222';

/** One v2 requirement for the chain's token, unless said otherwise. */
export function requirement(chain: Chain, changes: Record<string, unknown> = {}) {
  return {
    scheme: 'exact',
    network: chain.network as string,
    amount: CENT.toString(),
    asset: chain.token.address as string,
    payTo: PAYEE as string,
    maxTimeoutSeconds: 60,
    extra: { name: chain.token.name, version: chain.token.version } as Record<string, unknown>,
    ...changes,
  };
}

/** A whole payment request for requirements of x402 v2; one for a cent unless said otherwise. */
export function order(
  chain: Chain,
  changes: Record<string, unknown> = {},
  more: { url?: string; resourceUrl?: string; memo?: string; options?: unknown[] } = {},
) {
  const { url = RESOURCE_URL, resourceUrl = url, memo, options } = more;
  return {
    paymentRequired: {
      x402Version: 2,
      resource: { url: resourceUrl, description: 'a page', mimeType: 'application/json' },
      accepts: options ?? [requirement(chain, changes)],
    },
    request: { method: 'GET', url },
    ...(memo === undefined ? {} : { memo }),
  };
}

/** A whole payment request for one requirement of x402 v1; for a cent unless said otherwise. */
export function orderV1(chain: Chain, changes: Record<string, unknown> = {}) {
  return {
    paymentRequired: {
      x402Version: 1,
      error: 'X-PAYMENT header is required',
      accepts: [
        {
          scheme: 'exact',
          network: 'base-sepolia',
          maxAmountRequired: CENT.toString(),
          resource: RESOURCE_URL,
          description: 'a page',
          mimeType: 'application/json',
          outputSchema: {},
          payTo: PAYEE,
          maxTimeoutSeconds: 60,
          asset: chain.token.address,
          extra: { name: chain.token.name, version: chain.token.version },
          ...changes,
        },
      ],
    },
    request: { method: 'GET', url: RESOURCE_URL },
  };
}

/** Contents of a payment header. */
export interface HeaderPayload {
  readonly x402Version: number;
  readonly scheme?: string;
  readonly network?: string;
  readonly accepted?: Record<string, unknown>;
  readonly resource?: Record<string, unknown>;
  readonly payload: {
    readonly signature: `0x${string}`;
    readonly authorization: {
      readonly from: `0x${string}`;
      readonly to: `0x${string}`;
      readonly value: string;
      readonly validAfter: string;
      readonly validBefore: string;
      readonly nonce: `0x${string}`;
    };
  };
}

/** Reads a payment header as a seller would. */
export function decodeHeader(value: string): HeaderPayload {
  return JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
}

/** A USDC amount of the API in atomic units. */
export function atomic(units: string): bigint {
  const [whole, fraction = ''] = units.split('.');
  return BigInt(`${whole}${fraction.padEnd(6, '0')}`);
}
