/**
 * The spend of payments as rows: `treasury_id`, `grant_id`, `network`, `pay_to`, `host`, `at` (the hour, UTC, in
 * which the payment was made), `status`, `payments` and `amount` (atomic units). Sums over them are the report. A payment that changed its status
 * is taken out of the old one and put into the new one. What a row does not name is ''.
 */

/** The kinds of events that change what a report says. */
export const SPEND_KINDS = [
  'payment.pending',
  'payment.authorized',
  'payment.adopted',
  'payment.settled',
  'payment.released',
  'payment.cancelled',
  'payment.rejected',
  'payment.refused',
  'payment.refused_more',
] as const;

/** Each kind of event, the status that it changes, and by how many payments. */
const STEPS = `(VALUES
  ('payment.pending', 'pending_approval', 1),
  ('payment.authorized', 'pending_approval', -1),
  ('payment.authorized', 'authorized', 1),
  ('payment.adopted', 'authorized', 1),
  ('payment.settled', 'authorized', -1),
  ('payment.settled', 'settled', 1),
  ('payment.released', 'authorized', -1),
  ('payment.released', 'released', 1),
  ('payment.cancelled', 'authorized', -1),
  ('payment.cancelled', 'cancelled', 1),
  ('payment.rejected', 'pending_approval', -1),
  ('payment.rejected', 'rejected', 1)
) AS step (kind, status, payments)`;

/** SQL for what a payment aliased `p` is summed up with in a status. @param status - SQL of the status. */
export function amountIn(status: string): string {
  return `CASE WHEN ${status} = 'settled' THEN p.paid ELSE p.amount END`;
}

const ONLY_REFUSALS = `e.kind IN ('payment.refused', 'payment.refused_more')`;

/** The facts that events tell. @param events - SQL of rows of `events`. */
export function factsOf(events: string): string {
  return `SELECT p.treasury_id, p.grant_id, p.network, p.pay_to, p.host, p.at, step.status,
      step.payments * p.payments AS payments, step.payments * ${amountIn('step.status')} AS amount
    FROM (
      -- Summed up before they are told apart by status: there are far fewer sums than payments.
      SELECT p.grant_id, p.network, p.pay_to, coalesce(p.host, '') AS host, date_trunc('hour', p.created_at, 'UTC') AS at,
        p.approval_from_above IS NOT NULL AS waited, e.kind, p.treasury_id,
        count(*) AS payments, sum(p.amount) AS amount, sum(p.paid) AS paid
      FROM (${events}) e JOIN payments p ON p.treasury_id = e.treasury_id AND p.id = e.payment_id
      GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) p
    JOIN ${STEPS} ON step.kind = p.kind
      -- Only a payment that waited leaves that status when it is signed.
      AND (step.kind <> 'payment.authorized' OR step.payments > 0 OR p.waited)
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
