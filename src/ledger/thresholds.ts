import type { ClientBase } from 'pg';
import { type Crossing, crossings, type LimitUsage, THRESHOLD_ACTOR } from '../domain/threshold.js';
import { endOfPeriod } from '../domain/window.js';
import { appendEvents, type NewEvent } from './events.js';
import type { LockedGrant } from './grant-rows.js';

/** Thresholds that grants came to in a transaction, by their events. */
export type Crossings = Map<NewEvent, Crossing>;

/** Members of the request whose work makes a grant come to a threshold. */
export interface CrossingRequest {
  readonly paymentId?: string | undefined;
  readonly requestId?: string | undefined;
  readonly trace?: NewEvent['trace'];
}

/**
 * Notes the thresholds that grants came to, with their events. Call it with grants that are locked.
 *
 * @param after - the same grants as they are then, in the same order.
 * @returns the events, which {@link writeCrossings} leaves out where they were told before.
 */
export function noteCrossings(
  before: readonly LockedGrant[],
  after: readonly LimitUsage[],
  request: CrossingRequest,
  noted: Crossings,
): NewEvent[] {
  const events: NewEvent[] = [];
  before.forEach((grant, place) => {
    const then = after[place];
    for (const crossing of then ? crossings(grant, then) : []) {
      const event = eventOf(grant, crossing, request);
      noted.set(event, crossing);
      events.push(event);
    }
  });
  return events;
}

function eventOf(grant: LockedGrant, crossing: Crossing, request: CrossingRequest): NewEvent {
  const { window, percent, unit, used, limit, period } = crossing;
  const bounds = window === undefined ? undefined : grant.windows[window];
  return {
    treasuryId: grant.treasuryId,
    kind: 'grant.threshold',
    actor: THRESHOLD_ACTOR,
    grantId: grant.id,
    requestId: request.requestId,
    trace: request.trace,
    data: {
      // Not the event's own payment: it tells no state of it.
      paymentId: request.paymentId ?? null,
      percent,
      unit,
      used: used.toString(),
      limit: limit.toString(),
      window:
        window === undefined || !bounds
          ? null
          : {
              index: window,
              seconds: bounds.seconds,
              period,
              endsAt: endOfPeriod(grant.startsAt, bounds, period).toISOString(),
            },
    },
  };
}

/**
 * Writes thresholds that were not told since the last amendment or in this period of the window, under the grants' locks.
 *
 * @param events - all that are to be written.
 * @returns these without the thresholds that were told before.
 */
export async function writeCrossings(
  tx: ClientBase,
  treasuryId: string,
  noted: Crossings,
  events: readonly NewEvent[],
): Promise<readonly NewEvent[]> {
  if (noted.size === 0) return events;
  const all = [...noted.values()];
  const keys = [
    all.map(({ grantId }) => grantId),
    all.map(({ window }) => (window === undefined ? 0 : window + 1)),
    all.map(({ period }) => period),
    all.map(({ percent }) => percent),
  ];
  // A window's earlier periods are over.
  await tx.query(
    `DELETE FROM grant_thresholds t USING unnest($2::text[], $3::int[], $4::bigint[]) AS c (grant_id, bound, period)
     WHERE t.treasury_id = $1 AND t.grant_id = c.grant_id AND t.bound = c.bound AND t.period < c.period`,
    [treasuryId, ...keys.slice(0, 3)],
  );
  const { rows } = await tx.query<{ key: string }>(
    `INSERT INTO grant_thresholds (treasury_id, grant_id, bound, period, percent)
     SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::int[])
     ON CONFLICT DO NOTHING RETURNING concat_ws(' ', grant_id, bound, period, percent) AS key`,
    [treasuryId, ...keys],
  );
  const fresh = new Set(rows.map(({ key }) => key));
  return events.filter((event) => {
    const crossing = noted.get(event);
    return crossing === undefined || fresh.delete(keyOf(crossing));
  });
}

function keyOf({ grantId, window, period, percent }: Crossing): string {
  return [grantId, window === undefined ? 0 : window + 1, period, percent].join(' ');
}

/** Tells the thresholds that locked grants came to, in a transaction that has written what made them. */
export async function tellCrossings(
  tx: ClientBase,
  at: Date,
  before: readonly LockedGrant[],
  after: readonly LimitUsage[],
  request: CrossingRequest,
): Promise<void> {
  const [first] = before;
  const noted: Crossings = new Map();
  const events = noteCrossings(before, after, request, noted);
  if (!first || events.length === 0) return;
  await appendEvents(tx, at, await writeCrossings(tx, first.treasuryId, noted, events));
}

/** Forgets the thresholds of an amended grant's budget, under its lock: they are told anew. */
export async function forgetCrossings(
  tx: ClientBase,
  treasuryId: string,
  grantId: string,
): Promise<void> {
  await tx.query(
    'DELETE FROM grant_thresholds WHERE treasury_id = $1 AND grant_id = $2 AND bound = 0',
    [treasuryId, grantId],
  );
}
