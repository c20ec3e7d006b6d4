import type { Pool } from 'pg';
import { bindingLimit } from '../domain/binding.js';
import { effectiveStatus, type GrantSnapshot, remaining } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { type GrantRecord, readGrants } from '../ledger/grant-rows.js';
import type { GrantView } from './grants.dto.js';

/**
 * Shows grants as the contract does. Status and remaining come from the whole chain, which is read
 * once for all of them.
 */
export async function viewGrants(
  pool: Pool,
  grants: readonly GrantRecord[],
  now: Date,
): Promise<GrantView[]> {
  const wanted = new Map<string, Set<string>>();
  for (const { treasuryId, path } of grants) {
    const ids = wanted.get(treasuryId) ?? new Set();
    for (const id of path) ids.add(id);
    wanted.set(treasuryId, ids);
  }
  const known = new Map<string, GrantRecord>();
  for (const [treasuryId, ids] of wanted) {
    for (const [id, grant] of await readGrants(pool, treasuryId, [...ids])) known.set(id, grant);
  }
  return grants.map((grant) => {
    const chain = grant.path.map((id) => known.get(id)).filter((each) => each !== undefined);
    return viewGrant(grant, chain, now);
  });
}

/** Shows one grant whose chain (from the root down) is at hand. */
export function viewGrant(grant: GrantRecord, chain: readonly GrantRecord[], now: Date): GrantView {
  const currency = currencyOf(grant.currency);
  const amount = (atomic: bigint) => formatAmount(atomic, currency);
  return {
    id: grant.id,
    treasuryId: grant.treasuryId,
    parentId: grant.parentId ?? null,
    rootId: grant.rootId,
    depth: grant.depth,
    status: effectiveStatus(chain, now),
    suspendedBy: grant.suspendedBy ?? null,
    holder: grant.holder,
    currency: grant.currency,
    budget: amount(grant.budget),
    maxPerPayment: grant.maxPerPayment === undefined ? null : amount(grant.maxPerPayment),
    maxPayments: grant.maxPayments ?? null,
    windows: grant.windows.map((window) => ({
      seconds: window.seconds,
      ...(window.amount === undefined ? {} : { amount: amount(window.amount) }),
      ...(window.payments === undefined ? {} : { payments: window.payments }),
    })),
    approvalAbove: grant.approvalAbove === undefined ? null : amount(grant.approvalAbove),
    scope: {
      ...(grant.scope.networks ? { networks: [...grant.scope.networks] } : {}),
      ...(grant.scope.payTo ? { payTo: [...grant.scope.payTo] } : {}),
      ...(grant.scope.resources ? { resources: [...grant.scope.resources] } : {}),
    },
    startsAt: grant.startsAt.toISOString(),
    expiresAt: grant.expiresAt.toISOString(),
    delegationDepth: grant.delegationDepth,
    approveNewPayees: grant.approveNewPayees,
    breaker: grant.breaker ? { ...grant.breaker } : null,
    funding: grant.funding,
    holderKey: grant.holderKey === undefined ? null : { ...grant.holderKey },
    purpose: grant.purpose ?? null,
    labels: { ...grant.labels },
    createdAt: grant.createdAt.toISOString(),
    reserved: amount(grant.reserved),
    spent: amount(grant.spent),
    allocated: amount(grant.allocated),
    remaining: amount(remaining(chain, now)),
    limitedBy: viewLimit(chain, now),
    payments: grant.payments,
  };
}

function viewLimit(chain: readonly GrantSnapshot[], now: Date): GrantView['limitedBy'] {
  const { grantId, by, window, reopensAt } = bindingLimit(chain, now);
  return {
    grantId,
    by,
    ...(window === undefined ? {} : { windowSeconds: window.seconds }),
    ...(reopensAt === undefined ? {} : { reopensAt: reopensAt.toISOString() }),
  };
}

/**
 * Exposure of a subtree, signed and unsettled: it stands in the grant's own row, so that it costs the
 * same for every tree. Nothing that is open is valid longer than `lastValidBefore`.
 */
export function exposureOf(
  grant: Pick<GrantRecord, 'currency' | 'openPayments' | 'reserved' | 'lastValidBefore'>,
) {
  return {
    payments: grant.openPayments,
    amount: formatAmount(grant.reserved, currencyOf(grant.currency)),
    lastValidBefore:
      grant.openPayments === 0
        ? null
        : new Date(Number(grant.lastValidBefore) * 1000).toISOString(),
  };
}
