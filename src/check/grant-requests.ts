import { differing, iso, parsed, says } from './records.js';
import type { Question } from './snapshot.js';

const DATA = (alias: string) => `${parsed(`${alias}.record`)} -> 'data'`;

/** The columns of a request, each beside what its events say. */
const MEMBERS: readonly (readonly [string, string])[] = [
  ['grant', 'c.grant_id = r.grant_id'],
  ['budget', says('c.data', 'budget', 'r.budget::text')],
  ['expires_at', says('c.data', 'expiresAt', iso('r.expires_at'))],
  ['lapses_at', says('c.data', 'lapsesAt', iso('r.lapses_at'))],
  ['reason', 'c.reason = r.reason'],
  ['created_at', 'c.created_at = r.created_at'],
  ['status', `r.status = coalesce(replace(d.kind, 'grant_request.', ''), 'pending')`],
  ['decided_at', 'r.decided_at IS NOT DISTINCT FROM d.created_at'],
  ['decided_by', 'r.decided_by IS NOT DISTINCT FROM d.actor'],
  ['decided_reason', 'r.decided_reason IS NOT DISTINCT FROM d.reason'],
  ['root', 'r.root_id = g.root_id'],
];

const told = (alias: string, kinds: string) => `LEFT JOIN (
    SELECT e.treasury_id, ${DATA('e')} ->> 'grantRequestId' AS request_id, e.grant_id, e.kind, e.actor, e.created_at,
      ${parsed('e.record')} ->> 'reason' AS reason, ${DATA('e')} AS data
    FROM events e WHERE e.kind IN (${kinds})) ${alias}
  ON ${alias}.treasury_id = r.treasury_id AND ${alias}.request_id = r.id`;

/** I8, the raise requests: each row is what its events say, and each event has its row. */
export const GRANT_REQUESTS: readonly Question[] = [
  {
    what: 'a request is what its events say',
    sql: `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
        SELECT r.id, ${differing(MEMBERS)} AS wrong FROM grant_requests r
        LEFT JOIN grants g ON g.treasury_id = r.treasury_id AND g.id = r.grant_id
        ${told('c', `'grant_request.created'`)}
        ${told('d', `'grant_request.approved', 'grant_request.rejected'`)}) s WHERE wrong <> '{}'`,
  },
  {
    what: 'a request that the log tells of is there',
    sql: `SELECT e.id, e.kind AS detail FROM events e
      LEFT JOIN grant_requests r ON r.treasury_id = e.treasury_id AND r.id = ${DATA('e')} ->> 'grantRequestId'
      WHERE e.kind LIKE 'grant\\_request.%' AND r.id IS NULL`,
  },
];
