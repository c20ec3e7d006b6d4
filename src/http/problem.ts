import type { NextAction, ProblemCode, ProblemFields } from '../domain/problem.js';
import type { ActiveTrace } from '../tracing/trace-scope.js';

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
  treasury_suspended: 403,
  grant_expired: 403,
  grant_not_started: 403,
  delegation_not_allowed: 403,
  attenuation_violation: 403,
  max_amount_exceeded: 403,
  gas_exceeded: 403,
  forbidden: 403,
  not_found: 404,
  idempotency_mismatch: 409,
  payment_ended: 409,
  payment_expiring: 409,
  invalid_transition: 409,
  conflict: 409,
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

/** Next action for each code, unless the problem itself says something else. */
export const NEXT_ACTION: Readonly<Record<ProblemCode, NextAction>> = {
  invalid_request: 'fix_request',
  invalid_token: 'renew_token',
  invalid_dpop_proof: 'renew_token',
  budget_exceeded: 'ask',
  per_payment_exceeded: 'ask',
  window_exceeded: 'wait',
  payments_exceeded: 'ask',
  payee_not_allowed: 'ask',
  network_not_allowed: 'ask',
  resource_not_allowed: 'ask',
  grant_revoked: 'stop',
  grant_suspended: 'ask',
  treasury_suspended: 'ask',
  grant_expired: 'stop',
  grant_not_started: 'wait',
  delegation_not_allowed: 'stop',
  attenuation_violation: 'fix_request',
  max_amount_exceeded: 'choose_cheaper',
  gas_exceeded: 'wait',
  forbidden: 'stop',
  not_found: 'stop',
  idempotency_mismatch: 'use_payment',
  payment_ended: 'new_key',
  payment_expiring: 'wait',
  invalid_transition: 'fix_request',
  conflict: 'fix_request',
  payload_too_large: 'fix_request',
  unsupported_media_type: 'fix_request',
  requirements_invalid: 'fix_request',
  scheme_not_supported: 'fix_request',
  asset_not_supported: 'fix_request',
  network_not_supported: 'fix_request',
  rate_limited: 'wait',
  internal_error: 'wait',
  treasury_insufficient: 'wait',
  unavailable: 'wait',
};

/** Seconds a caller is told to wait where nothing better is known. */
export const DEFAULT_RETRY_AFTER_SECONDS = 5;

/** The body of an error (RFC 9457, section 3), with Bursar's own members. */
export interface ProblemBody extends Omit<ProblemFields, 'retryAfterSeconds' | 'nextAction'> {
  /** `urn:bursar:problem:<code>`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly nextAction: NextAction;
  /** Seconds, where waiting is what helps. */
  readonly retryAfter?: number;
  /** The trace of the request, while tracing is on. */
  readonly traceId?: string;
}

/** Builds the body of an error. @param trace - of the request. */
export function problemBody(
  code: ProblemCode,
  detail: string,
  { retryAfterSeconds, nextAction = NEXT_ACTION[code], ...members }: ProblemFields = {},
  trace?: ActiveTrace,
): ProblemBody {
  const words = code.replaceAll('_', ' ');
  const retryAfter =
    retryAfterSeconds ?? (nextAction === 'wait' ? DEFAULT_RETRY_AFTER_SECONDS : undefined);
  return {
    type: `urn:bursar:problem:${code}`,
    title: words.charAt(0).toUpperCase() + words.slice(1),
    status: PROBLEM_STATUS[code],
    detail,
    code,
    nextAction,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...members,
    ...(trace && { traceId: trace.span.spanContext().traceId }),
  };
}
