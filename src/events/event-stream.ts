import { Readable } from 'node:stream';
import type { EventFeed, EventFilter, SealedEvent } from '../audit/event-feed.js';
import { formatPlaces } from './places.js';

/** Bytes that wait in this process for a reader. The rest waits in the log. */
const BUFFER_BYTES = 65_536;

/** A log that a stream follows. */
interface FollowedLog {
  readonly treasuryId: string;
  readonly position: number;
}

/** Parts of a stream. */
export interface StreamSource {
  readonly feed: EventFeed;
  readonly filter: EventFilter;
  /** The lines of an event but its id, with the record as the reader may see it. */
  readonly frame: (event: SealedEvent) => Buffer;
  /** Where to start in each log. */
  readonly places: ReadonlyMap<string, FollowedLog & { readonly place: number }>;
  /** Hears how many events were written. */
  readonly onSent: (events: number) => void;
}

/**
 * One reader's server-sent events. It reads the log only as fast as the reader takes them: what waits here is
 * bounded, and a reader that takes nothing is found by {@link stalledMs}.
 */
export class EventStream extends Readable {
  /** Leaves read, by the number of the treasury. */
  readonly #places = new Map<number, number>();
  readonly #logs = new Map<string, FollowedLog>();
  #isWanted = false;
  #isPumping = false;
  #blockedAt: number | undefined;
  /** The places of the id that the reader has. */
  #told = '';

  constructor(private readonly source: StreamSource) {
    super({ highWaterMark: BUFFER_BYTES });
    for (const { place, ...log } of source.places.values()) this.follow(log, place);
  }

  /** Follows one more log, from a place. */
  follow(log: FollowedLog, place: number): void {
    if (this.#logs.has(log.treasuryId)) return;
    this.#logs.set(log.treasuryId, log);
    this.#places.set(log.position, place);
  }

  /** How many logs it follows. */
  get logs(): number {
    return this.#logs.size;
  }

  /**
   * Begins with the time that a client waits before it reconnects, and the place to resume at if the stream breaks
   * before its first event.
   */
  open(retryMs: number): void {
    this.#told = formatPlaces(this.#places);
    this.write(`retry: ${retryMs}\nid: ${this.#told}\n\n`);
    this.advance();
  }

  /** Sends what the log has new. */
  advance(): void {
    if (!this.#isWanted || this.#isPumping || this.destroyed || this.readableEnded) return;
    this.#isPumping = true;
    this.pump()
      .catch((error: Error) => this.destroy(error))
      .finally(() => {
        this.#isPumping = false;
        // The log may have grown, or the reader caught up, while the last reading ended.
        if (this.#isWanted && this.behind()) setImmediate(() => this.advance());
      });
  }

  /** Keeps the connection, and moves the place of a reader whose filter matched nothing. */
  beat(): void {
    if (!this.#isWanted || this.#isPumping) return;
    const places = formatPlaces(this.#places);
    this.write(places === this.#told ? ': \n\n' : `: \nid: ${places}\n\n`);
    this.#told = places;
  }

  /** Ends the stream in order. The reader is told when to come back, and resumes. */
  end(comment: string, retryMs: number): void {
    if (this.destroyed || this.#isEnding) return;
    this.#isEnding = true;
    this.push(`: ${comment}\nretry: ${retryMs}\n\n`);
    this.push(null);
  }
  #isEnding = false;

  /** For how long the reader has taken nothing although something waits, in milliseconds. */
  stalledMs(now: number): number {
    return this.#blockedAt === undefined ? 0 : now - this.#blockedAt;
  }

  override _read(): void {
    this.#isWanted = true;
    this.#blockedAt = undefined;
    this.advance();
  }

  private behind(): FollowedLog | undefined {
    const { feed } = this.source;
    for (const log of this.#logs.values()) {
      const size = feed.known(log.treasuryId)?.size ?? 0;
      if ((this.#places.get(log.position) ?? 0) < size) return log;
    }
    return undefined;
  }

  private async pump(): Promise<void> {
    const { feed, filter } = this.source;
    for (let log = this.behind(); log && this.#isWanted; log = this.behind()) {
      const from = this.#places.get(log.position) ?? 0;
      const size = feed.known(log.treasuryId)?.size ?? 0;
      const read = feed.read(log.treasuryId, from, size, filter);
      const batch = read instanceof Promise ? await read : read;
      if (this.destroyed || this.#isEnding) return;
      if (!this.send(log.position, batch.events)) return;
      this.#places.set(log.position, batch.next);
    }
  }

  /**
   * Sends events in pieces of about the buffer's size: one write for many events.
   *
   * @returns whether all of them were sent; else the place is that of the last one that was.
   */
  private send(position: number, events: readonly SealedEvent[]): boolean {
    let frames: Buffer[] = [];
    let bytes = 0;
    for (const [index, event] of events.entries()) {
      if (!this.#isWanted) return false;
      this.#places.set(position, event.leafIndex + 1);
      this.#told = formatPlaces(this.#places);
      const frame = this.source.frame(event);
      frames.push(Buffer.from(`id: ${this.#told}\n`), frame);
      bytes += frame.length;
      if (bytes < BUFFER_BYTES && index < events.length - 1) continue;
      this.source.onSent(frames.length / 2);
      this.write(Buffer.concat(frames));
      frames = [];
      bytes = 0;
    }
    return true;
  }

  private write(frame: string | Buffer): void {
    if (this.destroyed || this.#isEnding || this.push(frame)) return;
    this.#isWanted = false;
    this.#blockedAt = performance.now();
  }
}
