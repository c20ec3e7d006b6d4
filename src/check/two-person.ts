import type { Question } from './snapshot.js';

/** The `data` of a record, as JSON. */
const DATA = `(e.record::jsonb -> 'data')`;

/** Whether an amendment raises something. */
const RAISES = `${DATA} -> 'raised' <> '[]'`;

/** The events by which somebody is handed a token of a grant, or raises something for it. */
const ACTS = `SELECT treasury_id, grant_id, actor, seq, created_at FROM events e WHERE kind IN
  ('grant.minted', 'grant.delegated', 'grant.token_reissued', 'grant.token_replayed', 'grant.resumed')
  OR (kind = 'grant.amended' AND ${RAISES})`;

/**
 * I5, in two-person mode: nobody approved a payment, or raised a grant, that he had a part in. All of it comes from the events. Those
 * of one grant are written under its lock, one behind the other.
 */
export const TWO_PERSON: readonly Question[] = [
  {
    what: 'those who acted on a grant are those of its events',
    sql: `WITH told AS (SELECT treasury_id, grant_id, actor, min(created_at) AS since FROM (${ACTS}) a GROUP BY 1, 2, 3)
      SELECT coalesce(t.grant_id, k.grant_id) AS id, format('%s: on record since %s, told %s',
        coalesce(t.actor, k.actor), coalesce(k.since::text, 'never'), coalesce(t.since::text, 'never')) AS detail
      FROM told t FULL JOIN grant_actors k USING (treasury_id, grant_id, actor)
      WHERE t.since IS DISTINCT FROM k.since`,
  },
  {
    what: 'in two-person mode it was approved, or raised, by somebody who had no part in it',
    sql: `WITH approvals AS (
        SELECT e.treasury_id, e.grant_id, e.payment_id, e.seq, e.actor FROM events e
        WHERE e.kind = 'payment.approved' AND ${DATA} -> 'twoPerson' = 'true'
        UNION ALL
        SELECT e.treasury_id, e.grant_id, e.payment_id, e.seq, ${DATA} -> 'approval' ->> 'by' FROM events e
        WHERE e.kind = 'payment.authorized' AND ${DATA} #> '{approval,twoPerson}' = 'true'
        UNION ALL
        SELECT e.treasury_id, e.grant_id, NULL, e.seq, e.actor FROM events e
        WHERE e.kind = 'grant.amended' AND ${DATA} -> 'twoPerson' = 'true' AND ${RAISES})
      SELECT coalesce(v.payment_id, v.grant_id) AS id, format('by %s, who acted on %s', v.actor, coalesce(a.grant_id, 'the chain')) AS detail
      FROM approvals v
      LEFT JOIN grants g ON g.treasury_id = v.treasury_id AND g.id = v.grant_id
      LEFT JOIN LATERAL (SELECT a.grant_id FROM (${ACTS}) a WHERE a.treasury_id = v.treasury_id
        AND a.grant_id = ANY (g.path) AND a.actor = v.actor AND a.seq < v.seq LIMIT 1) a ON true
      WHERE a.grant_id IS NOT NULL OR v.actor IS NULL OR v.actor LIKE 'grant:%'`,
  },
  {
    what: 'what was handed over names whoever approved it last',
    sql: `SELECT e.payment_id AS id, format('handed over as approved by %s, approved by %s',
        ${DATA} -> 'approval' ->> 'by', coalesce(a.actor, 'nobody')) AS detail
      FROM events e LEFT JOIN LATERAL (
        SELECT actor FROM events b WHERE b.treasury_id = e.treasury_id AND b.payment_id = e.payment_id
          AND b.kind = 'payment.approved' AND b.seq < e.seq ORDER BY b.seq DESC LIMIT 1) a ON true
      WHERE e.kind = 'payment.authorized' AND strpos(e.record, '"approval":{') > 0
        AND ${DATA} -> 'approval' ->> 'by' IS DISTINCT FROM a.actor`,
  },
];

/** The number of approvals that the rule applies to. */
export const TWO_PERSON_COUNTS = {
  'approvals in two-person mode': `SELECT count(*) FROM events e
    WHERE e.kind = 'payment.approved' AND ${DATA} -> 'twoPerson' = 'true'`,
} as const;
