import type { ProblemCode, ProblemFields } from '../domain/problem.js';

/** The media type of every error body (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** The HTTP status of each code: the one table the contract's errors are read from. */
export const PROBLEM_STATUS: Readonly<Record<ProblemCode, number>> = {
  invalid_request: 400,
  invalid_token: 401,
  invalid_dpop_proof: 401,
  budget_exceeded: 403,
  per_payment_exceeded: 403,
  window_exceeded: 403,
  payments_exceeded: 403,
  payee_not_allowed: 403,
  network_not_allowed: 403,
  resource_not_allowed: 403,
  grant_revoked: 403,
  grant_suspended: 403,
  grant_expired: 403,
  grant_not_started: 403,
  delegation_not_allowed: 403,
  attenuation_violation: 403,
  forbidden: 403,
  not_found: 404,
  idempotency_mismatch: 409,
  invalid_transition: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  requirements_invalid: 422,
  scheme_not_supported: 422,
  asset_not_supported: 422,
  network_not_supported: 422,
  rate_limited: 429,
  internal_error: 500,
  treasury_insufficient: 503,
  unavailable: 503,
};

/** Seconds a caller is told to wait where nothing better is known. */
export const DEFAULT_RETRY_AFTER_SECONDS = 5;

/** The body of an error (RFC 9457, section 3), with Bursar's own members. */
export interface ProblemBody extends Omit<ProblemFields, 'retryAfterSeconds'> {
  /** `urn:bursar:problem:<code>`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
}

/** Builds the body of an error. */
export function problemBody(
  code: ProblemCode,
  detail: string,
  { retryAfterSeconds: _header, ...members }: ProblemFields = {},
): ProblemBody {
  const words = code.replaceAll('_', ' ');
  return {
    type: `urn:bursar:problem:${code}`,
    title: words.charAt(0).toUpperCase() + words.slice(1),
    status: PROBLEM_STATUS[code],
    detail,
    code,
    ...members,
  };
}
