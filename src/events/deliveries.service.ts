import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { checkSpan } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { newId } from '../ids.js';
import { kindsOf } from '../ledger/kind-filter.js';
import { type DeliveryRow, insertDeliveries, type WebhookRow } from './webhook-rows.js';
import type { DeliveryListQuery, DeliveryView, ReplayBody } from './webhooks.dto.js';
import { WebhooksService } from './webhooks.service.js';

/** Events that one replay sends at most. */
const MAX_REPLAY = 10_000;

/** Deliveries that may wait beside those of the log, of one webhook. */
const MAX_EXTRA = 20_000;

/** Deliveries of webhooks: what was sent, and sending it again. */
@Injectable()
export class DeliveriesService {
  constructor(
    private readonly database: Database,
    private readonly webhooks: WebhooksService,
  ) {}

  /** A page of a webhook's deliveries, the newest first. */
  async list(caller: Caller, id: string, query: DeliveryListQuery): Promise<Page<DeliveryView>> {
    const webhook = await this.webhooks.visible(caller, id);
    const { cursor, limit, status } = query;
    const conditions = new Conditions()
      .add(webhook.treasury_id, (n) => `treasury_id = ${n}`)
      .add(id, (n) => `webhook_id = ${n}`)
      .add(status, (n) => `status = ${n}`)
      .add(cursor, (n) => `id < ${n}`);
    const { rows } = await this.database.pool.query<DeliveryRow>(
      `SELECT * FROM webhook_deliveries ${conditions.where} ORDER BY id DESC LIMIT ${limit + 1}`,
      conditions.values,
    );
    return page(rows, limit, (row) => row.id, viewDelivery);
  }

  /** Sends a test, signed as every delivery is. */
  async test(caller: Caller, id: string): Promise<{ delivery: DeliveryView }> {
    const webhook = await this.requireActive(caller, id);
    const test = { id: newId('whd'), eventId: null, leafIndex: null, kind: 'webhook.test' };
    return { delivery: await this.insert(webhook, 'test', test) };
  }

  /** Sends a delivery again, with the same webhook-id. */
  async redeliver(
    caller: Caller,
    id: string,
    deliveryId: string,
  ): Promise<{ delivery: DeliveryView }> {
    const webhook = await this.requireActive(caller, id);
    const { rows } = await this.database.pool.query<DeliveryRow>(
      'SELECT * FROM webhook_deliveries WHERE treasury_id = $1 AND webhook_id = $2 AND id = $3',
      [webhook.treasury_id, id, deliveryId],
    );
    const [sent] = rows;
    if (!sent) throw new Problem('not_found', `no delivery ${deliveryId} of webhook ${id}`);
    if (sent.event_id === null) {
      throw new Problem('invalid_transition', `delivery ${deliveryId} is a test; send another one`);
    }
    const { event_id: eventId, leaf_index: leafIndex, kind } = sent;
    const again = { id: newId('whd'), eventId, leafIndex, kind };
    return { delivery: await this.insert(webhook, 'redelivery', again) };
  }

  /**
   * Sends everything again that the webhook would have got in a span of time.
   *
   * @throws Problem `invalid_request` for a span of more than 10,000 events.
   */
  async replay(
    caller: Caller,
    id: string,
    { from, to }: ReplayBody,
  ): Promise<{ deliveries: number }> {
    checkSpan(from, to);
    const webhook = await this.requireActive(caller, id);
    const kinds = kindsOf(webhook.kinds);
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<{ id: string; leaf_index: string; kind: string }>(
        `SELECT e.id, e.leaf_index, e.kind FROM log_events e
         LEFT JOIN grants g ON g.treasury_id = e.treasury_id AND g.id = e.grant_id
         WHERE e.treasury_id = $1 AND e.created_at BETWEEN $2::timestamptz AND $3::timestamptz AND e.leaf_index < $4
           AND ($5::text IS NULL OR $5 = ANY (g.path)) AND ($6::text[] IS NULL OR e.kind = ANY ($6::text[]))
         ORDER BY e.leaf_index LIMIT ${MAX_REPLAY + 1}`,
        [webhook.treasury_id, from, to, webhook.place, webhook.grant_id, kinds ? [...kinds] : null],
      );
      if (rows.length > MAX_REPLAY) {
        throw new Problem(
          'invalid_request',
          `to: these are more than ${MAX_REPLAY} events; replay them in shorter spans`,
          { field: 'to' },
        );
      }
      await this.requireRoom(webhook, rows.length);
      await insertDeliveries(
        tx,
        webhook,
        'replay',
        rows.map((row) => ({
          id: newId('whd'),
          eventId: row.id,
          leafIndex: row.leaf_index,
          kind: row.kind,
        })),
      );
      return { deliveries: rows.length };
    });
  }

  private async insert(
    webhook: WebhookRow,
    origin: 'test' | 'redelivery',
    delivery: Parameters<typeof insertDeliveries>[3][number],
  ): Promise<DeliveryView> {
    await this.requireRoom(webhook, 1);
    const rows = await this.database.transaction((tx) =>
      insertDeliveries(tx, webhook, origin, [delivery]),
    );
    return viewDelivery(rows[0] as DeliveryRow);
  }

  /** Bounds what one webhook may have waiting beside the log. */
  private async requireRoom({ treasury_id, id }: WebhookRow, more: number): Promise<void> {
    const { rows } = await this.database.pool.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM webhook_deliveries
       WHERE treasury_id = $1 AND webhook_id = $2 AND status = 'pending' AND origin <> 'log'`,
      [treasury_id, id],
    );
    if ((rows[0]?.waiting ?? 0) + more <= MAX_EXTRA) return;
    throw new Problem(
      'conflict',
      `webhook ${id} has ${MAX_EXTRA} deliveries waiting; let it catch up`,
    );
  }

  private async requireActive(caller: Caller, id: string): Promise<WebhookRow> {
    const webhook = await this.webhooks.visible(caller, id);
    if (webhook.status === 'active') return webhook;
    throw new Problem('invalid_transition', `webhook ${id} is ${webhook.status}; resume it first`);
  }
}

function viewDelivery(row: DeliveryRow): DeliveryView {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    messageId: row.event_id ?? row.id,
    eventId: row.event_id,
    kind: row.kind,
    origin: row.origin,
    status: row.status,
    tries: row.tries,
    nextTryAt: row.next_at?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
    attempts: row.attempts,
  };
}
