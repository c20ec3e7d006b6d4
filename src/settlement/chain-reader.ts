import { Injectable, Logger } from '@nestjs/common';
import { type Block, isAddressEqual, type PublicClient, parseAbi } from 'viem';
import { Database } from '../database/database.js';
import type { Finality, Network } from '../domain/network.js';
import type { BalanceReading, BlockMark, ChainReading, Closing } from '../ledger/settlement.js';
import { Networks } from '../treasury/networks.js';

/** How many blocks one log query spans: what public RPCs commonly allow. */
const BLOCKS_PER_QUERY = 1_000n;

/** EIP-20 and EIP-3009, as far as settlement reads them. */
const TOKEN_ABI = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function balanceOf(address account) view returns (uint256)',
]);
const [TRANSFER, USED, CANCELED] = TOKEN_ABI;

interface OpenPayment {
  readonly treasury_id: string;
  readonly id: string;
  readonly asset: `0x${string}`;
  readonly payer: `0x${string}`;
  readonly pay_to: `0x${string}`;
  readonly amount: string;
  readonly nonce: `0x${string}`;
}

interface WalletRow {
  readonly treasury_id: string;
  readonly wallet_id: string;
  readonly address: `0x${string}`;
  readonly asset: `0x${string}`;
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
   * @returns undefined when there is nothing new, or the network is not ready.
   * @throws what the RPC throws; nothing is lost, the next reading starts at the same block.
   */
  async read(network: Network): Promise<ChainReading | undefined> {
    if (!this.networks.health(network.network).ready) return undefined;
    const client = this.networks.client(network.network);
    const after = await this.cursor(network.network);
    const upTo = await finalBlock(client, network.finality);
    if (!upTo || (after !== undefined && upTo.number <= after)) return undefined;

    const wallets = await this.wallets(network);
    const used =
      after === undefined
        ? []
        : await this.ended(client, network, wallets, after + 1n, upTo.number);
    const expired = await this.expired(client, network, upTo, used);
    return {
      network: network.network,
      after,
      upTo,
      closings: [...used, ...expired],
      balances: await readBalances(client, wallets, upTo.number),
    };
  }

  private async cursor(network: string): Promise<bigint | undefined> {
    const cursor = await this.database.prisma.chainCursor.findUnique({ where: { network } });
    return cursor?.blockNumber;
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
    const address = network.assets.map((asset) => asset.address);
    for (let from = fromBlock; from <= toBlock; from += BLOCKS_PER_QUERY) {
      const last = from + BLOCKS_PER_QUERY - 1n;
      const range = { address, fromBlock: from, toBlock: last < toBlock ? last : toBlock } as const;
      const strict = { strict: true } as const;
      const [used, cancelled, transfers] = await Promise.all([
        client.getLogs({ ...range, ...strict, event: USED, args: { authorizer: authorizers } }),
        client.getLogs({ ...range, ...strict, event: CANCELED, args: { authorizer: authorizers } }),
        client.getLogs({ ...range, ...strict, event: TRANSFER, args: { from: authorizers } }),
      ]);
      const open = await this.openPayments(
        network.network,
        [...used, ...cancelled].map(({ args }) => args.nonce),
      );
      const find = (asset: string, { authorizer, nonce }: (typeof used)[number]['args']) =>
        open.find(
          (payment) =>
            payment.nonce === nonce &&
            isAddressEqual(payment.payer, authorizer) &&
            payment.asset.toLowerCase() === asset.toLowerCase(),
        );
      for (const log of used) {
        const payment = find(log.address, log.args);
        if (!payment) continue;
        // A used nonce alone settles nothing: the exact transfer must stand in the same transaction,
        // and one transfer stands for one payment.
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
      for (const log of cancelled) {
        const payment = find(log.address, log.args);
        if (payment) {
          closings.push(closing(payment, 'cancelled', log.transactionHash, log.blockNumber));
        }
      }
    }
    return closings;
  }

  /**
   * The open payments that can never settle: past their validBefore by the final block's own time
   * (EIP-3009 requires `block.timestamp < validBefore`), and their nonce unused at that block.
   */
  private async expired(
    client: PublicClient,
    network: Network,
    upTo: BlockMark,
    ended: readonly Closing[],
  ): Promise<Closing[]> {
    const { rows } = await this.database.pool.query<OpenPayment>(
      `SELECT treasury_id, id, asset, payer, pay_to, amount, nonce FROM payments
       WHERE network = $1 AND status = 'authorized' AND valid_before < $2
         AND NOT id = ANY ($3::text[])
       ORDER BY valid_before LIMIT 1000`,
      [network.network, upTo.time.toString(), ended.map(({ paymentId }) => paymentId)],
    );
    const closings: Closing[] = [];
    for (const payment of rows) {
      const isSpent = await client.readContract({
        address: payment.asset,
        abi: TOKEN_ABI,
        functionName: 'authorizationState',
        args: [payment.payer, payment.nonce],
        blockNumber: upTo.number,
      });
      if (isSpent) {
        this.#log.error(
          `payment ${payment.id}: its nonce is spent, but no log said how; it stays reserved`,
        );
      } else {
        closings.push(closing(payment, 'released', undefined, upTo.number));
      }
    }
    return closings;
  }

  private async openPayments(network: string, nonces: readonly string[]): Promise<OpenPayment[]> {
    if (nonces.length === 0) return [];
    const { rows } = await this.database.pool.query<OpenPayment>(
      `SELECT treasury_id, id, asset, payer, pay_to, amount, nonce FROM payments
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

async function readBalances(
  client: PublicClient,
  wallets: readonly WalletRow[],
  blockNumber: bigint,
): Promise<BalanceReading[]> {
  return Promise.all(
    wallets.map(async (wallet) => ({
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
    })),
  );
}

function closing(
  payment: OpenPayment,
  end: Closing['end'],
  transaction: string | undefined,
  blockNumber: bigint,
): Closing {
  return { treasuryId: payment.treasury_id, paymentId: payment.id, end, transaction, blockNumber };
}
