import type { Api } from './api.js';
import { BursarError, PaidNotDelivered, PaymentOutcomeUnknown } from './errors.js';
import type { Payment } from './types.js';

/** The error for a 412 with terms. */
export function allowanceRequired(
  response: Response,
  about: { payment?: Payment; key?: string } = {},
) {
  const detail = 'the seller takes Permit2, which the treasury has not approved';
  return new BursarError('allowance_required', detail, {
    nextAction: 'ask',
    sellerResponse: response,
    ...about,
  });
}

/** The error for a seller that was asked for a price and answered 400 or more without terms. */
export function notQuoted(response: Response) {
  const { status } = response;
  const detail = `the seller answered ${status} without x402 terms`;
  const nextAction = status >= 500 ? 'wait' : 'fix_request';
  return new BursarError('seller_refused', detail, { nextAction, sellerResponse: response });
}

/** The error for an answer that asked for no payment, with `allowFree: false`. */
export function notAskedToPay(response: Response) {
  const detail = 'the answer asked for no payment';
  return new BursarError('payment_not_requested', detail, { sellerResponse: response });
}

/** The error for a seller that asks to be paid although it was sent the payment. */
export async function askedAgain(
  api: Api,
  signal: AbortSignal | null | undefined,
  about: { payment: Payment; key: string; sellerResponse: Response },
): Promise<BursarError> {
  const { body: payment } = await api
    .call<Payment>('GET', `/v1/payments/${about.payment.id}`, { signal })
    .catch(() => ({ body: about.payment }));
  signal?.throwIfAborted();
  // `seen` is a transfer in a block that is not final yet.
  if (payment.status === 'settled' || payment.seen) {
    const detail = 'the seller was paid and asks again; to buy again, name another intent';
    return new PaidNotDelivered(detail, { ...about, payment });
  }
  const detail =
    'the seller asks again, no transfer is known yet; repeat the same call to continue with the same payment';
  return new PaymentOutcomeUnknown(detail, { ...about, payment });
}
