import { isRefusalKind } from '../ledger/refusals.js';

/**
 * Rows of spend: `treasury_id`, `grant_id`, `network`, `pay_to`, `host`, `at` (the hour, UTC, in which the payment was
 * made), `status`, `payments` and `amount` (atomic units). Their sums are the report. A text that is unknown is ''.
 *
 * Ended payments and refusals come from events, open payments from their rows. A payment ends in the transaction that
 * writes its event, so each payment is in exactly one of the two in any snapshot.
 */

/** Statuses that a payment ends in. The event of each is `payment.<status>`. */
const ENDED = ['settled', 'released', 'cancelled', 'rejected'] as const;

/** The kinds of events that change what a report says of ended payments and of refusals. */
export const SPEND_KINDS = [
  ...ENDED.map((status) => `payment.${status}` as const),
  'payment.refused',
  'payment.refused_more',
] as const;

const ONLY_ENDINGS = `e.kind IN (${ENDED.map((status) => `'payment.${status}'`).join(', ')})`;

/** SQL of the amount that a payment aliased `p` counts with in a status. @param status - SQL of the status. */
export function amountIn(status: string): string {
  return `CASE WHEN ${status} = 'settled' THEN p.paid ELSE p.amount END`;
}

const ONLY_REFUSALS = isRefusalKind('e.kind');

/** The facts that events tell. @param events - SQL of rows of `events`. */
export function factsOf(events: string): string {
  const status = `split_part(e.kind, '.', 2)`;
  return `SELECT p.treasury_id, p.grant_id, p.network, p.pay_to, coalesce(p.host, '') AS host,
      date_trunc('hour', p.created_at, 'UTC') AS at, ${status} AS status, 1::bigint AS payments,
      ${amountIn(status)} AS amount
    FROM (${events}) e JOIN payments p ON p.treasury_id = e.treasury_id AND p.id = e.payment_id
    WHERE ${ONLY_ENDINGS}
    UNION ALL ${refusalsOf(events)}`;
}

/**
 * The facts that events of refusals tell. A refusal names a payee and a network where all the entries that could have
 * been paid had the same; refusals that were only counted name none.
 */
export function refusalsOf(events: string): string {
  return `SELECT e.treasury_id, e.grant_id, o.network, o.pay_to,
      coalesce(lower(substring(d.data #>> '{request,url}' FROM '^[A-Za-z]+://(\\[[^]]*\\]|[^/?#:]+)')), '') AS host,
      date_trunc('hour', e.created_at, 'UTC') AS at, 'refused' AS status, coalesce((d.data ->> 'refusals')::bigint, 1) AS payments,
      0::numeric AS amount
    FROM (${events}) e, LATERAL (SELECT e.record::jsonb -> 'data' AS data OFFSET 0) d,
      LATERAL (SELECT CASE WHEN count(DISTINCT v ->> 'network') = 1 THEN min(v ->> 'network') ELSE '' END AS network,
          CASE WHEN count(DISTINCT v ->> 'payTo') = 1 THEN min(v ->> 'payTo') ELSE '' END AS pay_to
        FROM jsonb_array_elements(coalesce(d.data -> 'options', '[]')) v) o
    WHERE ${ONLY_REFUSALS} AND e.grant_id IS NOT NULL`;
}
