import { MIN_VALIDITY_SECONDS, type PaymentOption } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { parseResource, type Resource, sameOrigin } from '../domain/scope.js';
import type { Networks } from '../treasury/networks.js';
import type { Offer, PaymentTerms } from '../x402/parse.js';

/** An entry of `accepts` that cannot be paid here, whoever asks. */
export interface UnusableOption {
  readonly index: number;
  /** Undefined when not even its form could be read. */
  readonly offer: Offer | undefined;
  readonly problem: Problem;
}

/** A seller's entries, parted by whether they could be paid at all. */
export interface SortedOptions {
  readonly payable: readonly PaymentOption[];
  readonly unusable: readonly UnusableOption[];
}

/**
 * Parts the entries of a 402: payable are those of a registered token, on a network that is ready, and
 * for the origin that was really asked.
 */
export function sortOptions(
  terms: PaymentTerms,
  requested: Resource,
  networks: Networks,
): SortedOptions {
  const payable: PaymentOption[] = [];
  const unusable: UnusableOption[] = terms.unusable.map(({ index, code, detail }) => ({
    index,
    offer: undefined,
    problem: new Problem(code, detail),
  }));
  for (const offer of terms.offers) {
    try {
      payable.push(optionOf(offer, requested, networks));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      unusable.push({ index: offer.index, offer, problem });
    }
  }
  return { payable, unusable: unusable.sort((a, b) => a.index - b.index) };
}

/** The URL that was asked for. @throws Problem `invalid_request` when it is none. */
export function requestedResource(url: string): Resource {
  const resource = parseResource(url);
  if (!resource) {
    throw new Problem(
      'invalid_request',
      'request.url must be the absolute http(s) URL that was asked for, without userinfo',
      { field: 'request.url' },
    );
  }
  return resource;
}

function optionOf(offer: Offer, requested: Resource, networks: Networks): PaymentOption {
  const declared = declaredResource(offer, requested);
  if (offer.maxTimeoutSeconds <= MIN_VALIDITY_SECONDS) {
    throw new Problem(
      'requirements_invalid',
      `accepts[${offer.index}].maxTimeoutSeconds is ${offer.maxTimeoutSeconds}: no signature could settle in that time`,
    );
  }
  const { index, scheme, network, asset: address, amount, payTo, maxTimeoutSeconds } = offer;
  if (!networks.find(network)) {
    throw new Problem('network_not_supported', `network ${network} is not configured here`);
  }
  const asset = networks.asset(network, address);
  if (!asset) {
    throw new Problem('asset_not_supported', `token ${address} is not registered on ${network}`);
  }
  const health = networks.health(network);
  if (!health.ready) {
    throw new Problem('unavailable', `network ${network} is not ready: ${health.reason}`);
  }
  const { currency } = asset;
  return {
    index,
    scheme,
    network,
    asset: address,
    currency,
    amount,
    payTo,
    maxTimeoutSeconds,
    resources: declared ? [requested, declared] : [requested],
  };
}

/** What the seller says the payment is for. It must be of the origin that was asked. */
function declaredResource(offer: Offer, requested: Resource): Resource | undefined {
  if (offer.resource === undefined) return undefined;
  const declared = parseResource(offer.resource);
  if (!declared || !sameOrigin(declared, requested)) {
    throw new Problem(
      'requirements_invalid',
      `the seller asks payment for "${offer.resource.slice(0, 200)}", which is not of the origin that was asked`,
      { field: 'paymentRequired' },
    );
  }
  return declared;
}
