import { createHash } from 'node:crypto';
import {
  encodeAbiParameters,
  encodeEventTopics,
  type Hex,
  numberToHex,
  type PublicClient,
  size,
} from 'viem';
import { TOKEN_ABI } from '../../src/settlement/token-logs.js';

/** Members of a payment that its chain knows. */
export interface OnChain {
  readonly asset: Hex;
  readonly payer: Hex;
  readonly payTo: Hex;
  readonly amount: bigint;
  readonly nonce: Hex;
  readonly validBefore: bigint;
}

interface ModelBlock {
  readonly number: bigint;
  readonly hash: Hex;
  readonly timestamp: bigint;
  readonly ends: readonly { payment: OnChain; end: 'settled' | 'cancelled'; transaction: Hex }[];
}

/**
 * A chain with one EIP-3009 token, as its RPC shows it: a list of blocks that a test makes, and replaces.
 * It keeps the token's rules: a nonce once, and nothing after its time.
 */
export class ModelChain {
  #blocks: ModelBlock[] = [];
  #hashes = 0;

  /**
   * @param now - unix seconds.
   * @param funds - what each wallet holds at first.
   */
  constructor(
    public now: bigint,
    private readonly funds: bigint,
  ) {
    this.mine();
  }

  /** A new block; what it may not hold is left out. @returns whether it ended the payment. */
  mine(payment?: OnChain, end: 'settled' | 'cancelled' = 'settled'): boolean {
    const last = this.#blocks.at(-1);
    const next = (last?.timestamp ?? 0n) + 1n;
    const timestamp = this.now > next ? this.now : next;
    const isGood =
      payment !== undefined &&
      !this.isSpent(payment, this.#blocks) &&
      (end === 'cancelled' || timestamp < payment.validBefore);
    const transaction = this.hash();
    this.#blocks.push({
      number: BigInt(this.#blocks.length),
      hash: this.hash(),
      timestamp,
      ends: isGood ? [{ payment, end, transaction }] : [],
    });
    return isGood;
  }

  /** Replaces the newest block, which is not final, by an empty one. */
  reorganise(): boolean {
    const dropped = this.#blocks.pop();
    this.mine();
    return (dropped?.ends.length ?? 0) > 0;
  }

  /** The chain as settlement reads it. `port` is asked before and after every answer. */
  client(port: (call: string) => Promise<void>): PublicClient {
    const answer = async <T>(
      call: string,
      work: (blocks: readonly ModelBlock[]) => T,
    ): Promise<T> => {
      await port(`RPC ${call}`);
      const answered = work(this.#blocks);
      await port(`RPC answers ${call}`);
      return answered;
    };
    const client = {
      getBlock: ({ blockNumber }: { blockNumber?: bigint }) =>
        answer(`getBlock ${blockNumber ?? 'latest'}`, (blocks) => {
          const block = blockNumber === undefined ? blocks.at(-1) : blocks[Number(blockNumber)];
          if (block) return block;
          throw Object.assign(new Error('no such block'), { name: 'BlockNotFoundError' });
        }),
      multicall: ({
        contracts,
        blockNumber,
        allowFailure = true,
      }: {
        contracts: { functionName: string; args: [Hex, Hex?] }[];
        blockNumber: bigint;
        allowFailure?: boolean;
      }) =>
        answer(`multicall at ${blockNumber}`, (all) => {
          const blocks = all.slice(0, Number(blockNumber) + 1);
          return contracts.map(({ functionName, args: [wallet, nonce] }) => {
            const result =
              functionName === 'balanceOf'
                ? this.balance(wallet, blocks)
                : this.isSpent({ payer: wallet, nonce: nonce ?? '0x' }, blocks);
            return allowFailure ? { status: 'success', result } : result;
          });
        }),
      // No wallet has code. The call data is 57 bytes of program, then 20 bytes a wallet.
      call: ({ data, blockNumber }: { data: Hex; blockNumber: bigint }) =>
        answer(`call at ${blockNumber}`, () => ({
          data: `0x${'00'.repeat(32 * (1 + (size(data) - 57) / 20))}` as Hex,
        })),
      request: ({ params: [query] }: { params: [{ fromBlock: Hex; toBlock: Hex }] }) =>
        answer(`getLogs ${query.fromBlock} to ${query.toBlock}`, (blocks) =>
          blocks
            .slice(Number(query.fromBlock), Number(query.toBlock) + 1)
            .flatMap((block) => logsOf(block)),
        ),
    };
    return client as unknown as PublicClient;
  }

  private isSpent(
    { payer, nonce }: { payer: string; nonce: string },
    blocks: readonly ModelBlock[],
  ) {
    return blocks.some(({ ends }) =>
      ends.some(
        ({ payment }) =>
          payment.nonce === nonce && payment.payer.toLowerCase() === payer.toLowerCase(),
      ),
    );
  }

  private balance(wallet: string, blocks: readonly ModelBlock[]): bigint {
    let balance = this.funds;
    for (const { payment, end } of blocks.flatMap(({ ends }) => ends)) {
      if (end === 'settled' && payment.payer.toLowerCase() === wallet.toLowerCase()) {
        balance -= payment.amount;
      }
    }
    return balance;
  }

  private hash(): Hex {
    this.#hashes += 1;
    return `0x${createHash('sha256').update(`${this.now} ${this.#hashes}`).digest('hex')}`;
  }
}

function logsOf({ number, hash, ends }: ModelBlock) {
  return ends.flatMap(({ payment, end, transaction }) => {
    const { payer, nonce, payTo, amount } = payment;
    const log = (topics: unknown, data: Hex, index: number) => ({
      address: payment.asset,
      topics,
      data,
      blockNumber: numberToHex(number),
      blockHash: hash,
      transactionHash: transaction,
      transactionIndex: '0x0',
      logIndex: numberToHex(index),
      removed: false,
    });
    const eventName = end === 'settled' ? 'AuthorizationUsed' : 'AuthorizationCanceled';
    const args = { authorizer: payer, nonce };
    const used = log(encodeEventTopics({ abi: TOKEN_ABI, eventName, args }), '0x', 0);
    if (end === 'cancelled') return [used];
    const transfer = encodeEventTopics({
      abi: TOKEN_ABI,
      eventName: 'Transfer',
      args: { from: payer, to: payTo },
    });
    return [used, log(transfer, encodeAbiParameters([{ type: 'uint256' }], [amount]), 1)];
  });
}
