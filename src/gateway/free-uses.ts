import type { ClientBase, Pool } from 'pg';

/** A payer of a gateway. */
interface PayerOf {
  readonly treasuryId: string;
  readonly payer: string;
}

/** SQL: the day, in UTC. */
const TODAY = `(now() AT TIME ZONE 'UTC')::date`;

/**
 * Takes one of the requests that are free for a payer today. The row is locked until the transaction ends, so that all
 * replicas together give no more than there are.
 *
 * @param perDay - at least 1.
 * @returns false when none is left.
 */
export async function takeFree(
  tx: ClientBase,
  { treasuryId, payer }: PayerOf,
  perDay: number,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `INSERT INTO gateway_free_uses AS u (treasury_id, payer, day, used) VALUES ($1, $2, ${TODAY}, 1)
     ON CONFLICT (treasury_id, payer, day) DO UPDATE SET used = u.used + 1 WHERE u.used < $3`,
    [treasuryId, payer, perDay],
  );
  return rowCount === 1;
}

/** Gives one back that was taken in the same transaction. */
export async function giveFreeBack(tx: ClientBase, { treasuryId, payer }: PayerOf): Promise<void> {
  await tx.query(
    `UPDATE gateway_free_uses SET used = used - 1 WHERE treasury_id = $1 AND payer = $2 AND day = ${TODAY}`,
    [treasuryId, payer],
  );
}

/** Forgets the days before yesterday. */
export async function forgetFreeUses(pool: Pool, treasuryId: string): Promise<void> {
  await pool.query(`DELETE FROM gateway_free_uses WHERE treasury_id = $1 AND day < ${TODAY} - 1`, [
    treasuryId,
  ]);
}
