import type { Payment, Quote } from './types.js';

/**
 * Next action for an agent. Only `new_key` says that a new key cannot pay twice.
 *
 * @example
 * const isWorthRepeating = (action: NextAction) => action === 'wait';
 */
export type NextAction =
  | 'stop'
  | 'wait'
  | 'ask'
  | 'choose_cheaper'
  | 'fix_request'
  | 'renew_token'
  | 'use_payment'
  | 'new_key';

/**
 * Members of an error beside its code.
 *
 * @example
 * const error = new BursarError('declined_by_us', 'this seller is on our list', { nextAction: 'stop' });
 */
export interface ErrorDetails {
  /** HTTP status of Bursar's answer, where Bursar answered. */
  readonly status?: number | undefined;
  readonly nextAction?: NextAction | undefined;
  /** Seconds after which asking again makes sense. */
  readonly retryAfter?: number | undefined;
  /** The grant of the chain that refused. */
  readonly grantId?: string | undefined;
  /** The limit that was hit, in currency units or as a count. */
  readonly limit?: string | undefined;
  /** Amount that was left under that limit. */
  readonly remaining?: string | undefined;
  /** The field of the request at fault. */
  readonly field?: string | undefined;
  /** The payment that the error is about. */
  readonly payment?: (Pick<Payment, 'id'> & Partial<Payment>) | undefined;
  /** The purchase's key. The same intent, or the same call in this process, continues with it. */
  readonly key?: string | undefined;
  /** The seller's answer, where there was one. Its body is unread. */
  readonly sellerResponse?: Response | undefined;
  readonly cause?: unknown;
}

/**
 * Every error that this package throws on purpose. Branch on `code`, or on `nextAction`.
 *
 * Aborts and network errors of an unpaid request stay what `fetch` throws.
 *
 * @example
 * try {
 *   await bursar.fetch(url, { maxAmount: '0.05' });
 * } catch (error) {
 *   if (error instanceof BursarError && error.code === 'budget_exceeded') console.log(error.remaining);
 * }
 */
export class BursarError extends Error {
  override readonly name: string = 'BursarError';
  readonly status: number | undefined;
  readonly nextAction: NextAction;
  readonly retryAfter: number | undefined;
  readonly grantId: string | undefined;
  readonly limit: string | undefined;
  readonly remaining: string | undefined;
  readonly field: string | undefined;
  readonly payment: ErrorDetails['payment'];
  readonly key: string | undefined;
  declare readonly sellerResponse: Response | undefined;

  /**
   * @param code - stable: a code of the contract, or one of this package's own.
   * @param detail - a sentence that says what is wrong and what to do.
   */
  constructor(
    readonly code: string,
    readonly detail: string,
    details: ErrorDetails = {},
  ) {
    super(`${code}: ${detail}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = details.status;
    this.nextAction = details.nextAction ?? 'stop';
    this.retryAfter = details.retryAfter;
    this.grantId = details.grantId;
    this.limit = details.limit;
    this.remaining = details.remaining;
    this.field = details.field;
    this.payment = details.payment;
    this.key = details.key;
    // Left out when an error is printed: a Response is long, and holds a stranger's headers.
    Object.defineProperty(this, 'sellerResponse', { value: details.sellerResponse });
  }
}

/** The error for a call that is wrong, before anything is sent: the code that the service has for one. */
export function misuse(detail: string): BursarError {
  return new BursarError('invalid_request', detail, { nextAction: 'fix_request' });
}

/** Refuses the options that are left when the known ones are taken: a misspelt limit must not be left out. */
export function refuseUnknown(left: object, hint = ''): void {
  for (const name in left) throw misuse(`there is no option "${name}"${hint}`);
}

/**
 * The header was sent and nobody knows whether the seller was paid (`payment_outcome_unknown`). The same call
 * again continues this purchase with the same authorization, so that it cannot pay twice.
 *
 * @example
 * if (error instanceof PaymentOutcomeUnknown) await bursar.fetch(url, { intent }); // same intent, same key
 */
export class PaymentOutcomeUnknown extends BursarError {
  override readonly name = 'PaymentOutcomeUnknown';
  constructor(detail: string, details: ErrorDetails) {
    super('payment_outcome_unknown', detail, { nextAction: 'wait', ...details });
  }
}

/**
 * The seller was paid, did not deliver, and will not serve the same payment again (`paid_not_delivered`).
 * Only another `intent` buys once more.
 *
 * @example
 * if (error instanceof PaidNotDelivered) console.log('dispute', error.payment?.id);
 */
export class PaidNotDelivered extends BursarError {
  override readonly name = 'PaidNotDelivered';
  constructor(detail: string, details: ErrorDetails) {
    super('paid_not_delivered', detail, details);
  }
}

/**
 * The payment waits for a person (`approval_required`). Nothing is signed yet. The same call again, after
 * the approval, pays.
 *
 * @example
 * if (error instanceof ApprovalRequired) console.log('please approve', error.payment?.id);
 */
export class ApprovalRequired extends BursarError {
  override readonly name = 'ApprovalRequired';
  constructor(details: ErrorDetails) {
    super(
      'approval_required',
      'the payment waits for an approval; repeat the call after it, or set waitForApproval',
      { nextAction: 'wait', ...details },
    );
  }
}

/**
 * `confirm` said no to the price (`declined`). Nothing was signed.
 *
 * @example
 * if (error instanceof NotConfirmed) console.log('too dear', error.quote.options[0]?.amount);
 */
export class NotConfirmed extends BursarError {
  override readonly name = 'NotConfirmed';
  constructor(
    readonly quote: Quote,
    details: ErrorDetails = {},
  ) {
    super('declined', 'confirm() said no; nothing was signed', details);
  }
}

const ADVICE: Record<NextAction, string> = {
  stop: 'Do not try this again.',
  wait: 'Wait, then repeat the same call.',
  ask: 'Ask the person or the agent that gave you this budget.',
  choose_cheaper: 'Choose something cheaper, or allow a higher maximum.',
  fix_request: 'Correct the request before repeating it.',
  renew_token: 'This credential no longer works; ask for a new one.',
  use_payment: 'This purchase already has a payment; repeat the call exactly as it was.',
  new_key: 'That payment is over and took no money; a new purchase is safe.',
};

/**
 * One sentence or two for a model: what was refused, the numbers that matter, what to do next. Holds nothing
 * that a seller wrote.
 *
 * @example
 * catch (error) { return { role: 'tool', content: explain(error) }; }
 */
export function explain(error: unknown): string {
  if (!(error instanceof BursarError)) {
    return 'The request failed before anything was paid, or was aborted. Repeating the same call is safe.';
  }
  const { code, detail, retryAfter, nextAction, payment } = error;
  const paid = payment === undefined ? '' : ` The payment is ${payment.id}.`;
  const advice =
    nextAction === 'wait' && retryAfter !== undefined
      ? `Wait ${retryAfter} s, then repeat the same call.`
      : ADVICE[nextAction];
  return `${sentence(code)}: ${detail}.${paid} ${advice}`;
}

function sentence(code: string): string {
  const words = code.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
