import type { ClientBase } from 'pg';
import { type Bound, type TreasuryUsage, tooMany } from '../domain/bounds.js';

/**
 * Adds to a treasury's counts. Its row is the last lock of a transaction. They only bound what is made anew: were
 * one wrong, a payment must end all the same, so it stops at 0 and `bursar check` tells.
 */
export const USAGE = {
  sql: `UPDATE treasury_usage SET alive = greatest(alive + $2::int, 0),
      waiting = greatest(waiting + $3::int, 0), open_payments = greatest(open_payments + $4::int, 0)
    WHERE treasury_id = $1 AND ($2::int <> 0 OR $3::int <> 0 OR $4::int <> 0)`,
  values: (treasuryId: string, { alive, waiting, openPayments }: TreasuryUsage) => [
    treasuryId,
    alive,
    waiting,
    openPayments,
  ],
};

/** See {@link USAGE}. */
export async function addUsage(
  tx: ClientBase,
  treasuryId: string,
  more: Partial<TreasuryUsage>,
): Promise<void> {
  const change = { alive: 0, waiting: 0, openPayments: 0, ...more };
  await tx.query(USAGE.sql, USAGE.values(treasuryId, change));
}

/** Counts one grant more to a treasury, where it has room. @throws Problem `rate_limited`. */
export async function countMinted(tx: ClientBase, treasuryId: string, bound: Bound): Promise<void> {
  const { rowCount } = await tx.query(
    'UPDATE treasury_usage SET alive = alive + 1 WHERE treasury_id = $1 AND alive < $2',
    [treasuryId, bound.treasury],
  );
  if (rowCount === 1) return;
  throw tooMany({ grantId: undefined, limit: bound.treasury }, 'grants are alive', undefined, 60);
}
