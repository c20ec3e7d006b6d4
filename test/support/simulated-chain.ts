import {
  encodeAbiParameters,
  encodeEventTopics,
  type Log,
  type PublicClient,
  pad,
  parseAbi,
} from 'viem';

/** An EIP-3009 transfer. */
export interface SimulatedTransfer {
  readonly asset: `0x${string}`;
  readonly from: `0x${string}`;
  readonly to: `0x${string}`;
  readonly value: bigint;
  readonly nonce: string;
  /** Unix seconds. */
  readonly validBefore: bigint;
}

interface Block {
  readonly timestamp: bigint;
  readonly transfers: SimulatedTransfer[];
}

const TRANSFER = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
]);

/**
 * A chain in memory, with what `askChain` reads of one: for runs of tens of thousands of payments. A nonce is taken once, an
 * authorization ends, and the newest blocks may be reorganised.
 */
export class SimulatedChain {
  #blocks: Block[] = [0, 1, 2].map(() => ({ timestamp: now(), transfers: [] }));
  /** Sent and in no block. */
  #waiting: SimulatedTransfer[] = [];

  /** Mines a transfer. @returns its transaction; undefined when its nonce is used or it has expired. */
  pay(transfer: SimulatedTransfer): `0x${string}` | undefined {
    this.send(transfer);
    const before = this.has(transfer.nonce);
    this.mine();
    return before || !this.has(transfer.nonce) ? undefined : transactionOf(transfer.nonce);
  }

  /** Sends a transfer: the next block has it. */
  send(transfer: SimulatedTransfer): void {
    this.#waiting.push(transfer);
  }

  /** Forgets what was sent and is in no block. */
  forget(): void {
    this.#waiting = [];
  }

  /** Mines a block. @param seconds - after the last one. */
  mine(seconds = 1n): void {
    const timestamp = (this.#blocks.at(-1)?.timestamp ?? 0n) + seconds;
    const block: Block = { timestamp, transfers: [] };
    this.#blocks.push(block);
    for (const transfer of this.#waiting) {
      if (!this.has(transfer.nonce) && timestamp < transfer.validBefore) {
        block.transfers.push(transfer);
      }
    }
    this.#waiting = [];
  }

  /** Takes the newest two blocks back. Their transfers are sent again. */
  reorganise(): void {
    const taken = this.#blocks.splice(-2);
    for (const { transfers } of taken) this.#waiting.push(...transfers);
    for (const { timestamp } of taken) this.#blocks.push({ timestamp, transfers: [] });
  }

  /** Whether a nonce is used. @param upTo - number of the last block that counts. */
  has(nonce: string, upTo = this.#blocks.length - 1): boolean {
    return this.placeOf(nonce, upTo) !== undefined;
  }

  private placeOf(nonce: string, upTo = this.#blocks.length - 1) {
    for (let number = upTo; number >= 0; number -= 1) {
      const transfer = this.#blocks[number]?.transfers.find((each) => each.nonce === nonce);
      if (transfer) return { number, transfer };
    }
    return undefined;
  }

  /** The chain as viem reads it, as far as sales are looked for. */
  get client(): PublicClient {
    const blockOf = (number: bigint) => ({
      number,
      timestamp: this.#blocks[Number(number)]?.timestamp ?? 0n,
    });
    const client = {
      getBlock: async ({ blockNumber }: { blockNumber?: bigint }) =>
        blockOf(blockNumber ?? BigInt(this.#blocks.length - 1)),
      readContract: async ({
        args,
        blockNumber,
      }: {
        args: [string, string];
        blockNumber: bigint;
      }) => this.has(args[1], Number(blockNumber)),
      getContractEvents: async ({ args, eventName, fromBlock, toBlock }: EventQuery) => {
        const place = this.placeOf(args.nonce, Number(toBlock));
        if (eventName !== 'AuthorizationUsed' || !place || place.number < fromBlock) return [];
        const transactionHash = transactionOf(args.nonce);
        return [{ transactionHash, blockNumber: BigInt(place.number) }];
      },
      getTransactionReceipt: async ({ hash }: { hash: string }) => {
        const transfers = this.#blocks.flatMap((block) => block.transfers);
        const found = transfers.find(({ nonce }) => transactionOf(nonce) === hash);
        return { logs: found ? [logOf(found)] : [] };
      },
    };
    return client as unknown as PublicClient;
  }
}

interface EventQuery {
  readonly args: { readonly nonce: string };
  readonly eventName: string;
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** One nonce is in one transaction, wherever that is mined. */
function transactionOf(nonce: string): `0x${string}` {
  return `0x${nonce.slice(2).split('').reverse().join('')}`;
}

function logOf({ asset, from, to, value }: SimulatedTransfer): Log {
  return {
    address: asset,
    topics: encodeEventTopics({ abi: TRANSFER, eventName: 'Transfer', args: { from, to } }),
    data: encodeAbiParameters([{ type: 'uint256' }], [value]),
    blockHash: pad('0x1'),
    blockNumber: 1n,
    logIndex: 0,
    removed: false,
    transactionHash: pad('0x1'),
    transactionIndex: 0,
  } as Log;
}

function now(): bigint {
  return BigInt(Math.floor(Date.now() / 1_000));
}
