import {
  type Address,
  createPublicClient,
  decodeEventLog,
  type Hash,
  type Hex,
  http,
  type Log,
  type PublicClient,
  parseAbi,
  TransactionReceiptNotFoundError,
} from 'viem';
import { isSameAddress } from '../evm.js';
import type { PaymentEnding, ReplayedPayment } from './replay.js';

/** How many payments are asked for at once. */
const ASKED_AT_ONCE = 16;

/** How many blocks one log query spans: what public RPCs commonly allow. */
const BLOCKS_PER_QUERY = 1_000n;

/** EIP-20 and EIP-3009. */
const TOKEN_ABI = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
]);
const USED = TOKEN_ABI[1];

/** Contradiction between a chain and the log, in one line. */
class ChainContradiction extends Error {
  override readonly name = 'ChainContradiction';
}

/** Where the settled payments of one token lie on a chain. */
interface Seen {
  readonly network: string;
  readonly asset: Address;
  readonly nonces: Set<string>;
  from: bigint;
  to: bigint;
}

/**
 * Compares the ends of payments with what their chains say: a settled one with the logs of its
 * transaction, a released one with its nonce, a cancelled one with its cancellation. At the end, every
 * authorization of the treasury's wallets that a chain has used in those blocks must be in the log.
 */
export class ChainComparison {
  readonly #clients: ReadonlyMap<string, PublicClient>;
  readonly #asking = new Set<Promise<void>>();
  readonly #seen = new Map<string, Seen>();
  #failure: unknown;
  #compared = 0;
  #passedOver = 0;

  private constructor(clients: ReadonlyMap<string, PublicClient>) {
    this.#clients = clients;
  }

  /** Asks each RPC which chain it serves. @throws Error when one does not answer. */
  static async open(urls: readonly string[]): Promise<ChainComparison> {
    const clients = new Map<string, PublicClient>();
    for (const url of urls) {
      const client = createPublicClient({ transport: http(url) });
      const chainId = await client.getChainId().catch((error: Error) => {
        throw new Error(`--rpc ${url}: does not answer (${firstLine(error)})`);
      });
      clients.set(`eip155:${chainId}`, client);
    }
    return new ChainComparison(clients);
  }

  /** How many ends were compared, and how many were on chains that no RPC was given for. */
  get summary(): { compared: number; passedOver: number } {
    return { compared: this.#compared, passedOver: this.#passedOver };
  }

  /** Compares one end, sooner or later; waits while many are under way. */
  async compare(ending: PaymentEnding): Promise<void> {
    const { payment } = ending;
    const client = this.#clients.get(payment.network);
    this.remember(payment);
    if (!client) {
      this.#passedOver += 1;
      return;
    }
    const asked: Promise<void> = this.ask(client, ending)
      .catch((error: Error) => {
        this.#failure ??= new ChainContradiction(
          `payment ${payment.paymentId} (allowed by ${payment.grants.join(' > ')}): ${firstLine(error)}`,
        );
      })
      .finally(() => this.#asking.delete(asked));
    this.#asking.add(asked);
    if (this.#asking.size >= ASKED_AT_ONCE) await Promise.race(this.#asking);
    if (this.#failure) throw this.#failure;
  }

  /**
   * Waits for all that was asked, then looks for payments that the log does not know.
   *
   * @param open - payments that have no end in the log; the chain may have seen theirs already.
   * @param explained - nonces that no decision allowed, which an admin answers for in the log.
   */
  async finish(
    wallets: ReadonlySet<string>,
    open: Iterable<ReplayedPayment>,
    explained: ReadonlySet<string>,
  ): Promise<void> {
    await Promise.all(this.#asking);
    if (this.#failure) throw this.#failure;
    for (const payment of open) this.remember(payment);
    for (const seen of this.#seen.values()) {
      await this.search(seen, [...wallets] as Address[], explained);
    }
  }

  private remember(payment: ReplayedPayment): void {
    const key = `${payment.network} ${payment.asset}`;
    const asset = payment.asset as Address;
    const seen = this.#seen.get(key) ?? {
      network: payment.network,
      asset,
      nonces: new Set<string>(),
      from: 0n,
      to: -1n,
    };
    seen.nonces.add(payment.nonce);
    this.#seen.set(key, seen);
  }

  private async ask(client: PublicClient, { payment, kind, paid, transaction }: PaymentEnding) {
    if (kind === 'payment.released') {
      const isUsed = await client.readContract({
        address: payment.asset as Address,
        abi: TOKEN_ABI,
        functionName: 'authorizationState',
        args: [payment.from as Address, payment.nonce as Hex],
      });
      if (isUsed) throw new Error('the log says released, and the chain has its nonce used');
    } else {
      const receipt = await client
        .getTransactionReceipt({ hash: transaction as Hash })
        .catch((error: Error) => {
          if (!(error instanceof TransactionReceiptNotFoundError)) throw error;
          throw new Error(`the chain has no transaction ${transaction}`);
        });
      const logs = receipt.logs.filter(({ address }) => isSameAddress(address, payment.asset));
      const wanted = kind === 'payment.settled' ? 'AuthorizationUsed' : 'AuthorizationCanceled';
      if (!logs.some((log) => isOf(log, wanted, payment))) {
        throw new Error(`transaction ${transaction} has no ${wanted} of its nonce`);
      }
      if (kind === 'payment.settled') {
        if (!logs.some((log) => isTransfer(log, payment, paid))) {
          throw new Error(
            `transaction ${transaction} has no transfer of ${paid} from ${payment.from} to ${payment.to}`,
          );
        }
        this.extend(payment, receipt.blockNumber);
      }
    }
    this.#compared += 1;
  }

  private extend({ network, asset }: ReplayedPayment, block: bigint): void {
    const seen = this.#seen.get(`${network} ${asset}`);
    if (!seen) return;
    const isFirst = seen.to < 0n;
    if (isFirst || block < seen.from) seen.from = block;
    if (isFirst || block > seen.to) seen.to = block;
  }

  private async search(
    { network, asset, nonces, from, to }: Seen,
    authorizer: Address[],
    explained: ReadonlySet<string>,
  ) {
    const client = this.#clients.get(network);
    if (!client) return;
    for (let start = from; start <= to; start += BLOCKS_PER_QUERY) {
      const last = start + BLOCKS_PER_QUERY - 1n;
      const logs = await client.getLogs({
        address: asset,
        event: USED,
        args: { authorizer },
        fromBlock: start,
        toBlock: last < to ? last : to,
        strict: true,
      });
      const stranger = logs.find(
        ({ args }) => !nonces.has(args.nonce) && !explained.has(args.nonce),
      );
      if (!stranger) continue;
      throw new ChainContradiction(
        `transaction ${stranger.transactionHash} on ${network} spends from wallet ${stranger.args.authorizer} under nonce ${stranger.args.nonce}, and no decision in the log has that hash`,
      );
    }
  }
}

function isOf(
  log: Log,
  eventName: 'AuthorizationUsed' | 'AuthorizationCanceled',
  payment: ReplayedPayment,
): boolean {
  const event = decode(log);
  return (
    event?.eventName === eventName &&
    event.args.nonce === payment.nonce &&
    isSameAddress(event.args.authorizer, payment.from)
  );
}

function isTransfer(log: Log, { from, to }: ReplayedPayment, value: bigint): boolean {
  const event = decode(log);
  return (
    event?.eventName === 'Transfer' &&
    isSameAddress(event.args.from, from) &&
    isSameAddress(event.args.to, to) &&
    event.args.value === value
  );
}

function decode({ data, topics }: Log) {
  try {
    return decodeEventLog({ abi: TOKEN_ABI, data, topics });
  } catch {
    return undefined;
  }
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] ?? error.message;
}
