import type { Answer } from './answers.js';
import type { Credential } from './credential.js';
import { headerValue, nameInV1Of, paymentRequired, type SoldResource } from './offers.js';
import type { Ending } from './orders.js';
import { type Front, paymentPage } from './payment-page.js';
import { answerGone, callLost, problemAnswer, refundOwed } from './problems.js';
import type { Sale } from './sale-rows.js';
import type { UpstreamAnswer } from './upstream.js';

/** Seconds after which a copy asks again what became of its payment. */
const RETRY_SECONDS = 2;

/** The path of the page that tells what became of a sale. */
export const STATUS_PATH = '/.well-known/x402/sales/';

/** The resource of a 402. Names and tags are ASCII and short, as the extension bazaar has them. */
export function soldResource({
  operation,
  title,
  url,
}: Pick<Front, 'operation' | 'title' | 'url'>): SoldResource {
  return {
    url,
    description: operation.description,
    mimeType: 'application/json',
    serviceName:
      title
        .replace(/[^\x20-\x7e]/g, '')
        .trim()
        .slice(0, 32) || 'API',
    tags: operation.tags.filter((tag) => /^[\x20-\x7e]{1,32}$/.test(tag)).slice(0, 5),
    extensions: operation.extensions,
  };
}

/** The 402 of a request: v2 in the header, v1 in the body, or a page for people. */
export function requiredAnswer(
  front: Front,
  error: string,
  receipt?: readonly [string, string],
): Answer {
  const { header, body } = paymentRequired(front.offers, soldResource(front), error);
  const page = front.wantsPage ? paymentPage(front) : undefined;
  return {
    status: 402,
    headers: [
      ['content-type', page === undefined ? 'application/json' : 'text/html; charset=utf-8'],
      ...(page === undefined
        ? []
        : ([
            ['content-security-policy', "default-src 'none'; style-src 'unsafe-inline'"],
          ] as const)),
      ['cache-control', 'no-store'],
      ['vary', 'Accept, PAYMENT-SIGNATURE, X-PAYMENT'],
      ['payment-required', header],
      ...(receipt ? [receipt] : []),
    ],
    body: Buffer.from(page ?? body),
  };
}

/** The answer to a paid request, as its sale ended. The same ending is the same answer, byte for byte. */
export function purchaseAnswer(
  ending: Ending,
  credential: Credential,
  front: Front,
): Answer | UpstreamAnswer {
  switch (ending.kind) {
    case 'streaming':
      return paidAnswer(
        ending.answer,
        ending.sale.charge === 'settled' ? receiptOf(ending.sale, credential) : undefined,
      );
    case 'sold':
      return paidAnswer(ending.answer, receiptOf(ending.sale, credential));
    case 'uncharged':
      return paidAnswer(ending.answer, undefined);
    case 'lost':
      return callLost();
    case 'owed':
      return paidAnswer(
        refundOwed(ending.sale.id, statusUrl(front, ending.sale)),
        receiptOf(ending.sale, credential),
      );
    case 'gone':
      return answerGone(ending.sale.id);
    case 'unpayable':
      return requiredAnswer(front, ending.reason);
    case 'refused':
      return requiredAnswer(front, 'settlement_refused', refusalOf(ending.sale, credential));
    case 'unknown':
      return unknownAnswer(front, ending.sale);
    case 'unavailable':
      return problemAnswer(
        'unavailable',
        `this cannot be sold now: ${ending.reason}; nothing was charged: repeat the request with the same payment`,
      );
    case 'busy':
      return problemAnswer(
        'rate_limited',
        'this payer has as many requests as one payer may have, at once or in a minute; repeat the request with the same payment',
        { retryAfterSeconds: ending.retryAfterSeconds },
      );
    case 'conflict':
      return problemAnswer(
        'conflict',
        'this payment was made for another request; make a new payment for this one',
      );
  }
}

function unknownAnswer(front: Front, sale: Sale): Answer {
  const url = statusUrl(front, sale);
  const answer = problemAnswer(
    'unavailable',
    `it is not known yet whether sale ${sale.id} is settled; repeat the request with the same payment, never with a new one`,
    { retryAfterSeconds: RETRY_SECONDS, members: { saleId: sale.id, statusUrl: url } },
  );
  return { ...answer, headers: [...answer.headers, ['location', url]] };
}

function statusUrl({ origin }: Front, { id }: Sale): string {
  return `${origin}${STATUS_PATH}${id}`;
}

/** Caches on the way must not hand to others what one payer paid for. */
function paidAnswer<A extends Answer | UpstreamAnswer>(
  answer: A,
  receipt: readonly [string, string] | undefined,
): A {
  const headers = answer.headers.filter(
    ([name, value]) => name !== 'cache-control' || /no-store|private/.test(value),
  );
  if (!headers.some(([name]) => name === 'cache-control'))
    headers.push(['cache-control', 'private, no-store']);
  return { ...answer, headers: receipt ? [...headers, receipt] : headers };
}

/** The receipt in the version of the payment. */
function receiptOf(sale: Sale, { version }: Credential): readonly [string, string] {
  const receipt = {
    success: true,
    transaction: sale.transaction ?? '',
    network: networkIn(version, sale),
    payer: sale.payer,
  };
  return version === 2
    ? ['payment-response', headerValue({ ...receipt, amount: sale.amount.toString() })]
    : ['x-payment-response', headerValue(receipt)];
}

function refusalOf(sale: Sale, { version }: Credential): readonly [string, string] {
  const reason =
    sale.reason && /^[A-Za-z0-9_.:-]{1,100}$/.test(sale.reason)
      ? sale.reason
      : 'settlement_refused';
  const refusal = {
    success: false,
    errorReason: reason,
    transaction: '',
    network: networkIn(version, sale),
    payer: sale.payer,
  };
  return [version === 2 ? 'payment-response' : 'x-payment-response', headerValue(refusal)];
}

function networkIn(version: 1 | 2, { network }: Sale): string {
  return version === 2 ? network : (nameInV1Of(network) ?? network);
}
