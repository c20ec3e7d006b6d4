import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { treasuriesOf } from '../access/caller.js';
import { grantOfFilter } from '../access/grant-filter.js';
import { type StandingCaller, TokenLife } from '../access/token-life.js';
import { EventFeed, type LogHead, type SealedEvent, type Watcher } from '../audit/event-feed.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { DrainSwitch } from '../http/draining.js';
import { StreamCounts, type StreamEnd } from '../http/stream-counts.js';
import { kindsOf } from '../ledger/kind-filter.js';
import { Wallets } from '../treasury/wallets.js';
import { EventStream } from './event-stream.js';
import type { StreamQuery } from './events.dto.js';
import { MAX_LOGS, parsePlaces } from './places.js';
import { recordFor } from './shown-record.js';

/** How often idle connections hear something, in milliseconds. */
const BEAT_MS = 15_000;

/** How often tokens and slow readers are looked at, in milliseconds. */
const LOOK_MS = 2_000;

/** For how long a reader may take nothing of what waits for it, in milliseconds. */
const STALLED_MS = 20_000;

/** How long a client waits before it reconnects, in milliseconds: spread, so that they do not all come at once. */
const RETRY_MS = 1_000;
const RETRY_SPREAD_MS = 2_000;

/** How long a caller who has too many streams should wait, in seconds. */
const BUSY_SECONDS = 5;

interface OpenStream extends StandingCaller {
  readonly stream: EventStream;
  /** The tree of the caller's grant; undefined for an admin. */
  readonly root: string | undefined;
  /** Whether it follows treasuries that are made later. */
  readonly isOpenEnded: boolean;
  end: StreamEnd;
  readonly stopWatching: () => void;
}

/** The event streams of this process. */
@Injectable()
export class EventStreams implements OnModuleDestroy {
  readonly #open = new Set<OpenStream>();
  readonly #timers: NodeJS.Timeout[] = [];
  #isLooking = false;

  constructor(
    private readonly feed: EventFeed,
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly tokens: TokenLife,
    private readonly draining: DrainSwitch,
    private readonly counts: StreamCounts,
    @Inject(CONFIG) private readonly config: Pick<Config, 'streams'>,
  ) {
    draining.onBegin(() => this.drain());
  }

  onModuleDestroy(): void {
    this.drain();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  /**
   * Opens a stream of what a caller may see.
   *
   * @param after - the id of the last event that the caller has; undefined starts now.
   * @throws Problem `invalid_request` for an id or a filter that is wrong, `rate_limited` or `unavailable` where a
   *   bound is reached.
   */
  async open(standing: StandingCaller, query: StreamQuery, after: string | undefined) {
    const { caller } = standing;
    const db = this.database.pool;
    const own =
      caller.kind === 'holder' && (await grantOfFilter(db, caller, caller.grantId, 'grantId'));
    const asked = query.grantId && (await grantOfFilter(db, caller, query.grantId, 'grantId'));
    const root = own ? own.rootId : undefined;
    this.checkBounds(caller.actor, root);
    const treasuries = await this.treasuries(standing, query.treasuryId, asked || undefined);
    const heads = await this.feed.heads(treasuries);
    const places = placesOf(heads, after);
    // Others may have come while the database was asked.
    this.checkBounds(caller.actor, root);
    const within = [own, asked].flatMap((grant) => (grant ? [grant.id] : []));
    const kinds = query.kind && kindsOf(query.kind);
    const stream = new EventStream({
      feed: this.feed,
      filter: { within, kinds },
      frame: (event) => frameFor(event, own ? own.id : undefined),
      places,
      onSent: (events) => this.counts.sent.inc(events),
    });
    const watched = { treasuries, kinds };
    this.add({ ...standing, stream, root, isOpenEnded: treasuries === undefined, watched });
    return stream;
  }

  private add(
    given: Omit<OpenStream, 'end' | 'stopWatching'> & { watched: Omit<Watcher, 'grew'> },
  ) {
    const { watched, ...rest } = given;
    const { stream, isOpenEnded } = rest;
    const stopWatching = this.feed.watch({
      ...watched,
      grew: () => {
        if (isOpenEnded) this.followNew(open);
        stream.advance();
      },
    });
    const open: OpenStream = { ...rest, end: 'client', stopWatching };
    this.#open.add(open);
    this.counts.open.set(this.#open.size);
    stream.once('error', () => {
      open.end = 'failed';
    });
    stream.once('close', () => {
      this.#open.delete(open);
      stopWatching();
      this.counts.open.set(this.#open.size);
      this.counts.ended.inc({ reason: open.end });
    });
    this.startTimers();
    stream.open(retryMs());
    this.feed.wake();
    if (this.draining.isDraining) this.endOne(open, 'drain');
  }

  /** Treasuries that were made after the stream began are read from their first leaf. */
  private followNew(open: OpenStream): void {
    for (const { treasuryId, position } of this.feed.allKnown()) {
      open.stream.follow({ treasuryId, position }, 0);
    }
    if (open.stream.logs > MAX_LOGS) this.endOne(open, 'failed');
  }

  private async treasuries(
    { caller }: StandingCaller,
    treasuryId: string | undefined,
    asked: { readonly treasuryId: string } | undefined,
  ): Promise<readonly string[] | undefined> {
    if (treasuryId !== undefined) return [await this.wallets.treasuryFor(caller, treasuryId)];
    return asked ? [asked.treasuryId] : treasuriesOf(caller);
  }

  private checkBounds(actor: string, root: string | undefined): void {
    const { perCaller, perProcess } = this.config.streams;
    const refuse = (bound: 'caller' | 'tree' | 'process', problem: Problem) => {
      this.counts.refused.inc({ bound });
      throw problem;
    };
    const count = (isCounted: (open: OpenStream) => boolean) =>
      [...this.#open].filter(isCounted).length;
    const busy = { retryAfterSeconds: BUSY_SECONDS };
    if (this.#open.size >= perProcess) {
      refuse(
        'process',
        new Problem(
          'unavailable',
          'this process has all the event streams it takes; try again, another one may answer',
          busy,
        ),
      );
    }
    if (count(({ caller }) => caller.actor === actor) >= perCaller) {
      refuse(
        'caller',
        new Problem(
          'rate_limited',
          `you have ${perCaller} event streams open; close one, or read several kinds from one stream`,
          busy,
        ),
      );
    }
    const perTree = Math.max(1, Math.floor(perProcess / 2));
    if (root !== undefined && count((open) => open.root === root) >= perTree) {
      refuse(
        'tree',
        new Problem(
          'rate_limited',
          `the tree of your grant has ${perTree} event streams open; close one`,
          busy,
        ),
      );
    }
  }

  private startTimers(): void {
    if (this.#timers.length > 0) return;
    this.#timers.push(
      setInterval(() => {
        for (const { stream } of this.#open) stream.beat();
      }, BEAT_MS).unref(),
      setInterval(() => void this.look(), LOOK_MS).unref(),
    );
  }

  /** Drops readers that take nothing, and ends streams whose token has ended. */
  private async look(): Promise<void> {
    const now = performance.now();
    for (const open of this.#open) {
      if (open.stream.stalledMs(now) < STALLED_MS) continue;
      open.end = 'slow';
      open.stream.destroy();
    }
    if (this.#isLooking || this.#open.size === 0) return;
    this.#isLooking = true;
    try {
      for (const open of await this.tokens.ended([...this.#open])) this.endOne(open, 'token');
    } catch {
      // The database does not answer now; the next look asks again.
    } finally {
      this.#isLooking = false;
    }
  }

  private drain(): void {
    for (const open of this.#open) this.endOne(open, 'drain');
  }

  private endOne(open: OpenStream, reason: StreamEnd): void {
    open.end = reason;
    open.stream.end(ENDINGS[reason] ?? 'the stream ends', retryMs());
  }
}

/** Comments that end a stream. */
const ENDINGS: Partial<Record<StreamEnd, string>> = {
  drain: 'this process stops; reconnect to resume',
  token: 'the token has ended; reconnect with a new one to resume',
  failed: 'too many treasuries; name one',
};

function retryMs(): number {
  return RETRY_MS + Math.floor(Math.random() * RETRY_SPREAD_MS);
}

/** Where a stream starts in each log. */
function placesOf(heads: readonly LogHead[], after: string | undefined) {
  if (heads.length > MAX_LOGS) {
    throw new Problem(
      'invalid_request',
      `treasuryId: you see ${heads.length} treasuries; name one`,
      {
        field: 'treasuryId',
      },
    );
  }
  const read = after === undefined ? undefined : parsePlaces(after);
  if (after !== undefined && !read) throw wrongPlace('is no id of an event of this stream');
  return new Map(
    heads.map(({ size, ...log }) => {
      // A treasury that the id does not name was made after it: all of its log is new.
      const place = read ? (read.get(log.position) ?? 0) : size;
      if (place > size) throw wrongPlace('is behind the end of the log; start without one');
      return [log.treasuryId, { ...log, place }];
    }),
  );
}

function wrongPlace(what: string): Problem {
  return new Problem('invalid_request', `Last-Event-ID: ${what}`, { field: 'Last-Event-ID' });
}

interface SharedFrame {
  readonly lines: Buffer;
  /** False for events of early versions, which hold figures that not every holder may read. */
  readonly isForAll: boolean;
}

/** Made once for a thousand streams. */
const sharedFrames = new WeakMap<SealedEvent, SharedFrame>();

/**
 * The lines of an event but its id. The record is the bytes that were sealed, but for records of early versions,
 * which are shown to holders as the lists show them.
 *
 * @param reader - the grant of a holder.
 */
function frameFor(event: SealedEvent, reader: string | undefined): Buffer {
  let shared = sharedFrames.get(event);
  if (!shared) {
    // The holder at the end of the path may read the least.
    const deepest = event.path.at(-1);
    const isForAll = deepest === undefined || recordFor(event, deepest) === event.record;
    shared = { lines: frameOf(event, event.record), isForAll };
    sharedFrames.set(event, shared);
  }
  return reader === undefined || shared.isForAll
    ? shared.lines
    : frameOf(event, recordFor(event, reader));
}

function frameOf({ kind }: SealedEvent, record: string): Buffer {
  return Buffer.from(`event: ${kind}\ndata: ${record}\n\n`);
}
