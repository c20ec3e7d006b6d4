import type { ClientBase } from 'pg';
import { type Bounds, boundOf, type Full, tooMany } from '../domain/bounds.js';
import { Problem } from '../domain/problem.js';
import type { GrantRecord } from './grant-rows.js';

/** The time that is counted together, in milliseconds. */
const PERIOD_MS = 3_600_000;

/** How often one actor may resume one grant, or replace its token, in a minute. */
const REPEATS_PER_MINUTE = 20;
const MINUTE_MS = 60_000;

/** The amount that something adds to the meters. */
export interface Creation {
  readonly events: number;
  /** Characters. */
  readonly bytes: number;
}

interface MeterRow {
  subject: string;
  since: Date;
  events: number;
  bytes: string;
}

/**
 * Meters of events and bytes, of every grant of some chains and of their treasury, locked in the order of their
 * subjects behind the grants.
 */
export class Meters {
  private constructor(
    private readonly treasuryId: string,
    private readonly rows: ReadonlyMap<string, MeterRow>,
  ) {}

  /** @param at - the database's time. A period that is over begins anew. */
  static async lock(
    tx: ClientBase,
    at: Date,
    treasuryId: string,
    grantIds: Iterable<string>,
  ): Promise<Meters> {
    const { rows } = await tx.query<MeterRow>(
      `INSERT INTO creation_meters AS m (treasury_id, subject, since, events, bytes)
       SELECT $1, s.subject, $3, 0, 0 FROM unnest($2::text[]) AS s (subject) ORDER BY s.subject
       ON CONFLICT (treasury_id, subject) DO UPDATE SET
         since = CASE WHEN m.since <= $4 THEN $3 ELSE m.since END,
         events = CASE WHEN m.since <= $4 THEN 0 ELSE m.events END,
         bytes = CASE WHEN m.since <= $4 THEN 0 ELSE m.bytes END
       RETURNING m.subject, m.since, m.events, m.bytes`,
      [treasuryId, [...new Set([...grantIds, treasuryId])], at, new Date(at.getTime() - PERIOD_MS)],
    );
    return new Meters(treasuryId, new Map(rows.map((row) => [row.subject, row])));
  }

  /**
   * Adds a creation to a chain and the treasury.
   *
   * @param path - of the chain, the root first.
   * @param bounds - undefined adds whatever it comes to.
   * @returns undefined when all have room, else what has none: then nothing was added.
   */
  add(
    path: readonly string[],
    { events, bytes }: Creation,
    bounds: Bounds | undefined,
  ): (Full & { readonly until: Date }) | undefined {
    const subjects = [...path, this.treasuryId];
    for (const [depth, subject] of subjects.entries()) {
      if (!bounds) break;
      const meter = this.of(subject);
      const isTreasury = depth === path.length;
      const limitOf = (bound: Bounds['events']) =>
        isTreasury ? bound.treasury : boundOf(bound, depth);
      const isFull =
        meter.events + events > limitOf(bounds.events) ||
        Number(meter.bytes) + bytes > limitOf(bounds.bytes);
      if (!isFull) continue;
      return {
        grantId: isTreasury ? undefined : subject,
        limit: limitOf(bounds.events),
        until: new Date(meter.since.getTime() + PERIOD_MS),
      };
    }
    for (const subject of subjects) {
      const meter = this.of(subject);
      meter.events += events;
      meter.bytes = String(Number(meter.bytes) + bytes);
    }
    return undefined;
  }

  /** Writes what was added. */
  async keep(tx: ClientBase): Promise<void> {
    const rows = [...this.rows.values()];
    await tx.query(
      `UPDATE creation_meters m SET events = n.events, bytes = n.bytes
       FROM unnest($2::text[], $3::int[], $4::bigint[]) AS n (subject, events, bytes)
       WHERE m.treasury_id = $1 AND m.subject = n.subject`,
      [
        this.treasuryId,
        rows.map(({ subject }) => subject),
        rows.map(({ events }) => events),
        rows.map(({ bytes }) => bytes),
      ],
    );
  }

  private of(subject: string): MeterRow {
    const meter = this.rows.get(subject);
    if (!meter) throw new Error(`the meter of ${subject} is not locked`);
    return meter;
  }
}

/**
 * Charges what a caller makes to a chain and its treasury.
 *
 * @param chain - locked, from the root down; empty for a new root.
 * @param bounds - undefined for what must not be refused, such as a suspension or an admin's act.
 * @throws Problem `rate_limited` naming what has no room left in this hour.
 */
export async function chargeCreation(
  tx: ClientBase,
  at: Date,
  treasuryId: string,
  chain: readonly GrantRecord[],
  creation: Creation,
  bounds: Bounds | undefined,
): Promise<void> {
  const path = chain.map(({ id }) => id);
  const meters = await Meters.lock(tx, at, treasuryId, path);
  const full = meters.add(path, creation, bounds);
  if (full) {
    const seconds = Math.max(1, Math.ceil((full.until.getTime() - at.getTime()) / 1000));
    throw tooMany(full, 'changes were made this hour', undefined, seconds);
  }
  await meters.keep(tx);
}

/**
 * Counts a repetition of one act by one actor on one grant, which is locked. Each has an event of its own that
 * nothing may stand for (a log without it would not be true), so it is refused and not folded.
 *
 * @throws Problem `rate_limited` past twenty in a minute.
 */
export async function limitRepeats(
  tx: ClientBase,
  at: Date,
  { treasuryId, id }: GrantRecord,
  act: string,
  actor: string,
): Promise<void> {
  const { rows } = await tx.query<{ since: Date; written: number }>(
    `INSERT INTO refusal_tallies AS t (treasury_id, grant_id, code, since, last_at, written, counted)
     VALUES ($1, $2, $3, $4, $4, 1, 0)
     ON CONFLICT (treasury_id, grant_id, code) DO UPDATE SET last_at = $4,
       since = CASE WHEN t.since <= $5 THEN $4 ELSE t.since END,
       written = CASE WHEN t.since <= $5 THEN 1 ELSE t.written + 1 END
     RETURNING t.since, t.written`,
    [treasuryId, id, `${act} ${actor}`, at, new Date(at.getTime() - MINUTE_MS)],
  );
  const [tally] = rows;
  if (!tally || tally.written <= REPEATS_PER_MINUTE) return;
  const leftMs = tally.since.getTime() + MINUTE_MS - at.getTime();
  throw new Problem(
    'rate_limited',
    `grant ${id} was ${act} ${REPEATS_PER_MINUTE} times within a minute by this caller; try again later`,
    { grantId: id, retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)) },
  );
}
