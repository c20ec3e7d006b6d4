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
  ResponseBodyTooLargeError,
  RpcRequestError,
  TransactionReceiptNotFoundError,
} from 'viem';

/** When a block counts as final: a tag, or that many blocks under the head. */
export type FinalityRule = 'finalized' | 'safe' | { readonly blocks: number };

/** How a network is to be asked. */
export interface NetworkChoice {
  /** CAIP-2. */
  readonly network: string;
  /** All are asked, and what they say must agree. */
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
  'function decimals() view returns (uint8)',
]);

const EVENTS = ['Transfer', 'AuthorizationUsed', 'AuthorizationCanceled'] as const;
const TOPICS = EVENTS.map((eventName) => encodeEventTopics({ abi: ABI, eventName })[0] as Hex);

/** How long an RPC may take for one answer. */
const TIMEOUT_MS = 20_000;
/** Bytes of calls in one `eth_call` that asks for many things: about a hundred nonces. */
const CALL_BATCH_BYTES = 6_800;
const AT_ONCE = { deployless: true, allowFailure: false, batchSize: CALL_BATCH_BYTES } as const;
/** More wallets than this are not named in a query; their logs are picked out here. */
const MAX_TOPICS = 200;

/** A log of one of EIP-20's and EIP-3009's events. */
export type TokenLog = ReturnType<typeof decode>[number];

/**
 * A network's RPCs, and what they agree on. They are asked little at a time, and everything again if it
 * fails. One that contradicts another ends the part of the check that asked.
 */
export class Chain {
  private constructor(
    readonly network: string,
    /** The RPCs' origins: what follows them is often a secret. */
    readonly origin: string,
    /** Why an RPC that was given is not asked, a line each. */
    readonly missing: readonly string[],
    private readonly clients: readonly PublicClient[],
    private readonly finality: FinalityRule,
  ) {}

  /** @throws Error with one line when no RPC of a network answers, or none for its chain. */
  static async open({ network, rpcUrls, finality }: NetworkChoice): Promise<Chain> {
    const failures: string[] = [];
    const origins: string[] = [];
    const clients: PublicClient[] = [];
    for (const url of rpcUrls) {
      const { origin } = new URL(url);
      const transport = http(url, { batch: { batchSize: 50 }, retryCount: 3, timeout: TIMEOUT_MS });
      const client = createPublicClient({ transport });
      try {
        const chainId = await client.getChainId();
        if (`eip155:${chainId}` === network) {
          origins.push(origin);
          clients.push(client);
        } else failures.push(`${origin} serves eip155:${chainId}`);
      } catch (error) {
        failures.push(`${origin} does not answer (${shortly(error)})`);
      }
    }
    if (clients.length === 0) {
      throw new Error(`${network}: ${failures.join('; ') || 'no RPC is given'}`);
    }
    return new Chain(network, origins.join(', '), failures, clients, finality);
  }

  /** The newest block that is final for every RPC; undefined while there is none. */
  async final(): Promise<BlockHead | undefined> {
    const finals = await Promise.all(this.clients.map((client) => this.finalOf(client)));
    const numbers = finals.flatMap((final) => final?.number ?? []);
    if (numbers.length < finals.length) return undefined;
    const [lowest] = numbers.sort((a, b) => Number(a - b));
    return lowest === undefined ? undefined : this.block(lowest);
  }

  private async finalOf(client: PublicClient): Promise<{ number: bigint | null } | undefined> {
    if (typeof this.finality === 'string') return client.getBlock({ blockTag: this.finality });
    const head = await client.getBlockNumber({ cacheTime: 0 });
    const number = head - BigInt(this.finality.blocks);
    return number < 0n ? undefined : { number };
  }

  block(blockNumber: bigint): Promise<BlockHead> {
    return this.agreed(
      `block ${blockNumber}`,
      async (client) => headOf(await client.getBlock({ blockNumber })),
      ({ number, hash, time }) => `${number} ${hash} of ${time}`,
    );
  }

  /** Asks every RPC the same. @throws Error with one line when they contradict each other. */
  private async agreed<T>(
    what: string,
    ask: (client: PublicClient) => Promise<T>,
    words: (answer: T) => string,
  ): Promise<T> {
    const [first, ...others] = await Promise.all(this.clients.map(ask));
    const other = others.find((each) => words(each) !== words(first as T));
    if (other === undefined) return first as T;
    throw new Error(`${this.origin} contradict each other about ${what}`);
  }

  /** The decimals of a token's amounts. */
  decimals(address: Address): Promise<number> {
    return this.agreed(
      `the decimals of ${address}`,
      (client) => client.readContract({ address, abi: ABI, functionName: 'decimals' }),
      String,
    );
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

  /** The token events of wallets in a range of blocks. Where an RPC finds it too long, halves of it. */
  logs(
    assets: readonly Address[],
    wallets: readonly Address[],
    fromBlock: bigint,
    toBlock: bigint,
  ): Promise<TokenLog[]> {
    return this.agreed(
      `the logs of blocks ${fromBlock} to ${toBlock}`,
      (client) => logsFrom(client, assets, wallets, fromBlock, toBlock),
      wordsOf,
    );
  }

  /** The token events of a transaction; none where the chain has no such transaction. */
  logsOf(hash: Hex): Promise<TokenLog[]> {
    return this.agreed(
      `transaction ${hash}`,
      async (client) => {
        try {
          const { logs } = await client.getTransactionReceipt({ hash });
          return decode(logs);
        } catch (error) {
          if (error instanceof TransactionReceiptNotFoundError) return [];
          throw error;
        }
      },
      wordsOf,
    );
  }

  /** Whether nonces are spent at a block. */
  async spent(
    nonces: readonly { asset: Address; payer: Address; nonce: Hex }[],
    blockNumber: bigint,
  ): Promise<boolean[]> {
    if (nonces.length === 0) return [];
    const contracts = nonces.map(({ asset, payer, nonce }) => ({
      address: asset,
      abi: ABI,
      functionName: 'authorizationState' as const,
      args: [payer, nonce] as const,
    }));
    return this.agreed(
      `nonces at block ${blockNumber}`,
      (client) => client.multicall({ ...AT_ONCE, blockNumber, contracts }),
      String,
    );
  }

  /** Balances of wallets at a block, in atomic units. */
  async balances(
    wallets: readonly { asset: Address; address: Address }[],
    blockNumber: bigint,
  ): Promise<bigint[]> {
    if (wallets.length === 0) return [];
    const contracts = wallets.map(({ asset, address }) => ({
      address: asset,
      abi: ABI,
      functionName: 'balanceOf' as const,
      args: [address] as const,
    }));
    return this.agreed(
      `balances at block ${blockNumber}`,
      (client) => client.multicall({ ...AT_ONCE, blockNumber, contracts }),
      String,
    );
  }

  /** A token's EIP-712 domain separator, as it says itself. */
  domainSeparator(asset: Address): Promise<Hex> {
    return this.agreed(
      `the domain of ${asset}`,
      (client) =>
        client.readContract({ address: asset, abi: ABI, functionName: 'DOMAIN_SEPARATOR' }),
      String,
    );
  }
}

async function logsFrom(
  client: PublicClient,
  assets: readonly Address[],
  wallets: readonly Address[],
  fromBlock: bigint,
  toBlock: bigint,
): Promise<TokenLog[]> {
  const named = wallets.length <= MAX_TOPICS ? wallets.map((wallet) => pad(wallet)) : null;
  try {
    const logs = await client.request({
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
      ...(await logsFrom(client, assets, wallets, fromBlock, middle)),
      ...(await logsFrom(client, assets, wallets, middle + 1n, toBlock)),
    ];
  }
}

/** Logs as text: what all nodes say of them alike, whatever else some add. */
function wordsOf(logs: readonly TokenLog[]): string {
  return logs
    .map(({ eventName, address, args, blockNumber, transactionHash, logIndex }) =>
      [eventName, address, ...Object.values(args), blockNumber, transactionHash, logIndex].join(
        ' ',
      ),
    )
    .sort()
    .join('\n')
    .toLowerCase();
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
  return Boolean(
    walk?.call(
      error,
      (each) => each instanceof RpcRequestError || each instanceof ResponseBodyTooLargeError,
    ),
  );
}
