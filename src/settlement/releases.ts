import { Injectable, Logger } from '@nestjs/common';
import type { PublicClient } from 'viem';
import { Database } from '../database/database.js';
import type { BlockMark, Network } from '../domain/network.js';
import type { Closing } from '../ledger/settlement.js';
import {
  agree,
  closing,
  match,
  matchAloud,
  OPEN_PAYMENT_COLUMNS,
  type OpenPayment,
} from './matching.js';
import { BLOCKS_PER_QUERY, readLogs } from './token-logs.js';
import { spentNonces } from './token-states.js';
import { ChainMismatch, type ChainView, secondOf } from './views.js';

/** How many payments past their end are looked up at once, so that each root has its share of them. */
const DUE_AT_ONCE = 5_000;

/** How many payments past their end are ended in one transaction. */
const RELEASES_PER_PAGE = 1_000;

/** How many log queries looking for one spent nonce may take, back from the newest final block. */
const QUERIES_PER_SEARCH = 100;

/** How long a nonce that is spent without a log is left alone before it is searched again, in ms. */
const SEARCH_AGAIN_MS = 60_000;

/** How much the database's clock and the chain's may differ, in seconds, when searching by time. */
const CLOCK_TOLERANCE_SECONDS = 600n;

/** The payments that end because their time is over, at one final block. */
export interface Releases {
  readonly at: BlockMark;
  /** Lazy, a page at a time: each is to be written before the next is asked for. */
  readonly pages: AsyncIterable<readonly Closing[]>;
}

/** Finds what became of the payments whose time is over. */
@Injectable()
export class ReleaseReader {
  readonly #log = new Logger('settlement');
  /** Payments whose nonce is spent without a log, and when to search for it again (process time). */
  readonly #unexplained = new Map<string, number>();

  constructor(private readonly database: Database) {}

  /**
   * The open payments that can no longer settle, and what became of them. They are past their validBefore
   * by the final block's own time (EIP-3009 requires `block.timestamp < validBefore`) and by the
   * database's clock. With the nonce unused at that block they are released. With the nonce spent, a log
   * was missed, and is looked for. This is also what finds every payment that anything else forgot.
   */
  releases(network: Network, views: readonly ChainView[], at: BlockMark): Releases {
    return { at, pages: this.pagesOfDue(network, views, at) };
  }

  private async *pagesOfDue(
    { network }: Network,
    views: readonly ChainView[],
    at: BlockMark,
  ): AsyncGenerator<readonly Closing[]> {
    const leftOpen: string[] = [];
    while (true) {
      const due = await this.due(network, at, leftOpen);
      if (due.length === 0) return;
      for (let start = 0; start < due.length; start += RELEASES_PER_PAGE) {
        const page = due.slice(start, start + RELEASES_PER_PAGE);
        const closings = await this.expired(views, page, at.number);
        const ended = new Set(closings.map(({ paymentId }) => paymentId));
        leftOpen.push(...page.flatMap(({ id }) => (ended.has(id) ? [] : [id])));
        if (closings.length > 0) yield closings;
      }
    }
  }

  /** Payments past their end, the roots in turns: one that has very many waits for its own. */
  private async due(network: string, at: BlockMark, except: string[]): Promise<OpenPayment[]> {
    const { rows } = await this.database.pool.query<OpenPayment>(
      `SELECT * FROM (
         SELECT ${OPEN_PAYMENT_COLUMNS},
           row_number() OVER (PARTITION BY g.treasury_id, g.root_id ORDER BY p.valid_before, p.id) AS turn
         FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
         WHERE p.network = $1 AND p.status = 'authorized'
           AND p.valid_before < least($2, floor(extract(epoch FROM now()))::bigint)
           AND NOT p.id = ANY ($3::text[])) due
       ORDER BY turn, id LIMIT ${DUE_AT_ONCE}`,
      [network, at.time.toString(), except],
    );
    return rows;
  }

  private async expired(
    views: readonly ChainView[],
    due: readonly OpenPayment[],
    blockNumber: bigint,
  ): Promise<Closing[]> {
    const clients = [...views.map(({ client }) => client), ...secondOf(views)];
    const states = await Promise.all(
      clients.map((client) => spentNonces(client, due, blockNumber)),
    );
    const closings: Closing[] = [];
    for (const [place, payment] of due.entries()) {
      const told = states.map((spent) => spent[place]);
      if (told.includes(true) && told.includes(false)) {
        throw new ChainMismatch(
          `its RPCs contradict each other: the nonce of payment ${payment.id} is unused for one and spent for another`,
        );
      }
      // A token that does not answer says nothing.
      if (told.includes(undefined)) continue;
      if (told.includes(true)) {
        const found = await this.explain(views, payment, blockNumber);
        if (found) closings.push(found);
      } else {
        closings.push(
          closing(payment, { end: 'released', paid: 0n, transaction: undefined, blockNumber }),
        );
      }
    }
    return closings;
  }

  /**
   * Looks for how a nonce was spent: an RPC that lagged, or a restart with another configuration, can
   * have passed over its log.
   */
  private async explain(
    views: readonly ChainView[],
    payment: OpenPayment,
    newest: bigint,
  ): Promise<Closing | undefined> {
    if ((this.#unexplained.get(payment.id) ?? 0) > performance.now()) return undefined;
    const [client, ...others] = [...views.map((view) => view.client), ...secondOf(views)];
    const found = client && (await this.search(client, payment, newest));
    if (found) {
      const { blockNumber } = found;
      const query = queryOf(payment, { fromBlock: blockNumber, toBlock: blockNumber });
      const again = await Promise.all(others.map((other) => readLogs(other, query)));
      agree([[found], ...again.map((logs) => match([payment], logs).closings)]);
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
      const lowest = toBlock - BLOCKS_PER_QUERY + 1n;
      const fromBlock = lowest < 0n ? 0n : lowest;
      const logs = await readLogs(client, queryOf(payment, { fromBlock, toBlock }));
      const [found] = matchAloud(this.#log, [payment], logs);
      if (found) return found;
      const { timestamp } = await client.getBlock({ blockNumber: fromBlock });
      if (timestamp + CLOCK_TOLERANCE_SECONDS < madeAt) return undefined;
      toBlock = fromBlock - 1n;
    }
    return undefined;
  }
}

function queryOf(payment: OpenPayment, range: { fromBlock: bigint; toBlock: bigint }) {
  return { ...range, assets: [payment.asset], wallets: [payment.payer] };
}
