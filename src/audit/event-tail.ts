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
  /** Place of the first event kept. */
  first: number;
  events: SealedEvent[];
  bytes: number;
}

/** The newest events of each log that is watched, in memory: an unbroken run of leaves up to the log's head. */
export class EventTail {
  readonly #tails = new Map<string, Tail>();

  /** Keeps what follows a place. A tail that ends elsewhere is dropped, so that it never has a gap. */
  begin(treasuryId: string, from: number): void {
    const tail = this.#tails.get(treasuryId);
    if (tail && tail.first + tail.events.length === from) return;
    this.#tails.set(treasuryId, { first: from, events: [], bytes: 0 });
  }

  /** Appends the events that follow the last one kept. */
  append(treasuryId: string, events: readonly SealedEvent[]): void {
    const tail = this.#tails.get(treasuryId);
    if (!tail) return;
    for (const event of events) {
      tail.events.push(event);
      tail.bytes += event.record.length;
    }
    let dropped = 0;
    while (tail.events.length - dropped > MAX_EVENTS || tail.bytes > MAX_BYTES) {
      tail.bytes -= tail.events[dropped]?.record.length ?? 0;
      dropped += 1;
    }
    tail.events.splice(0, dropped);
    tail.first += dropped;
  }

  /** Events from a place on; undefined where memory does not have all of them. */
  read(treasuryId: string, from: number, limit: number): EventBatch | undefined {
    const tail = this.#tails.get(treasuryId);
    if (!tail || from < tail.first || from > tail.first + tail.events.length) return undefined;
    const start = from - tail.first;
    const events = tail.events.slice(start, start + limit);
    return { events, next: from + events.length };
  }

  /** Forgets everything. */
  clear(): void {
    this.#tails.clear();
  }
}
