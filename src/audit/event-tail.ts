import type { EventKind } from '../ledger/events.js';

/** An event with its place in its treasury's log. */
export interface SealedEvent {
  readonly leafIndex: number;
  readonly kind: EventKind;
  /** Grants from the root to the event's own; empty for an event of no grant. */
  readonly path: readonly string[];
  /** The canonical record, byte for byte. */
  readonly record: string;
}

/** Result of one reading. */
export interface EventBatch {
  readonly events: readonly SealedEvent[];
  /** The place to read on from. Everything before it was read. */
  readonly next: number;
}

/** The most events and bytes of records that are kept of one log. */
const MAX_EVENTS = 5_000;
const MAX_BYTES = 8_388_608;

interface Tail {
  /** Kinds of the events that are kept; undefined for all. */
  readonly kinds: ReadonlySet<EventKind> | undefined;
  /** Place from which on it has all events of its kinds. */
  first: number;
  /** Place up to which it has them. */
  next: number;
  events: SealedEvent[];
  bytes: number;
}

/** The newest events of each log that is watched, in memory: all events of some kinds in an unbroken run up to the log's head. */
export class EventTail {
  readonly #tails = new Map<string, Tail>();

  /**
   * Keeps what follows a place. A tail that ends elsewhere, or lacks a kind, is dropped, so that it never has a gap.
   *
   * @param kinds - that are wanted; undefined for all.
   * @returns the kinds to append.
   */
  begin(
    treasuryId: string,
    from: number,
    kinds: ReadonlySet<EventKind> | undefined,
  ): ReadonlySet<EventKind> | undefined {
    const tail = this.#tails.get(treasuryId);
    if (tail?.next === from && covers(tail.kinds, kinds)) return tail.kinds;
    this.#tails.set(treasuryId, { kinds, first: from, next: from, events: [], bytes: 0 });
    return kinds;
  }

  /** Appends the events that follow, up to a place. */
  append(treasuryId: string, { events, next }: EventBatch): void {
    const tail = this.#tails.get(treasuryId);
    if (!tail) return;
    for (const event of events) {
      tail.events.push(event);
      tail.bytes += event.record.length;
    }
    tail.next = next;
    let dropped = 0;
    while (tail.events.length - dropped > MAX_EVENTS || tail.bytes > MAX_BYTES) {
      tail.bytes -= tail.events[dropped]?.record.length ?? 0;
      dropped += 1;
    }
    const gone = tail.events.splice(0, dropped).at(-1);
    if (gone) tail.first = gone.leafIndex + 1;
  }

  /** Events of some kinds from a place on, among others; undefined where memory does not have all of them. */
  read(
    treasuryId: string,
    from: number,
    limit: number,
    kinds: ReadonlySet<EventKind> | undefined,
  ): EventBatch | undefined {
    const tail = this.#tails.get(treasuryId);
    if (!tail || from < tail.first || from > tail.next || !covers(tail.kinds, kinds)) {
      return undefined;
    }
    const start = placeOf(tail.events, from);
    const events = tail.events.slice(start, start + limit);
    const last = events.at(-1);
    return { events, next: last && events.length === limit ? last.leafIndex + 1 : tail.next };
  }

  /** Forgets everything. */
  clear(): void {
    this.#tails.clear();
  }
}

/** Whether kinds have all the others. */
function covers(
  kinds: ReadonlySet<EventKind> | undefined,
  others: ReadonlySet<EventKind> | undefined,
): boolean {
  return (
    kinds === undefined || (others !== undefined && [...others].every((kind) => kinds.has(kind)))
  );
}

/** Position of the first event that has a place or a later one. */
function placeOf(events: readonly SealedEvent[], leafIndex: number): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle]?.leafIndex ?? leafIndex) < leafIndex) low = middle + 1;
    else high = middle;
  }
  return low;
}
