import { Gauge, type Registry } from 'prom-client';
import type { Database } from '../database/database.js';

/** Series by treasury and state: no label is of a caller's making. */
export class WebhookGauges {
  readonly #webhooks: Gauge;
  readonly #behind: Gauge;
  readonly #deliveries: Gauge;
  readonly #oldest: Gauge;
  readonly #asking: Gauge;

  constructor(
    private readonly database: Database,
    registry: Registry,
  ) {
    const gauge = (name: string, help: string, label: string) =>
      new Gauge({ name, help, labelNames: ['treasury', label], registers: [registry] });
    this.#webhooks = gauge('bursar_webhooks', 'Webhooks that have not ended', 'status');
    this.#behind = gauge(
      'bursar_webhook_events_behind',
      'Sealed events that the webhook furthest behind has not passed yet',
      'status',
    );
    this.#deliveries = gauge(
      'bursar_webhook_deliveries',
      'Deliveries that are not delivered: waiting for their first try, retrying, paused with their webhook, or dead',
      'state',
    );
    this.#oldest = gauge(
      'bursar_webhook_oldest_seconds',
      'How old the oldest event is that is not delivered, by the state of its delivery',
      'state',
    );
    this.#asking = gauge(
      'bursar_waiting_decisions',
      'Payments and raises that wait for an approval',
      'what',
    );
  }

  /** Reads everything anew. */
  async read(): Promise<void> {
    const { pool } = this.database;
    const [webhooks, deliveries, asking] = await Promise.all([
      pool.query<{ treasury: string; status: string; webhooks: number; behind: string }>(
        `SELECT t.name AS treasury, w.status, count(*)::int AS webhooks,
           max(coalesce((SELECT max(c.size) FROM log_checkpoints c WHERE c.treasury_id = t.id), 0) - w.place)::text AS behind
         FROM webhooks w JOIN treasuries t ON t.id = w.treasury_id WHERE w.status <> 'ended' GROUP BY t.id, w.status`,
      ),
      // Each half reads its own partial index.
      pool.query<{ treasury: string; state: string; deliveries: number; oldest: number }>(
        `SELECT t.name AS treasury, d.state, count(*)::int AS deliveries,
           extract(epoch FROM now() - min(coalesce(e.created_at, d.created_at)))::float AS oldest
         FROM (
           SELECT p.treasury_id, p.event_id, p.created_at, CASE WHEN w.status = 'paused' THEN 'paused'
             WHEN p.tries > 0 THEN 'retrying' ELSE 'waiting' END AS state
           FROM webhook_deliveries p JOIN webhooks w ON w.treasury_id = p.treasury_id AND w.id = p.webhook_id
           WHERE p.status = 'pending'
           UNION ALL
           SELECT treasury_id, event_id, created_at, 'dead' FROM webhook_deliveries WHERE status = 'dead') d
         JOIN treasuries t ON t.id = d.treasury_id
         LEFT JOIN events e ON e.treasury_id = d.treasury_id AND e.id = d.event_id
         GROUP BY t.id, d.state`,
      ),
      pool.query<{ treasury: string; payments: number; raises: number }>(
        `SELECT t.name AS treasury, u.waiting AS payments, (SELECT count(*)::int FROM grant_requests r
           WHERE r.treasury_id = t.id AND r.status = 'pending') AS raises
         FROM treasuries t JOIN treasury_usage u ON u.treasury_id = t.id`,
      ),
    ]);
    for (const each of [this.#webhooks, this.#behind, this.#deliveries, this.#oldest]) each.reset();
    for (const { treasury, status, webhooks: count, behind } of webhooks.rows) {
      this.#webhooks.set({ treasury, status }, count);
      this.#behind.set({ treasury, status }, Number(behind));
    }
    for (const { treasury, state, deliveries: count, oldest } of deliveries.rows) {
      this.#deliveries.set({ treasury, state }, count);
      this.#oldest.set({ treasury, state }, oldest);
    }
    for (const { treasury, payments, raises } of asking.rows) {
      this.#asking.set({ treasury, what: 'payment' }, payments);
      this.#asking.set({ treasury, what: 'raise' }, raises);
    }
  }
}
