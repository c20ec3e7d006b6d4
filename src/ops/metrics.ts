import { Injectable } from '@nestjs/common';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { formatEther } from 'viem';
import { Database } from '../database/database.js';
import { onLane } from '../database/treasury-scope.js';
import { currencyOf } from '../domain/money.js';
import { RequestTimes } from '../http/request-times.js';
import { StreamCounts } from '../http/stream-counts.js';
import { readChainStates } from '../ledger/chain-states.js';
import { Ledger } from '../ledger/ledger.js';
import { DeliveryCounts } from '../outbox/delivery-counts.js';
import { EventCounts } from '../outbox/event-counts.js';
import { Queues } from '../outbox/queues.js';
import { Shared } from '../shared.js';
import { GasFundsReader } from '../treasury/gas-funds.js';
import { Networks } from '../treasury/networks.js';
import { countUnexplained } from '../treasury/outside-spends-view.js';
import { countWalletsWithCode } from '../treasury/wallet-code-view.js';
import { Wallets } from '../treasury/wallets.js';
import { VERSION } from '../version.js';
import { WebhookGauges } from './webhook-gauges.js';

/** How old the figures may be that scrapers share, in milliseconds. */
const FRESH_MS = 3_000;

/**
 * The metrics, for Prometheus: a small set, mostly read from the database, so that every process of a service
 * tells the same. Amounts are currency units; being metrics, they are rounded to a double, and nothing reads them
 * back. Any number of scrapers share one reading every few seconds.
 */
@Injectable()
export class Metrics {
  readonly #registry = new Registry();
  readonly #gauges = {
    exposure: this.gauge('bursar_exposure', 'Signed and unsettled, currency units', [
      'treasury',
      'currency',
    ]),
    open: this.gauge('bursar_open_payments', 'Signed and unsettled payments', ['network']),
    overdue: this.gauge(
      'bursar_overdue_payments',
      'Open payments that a final block and the database, both more than 60 s past their end, have not ended',
      ['network'],
    ),
    releasable: this.gauge(
      'bursar_releases_waiting',
      'Open payments past their end by the final block read up to and by the database, not ended yet',
      ['network'],
    ),
    condition: this.gauge(
      'bursar_chain_condition',
      '1 while RPCs contradict each other (contradiction), one is missing so that nothing ends (quorum), ' +
        'or wallets cannot be looked at for code (code)',
      ['network', 'condition'],
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
    unexplained: this.gauge(
      'bursar_unexplained_spends',
      'Spends of wallets that no payment stands for; each holds its wallet until it is explained',
      ['treasury'],
    ),
    fenced: this.gauge('bursar_treasury_fenced', '1 while keys without a payment make none', [
      'treasury',
    ]),
    gas: this.gauge(
      'bursar_gas_balance',
      'What the gas account has, in coins of the network; missing while no RPC answers',
      ['network', 'account'],
    ),
    stopped: this.gauge('bursar_treasury_suspended', '1 while an admin has stopped the treasury', [
      'treasury',
    ]),
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

  readonly #payments = new Counter({
    name: 'bursar_payments_total',
    help: 'Requests for a payment that this process answered, by outcome',
    labelNames: ['outcome'],
    registers: [this.#registry],
  });
  readonly #webhooks: WebhookGauges;
  readonly #text = new Shared(() => this.read(), FRESH_MS);

  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly queues: Queues,
    private readonly networks: Networks,
    private readonly ledger: Ledger,
    private readonly gasFunds: GasFundsReader,
    times: RequestTimes,
    streams: StreamCounts,
    deliveries: DeliveryCounts,
    events: EventCounts,
  ) {
    this.#webhooks = new WebhookGauges(database, this.#registry);
    collectDefaultMetrics({ register: this.#registry });
    this.#registry.registerMetric(times.histogram);
    for (const each of [...Object.values(streams), deliveries.attempts, events.sealed])
      this.#registry.registerMetric(each);
    this.gauge('bursar_build_info', '1, with the version as a label', ['version']).set(
      { version: VERSION },
      1,
    );
  }

  /** In Prometheus's text format, version 0.0.4. */
  text(): Promise<string> {
    return this.#text.get();
  }

  private async read(): Promise<string> {
    await onLane('reads', () =>
      Promise.all([this.readDatabase(), this.readQueues(), this.readGas(), this.#webhooks.read()]),
    );
    for (const { network } of this.networks.all()) {
      this.#gauges.ready.set({ network }, this.networks.health(network).ready ? 1 : 0);
    }
    this.#payments.reset();
    for (const [outcome, count] of this.ledger.outcomes) this.#payments.inc({ outcome }, count);
    return this.#registry.metrics();
  }

  private async readGas(): Promise<void> {
    const funds = await this.gasFunds.all();
    this.#gauges.gas.reset();
    for (const { network, address, balance } of funds) {
      this.#gauges.gas.set({ network, account: address }, Number(formatEther(balance)));
    }
  }

  private gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  private async readDatabase(): Promise<void> {
    const names = this.networks.all().map(({ network }) => network);
    await Promise.all([
      this.readTreasuries(),
      this.readPayments(names),
      this.readConditions(names),
      this.readFunds(names),
      this.readCursors(),
    ]);
  }

  private async readTreasuries(): Promise<void> {
    const gauges = this.#gauges;
    const [{ rows }, spends] = await Promise.all([
      this.database.pool.query<{
        name: string;
        id: string;
        currency: string | null;
        held: string;
        stopped: boolean;
      }>(
        `SELECT t.name, t.id, g.currency, coalesce(sum(g.reserved), 0) AS held,
           EXISTS (SELECT FROM treasury_suspensions s WHERE s.treasury_id = t.id) AS stopped
         FROM treasuries t
         LEFT JOIN grants g ON g.treasury_id = t.id AND g.depth = 0 GROUP BY t.name, t.id, g.currency`,
      ),
      countUnexplained(this.database),
    ]);
    gauges.exposure.reset();
    for (const { id, name: treasury, currency, held, stopped } of rows) {
      gauges.stopped.set({ treasury }, stopped ? 1 : 0);
      gauges.insufficient.set({ treasury }, this.wallets.insufficient.get(id) ?? 0);
      if (currency !== null) gauges.exposure.set({ treasury, currency }, units(held, currency));
    }
    for (const { treasury, unexplained, isFenced } of spends) {
      gauges.unexplained.set({ treasury }, unexplained);
      gauges.fenced.set({ treasury }, isFenced ? 1 : 0);
    }
  }

  /** Open payments, and what is under way for them. */
  private async readPayments(networks: readonly string[]): Promise<void> {
    const gauges = this.#gauges;
    const { rows } = await this.database.pool.query<{
      network: string;
      open: number;
      overdue: number;
      releasable: number;
      cancelling: number;
      gas: number;
    }>(
      `SELECT n.network,
         (SELECT count(*)::int FROM payments p
          WHERE p.network = n.network AND p.status = 'authorized') AS open,
         (SELECT count(*)::int FROM payments p WHERE p.network = n.network
            AND p.status = 'authorized'
            AND p.valid_before + 60 < least(c.block_time, extract(epoch FROM now()))) AS overdue,
         (SELECT count(*)::int FROM payments p WHERE p.network = n.network
            AND p.status = 'authorized'
            AND p.valid_before < least(c.block_time, extract(epoch FROM now()))) AS releasable,
         (SELECT count(*)::int FROM cancellations k
          WHERE k.network = n.network AND NOT k.is_over) AS cancelling,
         (SELECT count(*)::int FROM gas_transactions x
          WHERE x.network = n.network AND x.status = 'open') AS gas
       FROM unnest($1::text[]) AS n (network) LEFT JOIN chain_cursors c ON c.network = n.network`,
      [networks],
    );
    for (const { network, open, overdue, releasable, cancelling, gas } of rows) {
      gauges.open.set({ network }, open);
      gauges.overdue.set({ network }, overdue);
      gauges.releasable.set({ network }, releasable);
      gauges.cancelling.set({ network }, cancelling);
      gauges.gasOpen.set({ network }, gas);
    }
  }

  private async readConditions(networks: readonly string[]): Promise<void> {
    const states = await readChainStates(this.database.pool);
    for (const network of networks) {
      for (const condition of ['contradiction', 'quorum', 'code'] as const) {
        const isSo = states.get(network)?.[condition] !== undefined;
        this.#gauges.condition.set({ network, condition }, isSo ? 1 : 0);
      }
    }
  }

  private async readFunds(networks: readonly string[]): Promise<void> {
    const [{ rows }, codes] = await Promise.all([
      this.database.pool.query<{
        treasury: string;
        address: string;
        status: string;
        network: string;
        asset: string;
        free: string;
      }>(
        `SELECT t.name AS treasury, w.address, w.status, b.network, b.asset,
           CASE WHEN b.code IS NULL AND b.held_since IS NULL THEN greatest(b.balance - b.reserved, 0) ELSE 0 END AS free
         FROM wallet_balances b
         JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
         JOIN treasuries t ON t.id = w.treasury_id WHERE w.status <> 'retired'`,
      ),
      countWalletsWithCode(this.database, networks),
    ]);
    this.#gauges.free.reset();
    this.#gauges.withCode.reset();
    for (const { treasury, address: wallet, status, network, asset, free } of rows) {
      const currency = this.networks.asset(network, asset)?.currency;
      if (currency === undefined) continue;
      const labels = { treasury, wallet, network, asset, currency, status };
      this.#gauges.free.set(labels, units(free, currency));
    }
    for (const { treasury, network, withCode } of codes) {
      this.#gauges.withCode.set({ treasury, network }, withCode);
    }
  }

  /** Places that the chains are read up to. */
  private async readCursors(): Promise<void> {
    const { rows } = await this.database.pool.query<{
      network: string;
      block: string;
      head: string | null;
      age: string;
    }>(
      `SELECT network, block_number AS block, head_number AS head,
         extract(epoch FROM now())::bigint - block_time AS age FROM chain_cursors`,
    );
    for (const { network, block, head, age } of rows) {
      this.#gauges.cursor.set({ network }, Number(block));
      if (head !== null) this.#gauges.head.set({ network }, Number(head));
      this.#gauges.age.set({ network }, Number(age));
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
