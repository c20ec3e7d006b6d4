import { jest } from '@jest/globals';
import pg from 'pg';

/** Rows that a request read. */
export interface Reading<T> {
  readonly answer: T;
  readonly statements: number;
  readonly rows: number;
  readonly blocks: number;
}

/**
 * Counts the rows that a request reads. The service's workers, in the same process, may send statements of their own
 * meanwhile; these come and go, and what the request needs is in every reading: the least of three.
 *
 * @param db - the tables' owner, of more than one connection.
 * @param about - which of the statements count.
 * @param sender - whose statements count: those of pools, or with `pg.Client.prototype` those of transactions as well.
 */
export async function rowsRead<T>(
  db: pg.Pool,
  about: (sql: string) => boolean,
  request: () => Promise<T>,
  sender: Pick<pg.Client, 'query'> = pg.Pool.prototype,
): Promise<Reading<T>> {
  const once = () => readOnce(db, about, request, sender);
  const readings = [await once(), await once(), await once()];
  return readings.reduce((least, each) => (each.rows < least.rows ? each : least));
}

/**
 * Every such statement that is sent during a request is sent again, with the same values, as
 * EXPLAIN (ANALYZE, BUFFERS).
 */
async function readOnce<T>(
  db: pg.Pool,
  about: (sql: string) => boolean,
  request: () => Promise<T>,
  sender: Pick<pg.Client, 'query'>,
): Promise<Reading<T>> {
  const spy = jest.spyOn(sender, 'query');
  let answer: T;
  let sent: [string, unknown[]][];
  try {
    answer = await request();
    sent = spy.mock.calls as unknown as [string, unknown[]][];
  } finally {
    spy.mockRestore();
  }
  const read = { rows: 0, blocks: 0, statements: 0 };
  // Reads as the service does: row-level security decides which indexes may be used.
  const client = await db.connect();
  try {
    await client.query(`SET ROLE bursar_service; SET bursar.treasuries = '*'`);
    for (const [sql, values] of sent) {
      if (!about(sql)) continue;
      const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`, values);
      const plan: Plan = rows[0]['QUERY PLAN'][0].Plan;
      read.statements += 1;
      read.blocks += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      read.rows += rowsOf(plan);
    }
  } finally {
    client.release(true);
  }
  return { answer, ...read };
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Plan[];
}

/** Rows that a plan's scans of tables looked at, those they threw away included. */
function rowsOf(plan: Plan): number {
  const below = (plan.Plans ?? []).reduce((sum, each) => sum + rowsOf(each), 0);
  if (!/Scan$/.test(plan['Node Type']) || plan['Node Type'] === 'Subquery Scan') return below;
  const once =
    plan['Actual Rows'] +
    (plan['Rows Removed by Filter'] ?? 0) +
    (plan['Rows Removed by Index Recheck'] ?? 0);
  return below + once * plan['Actual Loops'];
}
