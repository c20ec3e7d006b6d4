import { lifeDenial } from '../domain/denials.js';
import { attenuate, type GrantRequest, type GrantTerms, rootTerms } from '../domain/grant.js';
import {
  type Currency,
  currencyOf,
  DEFAULT_CURRENCY,
  parseAmount,
  unknownCurrency,
} from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import type { Scope } from '../domain/scope.js';
import type { Window } from '../domain/window.js';
import type { GrantRecord } from '../ledger/grant-rows.js';
import type { MintBody } from './grants.dto.js';

/**
 * The terms a minting asks for, resolved against the parent's.
 *
 * @param parents - from the root down, the parent last; empty for a root grant.
 * @param maxSeconds - the longest life this service mints.
 * @param currencies - those of the configured tokens, by code.
 * @throws Problem `attenuation_violation`, `delegation_not_allowed`, `invalid_request`, or the code of
 *   a chain that is not alive.
 */
export function termsOf(
  body: MintBody,
  parents: readonly GrantRecord[],
  now: Date,
  maxSeconds: number,
  currencies: ReadonlyMap<string, Currency>,
): GrantTerms {
  const parent = parents.at(-1);
  const code = body.currency ?? parent?.currency ?? DEFAULT_CURRENCY.code;
  // A child stays in its parent's currency, also when no configured token is of that currency any more.
  const currency = code === parent?.currency ? currencyOf(code) : currencies.get(code);
  if (!currency) throw unknownCurrency(code, currencies.keys());
  if (parent && currency.code !== parent.currency) {
    throw new Problem(
      'attenuation_violation',
      `currency differs from the parent's (${parent.currency})`,
      { field: 'currency', grantId: parent.id, limit: parent.currency },
    );
  }
  const amount = (text: string | undefined, field: string) =>
    text === undefined ? undefined : parseAmount(text, currency, field);
  const request: GrantRequest = {
    budget: parseAmount(body.budget, currency, 'budget'),
    maxPerPayment: amount(body.maxPerPayment, 'maxPerPayment'),
    maxPayments: body.maxPayments,
    windows: body.windows && windowsOf(body.windows, currency),
    approvalAbove: amount(body.approvalAbove, 'approvalAbove'),
    scope: body.scope && scopeOf(body.scope),
    startsAt: body.startsAt === undefined ? undefined : new Date(body.startsAt),
    expiry: expiryOf(body, now, maxSeconds),
    delegationDepth: body.delegationDepth,
    approveNewPayees: body.approveNewPayees,
    breaker: body.breaker,
  };
  if (!parent) return rootTerms(request, currency, now);
  const denial = lifeDenial(parents, now);
  if (denial) {
    const { code, detail, ...fields } = denial;
    throw new Problem(code, `${detail}; it cannot delegate`, fields);
  }
  return attenuate(parent, request, currency, now);
}

/** Windows as a body asks for them, in atomic units. */
export function windowsOf(windows: NonNullable<MintBody['windows']>, currency: Currency): Window[] {
  return windows.map(({ seconds, amount, payments }, index) => ({
    seconds,
    amount:
      amount === undefined ? undefined : parseAmount(amount, currency, `windows.${index}.amount`),
    payments,
  }));
}

function expiryOf(body: MintBody, now: Date, maxSeconds: number): GrantRequest['expiry'] {
  if (body.ttlSeconds === undefined && body.expiresAt === undefined) return undefined;
  if (body.ttlSeconds !== undefined && body.expiresAt !== undefined) {
    throw new Problem('invalid_request', 'give ttlSeconds or expiresAt, not both', {
      field: 'ttlSeconds',
    });
  }
  const field = body.expiresAt === undefined ? 'ttlSeconds' : 'expiresAt';
  const at =
    body.expiresAt === undefined
      ? new Date(now.getTime() + (body.ttlSeconds ?? 0) * 1000)
      : new Date(body.expiresAt);
  if (at.getTime() > now.getTime() + maxSeconds * 1000) {
    throw new Problem(
      'invalid_request',
      `${field} gives the grant a longer life than the ${maxSeconds} s this service allows`,
      { field, limit: String(maxSeconds) },
    );
  }
  return { field, at };
}

/**
 * The end that is asked for of a grant that lives.
 *
 * @throws Problem `invalid_request` for a longer life than this service allows.
 */
export function endWithin(
  text: string | undefined,
  grant: GrantRecord,
  now: Date,
  maxSeconds: number,
): Date | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  if (at > grant.expiresAt && at.getTime() > now.getTime() + maxSeconds * 1000) {
    throw new Problem(
      'invalid_request',
      `expiresAt gives the grant a longer life than the ${maxSeconds} s this service allows`,
      { field: 'expiresAt', limit: String(maxSeconds) },
    );
  }
  return at;
}

/** Drops lists that are undefined: an absent list and an undefined one are the same thing. */
export function scopeOf({ networks, payTo, resources }: NonNullable<MintBody['scope']>): Scope {
  return {
    ...(networks ? { networks } : {}),
    ...(payTo ? { payTo } : {}),
    ...(resources ? { resources } : {}),
  };
}
