import type { ClientBase } from 'pg';
import type { Bounds } from '../domain/bounds.js';
import type { NewEvent } from './events.js';
import { Meters } from './meters.js';

/** How long refusals of one kind are counted together, in milliseconds. */
const PERIOD_MS = 60_000;

/** How many refusals of one grant and code get an event of their own in a period. */
const WRITTEN_PER_PERIOD = 20;

/** About what the record of a refusal takes, in characters. */
const RECORD_SIZE = 1_024;

interface TallyRow {
  treasury_id: string;
  grant_id: string;
  code: string;
  since: Date;
  last_at: Date;
  written: number;
  counted: string;
}

/**
 * Keeps a flood of refusals from filling the disk: of each grant and code, the first
 * {@link WRITTEN_PER_PERIOD} of a minute are written as they are, and the rest only counted. What was
 * counted is told in one `payment.refused_more` event when its minute is over, by the next refusal of
 * the kind or by {@link overdueRefusals}.
 *
 * The count is a row of Postgres that the transaction locks last, so it holds over replicas, and a
 * transaction that rolls back has counted nothing.
 *
 * Events of refusals are metered too, of each grant of the chain and of the treasury: past that bound they are
 * counted as well, however many grants and codes they are spread over.
 *
 * @param at - the database's time of the refusals.
 * @param events - what the transaction means to write; what is no `payment.refused` passes through.
 * @param pathOf - the chain of a grant, the root first.
 * @returns the events to write instead, in the same order.
 */
export async function boundRefusals(
  tx: ClientBase,
  at: Date,
  treasuryId: string,
  events: readonly NewEvent[],
  pathOf: (grantId: string) => readonly string[],
  bounds: Bounds,
): Promise<NewEvent[]> {
  const kinds = new Map(events.filter(isRefusal).map((event) => [keyOf(event), event]));
  if (kinds.size === 0) return [...events];
  const tallies = await lockTallies(tx, at, [...kinds.values()]);
  const told: NewEvent[] = [];
  for (const tally of tallies.values()) {
    if (!isOver(tally, at)) continue;
    told.push(...refusedMore(tally));
    Object.assign(tally, { since: at, written: 0, counted: '0' });
  }
  const paths = [...kinds.values()].flatMap(({ grantId }) => pathOf(grantId ?? ''));
  // Past the tallies' rate nothing is written: then the meters are let alone.
  const hasRoom = [...tallies.values()].some(({ written }) => written < WRITTEN_PER_PERIOD);
  const meters = hasRoom ? await Meters.lock(tx, at, treasuryId, paths) : undefined;
  const kept = events.filter((event) => {
    if (!isRefusal(event)) return true;
    const tally = tallies.get(keyOf(event));
    if (!tally) throw new Error('a refusal was not counted');
    tally.last_at = at;
    const path = pathOf(event.grantId ?? '');
    const size = { events: 1, bytes: RECORD_SIZE };
    if (meters && tally.written < WRITTEN_PER_PERIOD && !meters.add(path, size, bounds)) {
      tally.written += 1;
      return true;
    }
    tally.counted = (BigInt(tally.counted) + 1n).toString();
    return false;
  });
  await keepTallies(tx, [...tallies.values()]);
  await meters?.keep(tx);
  return [...told, ...kept];
}

/**
 * The events of what was counted in periods that are over, for the caller to write in the same
 * transaction. The counts are gone with it.
 */
export async function overdueRefusals(tx: ClientBase, at: Date): Promise<NewEvent[]> {
  const { rows } = await tx.query<TallyRow>(
    `DELETE FROM refusal_tallies t USING (
       SELECT treasury_id, grant_id, code FROM refusal_tallies
       WHERE since <= $1 ORDER BY since LIMIT 1000 FOR UPDATE SKIP LOCKED) o
     WHERE t.treasury_id = o.treasury_id AND t.grant_id = o.grant_id AND t.code = o.code
     RETURNING t.*`,
    [new Date(at.getTime() - PERIOD_MS)],
  );
  return rows.flatMap(refusedMore);
}

/** SQL of the condition on a kind of event that it tells of refused payments. Their index has the same. */
export function isRefusalKind(kind: string): string {
  return `${kind} IN ('payment.refused', 'payment.refused_more')`;
}

/** Whether an event is one of those that are bounded. */
export function isRefusal(event: NewEvent): boolean {
  return event.kind === 'payment.refused' && event.grantId !== undefined;
}

/** Refusals are alike when they are of one grant and for one reason (the code of the denial). */
function keyOf({ treasuryId, grantId, reason }: NewEvent): string {
  return `${treasuryId} ${grantId} ${reason ?? ''}`;
}

function isOver(tally: TallyRow, at: Date): boolean {
  return at.getTime() - tally.since.getTime() >= PERIOD_MS;
}

function refusedMore(tally: TallyRow): NewEvent[] {
  if (tally.counted === '0') return [];
  return [
    {
      treasuryId: tally.treasury_id,
      kind: 'payment.refused_more',
      actor: 'system:audit',
      grantId: tally.grant_id,
      reason: tally.code,
      data: {
        code: tally.code,
        refusals: tally.counted,
        from: tally.since.toISOString(),
        to: tally.last_at.toISOString(),
      },
    },
  ];
}

/** Locks the tallies of refusals, made where there are none, in the order of their keys. */
async function lockTallies(
  tx: ClientBase,
  at: Date,
  refusals: readonly NewEvent[],
): Promise<Map<string, TallyRow>> {
  // An update that changes nothing locks the row that is there and returns it as it is then.
  const { rows } = await tx.query<TallyRow>(
    `INSERT INTO refusal_tallies AS t (treasury_id, grant_id, code, since, last_at, written, counted)
     SELECT r.treasury_id, r.grant_id, r.code, $4, $4, 0, 0
     FROM unnest($1::text[], $2::text[], $3::text[]) AS r (treasury_id, grant_id, code)
     ORDER BY r.treasury_id, r.grant_id, r.code
     ON CONFLICT (treasury_id, grant_id, code) DO UPDATE SET code = t.code RETURNING t.*`,
    [
      refusals.map(({ treasuryId }) => treasuryId),
      refusals.map(({ grantId }) => grantId),
      refusals.map(({ reason }) => reason ?? ''),
      at,
    ],
  );
  return new Map(rows.map((row) => [`${row.treasury_id} ${row.grant_id} ${row.code}`, row]));
}

async function keepTallies(tx: ClientBase, tallies: readonly TallyRow[]): Promise<void> {
  await tx.query(
    `UPDATE refusal_tallies t
     SET since = n.since, last_at = n.last_at, written = n.written, counted = n.counted
     FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::int[], $7::bigint[])
       AS n (treasury_id, grant_id, code, since, last_at, written, counted)
     WHERE t.treasury_id = n.treasury_id AND t.grant_id = n.grant_id AND t.code = n.code`,
    [
      tallies.map(({ treasury_id }) => treasury_id),
      tallies.map(({ grant_id }) => grant_id),
      tallies.map(({ code }) => code),
      tallies.map(({ since }) => since),
      tallies.map(({ last_at }) => last_at),
      tallies.map(({ written }) => written),
      tallies.map(({ counted }) => counted),
    ],
  );
}
