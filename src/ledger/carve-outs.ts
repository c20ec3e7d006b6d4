import type { ClientBase, Pool } from 'pg';
import { returnable, setAsideBy } from '../domain/charge.js';
import { uncommitted } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { appendEvents, type NewEvent } from './events.js';
import {
  chainOf,
  databaseNow,
  type GrantRecord,
  inSubtree,
  lockChains,
  writeCounters,
} from './grant-rows.js';

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

/** Result of {@link returnIn}. */
export interface Returns {
  /** The carve-outs that gave their rest back. */
  readonly returned: readonly string[];
  /** The grants whose counters changed. */
  readonly changed: ReadonlySet<string>;
  readonly events: readonly NewEvent[];
}

/**
 * Calls {@link returnIn} with all carve-outs among the grants: the payment that ended may have been the last of one, or
 * one may have ended before.
 */
export function returnAfterEnd(grants: Map<string, GrantRecord>, now: Date): Returns {
  const carveOuts = [...grants.values()].filter(({ funding }) => funding === 'reserved');
  return returnIn(
    grants,
    carveOuts.map(({ id }) => id),
    now,
  );
}

/**
 * Gives back what is left of ended carve-outs to the grants that set it aside; passes over those that
 * can still be spent, have something open, or gave it back before. The deepest first: a carve-out in
 * an ended carve-out returns to it before it returns itself.
 *
 * @param grants - locked, by id; changed in place. To be written by {@link writeReturns}.
 * @param ids - the carve-outs to look at. Their chains must be among `grants`.
 */
export function returnIn(
  grants: Map<string, GrantRecord>,
  ids: readonly string[],
  now: Date,
): Returns {
  const returned: string[] = [];
  const changed = new Set<string>();
  const events: NewEvent[] = [];
  const depthOf = (id: string) => grants.get(id)?.depth ?? 0;
  for (const id of [...new Set(ids)].sort((a, b) => depthOf(b) - depthOf(a))) {
    const chain = chainOf(grants, id);
    const grant = chain.at(-1);
    const amount = returnable(chain, now);
    if (!grant || grant.returnedAt || amount === undefined) continue;
    const to = setAsideBy(chain.slice(0, -1));
    for (const each of to) {
      grants.set(each.id, { ...each, allocated: each.allocated - amount });
      changed.add(each.id);
    }
    grants.set(id, { ...grant, returnedAt: now });
    returned.push(id);
    events.push({
      treasuryId: grant.treasuryId,
      kind: 'grant.returned',
      actor: 'system:grants',
      grantId: id,
      data: { amount: amount.toString(), to: to.map((each) => each.id) },
    });
  }
  return { returned, changed, events };
}

/** Writes what {@link returnIn} did, the counters it changed aside: these are the caller's to write. */
export async function writeReturns(
  tx: ClientBase,
  treasuryId: string,
  { returned, events }: Returns,
  now: Date,
): Promise<void> {
  if (returned.length === 0) return;
  await tx.query(
    'UPDATE grants SET returned_at = $3 WHERE treasury_id = $1 AND id = ANY ($2::text[])',
    [treasuryId, returned, now],
  );
  await appendEvents(tx, now, events);
}

/**
 * Locks carve-outs with all above them and gives back what has ended.
 *
 * @returns how many gave back.
 */
export async function returnCarveOuts(
  tx: ClientBase,
  treasuryId: string,
  ids: readonly string[],
): Promise<number> {
  const grants = await lockChains(tx, treasuryId, ids);
  const now = await databaseNow(tx);
  const returns = returnIn(
    grants,
    ids.filter((id) => grants.has(id)),
    now,
  );
  const changed = [...returns.changed]
    .map((id) => grants.get(id))
    .filter((each) => each !== undefined);
  await writeCounters(tx, treasuryId, changed);
  await writeReturns(tx, treasuryId, returns, now);
  return returns.returned.length;
}

/** A carve-out to look at. */
export interface Candidate {
  readonly treasuryId: string;
  readonly id: string;
}

/** Carve-outs that have expired with nothing open and were not given back, by their ends. */
export async function expiredCarveOuts(pool: Pool, limit: number): Promise<Candidate[]> {
  return candidates(
    pool,
    `SELECT g.treasury_id, g.id FROM grants g
     WHERE g.funding = 'reserved' AND g.returned_at IS NULL AND g.parent_id IS NOT NULL
       AND g.expires_at <= now() AND g.open_payments = 0
     ORDER BY g.expires_at LIMIT ${limit}`,
  );
}

/** Ended grants below which carve-outs may wait to be given back. */
export async function endedWithReturns(pool: Pool, limit: number): Promise<Candidate[]> {
  return candidates(
    pool,
    `SELECT g.treasury_id, g.id FROM grants g WHERE g.returns_below
     ORDER BY g.treasury_id, g.id LIMIT ${limit}`,
  );
}

/** Carve-outs below a grant with nothing open that were not given back, after one of them. */
export async function carveOutsBelow(
  pool: Pool,
  { treasuryId, id }: Candidate,
  after: string | undefined,
  limit: number,
): Promise<Candidate[]> {
  return candidates(
    pool,
    `SELECT g.treasury_id, g.id FROM grants g
     WHERE g.treasury_id = $1 AND ${inSubtree('$2')} AND g.funding = 'reserved'
       AND g.returned_at IS NULL AND g.parent_id IS NOT NULL AND g.open_payments = 0
       AND ($3::text IS NULL OR g.lineage > (SELECT lineage FROM grants WHERE id = $3::text))
     ORDER BY g.treasury_id, g.lineage LIMIT ${limit}`,
    [treasuryId, id, after ?? null],
  );
}

/** Whether any carve-out below a grant has not been given back. */
export async function hasCarveOutsBelow(
  tx: ClientBase,
  { treasuryId, id }: Candidate,
): Promise<boolean> {
  const { rows } = await tx.query<{ found: boolean }>(
    `SELECT EXISTS (
       SELECT 1 FROM grants g WHERE g.treasury_id = $1 AND ${inSubtree('$2')} AND g.id <> $2
         AND g.funding = 'reserved' AND g.returned_at IS NULL AND g.parent_id IS NOT NULL) AS found`,
    [treasuryId, id],
  );
  return rows[0]?.found ?? false;
}

/** Notes that the carve-outs below an ended grant were looked at; what is open returns as it ends. */
export async function returnsDone(pool: Pool, { treasuryId, id }: Candidate): Promise<void> {
  await pool.query('UPDATE grants SET returns_below = false WHERE treasury_id = $1 AND id = $2', [
    treasuryId,
    id,
  ]);
}

async function candidates(pool: Pool, sql: string, values: unknown[] = []): Promise<Candidate[]> {
  const { rows } = await pool.query<{ treasury_id: string; id: string }>(sql, values);
  return rows.map(({ treasury_id, id }) => ({ treasuryId: treasury_id, id }));
}
