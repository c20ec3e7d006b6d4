import type { ClientBase } from 'pg';
import {
  BREAKER_ACTOR,
  type CountedRefusal,
  countRefusal,
  isCountedByBreakers,
} from '../domain/breaker.js';
import type { NewEvent } from './events.js';
import type { LockedGrant } from './grant-rows.js';

/** A refusal that a breaker counts. */
interface BreakerRefusal extends CountedRefusal {
  /** The event of a refusal of this batch; undefined for earlier ones. */
  readonly event: NewEvent | undefined;
  /** Whether it has an event of its own: past a rate, refusals are only counted. Not known yet where `event` is given. */
  readonly isRecorded: boolean;
}

/** The refusals that each breaker counts, by its grant. */
export type BreakerCounts = Map<string, readonly BreakerRefusal[]>;

/** A breaker that tripped in this batch. */
interface Trip {
  readonly event: NewEvent;
  readonly refusals: readonly BreakerRefusal[];
}

/** Changes of breakers that a batch wants written. */
export interface BreakerWrites {
  /** The grants whose counts changed, by id. */
  readonly counted: Set<string>;
  readonly trips: Trip[];
}

/**
 * Reads the counts of the grants that have a breaker, under their locks. Only refusals write them: a batch without one
 * writes no row of a breaker.
 */
export async function readBreakerCounts(
  tx: ClientBase,
  treasuryId: string,
  grants: Iterable<Pick<LockedGrant, 'id' | 'breaker'>>,
): Promise<BreakerCounts> {
  const ids = [...grants].filter(({ breaker }) => breaker !== undefined).map(({ id }) => id);
  if (ids.length === 0) return new Map();
  const { rows } = await tx.query<{ grant_id: string; times: Date[]; recorded: boolean[] }>(
    'SELECT grant_id, times, recorded FROM breaker_counts WHERE treasury_id = $1 AND grant_id = ANY ($2::text[])',
    [treasuryId, ids],
  );
  return new Map(
    rows.map(({ grant_id, times, recorded }) => [
      grant_id,
      times.map((at, place) => ({ at, event: undefined, isRecorded: recorded[place] === true })),
    ]),
  );
}

/**
 * Counts a refusal with the breakers of its chain, the deepest first. One that trips suspends its grant for whatever
 * is decided next, and the refusal does not count above it.
 *
 * @param grants - the grants as the batch has them, by id; a grant that trips is changed in it.
 * @returns the event of the trip.
 */
export function countWithBreakers(
  chain: readonly LockedGrant[],
  code: string,
  refused: NewEvent,
  at: Date,
  grants: Map<string, LockedGrant>,
  counts: BreakerCounts,
  writes: BreakerWrites,
): NewEvent | undefined {
  if (!isCountedByBreakers(code)) return undefined;
  for (const grant of [...chain].reverse()) {
    if (!grant.breaker) continue;
    const refusal: BreakerRefusal = { at, event: refused, isRecorded: false };
    const { counted, trips } = countRefusal(counts.get(grant.id) ?? [], refusal, grant.breaker);
    writes.counted.add(grant.id);
    counts.set(grant.id, trips ? [] : counted);
    if (!trips) continue;
    grants.set(grant.id, { ...grant, status: 'suspended', suspendedBy: BREAKER_ACTOR });
    const event: NewEvent = {
      treasuryId: grant.treasuryId,
      kind: 'grant.tripped',
      actor: BREAKER_ACTOR,
      grantId: grant.id,
      requestId: refused.requestId,
      trace: refused.trace,
      data: {
        from: 'active',
        to: 'suspended',
        refusals: grant.breaker.refusals,
        seconds: grant.breaker.seconds,
        since: (counted[0]?.at ?? at).toISOString(),
      },
    };
    writes.trips.push({ event, refusals: counted });
    return event;
  }
  return undefined;
}

/**
 * Writes what breakers counted, and suspends the grants that tripped, which are locked.
 *
 * @param kept - the events that are written.
 * @returns these, with what a trip says of the refusals that have no event of their own.
 */
export async function writeBreakers(
  tx: ClientBase,
  treasuryId: string,
  counts: BreakerCounts,
  { counted, trips }: BreakerWrites,
  kept: readonly NewEvent[],
): Promise<NewEvent[]> {
  if (counted.size === 0) return [...kept];
  const written = new Set(kept);
  const isRecorded = ({ event, isRecorded: was }: BreakerRefusal) =>
    event === undefined ? was : written.has(event);
  const rows = [...counted].map((grantId) => {
    const refusals = counts.get(grantId) ?? [];
    return {
      grant_id: grantId,
      times: refusals.map(({ at }) => at.toISOString()),
      recorded: refusals.map(isRecorded),
    };
  });
  await tx.query(
    `INSERT INTO breaker_counts AS b (treasury_id, grant_id, times, recorded)
     SELECT $1, n.grant_id, n.times, n.recorded
     FROM jsonb_to_recordset($2::jsonb) AS n (grant_id text, times timestamptz[], recorded boolean[])
     ORDER BY n.grant_id
     ON CONFLICT (treasury_id, grant_id) DO UPDATE SET times = excluded.times, recorded = excluded.recorded`,
    [treasuryId, JSON.stringify(rows)],
  );
  if (trips.length === 0) return [...kept];
  await tx.query(
    `UPDATE grants SET status = 'suspended', suspended_by = $3, status_reason = NULL
     WHERE treasury_id = $1 AND id = ANY ($2::text[])`,
    [treasuryId, trips.map(({ event }) => event.grantId), BREAKER_ACTOR],
  );
  const told = new Map(
    trips.map(({ event, refusals }) => {
      const last = refusals.at(-1);
      const unrecorded = refusals.filter((each) => !isRecorded(each)).length;
      const isLastRecorded = last !== undefined && isRecorded(last);
      return [event, { ...event, data: { ...event.data, unrecorded, isLastRecorded } }];
    }),
  );
  return kept.map((event) => told.get(event) ?? event);
}

/** Empties the count of a grant that is resumed, under its lock. */
export async function emptyBreaker(
  tx: ClientBase,
  treasuryId: string,
  grantId: string,
): Promise<void> {
  await tx.query('DELETE FROM breaker_counts WHERE treasury_id = $1 AND grant_id = $2', [
    treasuryId,
    grantId,
  ]);
}
