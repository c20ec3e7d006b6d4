import { MIN_VALIDITY_SECONDS } from '../domain/denials.js';
import type { PaymentOption } from '../domain/payment-option.js';
import { Problem, type ProblemCode, untrusted } from '../domain/problem.js';
import { parseResource, type Resource, resourcesInScope } from '../domain/scope.js';
import type { Networks } from '../treasury/networks.js';
import { MAX_HEADER_BYTES } from '../x402/echo.js';
import type { Offer, PaymentTerms } from '../x402/parse.js';
import { schemeOf } from '../x402/schemes.js';

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

/** Facts that decide whether an entry can be paid here: networks with their tokens and health, and the allowed flows. */
export interface PayableTerms {
  readonly networks: Pick<Networks, 'find' | 'asset' | 'health'>;
  /** `BURSAR_PAYMENT_FLOWS`. */
  readonly paymentFlows: readonly string[];
}

/**
 * Parts the entries of a 402. An entry is payable when its token is registered and its `extra` contradicts nothing, its
 * timeout is long enough, its header fits, and its network is ready.
 */
export function sortOptions(
  terms: PaymentTerms,
  requested: Resource,
  here: PayableTerms,
): SortedOptions {
  const payable: PaymentOption[] = [];
  const unusable: UnusableOption[] = terms.unusable.map(({ index, code, detail, sellerText }) => ({
    index,
    offer: undefined,
    problem: new Problem(code, detail, {
      field: 'paymentRequired',
      ...(sellerText === undefined ? {} : { sellerText }),
    }),
  }));
  for (const offer of terms.offers) {
    try {
      payable.push(optionOf(offer, requested, here));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      unusable.push({ index: offer.index, offer, problem });
    }
  }
  return { payable, unusable: unusable.sort((a, b) => a.index - b.index) };
}

/**
 * The entries that may stand for a payment that was made: those that contradict nothing, whatever state
 * their network is in.
 */
export function matchableOffers(terms: PaymentTerms, here: PayableTerms): Offer[] {
  return terms.offers.filter((offer) => contradiction(offer, here) === undefined);
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

/** The codes of unusable entries, from what is nearest to being payable: that one is told. */
const NEAREST: readonly ProblemCode[] = [
  'unavailable',
  'requirements_invalid',
  'asset_not_supported',
  'network_not_supported',
  'scheme_not_supported',
];

/**
 * Why none of the entries can be paid.
 *
 * @param option - the entry that the agent chose, if it did.
 */
export function whyUnpayable(
  { entries, unread }: PaymentTerms,
  unusable: readonly UnusableOption[],
  option: number | undefined,
): Problem {
  if (option !== undefined) {
    const chosen = unusable.find(({ index }) => index === option);
    if (chosen) return chosen.problem;
    return new Problem(
      'invalid_request',
      `option is ${option}, and accepts has ${entries} entries${unread === 0 ? '' : `, of which ${entries - unread} were read`}; ` +
        'give the position of one, counted from 0',
      { field: 'option' },
    );
  }
  const ranked = [...unusable].sort(
    (a, b) => NEAREST.indexOf(a.problem.code) - NEAREST.indexOf(b.problem.code),
  );
  const [nearest] = ranked;
  if (!nearest) {
    return new Problem('requirements_invalid', 'paymentRequired accepts is empty', {
      field: 'paymentRequired',
    });
  }
  const { code, detail, fields } = nearest.problem;
  const others = entries - 1;
  const read = unread === 0 ? '' : `, of which the first ${entries - unread} were read`;
  const suffix =
    others === 0
      ? ''
      : `; none of the ${entries} entries of accepts${read} can be paid, and POST /v1/payments/quote says why of each`;
  return new Problem(code, `${detail}${suffix}`, fields);
}

function optionOf(offer: Offer, requested: Resource, here: PayableTerms): PaymentOption {
  const { index, scheme, network, asset: address, amount, payTo, maxTimeoutSeconds } = offer;
  const { networks } = here;
  if (!networks.find(network)) {
    throw new Problem('network_not_supported', `network ${network} is not configured here`);
  }
  const asset = networks.asset(network, address);
  if (!asset) {
    throw new Problem('asset_not_supported', `token ${address} is not registered on ${network}`);
  }
  const contradicts = contradiction(offer, here);
  if (contradicts) throw contradicts;
  if (maxTimeoutSeconds <= MIN_VALIDITY_SECONDS) {
    throw new Problem(
      'requirements_invalid',
      `accepts[${index}].maxTimeoutSeconds is ${maxTimeoutSeconds}: no signature could settle in that time; ` +
        `at least ${MIN_VALIDITY_SECONDS + 1} s are needed`,
      { field: 'paymentRequired' },
    );
  }
  if (!offer.echo) {
    throw new Problem(
      'requirements_invalid',
      `accepts[${index}]: its payment header would take ${offer.headerBytes} bytes without any optional echo, and ` +
        `servers take ${MAX_HEADER_BYTES}; tell the seller to send a smaller entry`,
      { field: 'paymentRequired' },
    );
  }
  const health = networks.health(network);
  if (!health.ready) {
    throw new Problem('unavailable', `network ${network} is not ready: ${health.reason}`);
  }
  return {
    index,
    scheme,
    network,
    asset: address,
    currency: asset.currency,
    amount,
    payTo,
    maxTimeoutSeconds,
    isUpfront: offer.isUpfront,
    resources: resourcesInScope(requested, offer.declaredResource),
  };
}

/** Contradictions between an entry and what would be signed for it, or the flows that are allowed. */
function contradiction(
  offer: Offer,
  { networks, paymentFlows }: PayableTerms,
): Problem | undefined {
  const { index, network, extra } = offer;
  if (offer.isUpfront && !paymentFlows.includes('upfront')) {
    return new Problem(
      'scheme_not_supported',
      `accepts[${index}]: extra.paymentFlow is upfront, so the seller is paid before it answers; ` +
        'BURSAR_PAYMENT_FLOWS does not allow that',
      { field: 'paymentRequired' },
    );
  }
  const asset = networks.asset(network, offer.asset);
  const chainId = networks.find(network)?.chainId;
  if (!asset || chainId === undefined) return undefined;
  const member = schemeOf(offer.scheme)?.contradiction(extra, asset, chainId);
  if (member === undefined) return undefined;
  return new Problem(
    'requirements_invalid',
    `accepts[${index}]: extra.${member} contradicts token ${asset.address}, so the seller could not verify what would be signed`,
    { field: 'paymentRequired', sellerText: untrusted(extra[member]) },
  );
}
