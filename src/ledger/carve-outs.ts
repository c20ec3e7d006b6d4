import type { ClientBase, Pool } from 'pg';
import { returnable, setAsideBy } from '../domain/charge.js';
import { uncommitted } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { appendEvents } from './events.js';
import { type GrantRecord, writeCounters } from './grant-rows.js';

/**
 * Sets a carve-out's budget aside on the grants above it.
 *
 * @param ancestors - locked, from the root down, the carve-out's parent last. Never empty.
 * @returns the ancestors as they are then.
 * @throws Problem `budget_exceeded` naming the grant that has not that much left.
 */
export async function setAside(
  tx: ClientBase,
  ancestors: readonly GrantRecord[],
  budget: bigint,
): Promise<GrantRecord[]> {
  const bound = setAsideBy(ancestors);
  const available = uncommitted(ancestors);
  const [first] = ancestors;
  if (!first) throw new Error('a carve-out has a parent');
  if (budget > available) {
    const tightest = bound.find((grant) => uncommitted([grant]) === available) ?? first;
    const currency = currencyOf(first.currency);
    const amount = (atomic: bigint) => formatAmount(atomic, currency);
    throw new Problem(
      'budget_exceeded',
      `${amount(budget)} ${currency.code} cannot be set aside: ${amount(available)} of ${amount(tightest.budget)} is left of grant ${tightest.id}`,
      {
        field: 'budget',
        grantId: tightest.id,
        limit: amount(tightest.budget),
        remaining: amount(available),
      },
    );
  }
  const changed = bound.map((grant) => ({ ...grant, allocated: grant.allocated + budget }));
  await writeCounters(tx, first.treasuryId, changed);
  return [...ancestors.slice(0, ancestors.length - changed.length), ...changed];
}

/**
 * Gives what is left of an ended carve-out back to the grants that set it aside; does nothing while it
 * can still be spent, something of it is open, or it was given back before.
 *
 * @param chain - locked, from the root down, the carve-out last.
 * @returns the chain as it is then.
 */
export async function returnCarveOut(
  tx: ClientBase,
  chain: readonly GrantRecord[],
  now: Date,
): Promise<readonly GrantRecord[]> {
  const grant = chain.at(-1);
  const amount = returnable(chain, now);
  if (!grant || grant.returnedAt || amount === undefined) return chain;
  const ancestors = chain.slice(0, -1);
  const changed = setAsideBy(ancestors).map((each) => ({
    ...each,
    allocated: each.allocated - amount,
  }));
  await writeCounters(tx, grant.treasuryId, changed);
  await tx.query('UPDATE grants SET returned_at = $3 WHERE treasury_id = $1 AND id = $2', [
    grant.treasuryId,
    grant.id,
    now,
  ]);
  await appendEvents(tx, now, [
    {
      treasuryId: grant.treasuryId,
      kind: 'grant.returned',
      actor: 'system:grants',
      grantId: grant.id,
      data: { amount: amount.toString(), to: changed.map(({ id }) => id) },
    },
  ]);
  return [
    ...ancestors.slice(0, ancestors.length - changed.length),
    ...changed,
    { ...grant, returnedAt: now },
  ];
}

/** Carve-outs that seem to have ended and not to have been given back, to look at under their locks. */
export async function endedCarveOuts(
  pool: Pool,
  limit: number,
): Promise<{ treasuryId: string; id: string }[]> {
  const { rows } = await pool.query<{ treasury_id: string; id: string }>(
    `SELECT g.treasury_id, g.id FROM grants g
     WHERE g.funding = 'reserved' AND g.returned_at IS NULL AND g.parent_id IS NOT NULL
       AND g.open_payments = 0
       AND (g.expires_at <= now() OR g.payments >= g.max_payments OR EXISTS (
           SELECT 1 FROM grants a
           WHERE a.treasury_id = g.treasury_id AND a.id = ANY (g.path) AND a.status = 'revoked'))
     ORDER BY g.treasury_id, g.id LIMIT ${limit}`,
  );
  return rows.map(({ treasury_id, id }) => ({ treasuryId: treasury_id, id }));
}
