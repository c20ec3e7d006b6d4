import type { Api, Page } from './sdk.js';

/** An event of the audit log, as far as the commands read it. */
interface AuditEvent<Kind extends string, Data> {
  readonly id: string;
  readonly kind: Kind;
  readonly at: string;
  readonly actor: string;
  readonly grantId: string | null;
  readonly paymentId: string | null;
  readonly data: Data;
}

/** Payment that was asked, and one way to pay it. Values are atomic units. */
export interface RequestedPayment {
  readonly request: { readonly method: string; readonly url: string };
  readonly option: {
    readonly network: string;
    readonly asset: string;
    readonly payTo: string;
    readonly value: string;
  };
}

/** A refusal of a payment. */
export type RefusalEvent = AuditEvent<
  'payment.refused',
  {
    readonly code: string;
    readonly detail: string;
    readonly refusedBy?: string | null;
    readonly limit?: string | null;
    readonly remaining?: string | null;
    readonly request: RequestedPayment['request'];
    readonly options: readonly RequestedPayment['option'][];
  }
>;

/** The decision that allowed a payment. */
export type AuthorizedEvent = AuditEvent<
  'payment.authorized',
  {
    readonly decision: {
      readonly grants: readonly string[];
      readonly request: RequestedPayment['request'];
      readonly network: string;
      readonly asset: string;
      readonly to: string;
      readonly value: string;
      readonly decidedAt: string;
    };
    readonly approval?: { readonly by: string } | null;
  }
>;

/** A payment that waits. */
export type PendingEvent = AuditEvent<
  'payment.pending',
  RequestedPayment & { readonly askedBy: string }
>;

/** Outcome of a payment that waited. */
export type DecidedEvent = AuditEvent<'payment.approved' | 'payment.rejected', object>;

export type PaymentEvent = RefusalEvent | AuthorizedEvent | PendingEvent | DecidedEvent;

/** Pages of refusals that are searched for one of them. */
const MAX_PAGES = 50;

/** The latest refusals, newest first. */
export async function latestRefusals(api: Api, most: number, grantId?: string) {
  const found: RefusalEvent[] = [];
  for await (const event of refusals(api, Math.min(most, 200), grantId)) {
    if (found.length === most) break;
    found.push(event);
  }
  return found;
}

/** One refusal; undefined where the caller sees none with that id. */
export async function findRefusal(api: Api, id: string): Promise<RefusalEvent | undefined> {
  for await (const event of refusals(api, 200)) {
    if (event.id === id) return event;
  }
  return undefined;
}

/** The events of a payment, oldest first. */
export async function eventsOf(api: Api, paymentId: string): Promise<PaymentEvent[]> {
  const query = { paymentId, limit: 200 };
  const { body } = await api.call<Page<PaymentEvent>>('GET', '/v1/audit/events', { query });
  return body.items.reverse();
}

async function* refusals(api: Api, limit: number, grantId?: string): AsyncGenerator<RefusalEvent> {
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const query = { kind: 'payment.refused', limit: Math.max(limit, 1), grantId, cursor };
    const { body } = await api.call<Page<RefusalEvent>>('GET', '/v1/audit/events', { query });
    yield* body.items;
    if (body.nextCursor === null) return;
    cursor = body.nextCursor;
  }
}
