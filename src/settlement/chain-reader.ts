import { Injectable, Logger } from '@nestjs/common';
import { type Block, isAddressEqual, type PublicClient, parseAbi } from 'viem';
import { Database } from '../database/database.js';
import type { Finality, Network } from '../domain/network.js';
import type { BalanceReading, BlockMark, ChainReading, Closing } from '../ledger/settlement.js';
import { Networks } from '../treasury/networks.js';

/** How many blocks one log query spans: what public RPCs commonly allow. */
const BLOCKS_PER_QUERY = 1_000n;

/** How many reads of contracts go out at once. */
const READS_AT_ONCE = 16;

/** How many expired payments are looked at a page, and ended a reading. */
const EXPIRED_PER_READING = 1_000;

/** How many log queries looking for one spent nonce may take, back from the newest final block. */
const QUERIES_PER_SEARCH = 100;

/** How much the database's clock and the chain's may differ, in seconds, when searching by time. */
const CLOCK_TOLERANCE_SECONDS = 600n;

/** EIP-20 and EIP-3009, as far as settlement reads them. */
const TOKEN_ABI = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function balanceOf(address account) view returns (uint256)',
]);
const [TRANSFER, USED, CANCELED] = TOKEN_ABI;

type Address = `0x${string}`;

interface OpenPayment {
  readonly treasury_id: string;
  readonly id: string;
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: Address;
  readonly amount: string;
  readonly nonce: `0x${string}`;
  readonly created_at: Date;
}

const OPEN_PAYMENT_COLUMNS = 'treasury_id, id, asset, payer, pay_to, amount, nonce, created_at';

interface WalletRow {
  readonly treasury_id: string;
  readonly wallet_id: string;
  readonly address: Address;
  readonly asset: Address;
}

/** Which logs to ask for; without a nonce, those of all. */
interface LogQuery {
  readonly assets: readonly Address[];
  readonly authorizers: readonly Address[];
  readonly nonce?: `0x${string}`;
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** The RPC's chain is not the one that was read before: nothing it says may end a payment. */
export class ChainMismatch extends Error {
  override readonly name = 'ChainMismatch';
}

/**
 * Reads what the chain says of the treasury's wallets: once for all of them, so that the cost grows
 * with blocks and not with open payments. Only final blocks are read; what is not final yet is
 * nobody's business.
 */
@Injectable()
export class ChainReader {
  readonly #log = new Logger('settlement');

  constructor(
    private readonly networks: Networks,
    private readonly database: Database,
  ) {}

  /**
   * Reads a network from where it was read last up to its newest final block.
   *
   * @returns undefined when there is nothing new, or no RPC of the network checked out yet.
   * @throws ChainMismatch when the chain does not have the block that was read last; else what the
   *   RPC throws. Nothing is lost, the next reading starts at the same block.
   */
  async read(network: Network): Promise<ChainReading | undefined> {
    const client = this.networks.client(network.network);
    if (!client) return undefined;
    const after = await this.readBefore(client, network.network);
    const upTo = await finalBlock(client, network.finality);
    if (!upTo || (after !== undefined && upTo.number <= after)) return undefined;

    const wallets = await this.wallets(network);
    const ended =
      after === undefined
        ? []
        : await this.ended(client, network, wallets, after + 1n, upTo.number);
    const expired = await this.expired(client, network, upTo, ended);
    return {
      network: network.network,
      after,
      upTo,
      closings: [...ended, ...expired],
      balances: await readBalances(client, wallets, upTo.number),
    };
  }

  /** The block read up to before, once the chain has shown that it still has it. */
  private async readBefore(client: PublicClient, network: string): Promise<bigint | undefined> {
    const cursor = await this.database.prisma.chainCursor.findUnique({ where: { network } });
    if (!cursor) return undefined;
    const { blockNumber, blockHash } = cursor;
    const block = await client.getBlock({ blockNumber }).catch((error: Error) => {
      if (error.name === 'BlockNotFoundError') return undefined;
      throw error;
    });
    if (block?.hash !== blockHash) {
      throw new ChainMismatch(
        `its chain has ${block ? `block ${block.hash}` : 'no block'} at ${blockNumber}, where ${blockHash} was read before; ` +
          'check its rpcUrls and finality in BURSAR_NETWORKS',
      );
    }
    return blockNumber;
  }

  /** The payments whose nonce the logs of a range of blocks show as used or cancelled. */
  private async ended(
    client: PublicClient,
    network: Network,
    wallets: readonly WalletRow[],
    fromBlock: bigint,
    toBlock: bigint,
  ): Promise<Closing[]> {
    const closings: Closing[] = [];
    const authorizers = [...new Set(wallets.map(({ address }) => address))];
    const assets = network.assets.map(({ address }) => address);
    for (let from = fromBlock; from <= toBlock; from += BLOCKS_PER_QUERY) {
      const last = from + BLOCKS_PER_QUERY - 1n;
      const logs = await readLogs(client, {
        assets,
        authorizers,
        fromBlock: from,
        toBlock: last < toBlock ? last : toBlock,
      });
      const nonces = [...logs.used, ...logs.cancelled].map(({ args }) => args.nonce);
      closings.push(...this.match(await this.openPayments(network.network, nonces), logs));
    }
    return closings;
  }

  /** What logs say of open payments. A payment they do not settle nor cancel stays open. */
  private match(open: readonly OpenPayment[], logs: TokenLogs): Closing[] {
    const closings: Closing[] = [];
    const transfers = [...logs.transfers];
    const find = (log: { address: Address; args: { authorizer: Address; nonce: string } }) =>
      open.find(
        (payment) =>
          payment.nonce === log.args.nonce &&
          isAddressEqual(payment.payer, log.args.authorizer) &&
          isAddressEqual(payment.asset, log.address),
      );
    for (const log of logs.used) {
      const payment = find(log);
      if (!payment) continue;
      // A used nonce alone settles nothing: the exact transfer must stand in the same transaction, and
      // one transfer stands for one payment.
      const transfer = transfers.findIndex(
        (each) =>
          each.transactionHash === log.transactionHash &&
          isAddressEqual(each.address, log.address) &&
          isAddressEqual(each.args.from, payment.payer) &&
          isAddressEqual(each.args.to, payment.pay_to) &&
          each.args.value === BigInt(payment.amount),
      );
      if (transfer < 0) {
        this.#log.error(
          `payment ${payment.id}: its nonce was used in ${log.transactionHash} without its transfer; it stays reserved`,
        );
        continue;
      }
      transfers.splice(transfer, 1);
      closings.push(closing(payment, 'settled', log.transactionHash, log.blockNumber));
    }
    for (const log of logs.cancelled) {
      const payment = find(log);
      if (payment) {
        closings.push(closing(payment, 'cancelled', log.transactionHash, log.blockNumber));
      }
    }
    return closings;
  }

  /**
   * What became of the open payments that can no longer settle: past their validBefore by the final
   * block's own time (EIP-3009 requires `block.timestamp < validBefore`). With the nonce unused at that
   * block they are released. With the nonce spent, a log was missed, and is looked for.
   */
  private async expired(
    client: PublicClient,
    network: Network,
    upTo: BlockMark,
    ended: readonly Closing[],
  ): Promise<Closing[]> {
    const known = ended.map(({ paymentId }) => paymentId);
    const closings: Closing[] = [];
    let lastId = '';
    while (closings.length < EXPIRED_PER_READING) {
      const { rows } = await this.database.pool.query<OpenPayment>(
        `SELECT ${OPEN_PAYMENT_COLUMNS} FROM payments
         WHERE network = $1 AND status = 'authorized' AND valid_before < $2
           AND id > $3 AND NOT id = ANY ($4::text[])
         ORDER BY id LIMIT ${EXPIRED_PER_READING}`,
        [network.network, upTo.time.toString(), lastId, known],
      );
      const found = await inBatches(rows, (payment) => this.expire(client, payment, upTo));
      closings.push(...found.filter((each) => each !== undefined));
      if (rows.length < EXPIRED_PER_READING) break;
      lastId = rows.at(-1)?.id ?? '';
    }
    return closings;
  }

  private async expire(
    client: PublicClient,
    payment: OpenPayment,
    upTo: BlockMark,
  ): Promise<Closing | undefined> {
    const isSpent = await client.readContract({
      address: payment.asset,
      abi: TOKEN_ABI,
      functionName: 'authorizationState',
      args: [payment.payer, payment.nonce],
      blockNumber: upTo.number,
    });
    if (!isSpent) return closing(payment, 'released', undefined, upTo.number);
    const found = await this.search(client, payment, upTo.number);
    if (!found) {
      this.#log.error(
        `payment ${payment.id}: its nonce is spent, but no log says how; it stays reserved`,
      );
    }
    return found;
  }

  /**
   * Looks for how one nonce was spent, back from a block to when the payment was made: an RPC that
   * lagged, or a restart with another configuration, can have passed over its log.
   */
  private async search(
    client: PublicClient,
    payment: OpenPayment,
    newest: bigint,
  ): Promise<Closing | undefined> {
    const madeAt = BigInt(Math.floor(payment.created_at.getTime() / 1000));
    let toBlock = newest;
    for (let query = 0; query < QUERIES_PER_SEARCH && toBlock >= 0n; query += 1) {
      const lowest = toBlock - BLOCKS_PER_QUERY + 1n;
      const fromBlock = lowest < 0n ? 0n : lowest;
      const logs = await readLogs(client, {
        assets: [payment.asset],
        authorizers: [payment.payer],
        nonce: payment.nonce,
        fromBlock,
        toBlock,
      });
      const [found] = this.match([payment], logs);
      if (found) return found;
      const { timestamp } = await client.getBlock({ blockNumber: fromBlock });
      if (timestamp + CLOCK_TOLERANCE_SECONDS < madeAt) return undefined;
      toBlock = fromBlock - 1n;
    }
    return undefined;
  }

  private async openPayments(network: string, nonces: readonly string[]): Promise<OpenPayment[]> {
    if (nonces.length === 0) return [];
    const { rows } = await this.database.pool.query<OpenPayment>(
      `SELECT ${OPEN_PAYMENT_COLUMNS} FROM payments
       WHERE network = $1 AND status = 'authorized' AND nonce = ANY ($2::text[])`,
      [network, nonces],
    );
    return rows;
  }

  private async wallets(network: Network): Promise<WalletRow[]> {
    const { rows } = await this.database.pool.query<WalletRow>(
      `SELECT b.treasury_id, b.wallet_id, w.address, b.asset
       FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
       WHERE b.network = $1 AND b.asset = ANY ($2::text[])`,
      [network.network, network.assets.map(({ address }) => address)],
    );
    return rows;
  }
}

type TokenLogs = Awaited<ReturnType<typeof readLogs>>;

async function readLogs(client: PublicClient, query: LogQuery) {
  const { assets, authorizers, nonce, fromBlock, toBlock } = query;
  const range = { address: [...assets], fromBlock, toBlock, strict: true as const };
  const authorization = { authorizer: [...authorizers], ...(nonce ? { nonce } : {}) };
  const [used, cancelled, transfers] = await Promise.all([
    client.getLogs({ ...range, event: USED, args: authorization }),
    client.getLogs({ ...range, event: CANCELED, args: authorization }),
    client.getLogs({ ...range, event: TRANSFER, args: { from: [...authorizers] } }),
  ]);
  return { used, cancelled, transfers };
}

async function finalBlock(
  client: PublicClient,
  finality: Finality,
): Promise<BlockMark | undefined> {
  if (typeof finality === 'string') return mark(await client.getBlock({ blockTag: finality }));
  const head = await client.getBlockNumber({ cacheTime: 0 });
  const number = head - BigInt(finality.blocks);
  return number < 0n ? undefined : mark(await client.getBlock({ blockNumber: number }));
}

function mark({ number, hash, timestamp }: Block): BlockMark | undefined {
  return number === null || hash === null ? undefined : { number, hash, time: timestamp };
}

function readBalances(
  client: PublicClient,
  wallets: readonly WalletRow[],
  blockNumber: bigint,
): Promise<BalanceReading[]> {
  return inBatches(wallets, async (wallet) => ({
    treasuryId: wallet.treasury_id,
    walletId: wallet.wallet_id,
    asset: wallet.asset,
    balance: await client.readContract({
      address: wallet.asset,
      abi: TOKEN_ABI,
      functionName: 'balanceOf',
      args: [wallet.address],
      blockNumber,
    }),
  }));
}

/** Does work for each item, a bounded number at once, and keeps their order. */
async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += READS_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(start, start + READS_AT_ONCE).map(work))));
  }
  return results;
}

function closing(
  payment: OpenPayment,
  end: Closing['end'],
  transaction: string | undefined,
  blockNumber: bigint,
): Closing {
  return { treasuryId: payment.treasury_id, paymentId: payment.id, end, transaction, blockNumber };
}
