import { Controller, Get, Header } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { Public } from '../access/allow.js';
import { Database } from '../database/database.js';
import { seeTreasuries } from '../database/treasury-scope.js';
import { currencyOf } from '../domain/money.js';
import { Queues } from '../outbox/queues.js';
import { Networks } from '../treasury/networks.js';
import { countWalletsWithCode } from '../treasury/wallet-code-view.js';
import { Wallets } from '../treasury/wallets.js';

/** Prometheus's text format, version 0.0.4. */
const MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * `/metrics`, for Prometheus: a small set, read from the database when it is asked, so that every
 * process of a service tells the same. Amounts are currency units; being metrics, they are rounded to
 * a double, and nothing reads them back.
 */
@ApiExcludeController()
@Controller('metrics')
export class MetricsController {
  readonly #registry = new Registry();
  readonly #gauges = {
    exposure: this.gauge('bursar_exposure', 'Signed and unsettled, currency units', [
      'treasury',
      'currency',
    ]),
    open: this.gauge('bursar_open_payments', 'Signed and unsettled payments', ['network']),
    overdue: this.gauge(
      'bursar_overdue_payments',
      'Open payments that a final block more than 60 s past their end has not ended',
      ['network'],
    ),
    free: this.gauge('bursar_wallet_free', 'What a payment could still reserve, currency units', [
      'treasury',
      'wallet',
      'network',
      'asset',
      'currency',
      'status',
    ]),
    withCode: this.gauge(
      'bursar_wallets_with_code',
      'Wallets that make no payment on a network because they have code there',
      ['treasury', 'network'],
    ),
    insufficient: this.gauge(
      'bursar_treasury_insufficient_total',
      'Payments this process refused because the treasury had too little free',
      ['treasury'],
    ),
    cancelling: this.gauge('bursar_open_cancellations', 'Cancellations that are not over', [
      'network',
    ]),
    gasOpen: this.gauge('bursar_gas_transactions_open', 'Nonces of the gas account not final', [
      'network',
    ]),
    ready: this.gauge('bursar_network_ready', '1 when payments can be made', ['network']),
    cursor: this.gauge('bursar_chain_read_block', 'The final block read up to', ['network']),
    head: this.gauge('bursar_chain_head_block', 'The newest block seen', ['network']),
    age: this.gauge('bursar_chain_read_age_seconds', 'How old the final block read up to is', [
      'network',
    ]),
    jobs: this.gauge('bursar_queue_jobs', 'Jobs of the queues', ['queue', 'state']),
    silence: this.gauge(
      'bursar_worker_silence_seconds',
      'How long the worker of this process has neither taken nor ended a job',
      ['queue'],
    ),
    jobsFailed: this.gauge(
      'bursar_jobs_failed_total',
      'Tries of jobs that failed in this process',
      ['job'],
    ),
  };

  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly queues: Queues,
    private readonly networks: Networks,
  ) {
    collectDefaultMetrics({ register: this.#registry });
  }

  @Get()
  @Public()
  @Header('content-type', MEDIA_TYPE)
  async metrics(): Promise<string> {
    // Whoever may reach this sees sums of all treasuries, and of no grant or payment.
    seeTreasuries('all');
    await Promise.all([this.readDatabase(), this.readQueues()]);
    for (const { network } of this.networks.all()) {
      this.#gauges.ready.set({ network }, this.networks.health(network).ready ? 1 : 0);
    }
    return this.#registry.metrics();
  }

  private gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  private async readDatabase(): Promise<void> {
    const { pool } = this.database;
    const names = this.networks.all().map(({ network }) => network);
    const [treasuries, open, funds, chains, codes] = await Promise.all([
      pool.query<{ name: string; id: string; currency: string | null; held: string }>(
        `SELECT t.name, t.id, g.currency, coalesce(sum(g.reserved), 0) AS held FROM treasuries t
         LEFT JOIN grants g ON g.treasury_id = t.id AND g.depth = 0 GROUP BY t.name, t.id, g.currency`,
      ),
      pool.query<{
        network: string;
        open: number;
        overdue: number;
        cancelling: number;
        gas: number;
      }>(
        `SELECT n.network,
           (SELECT count(*)::int FROM payments p
            WHERE p.network = n.network AND p.status = 'authorized') AS open,
           (SELECT count(*)::int FROM payments p WHERE p.network = n.network
              AND p.status = 'authorized' AND p.valid_before + 60 < c.block_time) AS overdue,
           (SELECT count(*)::int FROM cancellations k
            WHERE k.network = n.network AND NOT k.is_over) AS cancelling,
           (SELECT count(*)::int FROM gas_transactions x
            WHERE x.network = n.network AND x.status = 'open') AS gas
         FROM unnest($1::text[]) AS n (network) LEFT JOIN chain_cursors c ON c.network = n.network`,
        [names],
      ),
      pool.query<{
        treasury: string;
        address: string;
        status: string;
        network: string;
        asset: string;
        free: string;
      }>(
        `SELECT t.name AS treasury, w.address, w.status, b.network, b.asset,
           CASE WHEN b.code IS NULL THEN greatest(b.balance - b.reserved, 0) ELSE 0 END AS free
         FROM wallet_balances b
         JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
         JOIN treasuries t ON t.id = w.treasury_id WHERE w.status <> 'retired'`,
      ),
      pool.query<{ network: string; block: string; head: string | null; age: string }>(
        `SELECT network, block_number AS block, head_number AS head,
           extract(epoch FROM now())::bigint - block_time AS age FROM chain_cursors`,
      ),
      countWalletsWithCode(this.database, names),
    ]);
    const gauges = this.#gauges;
    gauges.free.reset();
    gauges.exposure.reset();
    gauges.withCode.reset();
    const treasuryNames = new Map<string, string>();
    for (const { id, name, currency, held } of treasuries.rows) {
      treasuryNames.set(id, name);
      if (currency !== null) {
        gauges.exposure.set({ treasury: name, currency }, units(held, currency));
      }
    }
    for (const { network, open: count, overdue, cancelling, gas } of open.rows) {
      gauges.open.set({ network }, count);
      gauges.overdue.set({ network }, overdue);
      gauges.cancelling.set({ network }, cancelling);
      gauges.gasOpen.set({ network }, gas);
    }
    for (const { treasury, address: wallet, status, network, asset, free } of funds.rows) {
      const currency = this.networks.asset(network, asset)?.currency;
      if (currency === undefined) continue;
      const labels = { treasury, wallet, network, asset, currency, status };
      gauges.free.set(labels, units(free, currency));
    }
    for (const { treasury, network, withCode } of codes) {
      gauges.withCode.set({ treasury, network }, withCode);
    }
    for (const { network, block, head, age } of chains.rows) {
      gauges.cursor.set({ network }, Number(block));
      if (head !== null) gauges.head.set({ network }, Number(head));
      gauges.age.set({ network }, Number(age));
    }
    for (const [id, name] of treasuryNames) {
      gauges.insufficient.set({ treasury: name }, this.wallets.insufficient.get(id) ?? 0);
    }
  }

  /** Queues that do not answer have no numbers; the others are told all the same. */
  private async readQueues(): Promise<void> {
    this.#gauges.jobs.reset();
    this.#gauges.silence.reset();
    for (const { queue, seconds } of this.queues.silences()) {
      this.#gauges.silence.set({ queue }, seconds);
    }
    for (const [job, failed] of this.queues.failures) this.#gauges.jobsFailed.set({ job }, failed);
    const counts = await this.queues.counts().catch(() => ({}));
    for (const [queue, states] of Object.entries(counts)) {
      for (const [state, jobs] of Object.entries(states))
        this.#gauges.jobs.set({ queue, state }, jobs);
    }
  }
}

function units(atomic: string, currency: string): number {
  return Number(atomic) / 10 ** currencyOf(currency).decimals;
}
