import { Injectable, Logger } from '@nestjs/common';
import type { PublicClient } from 'viem';
import { Database } from '../database/database.js';
import type { BlockMark, Network } from '../domain/network.js';
import { databaseNow } from '../ledger/grant-rows.js';
import type { OutsideSpend } from '../ledger/outside-spends.js';
import { BLOCKS_REMEMBERED, type ChainReading, type Closing } from '../ledger/settlement.js';
import type { Sighting } from '../ledger/sightings.js';
import { Networks } from '../treasury/networks.js';
import { shortMessage } from '../treasury/rpc-client.js';
import { agree, match, matchAloud, OPEN_PAYMENT_COLUMNS, type OpenPayment } from './matching.js';
import { disputedSpend, OutsideSpends } from './outside-spends.js';
import { ReleaseReader, type Releases } from './releases.js';
import { BLOCKS_PER_QUERY, RpcNonsense, readLogs, type TokenLog } from './token-logs.js';
import { agreedBalances, type WalletRow } from './token-states.js';
import {
  agreedBlock,
  agreedFinal,
  ChainMismatch,
  type ChainView,
  hashesAt,
  secondOf,
  viewOf,
} from './views.js';

/** One step of following a network. */
export type Step =
  /** Final blocks to write; the releases at the last of them are there when no blocks are left. */
  | {
      readonly kind: 'read';
      readonly reading: ChainReading;
      /** The spends of these blocks that no payment stands for. */
      readonly outside: readonly OutsideSpend[];
      readonly releases?: Releases;
    }
  /** The chain no longer has the block read last, but has this earlier one: read again from there. */
  | { readonly kind: 'rewind'; readonly from: bigint; readonly to: BlockMark }
  /** No new final block. What the blocks above the cursor show, unless the head was looked at before. */
  | { readonly kind: 'watch'; readonly watch: Watch | undefined; readonly releases?: Releases }
  /** Not every configured RPC can be read, and why: nothing may end. What one of the others shows. */
  | { readonly kind: 'short'; readonly reason: string; readonly watch: Watch | undefined };

/** Sightings in the blocks that are not final. */
export interface Watch {
  readonly after: bigint;
  readonly head: BlockMark;
  readonly sightings: readonly Sighting[];
}

/**
 * Reads what the chain says of the treasury's wallets: once for all of them, so that the cost grows
 * with blocks and not with open payments.
 *
 * The quorum is every RPC of `rpcUrls`. What a reading writes is what all of them say of the same final
 * block: its hash and time, the logs, the nonces and the balances. A contradiction ends nothing. While
 * one of them cannot be read, the cursor stands still. With one RPC configured, what would end a payment
 * is asked of it twice.
 */
@Injectable()
export class ChainReader {
  readonly #log = new Logger('settlement');

  constructor(
    private readonly networks: Networks,
    private readonly database: Database,
    private readonly outside: OutsideSpends,
    private readonly ends: ReleaseReader,
  ) {}

  /**
   * Finds the next thing to write for a network: a bounded range of final blocks, else a look at the
   * head.
   *
   * @param onViews - hears where each RPC's chain stands, before anything is read.
   * @throws ChainMismatch; else what an RPC throws when none can be read. Nothing is lost, the next step
   *   starts at the same block.
   */
  async next(
    network: Network,
    onViews: (views: readonly ChainView[]) => Promise<void>,
  ): Promise<Step> {
    const clients = this.networks.clients(network.network);
    const { views, failures } = await this.look(network, clients);
    await onViews(views);
    const configured = network.rpcUrls.length;
    if (views.length === configured) {
      try {
        return await this.step(network, views);
      } catch (error) {
        // Nobody here knows which of two RPCs that contradict each other is right.
        if (error instanceof ChainMismatch || configured === 1) throw error;
        failures.push(error);
      }
    } else if (clients.length < configured) {
      failures.push(new Error('an RPC has not checked out'));
    }
    const answering = `${views.length} of its ${configured} RPCs answer`;
    const isFull = views.length === configured;
    const reason = `${isFull ? 'an RPC of it fails' : answering} (${shortMessage(failures[0])})`;
    const cursor = await this.cursorOf(network);
    for (const view of views) {
      try {
        const watch = cursor ? await this.watch(network, view, cursor.blockNumber) : undefined;
        return { kind: 'short', reason, watch };
      } catch (error) {
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
    const answered = looks.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [first] = answered;
    if (!first) return { views: answered, failures };
    const now = await databaseNow(this.database.pool);
    const newest = answered.reduce((a, b) => (b.head.time > a.head.time ? b : a), first);
    this.networks.clockRead(network, newest.head.time, now);
    const seconds = BigInt(Math.floor(now.getTime() / 1000));
    const skew = BigInt(network.maxClockSkewSeconds);
    const views = answered.filter(({ final }) => {
      if (final === undefined || final.time <= seconds + skew) return true;
      failures.push(
        new RpcNonsense(`a final block of ${final.time} is ahead of the database's clock`),
      );
      return false;
    });
    const fresh = views.filter(({ head }) => head.time >= seconds - skew);
    if (fresh.length === 0 || fresh.length === views.length) return { views, failures };
    failures.push(new Error("an RPC's newest block is too old by the database's clock"));
    return { views: fresh, failures };
  }

  private cursorOf({ network }: Network) {
    return this.database.prisma.chainCursor.findUnique({ where: { network } });
  }

  private async step(network: Network, views: readonly ChainView[]): Promise<Step> {
    const cursor = await this.cursorOf(network);
    const after = cursor?.blockNumber;
    if (cursor) {
      const rewind = await this.rewind(views, network.network, cursor);
      if (rewind) return { kind: 'rewind', from: cursor.blockNumber, to: rewind };
    }
    const final = await agreedFinal(views);
    if (!final || (after !== undefined && final.number <= after)) {
      const [view] = views;
      // A head that was looked at before shows nothing new, and the cursor did not move either.
      const isNew = view !== undefined && cursor !== null && cursor.headHash !== view.head.hash;
      return {
        kind: 'watch',
        watch: isNew ? await this.watch(network, view, cursor.blockNumber) : undefined,
        // Below the cursor, some RPC has not got to what was read before: its final time is not past.
        ...(final && final.number === after
          ? { releases: this.ends.releases(network, views, final) }
          : {}),
      };
    }

    const wallets = await this.wallets(network);
    const isLast = after === undefined || final.number <= after + BLOCKS_PER_QUERY;
    const upTo = isLast ? final : await agreedBlock(views, after + BLOCKS_PER_QUERY);
    const { closings, outside } =
      after === undefined
        ? { closings: [], outside: [] }
        : await this.ended(views, network, wallets, {
            fromBlock: after + 1n,
            toBlock: upTo.number,
          });
    // In the middle of a catch-up only logs are read: nodes keep old logs, but not old states.
    const balances = isLast ? await agreedBalances(views, wallets, upTo.number) : undefined;
    const reading = { network: network.network, after, upTo, closings, balances };
    return {
      kind: 'read',
      reading,
      outside,
      ...(isLast ? { releases: this.ends.releases(network, views, upTo) } : {}),
    };
  }

  /**
   * The newest block remembered that every RPC still has, when none has the one read last.
   *
   * @throws ChainMismatch when they have none of them: that is another chain, not a reorganised one.
   */
  private async rewind(
    views: readonly ChainView[],
    network: string,
    { blockNumber, blockHash }: { blockNumber: bigint; blockHash: string },
  ): Promise<BlockMark | undefined> {
    const found = await hashesAt(views, blockNumber);
    if (found.every((hash) => hash === blockHash)) return undefined;
    const other = found.find((hash) => hash !== blockHash && hash !== undefined);
    if (found.includes(blockHash)) {
      if (other === undefined) {
        throw new Error(`an RPC does not have block ${blockNumber}, which was read before`);
      }
      throw new ChainMismatch(
        `its RPCs contradict each other: block ${blockNumber}, which was read before, is ${blockHash} for one and ${other} for another`,
      );
    }
    const remembered = await this.database.prisma.chainBlock.findMany({
      where: { network, number: { lt: blockNumber } },
      orderBy: { number: 'desc' },
      take: BLOCKS_REMEMBERED,
    });
    for (const { number, hash, time } of remembered) {
      const hashes = await hashesAt(views, number);
      if (hashes.every((each) => each === hash)) return { number, hash, time };
    }
    throw new ChainMismatch(
      `its chain has ${other ? `block ${other}` : 'no block'} at ${blockNumber}, where ${blockHash} was read before, ` +
        'and none of the blocks before it; check its rpcUrls and finality in BURSAR_NETWORKS',
    );
  }

  /**
   * The payments that the final logs of a range of blocks show as settled or cancelled, and the spends that no payment
   * stands for: what every RPC shows alike.
   */
  private async ended(
    views: readonly ChainView[],
    network: Network,
    wallets: readonly WalletRow[],
    range: { fromBlock: bigint; toBlock: bigint },
  ): Promise<{ closings: Closing[]; outside: OutsideSpend[] }> {
    const query = { ...range, ...logFilter(network, wallets) };
    const logs = await Promise.all(views.map(({ client }) => readLogs(client, query)));
    const [first = [], ...others] = logs;
    const outside = await this.outside.sight(network.network, first);
    const open = await this.openPayments(network.network, logs.flat());
    if (others.length === 0 && (open.length > 0 || outside.length > 0)) {
      for (const client of secondOf(views)) others.push(await readLogs(client, query));
    }
    for (const each of others) {
      const disputed = disputedSpend(outside, await this.outside.sight(network.network, each));
      if (disputed) throw disputeOf(disputed);
    }
    if (open.length === 0) return { closings: [], outside };
    const closings = matchAloud(this.#log, open, first);
    agree([closings, ...others.map((each) => match(open, each).closings)]);
    return { closings, outside };
  }

  /** Reads the blocks above the cursor: sightings, to be withdrawn if the chain takes them back. */
  private async watch(
    network: Network,
    { client, head }: ChainView,
    after: bigint,
  ): Promise<Watch> {
    // Watch only the newest blocks of a very long tail: the final reading gets to the others.
    const lowest = head.number - BLOCKS_PER_QUERY + 1n;
    const fromBlock = lowest > after + 1n ? lowest : after + 1n;
    const query = { fromBlock, toBlock: head.number };
    const logs = await readLogs(client, {
      ...query,
      ...logFilter(network, await this.wallets(network)),
    });
    await this.outside.sight(network.network, logs);
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
      `SELECT ${OPEN_PAYMENT_COLUMNS} FROM payments p
       WHERE p.network = $1 AND p.status = 'authorized' AND p.nonce = ANY ($2::text[])`,
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

function disputeOf({ transaction }: OutsideSpend): ChainMismatch {
  return new ChainMismatch(
    `its RPCs contradict each other: only one of two readings shows the spend of ${transaction}`,
  );
}
