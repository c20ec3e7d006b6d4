import { type Log, type PublicClient, parseAbi, parseEventLogs } from 'viem';
import type { Network } from '../domain/network.js';
import { isSameAddress } from '../evm.js';
import type { Sale } from './sale-rows.js';

/** The chain's word on an authorization. `open`: it is unused and may still be used. */
export type ChainTruth =
  | { readonly kind: 'paid'; readonly transaction: string }
  | { readonly kind: 'open' }
  | { readonly kind: 'never'; readonly reason: string };

const ABI = parseAbi([
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
]);

/** Blocks that one query for logs covers; public RPCs answer no more. */
const STEP_BLOCKS = 1_000n;
/** Queries at most: a signature lives for minutes. */
const MAX_STEPS = 60;
/** How far clocks may differ, in seconds. */
const SLACK_SECONDS = 120n;

/**
 * Asks the chain what became of a sale's authorization.
 *
 * `never` needs a final block past the authorization's end in which it is unused; or that it is used, and by another
 * transfer than the sale's or by a cancellation. A used one is believed from the newest block on: the gateway's word for
 * settled is the same as its facilitator's.
 *
 * @throws what the RPC says.
 */
export async function askChain(
  client: PublicClient,
  network: Network,
  sale: Sale,
): Promise<ChainTruth> {
  const token = { address: sale.asset as `0x${string}`, abi: ABI };
  const args = [sale.payer as `0x${string}`, sale.nonce as `0x${string}`] as const;
  const head = await client.getBlock({ blockTag: 'latest' });
  const isUsed = await client.readContract({
    ...token,
    functionName: 'authorizationState',
    args,
    blockNumber: head.number,
  });
  const final = await finalBlock(client, network, head.number);
  if (isUsed) return findUse(client, sale, head.number, final.number);
  if (final.timestamp <= sale.validBefore) return { kind: 'open' };
  const wasUsed = await client.readContract({
    ...token,
    functionName: 'authorizationState',
    args,
    blockNumber: final.number,
  });
  return wasUsed
    ? { kind: 'open' }
    : { kind: 'never', reason: 'the authorization has expired unused' };
}

async function finalBlock(client: PublicClient, { finality }: Network, head: bigint) {
  return typeof finality === 'string'
    ? client.getBlock({ blockTag: finality })
    : client.getBlock({ blockNumber: max0(head - BigInt(finality.blocks)) });
}

/**
 * The transaction that used or cancelled the authorization, looked for from the head back to when the sale was made. Where
 * none is found (an RPC may lag behind the other), nothing is concluded.
 */
async function findUse(
  client: PublicClient,
  sale: Sale,
  head: bigint,
  final: bigint,
): Promise<ChainTruth> {
  const madeAt = BigInt(Math.floor(sale.createdAt.getTime() / 1_000));
  const args = { authorizer: sale.payer as `0x${string}`, nonce: sale.nonce as `0x${string}` };
  let to = head;
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const from = max0(to - STEP_BLOCKS + 1n);
    const where = {
      address: sale.asset as `0x${string}`,
      abi: ABI,
      args,
      fromBlock: from,
      toBlock: to,
    };
    const [use] = await client.getContractEvents({ ...where, eventName: 'AuthorizationUsed' });
    if (use) {
      const { logs } = await client.getTransactionReceipt({ hash: use.transactionHash });
      if (pays(logs, sale)) return { kind: 'paid', transaction: use.transactionHash };
      return use.blockNumber <= final
        ? { kind: 'never', reason: 'the authorization was used for another transfer' }
        : { kind: 'open' };
    }
    const [cancel] = await client.getContractEvents({
      ...where,
      eventName: 'AuthorizationCanceled',
    });
    if (cancel) {
      return cancel.blockNumber <= final
        ? { kind: 'never', reason: 'the authorization was cancelled' }
        : { kind: 'open' };
    }
    const { timestamp } = await client.getBlock({ blockNumber: from });
    if (from === 0n || timestamp + SLACK_SECONDS < madeAt) break;
    to = from - 1n;
  }
  return { kind: 'open' };
}

function pays(logs: readonly Log[], sale: Sale): boolean {
  const transfers = parseEventLogs({ abi: ABI, eventName: 'Transfer', logs: [...logs] });
  return transfers.some(
    ({ address, args }) =>
      isSameAddress(address, sale.asset) &&
      isSameAddress(args.from, sale.payer) &&
      isSameAddress(args.to, sale.payTo) &&
      args.value === sale.amount,
  );
}

function max0(number: bigint): bigint {
  return number > 0n ? number : 0n;
}
