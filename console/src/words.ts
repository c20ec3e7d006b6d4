import type { Grant, GrantTerms } from '@bursar/sdk';
import { count, exact, isAmount, money, period, whole } from './format.js';

/** Terms as the form of a new grant has them, or as a grant has them. */
type Terms = Pick<GrantTerms, 'holder' | 'budget'> & Partial<Omit<GrantTerms, 'holder' | 'budget'>>;

/** The terms of a grant, as its form would have them. */
export function termsOf(grant: Grant): Terms {
  const { maxPerPayment, maxPayments, approvalAbove, purpose: _, ...rest } = grant;
  return {
    holder: rest.holder,
    budget: rest.budget,
    currency: rest.currency,
    windows: rest.windows,
    scope: rest.scope,
    expiresAt: rest.expiresAt,
    delegationDepth: rest.delegationDepth,
    funding: rest.funding,
    ...(maxPerPayment === null ? {} : { maxPerPayment }),
    ...(maxPayments === null ? {} : { maxPayments }),
    ...(approvalAbove === null ? {} : { approvalAbove }),
  };
}

/** Tells in one sentence what the terms allow, so that a person can agree or disagree. */
export function sentence(terms: Terms): string {
  const { holder, budget, currency = 'USDC', ttlSeconds, expiresAt, delegationDepth = 0 } = terms;
  const amount = (text: string) =>
    isAmount(text) ? `${money(text)} ${currency}` : `… ${currency}`;
  const parts = [
    `${holder || '…'} may pay ${places(terms)}`,
    terms.maxPerPayment ? `up to ${amount(terms.maxPerPayment)} each` : 'any price',
    ...(terms.windows ?? []).map((window) => {
      const most = [
        window.amount ? amount(window.amount) : undefined,
        window.payments === undefined ? undefined : count(window.payments, 'payment'),
      ].filter(Boolean);
      return `${most.join(' and ')} per ${period(window.seconds)}`;
    }),
    `${amount(budget)} in all`,
    ...(terms.maxPayments === undefined ? [] : [`${count(terms.maxPayments, 'payment')} at most`]),
    expiresAt
      ? `until ${whole(expiresAt)}`
      : ttlSeconds
        ? `for ${article(period(ttlSeconds))}`
        : 'as long as the grant above',
  ];
  return `${parts.join(', ')}. ${approvals(terms.approvalAbove, amount)} ${delegation(delegationDepth)}`;
}

function places({ scope }: Terms): string {
  const { resources, payTo, networks } = scope ?? {};
  const where = resources ? list(resources) : 'any seller';
  const whom = payTo ? `, to ${count(payTo.length, 'payee')} only` : '';
  return `${where}${whom}${networks ? ` on ${list(networks)}` : ''}`;
}

function list(entries: readonly string[]): string {
  if (entries.length === 0) return 'nobody';
  const [last = ''] = entries.slice(-1);
  return entries.length === 1 ? last : `${entries.slice(0, -1).join(', ')} and ${last}`;
}

function approvals(above: string | undefined, amount: (text: string) => string): string {
  if (above === undefined) return 'No payment waits for an approval.';
  return isAmount(above) && exact(above) === 0n
    ? 'A person approves every payment.'
    : `A person approves what costs more than ${amount(above)}.`;
}

function delegation(depth: number): string {
  if (depth === 0) return 'It may hand nothing on.';
  return depth === 1 ? 'It may hand on once.' : `It may hand on, ${depth} levels deep.`;
}

function article(text: string): string {
  if (/^\d/.test(text)) return text;
  return text === 'hour' ? 'an hour' : `a ${text}`;
}
