import {
  type Address,
  createPublicClient,
  encodeEventTopics,
  formatLog,
  type Hex,
  http,
  type Log,
  numberToHex,
  type PublicClient,
  pad,
  parseAbi,
  parseEventLogs,
  RpcRequestError,
  TransactionReceiptNotFoundError,
} from 'viem';

/** When a block counts as final: a tag, or that many blocks under the head. */
export type FinalityRule = 'finalized' | 'safe' | { readonly blocks: number };

/** How a network is to be asked. */
export interface NetworkChoice {
  /** CAIP-2. */
  readonly network: string;
  /** The first that answers, and for this chain, is taken. */
  readonly rpcUrls: readonly string[];
  readonly finality: FinalityRule;
}

/** A block, as far as it matters here. Its time is in Unix seconds. */
export interface BlockHead {
  readonly number: bigint;
  readonly hash: Hex;
  readonly time: bigint;
}

const ABI = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function balanceOf(address account) view returns (uint256)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
]);

const EVENTS = ['Transfer', 'AuthorizationUsed', 'AuthorizationCanceled'] as const;
const TOPICS = EVENTS.map((eventName) => encodeEventTopics({ abi: ABI, eventName })[0] as Hex);

/** How long an RPC may take for one answer. */
const TIMEOUT_MS = 20_000;
/** Bytes of calls in one `eth_call` that asks for many things: about a hundred nonces. */
const CALL_BATCH_BYTES = 6_800;
/** More wallets than this are not named in a query; their logs are picked out here. */
const MAX_TOPICS = 200;

/** A log of one of EIP-20's and EIP-3009's events. */
export type TokenLog = ReturnType<typeof decode>[number];

/** A network's RPC, and what it says. It is asked little at a time, and everything again if it fails. */
export class Chain {
  private constructor(
    readonly network: string,
    /** The RPC's origin: what follows it is often a secret. */
    readonly origin: string,
    private readonly client: PublicClient,
    private readonly finality: FinalityRule,
  ) {}

  /** @throws Error with one line when no RPC of a network answers, or none for its chain. */
  static async open({ network, rpcUrls, finality }: NetworkChoice): Promise<Chain> {
    const failures: string[] = [];
    for (const url of rpcUrls) {
      const { origin } = new URL(url);
      const transport = http(url, { batch: { batchSize: 50 }, retryCount: 3, timeout: TIMEOUT_MS });
      const client = createPublicClient({ transport });
      try {
        const chainId = await client.getChainId();
        if (`eip155:${chainId}` === network) return new Chain(network, origin, client, finality);
        failures.push(`${origin} serves eip155:${chainId}`);
      } catch (error) {
        failures.push(`${origin} does not answer (${shortly(error)})`);
      }
    }
    throw new Error(`${network}: ${failures.join('; ') || 'no RPC is given'}`);
  }

  /** The newest final block; undefined while there is none. */
  async final(): Promise<BlockHead | undefined> {
    if (typeof this.finality === 'string') {
      return headOf(await this.client.getBlock({ blockTag: this.finality }));
    }
    const number =
      (await this.client.getBlockNumber({ cacheTime: 0 })) - BigInt(this.finality.blocks);
    return number < 0n ? undefined : this.block(number);
  }

  async block(blockNumber: bigint): Promise<BlockHead> {
    return headOf(await this.client.getBlock({ blockNumber }));
  }

  /** The first block that is as late as a time, or the given one. */
  async firstBlockSince(time: bigint, newest: bigint): Promise<bigint> {
    let low = 0n;
    let high = newest;
    while (low < high) {
      const middle = (low + high) / 2n;
      if ((await this.block(middle)).time < time) low = middle + 1n;
      else high = middle;
    }
    return low;
  }

  /** The token events of wallets in a range of blocks. Where the RPC finds it too long, halves of it. */
  async logs(
    assets: readonly Address[],
    wallets: readonly Address[],
    fromBlock: bigint,
    toBlock: bigint,
  ): Promise<TokenLog[]> {
    const named = wallets.length <= MAX_TOPICS ? wallets.map((wallet) => pad(wallet)) : null;
    try {
      const logs = await this.client.request({
        method: 'eth_getLogs',
        params: [
          {
            address: [...assets],
            topics: [TOPICS, named],
            fromBlock: numberToHex(fromBlock),
            toBlock: numberToHex(toBlock),
          },
        ],
      });
      return decode(logs.map((log) => formatLog(log) as Log<bigint, number, false>));
    } catch (error) {
      if (fromBlock === toBlock || !isRefusal(error)) throw error;
      const middle = (fromBlock + toBlock) / 2n;
      return [
        ...(await this.logs(assets, wallets, fromBlock, middle)),
        ...(await this.logs(assets, wallets, middle + 1n, toBlock)),
      ];
    }
  }

  /** The token events of a transaction; none where the chain has no such transaction. */
  async logsOf(hash: Hex): Promise<TokenLog[]> {
    try {
      const { logs } = await this.client.getTransactionReceipt({ hash });
      return decode(logs);
    } catch (error) {
      if (error instanceof TransactionReceiptNotFoundError) return [];
      throw error;
    }
  }

  /** Whether nonces are spent at a block. */
  async spent(
    nonces: readonly { asset: Address; payer: Address; nonce: Hex }[],
    blockNumber: bigint,
  ): Promise<boolean[]> {
    if (nonces.length === 0) return [];
    return this.client.multicall({
      deployless: true,
      allowFailure: false,
      batchSize: CALL_BATCH_BYTES,
      blockNumber,
      contracts: nonces.map(({ asset, payer, nonce }) => ({
        address: asset,
        abi: ABI,
        functionName: 'authorizationState' as const,
        args: [payer, nonce] as const,
      })),
    });
  }

  /** What wallets hold at a block, in atomic units. */
  async balances(
    wallets: readonly { asset: Address; address: Address }[],
    blockNumber: bigint,
  ): Promise<bigint[]> {
    if (wallets.length === 0) return [];
    return this.client.multicall({
      deployless: true,
      allowFailure: false,
      batchSize: CALL_BATCH_BYTES,
      blockNumber,
      contracts: wallets.map(({ asset, address }) => ({
        address: asset,
        abi: ABI,
        functionName: 'balanceOf' as const,
        args: [address] as const,
      })),
    });
  }

  /** A token's EIP-712 domain separator, as it says itself. */
  domainSeparator(asset: Address): Promise<Hex> {
    return this.client.readContract({ address: asset, abi: ABI, functionName: 'DOMAIN_SEPARATOR' });
  }
}

/** An error's first line. */
export function shortly(error: unknown): string {
  const { shortMessage, message } = error as { shortMessage?: string; message?: string };
  return (shortMessage ?? message ?? String(error)).split('\n')[0] ?? '';
}

function headOf({
  number,
  hash,
  timestamp,
}: {
  number: bigint | null;
  hash: Hex | null;
  timestamp: bigint;
}) {
  if (number === null || hash === null) throw new Error('the RPC answered a block that is pending');
  return { number, hash, time: timestamp };
}

function decode(logs: readonly Log<bigint, number, false>[]) {
  return parseEventLogs({ abi: ABI, eventName: [...EVENTS], logs: [...logs] });
}

function isRefusal(error: unknown): boolean {
  const walk = (error as { walk?: (match: (each: unknown) => boolean) => unknown }).walk;
  return Boolean(walk?.call(error, (each) => each instanceof RpcRequestError));
}
