import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import type { PublicClient } from 'viem';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import type { Asset, Network } from '../domain/network.js';
import { readChainStates } from '../ledger/chain-states.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { healthOf, inspect, type NetworkHealth } from './inspection.js';
import { connect, shortMessage } from './rpc-client.js';

/** How often an RPC that did not check out is looked at again, in milliseconds. */
const RECHECK_MS = 3_000;

/** How often the clocks of the networks that checked out are looked at, in milliseconds. */
const CLOCK_CHECK_MS = 15_000;

/** How often the state of the networks, as the workers found it, is looked up, in milliseconds. */
const STATES_MS = 2_000;

/** The clients of one network. */
interface Clients {
  readonly rpcUrls: readonly string[];
  /** One over all of them, in turn: for what any of them may answer. */
  readonly any: PublicClient;
  /** One each, in the configured order: for readings, which must not mix two nodes' views. */
  readonly each: readonly PublicClient[];
}

/**
 * The networks and tokens Bursar signs for. An RPC is used once its chain has shown that it is the
 * one configured: chain id, token decimals, and each token's own EIP-712 domain separator. A network
 * is ready with one such RPC, none that contradicts, and a newest block about as old as the database
 * thinks it is: signatures that the chain holds for expired, or a chain that stands still, help
 * nobody. One that is not ready does not stop the others.
 */
@Injectable()
export class Networks implements OnModuleDestroy {
  readonly #log = new Logger('networks');
  readonly #networks: Map<string, Network>;
  /** The clients over the RPCs that checked out, by network. */
  readonly #clients = new Map<string, Clients>();
  readonly #health = new Map<string, NetworkHealth>();
  /** Networks whose chain is no longer the one read before, and why that is thought. */
  readonly #mistrusted = new Map<string, string>();
  /** Networks whose newest block is too old or too new, and by how much. */
  readonly #skewed = new Map<string, string>();
  /** Tokens that are left aside, by network. */
  readonly #leftAside = new Map<string, readonly Asset[]>();
  #recheck: NodeJS.Timeout | undefined;
  #follow: NodeJS.Timeout | undefined;
  #clockCheck: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    @Inject(CONFIG) config: Pick<Config, 'networks'>,
    private readonly database: Database,
  ) {
    this.#networks = new Map(config.networks.map((network) => [network.network, network]));
  }

  /** All configured networks. */
  all(): Network[] {
    return [...this.#networks.values()];
  }

  /** A configured network, by its CAIP-2 name. */
  find(network: string): Network | undefined {
    return this.#networks.get(network);
  }

  /** A registered token of a network, by its checksummed address. */
  asset(network: string, address: string): Asset | undefined {
    return this.find(network)?.assets.find((asset) => asset.address === address);
  }

  /** The chain client of a network, over the RPCs that checked out; undefined while there is none. */
  client(network: string): PublicClient | undefined {
    return this.#clients.get(network)?.any;
  }

  /** A client for each RPC of a network that checked out, in the configured order. */
  clients(network: string): readonly PublicClient[] {
    return this.#clients.get(network)?.each ?? [];
  }

  /** Whether the RPCs of a network were looked at since the start, whatever was found. */
  isChecked(network: string): boolean {
    return this.#health.has(network);
  }

  /** Whether payments may be made on a network now. */
  health(network: string): NetworkHealth {
    const reason = this.#mistrusted.get(network) ?? this.#skewed.get(network);
    if (reason !== undefined) return { ready: false, reason };
    return this.#health.get(network) ?? { ready: false, reason: 'is not checked yet' };
  }

  /** Stops payments on a network whose chain cannot be the right one; undefined lets them go on. */
  mistrust(network: string, reason: string | undefined): void {
    if (reason === undefined) this.#mistrusted.delete(network);
    else this.#mistrusted.set(network, reason);
  }

  /** Tokens that are known without being named, and that the network's chain does not have as they should be. */
  leftAside(network: string): readonly Asset[] {
    return this.#leftAside.get(network) ?? [];
  }

  /** Checks every RPC that has not checked out, and keeps checking until each has. */
  async checkAll(): Promise<void> {
    const settled = await Promise.all(this.all().map((network) => this.check(network)));
    await this.checkClocks();
    if (this.#closed) return;
    if (settled.includes(false)) {
      this.#recheck = setTimeout(() => void this.checkAll(), RECHECK_MS).unref();
    }
    clearTimeout(this.#clockCheck);
    this.#clockCheck = setTimeout(() => void this.keepCheckingClocks(), CLOCK_CHECK_MS).unref();
    this.#follow ??= setTimeout(() => void this.followStates(), STATES_MS).unref();
  }

  /**
   * Compares the newest block's time with the database's, of every network that can be read. A network
   * that cannot be read keeps the judgement it had: that is another fault, with words of its own.
   */
  async checkClocks(): Promise<void> {
    await Promise.all(
      this.all().map(async (network) => {
        const client = this.client(network.network);
        if (!client) return;
        try {
          const { timestamp } = await client.getBlock({ blockTag: 'latest' });
          const now = await databaseNow(this.database.pool);
          this.clockRead(network, timestamp, now);
        } catch (error) {
          this.#log.debug(
            `network ${network.network}: its clock was not read: ${shortMessage(error)}`,
          );
        }
      }),
    );
  }

  /** Notes what the newest block of a network says the time is. */
  clockRead(network: Network, blockTime: bigint, now: Date): void {
    const name = network.network;
    const skew = Number(blockTime) - Math.floor(now.getTime() / 1000);
    const before = this.#skewed.has(name);
    if (Math.abs(skew) <= network.maxClockSkewSeconds) {
      this.#skewed.delete(name);
      if (before) this.#log.log(`network ${name}: its newest block is of this time again`);
      return;
    }
    const reason =
      `its newest block is ${Math.abs(skew)} s ${skew < 0 ? 'old' : 'ahead'} by the database's clock, more than ` +
      `${network.maxClockSkewSeconds} s (maxClockSkewSeconds in BURSAR_NETWORKS)`;
    this.#skewed.set(name, reason);
    if (!before) this.#log.warn(`network ${name} is not ready: ${reason}`);
  }

  onModuleDestroy(): void {
    this.#closed = true;
    clearTimeout(this.#recheck);
    clearTimeout(this.#clockCheck);
    clearTimeout(this.#follow);
  }

  /** Learns which chains the workers mistrust: a process that only answers requests reads none itself. */
  private async followStates(): Promise<void> {
    try {
      const states = await readChainStates(this.database.pool);
      for (const { network } of this.all()) {
        this.mistrust(network, states.get(network)?.contradiction);
      }
    } catch (error) {
      this.#log.debug(`the state of the networks was not read: ${shortMessage(error)}`);
    }
    if (!this.#closed) this.#follow?.refresh();
  }

  private async keepCheckingClocks(): Promise<void> {
    await this.checkClocks();
    if (!this.#closed) this.#clockCheck?.refresh();
  }

  /** @returns whether all of a network's RPCs have checked out. */
  private async check(network: Network): Promise<boolean> {
    const trusted = this.#clients.get(network.network)?.rpcUrls ?? [];
    if (trusted.length === network.rpcUrls.length) return true;
    const inspections = await Promise.all(
      network.rpcUrls.map(async (url) => ({
        url,
        inspection: trusted.includes(url)
          ? { ok: true as const, silent: [] }
          : await inspect(network, url),
      })),
    );
    const good = inspections.filter(({ inspection }) => inspection.ok).map(({ url }) => url);
    this.leaveAside(
      network,
      inspections.flatMap(({ inspection }) => (inspection.ok ? inspection.silent : [])),
    );
    if (good.length > trusted.length) {
      this.#clients.set(network.network, {
        rpcUrls: good,
        any: connect(good),
        each: good.map((url) => connect([url])),
      });
    }
    this.tell(network.network, healthOf(inspections.map(({ inspection }) => inspection)));
    return good.length === network.rpcUrls.length;
  }

  /** Goes on without some tokens of a network: they are as if they were not configured. */
  private leaveAside(network: Network, tokens: readonly Asset[]): void {
    if (tokens.length === 0) return;
    const assets = network.assets.filter((asset) => !tokens.includes(asset));
    this.#networks.set(network.network, { ...network, assets });
    const left = [...new Set([...this.leftAside(network.network), ...tokens])];
    this.#leftAside.set(network.network, left);
    for (const { address, currency } of tokens) {
      this.#log.warn(
        `network ${network.network}: token ${address} (${currency}) is left aside: it does not answer ` +
          'DOMAIN_SEPARATOR() and decimals()',
      );
    }
  }

  private tell(network: string, health: NetworkHealth): void {
    const before = this.#health.get(network);
    this.#health.set(network, health);
    if (health.ready) {
      if (!before?.ready) this.#log.log(`network ${network} is ready`);
    } else if (!before || before.ready || before.reason !== health.reason) {
      this.#log.warn(`network ${network} is not ready: ${health.reason}`);
    }
  }
}
