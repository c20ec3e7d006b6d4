import type { Database } from '../database/database.js';

/** The number of a treasury's spends that no payment stands for. */
export interface UnexplainedCounts {
  /** The treasury's name. */
  readonly treasury: string;
  readonly unexplained: number;
  /** Whether keys without a payment make none, see ledger/fences.ts. */
  readonly isFenced: boolean;
}

/** Counts the unexplained spends of every treasury. */
export async function countUnexplained(database: Database): Promise<UnexplainedCounts[]> {
  const { rows } = await database.pool.query<UnexplainedCounts>(
    `SELECT t.name AS treasury, t.fenced_until IS NOT NULL AS "isFenced",
       (SELECT count(*)::int FROM outside_spends s
        WHERE s.treasury_id = t.id AND s.status IN ('seen', 'final')) AS unexplained
     FROM treasuries t ORDER BY t.name`,
  );
  return rows;
}
