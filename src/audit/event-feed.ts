import { Injectable, Logger } from '@nestjs/common';
import { Database } from '../database/database.js';
import { type Lane, onLane, seeTreasuries } from '../database/treasury-scope.js';
import type { EventKind } from '../ledger/events.js';
import { type EventBatch, EventTail, type SealedEvent } from './event-tail.js';

export type { SealedEvent } from './event-tail.js';

/** How often the heads of the logs are read while anybody watches, in milliseconds. */
const POLL_MS = 250;

/** How many events one reading takes at most. */
const BATCH = 500;

/** The most bytes of records that one reading takes, however few events these are. */
const BATCH_BYTES = 524_288;

/** How many leaves one reading passes at most: a filter that matches little must not read a whole log at once. */
const SPAN = 10_000;

/** How many readings of old events run at once in this process: those who resume share them. */
const READERS = 2;

/** Events of a log that a reader may see and asked for. */
export interface EventFilter {
  /** Grants in whose trees an event must stand, all of them. */
  readonly within: readonly string[];
  /** Undefined for all. */
  readonly kinds: ReadonlySet<EventKind> | undefined;
}

/** A log, as far as it is sealed. */
export interface LogHead {
  readonly treasuryId: string;
  /** Number of the treasury, which never changes. */
  readonly position: number;
  /** Number of sealed leaves: the place after the last one. */
  readonly size: number;
}

/** A reader that wants to know when a log grows. */
export interface Watcher {
  /** The treasuries whose logs matter; undefined for all. */
  readonly treasuries: readonly string[] | undefined;
  /** Kinds of the events that it reads; undefined for all. */
  readonly kinds: ReadonlySet<EventKind> | undefined;
  /** Called after every poll in which one of them grew. Must not throw. */
  grew(): void;
}

/**
 * The one cursor over the event log: a place is the number of leaves before it. Streams, webhooks and every later
 * consumer read from here.
 *
 * Sealing makes this safe. The sequence number of an event says nothing of when it was committed, so a reader that
 * follows it can pass an event whose transaction is slow. Places are given to committed events, under the treasury's
 * row lock, without a hole, and a batch of them becomes visible with its checkpoint in one commit. Whoever has read up
 * to the size of a checkpoint has read all of it, on any replica and after any restart.
 */
@Injectable()
export class EventFeed {
  readonly #log = new Logger('audit');
  readonly #watchers = new Set<Watcher>();
  readonly #heads = new Map<string, LogHead>();
  readonly #tail = new EventTail();
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #isPollDue = false;
  #readers = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly database: Database) {}

  /** Starts to follow logs for a reader. @returns what ends it. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    this.#timer ??= setInterval(() => this.wake(), POLL_MS).unref();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#heads.clear();
      this.#tail.clear();
    };
  }

  /** Looks at the logs now, such as after sealing in this process. */
  wake(): void {
    if (this.#watchers.size === 0) return;
    this.#isPollDue = true;
    this.#polling ??= this.pollWhileDue().finally(() => {
      this.#polling = undefined;
    });
  }

  /** The logs as they are now. @param treasuries - undefined for all. */
  heads(treasuries: readonly string[] | undefined, lane: Lane = 'reads'): Promise<LogHead[]> {
    return onLane(lane, async () => {
      const { rows } = await this.database.pool.query<{
        id: string;
        position: number;
        size: string | null;
      }>(
        `SELECT t.id, t.position, (SELECT c.size FROM log_checkpoints c WHERE c.treasury_id = t.id
           ORDER BY c.size DESC LIMIT 1) AS size
         FROM treasuries t ${treasuries ? 'WHERE t.id = ANY ($1::text[])' : ''} ORDER BY t.position`,
        treasuries ? [treasuries] : [],
      );
      return rows.map(({ id, position, size }) => ({
        treasuryId: id,
        position,
        size: Number(size ?? 0),
      }));
    });
  }

  /** The log as the last poll found it, for a reader that watches it. */
  known(treasuryId: string): LogHead | undefined {
    return this.#heads.get(treasuryId);
  }

  /** Logs that the last poll found. */
  allKnown(): Iterable<LogHead> {
    return this.#heads.values();
  }

  /**
   * Reads on from a place, from memory where that has it.
   *
   * @param size - of the log, as a checkpoint had it: what is behind that is not read.
   */
  read(
    treasuryId: string,
    from: number,
    size: number,
    filter: EventFilter,
  ): EventBatch | Promise<EventBatch> {
    const recent = this.#tail.read(treasuryId, from, BATCH, filter.kinds);
    if (!recent) return this.inTurn(() => this.readStored(treasuryId, from, size, filter));
    return {
      events: recent.events.filter((event) => passes(event, filter)),
      next: recent.next,
    };
  }

  private async pollWhileDue(): Promise<void> {
    while (this.#isPollDue) {
      this.#isPollDue = false;
      await this.poll().catch((error: Error) =>
        this.#log.warn(`the event feed could not be read: ${error.message}`),
      );
    }
  }

  /** One query for all who watch, and one more for each log that grew. */
  private async poll(): Promise<void> {
    const watched = this.watchedTreasuries();
    const grown = new Set<string>();
    const heads = await this.heads(watched, 'work');
    const kinds = this.watchedKinds();
    for (const head of heads) {
      const before = this.#heads.get(head.treasuryId);
      if (before?.size === head.size) continue;
      await this.extendTail(head, before?.size, kinds);
      this.#heads.set(head.treasuryId, head);
      grown.add(head.treasuryId);
    }
    if (grown.size === 0) return;
    for (const watcher of this.#watchers) {
      if (!watcher.treasuries || watcher.treasuries.some((id) => grown.has(id))) watcher.grew();
    }
  }

  /** Keeps new events in memory, so that a thousand readers at the head cost one query. */
  private async extendTail(
    { treasuryId, size }: LogHead,
    known: number | undefined,
    wanted: ReadonlySet<EventKind> | undefined,
  ) {
    let from = known ?? size;
    if (size - from > SPAN) from = size;
    const filter = { within: [], kinds: this.#tail.begin(treasuryId, from, wanted) };
    while (from < size) {
      const batch = await onLane('work', () => this.query(treasuryId, from, size, filter));
      this.#tail.append(treasuryId, batch);
      from = batch.next;
    }
  }

  private watchedTreasuries(): string[] | undefined {
    const ids = new Set<string>();
    for (const { treasuries } of this.#watchers) {
      if (!treasuries) return undefined;
      for (const id of treasuries) ids.add(id);
    }
    return [...ids];
  }

  /** The kinds that any watcher reads: what nobody reads is not fetched. */
  private watchedKinds(): ReadonlySet<EventKind> | undefined {
    const all = new Set<EventKind>();
    for (const { kinds } of this.#watchers) {
      if (!kinds) return undefined;
      for (const kind of kinds) all.add(kind);
    }
    return all;
  }

  private readStored(treasuryId: string, from: number, size: number, filter: EventFilter) {
    return onLane('reads', () => {
      // Row-level security holds for this reading too: it sees one treasury.
      seeTreasuries([treasuryId]);
      return this.query(treasuryId, from, size, filter);
    });
  }

  private async query(
    treasuryId: string,
    from: number,
    size: number,
    { within, kinds }: EventFilter,
  ): Promise<EventBatch> {
    const to = Math.min(size, from + SPAN);
    const { rows } = await this.database.pool.query<{
      leaf_index: string;
      kind: EventKind;
      path: string[] | null;
      record: string;
      before: string;
    }>(
      `SELECT leaf_index, kind, path, record, before FROM (
         SELECT r.*, sum(bytes) OVER (ORDER BY leaf_index) - bytes AS before FROM (
           SELECT e.leaf_index, e.kind, g.path, e.record, octet_length(e.record) AS bytes
           FROM log_events e LEFT JOIN grants g ON g.treasury_id = e.treasury_id AND g.id = e.grant_id
           WHERE e.treasury_id = $1 AND e.leaf_index >= $2 AND e.leaf_index < $3
             AND coalesce(g.path, '{}') @> $4::text[] AND ($5::text[] IS NULL OR e.kind = ANY ($5::text[]))
           ORDER BY e.leaf_index LIMIT ${BATCH}) r) b
       WHERE before < ${BATCH_BYTES} ORDER BY leaf_index`,
      [treasuryId, from, to, within, kinds ? [...kinds] : null],
    );
    const events = rows.map(({ leaf_index, kind, path, record }) => ({
      leafIndex: Number(leaf_index),
      kind,
      path: path ?? [],
      record,
    }));
    const last = events.at(-1);
    // A page that was cut may have more behind its last event; one that was not has passed the whole span.
    const bytes = Number(rows.at(-1)?.before ?? 0) + Buffer.byteLength(last?.record ?? '');
    const isCut = rows.length === BATCH || bytes >= BATCH_BYTES;
    return { events, next: last && isCut ? last.leafIndex + 1 : to };
  }

  /** Lets a few readings run at once; the others wait for their turn. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#readers >= READERS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#readers += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#readers -= 1;
    }
  }
}

/** Whether an event is one that a reader may see and asked for. */
function passes({ path, kind }: SealedEvent, { within, kinds }: EventFilter): boolean {
  return within.every((id) => path.includes(id)) && (kinds?.has(kind) ?? true);
}
