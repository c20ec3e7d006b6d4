import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from 'pino';
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

/**
 * The shop of the current configuration, replaced when its files change. Requests under way end under the configuration they
 * began with. Quotes of the shop before are taken for a while: a price that was quoted is a price.
 */
export class Shelves {
  #current: Shop;
  #upstream: Upstream;
  #earlier: { readonly shop: Shop; readonly until: number } | undefined;
  #loading: Promise<void> = Promise.resolve();
  readonly #watched: readonly string[];

  /**
   * @param load - reads the configuration anew.
   * @param files - watched for changes.
   */
  constructor(
    first: Shop,
    private readonly load: () => Promise<Shop>,
    files: readonly string[],
    private readonly logger: Logger,
  ) {
    this.#current = first;
    this.#upstream = upstreamOf(first);
    this.#watched = files;
    for (const file of files) {
      watchFile(file, { interval: LOOK_MS, persistent: false }, (now, before) => {
        if (now.mtimeMs !== before.mtimeMs && now.mtimeMs !== 0) this.reload();
      });
    }
  }

  get current(): Shop {
    return this.#current;
  }

  /** The shop before, while its quotes hold. */
  get earlier(): Shop | undefined {
    return this.#earlier && this.#earlier.until > performance.now()
      ? this.#earlier.shop
      : undefined;
  }

  get upstream(): Upstream {
    return this.#upstream;
  }

  /** Reads the configuration anew, one reading at a time. One that cannot be used changes nothing. */
  private reload(): void {
    this.#loading = this.#loading.then(async () => {
      try {
        this.replace(await this.load());
      } catch (error) {
        const { message } = error as Error;
        this.logger.error({ room: 'gateway' }, `the changed configuration is not used: ${message}`);
      }
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
    this.#earlier = { shop: before, until: performance.now() + next.file.graceSeconds * 1_000 };
    // Calls under way end first.
    void old.drain();
    this.logger.info(
      { room: 'gateway', config: next.file.hash },
      'the configuration was read anew',
    );
  }

  async close(): Promise<void> {
    for (const file of this.#watched) unwatchFile(file);
    await this.#loading;
    await this.#upstream.close();
  }
}

function upstreamOf({ upstream, file }: Shop): Upstream {
  const token = file.upstreamOAuth && new UpstreamToken(file.upstreamOAuth);
  return new Upstream(upstream, file.upstreamHeaders, token);
}
