import { iso, json } from './records.js';
import type { Question } from './snapshot.js';

/** Kinds that are written under the lock of their grant, so that their order is one in every way of counting. */
const IN_ORDER = [
  'grant.minted',
  'grant.delegated',
  'grant.suspended',
  'grant.tripped',
  'grant.resumed',
  'grant.revoked',
  'grant.returned',
  'grant.amended',
  'grant_request.created',
  'grant_request.approved',
  'grant_request.rejected',
  'grant.token_reissued',
  'payment.pending',
  'approval.needed',
  'payment.approved',
  'payment.authorized',
  'payment.settled',
  'payment.released',
  'payment.cancelled',
];

/** The members that every record ends with. */
const TAIL = `(',"treasuryId":' || ${json('treasury_id')} || ',"version":"bursar.event.v1"}')`;

/** I8, the events: their columns are members of their records, and their numbers are in the order of the log. */
export const EVENT_ROWS: readonly Question[] = [
  {
    what: 'its record says what its columns say',
    sql: `SELECT id, kind AS detail FROM events
      WHERE NOT starts_with(record, '{"actor":' || ${json('actor')} || ',"at":"' || ${iso('created_at')} || '","data":')
        OR strpos(record, ',"grantId":' || ${json('grant_id')} || ',"id":' || ${json('id')} || ',"kind":' || ${json('kind')}
          || ',"paymentId":' || ${json('payment_id')} || ',"reason":') = 0
        OR right(record, length(${TAIL})) <> ${TAIL}`,
  },
  {
    what: 'its number is in the order of the log',
    sql: `SELECT id, format('%s number %s, after %s', kind, seq, before) AS detail FROM (
        SELECT id, kind, seq, lag(seq) OVER (PARTITION BY treasury_id, grant_id ORDER BY leaf_index) AS before
        FROM log_events WHERE leaf_index IS NOT NULL AND kind IN (${IN_ORDER.map((kind) => `'${kind}'`).join(', ')})) o
      WHERE before >= seq`,
  },
  {
    what: 'it has a place in the log, or waits for one',
    sql: `SELECT coalesce(e.id, format('number %s of %s', w.seq, w.treasury_id)) AS id,
        CASE WHEN e.id IS NULL THEN 'no such event' ELSE format('place: %s, waits: %s', coalesce(e.leaf_index::text, 'none'),
          CASE WHEN w.seq IS NULL THEN 'no' ELSE 'yes' END) END AS detail
      FROM log_events e FULL JOIN unsealed_events w ON w.treasury_id = e.treasury_id AND w.seq = e.seq
      WHERE e.id IS NULL OR (e.leaf_index IS NULL) <> (w.seq IS NOT NULL)`,
  },
  {
    what: 'its number was given out once',
    sql: `SELECT min(id) AS id, format('number %s, %s times', seq, count(*)) AS detail FROM events
      GROUP BY seq HAVING count(*) > 1 OR seq < 1
        OR seq > (SELECT last_value FROM pg_sequences WHERE schemaname = 'public' AND sequencename = 'events_seq_seq')`,
  },
];
