import { parseResource, type Scope, scopeRefuses, wholeHostPattern } from '../domain/scope.js';
import { units, unitsText } from './decimal.js';
import { at } from './output.js';
import type { Grant } from './sdk.js';

/** Payment that was asked of a chain of grants. */
export interface Purchase {
  readonly url: string;
  readonly network: string;
  readonly payTo: string;
  /** Currency units; undefined where the currency's decimals are not known here. */
  readonly amount: string | undefined;
}

/** A grant of the chain. Of one above the caller's own, only its id is known, or not even that. */
export type ChainGrant = Grant | { readonly id: string; readonly isHidden: true };

/** One check of one grant, in the service's order. */
export interface Check {
  readonly grantId: string;
  readonly holder: string;
  readonly name: CheckName;
  /** The grant's terms, as they are now. */
  readonly terms: string;
  /** Whether it refuses now; undefined where that cannot be seen. */
  readonly refusesNow: boolean | undefined;
  /** Change that would let it pass. */
  readonly remedy: string;
}

type CheckName =
  | 'own maximum'
  | 'life'
  | 'networks'
  | 'payees'
  | 'resources'
  | 'per payment'
  | 'payments'
  | 'budget'
  | 'windows'
  | 'approval'
  | 'funds';

const CHECK_OF: Readonly<Record<string, CheckName>> = {
  max_amount_exceeded: 'own maximum',
  grant_revoked: 'life',
  grant_suspended: 'life',
  grant_expired: 'life',
  grant_not_started: 'life',
  treasury_suspended: 'life',
  network_not_allowed: 'networks',
  payee_not_allowed: 'payees',
  resource_not_allowed: 'resources',
  per_payment_exceeded: 'per payment',
  payments_exceeded: 'payments',
  budget_exceeded: 'budget',
  window_exceeded: 'windows',
  treasury_insufficient: 'funds',
};

/** The check that a refusal's code is of. */
export function checkOf(code: string): CheckName | undefined {
  return CHECK_OF[code];
}

/**
 * The checks of a chain in the order in which the service makes them: life from the root down, then scope and limits
 * from the paying grant up, the treasury's funds, and approvals from the root down.
 *
 * @param chain - the root first.
 */
export function checksOf(chain: readonly ChainGrant[], purchase: Purchase): Check[] {
  const up = [...chain].reverse();
  // Grants above a carve-out set the money aside when it was minted: their budgets are not asked again.
  const carveOut = chain.findLastIndex(
    (grant) => 'funding' in grant && grant.funding === 'reserved',
  );
  const setAside = new Set(chain.slice(0, Math.max(carveOut, 0)).map(({ id }) => id));
  const funds: Check = {
    grantId: '',
    holder: 'the treasury',
    name: 'funds',
    terms: 'a wallet with that much free',
    refusesNow: undefined,
    remedy: 'more funds in the treasury; see: npx bursar wallets',
  };
  return [
    ...chain.map((grant) => ofGrant(grant, 'life', lifeOf)),
    ...up.flatMap((grant) => [
      ofGrant(grant, 'networks', (known) => scopeOf(known, 'networks', purchase)),
      ofGrant(grant, 'payees', (known) => scopeOf(known, 'payTo', purchase)),
      ofGrant(grant, 'resources', (known) => scopeOf(known, 'resources', purchase)),
    ]),
    ...up.flatMap((grant) => [
      ofGrant(grant, 'per payment', (known) => perPayment(known, purchase)),
      ofGrant(grant, 'payments', paymentsOf),
      ofGrant(grant, 'budget', (known) =>
        setAside.has(known.id) ? SET_ASIDE : budgetOf(known, purchase),
      ),
      ofGrant(grant, 'windows', (known) => windowsOf(known, purchase)),
    ]),
    funds,
    ...chain.map((grant) => ofGrant(grant, 'approval', (known) => approvalOf(known, purchase))),
  ];
}

type Finding = Pick<Check, 'terms' | 'refusesNow' | 'remedy'>;

const SET_ASIDE: Finding = {
  terms: 'set aside for the grant below',
  refusesNow: false,
  remedy: '',
};

function ofGrant(grant: ChainGrant, name: CheckName, look: (known: Grant) => Finding): Check {
  const { id: grantId } = grant;
  if ('isHidden' in grant) {
    const remedy = 'whoever holds that grant, which is above yours, or an admin, must change it';
    return {
      grantId,
      holder: 'above yours',
      name,
      terms: 'not shown',
      refusesNow: undefined,
      remedy,
    };
  }
  return { grantId, holder: grant.holder, name, ...look(grant) };
}

function lifeOf({ id, status, startsAt, expiresAt }: Grant): Finding {
  const remedies: Readonly<Record<Grant['status'], string>> = {
    active: 'a grant that is alive then, and for six seconds more',
    suspended: `npx bursar grants resume ${id}`,
    revoked: 'a new grant: one that is revoked stays so',
    expired: 'a new grant that lasts longer',
    not_started: `waiting until ${at(startsAt)}`,
  };
  return {
    terms: status === 'not_started' ? `from ${at(startsAt)}` : `${status}, until ${at(expiresAt)}`,
    refusesNow: status !== 'active',
    remedy: remedies[status],
  };
}

function scopeOf(
  { scope }: Grant,
  dimension: keyof Scope,
  { url, network, payTo }: Purchase,
): Finding {
  const entries = scope[dimension];
  const resource = parseResource(url);
  if (entries === undefined) return { terms: 'any', refusesNow: false, remedy: '' };
  const refused = scopeRefuses(
    { [dimension]: entries },
    {
      network,
      payTo,
      resources: resource ? [resource] : [],
    },
  );
  const wanted = {
    networks: network,
    payTo,
    resources: (resource && wholeHostPattern(resource)) ?? url,
  }[dimension];
  return {
    terms: entries.join(', ') || 'none',
    refusesNow: refused !== undefined,
    remedy: `${wanted} in scope.${dimension}`,
  };
}

function perPayment({ maxPerPayment, currency }: Grant, { amount }: Purchase): Finding {
  return {
    terms: maxPerPayment === null ? 'any' : `at most ${maxPerPayment} ${currency}`,
    refusesNow: maxPerPayment === null ? false : isMore(amount, maxPerPayment),
    remedy: `--max-per-payment ${amount ?? 'of the price'} or more; ${limitText(maxPerPayment)}`,
  };
}

function paymentsOf({ maxPayments, payments }: Grant): Finding {
  return {
    terms: maxPayments === null ? 'any number' : `${payments} of ${maxPayments} made`,
    refusesNow: maxPayments !== null && payments >= maxPayments,
    remedy: `--max-payments above ${payments}; ${limitText(maxPayments)}`,
  };
}

function budgetOf(grant: Grant, { amount }: Purchase): Finding {
  const { budget, currency } = grant;
  const left = units(budget) - units(grant.spent) - units(grant.reserved) - units(grant.allocated);
  const needed = amount === undefined ? 'more' : unitsText(units(budget) - left + units(amount));
  return {
    terms: `${unitsText(left)} of ${budget} ${currency} left`,
    refusesNow: isMore(amount, unitsText(left)),
    remedy: `a budget of ${needed} or more; it is ${budget}`,
  };
}

function windowsOf({ windows, currency }: Grant, { amount }: Purchase): Finding {
  const texts = windows.map(({ seconds, amount: most, payments }) =>
    [most && `${most} ${currency}`, payments && `${payments} payments`]
      .filter(Boolean)
      .join(', ')
      .concat(` in ${seconds} s`),
  );
  const never = windows.some((window) => window.amount && isMore(amount, window.amount) === true);
  return {
    terms: texts.join('; ') || 'none',
    // How full a window is, no view of a grant says.
    refusesNow: windows.length === 0 ? false : never || undefined,
    remedy: never ? 'a larger window' : 'waiting for the next period, or a larger window',
  };
}

function approvalOf(grant: Grant, { amount }: Purchase): Finding {
  const { approvalAbove, approveNewPayees, currency } = grant;
  const asks = [
    approvalAbove === null ? '' : `above ${approvalAbove} ${currency}`,
    approveNewPayees ? 'new payees' : '',
  ].filter(Boolean);
  const isAbove = approvalAbove === null ? false : isMore(amount, approvalAbove);
  return {
    terms: asks.join('; ') || 'none',
    // Which payees a grant knows, no view of it says.
    refusesNow: approveNewPayees ? isAbove || undefined : isAbove,
    remedy: 'an approval; see: npx bursar approvals',
  };
}

function limitText(limit: string | number | null): string {
  return limit === null ? 'there is none' : `it is ${limit}`;
}

function isMore(amount: string | undefined, limit: string): boolean | undefined {
  return amount === undefined ? undefined : units(amount) > units(limit);
}
