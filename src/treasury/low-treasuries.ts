import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { currencyOf, parseAmount } from '../domain/money.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { Notifier } from '../outbox/notifier.js';
import { OnJob } from '../outbox/on-job.js';
import { Networks } from './networks.js';

/** How often the funds of treasuries are compared with what they spend, in milliseconds. */
const SWEEP_MS = 5_000;

/** Hours of spend that a treasury should be able to pay. */
const TRAILING_HOURS = 24;

/** Funds of a treasury in one currency on one network. Atomic units. */
interface Funds {
  readonly treasuryId: string;
  readonly network: string;
  readonly currency: string;
  /** Final balances less what is reserved, of the wallets that pay. */
  readonly free: bigint;
  /** Amount below which it is low. */
  readonly bound: bigint;
}

/**
 * Tells when a treasury's free funds fall below what it spent in a day, or below `BURSAR_TREASURY_LOW`: once, and again
 * only after they were above it. A sweep looks: payments do not wait for it, and are refused by what wallets really have.
 */
@Injectable()
export class LowTreasuries {
  readonly #log = new Logger('treasury');

  constructor(
    private readonly database: Database,
    private readonly notifier: Notifier,
    private readonly networks: Networks,
    @Inject(CONFIG) private readonly config: Pick<Config, 'treasuryLow'>,
  ) {}

  /** Compares the funds of every treasury, and tells those that are low since. */
  @OnJob('treasury.low', { everyMs: SWEEP_MS })
  async sweep(): Promise<void> {
    const all = await this.funds();
    const low = all.filter(({ free, bound }) => free < bound);
    const keys = (some: readonly Funds[]) => [
      some.map(({ treasuryId }) => treasuryId),
      some.map(({ network }) => network),
      some.map(({ currency }) => currency),
    ];
    await this.database.pool.query(
      `DELETE FROM treasury_lows WHERE (treasury_id, network, currency) NOT IN (
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`,
      keys(low),
    );
    for (const funds of low) await this.tell(funds);
  }

  /** Tells that a treasury is low, unless it was told since it was above the bound. */
  private async tell({ treasuryId, network, currency, free, bound }: Funds): Promise<void> {
    const isTold = await this.database.transaction(async (tx) => {
      const now = await databaseNow(tx);
      const { rowCount } = await tx.query(
        `INSERT INTO treasury_lows (treasury_id, network, currency, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING`,
        [treasuryId, network, currency, now],
      );
      if (rowCount !== 1) return false;
      await appendEvents(tx, now, [
        {
          treasuryId,
          kind: 'treasury.low',
          actor: 'system:treasury',
          data: { network, currency, free: free.toString(), below: bound.toString() },
        },
      ]);
      return true;
    });
    if (!isTold) return;
    this.#log.warn(`treasury ${treasuryId}: its ${currency} on ${network} is low`);
    this.notifier.eventsWritten(treasuryId);
  }

  private async funds(): Promise<Funds[]> {
    const { pool } = this.database;
    const { rows } = await pool.query<{
      treasury_id: string;
      network: string;
      asset: string;
      free: string;
    }>(
      `SELECT b.treasury_id, b.network, b.asset, sum(greatest(b.balance - b.reserved, 0))::text AS free
       FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
       WHERE w.status = 'active' AND b.code IS NULL AND b.held_since IS NULL
       GROUP BY b.treasury_id, b.network, b.asset`,
    );
    const sums = new Map<string, { key: [string, string, string]; free: bigint }>();
    for (const { treasury_id, network, asset, free } of rows) {
      const currency = this.networks.asset(network, asset)?.currency;
      if (currency === undefined) continue;
      const key: [string, string, string] = [treasury_id, network, currency];
      const sum = sums.get(key.join(' '))?.free ?? 0n;
      sums.set(key.join(' '), { key, free: sum + BigInt(free) });
    }
    const spent = this.config.treasuryLow === undefined ? await this.spentOfLate() : undefined;
    return [...sums].map(
      ([
        name,
        {
          key: [treasuryId, network, currency],
          free,
        },
      ]) => {
        const bound = spent ? (spent.get(name) ?? 0n) : this.setBound(currency);
        return { treasuryId, network, currency, free, bound };
      },
    );
  }

  private setBound(currency: string): bigint {
    return parseAmount(this.config.treasuryLow ?? '0', currencyOf(currency), 'BURSAR_TREASURY_LOW');
  }

  /**
   * Amounts of the payments made in the last day and settled, by treasury, network and currency. Whole hours come from
   * the sums of reports, the part of an hour at the beginning of the day from its payments.
   */
  private async spentOfLate(): Promise<Map<string, bigint>> {
    const { rows } = await this.database.pool.query<{ name: string; spent: string }>(
      `WITH day AS (
         SELECT since, date_trunc('hour', since, 'UTC') + interval '1 hour' AS whole
         FROM (SELECT now() - make_interval(hours => $1) AS since) n)
       SELECT concat_ws(' ', s.treasury_id, s.network, g.currency) AS name, sum(s.amount)::text AS spent
       FROM (
         -- Within the treasury, so that each reads its own parts of the indexes. A CHECK keeps \`paid\` to payments that
         -- settled.
         SELECT t.id AS treasury_id, l.* FROM treasuries t CROSS JOIN LATERAL (
           SELECT s.grant_id, s.network, sum(h.amount) AS amount
           FROM spend_hours h JOIN spend_series s ON s.treasury_id = h.treasury_id AND s.id = h.series_id
           WHERE h.treasury_id = t.id AND h.hour >= (SELECT whole FROM day) AND h.status = 'settled'
           GROUP BY s.grant_id, s.network
           UNION ALL
           SELECT p.grant_id, p.network, sum(p.paid) FROM payments p
           WHERE p.treasury_id = t.id
             AND p.created_at >= (SELECT since FROM day) AND p.created_at < (SELECT whole FROM day)
           GROUP BY p.grant_id, p.network) l) s
       JOIN grants g ON g.treasury_id = s.treasury_id AND g.id = s.grant_id GROUP BY 1`,
      [TRAILING_HOURS],
    );
    return new Map(rows.map(({ name, spent }) => [name, BigInt(spent)]));
  }
}
