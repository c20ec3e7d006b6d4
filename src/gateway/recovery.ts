import type { Logger } from 'pino';
import type { PublicClient } from 'viem';
import type { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import type { Answers } from './answers.js';
import { askChain } from './chain-truth.js';
import type { FacilitatorRequest, Facilitators } from './facilitators.js';
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
const TICK_MS = 1_000;
/** When an unknown charge is looked at again, in milliseconds. */
const RETRY_MS = 1_500;
/** An authorization that ends sooner is not sent again, in seconds. */
const MIN_LEFT_SECONDS = 10n;
/** Sales of one look. */
const BATCH = 50;

/**
 * Ends what was begun: takes over from gateways that died, and finds out what became of charges that are unknown. Each gateway
 * runs one; a sale is one gateway's at a time.
 */
export class Recovery {
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isHealthy = true;

  constructor(
    private readonly database: Database,
    private readonly treasuryId: string,
    private readonly sales: Sales,
    private readonly books: SaleBooks,
    private readonly answers: Answers,
    private readonly facilitators: Facilitators,
    private readonly chains: ReadonlyMap<
      string,
      { readonly network: Network; readonly client: PublicClient }
    >,
    private readonly logger: Logger,
    /** How long a payer who was charged first may come back for the call, in seconds. */
    private readonly keepSeconds: number,
    /** Undefined where no refund grant was named: credit notes wait. */
    private readonly refunds: Refunds | undefined,
  ) {}

  /** Whether the last look at the database worked. */
  get isHealthy(): boolean {
    return this.#isHealthy;
  }

  /** Says that this gateway lives, before it sells anything, and keeps looking. */
  async start(): Promise<void> {
    await noteAlive(this.database.pool, this.treasuryId, this.sales.process);
    this.schedule();
  }

  /** Stops looking; what this gateway has left is taken over at once. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#ticking;
    await noteEnd(this.database.pool, this.treasuryId, this.sales.process).catch(() => {});
  }

  private schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#ticking = this.tick()
        .then(
          () => {
            this.#isHealthy = true;
          },
          (error: unknown) => {
            this.#isHealthy = false;
            this.logger.warn(
              { room: 'gateway', err: error },
              'looking after sales failed; it is tried again',
            );
          },
        )
        .finally(() => this.schedule());
    }, TICK_MS).unref();
  }

  private async tick(): Promise<void> {
    const { pool } = this.database;
    await noteAlive(pool, this.treasuryId, this.sales.process);
    await disown(pool, this.treasuryId, this.sales.process, [...this.sales.working]);
    for (const sale of await leftSales(pool, this.treasuryId, BATCH))
      await this.sales.takeOver(sale);
    for (const sale of await unclaimedPaid(pool, this.treasuryId, this.keepSeconds, BATCH)) {
      await this.books.change(
        sale,
        { call: 'none', charge: 'settled' },
        { call: 'calling', process: '' },
      );
    }
    const unknown = await claimUnknown(pool, this.treasuryId, this.sales.process, BATCH);
    await Promise.all(unknown.map((sale) => this.resolve(sale)));
    await this.refunds?.payDue();
    await this.answers.forget(pool, this.treasuryId);
  }

  /** Lets the chain say what became of a charge, and asks for it again while it may still happen. */
  private async resolve(sale: Sale): Promise<void> {
    const { call } = sale;
    const unknown = { call, charge: 'unknown' } as const;
    const chain = this.chains.get(sale.network);
    try {
      if (!chain) throw new Error(`${sale.network} is not configured any more`);
      const truth = await askChain(chain.client, chain.network, sale);
      if (truth.kind === 'paid') return void (await this.books.settled(sale, truth.transaction));
      if (truth.kind === 'never') {
        return void (await this.books.change(sale, unknown, {
          charge: 'refused',
          reason: truth.reason,
        }));
      }
      const left = sale.validBefore - BigInt(Math.floor(Date.now() / 1_000));
      if (left > MIN_LEFT_SECONDS && sale.sealedPayment !== null) {
        const plain = this.answers.open(Buffer.from(sale.sealedPayment, 'base64'), sale.id);
        // A second settlement of the same authorization is safe: the token's contract takes its nonce once.
        const outcome = await this.facilitators.settle(
          JSON.parse(plain.toString('utf8')) as FacilitatorRequest,
        );
        if (outcome.kind === 'settled')
          return void (await this.books.settled(sale, outcome.transaction));
      }
    } catch (error) {
      this.logger.warn({ room: 'gateway', sale: sale.id, err: error }, 'a charge is still unknown');
    }
    await this.books.change(sale, unknown, { nextTryMs: RETRY_MS });
  }
}
