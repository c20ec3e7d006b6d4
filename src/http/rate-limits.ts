import type { Redis } from 'ioredis';

/** The counted kinds: requests of one address, whoever it says it is, of one caller, and of one root's tree. */
export type RateLimitKind = 'address' | 'caller' | 'root';

/** How a {@link RateLimits} counts. */
export interface RateLimitOptions<Kind extends string = RateLimitKind> {
  /** Requests allowed in one window, by kind. */
  readonly limits: Readonly<Record<Kind, number>>;
  readonly windowMs: number;
  /** Where replicas add up what they counted; undefined where each counts for itself. */
  readonly shared?: { readonly redis: Redis; readonly prefix: string } | undefined;
}

/** How often replicas add up, in milliseconds. */
const SHARE_MS = 1_000;

/** A count below this part of its limit is not worth sharing: fewer replicas than this cannot sum to it. */
const SHARE_FROM = 1 / 50;

/** How many callers are told apart in one window; the rest share one count. */
const MAX_KEYS = 100_000;

interface Count {
  readonly limit: number;
  /** Count of all replicas as Redis last told it, without `unshared`. */
  shared: number;
  unshared: number;
}

/**
 * Counts requests in fixed windows. The decision is made in memory and never waits: replicas add up
 * through Redis in the background, so that a slow or absent Redis costs exactness, not requests. Until
 * they have, a caller may get as much more as it asks of each replica within a second.
 */
export class RateLimits<Kind extends string = RateLimitKind> {
  readonly #options: RateLimitOptions<Kind>;
  readonly #counts = new Map<string, Count>();
  #window = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RateLimitOptions<Kind>) {
    this.#options = options;
    if (options.shared) {
      this.#timer = setInterval(() => void this.share().catch(() => {}), SHARE_MS).unref();
    }
  }

  /**
   * Counts one request.
   *
   * @param now - Unix milliseconds.
   * @returns undefined when it is within the limit, else the seconds until the next window.
   */
  take(kind: Kind, who: string, now: number): number | undefined {
    const { windowMs, limits } = this.#options;
    this.turn(now);
    const count = this.count(`${kind}:${kind === 'address' ? networkOf(who) : who}`, limits[kind]);
    if (count.shared + count.unshared >= count.limit) {
      return Math.max(1, Math.ceil(((this.#window + 1) * windowMs - now) / 1000));
    }
    count.unshared += 1;
    return undefined;
  }

  /** Adds up with the other replicas, where there is a Redis. */
  async share(): Promise<void> {
    const { shared, windowMs } = this.#options;
    if (!shared) return;
    const window = this.#window;
    const due = [...this.#counts].filter(
      ([, { unshared, shared: known, limit }]) => known > 0 || unshared >= limit * SHARE_FROM,
    );
    if (due.length === 0) return;
    const sent = due.map(([, { unshared }]) => unshared);
    const pipeline = shared.redis.pipeline();
    due.forEach(([key], index) => {
      const name = `${shared.prefix}:${window}:${key}`;
      pipeline.incrby(name, sent[index] ?? 0).pexpire(name, 2 * windowMs);
    });
    const answers = (await pipeline.exec()) ?? [];
    due.forEach(([, count], index) => {
      const [error, total] = answers[2 * index] ?? [];
      if (error || typeof total !== 'number') return;
      count.unshared -= sent[index] ?? 0;
      count.shared = total;
    });
  }

  /** Stops adding up, when the application closes. */
  onModuleDestroy(): void {
    clearInterval(this.#timer);
    this.#options.shared?.redis.disconnect();
  }

  private turn(now: number): void {
    const window = Math.floor(now / this.#options.windowMs);
    if (window === this.#window) return;
    this.#window = window;
    this.#counts.clear();
  }

  private count(wanted: string, limit: number): Count {
    const key = this.#counts.size < MAX_KEYS || this.#counts.has(wanted) ? wanted : 'rest';
    let count = this.#counts.get(key);
    if (!count) {
      count = { limit, shared: 0, unshared: 0 };
      this.#counts.set(key, count);
    }
    return count;
  }
}

/** Address range of one customer of a provider: an IPv4 address, or an IPv6 network of 64 bits. */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:([0-9.]+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}
