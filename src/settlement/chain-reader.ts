import { Injectable, Logger } from '@nestjs/common';
import { type Block, isAddressEqual, type PublicClient } from 'viem';
import { Database } from '../database/database.js';
import type { BlockMark, Finality, Network } from '../domain/network.js';
import { databaseNow } from '../ledger/grant-rows.js';
import {
  type BalanceReading,
  BLOCKS_REMEMBERED,
  type ChainReading,
  type Closing,
} from '../ledger/settlement.js';
import type { Sighting } from '../ledger/sightings.js';
import { Networks } from '../treasury/networks.js';
import { RpcNonsense, readLogs, TOKEN_ABI, type TokenLog } from './token-logs.js';

/** How many blocks one step of a reading covers, and one log query: what public RPCs commonly allow. */
const BLOCKS_PER_STEP = 1_000n;

/** How many expired payments are looked at a page, and ended a reading. */
const EXPIRED_PER_READING = 1_000;

/** Bytes of calls in one `eth_call` that asks for many at once: about a hundred nonces. */
const CALL_BATCH_BYTES = 6_800;

/** How many log queries looking for one spent nonce may take, back from the newest final block. */
const QUERIES_PER_SEARCH = 100;

/** How long a nonce that is spent without a log is left alone before it is searched again, in ms. */
const SEARCH_AGAIN_MS = 60_000;

/** How much the database's clock and the chain's may differ, in seconds, when searching by time. */
const CLOCK_TOLERANCE_SECONDS = 600n;

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

/** What one RPC knows of its chain now. */
export interface ChainView {
  readonly client: PublicClient;
  readonly head: BlockMark;
  /** Its newest final block; undefined while the chain is too young to have one. */
  readonly final: BlockMark | undefined;
}

/** One step of following a network. */
export type Step =
  /** Final blocks to write; `isLast` when none are left. */
  | { readonly kind: 'read'; readonly reading: ChainReading; readonly isLast: boolean }
  /** The chain no longer has the block read last, but has this earlier one: read again from there. */
  | { readonly kind: 'rewind'; readonly from: bigint; readonly to: BlockMark }
  /** No new final block. What the blocks above the cursor show, unless the head was looked at before. */
  | { readonly kind: 'watch'; readonly watch: Watch | undefined };

/** What the blocks that are not final show. */
export interface Watch {
  readonly after: bigint;
  readonly head: BlockMark;
  readonly sightings: readonly Sighting[];
}

/**
 * The chain cannot be what it was: it lost every block remembered of it, or two RPCs tell different
 * stories of final blocks. Nothing such a chain says may end a payment.
 */
export class ChainMismatch extends Error {
  override readonly name = 'ChainMismatch';
}

/**
 * Reads what the chain says of the treasury's wallets: once for all of them, so that the cost grows
 * with blocks and not with open payments.
 *
 * One reading sees the chain through one RPC, never through a mixture of two. What would end a payment
 * is asked for a second time: of another RPC where there is one, else of the same again.
 */
@Injectable()
export class ChainReader {
  readonly #log = new Logger('settlement');
  /** Payments whose nonce is spent without a log, and when to search for it again (process time). */
  readonly #unexplained = new Map<string, number>();

  constructor(
    private readonly networks: Networks,
    private readonly database: Database,
  ) {}

  /**
   * Finds the next thing to write for a network: a bounded range of final blocks, else a look at the
   * head.
   *
   * @param onViews - hears where each RPC's chain stands, before anything is read.
   * @returns undefined while no RPC of the network has checked out.
   * @throws ChainMismatch; else what the RPC throws. Nothing is lost, the next step starts at the same
   *   block.
   */
  async next(
    network: Network,
    onViews: (views: readonly ChainView[]) => Promise<void>,
  ): Promise<Step | undefined> {
    const clients = this.networks.clients(network.network);
    if (clients.length === 0) return undefined;
    const { views, failures } = await this.look(network, clients);
    await onViews(views);
    for (const primary of views) {
      const second = views.find((view) => view !== primary) ?? primary;
      try {
        return await this.step(network, primary, second);
      } catch (error) {
        // Of two that contradict each other, nobody here knows which is right: neither is gone round.
        if (error instanceof ChainMismatch) throw error;
        failures.push(error);
      }
    }
    throw failures[0];
  }

  /**
   * Where each RPC's chain stands. One that lags far behind the clock is left out, as long as another
   * does not.
   */
  private async look(network: Network, clients: readonly PublicClient[]) {
    const looks = await Promise.allSettled(
      clients.map((client) => viewOf(client, network.finality)),
    );
    const failures: unknown[] = looks.flatMap((each) =>
      each.status === 'rejected' ? [each.reason] : [],
    );
    const views = looks.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [first] = views;
    if (!first) return { views, failures };
    const now = await databaseNow(this.database.pool);
    const newest = views.reduce((a, b) => (b.head.time > a.head.time ? b : a), first);
    this.networks.clockRead(network, newest.head.time, now);
    const stale = BigInt(Math.floor(now.getTime() / 1000) - network.maxClockSkewSeconds);
    const fresh = views.filter(({ head }) => head.time >= stale);
    return { views: fresh.length > 0 ? fresh : views, failures };
  }

  private async step(network: Network, primary: ChainView, second: ChainView): Promise<Step> {
    const cursor = await this.database.prisma.chainCursor.findUnique({
      where: { network: network.network },
    });
    const after = cursor?.blockNumber;
    if (cursor) {
      const rewind = await this.rewind(primary.client, network.network, cursor);
      if (rewind) return { kind: 'rewind', from: cursor.blockNumber, to: rewind };
    }
    const final = await agreedFinal(primary, second);
    if (!final || (after !== undefined && final.number <= after)) {
      // A head that was looked at before shows nothing new, and the cursor did not move either.
      const isNew = cursor !== null && cursor.headHash !== primary.head.hash;
      return {
        kind: 'watch',
        watch: isNew ? await this.watch(network, primary, cursor.blockNumber) : undefined,
      };
    }

    const wallets = await this.wallets(network);
    if (after === undefined) {
      const balances = await readBalances(primary.client, wallets, final.number);
      const reading = { network: network.network, after, upTo: final, closings: [], balances };
      return { kind: 'read', reading, isLast: true };
    }
    const isLast = final.number <= after + BLOCKS_PER_STEP;
    const upTo = isLast ? final : await blockAt(primary.client, after + BLOCKS_PER_STEP);
    const range = { fromBlock: after + 1n, toBlock: upTo.number };
    const ended = await this.ended(primary.client, second.client, network, wallets, range);
    // In the middle of a catch-up only logs are read: nodes keep old logs, but not old states.
    const expired = isLast
      ? await this.expired(primary.client, second.client, network, upTo, ended)
      : [];
    const balances = isLast ? await readBalances(primary.client, wallets, upTo.number) : undefined;
    const reading = {
      network: network.network,
      after,
      upTo,
      closings: [...ended, ...expired],
      balances,
    };
    return { kind: 'read', reading, isLast };
  }

  /**
   * The newest block remembered that the chain still has, when it no longer has the one read last.
   *
   * @throws ChainMismatch when it has none of them: that is another chain, not a reorganised one.
   */
  private async rewind(
    client: PublicClient,
    network: string,
    { blockNumber, blockHash }: { blockNumber: bigint; blockHash: string },
  ): Promise<BlockMark | undefined> {
    const found = await hashAt(client, blockNumber);
    if (found === blockHash) return undefined;
    const remembered = await this.database.prisma.chainBlock.findMany({
      where: { network, number: { lt: blockNumber } },
      orderBy: { number: 'desc' },
      take: BLOCKS_REMEMBERED,
    });
    for (const { number, hash, time } of remembered) {
      if ((await hashAt(client, number)) === hash) return { number, hash, time };
    }
    throw new ChainMismatch(
      `its chain has ${found ? `block ${found}` : 'no block'} at ${blockNumber}, where ${blockHash} was read before, ` +
        'and none of the blocks before it; check its rpcUrls and finality in BURSAR_NETWORKS',
    );
  }

  /** The payments that the final logs of a range of blocks show as settled or cancelled. */
  private async ended(
    client: PublicClient,
    second: PublicClient,
    network: Network,
    wallets: readonly WalletRow[],
    range: { fromBlock: bigint; toBlock: bigint },
  ): Promise<Closing[]> {
    const query = { ...range, ...logFilter(network, wallets) };
    const logs = await readLogs(client, query);
    const open = await this.openPayments(network.network, logs);
    if (open.length === 0) return [];
    const closings = this.match(open, logs);
    if (closings.length === 0) return [];
    const again = match(open, await readLogs(second, query));
    agree(closings, again.closings);
    return closings;
  }

  /** What logs say of open payments, complaining of nonces that were used without their transfer. */
  private match(open: readonly OpenPayment[], logs: readonly TokenLog[]): Closing[] {
    const { closings, strange } = match(open, logs);
    for (const { payment, transaction } of strange) {
      this.#log.error(
        `payment ${payment.id}: its nonce was used in ${transaction} without its transfer; it stays reserved`,
      );
    }
    return closings;
  }

  /**
   * What became of the open payments that can no longer settle: past their validBefore by the final
   * block's own time (EIP-3009 requires `block.timestamp < validBefore`). With the nonce unused at that
   * block, by two readings, they are released. With the nonce spent, a log was missed, and is looked
   * for. This is also what finds every payment that anything else forgot.
   */
  private async expired(
    client: PublicClient,
    second: PublicClient,
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
      if (rows.length === 0) break;
      const spent = await spentNonces(client, rows, upTo.number);
      const unused = rows.filter((_, place) => spent[place] === false);
      const again = unused.length > 0 ? await spentNonces(second, unused, upTo.number) : [];
      for (const [place, payment] of unused.entries()) {
        if (again[place] === true) {
          throw new ChainMismatch(
            `its RPCs contradict each other: the nonce of payment ${payment.id} is unused for one and spent for another`,
          );
        }
        if (again[place] === false) {
          closings.push(closing(payment, 'released', undefined, upTo.number));
        }
      }
      for (const [place, payment] of rows.entries()) {
        if (spent[place] !== true) continue;
        const found = await this.explain(client, second, payment, upTo.number);
        if (found) closings.push(found);
      }
      if (rows.length < EXPIRED_PER_READING) break;
      lastId = rows.at(-1)?.id ?? '';
    }
    return closings;
  }

  /**
   * Looks for how a nonce was spent: an RPC that lagged, or a restart with another configuration, can
   * have passed over its log.
   */
  private async explain(
    client: PublicClient,
    second: PublicClient,
    payment: OpenPayment,
    newest: bigint,
  ): Promise<Closing | undefined> {
    if ((this.#unexplained.get(payment.id) ?? 0) > performance.now()) return undefined;
    const found = await this.search(client, payment, newest);
    if (found) {
      const { blockNumber } = found;
      const range = { fromBlock: blockNumber, toBlock: blockNumber };
      agree([found], match([payment], await readLogs(second, queryOf(payment, range))).closings);
      this.#unexplained.delete(payment.id);
      return found;
    }
    if (!this.#unexplained.has(payment.id)) {
      this.#log.error(
        `payment ${payment.id}: its nonce is spent, but no log said how; it stays reserved`,
      );
    }
    this.#unexplained.set(payment.id, performance.now() + SEARCH_AGAIN_MS);
    return undefined;
  }

  /** Searches the logs back from a block to when the payment was made. */
  private async search(
    client: PublicClient,
    payment: OpenPayment,
    newest: bigint,
  ): Promise<Closing | undefined> {
    const madeAt = BigInt(Math.floor(payment.created_at.getTime() / 1000));
    let toBlock = newest;
    for (let query = 0; query < QUERIES_PER_SEARCH && toBlock >= 0n; query += 1) {
      const lowest = toBlock - BLOCKS_PER_STEP + 1n;
      const fromBlock = lowest < 0n ? 0n : lowest;
      const logs = await readLogs(client, queryOf(payment, { fromBlock, toBlock }));
      const [found] = this.match([payment], logs);
      if (found) return found;
      const { timestamp } = await client.getBlock({ blockNumber: fromBlock });
      if (timestamp + CLOCK_TOLERANCE_SECONDS < madeAt) return undefined;
      toBlock = fromBlock - 1n;
    }
    return undefined;
  }

  /** What the blocks above the cursor show: sightings, to be withdrawn if the chain takes them back. */
  private async watch(
    network: Network,
    { client, head }: ChainView,
    after: bigint,
  ): Promise<Watch> {
    // Of a very long tail only the newest blocks are watched: the final reading gets to the others.
    const lowest = head.number - BLOCKS_PER_STEP + 1n;
    const fromBlock = lowest > after + 1n ? lowest : after + 1n;
    const query = { fromBlock, toBlock: head.number };
    const logs = await readLogs(client, {
      ...query,
      ...logFilter(network, await this.wallets(network)),
    });
    const { closings } = match(await this.openPayments(network.network, logs), logs);
    const sightings = closings.flatMap(
      ({ end, treasuryId, paymentId, transaction, blockNumber }) =>
        end === 'settled' && transaction !== undefined
          ? [{ treasuryId, paymentId, transaction, blockNumber }]
          : [],
    );
    return { after, head, sightings };
  }

  private async openPayments(network: string, logs: readonly TokenLog[]): Promise<OpenPayment[]> {
    const nonces = logs.flatMap((log) => (log.eventName === 'Transfer' ? [] : [log.args.nonce]));
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

function logFilter(network: Network, wallets: readonly WalletRow[]) {
  return {
    assets: network.assets.map(({ address }) => address),
    wallets: [...new Set(wallets.map(({ address }) => address))],
  };
}

function queryOf(payment: OpenPayment, range: { fromBlock: bigint; toBlock: bigint }) {
  return { ...range, assets: [payment.asset], wallets: [payment.payer] };
}

/** What logs say of open payments. A payment they do not settle nor cancel stays open. */
function match(open: readonly OpenPayment[], logs: readonly TokenLog[]) {
  const closings: Closing[] = [];
  const strange: { payment: OpenPayment; transaction: string }[] = [];
  const byNonce = new Map(open.map((payment) => [payment.nonce, payment]));
  const transfers = new Map<string, TokenLog[]>();
  for (const log of logs) {
    if (log.eventName !== 'Transfer') continue;
    const others = transfers.get(log.transactionHash ?? '');
    if (others) others.push(log);
    else transfers.set(log.transactionHash ?? '', [log]);
  }
  for (const log of logs) {
    if (log.eventName === 'Transfer' || log.blockNumber === null) continue;
    const payment = byNonce.get(log.args.nonce);
    if (
      !payment ||
      !isAddressEqual(payment.payer, log.args.authorizer) ||
      !isAddressEqual(payment.asset, log.address)
    ) {
      continue;
    }
    if (log.eventName === 'AuthorizationCanceled') {
      closings.push(closing(payment, 'cancelled', log.transactionHash, log.blockNumber));
      continue;
    }
    // A used nonce alone settles nothing: the exact transfer must stand in the same transaction, and
    // one transfer stands for one payment.
    const candidates = transfers.get(log.transactionHash ?? '') ?? [];
    const place = candidates.findIndex(
      (each) =>
        each.eventName === 'Transfer' &&
        isAddressEqual(each.address, log.address) &&
        isAddressEqual(each.args.from, payment.payer) &&
        isAddressEqual(each.args.to, payment.pay_to) &&
        each.args.value === BigInt(payment.amount),
    );
    if (place < 0) {
      strange.push({ payment, transaction: log.transactionHash });
      continue;
    }
    candidates.splice(place, 1);
    closings.push(closing(payment, 'settled', log.transactionHash, log.blockNumber));
  }
  return { closings, strange };
}

/** @throws ChainMismatch unless the second reading ends the same payments in the same way. */
function agree(first: readonly Closing[], second: readonly Closing[]): void {
  const told = (each: Closing) => `${each.paymentId} ${each.end} ${each.transaction}`;
  const again = new Set(second.map(told));
  const alone = first.find((each) => !again.has(told(each)));
  if (alone) {
    throw new ChainMismatch(
      `its RPCs contradict each other: only one of two readings shows payment ${alone.paymentId} as ${alone.end}`,
    );
  }
}

async function viewOf(client: PublicClient, finality: Finality): Promise<ChainView> {
  const head = mark(await client.getBlock({ blockTag: 'latest' }));
  if (typeof finality === 'string') {
    return { client, head, final: mark(await client.getBlock({ blockTag: finality })) };
  }
  const number = head.number - BigInt(finality.blocks);
  return { client, head, final: number < 0n ? undefined : await blockAt(client, number) };
}

/**
 * The newest block that is final for both of two RPCs.
 *
 * @throws ChainMismatch when they have different blocks there.
 */
async function agreedFinal(primary: ChainView, second: ChainView): Promise<BlockMark | undefined> {
  const { final } = primary;
  if (!final || second === primary) return final;
  if (!second.final) return undefined;
  const lower = final.number <= second.final.number ? final : second.final;
  const hash = await hashAt(lower === final ? second.client : primary.client, lower.number);
  if (hash === lower.hash) return lower;
  throw new ChainMismatch(
    `its RPCs contradict each other: block ${lower.number}, final for both, is ${lower.hash} for one and ${hash ?? 'missing'} for another`,
  );
}

async function blockAt(client: PublicClient, blockNumber: bigint): Promise<BlockMark> {
  return mark(await client.getBlock({ blockNumber }));
}

async function hashAt(client: PublicClient, blockNumber: bigint): Promise<string | undefined> {
  try {
    return (await blockAt(client, blockNumber)).hash;
  } catch (error) {
    if ((error as Error).name === 'BlockNotFoundError') return undefined;
    throw error;
  }
}

function mark({ number, hash, timestamp }: Block): BlockMark {
  if (typeof number !== 'bigint' || typeof hash !== 'string' || typeof timestamp !== 'bigint') {
    throw new RpcNonsense('a block was answered without number, hash and time');
  }
  return { number, hash, time: timestamp };
}

/** Whether the nonces of payments are spent at a block; undefined where the token did not answer. */
async function spentNonces(
  client: PublicClient,
  payments: readonly OpenPayment[],
  blockNumber: bigint,
): Promise<(boolean | undefined)[]> {
  const answers = await client.multicall({
    deployless: true,
    batchSize: CALL_BATCH_BYTES,
    blockNumber,
    contracts: payments.map(({ asset, payer, nonce }) => ({
      address: asset,
      abi: TOKEN_ABI,
      functionName: 'authorizationState' as const,
      args: [payer, nonce] as const,
    })),
  });
  if (answers.every(({ status }) => status === 'failure')) throw answers[0]?.error;
  return answers.map(({ result }) => (typeof result === 'boolean' ? result : undefined));
}

async function readBalances(
  client: PublicClient,
  wallets: readonly WalletRow[],
  blockNumber: bigint,
): Promise<BalanceReading[]> {
  if (wallets.length === 0) return [];
  const answers = await client.multicall({
    deployless: true,
    allowFailure: false,
    batchSize: CALL_BATCH_BYTES,
    blockNumber,
    contracts: wallets.map(({ asset, address }) => ({
      address: asset,
      abi: TOKEN_ABI,
      functionName: 'balanceOf' as const,
      args: [address] as const,
    })),
  });
  return wallets.map((wallet, place) => {
    const balance = answers[place];
    if (typeof balance !== 'bigint') throw new RpcNonsense('a balance was not answered');
    return {
      treasuryId: wallet.treasury_id,
      walletId: wallet.wallet_id,
      asset: wallet.asset,
      balance,
    };
  });
}

function closing(
  payment: OpenPayment,
  end: Closing['end'],
  transaction: string | undefined,
  blockNumber: bigint,
): Closing {
  return { treasuryId: payment.treasury_id, paymentId: payment.id, end, transaction, blockNumber };
}
