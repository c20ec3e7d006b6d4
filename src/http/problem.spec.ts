import { describe, expect, it } from '@jest/globals';
import type { NextAction, ProblemCode } from '../domain/problem.js';
import { DEFAULT_RETRY_AFTER_SECONDS, PROBLEM_STATUS, problemBody } from './problem.js';

/** The table of errors as the contract prints it. */
const CONTRACT: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'invalid_token, invalid_dpop_proof',
  403:
    'max_amount_exceeded, budget_exceeded, per_payment_exceeded, window_exceeded, payments_exceeded, ' +
    'payee_not_allowed, network_not_allowed, resource_not_allowed, grant_revoked, grant_suspended, treasury_suspended, ' +
    'grant_expired, grant_not_started, delegation_not_allowed, attenuation_violation, gas_exceeded, forbidden',
  404: 'not_found',
  409: 'idempotency_mismatch, payment_ended, payment_expiring, invalid_transition, conflict',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  422: 'requirements_invalid, scheme_not_supported, asset_not_supported, network_not_supported',
  503: 'treasury_insufficient, unavailable',
};

/** The contract's table of next actions; a single problem may name another one. */
const NEXT_ACTIONS: Readonly<Partial<Record<NextAction, string>>> = {
  ask:
    'budget_exceeded, per_payment_exceeded, payments_exceeded, payee_not_allowed, network_not_allowed, ' +
    'resource_not_allowed, grant_suspended, treasury_suspended',
  choose_cheaper: 'max_amount_exceeded',
  wait:
    'window_exceeded, grant_not_started, gas_exceeded, rate_limited, unavailable, treasury_insufficient, ' +
    'payment_expiring, internal_error',
  stop: 'grant_revoked, grant_expired, forbidden, delegation_not_allowed, not_found',
  use_payment: 'idempotency_mismatch',
  new_key: 'payment_ended',
  renew_token: 'invalid_token, invalid_dpop_proof',
  fix_request:
    'invalid_request, attenuation_violation, invalid_transition, conflict, payload_too_large, ' +
    'unsupported_media_type, requirements_invalid, scheme_not_supported, asset_not_supported, ' +
    'network_not_supported',
};

/** Turns a table of lists into pairs of a code and its key in the table. */
function pairsOf<Key extends string>(table: Readonly<Partial<Record<Key, string>>>) {
  return Object.entries<string | undefined>(table).flatMap(([key, codes = '']) =>
    codes.split(', ').map((code) => [code as ProblemCode, key as Key] as const),
  );
}

const ACTIONS = pairsOf(NEXT_ACTIONS);

describe('PROBLEM_STATUS', () => {
  it('has every code of the contract under its status, and none besides but internal_error', () => {
    const pairs = pairsOf<string>(CONTRACT).map(([code, status]) => [code, Number(status)]);
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
      nextAction: 'ask',
      ...members,
    });
  });

  it('has a next action for every code', () => {
    expect(ACTIONS.map(([code]) => code).toSorted()).toEqual(
      Object.keys(PROBLEM_STATUS).toSorted(),
    );
  });

  it.each(ACTIONS)('answers %s with the next action %s', (code, nextAction) => {
    expect(problemBody(code, 'detail').nextAction).toBe(nextAction);
  });

  it.each(ACTIONS)(
    'tells the seconds to wait with %s only where waiting helps (%s)',
    (code, next) => {
      expect(problemBody(code, 'detail').retryAfter).toBe(
        next === 'wait' ? DEFAULT_RETRY_AFTER_SECONDS : undefined,
      );
    },
  );

  it('has the seconds to wait as retryAfter, in place of the default', () => {
    expect(problemBody('unavailable', 'try again', { retryAfterSeconds: 30 })).toEqual({
      type: 'urn:bursar:problem:unavailable',
      title: 'Unavailable',
      status: 503,
      detail: 'try again',
      code: 'unavailable',
      nextAction: 'wait',
      retryAfter: 30,
    });
  });

  it('lets a problem say another next action than its code has', () => {
    expect(problemBody('payment_ended', 'rejected', { nextAction: 'stop' })).toMatchObject({
      nextAction: 'stop',
    });
    const waiting = problemBody('payment_ended', 'wait', { nextAction: 'wait' });
    expect(waiting.retryAfter).toBe(DEFAULT_RETRY_AFTER_SECONDS);
    const stopped = problemBody('unavailable', 'stop', { nextAction: 'stop' });
    expect(stopped).not.toHaveProperty('retryAfter');
  });

  it('names the payment that has the key already', () => {
    const payment = { id: 'pay_1', status: 'authorized', validBefore: '2026-11-28T10:00:00.000Z' };
    expect(problemBody('idempotency_mismatch', 'another request', { payment })).toMatchObject({
      nextAction: 'use_payment',
      payment,
    });
  });

  it("keeps the seller's text in a member of its own", () => {
    const sellerText = 'untrusted, from the seller: "pay me"';
    const body = problemBody('scheme_not_supported', 'not supported', { sellerText });
    expect(body).toMatchObject({
      title: 'Scheme not supported',
      detail: 'not supported',
      sellerText,
    });
  });
});
