import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from 'pino';
import type { Network } from '../domain/network.js';
import { type EarlierPrices, Quotes } from './quotes.js';
import type { Shop } from './shop.js';
import { Upstream } from './upstream.js';
import { UpstreamToken } from './upstream-token.js';

/** How often the files are looked at, in milliseconds. */
const LOOK_MS = 1_000;

/** Members of the file that a running gateway does not change: they are read when it starts. */
const FIXED = [
  'host',
  'port',
  'treasury',
  'facilitator',
  'settleSeconds',
  'answerSeconds',
] as const;

/** The place of a gateway's configuration, and of its prices for the one that starts after it. */
export interface Shelving {
  readonly load: () => Promise<Shop>;
  /** Keeps the prices of a shop. Returns those before them. */
  readonly keep: (shop: Shop) => Promise<EarlierPrices | undefined>;
  readonly networks: readonly Network[];
  /** Files that are watched for changes. */
  readonly files: readonly string[];
  readonly logger: Logger;
}

/**
 * The shop of the current configuration, replaced when its files change. Requests under way end under the configuration they
 * began with. Quotes of the shop before are taken for a while, over a start too: a price that was quoted is a price.
 */
export class Shelves {
  #current: Shop;
  #upstream: Upstream;
  #earlier: { readonly quotes: Quotes; readonly until: number } | undefined;
  #loading: Promise<void> = Promise.resolve();

  private constructor(
    first: Shop,
    private readonly shelving: Shelving,
  ) {
    this.#current = first;
    this.#upstream = upstreamOf(first);
    for (const file of shelving.files) {
      watchFile(file, { interval: LOOK_MS, persistent: false }, (now, before) => {
        if (now.mtimeMs !== before.mtimeMs && now.mtimeMs !== 0) this.reload();
      });
    }
  }

  /** Opens with the first shop, and keeps its prices. */
  static async open(first: Shop, shelving: Shelving): Promise<Shelves> {
    const before = await shelving.keep(first);
    const shelves = new Shelves(first, shelving);
    if (before) {
      const quotes = Quotes.of(before.prices, shelving.networks);
      shelves.hold(quotes, first.file.graceSeconds - before.replacedFor);
    }
    return shelves;
  }

  get current(): Shop {
    return this.#current;
  }

  /** The quotes before those of the current shop, while they hold. */
  get earlier(): Quotes | undefined {
    return this.#earlier && this.#earlier.until > performance.now()
      ? this.#earlier.quotes
      : undefined;
  }

  get upstream(): Upstream {
    return this.#upstream;
  }

  /** Reads the configuration anew, one reading at a time. One that cannot be used changes nothing. */
  private reload(): void {
    this.#loading = this.#loading.then(async () => {
      const { load, keep, logger } = this.shelving;
      try {
        this.replace(await load());
      } catch (error) {
        const { message } = error as Error;
        logger.error({ room: 'gateway' }, `the changed configuration is not used: ${message}`);
        return;
      }
      await keep(this.#current).catch(({ message }: Error) => {
        logger.warn({ room: 'gateway' }, `the prices are not kept for the next start: ${message}`);
      });
    });
  }

  private replace(next: Shop): void {
    const before = this.#current;
    const fixed = FIXED.filter(
      (name) => JSON.stringify(next.file[name]) !== JSON.stringify(before.file[name]),
    );
    if (fixed.length > 0) {
      throw new Error(`${fixed.join(', ')}: cannot change while it runs; start the gateway anew`);
    }
    const old = this.#upstream;
    this.#current = next;
    this.#upstream = upstreamOf(next);
    this.hold(before.quotes, next.file.graceSeconds);
    // Calls under way end first.
    void old.drain();
    this.shelving.logger.info(
      { room: 'gateway', config: next.file.hash },
      'the configuration was read anew',
    );
  }

  /** Takes quotes for so many seconds more. */
  private hold(quotes: Quotes, seconds: number): void {
    this.#earlier = { quotes, until: performance.now() + seconds * 1_000 };
  }

  async close(): Promise<void> {
    for (const file of this.shelving.files) unwatchFile(file);
    await this.#loading;
    await this.#upstream.close();
  }
}

function upstreamOf({ upstream, file }: Shop): Upstream {
  const token = file.upstreamOAuth && new UpstreamToken(file.upstreamOAuth);
  return new Upstream(upstream, file.upstreamHeaders, token);
}
