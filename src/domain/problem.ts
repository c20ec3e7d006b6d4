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
  | 'forbidden'
  | 'not_found'
  | 'idempotency_mismatch'
  | 'invalid_transition'
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

/** The codes with which a grant of the chain refuses a payment. */
export type DenialCode =
  | 'budget_exceeded'
  | 'per_payment_exceeded'
  | 'window_exceeded'
  | 'payments_exceeded'
  | 'payee_not_allowed'
  | 'network_not_allowed'
  | 'resource_not_allowed'
  | 'grant_revoked'
  | 'grant_suspended'
  | 'grant_expired'
  | 'grant_not_started';

/** Members a problem carries beside its code: they become members of the problem+json body. */
export interface ProblemFields {
  /** Which grant of the chain said no. */
  grantId?: string;
  /** The bound that was hit, in currency units or as a count. */
  limit?: string;
  /** What was left under that bound. */
  remaining?: string;
  /** The field of the request at fault, as a dotted path. */
  field?: string;
  /** Seconds after which trying again makes sense; also sent as `Retry-After`. */
  retryAfterSeconds?: number;
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
  ) {
    super(`${code}: ${detail}`);
  }
}
