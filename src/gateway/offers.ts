import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1';
import { currencyOf, parseAmount } from '../domain/money.js';
import type { Asset, Network } from '../domain/network.js';

/** One way to pay for a request: what a 402 asks for. */
export interface Offer {
  readonly network: Network;
  readonly asset: Asset;
  readonly payTo: `0x${string}`;
  /** Atomic units. */
  readonly amount: bigint;
  readonly maxTimeoutSeconds: number;
}

/** A place where payments are taken: a token of a network. */
export type Market = Pick<Offer, 'network' | 'asset'>;

/** The offers of a price, one for each token that is taken. */
export function offersOf(
  markets: readonly Market[],
  price: string,
  payTo: `0x${string}`,
  maxTimeoutSeconds: number,
): Offer[] {
  return markets.map(({ network, asset }) => ({
    network,
    asset,
    payTo,
    amount: parseAmount(price, currencyOf(asset.currency), 'price'),
    maxTimeoutSeconds,
  }));
}

/** The name that x402 v1 has for a network; undefined where it has none. */
export function nameInV1({ chainId }: Pick<Network, 'chainId'>): string | undefined {
  const names = Object.entries(EVM_NETWORK_CHAIN_ID_MAP as Readonly<Record<string, number>>);
  return names.find(([, id]) => id === chainId)?.[0];
}

/** {@link nameInV1} of a CAIP-2 name. */
export function nameInV1Of(network: string): string | undefined {
  return nameInV1({ chainId: Number(network.slice('eip155:'.length)) });
}

/** The CAIP-2 name of a network that x402 v1 names in words. */
export function networkNamed(name: string): string | undefined {
  const ids = EVM_NETWORK_CHAIN_ID_MAP as Readonly<Record<string, number>>;
  return Object.hasOwn(ids, name) ? `eip155:${ids[name]}` : undefined;
}

/** The members of a 402 that describe what is sold. */
export interface SoldResource {
  readonly url: string;
  readonly description: string;
  readonly mimeType: string;
  readonly serviceName: string;
  readonly tags: readonly string[];
  /** The extensions of v2, such as `bazaar`. */
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** An offer as an entry of `accepts` of x402 v2, and as the requirements that a v2 facilitator takes. */
export function requirementsV2(offer: Offer) {
  return {
    scheme: 'exact',
    network: offer.network.network as `${string}:${string}`,
    amount: offer.amount.toString(),
    asset: offer.asset.address,
    payTo: offer.payTo,
    maxTimeoutSeconds: offer.maxTimeoutSeconds,
    extra: { name: offer.asset.name, version: offer.asset.version },
  };
}

/** An offer as an entry of `accepts` of x402 v1; undefined where v1 has no name for its network. */
export function requirementsV1(offer: Offer, resource: SoldResource) {
  const name = nameInV1(offer.network);
  return (
    name && {
      scheme: 'exact',
      network: name,
      maxAmountRequired: offer.amount.toString(),
      resource: resource.url,
      description: resource.description,
      mimeType: resource.mimeType,
      payTo: offer.payTo,
      maxTimeoutSeconds: offer.maxTimeoutSeconds,
      asset: offer.asset.address,
      extra: { name: offer.asset.name, version: offer.asset.version },
    }
  );
}

/** A 402 in both versions: v2 as the value of its header, v1 as the body. */
export function paymentRequired(
  offers: readonly Offer[],
  resource: SoldResource,
  error: string,
): { header: string; body: string } {
  const { url, description, mimeType, serviceName, tags, extensions } = resource;
  const v2 = {
    x402Version: 2,
    error,
    resource: { url, description, mimeType, serviceName, ...(tags.length > 0 ? { tags } : {}) },
    accepts: offers.map(requirementsV2),
    ...(Object.keys(extensions).length > 0 ? { extensions } : {}),
  };
  const v1 = {
    x402Version: 1,
    error,
    accepts: offers.flatMap((offer) => requirementsV1(offer, resource) ?? []),
  };
  return { header: headerValue(v2), body: asciiJson(v1) };
}

/** JSON in base64, of ASCII alone: clients decode it without knowing of UTF-8. */
export function headerValue(value: unknown): string {
  return Buffer.from(asciiJson(value)).toString('base64');
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
