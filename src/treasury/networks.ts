import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import {
  ContractFunctionExecutionError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  createPublicClient,
  domainSeparator,
  fallback,
  http,
  type PublicClient,
  parseAbi,
} from 'viem';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import type { Asset, Network } from '../domain/network.js';
import { databaseNow } from '../ledger/grant-rows.js';

/** How often an RPC that did not check out is looked at again, in milliseconds. */
const RECHECK_MS = 3_000;

/** How often the clocks of the networks that checked out are looked at, in milliseconds. */
const CLOCK_CHECK_MS = 15_000;

/** How long one RPC request may take, in milliseconds; it is tried once more. */
const RPC_TIMEOUT_MS = 4_000;

const TOKEN_ABI = parseAbi([
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function decimals() view returns (uint8)',
]);

/** Whether payments may be made on a network, and if not, why. */
export type NetworkHealth =
  | { readonly ready: true }
  | { readonly ready: false; readonly reason: string };

/** What a look at one RPC URL found. */
type Inspection = { ok: true } | { ok: false; isWrong: boolean; reason: string };

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
  readonly #networks: ReadonlyMap<string, Network>;
  /** The clients over the RPCs that checked out, by network. */
  readonly #clients = new Map<string, Clients>();
  readonly #health = new Map<string, NetworkHealth>();
  /** Networks whose chain is no longer the one read before, and why that is thought. */
  readonly #mistrusted = new Map<string, string>();
  /** Networks whose newest block is too old or too new, and by how much. */
  readonly #skewed = new Map<string, string>();
  #recheck: NodeJS.Timeout | undefined;
  #clockCheck: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    @Inject(CONFIG) config: Config,
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
        inspection: trusted.includes(url) ? { ok: true as const } : await inspect(network, url),
      })),
    );
    const good = inspections.filter(({ inspection }) => inspection.ok).map(({ url }) => url);
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

function healthOf(inspections: readonly Inspection[]): NetworkHealth {
  const failed = inspections.filter((inspection) => !inspection.ok);
  // An RPC of another chain is never used, but it is a mistake in the configuration: which of the two
  // was meant is not for us to guess.
  const wrong = failed.find(({ isWrong }) => isWrong);
  const [first] = failed;
  if (wrong) return { ready: false, reason: wrong.reason };
  if (first && failed.length === inspections.length) return { ready: false, reason: first.reason };
  return { ready: true };
}

function connect(rpcUrls: readonly string[]): PublicClient {
  return createPublicClient({
    // Tried again at the transport, not around all of them: a silent RPC must not cost a minute.
    transport: fallback(
      rpcUrls.map((url) => http(url, { timeout: RPC_TIMEOUT_MS, retryCount: 1 })),
      { retryCount: 0 },
    ),
    // Reads go out as they are asked: a settlement reading must not be answered from a cache.
    cacheTime: 0,
  });
}

async function inspect(network: Network, rpcUrl: string): Promise<Inspection> {
  const wrong = (reason: string): Inspection => ({ ok: false, isWrong: true, reason });
  const client = connect([rpcUrl]);
  try {
    const chainId = await client.getChainId();
    if (chainId !== network.chainId) {
      return wrong(
        `an RPC of it serves chain ${chainId}, not ${network.chainId}; correct its rpcUrls in BURSAR_NETWORKS`,
      );
    }
    for (const asset of network.assets) {
      const token = { address: asset.address, abi: TOKEN_ABI } as const;
      const [separator, decimals] = await Promise.all([
        client.readContract({ ...token, functionName: 'DOMAIN_SEPARATOR' }),
        client.readContract({ ...token, functionName: 'decimals' }),
      ]);
      const expected = domainSeparator({
        domain: {
          name: asset.name,
          version: asset.version,
          chainId,
          verifyingContract: asset.address,
        },
      });
      if (separator !== expected) {
        return wrong(
          `token ${asset.address} has another EIP-712 domain than "${asset.name}" version "${asset.version}"`,
        );
      }
      if (decimals !== asset.decimals) {
        return wrong(`token ${asset.address} has ${decimals} decimals, not ${asset.decimals}`);
      }
    }
    return { ok: true };
  } catch (error) {
    // Not `isWrong`: a node that still synchronises has no tokens either, and another RPC may be used.
    const silent = tokenWithoutAnswer(error);
    if (silent !== undefined) {
      const asset = network.assets.find(({ address }) => address === silent);
      return {
        ok: false,
        isWrong: false,
        reason:
          `token ${silent} (${asset?.currency}) does not answer DOMAIN_SEPARATOR() and ` +
          'decimals(); correct its address, or name only the other tokens under assets in BURSAR_NETWORKS',
      };
    }
    return {
      ok: false,
      isWrong: false,
      reason: `its chain cannot be read: ${shortMessage(error)}; check its rpcUrls in BURSAR_NETWORKS`,
    };
  }
}

/** The token that an error says has no such function, or no code; undefined for any other error. */
function tokenWithoutAnswer(error: unknown): string | undefined {
  if (!(error instanceof ContractFunctionExecutionError)) return undefined;
  const isTokens = error.walk(
    (cause) =>
      cause instanceof ContractFunctionRevertedError ||
      cause instanceof ContractFunctionZeroDataError,
  );
  return isTokens ? error.contractAddress : undefined;
}

/** The first line of an error: viem's messages go on for many, and hold the RPC's URL with its key. */
export function shortMessage(error: unknown): string {
  const text =
    (error as { shortMessage?: string } | undefined)?.shortMessage ??
    (error instanceof Error ? error.message : String(error));
  return (text.split('\n')[0] ?? '').replace(/\.$/, '');
}
