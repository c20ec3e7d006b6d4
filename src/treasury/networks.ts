import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import {
  createPublicClient,
  domainSeparator,
  fallback,
  http,
  type PublicClient,
  parseAbi,
} from 'viem';
import { CONFIG, type Config } from '../config.js';
import type { Asset, Network } from '../domain/network.js';

/** How often a network that did not check out is looked at again, in milliseconds. */
const RECHECK_MS = 3_000;

/** How long one RPC request may take, in milliseconds. */
const RPC_TIMEOUT_MS = 5_000;

const TOKEN_ABI = parseAbi([
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function decimals() view returns (uint8)',
]);

/** Whether payments may be made on a network, and if not, why. */
export type NetworkHealth =
  | { readonly ready: true }
  | { readonly ready: false; readonly reason: string };

/**
 * The networks and tokens Bursar signs for. A network is ready once its chain has shown that it is
 * the one configured: chain id, token decimals, and each token's own EIP-712 domain separator. One
 * that is not ready does not stop the others.
 */
@Injectable()
export class Networks implements OnModuleDestroy {
  readonly #log = new Logger('networks');
  readonly #networks: ReadonlyMap<string, Network>;
  readonly #clients: ReadonlyMap<string, PublicClient>;
  readonly #health = new Map<string, NetworkHealth>();
  #recheck: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(@Inject(CONFIG) config: Config) {
    this.#networks = new Map(config.networks.map((network) => [network.network, network]));
    this.#clients = new Map(
      config.networks.map((network) => [network.network, connect(network.rpcUrls)]),
    );
    for (const { network } of config.networks) {
      this.#health.set(network, { ready: false, reason: 'not checked yet' });
    }
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

  /** The chain client of a configured network. */
  client(network: string): PublicClient {
    const client = this.#clients.get(network);
    if (!client) throw new Error(`network ${network} is not configured`);
    return client;
  }

  /** Whether payments may be made on a network now. */
  health(network: string): NetworkHealth {
    return this.#health.get(network) ?? { ready: false, reason: 'is not configured' };
  }

  /** Checks every network that is not ready, and keeps checking until each is. */
  async checkAll(): Promise<void> {
    await Promise.all(
      this.all()
        .filter(({ network }) => !this.health(network).ready)
        .map((network) => this.check(network)),
    );
    if (!this.#closed && this.all().some(({ network }) => !this.health(network).ready)) {
      this.#recheck = setTimeout(() => void this.checkAll(), RECHECK_MS).unref();
    }
  }

  onModuleDestroy(): void {
    this.#closed = true;
    clearTimeout(this.#recheck);
  }

  private async check(network: Network): Promise<void> {
    const before = this.health(network.network);
    const health = await inspect(network, this.client(network.network));
    this.#health.set(network.network, health);
    if (health.ready) {
      this.#log.log(`network ${network.network} is ready`);
    } else if (before.ready || before.reason !== health.reason) {
      this.#log.warn(`network ${network.network} is not ready: ${health.reason}`);
    }
  }
}

function connect(rpcUrls: readonly string[]): PublicClient {
  return createPublicClient({
    transport: fallback(
      rpcUrls.map((url) => http(url, { timeout: RPC_TIMEOUT_MS, retryCount: 1 })),
    ),
    // Reads go out as they are asked: a settlement reading must not be answered from a cache.
    cacheTime: 0,
  });
}

async function inspect(network: Network, client: PublicClient): Promise<NetworkHealth> {
  try {
    const chainId = await client.getChainId();
    if (chainId !== network.chainId) {
      return {
        ready: false,
        reason: `the RPC serves chain ${chainId}, not ${network.chainId}; correct its rpcUrls in BURSAR_NETWORKS`,
      };
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
        return {
          ready: false,
          reason: `token ${asset.address} has another EIP-712 domain than "${asset.name}" version "${asset.version}"`,
        };
      }
      if (decimals !== asset.decimals) {
        return {
          ready: false,
          reason: `token ${asset.address} has ${decimals} decimals, not ${asset.decimals}`,
        };
      }
    }
    return { ready: true };
  } catch (error) {
    return { ready: false, reason: `its chain cannot be read: ${shortMessage(error)}` };
  }
}

/** The first line of an error: viem's messages go on for many. */
export function shortMessage(error: unknown): string {
  const text =
    (error as { shortMessage?: string } | undefined)?.shortMessage ??
    (error instanceof Error ? error.message : String(error));
  return text.split('\n')[0] ?? '';
}
