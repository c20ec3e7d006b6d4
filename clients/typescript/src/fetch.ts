import type { Api } from './api.js';
import { asObject, decodeJson, delay } from './bytes.js';
import {
  ApprovalRequired,
  BursarError,
  misuse,
  NotConfirmed,
  PaymentOutcomeUnknown,
} from './errors.js';
import { keyOfIntent, type Purchase, type Purchases } from './purchases.js';
import {
  discard,
  INIT_MEMBERS,
  type ReplayableBody,
  readRequest,
  requestIdOf,
  type Sendable,
  type Sent,
  send,
} from './request.js';
import type { AuthorizedPayment, Payment, PayOrder, Quote, SignedHeader } from './types.js';

/**
 * Options of paying for a call.
 *
 * @example
 * const options: PaymentOptions = { intent: 'page 7', maxAmount: '0.05', waitForApproval: 60_000 };
 */
export interface PaymentOptions {
  /** Names the purchase, in every process and after every restart: under one grant the same intent never pays twice. */
  readonly intent?: string | undefined;
  /** The most it may cost, in currency units: `'0.05'`. */
  readonly maxAmount?: string | undefined;
  /** A note for the audit log. */
  readonly memo?: string | undefined;
  /** The entry of the 402's `accepts` to pay, instead of the cheapest. */
  readonly option?: number | undefined;
  /** Called with the prices and the grant's decision before anything is signed; false pays nothing. */
  readonly confirm?: ((quote: Quote) => boolean | Promise<boolean>) | undefined;
  /** False makes an answer that asked for no payment an error. Default true. */
  readonly allowFree?: boolean | undefined;
  /** How long to wait for a person's approval, in milliseconds. Default 0: `ApprovalRequired` at once. */
  readonly waitForApproval?: number | undefined;
  /** Hears of a payment that waits for an approval, once. */
  readonly onApproval?: ((payment: Payment) => void) | undefined;
  /** How long to honour `Retry-After`, of Bursar and of the seller, in milliseconds in all. Default 10 000. */
  readonly maxWait?: number | undefined;
}

/**
 * The second argument of `bursar.fetch`: that of `fetch`, and what may be said about paying.
 *
 * @example
 * const init: BursarInit = { method: 'POST', body: JSON.stringify(question), maxAmount: '0.05' };
 */
export interface BursarInit extends Omit<RequestInit, 'body'>, PaymentOptions {
  /** Body, as for `fetch`. A stream needs a function that makes it anew: `() => stream`. */
  readonly body?: ReplayableBody;
}

/**
 * Seller's claim about the settlement. Bursar asks the chain and believes only that.
 *
 * @example
 * const { receipt } = bursar.paymentOf(response) ?? {};
 * if (receipt?.success) console.log(receipt.transaction);
 */
export interface Receipt {
  readonly success?: boolean;
  readonly transaction?: string;
  readonly network?: string;
  readonly [member: string]: unknown;
}

/**
 * Cost of a response.
 *
 * @example
 * const payment = bursar.paymentOf(response);
 * if (payment) console.log(payment.amount, payment.currency, payment.replayed ? 'paid before' : 'paid now');
 */
export interface ResponsePayment {
  readonly id: string;
  /** The purchase's key at Bursar. */
  readonly key: string;
  /** Currency units. */
  readonly amount: string;
  readonly currency: string;
  /** Amount that the grant could still spend after it. */
  readonly remaining: string;
  /** Whether Bursar already had this payment: this call cost nothing more. */
  readonly replayed: boolean;
  /** Whether the purchase is over. If not, the same call continues it. */
  readonly answered: boolean;
  readonly receipt: Receipt | undefined;
}

/** Context of a paid call. */
export interface Payer {
  readonly api: Api;
  readonly purchases: Purchases;
  /** Options of each call that does not give its own. */
  readonly defaults: Omit<PaymentOptions, 'intent'> | undefined;
  /** Runs a task that no answer waits for. */
  background(task: Promise<unknown>): void;
  /** Cost of each response. */
  readonly payments: WeakMap<Response, ResponsePayment>;
}

/** A 402 that can be paid: the request that met it, and its terms. */
interface Invoice {
  readonly target: Sendable;
  readonly paymentRequired: PayOrder['paymentRequired'];
}

/** How the time is spent that a call may wait. */
interface Patience {
  readonly signal: AbortSignal | null | undefined;
  /** When waiting for `Retry-After` ends, in milliseconds of `Date.now()`. */
  readonly until: number;
}

/** How many purchases of the past one call may find over, and go on to the next. */
const MAX_ENDED = 20;

/** A seller that says "at once" is not asked in a tight loop. */
const MIN_RETRY_MS = 100;

/** How much of a 402 is read in search of x402 v1 terms, in bytes. */
const MAX_TERMS_BYTES = 262_144;

/**
 * `fetch` that pays: sends the request, has Bursar sign what a 402 asks, sends it once more with the header.
 * Read it from top to bottom; each step is a function below.
 */
export async function paidFetch(
  payer: Payer,
  input: string | URL | Request,
  init: BursarInit = {},
): Promise<Response> {
  const { requestInit, options } = await split(payer, init);
  const request = await readRequest(input, requestInit);
  const sent = await send(payer.api.fetch, request);
  const invoice = await invoiceOf(sent);
  if (!invoice) {
    if (options.allowFree === false && sent.response.ok)
      throw (await sellerErrors()).notAskedToPay(sent.response);
    return sent.response;
  }
  const patience = {
    signal: request.rest.signal,
    until: Date.now() + (options.maxWait ?? 10_000),
  };
  const key = options.intent
    ? await keyOfIntent(options.intent)
    : request.headers.get('idempotency-key');
  const call: PaidCall = { payer, invoice, options, patience };
  const takeNext = async () =>
    key ? payer.purchases.named(key) : payer.purchases.take(await requestIdOf(invoice.target));

  let purchase = await takeNext();
  for (let ended = 0; ; ended++) {
    try {
      const signed = await sign(call, purchase);
      return await present(call, purchase, signed);
    } catch (error) {
      const isOver = error instanceof BursarError && error.nextAction === 'new_key';
      if (!isOver) throw error;
      payer.purchases.end(purchase);
      // Bursar alone says that a new key cannot pay twice. A name stands for one purchase only.
      if (purchase.isNamed || ended === MAX_ENDED) throw error;
    } finally {
      payer.purchases.release(purchase);
    }
    purchase = await takeNext();
  }
}

/**
 * Asks a seller for its price without paying: undefined where it asks for none.
 *
 * @throws BursarError `seller_refused` for an answer of 400 or more that has no terms.
 */
export async function quoteOf(
  payer: Payer,
  input: string | URL | Request,
  init: BursarInit = {},
): Promise<Quote | undefined> {
  const { requestInit, options } = await split(payer, init);
  const request = await readRequest(input, requestInit);
  const sent = await send(payer.api.fetch, request);
  const invoice = await invoiceOf(sent);
  if (!invoice) {
    const { response } = sent;
    await discard(response);
    if (response.status >= 400) throw (await sellerErrors()).notQuoted(response);
    return undefined;
  }
  const { body } = await payer.api.call<Quote>('POST', '/v1/payments/quote', {
    body: orderOf(invoice, options),
    signal: request.rest.signal,
    maxWait: options.maxWait,
  });
  return body;
}

interface PaidCall {
  readonly payer: Payer;
  readonly invoice: Invoice;
  readonly options: PaymentOptions;
  readonly patience: Patience;
}

/**
 * The invoice of an answer, if it is an x402 402 of the origin that was asked. Otherwise undefined, and the
 * answer is as it came. A HEAD request is never paid: it would buy an answer without its content.
 */
async function invoiceOf({ response, target, strayed }: Sent): Promise<Invoice | undefined> {
  const header = response.headers.get('payment-required');
  if (strayed || target.method === 'HEAD') return undefined;
  if (wantsAllowance(response)) throw (await sellerErrors()).allowanceRequired(response);
  if (response.status !== 402) return undefined;
  if (header !== null && isTerms(decodeJson(header))) {
    await discard(response);
    return { target, paymentRequired: header };
  }
  if (!/json/i.test(response.headers.get('content-type') ?? '')) return undefined;
  const terms = await readJson(response.clone());
  if (!isTerms(terms)) return undefined;
  await discard(response);
  return { target, paymentRequired: terms };
}

function isTerms(terms: Record<string, unknown> | undefined): terms is Record<string, unknown> {
  return terms !== undefined && 'x402Version' in terms && Array.isArray(terms.accepts);
}

/** The JSON object of a body, unless it is longer than any 402. */
async function readJson({ body }: Response): Promise<Record<string, unknown> | undefined> {
  const decoder = new TextDecoder();
  const reader = body?.getReader();
  let text = '';
  for (let length = 0; reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MAX_TERMS_BYTES) {
      // Not awaited: it ends only when the other half of the clone does.
      void reader.cancel().catch(() => {});
      return undefined;
    }
    text += decoder.decode(value, { stream: true });
  }
  try {
    return asObject(JSON.parse(text + decoder.decode()));
  } catch {
    return undefined;
  }
}

function orderOf({ target, paymentRequired }: Invoice, options: PaymentOptions): PayOrder {
  const { memo, maxAmount, option } = options;
  const request = { method: target.method, url: target.url };
  // JSON has no member that is undefined.
  return { paymentRequired, request, memo, maxAmount, option } as PayOrder;
}

/** Payment that Bursar signed for a purchase. */
type SignedPayment = Pick<AuthorizedPayment, 'payment' | 'header'> & {
  readonly remaining: string;
  readonly replayed: boolean;
};

/** Has Bursar sign the payment of a purchase. The same purchase is signed once, however often it is asked. */
async function sign(call: PaidCall, { key, isNamed }: Purchase): Promise<SignedPayment> {
  const { payer, invoice, options, patience } = call;
  const body = orderOf(invoice, options);
  const { signal } = patience;
  if (options.confirm) {
    const call = { body, signal };
    const { body: quote } = await payer.api.call<Quote>('POST', '/v1/payments/quote', call);
    if (!(await options.confirm(quote))) {
      throw new NotConfirmed(quote, { key });
    }
    // Pay only what was confirmed.
    if (quote.selected !== null) body.option = quote.selected;
  }
  try {
    return await requestPayment(payer.api, body, key, {
      ...options,
      signal,
      maxWait: patience.until - Date.now(),
    });
  } catch (error) {
    if (!(error instanceof BursarError)) throw error;
    // The seller changed its price since this purchase was signed: go on with what was signed.
    if (!isNamed && error.code === 'idempotency_mismatch' && error.nextAction === 'use_payment') {
      const path = `/v1/payments/${error.payment?.id}/header`;
      const { body: found } = await payer.api.call<SignedHeader>('GET', path, { signal });
      return { ...found, remaining: '', replayed: true };
    }
    throw error;
  }
}

/** Calls `POST /v1/payments`, and waits for an approval as long as it may. */
export async function requestPayment(
  api: Api,
  order: PayOrder,
  key: string,
  options: Pick<PaymentOptions, 'waitForApproval' | 'onApproval' | 'maxWait'> & {
    signal?: AbortSignal | null | undefined;
  } = {},
): Promise<SignedPayment> {
  const { signal, maxWait, waitForApproval = 0, onApproval } = options;
  // Neither true nor NaN.
  if (waitForApproval !== +waitForApproval) throw misuse('waitForApproval is milliseconds');
  const deadline = Date.now() + waitForApproval;
  const call = { body: order, idempotencyKey: key, signal, maxWait };
  let payment: Payment | undefined;
  for (;;) {
    const answer = await api
      .call<AuthorizedPayment>('POST', '/v1/payments', call)
      .catch((error) => {
        // A service that restarts keeps what waits: `unreachable`, `unavailable`, `unexpected_answer`.
        const isAway = payment && Date.now() < deadline && /^un/.test(error.code);
        if (!isAway) throw withKey(error, key);
      });
    if (answer?.status === 201) {
      const { payment, header, grant } = answer.body;
      const replayed = answer.headers.get('idempotent-replayed') === 'true';
      return { payment, header, remaining: grant.remaining, replayed };
    }
    if (answer && !payment) onApproval?.(answer.body.payment);
    payment = answer?.body.payment ?? payment;
    const retryAfter = Number(answer?.headers.get('retry-after')) || 5;
    const left = deadline - Date.now();
    if (left <= 0) throw new ApprovalRequired({ payment, key, retryAfter });
    await delay(Math.min(left, retryAfter * 1_000), signal);
  }
}

/**
 * Sends the request with its payment until the seller answers it, asks again, or fails. Whatever is not an
 * answer leaves the purchase open, so that the same call continues it.
 */
async function present(
  { payer, invoice, patience }: PaidCall,
  purchase: Purchase,
  signed: SignedPayment,
): Promise<Response> {
  const { key } = purchase;
  const { payment } = signed;
  for (let tries = 1; ; tries++) {
    const sent = await sendPaid(payer, invoice, patience, key, signed);
    const { response, strayed } = sent;
    const receipt: Receipt | undefined = decodeJson(sent.receipt ?? '');
    if (sent.receipt) handIn(payer, payment, sent.receipt);
    const isPaid = receipt?.success === true;
    const answered = response.status < 400 || isPaid;
    const about = { payment, key, sellerResponse: response };

    if (answered) {
      payer.purchases.end(purchase);
      const whole = reopenedWhenCut(response, () => payer.purchases.reopen(purchase));
      return noted(payer, whole, purchase, signed, { answered, receipt });
    }
    const waitMs = retryAfterMs(response);
    const isSoon = waitMs !== undefined && Date.now() + waitMs <= patience.until;
    const isFirstRefusal = response.status === 402 && tries === 1;
    if (!strayed && (isSoon || isFirstRefusal)) {
      await discard(response);
      await delay(isSoon ? waitMs : 0, patience.signal);
      continue;
    }
    if (!strayed && wantsAllowance(response))
      throw (await sellerErrors()).allowanceRequired(response, about);
    // A stranger's 402 asks for another payment than this one, and comes back as it is.
    if (!strayed && response.status === 402)
      throw await (await sellerErrors()).askedAgain(payer.api, patience.signal, about);
    if (response.status >= 500) {
      const detail = `the seller answered ${response.status} to the paid request; ${CONTINUE}`;
      throw new PaymentOutcomeUnknown(detail, about);
    }
    return noted(payer, response, purchase, signed, { answered, receipt });
  }
}

const CONTINUE = 'repeat the same call to continue with the same payment';

async function sendPaid(
  { api }: Payer,
  { target }: Invoice,
  { signal }: Patience,
  key: string,
  { payment, header }: SignedPayment,
): Promise<Sent> {
  // Nothing is sent for a caller that has gone away since.
  signal?.throwIfAborted();
  try {
    return await send(api.fetch, target, header);
  } catch (cause) {
    // An abort throws its reason, as with fetch.
    signal?.throwIfAborted();
    const detail = `the answer to the paid request was lost; ${CONTINUE}`;
    throw new PaymentOutcomeUnknown(detail, { payment, key, cause });
  }
}

/** Gives the seller's receipt to Bursar, which asks the chain at once. Only a hint: nothing waits for it. */
function handIn({ api, background }: Payer, { id }: Payment, paymentResponse: string): void {
  background(api.call('POST', `/v1/payments/${id}/receipt`, { body: { paymentResponse } }));
}

function noted(
  { payments }: Payer,
  response: Response,
  { key }: Purchase,
  { payment: { id, amount, currency }, remaining, replayed }: SignedPayment,
  outcome: Pick<ResponsePayment, 'answered' | 'receipt'>,
): Response {
  payments.set(response, { id, key, amount, currency, remaining, replayed, ...outcome });
  return response;
}

/** The same response, whose body reports when it breaks off. It streams as before. */
function reopenedWhenCut(response: Response, onCut: () => void): Response {
  const reader = response.body?.getReader();
  if (!reader) return response;
  const body = new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
        controller.byobRequest?.respond(0);
      } catch (error) {
        onCut();
        controller.error(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const { status, statusText, headers, url, redirected } = response;
  const whole = new Response(body, { status, statusText, headers });
  // A Response that is constructed has neither.
  return Object.defineProperties(whole, { url: { value: url }, redirected: { value: redirected } });
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfterMs({ headers }: Response): number | undefined {
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, MIN_RETRY_MS);
}

/** Whether a 412 carries terms: the seller takes Permit2. */
function wantsAllowance({ status, headers }: Response): boolean {
  return status === 412 && headers.has('payment-required');
}

/** Loaded at the first use: few calls meet such a seller. */
function sellerErrors() {
  return import('./seller-errors.js');
}

function withKey(error: unknown, key: string): unknown {
  if (!(error instanceof BursarError)) return error;
  return new BursarError(error.code, error.detail, { ...error, key, cause: error.cause });
}

const PAYMENT_OPTIONS: Record<keyof PaymentOptions, 1> = {
  intent: 1,
  maxAmount: 1,
  memo: 1,
  option: 1,
  confirm: 1,
  allowFree: 1,
  waitForApproval: 1,
  onApproval: 1,
  maxWait: 1,
};

/**
 * Parts what `fetch` takes from what is about paying. An option that is undefined leaves its default.
 *
 * @throws BursarError `invalid_request` for a name that would be ignored.
 */
async function split({ defaults = {} }: Payer, init: BursarInit) {
  const options: Record<string, unknown> = {};
  const requestInit: Record<string, unknown> = {};
  for (const [name, value] of [...Object.entries(defaults), ...Object.entries(init)]) {
    if (value === undefined) continue;
    const isOption = name in PAYMENT_OPTIONS;
    // Loaded at the first use: few calls name more than that.
    if (!isOption && !INIT_MEMBERS.includes(name))
      (await import('./init.js')).requireInitMember(name);
    (isOption ? options : requestInit)[name] = value;
  }
  if (options.intent === '') throw misuse('intent is empty');
  return {
    requestInit: requestInit as Omit<BursarInit, keyof PaymentOptions>,
    options: options as PaymentOptions,
  };
}
