import {
  type Address,
  encodeEventTopics,
  formatLog,
  type Hex,
  type Log,
  numberToHex,
  type PublicClient,
  pad,
  parseAbi,
  parseEventLogs,
  ResponseBodyTooLargeError,
  type RpcLog,
  RpcRequestError,
} from 'viem';
import { isSameAddress } from '../evm.js';

/** EIP-20 and EIP-3009, as far as settlement reads them. */
export const TOKEN_ABI = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function balanceOf(address account) view returns (uint256)',
]);

/** The three events' topics: each has the wallet as its first indexed member, so one query finds all. */
const EVENT_TOPICS = (['Transfer', 'AuthorizationUsed', 'AuthorizationCanceled'] as const).map(
  (eventName) => encodeEventTopics({ abi: TOKEN_ABI, eventName })[0] as Hex,
);

/** A log of one of the three events, decoded. */
export type TokenLog = ReturnType<typeof decode>[number];

/** A log of a transfer. */
export type TransferLog = Extract<TokenLog, { eventName: 'Transfer' }>;

/** How many blocks one log query covers: what public RPCs commonly allow. */
export const BLOCKS_PER_QUERY = 1_000n;

/** Which logs to ask for. */
export interface LogQuery {
  readonly assets: readonly Address[];
  readonly wallets: readonly Address[];
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** An RPC answered what no node answers. */
export class RpcNonsense extends Error {
  override readonly name = 'RpcNonsense';
}

/**
 * The token events of some wallets in a range of blocks, in the order of the chain, each once. One
 * query; where an RPC finds the range too long, halves of it.
 *
 * @throws what the RPC throws, RpcNonsense when it answers something else than logs of the range.
 */
export async function readLogs(client: PublicClient, query: LogQuery): Promise<TokenLog[]> {
  const { assets, wallets, fromBlock, toBlock } = query;
  if (wallets.length === 0 || assets.length === 0 || fromBlock > toBlock) return [];
  let answer: readonly RpcLog[];
  try {
    answer = await client.request({
      method: 'eth_getLogs',
      params: [
        {
          address: [...assets],
          topics: [EVENT_TOPICS, wallets.map((wallet) => pad(wallet))],
          fromBlock: numberToHex(fromBlock),
          toBlock: numberToHex(toBlock),
        },
      ],
    });
  } catch (error) {
    if (fromBlock === toBlock || !isRefusal(error)) throw error;
    const middle = (fromBlock + toBlock) / 2n;
    return [
      ...(await readLogs(client, { ...query, toBlock: middle })),
      ...(await readLogs(client, { ...query, fromBlock: middle + 1n })),
    ];
  }
  const known = new Map<string, TokenLog>();
  for (const log of decode(answer)) {
    if (log.removed || !assets.some((asset) => isSameAddress(asset, log.address))) continue;
    if (log.blockNumber === null || log.blockNumber < fromBlock || log.blockNumber > toBlock) {
      throw new RpcNonsense(
        `asked for the logs of blocks ${fromBlock} to ${toBlock}, it gave one of block ${log.blockNumber}`,
      );
    }
    known.set(`${log.transactionHash}/${log.logIndex}`, log);
  }
  return [...known.values()];
}

function decode(logs: readonly RpcLog[]) {
  try {
    return parseEventLogs({
      abi: TOKEN_ABI,
      eventName: ['Transfer', 'AuthorizationUsed', 'AuthorizationCanceled'],
      logs: logs.map((log) => formatLog(log) as Log<bigint, number, false>),
    });
  } catch (error) {
    throw new RpcNonsense(
      `eth_getLogs was answered with what are no logs (${error instanceof Error ? error.message : error})`,
    );
  }
}

/** Whether the node answered and refused, or answered too much: a shorter range may do then. */
function isRefusal(error: unknown): boolean {
  const walk = (error as { walk?: (match: (each: unknown) => boolean) => unknown }).walk;
  return Boolean(
    walk?.call(
      error,
      (each) => each instanceof RpcRequestError || each instanceof ResponseBodyTooLargeError,
    ),
  );
}
