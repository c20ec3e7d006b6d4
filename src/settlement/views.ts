import type { Block, PublicClient } from 'viem';
import type { BlockMark, Finality } from '../domain/network.js';
import { RpcNonsense } from './token-logs.js';

/** View of one RPC on its chain now. */
export interface ChainView {
  readonly client: PublicClient;
  readonly head: BlockMark;
  /** Its newest final block; undefined while the chain is too young to have one. */
  readonly final: BlockMark | undefined;
}

/**
 * The chain cannot be what it was: it lost every block remembered of it, or two RPCs tell different
 * stories of final blocks. Nothing such a chain says may end a payment.
 */
export class ChainMismatch extends Error {
  override readonly name = 'ChainMismatch';
}

/** The RPC to ask once more, where there is no other to confirm what it says. */
export function secondOf(views: readonly ChainView[]): PublicClient[] {
  return views.length === 1 ? views.map(({ client }) => client) : [];
}

/** @throws RpcNonsense when its final block is above its head, or later. */
export async function viewOf(client: PublicClient, finality: Finality): Promise<ChainView> {
  // A final block before the head: on a chain that is final at once, a block may come between the two.
  const tagged =
    typeof finality === 'string' ? mark(await client.getBlock({ blockTag: finality })) : undefined;
  const head = mark(await client.getBlock({ blockTag: 'latest' }));
  const final = typeof finality === 'string' ? tagged : await below(client, head, finality.blocks);
  if (final !== undefined && (final.number > head.number || final.time > head.time)) {
    throw new RpcNonsense(
      `its final block ${final.number} of ${final.time} is after its newest block ${head.number} of ${head.time}`,
    );
  }
  return { client, head, final };
}

async function below(
  client: PublicClient,
  head: BlockMark,
  blocks: number,
): Promise<BlockMark | undefined> {
  const number = head.number - BigInt(blocks);
  return number < 0n ? undefined : blockAt(client, number);
}

/** The newest block that is final for all RPCs. @throws ChainMismatch, as {@link agreedBlock}. */
export async function agreedFinal(views: readonly ChainView[]): Promise<BlockMark | undefined> {
  const finals = views.map(({ final }) => final);
  let lowest = finals[0];
  for (const final of finals) {
    if (!final || !lowest) return undefined;
    if (final.number < lowest.number) lowest = final;
  }
  return lowest && agreedBlock(views, lowest.number);
}

/** A block that all RPCs have. @throws ChainMismatch when its hash or its time is not the same for all. */
export async function agreedBlock(views: readonly ChainView[], number: bigint): Promise<BlockMark> {
  const [first, ...others] = (await Promise.all(
    views.map(({ client, final }) => (final?.number === number ? final : blockAt(client, number))),
  )) as [BlockMark, ...BlockMark[]];
  const other = others.find(({ hash, time }) => hash !== first.hash || time !== first.time);
  if (other) {
    throw new ChainMismatch(
      `its RPCs contradict each other: block ${number} is ${first.hash} of ${first.time} for one and ` +
        `${other.hash} of ${other.time} for another`,
    );
  }
  return first;
}

/** @throws RpcNonsense when it answers another block. */
async function blockAt(client: PublicClient, blockNumber: bigint): Promise<BlockMark> {
  const block = mark(await client.getBlock({ blockNumber }));
  if (block.number === blockNumber) return block;
  throw new RpcNonsense(`asked for block ${blockNumber}, it gave block ${block.number}`);
}

/** The hash of a block for each RPC; undefined where there is none. */
export function hashesAt(
  views: readonly ChainView[],
  blockNumber: bigint,
): Promise<(string | undefined)[]> {
  return Promise.all(
    views.map(async ({ client }) => {
      try {
        return (await blockAt(client, blockNumber)).hash;
      } catch (error) {
        if ((error as Error).name === 'BlockNotFoundError') return undefined;
        throw error;
      }
    }),
  );
}

function mark({ number, hash, timestamp }: Block): BlockMark {
  if (typeof number !== 'bigint' || typeof hash !== 'string' || typeof timestamp !== 'bigint') {
    throw new RpcNonsense('a block was answered without number, hash and time');
  }
  return { number, hash, time: timestamp };
}
