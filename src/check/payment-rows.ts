import {
  about,
  differing,
  iso,
  json,
  newestOf,
  parsed,
  rowHash,
  says,
  saysJson,
} from './records.js';
import type { Question } from './snapshot.js';

const OF_PAYMENT = 'treasury_id = p.treasury_id AND payment_id = p.id';

/** The columns that no member of a decision or an option says, or not byte for byte. */
const ROW_HASH = rowHash([
  'p.idempotency_key',
  'p.scheme',
  'p.x402_version::text',
  'p.requirement',
  'p.resource_echo',
  'p.extensions_echo',
  'p.declared_resource',
  'p.resource_mismatch::text',
  'p.memo',
]);

const HAS_ROW_HASH = (record: string) =>
  `strpos(${record}, '"rowHash":"') = 0 OR strpos(${record}, '"rowHash":"' || ${ROW_HASH} || '"') > 0`;

/** The members of a signed payment's record beside the members that its decision is held against. */
const SIGNED: readonly (readonly [string, string])[] = [
  ['grant', 'e.grant_id = p.grant_id'],
  ['currency', `strpos(e.record, '"currency":' || ${json('p.currency')} || ',"decision":') > 0`],
  [
    'request',
    `strpos(p.decision, '"request":{"method":' || ${json('p.request_method')} || ',"url":' || ${json('p.request_url')} || '}') > 0`,
  ],
  ['x402_version', `strpos(p.decision, '"x402Version":' || p.x402_version || '}') > 0`],
  ['key, entry, echoes or memo', HAS_ROW_HASH('e.record')],
];

/** The members of the record of a payment's wait, until it is signed. */
const PENDING: readonly (readonly [string, string])[] = [
  ['grant', 'e.grant_id = p.grant_id'],
  ['approval_from_above', says('d', 'askedBy', 'p.approval_from_above')],
  ['network', says(`(d -> 'option')`, 'network', 'p.network')],
  ['asset', says(`(d -> 'option')`, 'asset', 'p.asset')],
  ['pay_to', says(`(d -> 'option')`, 'payTo', 'p.pay_to')],
  ['amount', says(`(d -> 'option')`, 'value', 'p.amount::text')],
  [
    'request',
    saysJson(
      'd',
      'request',
      `jsonb_build_object('method', p.request_method, 'url', p.request_url)`,
    ),
  ],
  ['created_at', 'e.created_at = p.created_at'],
  ['key, entry, echoes or memo', `p.nonce IS NOT NULL OR ${HAS_ROW_HASH('e.record')}`],
];

/** The members of the newest verdict on a waiting payment. */
const VERDICT: readonly (readonly [string, string])[] = [
  ['approved_at', 'p.approved_at IS NOT DISTINCT FROM a.created_at'],
  [
    'approval_lapses_at',
    `CASE WHEN a.kind IS NULL THEN ${says('n.data', 'lapsesAt', iso('p.approval_lapses_at'))}
      ELSE ${says('a.data', 'collectBefore', iso('p.approval_lapses_at'))} END`,
  ],
  ['decided_by', 'p.decided_by IS NOT DISTINCT FROM coalesce(x.actor, a.actor)'],
  [
    'decided_reason',
    'p.decided_reason IS NOT DISTINCT FROM CASE WHEN x.kind IS NULL THEN a.reason ELSE x.reason END',
  ],
];

/** The members of the record of a payment's end. */
const ENDED: readonly (readonly [string, string])[] = [
  ['transaction', says('d', 'transaction', 'p.transaction')],
  ['block_number', says('d', 'blockNumber', 'p.block_number::text')],
  ['network', says('d', 'network', 'p.network')],
  ['amount', says('d', 'value', 'p.amount::text')],
  // Records of a settlement without this member are of a time when what was signed was always paid whole.
  [
    'paid',
    `p.paid = CASE WHEN e.kind = 'payment.settled' THEN coalesce(d ->> 'paid', d ->> 'value')::numeric ELSE 0 END`,
  ],
  ['ended_at', about('p.ended_at', 'e.created_at')],
];

const differs = (members: readonly (readonly [string, string])[], from: string) =>
  `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
     SELECT p.id, ${differing(members)} AS wrong FROM ${from}) s WHERE wrong <> '{}'`;

const EVENT = `events e ON e.treasury_id = p.treasury_id AND e.payment_id = p.id`;
const DATA = `CROSS JOIN LATERAL (SELECT ${parsed('e.record')} -> 'data' AS d) j`;

/** The members of the call for an approval, which the record of the wait before it has too. */
const NEEDED: readonly (readonly [string, string])[] = [
  ['payment and time', 'p.grant_id = e.grant_id AND p.created_at = e.created_at AND p.seq < e.seq'],
  ['asked_by', says('e.data', 'askedBy', `p.data ->> 'askedBy'`)],
  ['value', says('e.data', 'value', `p.data -> 'option' ->> 'value'`)],
  ['network', says('e.data', 'network', `p.data -> 'option' ->> 'network'`)],
  ['pay_to', says('e.data', 'payTo', `p.data -> 'option' ->> 'payTo'`)],
  ['url', says('e.data', 'url', `p.data -> 'request' ->> 'url'`)],
  ['lapses_at', says('e.data', 'lapsesAt', `p.data ->> 'lapsesAt'`)],
];

const told = (kind: string) => `(SELECT treasury_id, id, seq, grant_id, payment_id, created_at,
  ${parsed('record')} -> 'data' AS data FROM events WHERE kind = '${kind}')`;

/** I8, the payments: every column is what the records of the payment say, where they have the member. */
export const PAYMENT_ROWS: readonly Question[] = [
  {
    what: 'its host is that of the URL that was asked',
    // A host in other characters, or one that ends in a number, is spelt otherwise by URL parsers.
    sql: `SELECT p.id, format('%s, of %s', p.host, p.request_url) AS detail
      FROM payments p, LATERAL (SELECT lower(substring(p.request_url FROM '^[A-Za-z]+://([^/?#:]+)')) AS host) u
      WHERE CASE WHEN p.request_url = '' THEN p.host IS NOT NULL
        ELSE u.host ~ '^[a-z0-9._-]*[a-z][a-z0-9_-]*$' AND u.host !~ '(^|[.])(xn--[a-z0-9-]*|0x[0-9a-f]*)$'
          AND p.host IS DISTINCT FROM u.host END`,
  },
  {
    what: 'it is what its payment.authorized says',
    sql: differs(
      SIGNED,
      `payments p JOIN ${EVENT} AND e.kind = 'payment.authorized' WHERE p.nonce IS NOT NULL`,
    ),
  },
  {
    what: 'it was made when its first record says',
    sql: `SELECT p.id, format('%s, told %s', p.created_at, e.created_at) AS detail
      FROM payments p JOIN ${EVENT} AND e.kind = 'payment.authorized'
      WHERE p.approval_from_above IS NULL AND p.created_at <> e.created_at`,
  },
  {
    what: 'it is what its payment.pending says',
    sql: differs(PENDING, `payments p JOIN ${EVENT} AND e.kind = 'payment.pending' ${DATA}`),
  },
  {
    what: 'an approval was called for as its payment.pending says',
    sql: `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
        SELECT e.id, CASE WHEN p.id IS NULL THEN ARRAY['no payment waits'] ELSE ${differing(NEEDED)} END AS wrong
        FROM ${told('approval.needed')} e LEFT JOIN ${told('payment.pending')} p
          ON p.treasury_id = e.treasury_id AND p.payment_id = e.payment_id) s WHERE wrong <> '{}'`,
  },
  {
    what: 'its currency is that of its grant',
    sql: `SELECT p.id, format('%s, its grant %s', p.currency, g.currency) AS detail
      FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
      WHERE p.currency <> g.currency`,
  },
  {
    what: 'it was approved or rejected as its records say',
    sql: differs(
      VERDICT,
      `payments p
       ${newestOf('n', OF_PAYMENT, ['payment.pending'])}
       ${newestOf('a', OF_PAYMENT, ['payment.approved'])}
       ${newestOf('x', OF_PAYMENT, ['payment.rejected'])}
       WHERE p.approval_from_above IS NOT NULL OR p.approved_at IS NOT NULL OR p.approval_lapses_at IS NOT NULL
         OR p.decided_by IS NOT NULL OR p.decided_reason IS NOT NULL`,
    ),
  },
  {
    what: 'it ended as its last record says',
    sql: differs(
      ENDED,
      `payments p JOIN ${EVENT}
         AND e.kind IN ('payment.settled', 'payment.released', 'payment.cancelled', 'payment.rejected') ${DATA}`,
    ),
  },
  {
    what: 'its cancellation is there as it was asked for',
    sql: `SELECT coalesce(c.payment_id, e.payment_id) AS id, CASE WHEN c.payment_id IS NULL THEN 'it is gone'
        WHEN e.id IS NULL THEN 'nobody asked' ELSE format('by %s at %s on %s, told %s at %s', c.requested_by,
          c.requested_at, c.network, e.actor, e.created_at) END AS detail
      FROM (SELECT * FROM events WHERE kind = 'payment.cancel_requested') e
      FULL JOIN cancellations c ON c.treasury_id = e.treasury_id AND c.payment_id = e.payment_id
      WHERE c.payment_id IS NULL OR e.id IS NULL OR c.requested_by <> e.actor OR c.requested_at <> e.created_at
        OR c.network IS DISTINCT FROM ${parsed('e.record')} #>> '{data,network}'`,
  },
  {
    what: 'a cancellation is over only when its payment can no longer be settled',
    sql: `SELECT p.id, format('it is %s', p.status) AS detail
      FROM cancellations c JOIN payments p ON p.treasury_id = c.treasury_id AND p.id = c.payment_id
      LEFT JOIN chain_cursors k ON k.network = c.network
      WHERE c.is_over AND p.status = 'authorized' AND p.valid_before >= coalesce(k.block_time, 0)`,
  },
  {
    what: 'it is seen on chain as its newest sighting says',
    sql: `SELECT coalesce(s.payment_id, p.id) AS id,
        CASE WHEN s.payment_id IS NULL THEN 'the sighting is gone' ELSE format('%s in block %s of %s', s.transaction,
          s.block_number, s.network) END AS detail
      FROM sightings s FULL JOIN (
        SELECT DISTINCT ON (e.treasury_id, e.payment_id) e.treasury_id, e.payment_id AS id, e.kind,
          ${parsed('e.record')} -> 'data' AS d
        FROM log_events e JOIN payments o ON o.treasury_id = e.treasury_id AND o.id = e.payment_id
        WHERE o.status = 'authorized' AND e.kind IN ('payment.seen', 'payment.sighting_withdrawn')
        ORDER BY e.treasury_id, e.payment_id, e.leaf_index DESC NULLS FIRST, e.seq DESC) p
        ON p.treasury_id = s.treasury_id AND p.id = s.payment_id
      WHERE (s.payment_id IS NULL AND p.kind = 'payment.seen')
        OR (s.payment_id IS NOT NULL AND (p.kind = 'payment.seen' AND d ->> 'transaction' = s.transaction
          AND d ->> 'blockNumber' = s.block_number::text AND d ->> 'network' = s.network) IS NOT TRUE)`,
  },
  {
    what: 'its receipts are what their records say',
    sql: `SELECT coalesce(r.payment_id, e.payment_id) AS id, CASE WHEN r.payment_id IS NULL THEN 'one is gone'
        ELSE format('number %s', r.place) END AS detail
      FROM (SELECT *, row_number() OVER (PARTITION BY treasury_id, payment_id ORDER BY created_at, seq) AS place,
          ${parsed('record')} -> 'data' AS d FROM events WHERE kind = 'payment.receipt') e
      FULL JOIN receipts r ON r.treasury_id = e.treasury_id AND r.payment_id = e.payment_id
        AND r.value_hash = d ->> 'valueHash'
      WHERE r.payment_id IS NULL OR e.id IS NULL OR r.place <> e.place
        OR r.value_hash <> encode(sha256(convert_to(r.value, 'UTF8')), 'hex')
        OR r.received_by <> e.actor OR r.received_at <> e.created_at
        OR r.transaction IS DISTINCT FROM d ->> 'transaction'
        OR r.signature_outcome IS DISTINCT FROM d #>> '{signature,outcome}'
        OR r.signer IS DISTINCT FROM d #>> '{signature,signer}'`,
  },
  {
    what: 'gas is spent for a cancellation that was asked for',
    sql: `SELECT t.payment_id AS id, format('nonce %s of %s', t.nonce, t.sender) AS detail
      FROM gas_transactions t LEFT JOIN cancellations c ON c.treasury_id = t.treasury_id
        AND c.payment_id = t.payment_id AND c.network = t.network
      WHERE c.payment_id IS NULL`,
  },
];
