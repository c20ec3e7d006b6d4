import { AMENDMENTS, NEWEST_TERMS } from './amendments.js';
import { GRANT_REQUESTS } from './grant-requests.js';
import { differing, iso, newestOf, parsed, rowHash, says, saysJson } from './records.js';
import type { Question } from './snapshot.js';

const MINTED = `LEFT JOIN LATERAL (
    SELECT actor, created_at, (${parsed('record')} -> 'data') || coalesce(${NEWEST_TERMS}, '{}') AS data FROM events
    WHERE treasury_id = g.treasury_id AND grant_id = g.id AND kind IN ('grant.minted', 'grant.delegated')
    ORDER BY seq LIMIT 1) m ON true`;

const OF_GRANT = 'treasury_id = g.treasury_id AND grant_id = g.id';

/** RFC 7638 of a public key of the kinds that a grant may be bound to. */
const THUMBPRINT = `rtrim(translate(encode(sha256(convert_to(CASE
    WHEN g.holder_key ->> 'kty' = 'EC' THEN format('{"crv":"%s","kty":"EC","x":"%s","y":"%s"}',
      g.holder_key ->> 'crv', g.holder_key ->> 'x', g.holder_key ->> 'y')
    ELSE format('{"crv":"%s","kty":"%s","x":"%s"}',
      g.holder_key ->> 'crv', g.holder_key ->> 'kty', g.holder_key ->> 'x') END, 'UTF8')), 'base64'), '+/', '-_'), '=')`;

/** A grant's columns, each beside the member of its minting record, or its newest amendment, that must say the same. */
const TERMS: readonly (readonly [string, string])[] = [
  ['parent', says('m.data', 'parentId', 'g.parent_id')],
  ['holder', says('m.data', 'holder', 'g.holder')],
  ['currency', says('m.data', 'currency', 'g.currency')],
  ['budget', says('m.data', 'budget', 'g.budget::text')],
  ['max_per_payment', says('m.data', 'maxPerPayment', 'g.max_per_payment::text')],
  ['max_payments', says('m.data', 'maxPayments', 'g.max_payments::text')],
  ['windows', saysJson('m.data', 'windows', 'g.windows')],
  ['approval_above', says('m.data', 'approvalAbove', 'g.approval_above::text')],
  ['scope', saysJson('m.data', 'scope', 'g.scope')],
  ['starts_at', says('m.data', 'startsAt', iso('g.starts_at'))],
  ['expires_at', says('m.data', 'expiresAt', iso('g.expires_at'))],
  ['delegation_depth', says('m.data', 'delegationDepth', 'g.delegation_depth::text')],
  ['approve_new_payees', saysJson('m.data', 'approveNewPayees', 'to_jsonb(g.approve_new_payees)')],
  [
    'breaker',
    saysJson(
      'm.data',
      'breaker',
      `CASE WHEN g.breaker_refusals IS NULL AND g.breaker_seconds IS NULL THEN 'null'::jsonb
        ELSE jsonb_build_object('refusals', g.breaker_refusals, 'seconds', g.breaker_seconds) END`,
    ),
  ],
  ['funding', says('m.data', 'funding', 'g.funding')],
  ['purpose', says('m.data', 'purpose', 'g.purpose')],
  ['labels', saysJson('m.data', 'labels', 'g.labels')],
  ['holder key', says('m.data', 'holderKeyThumbprint', 'g.holder_key_thumbprint')],
  ['mint key', says('m.data', 'rowHash', rowHash(['g.mint_key', 'g.mint_hash']))],
  ['minted_by', 'm.actor = g.minted_by'],
  ['created_at', 'm.created_at = g.created_at'],
];

/** The state of a grant by its newest events. */
const STATE: readonly (readonly [string, string])[] = [
  [
    'status',
    `g.status = CASE WHEN l.kind IN ('grant.suspended', 'grant.tripped') THEN 'suspended' WHEN l.kind = 'grant.revoked' THEN 'revoked' ELSE 'active' END`,
  ],
  ['status_reason', 'g.status_reason IS NOT DISTINCT FROM l.reason'],
  [
    'suspended_by',
    `g.suspended_by IS NOT DISTINCT FROM CASE WHEN l.kind IN ('grant.suspended', 'grant.tripped') THEN l.actor END`,
  ],
  [
    'revoked_at',
    `g.revoked_at IS NOT DISTINCT FROM CASE WHEN l.kind = 'grant.revoked' THEN l.created_at END`,
  ],
  ['returned_at', 'g.returned_at IS NOT DISTINCT FROM r.created_at'],
  [
    'token_generation',
    `g.token_generation = coalesce(CASE t.kind WHEN 'grant.token_revoked' THEN (t.data ->> 'generation')::int + 1
      ELSE (t.data ->> 'generation')::int END, 1)`,
  ],
];

/** I8, the grants: their terms and their state are what their events say, and their place is their parent's child. */
export const GRANT_TERMS: readonly Question[] = [
  ...AMENDMENTS,
  ...GRANT_REQUESTS,
  {
    what: 'its terms are those of its minting record and its amendments',
    sql: `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
        SELECT g.id, ${differing(TERMS)} AS wrong FROM grants g ${MINTED}) s WHERE wrong <> '{}'`,
  },
  {
    what: 'its state is what its newest events say',
    sql: `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
        SELECT g.id, ${differing(STATE)} AS wrong FROM grants g
        ${newestOf('l', OF_GRANT, ['grant.suspended', 'grant.tripped', 'grant.resumed', 'grant.revoked'])}
        ${newestOf('r', OF_GRANT, ['grant.returned'])}
        ${newestOf('t', OF_GRANT, ['grant.token_reissued', 'grant.token_revoked'])}) s WHERE wrong <> '{}'`,
  },
  {
    what: 'its place is below its parent',
    sql: `SELECT g.id, format('path %s, lineage %s, root %s, depth %s', array_to_string(g.path, ' > '), g.lineage, g.root_id,
        g.depth) AS detail
      FROM grants g LEFT JOIN grants b ON b.treasury_id = g.treasury_id AND b.id = g.parent_id
      WHERE g.path IS DISTINCT FROM CASE WHEN g.parent_id IS NULL THEN ARRAY[g.id] ELSE b.path || g.id END
        OR g.root_id <> g.path[1] OR g.depth <> cardinality(g.path) - 1
        OR g.lineage <> array_to_string(g.path, '/')`,
  },
  {
    what: 'the key it is bound to has its thumbprint',
    sql: `SELECT g.id, format('%s, due %s', coalesce(g.holder_key_thumbprint, 'none'), ${THUMBPRINT}) AS detail
      FROM grants g WHERE (g.holder_key IS NULL) <> (g.holder_key_thumbprint IS NULL)
        OR g.holder_key_thumbprint <> ${THUMBPRINT}`,
  },
  {
    what: 'a grant that the log tells of is there',
    sql: `SELECT e.grant_id AS id, min(e.kind) AS detail
      FROM events e LEFT JOIN grants g ON g.treasury_id = e.treasury_id AND g.id = e.grant_id
      WHERE e.grant_id IS NOT NULL AND g.id IS NULL GROUP BY e.grant_id`,
  },
  {
    what: 'carve-outs below a grant that ended are looked for until they have returned',
    sql: `SELECT g.id, CASE WHEN g.returns_below THEN 'it has not ended' ELSE 'some have not returned' END AS detail
      FROM grants g WHERE (g.returns_below AND g.status <> 'revoked' AND g.expires_at > now())
        OR (NOT g.returns_below AND g.status = 'revoked' AND EXISTS (
          SELECT FROM grants b WHERE b.treasury_id = g.treasury_id AND b.lineage > g.lineage
            AND b.lineage < g.lineage || 'z' AND b.funding = 'reserved' AND b.returned_at IS NULL
            AND b.open_payments = 0))`,
  },
];
