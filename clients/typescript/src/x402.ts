import type { Bursar } from './bursar.js';
import { BursarError, PaidNotDelivered } from './errors.js';
import type { BursarInit } from './fetch.js';

/**
 * Object that the unmodified x402 clients are given instead of a wallet.
 *
 * @example
 * const { client, fetch }: BursarX402 = bursarX402(bursar, { maxAmount: '0.05' });
 */
export interface BursarX402 {
  /**
   * The fetch to wrap. It pays by the rules of `bursar.fetch`, so that the x402 client around it only ever sees
   * paid answers.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /**
   * The x402 client to pass on. Of type `never`, which fits every version of `@x402/core`: their classes have
   * private members and fit only themselves.
   */
  readonly client: never;
}

/**
 * Pays through Bursar with the published `@x402/fetch` or `@x402/axios`, as they are. There is no wallet and
 * there are no spend controls in this process: the grant decides.
 *
 * Name a purchase by an `Idempotency-Key` header. Without one, keys are derived as for `bursar.fetch`.
 *
 * @param options - what holds for each call, such as `maxAmount` and `waitForApproval`.
 * @throws BursarError from each call: `not_payable`, with the seller's response, for a 402 that is no x402 or not of the
 * origin that was asked (the x402 clients would throw away the first, and pay the second); `PaidNotDelivered` for
 * a 402 with a receipt of success, which an x402 client would pay once more.
 * @example
 * const { client, fetch } = bursarX402(bursar);
 * const fetchWithPayment = wrapFetchWithPayment(fetch, client);
 * @example
 * const { client, fetch } = bursarX402(bursar);
 * const api = wrapAxiosWithPayment(axios.create({ adapter: 'fetch', env: { fetch } }), client);
 */
export function bursarX402(
  bursar: Pick<Bursar, 'fetch' | 'paymentOf'>,
  options: Omit<BursarInit, keyof RequestInit | 'intent'> = {},
): BursarX402 {
  return {
    async fetch(input, init) {
      const response = await bursar.fetch(input, { ...init, ...options });
      if (response.status !== 402) return response;
      const { id, key, answered } = bursar.paymentOf(response) ?? {};
      const about = { sellerResponse: response, key, payment: id === undefined ? id : { id } };
      if (answered) {
        throw new PaidNotDelivered('the seller says that it was paid, and answered 402', about);
      }
      const detail = `${response.url} answered 402, and it is no x402 of the origin that was asked`;
      throw new BursarError('not_payable', detail, about);
    },
    client: { createPaymentPayload: refuseToSign } as never,
  };
}

/** Signer of an x402 client. Only a 402 that did not come through `fetch` gets here. */
async function refuseToSign(): Promise<never> {
  throw new BursarError(
    'fetch_not_wrapped',
    'Bursar must see the request to pay it: wrap the fetch that bursarX402 returned ' +
      "(for axios: axios.create({ adapter: 'fetch', env: { fetch } }))",
    { nextAction: 'fix_request' },
  );
}
