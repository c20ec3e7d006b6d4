import type { Logger } from 'pino';
import type { PublicClient } from 'viem';
import type { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import type { Answers } from './answers.js';
import type { Asks } from './asks.js';
import { askChain } from './chain-truth.js';
import type { FacilitatorRequest, Facilitators } from './facilitators.js';
import { forgetFreeUses } from './free-uses.js';
import type { Refunds } from './refunds.js';
import type { SaleBooks } from './sale-books.js';
import {
  claimUnknown,
  disown,
  leftSales,
  noteAlive,
  noteEnd,
  type Sale,
  unclaimedPaid,
} from './sale-rows.js';
import type { Sales } from './sales.js';

/** How often a gateway says that it lives and looks what others left, in milliseconds. */
const LOOK_MS = 1_000;
/** When an unknown charge is looked at again, in milliseconds. */
const RETRY_MS = 1_500;
/** An authorization that ends sooner is not sent again, in seconds. */
const MIN_LEFT_SECONDS = 10n;
/** Sales of one look. */
const BATCH = 50;

/** Parts that a recovery works with. */
export interface RecoveryParts {
  readonly database: Database;
  readonly treasuryId: string;
  readonly sales: Sales;
  readonly books: SaleBooks;
  readonly answers: Answers;
  readonly asks: Asks;
  readonly facilitators: Facilitators;
  /** A reader of each network by its CAIP-2 name. */
  readonly chains: ReadonlyMap<
    string,
    { readonly network: Network; readonly client: PublicClient }
  >;
  /** Undefined where no refund grant was named: credit notes wait. */
  readonly refunds: Refunds | undefined;
  /** How long a payer who was charged first may come back for the call, in seconds. */
  readonly keepSeconds: number;
  readonly logger: Logger;
}

/**
 * Ends what was begun: takes over from gateways that died, and finds out what became of charges that are unknown. Each gateway
 * runs one; a sale is one gateway's at a time.
 */
export class Recovery {
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isHealthy = true;

  constructor(private readonly parts: RecoveryParts) {}

  /** Whether the last look at the database worked. */
  get isHealthy(): boolean {
    return this.#isHealthy;
  }

  /** Says that this gateway lives, before it sells anything, and keeps looking. */
  async start(): Promise<void> {
    const { database, treasuryId, sales } = this.parts;
    await noteAlive(database.pool, treasuryId, sales.process);
    this.schedule();
  }

  /** Stops looking; what this gateway has left is taken over at once. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
    const { database, treasuryId, sales, asks } = this.parts;
    await asks.write(database.pool).catch(() => {});
    await noteEnd(database.pool, treasuryId, sales.process).catch(() => {});
  }

  private schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.look()
        .then(
          () => {
            this.#isHealthy = true;
          },
          (error: unknown) => {
            this.#isHealthy = false;
            this.parts.logger.warn(
              { room: 'gateway', err: error },
              'looking after sales failed; it is tried again',
            );
          },
        )
        .finally(() => this.schedule());
    }, LOOK_MS).unref();
  }

  /** Looks once. */
  async look(): Promise<void> {
    const { database, treasuryId, sales, books, answers, asks, refunds, keepSeconds } = this.parts;
    const { pool } = database;
    await noteAlive(pool, treasuryId, sales.process);
    await disown(pool, treasuryId, sales.process, sales.working);
    for (const sale of await leftSales(pool, treasuryId, BATCH)) await sales.takeOver(sale);
    const { process, working } = sales;
    const own = { process, working, seconds: keepSeconds };
    for (const sale of await unclaimedPaid(pool, treasuryId, own, BATCH)) {
      await books.change(
        sale,
        { call: 'none', charge: 'settled' },
        { call: 'calling', process: '' },
      );
    }
    const unknown = await claimUnknown(pool, treasuryId, sales.process, BATCH);
    await Promise.all(unknown.map((sale) => this.resolve(sale)));
    await refunds?.payDue();
    await asks.write(pool);
    await answers.forget(pool, treasuryId);
    await forgetFreeUses(pool, treasuryId);
  }

  /** Lets the chain say what became of a charge, and asks for it again while it may still happen. */
  private async resolve(sale: Sale): Promise<void> {
    const { books, answers, chains, facilitators, logger } = this.parts;
    const { call } = sale;
    const unknown = { call, charge: 'unknown' } as const;
    const chain = chains.get(sale.network);
    try {
      if (!chain) throw new Error(`${sale.network} is not configured any more`);
      const truth = await askChain(chain.client, chain.network, sale);
      if (truth.kind === 'paid') return void (await books.settled(sale, truth.transaction));
      if (truth.kind === 'never') {
        return void (await books.change(sale, unknown, {
          charge: 'refused',
          reason: truth.reason,
        }));
      }
      const left = sale.validBefore - BigInt(Math.floor(Date.now() / 1_000));
      if (left > MIN_LEFT_SECONDS && sale.sealedPayment !== null) {
        const plain = answers.open(Buffer.from(sale.sealedPayment, 'base64'), sale.id);
        // A second settlement of the same authorization is safe: the token's contract takes its nonce once.
        const outcome = await facilitators.settle(
          JSON.parse(plain.toString('utf8')) as FacilitatorRequest,
        );
        if (outcome.kind === 'settled')
          return void (await books.settled(sale, outcome.transaction));
      }
    } catch (error) {
      logger.warn({ room: 'gateway', sale: sale.id, err: error }, 'a charge is still unknown');
    }
    await books.change(sale, unknown, { nextTryMs: RETRY_MS });
  }
}
