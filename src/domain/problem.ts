/**
 * Every stable error code of the contract. What a code means to HTTP (its status) is settled at the
 * edge, in `http/problem.ts`; the domain only says what is wrong.
 */
export type ProblemCode =
  | 'invalid_request'
  | 'invalid_token'
  | 'invalid_dpop_proof'
  | DenialCode
  | 'delegation_not_allowed'
  | 'attenuation_violation'
  | 'max_amount_exceeded'
  | 'gas_exceeded'
  | 'forbidden'
  | 'not_found'
  | 'idempotency_mismatch'
  | 'payment_ended'
  | 'payment_expiring'
  | 'invalid_transition'
  | 'conflict'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'requirements_invalid'
  | 'scheme_not_supported'
  | 'asset_not_supported'
  | 'network_not_supported'
  | 'treasury_insufficient'
  | 'unavailable'
  | 'internal_error';

/** The codes with which a grant refuses a payment by its limits or its scope. */
export const POLICY_DENIALS = [
  'budget_exceeded',
  'per_payment_exceeded',
  'payments_exceeded',
  'window_exceeded',
  'network_not_allowed',
  'payee_not_allowed',
  'resource_not_allowed',
] as const;
/** One of {@link POLICY_DENIALS}. */
export type PolicyDenialCode = (typeof POLICY_DENIALS)[number];

/** The codes with which a grant of the chain, or the treasury above them all, refuses a payment. */
export type DenialCode =
  | PolicyDenialCode
  | 'grant_revoked'
  | 'grant_suspended'
  | 'treasury_suspended'
  | 'grant_expired'
  | 'grant_not_started';

/**
 * Next action for an agent. `new_key` alone says that a payment under a new
 * `Idempotency-Key` cannot pay twice.
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

/** The payment that already has the key of a call, as a problem shows it. */
export interface ProblemPayment {
  readonly id: string;
  readonly status: string;
  /** RFC 3339; null while nothing is signed. */
  readonly validBefore: string | null;
}

/** Members a problem carries beside its code: they become members of the problem+json body. */
export interface ProblemFields {
  /** Which grant of the chain said no. */
  grantId?: string;
  /** The bound that was hit, in currency units or as a count. */
  limit?: string;
  /** Amount that was left under that bound. */
  remaining?: string;
  /** When a window that is full begins anew, RFC 3339. */
  reopensAt?: string;
  /** The field of the request at fault, as a dotted path. */
  field?: string;
  /** Seconds after which trying again makes sense: `retryAfter`, also sent as `Retry-After`. */
  retryAfterSeconds?: number;
  /** Where it is another one than the code's own, see `http/problem.ts`. */
  nextAction?: NextAction;
  /** The payment that already has the key. */
  payment?: ProblemPayment;
  /** Text that a seller chose, see {@link untrusted}. Never part of `detail`. */
  sellerText?: string;
}

/** The longest text of a seller that is shown, in characters. */
const MAX_SELLER_TEXT = 200;

/**
 * Marks a seller's text as untrusted, for the member `sellerText`: cut, and with every quote, control,
 * bidirectional override and line separator escaped, so that it cannot pass for anything else.
 */
export function untrusted(value: unknown): string {
  const text = typeof value === 'string' ? value : `a value of type ${typeof value}`;
  const cut = text.length > MAX_SELLER_TEXT ? `${text.slice(0, MAX_SELLER_TEXT)}…` : text;
  const escaped = JSON.stringify(cut.toWellFormed()).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `untrusted, from the seller: ${escaped}`;
}

/**
 * The one error of the service: a stable code, a sentence saying what was wrong, where, and what to
 * do, and the members of a denial. Anything else that is thrown is a bug and answers 500.
 */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly fields: ProblemFields = {},
    /** Text of the log beside it, where the caller must not be told. */
    readonly why?: string,
  ) {
    super(`${code}: ${detail}`);
  }
}
