import type { ClientBase, Pool } from 'pg';
import { addUsage } from './bounds.js';
import type { Candidate } from './carve-outs.js';
import { chainOf, lockChains } from './grant-rows.js';

/** Grants that have expired and still count as alive, by their ends. */
export async function expiredGrants(pool: Pool, limit: number): Promise<Candidate[]> {
  const { rows } = await pool.query<{ treasury_id: string; id: string }>(
    `SELECT treasury_id, id FROM grants WHERE counted_out_at IS NULL AND expires_at <= now()
     ORDER BY expires_at LIMIT ${limit}`,
  );
  return rows.map(({ treasury_id, id }) => ({ treasuryId: treasury_id, id }));
}

/**
 * Takes expired grants out of what their trees and their treasury have alive. A revocation has taken out all
 * that was below it, so that only what is below the deepest revoked grant changes.
 */
export async function countOut(
  tx: ClientBase,
  treasuryId: string,
  ids: readonly string[],
): Promise<void> {
  const grants = await lockChains(tx, treasuryId, ids);
  // Read again: another worker may have been here while the locks were waited for.
  const { rows } = await tx.query<{ id: string }>(
    `UPDATE grants SET counted_out_at = now()
     WHERE treasury_id = $1 AND id = ANY ($2::text[]) AND counted_out_at IS NULL AND expires_at <= now()
     RETURNING id`,
    [treasuryId, ids],
  );
  const fewer = new Map<string, number>();
  let ofTreasury = 0;
  for (const { id } of rows) {
    const chain = chainOf(grants, id);
    const revoked = chain.findLastIndex(({ status }) => status === 'revoked');
    for (const grant of chain.slice(revoked + 1)) {
      fewer.set(grant.id, (fewer.get(grant.id) ?? 0) + 1);
    }
    if (revoked < 0) ofTreasury += 1;
  }
  await tx.query(
    `UPDATE grants g SET alive = g.alive - f.fewer
     FROM unnest($2::text[], $3::int[]) AS f (id, fewer) WHERE g.treasury_id = $1 AND g.id = f.id`,
    [treasuryId, [...fewer.keys()], [...fewer.values()]],
  );
  // A carve-out below may have a later end of its own, since an amendment changes no child.
  await tx.query(
    `UPDATE grants o SET returns_below = true WHERE o.treasury_id = $1 AND o.id = ANY ($2::text[])
       AND EXISTS (SELECT FROM grants g WHERE g.treasury_id = o.treasury_id AND g.lineage > o.lineage
         AND g.lineage < o.lineage || 'z' AND g.funding = 'reserved' AND g.returned_at IS NULL
         AND g.parent_id IS NOT NULL)`,
    [treasuryId, rows.map(({ id }) => id)],
  );
  await addUsage(tx, treasuryId, { alive: -ofTreasury });
}
