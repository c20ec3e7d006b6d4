import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ClientBase } from 'pg';
import { ApprovalLinks } from '../approval-links/approval-links.service.js';
import { EventFeed } from '../audit/event-feed.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { AddressRefused, parseGuardedUrl, requestGuarded } from '../http/guarded-request.js';
import { newId } from '../ids.js';
import { appendEvents, type EventKind } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { kindsOf } from '../ledger/kind-filter.js';
import { DeliveryCounts } from '../outbox/delivery-counts.js';
import type { JobPayload } from '../outbox/jobs.js';
import { Notifier } from '../outbox/notifier.js';
import { OnJob } from '../outbox/on-job.js';
import { Queues } from '../outbox/queues.js';
import { contextOf, formatTraceparent } from '../tracing/trace-scope.js';
import { Tracing } from '../tracing/tracing.js';
import {
  type Attempt,
  type DueDelivery,
  grantOfWebhook,
  insertDeliveries,
  type WebhookRow,
} from './webhook-rows.js';
import { WebhookSecrets } from './webhook-secrets.js';
import { bodyOf, kept, subjectOf, withoutLink } from './webhook-texts.js';

/** How often webhooks with something to send are looked for, in milliseconds. */
const SWEEP_MS = 1_000;

/** Seconds after the first try at which a delivery is tried again. After the last it is a dead letter. */
const TRIES_AT = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 86_400];

/** How long one worker has a webhook, in seconds: longer than a try takes. Extended before each. */
const LEASE_SECONDS = 30;

/** How long one job goes on with one webhook, in milliseconds. */
const TURN_MS = 15_000;

/** Deliveries that are written ahead of their tries. */
const AHEAD = 50;

/** Attempts that are kept of a delivery. */
const ATTEMPTS_KEPT = 20;

/**
 * Sends what webhooks have to send. The truth is in Postgres: a webhook's place in the log, and its deliveries. Jobs
 * only say where to look, so a lost queue costs a second. One worker has a webhook at a time, by a lease that ends by
 * itself; whoever takes over sends again what was not noted as sent.
 */
@Injectable()
export class WebhookWorker {
  readonly #log = new Logger('webhooks');

  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly notifier: Notifier,
    private readonly feed: EventFeed,
    private readonly secrets: WebhookSecrets,
    private readonly counts: DeliveryCounts,
    private readonly tracing: Tracing,
    private readonly links: ApprovalLinks,
    @Inject(CONFIG) private readonly config: Pick<Config, 'webhooks'>,
  ) {}

  @OnJob('webhooks.deliver')
  onDeliver({ webhookId }: JobPayload<'webhooks.deliver'>): Promise<void> {
    return this.deliver(webhookId);
  }

  /** Has every webhook that has something to do looked at. */
  @OnJob('webhooks.sweep', { everyMs: SWEEP_MS })
  async sweep(): Promise<void> {
    const { rows } = await this.database.pool.query<{ id: string }>(
      `SELECT w.id FROM webhooks w
       WHERE w.status = 'active' AND (w.lease_until IS NULL OR w.lease_until < now()) AND (
         EXISTS (SELECT FROM webhook_deliveries d WHERE d.treasury_id = w.treasury_id AND d.webhook_id = w.id
           AND d.status = 'pending' AND d.next_at <= now())
         OR (w.place < (SELECT max(c.size) FROM log_checkpoints c WHERE c.treasury_id = w.treasury_id)
           AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.treasury_id = w.treasury_id
             AND d.webhook_id = w.id AND d.status = 'pending' AND d.origin = 'log'))
         OR EXISTS (${ENDED_OWNER}))`,
    );
    for (const { id } of rows) {
      await this.queues.add('webhooks.deliver', { webhookId: id }, `webhook-${id}`);
    }
    await this.database.pool.query(
      `DELETE FROM webhook_deliveries WHERE status <> 'pending' AND created_at < now() - interval '30 days'`,
    );
  }

  /** Sends what a webhook has to send now, for a while. */
  async deliver(webhookId: string): Promise<void> {
    const lease = randomUUID();
    if (!(await this.take(webhookId, lease))) return;
    const deadline = performance.now() + TURN_MS;
    try {
      while (performance.now() < deadline) {
        // Read before each try: it may have been paused, changed or deleted meanwhile.
        const webhook = await this.extend(webhookId, lease);
        if (!webhook) return;
        const due = await this.nextDue(webhook);
        if (due) {
          await this.attempt(webhook, due, lease);
          continue;
        }
        if (!(await this.materialise(webhook, lease))) return;
      }
    } finally {
      await this.database.pool.query(
        'UPDATE webhooks SET lease = NULL, lease_until = NULL WHERE id = $1 AND lease = $2',
        [webhookId, lease],
      );
    }
  }

  private async take(id: string, lease: string): Promise<boolean> {
    const { rowCount } = await this.database.pool.query(
      `UPDATE webhooks SET lease = $2, lease_until = now() + make_interval(secs => $3)
       WHERE id = $1 AND (lease_until IS NULL OR lease_until < now())`,
      [id, lease, LEASE_SECONDS],
    );
    return rowCount === 1;
  }

  private async extend(id: string, lease: string): Promise<WebhookRow | undefined> {
    const { rows } = await this.database.pool.query<WebhookRow>(
      `UPDATE webhooks SET lease_until = now() + make_interval(secs => $3)
       WHERE id = $1 AND lease = $2 AND status = 'active' RETURNING *`,
      [id, lease, LEASE_SECONDS],
    );
    return rows[0];
  }

  /** The delivery to try now: what was asked for again first, then the oldest of the log, if its time has come. */
  private async nextDue({ treasury_id, id }: WebhookRow): Promise<DueDelivery | undefined> {
    const { rows } = await this.database.pool.query<DueDelivery>(
      `SELECT d.*, e.record, g.path FROM (
         (SELECT * FROM webhook_deliveries WHERE treasury_id = $1 AND webhook_id = $2 AND status = 'pending'
            AND origin <> 'log' AND next_at <= now() ORDER BY next_at, leaf_index LIMIT 1)
         UNION ALL
         (SELECT * FROM (SELECT * FROM webhook_deliveries WHERE treasury_id = $1 AND webhook_id = $2
            AND status = 'pending' AND origin = 'log' ORDER BY leaf_index LIMIT 1) head WHERE next_at <= now())) d
       LEFT JOIN events e ON e.treasury_id = d.treasury_id AND e.id = d.event_id
       LEFT JOIN grants g ON g.treasury_id = e.treasury_id AND g.id = e.grant_id LIMIT 1`,
      [treasury_id, id],
    );
    return rows[0];
  }

  /**
   * Moves the webhook's place on, and writes the deliveries of what it passes: in one transaction, so that nothing is
   * passed without one.
   *
   * @returns whether there may be more to do.
   */
  private async materialise(webhook: WebhookRow, lease: string): Promise<boolean> {
    const { treasury_id, id } = webhook;
    const [head] = await this.feed.heads([treasury_id], 'work');
    const from = Number(webhook.place);
    if (!head || from >= head.size) return this.endWithOwner(webhook, lease);
    const within = webhook.grant_id === null ? [] : [webhook.grant_id];
    const filter = { within, kinds: kindsOf(webhook.kinds) };
    const { events, next } = await this.feed.read(treasury_id, from, head.size, filter);
    const taken = events.slice(0, AHEAD);
    const last = taken.at(-1);
    const place = last && taken.length < events.length ? last.leafIndex + 1 : next;
    return this.database.transaction(async (tx) => {
      const moved = await tx.query(
        `UPDATE webhooks SET place = $3 WHERE id = $1 AND lease = $2 AND place = $4
           AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.treasury_id = webhooks.treasury_id
             AND d.webhook_id = webhooks.id AND d.status = 'pending' AND d.origin = 'log')`,
        [id, lease, place, from],
      );
      if (moved.rowCount !== 1) return false;
      const deliveries = taken.map(({ leafIndex, kind, record }) => ({
        id: newId('whd'),
        eventId: JSON.parse(record).id as string,
        leafIndex,
        kind,
      }));
      await insertDeliveries(tx, webhook, 'log', deliveries);
      return true;
    });
  }

  private async attempt(webhook: WebhookRow, due: DueDelivery, lease: string): Promise<void> {
    const at = new Date();
    const began = performance.now();
    const span = this.startSpan(webhook, due);
    const link = await this.linkFor(webhook, due);
    const outcome = await this.post(webhook, due, at, link, span).catch((error: Error) => ({
      error,
    }));
    const answered = 'status' in outcome ? outcome : undefined;
    const isDelivered = answered !== undefined && answered.status >= 200 && answered.status < 300;
    const error = 'error' in outcome ? outcome.error : undefined;
    this.counts.attempts.inc({
      outcome: isDelivered ? 'delivered' : error instanceof AddressRefused ? 'refused' : 'failed',
    });
    endSpan(span, answered?.status, isDelivered);
    const attempt: Attempt = {
      at: at.toISOString(),
      status: answered?.status ?? null,
      milliseconds: Math.round(performance.now() - began),
      error: error === undefined ? null : kept(error.message),
      answer: answered === undefined ? null : withoutLink(answered.body.toString('utf8'), link),
    };
    await this.note(webhook, due, lease, attempt, isDelivered);
  }

  /** A link by which the webhook's approver decides about what this delivery tells of, where that waits for it. */
  private async linkFor({ approver }: WebhookRow, due: DueDelivery): Promise<string | undefined> {
    const subject = approver === null ? undefined : subjectOf(due);
    if (approver === null || !subject) return undefined;
    try {
      return await this.links.make(approver, subject);
    } catch (error) {
      if (error instanceof Problem) return undefined;
      throw error;
    }
  }

  /** A try's span, in the trace of its event. */
  private startSpan({ id, url }: WebhookRow, { record, kind, event_id, tries }: DueDelivery) {
    const parent = this.tracing.isOn && record !== null ? contextOf(JSON.parse(record)) : undefined;
    if (!parent) return undefined;
    const attributes = {
      'bursar.webhook.id': id,
      'bursar.event.id': event_id ?? '',
      'bursar.event.kind': kind,
      'server.address': new URL(url).hostname,
      'http.request.resend_count': tries,
    };
    return this.tracing.start('webhook deliver', { kind: SpanKind.CLIENT, attributes }, parent);
  }

  private async post(
    webhook: WebhookRow,
    due: DueDelivery,
    at: Date,
    link: string | undefined,
    span: Span | undefined,
  ) {
    const url = parseGuardedUrl(webhook.url, this.config.webhooks.allow);
    if (typeof url === 'string') throw new AddressRefused(`the address ${url}`);
    const body = bodyOf(webhook, due, at, link);
    const isOldValid = (webhook.old_secret_until ?? at) > at;
    const sealed = [webhook.secret, isOldValid ? webhook.old_secret : null];
    const headers = this.secrets.headers(
      webhook.id,
      sealed.filter((each): each is string => each !== null),
      due.event_id ?? due.id,
      at,
      body,
    );
    return requestGuarded(url, {
      method: 'POST',
      body,
      allow: this.config.webhooks.allow,
      headers: {
        ...headers,
        ...(span && { traceparent: formatTraceparent(span.spanContext()) }),
        'content-type': 'application/json',
        'user-agent': 'Bursar',
      },
    });
  }

  /** Notes a try. A worker that has lost its lease notes nothing: whoever has it now sends again. */
  private async note(
    webhook: WebhookRow,
    due: DueDelivery,
    lease: string,
    attempt: Attempt,
    isDelivered: boolean,
  ): Promise<void> {
    const tries = due.tries + 1;
    const isDead = !isDelivered && tries >= TRIES_AT.length;
    const status = isDelivered ? 'delivered' : isDead ? 'dead' : 'pending';
    const paused = await this.database.transaction(async (tx) => {
      const { rows } = await tx.query<WebhookRow & { is_over: boolean }>(
        `UPDATE webhooks SET failing_since = CASE WHEN $3 THEN NULL ELSE coalesce(failing_since, now()) END
         WHERE id = $1 AND lease = $2
         RETURNING *, failing_since < now() - interval '3 days' AS is_over`,
        [webhook.id, lease, isDelivered],
      );
      const [held] = rows;
      if (!held) return false;
      await tx.query(
        `UPDATE webhook_deliveries SET status = $3, tries = $4, attempts = $5, first_at = coalesce(first_at, now()),
           next_at = CASE WHEN $3 = 'pending'
             THEN greatest(now() + interval '1 second', coalesce(first_at, now()) + make_interval(secs => $6)) END
         WHERE treasury_id = $1 AND id = $2`,
        [
          due.treasury_id,
          due.id,
          status,
          tries,
          JSON.stringify([...due.attempts, attempt].slice(-ATTEMPTS_KEPT)),
          TRIES_AT[tries] ?? 0,
        ],
      );
      if (!held.is_over || held.status !== 'active') return false;
      await setStatus(tx, held, 'paused', 'it failed for three days');
      return true;
    });
    if (isDead) this.#log.warn(`webhook ${webhook.id}: delivery ${due.id} is a dead letter`);
    if (paused) this.notifier.eventsWritten(webhook.treasury_id);
  }

  /** Ends a holder's webhook whose grant has ended, once everything that is sealed was sent. */
  private async endWithOwner({ id }: WebhookRow, lease: string): Promise<false> {
    const ended = await this.database.transaction(async (tx) => {
      const { rows } = await tx.query<WebhookRow>(
        `SELECT w.* FROM webhooks w WHERE w.id = $1 AND w.lease = $2 AND EXISTS (${ENDED_OWNER})
           AND NOT EXISTS (SELECT FROM unsealed_events u WHERE u.treasury_id = w.treasury_id)
           AND w.place >= (SELECT max(c.size) FROM log_checkpoints c WHERE c.treasury_id = w.treasury_id)
           AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.treasury_id = w.treasury_id
             AND d.webhook_id = w.id AND d.status = 'pending')`,
        [id, lease],
      );
      const [found] = rows;
      if (found) await setStatus(tx, found, 'ended', 'its grant has ended');
      return found;
    });
    if (ended) this.notifier.eventsWritten(ended.treasury_id);
    return false;
  }
}

/** SQL: whether the grant that owns webhook `w` has ended, by itself or by one above. */
const ENDED_OWNER = `SELECT FROM grants g JOIN grants a ON a.treasury_id = g.treasury_id AND a.id = ANY (g.path)
  WHERE g.treasury_id = w.treasury_id AND g.id = w.owner_id AND (a.status = 'revoked' OR a.expires_at <= now())`;

/** Sets the status of a webhook by the service itself, with its event. */
async function setStatus(
  tx: ClientBase,
  webhook: WebhookRow,
  status: 'paused' | 'ended',
  reason: string,
): Promise<void> {
  await tx.query('UPDATE webhooks SET status = $2, status_reason = $3 WHERE id = $1', [
    webhook.id,
    status,
    reason,
  ]);
  const kind: EventKind = `webhook.${status}`;
  const failingSince = webhook.failing_since?.toISOString() ?? null;
  await appendEvents(tx, await databaseNow(tx), [
    {
      treasuryId: webhook.treasury_id,
      kind,
      actor: 'system:webhooks',
      grantId: grantOfWebhook(webhook),
      reason,
      data: { webhookId: webhook.id, ...(status === 'paused' ? { failingSince } : {}) },
    },
  ]);
}

function endSpan(span: Span | undefined, status: number | undefined, isDelivered: boolean): void {
  if (status !== undefined) span?.setAttribute('http.response.status_code', status);
  if (!isDelivered) span?.setStatus({ code: SpanStatusCode.ERROR });
  span?.setAttribute('bursar.outcome', isDelivered ? 'delivered' : 'failed').end();
}
