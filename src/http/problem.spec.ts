import { describe, expect, it } from '@jest/globals';
import { PROBLEM_STATUS, problemBody } from './problem.js';

/** The table of errors as the contract prints it. */
const CONTRACT: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'invalid_token, invalid_dpop_proof',
  403:
    'budget_exceeded, per_payment_exceeded, window_exceeded, payments_exceeded, payee_not_allowed, ' +
    'network_not_allowed, resource_not_allowed, grant_revoked, grant_suspended, grant_expired, ' +
    'grant_not_started, delegation_not_allowed, attenuation_violation, forbidden',
  404: 'not_found',
  409: 'idempotency_mismatch, invalid_transition',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  422: 'requirements_invalid, scheme_not_supported, asset_not_supported, network_not_supported',
  503: 'treasury_insufficient, unavailable',
};

describe('PROBLEM_STATUS', () => {
  it('has every code of the contract under its status, and none besides but internal_error', () => {
    const pairs = Object.entries(CONTRACT).flatMap(([status, codes]) =>
      codes.split(', ').map((code) => [code, Number(status)]),
    );
    expect(PROBLEM_STATUS).toEqual({ ...Object.fromEntries(pairs), internal_error: 500 });
  });
});

describe('problemBody', () => {
  it('is an RFC 9457 problem with the members of a denial', () => {
    const members = { grantId: 'grt_1', limit: '1.00', remaining: '0.25', field: 'budget' };
    expect(problemBody('budget_exceeded', 'too much', members)).toEqual({
      type: 'urn:bursar:problem:budget_exceeded',
      title: 'Budget exceeded',
      status: 403,
      detail: 'too much',
      code: 'budget_exceeded',
      ...members,
    });
  });

  it('keeps the waiting time for the header, out of the body', () => {
    const body = problemBody('unavailable', 'try again', { retryAfterSeconds: 5 });
    expect(body).toEqual({
      type: 'urn:bursar:problem:unavailable',
      title: 'Unavailable',
      status: 503,
      detail: 'try again',
      code: 'unavailable',
    });
  });
});
