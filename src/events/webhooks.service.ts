import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { type Caller, treasuriesOf } from '../access/caller.js';
import { grantOfFilter } from '../access/grant-filter.js';
import { EventFeed } from '../audit/event-feed.js';
import { CONFIG, type Config } from '../config/config.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { parseGuardedUrl } from '../http/guarded-request.js';
import { type Page, page } from '../http/paging.js';
import { newId } from '../ids.js';
import { appendEvents, type EventKind } from '../ledger/events.js';
import { addSubtree, databaseNow, type GrantRecord, lockChain } from '../ledger/grant-rows.js';
import { chargeCreation } from '../ledger/meters.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { Wallets } from '../treasury/wallets.js';
import { findWebhook, grantOfWebhook, type WebhookRow } from './webhook-rows.js';
import { WebhookSecrets } from './webhook-secrets.js';
import type { WebhookBody, WebhookChange, WebhookListQuery, WebhookView } from './webhooks.dto.js';

/** How long the secret before a rotation signs too, in hours. */
const OVERLAP_HOURS = 24;

/** The caller that changes a webhook, and its request. */
interface Act {
  readonly caller: Caller;
  readonly requestId: string;
}

/** Registers, changes and ends webhooks. */
@Injectable()
export class WebhooksService {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly feed: EventFeed,
    private readonly secrets: WebhookSecrets,
    private readonly notifier: Notifier,
    @Inject(CONFIG) private readonly config: Pick<Config, 'bounds' | 'publicUrl' | 'webhooks'>,
  ) {}

  /**
   * Registers a webhook. It gets what happens from now on.
   *
   * @throws Problem `invalid_request` for an address that may not be reached, `conflict` past a bound,
   *   `invalid_transition` for a holder whose grant has ended.
   */
  async register(
    { caller, requestId }: Act,
    { url, kinds, grantId, treasuryId, description, approvalLinks = false }: WebhookBody,
  ): Promise<{ webhook: WebhookView; secret: string }> {
    this.checkUrl(url);
    if (approvalLinks) this.requirePublicUrl();
    const { pool } = this.database;
    const owner = caller.kind === 'holder' ? caller.grantId : undefined;
    const top = grantId ?? owner;
    const scope = top === undefined ? undefined : await grantOfFilter(pool, caller, top, 'grantId');
    const treasury = await this.wallets.treasuryFor(caller, treasuryId ?? scope?.treasuryId);
    if (scope && scope.treasuryId !== treasury) {
      throw new Problem('invalid_request', `grantId: grant ${top} is of another treasury`, {
        field: 'grantId',
      });
    }
    const id = newId('whk');
    const { secret, sealed } = this.secrets.make(id);
    const [head] = await this.feed.heads([treasury]);
    const row = await this.database.transaction(async (tx) => {
      const chain = owner === undefined ? [] : await lockChain(tx, treasury, owner);
      refuseReplaced(caller, chain);
      const now = await databaseNow(tx);
      requireAlive(chain, now);
      await this.charge(tx, now, caller, treasury, chain);
      const rootId = chain[0]?.id ?? null;
      await this.checkBounds(tx, treasury, rootId);
      const { rows } = await tx.query<WebhookRow>(
        `INSERT INTO webhooks (treasury_id, id, owner_id, root_id, grant_id, url, kinds, description, secret, place,
           created_at, created_by, approver)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING *`,
        [
          treasury,
          id,
          owner ?? null,
          rootId,
          scope?.id ?? null,
          url,
          kinds,
          description ?? null,
          sealed,
          head?.size ?? 0,
          now,
          caller.actor,
          approvalLinks ? JSON.stringify(caller) : null,
        ],
      );
      const made = rows[0] as WebhookRow;
      await tell(tx, now, made, 'webhook.created', { caller, requestId }, termsOf(made));
      return made;
    });
    this.notifier.eventsWritten(treasury);
    return { webhook: viewWebhook(row), secret };
  }

  /** A page of the webhooks that a caller may see: an admin its treasuries', a holder those of its own tree. */
  async list(caller: Caller, query: WebhookListQuery): Promise<Page<WebhookView>> {
    const { cursor, limit, status } = query;
    const { pool } = this.database;
    const conditions = new Conditions();
    if (caller.kind === 'holder') {
      addSubtree(conditions, await grantOfFilter(pool, caller, caller.grantId, 'grantId'));
    } else {
      conditions.add(treasuriesOf(caller), (n) => `w.treasury_id = ANY (${n}::text[])`);
    }
    conditions.add(status, (n) => `w.status = ${n}`).add(cursor, (n) => `w.id < ${n}`);
    const { rows } = await pool.query<WebhookRow>(
      `SELECT w.* FROM webhooks w
       LEFT JOIN grants g ON g.treasury_id = w.treasury_id AND g.id = w.owner_id
       ${conditions.where} ORDER BY w.id DESC LIMIT ${limit + 1}`,
      conditions.values,
    );
    return page(rows, limit, ({ id }) => id, viewWebhook);
  }

  /**
   * Changes the address, the kinds or the description. A new address gets no approval links: who had them sent knew
   * another one.
   */
  change(act: Act, id: string, change: WebhookChange) {
    if (change.url !== undefined) this.checkUrl(change.url);
    return this.edit(act, id, async (tx, now, webhook) => {
      const { rows } = await tx.query<WebhookRow>(
        `UPDATE webhooks SET url = $3, kinds = $4, description = $5,
           approver = CASE WHEN url = $3 THEN approver END
         WHERE treasury_id = $1 AND id = $2 RETURNING *`,
        [
          webhook.treasury_id,
          id,
          change.url ?? webhook.url,
          change.kinds ?? webhook.kinds,
          change.description === undefined ? webhook.description : change.description,
        ],
      );
      const changed = rows[0] as WebhookRow;
      await tell(tx, now, changed, 'webhook.changed', act, termsOf(changed));
      return { webhook: viewWebhook(changed) };
    });
  }

  /** Gives it a new secret. The one before signs too for a day. */
  rotate(act: Act, id: string) {
    const { secret, sealed } = this.secrets.make(id);
    return this.edit(act, id, async (tx, now, webhook) => {
      const until = new Date(now.getTime() + OVERLAP_HOURS * 3_600_000);
      const { rows } = await tx.query<WebhookRow>(
        `UPDATE webhooks SET secret = $3, old_secret = secret, old_secret_until = $4
         WHERE treasury_id = $1 AND id = $2 RETURNING *`,
        [webhook.treasury_id, id, sealed, until],
      );
      const oldValidUntil = until.toISOString();
      await tell(tx, now, webhook, 'webhook.secret_rotated', act, { oldValidUntil });
      return { webhook: viewWebhook(rows[0] as WebhookRow), secret, oldValidUntil };
    });
  }

  /** Stops sending. The place in the log is kept. @throws Problem `invalid_transition` unless it is active. */
  pause(act: Act, id: string, reason: string | undefined) {
    return this.setStatus(act, id, ['active', 'paused'], reason);
  }

  /** Goes on with the event at which it stopped. @throws Problem `invalid_transition` unless it is paused. */
  resume(act: Act, id: string, reason: string | undefined) {
    return this.setStatus(act, id, ['paused', 'active'], reason);
  }

  /** Deletes a webhook with its deliveries. */
  async remove(act: Act, id: string): Promise<{ webhook: WebhookView }> {
    return this.edit(act, id, async (tx, now, webhook) => {
      await tell(tx, now, webhook, 'webhook.deleted', act, {});
      await tx.query('DELETE FROM webhooks WHERE treasury_id = $1 AND id = $2', [
        webhook.treasury_id,
        id,
      ]);
      return { webhook: viewWebhook(webhook) };
    });
  }

  /** One webhook. @throws Problem `not_found` */
  async get(caller: Caller, id: string): Promise<{ webhook: WebhookView }> {
    return { webhook: viewWebhook(await this.visible(caller, id)) };
  }

  /** A webhook that a caller may see. @throws Problem `not_found` */
  async visible(caller: Caller, id: string): Promise<WebhookRow> {
    const webhook = await findWebhook(this.database.pool, id);
    if (!webhook) throw notFound(id);
    if (caller.kind === 'admin') {
      if (treasuriesOf(caller)?.includes(webhook.treasury_id) ?? true) return webhook;
      throw notFound(id);
    }
    // A holder sees what it and those below registered. An admin's webhook is none of its business.
    if (webhook.owner_id === null) throw notFound(id);
    await grantOfFilter(this.database.pool, caller, webhook.owner_id, 'id').catch(() => {
      throw notFound(id);
    });
    return webhook;
  }

  /** Changes a webhook that the caller may see, under its lock. */
  async edit<T>(
    act: Act,
    id: string,
    work: (tx: ClientBase, now: Date, webhook: WebhookRow) => Promise<T>,
  ): Promise<T> {
    const { treasury_id, owner_id } = await this.visible(act.caller, id);
    const result = await this.database.transaction(async (tx) => {
      const { caller } = act;
      const chain =
        caller.kind === 'holder' && owner_id !== null
          ? await lockChain(tx, treasury_id, owner_id)
          : [];
      refuseReplaced(caller, chain);
      const now = await databaseNow(tx);
      await this.charge(tx, now, caller, treasury_id, chain);
      const webhook = await findWebhook(tx, id, true);
      if (!webhook) throw notFound(id);
      return work(tx, now, webhook);
    });
    this.notifier.eventsWritten(treasury_id);
    return result;
  }

  private setStatus(
    act: Act,
    id: string,
    [from, to]: readonly ['active', 'paused'] | readonly ['paused', 'active'],
    reason: string | undefined,
  ) {
    return this.edit(act, id, async (tx, now, webhook) => {
      if (webhook.status !== from) {
        throw new Problem('invalid_transition', `webhook ${id} is ${webhook.status}, not ${from}`);
      }
      const { rows } = await tx.query<WebhookRow>(
        `UPDATE webhooks SET status = $3, status_reason = $4, failing_since = NULL
         WHERE treasury_id = $1 AND id = $2 RETURNING *`,
        [webhook.treasury_id, id, to, reason ?? null],
      );
      if (to === 'active') {
        // The receiver is mended: pending deliveries are tried now, with all their tries before them.
        await tx.query(
          `UPDATE webhook_deliveries SET tries = 0, first_at = NULL, next_at = now()
           WHERE treasury_id = $1 AND webhook_id = $2 AND status = 'pending'`,
          [webhook.treasury_id, id],
        );
      }
      const kind: EventKind = to === 'active' ? 'webhook.resumed' : 'webhook.paused';
      const failingSince = webhook.failing_since?.toISOString() ?? null;
      const data = to === 'paused' ? { failingSince } : {};
      await tell(tx, now, webhook, kind, { ...act, reason }, data);
      return { webhook: viewWebhook(rows[0] as WebhookRow) };
    });
  }

  private requirePublicUrl(): void {
    if (this.config.publicUrl !== undefined) return;
    throw new Problem(
      'invalid_request',
      'approvalLinks: a link needs the address of this service; its operator sets BURSAR_PUBLIC_URL',
      { field: 'approvalLinks' },
    );
  }

  private checkUrl(text: string): void {
    const url = parseGuardedUrl(text, this.config.webhooks.allow);
    if (typeof url === 'string')
      throw new Problem('invalid_request', `url: ${url}`, { field: 'url' });
  }

  /** Every change is an event, which a holder may make only so many of. */
  private async charge(
    tx: ClientBase,
    now: Date,
    caller: Caller,
    treasuryId: string,
    chain: readonly GrantRecord[],
  ): Promise<void> {
    const bounds = caller.kind === 'holder' ? this.config.bounds : undefined;
    await chargeCreation(tx, now, treasuryId, chain, { events: 1, bytes: 1_000 }, bounds);
  }

  private async checkBounds(tx: ClientBase, treasuryId: string, rootId: string | null) {
    const { perTreasury, perRoot } = this.config.webhooks;
    // Counted by one at a time: the meter of the treasury is locked.
    const { rows } = await tx.query<{ all: number; own: number }>(
      `SELECT count(*)::int AS all, count(*) FILTER (WHERE root_id = $2)::int AS own
       FROM webhooks WHERE treasury_id = $1 AND status <> 'ended'`,
      [treasuryId, rootId],
    );
    const { all = 0, own = 0 } = rows[0] ?? {};
    if (all >= perTreasury) {
      throw new Problem(
        'conflict',
        `the treasury has ${all} webhooks, as many as it may; delete one`,
      );
    }
    if (rootId !== null && own >= perRoot) {
      throw new Problem(
        'conflict',
        `the tree of your grant has ${own} webhooks, as many as it may; delete one`,
      );
    }
  }
}

/** @throws Problem `invalid_transition` for a chain that has ended: a webhook of it would end at once. */
function requireAlive(chain: readonly GrantRecord[], now: Date): void {
  const ended = chain.find(({ status, expiresAt }) => status === 'revoked' || expiresAt <= now);
  if (!ended) return;
  throw new Problem('invalid_transition', `grant ${ended.id} has ended, and its webhooks with it`);
}

async function tell(
  tx: ClientBase,
  now: Date,
  webhook: WebhookRow,
  kind: EventKind,
  { caller, requestId, reason }: Act & { reason?: string | undefined },
  data: Record<string, unknown>,
): Promise<void> {
  await appendEvents(tx, now, [
    {
      treasuryId: webhook.treasury_id,
      kind,
      actor: caller.actor,
      grantId: grantOfWebhook(webhook),
      requestId,
      reason,
      data: { webhookId: webhook.id, ...data },
    },
  ]);
}

function termsOf({ url, kinds }: WebhookRow) {
  return {
    origin: new URL(url).origin,
    urlHash: createHash('sha256').update(url).digest('hex'),
    kinds,
  };
}

function notFound(id: string): Problem {
  return new Problem('not_found', `no webhook ${id}`);
}

function viewWebhook(row: WebhookRow): WebhookView {
  return {
    id: row.id,
    treasuryId: row.treasury_id,
    grantId: row.grant_id,
    url: row.url,
    kinds: row.kinds,
    description: row.description,
    status: row.status,
    statusReason: row.status_reason,
    failingSince: row.failing_since?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
    createdBy: row.created_by,
    approvalLinks: row.approver !== null,
  };
}
