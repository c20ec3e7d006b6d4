import type { ClientBase, Pool } from 'pg';
import type { Caller } from '../access/caller.js';

/** A webhook as it is stored. */
export interface WebhookRow {
  readonly treasury_id: string;
  readonly id: string;
  readonly owner_id: string | null;
  readonly root_id: string | null;
  readonly grant_id: string | null;
  readonly url: string;
  readonly kinds: string[];
  readonly description: string | null;
  readonly status: 'active' | 'paused' | 'ended';
  readonly status_reason: string | null;
  readonly secret: string;
  readonly old_secret: string | null;
  readonly old_secret_until: Date | null;
  readonly place: string;
  readonly failing_since: Date | null;
  readonly created_at: Date;
  readonly created_by: string;
  /** The caller whose approval links are sent to the address; null for no links. */
  readonly approver: Caller | null;
}

/**
 * The grant that the events about a webhook stand at; undefined for an admin's of a whole treasury. A holder's stands where its
 * owner is, who may have registered it for a part of its tree.
 */
export function grantOfWebhook({
  owner_id: owner,
  grant_id: part,
}: Pick<WebhookRow, 'owner_id' | 'grant_id'>): string | undefined {
  return owner ?? part ?? undefined;
}

/** One try of a delivery. */
export interface Attempt {
  /** RFC 3339. */
  readonly at: string;
  /** Status of the answer; null where there was none. */
  readonly status: number | null;
  readonly milliseconds: number;
  readonly error: string | null;
  /** The beginning of the answer's body. */
  readonly answer: string | null;
}

/** A delivery as it is stored. */
export interface DeliveryRow {
  readonly treasury_id: string;
  readonly id: string;
  readonly webhook_id: string;
  readonly event_id: string | null;
  readonly leaf_index: string | null;
  readonly kind: string;
  readonly origin: 'log' | 'redelivery' | 'replay' | 'test';
  readonly status: 'pending' | 'delivered' | 'dead';
  readonly tries: number;
  readonly attempts: Attempt[];
  readonly created_at: Date;
  readonly first_at: Date | null;
  readonly next_at: Date | null;
}

/** A delivery with the record of its event and the path of that event's grant. */
export interface DueDelivery extends DeliveryRow {
  readonly record: string | null;
  readonly path: string[] | null;
}

/** A delivery to be made. */
export interface NewDelivery {
  readonly id: string;
  readonly eventId: string | null;
  readonly leafIndex: number | string | null;
  readonly kind: string;
}

/** Writes deliveries that are due now. */
export async function insertDeliveries(
  tx: ClientBase,
  { treasury_id, id }: Pick<WebhookRow, 'treasury_id' | 'id'>,
  origin: DeliveryRow['origin'],
  deliveries: readonly NewDelivery[],
): Promise<DeliveryRow[]> {
  const { rows } = await tx.query<DeliveryRow>(
    `INSERT INTO webhook_deliveries (treasury_id, webhook_id, origin, created_at, next_at, id, event_id, leaf_index, kind)
     SELECT $1, $2, $3, now(), now(), * FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[])
     RETURNING *`,
    [
      treasury_id,
      id,
      origin,
      deliveries.map((each) => each.id),
      deliveries.map(({ eventId }) => eventId),
      deliveries.map(({ leafIndex }) => leafIndex),
      deliveries.map(({ kind }) => kind),
    ],
  );
  return rows;
}

/** Reads a webhook. @param lock - until the transaction ends. */
export async function findWebhook(
  tx: Pool | ClientBase,
  id: string,
  lock = false,
): Promise<WebhookRow | undefined> {
  const { rows } = await tx.query<WebhookRow>(
    `SELECT * FROM webhooks WHERE id = $1${lock ? ' FOR NO KEY UPDATE' : ''}`,
    [id],
  );
  return rows[0];
}
