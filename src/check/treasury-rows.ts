import { about, newestOf, parsed } from './records.js';
import type { Question } from './snapshot.js';

const JWK_THUMBPRINT = `rtrim(translate(encode(sha256(convert_to(format('{"crv":"%s","kty":"%s","x":"%s","y":"%s"}',
  k.public_jwk ->> 'crv', k.public_jwk ->> 'kty', k.public_jwk ->> 'x', k.public_jwk ->> 'y'), 'UTF8')), 'base64'), '+/', '-_'), '=')`;

/** I8, treasuries, wallets, keys and revocations: their rows are what the log tells of them. */
export const TREASURY_ROWS: readonly Question[] = [
  {
    what: 'a treasury is there as it was made',
    sql: `SELECT coalesce(t.id, e.treasury_id) AS id, CASE WHEN t.id IS NULL THEN 'it is gone' WHEN e.id IS NULL THEN 'nothing told'
        ELSE format('%s of %s', t.name, t.created_at) END AS detail
      FROM treasuries t FULL JOIN (SELECT * FROM events WHERE kind = 'treasury.created') e ON e.treasury_id = t.id
      WHERE t.id IS NULL OR e.id IS NULL OR t.name IS DISTINCT FROM ${parsed('e.record')} #>> '{data,name}'
        OR NOT (${about('t.created_at', 'e.created_at')})`,
  },
  {
    what: 'a treasury is suspended exactly as was told last',
    sql: `SELECT coalesce(s.treasury_id, t.id) AS id, CASE WHEN s.treasury_id IS NULL THEN 'it is not'
        ELSE format('at %s by %s because of %s', s.suspended_at, s.suspended_by, coalesce(s.reason, 'nothing')) END
        || format(', told %s', coalesce(l.kind, 'nothing')) AS detail
      FROM treasuries t FULL JOIN treasury_suspensions s ON s.treasury_id = t.id
      ${newestOf('l', 'treasury_id = coalesce(t.id, s.treasury_id)', ['treasury.suspended', 'treasury.resumed'])}
      WHERE CASE WHEN l.kind = 'treasury.suspended' THEN
          (s.suspended_by = l.actor AND ${about('s.suspended_at', 'l.created_at')}) IS NOT TRUE
            OR s.reason IS DISTINCT FROM l.reason
        ELSE s.treasury_id IS NOT NULL END`,
  },
  {
    what: 'a wallet is there as it was added',
    sql: `SELECT coalesce(w.id, d ->> 'walletId') AS id, CASE WHEN w.id IS NULL THEN 'it is gone' WHEN e.id IS NULL THEN 'nothing told'
        ELSE format('%s at %s', w.address, w.position) END AS detail
      FROM (SELECT *, ${parsed('record')} -> 'data' AS d FROM events WHERE kind = 'wallet.added') e
      FULL JOIN wallets w ON w.treasury_id = e.treasury_id AND w.address = d ->> 'address'
      WHERE w.id IS NULL OR e.id IS NULL OR w.id <> coalesce(d ->> 'walletId', w.id)
        OR w.position::text <> coalesce(d ->> 'position', w.position::text)
        OR NOT (${about('w.created_at', 'e.created_at')})`,
  },
  {
    what: 'the status of a wallet is what was told last',
    sql: `SELECT w.id, format('%s, told %s', w.status, coalesce(l.kind, 'nothing')) AS detail FROM wallets w
      ${newestOf(
        'l',
        `treasury_id = w.treasury_id AND ${parsed('record')} #>> '{data,address}' = w.address`,
        ['wallet.active', 'wallet.draining', 'wallet.retired'],
      )}
      WHERE w.status <> coalesce(substr(l.kind, length('wallet.') + 1), 'active')`,
  },
  {
    what: 'the code of a wallet is what was told last',
    sql: `SELECT b.wallet_id AS id, format('%s: %s in block %s since %s, told %s', b.network, coalesce(b.code, 'none'),
        b.code_block, b.code_seen_at, coalesce(l.kind, 'nothing')) AS detail
      FROM wallet_balances b
      ${newestOf(
        'l',
        `treasury_id = b.treasury_id AND ${parsed('record')} #>> '{data,walletId}' = b.wallet_id
          AND ${parsed('record')} #>> '{data,network}' = b.network`,
        ['wallet.code_seen', 'wallet.code_gone'],
      )}
      WHERE CASE WHEN l.kind = 'wallet.code_seen' THEN
          (b.code = l.data ->> 'code' AND b.code_block >= (l.data ->> 'blockNumber')::bigint
            AND b.code_seen_at <= l.created_at) IS NOT TRUE
        ELSE num_nonnulls(b.code, b.code_block, b.code_seen_at) > 0 END`,
  },
  {
    what: 'a wallet has a balance of whatever it has paid with',
    sql: `SELECT DISTINCT p.wallet_id AS id, format('none of %s on %s', p.asset, p.network) AS detail
      FROM payments p LEFT JOIN wallet_balances b ON b.treasury_id = p.treasury_id AND b.wallet_id = p.wallet_id
        AND b.network = p.network AND b.asset = p.asset
      WHERE p.nonce IS NOT NULL AND b.wallet_id IS NULL`,
  },
  {
    what: 'balances are of a wallet, and of the block that was read last',
    sql: `SELECT b.wallet_id AS id, format('%s of %s is of block %s, and %s was read', b.network, b.asset, b.block_number,
        coalesce(k.block_number::text, 'nothing')) AS detail
      FROM (SELECT *, max(block_number) OVER (PARTITION BY network, asset) AS newest FROM wallet_balances) b
      LEFT JOIN chain_cursors k ON k.network = b.network
      LEFT JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
      WHERE w.id IS NULL OR b.block_number > coalesce(k.block_number, 0) OR b.block_number NOT IN (0, b.newest)`,
  },
  {
    what: 'a key that signs tokens is there as it was made',
    sql: `SELECT coalesce(k.kid, d ->> 'kid') AS id, CASE WHEN k.kid IS NULL THEN 'it is gone' ELSE
        format('thumbprint %s, made %s, retired %s', ${JWK_THUMBPRINT}, k.created_at, coalesce(k.retired_at::text, 'never')) END AS detail
      FROM (SELECT *, ${parsed('record')} -> 'data' AS d FROM events
        WHERE kind = 'key.created' AND ${parsed('record')} #>> '{data,use}' = 'tokens') e
      FULL JOIN signing_keys k ON k.kid = d ->> 'kid'
      LEFT JOIN LATERAL (SELECT created_at FROM events WHERE kind = 'key.retired'
        AND ${parsed('record')} #>> '{data,kid}' = k.kid LIMIT 1) r ON true
      WHERE k.kid IS NULL OR k.kid <> ${JWK_THUMBPRINT}
        -- Keys of before keys had events have none.
        OR (e.id IS NOT NULL AND (k.algorithm <> d ->> 'algorithm' OR NOT (${about('k.created_at', 'e.created_at')})
          OR (k.retired_at IS NULL) <> (r.created_at IS NULL) OR NOT (${about('k.retired_at', 'r.created_at')})))`,
  },
  {
    what: 'the key of a log is there as it was made',
    sql: `SELECT e.treasury_id AS id, CASE WHEN k.treasury_id IS NULL THEN 'it is gone' ELSE 'another key' END AS detail
      FROM (SELECT *, ${parsed('record')} -> 'data' AS d FROM events
        WHERE kind = 'key.created' AND ${parsed('record')} #>> '{data,use}' = 'log') e
      LEFT JOIN log_keys k ON k.treasury_id = e.treasury_id
      WHERE k.treasury_id IS NULL OR split_part(d ->> 'key', '+', 1) <> 'bursar/' || k.treasury_id
        OR NOT (d ->> 'key' LIKE '%+' || encode('\\x01'::bytea || k.public_key, 'base64'))
        OR NOT (${about('k.created_at', 'e.created_at')})`,
  },
  {
    what: 'an admin token that was revoked stays so until it would have ended',
    // A second process may have revoked it first.
    sql: `SELECT coalesce(r.token_id, d ->> 'tokenId') AS id, CASE WHEN r.token_id IS NULL THEN 'the revocation is gone'
        ELSE format('until %s by %s', r.expires_at, r.revoked_by) END AS detail
      FROM (SELECT DISTINCT ON (${parsed('record')} #>> '{data,tokenId}') *, ${parsed('record')} -> 'data' AS d FROM events
        WHERE kind = 'admin.token_revoked' AND ${parsed('record')} -> 'data' ? 'tokenId'
        ORDER BY ${parsed('record')} #>> '{data,tokenId}', seq) e
      LEFT JOIN revoked_tokens r ON r.token_id = d ->> 'tokenId'
      WHERE CASE WHEN r.token_id IS NULL THEN to_timestamp((d ->> 'expiresAt')::numeric) > now()
        ELSE r.expires_at <> to_timestamp((d ->> 'expiresAt')::numeric) OR r.revoked_by <> e.actor
          OR NOT (${about('r.revoked_at', 'e.created_at')}) END`,
  },
  {
    what: 'a witness has taken a checkpoint that there is',
    sql: `SELECT s.treasury_id AS id, format('%s has taken size %s', s.witness, s.size) AS detail FROM log_witnesses s
      LEFT JOIN log_checkpoints c ON c.treasury_id = s.treasury_id AND c.size = s.size WHERE c.size IS NULL`,
  },
  {
    what: 'no checkpoint is gone',
    sql: `SELECT format('%s at %s', treasury_id, size) AS id, format('it follows %s, and %s is before it', previous,
        coalesce(before, 0)) AS detail
      FROM (SELECT *, lag(size) OVER (PARTITION BY treasury_id ORDER BY size) AS before FROM log_checkpoints) c
      WHERE previous <> coalesce(before, 0)`,
  },
  {
    what: 'a checkpoint covers all that is sealed',
    sql: `SELECT e.treasury_id AS id, format('%s sealed, the newest checkpoint covers %s', sealed, coalesce(size, 0)) AS detail
      FROM (SELECT treasury_id, count(*) AS sealed FROM leaves GROUP BY treasury_id) e
      LEFT JOIN (SELECT treasury_id, max(size) AS size FROM log_checkpoints GROUP BY treasury_id) c
        ON c.treasury_id = e.treasury_id
      WHERE coalesce(size, 0) < sealed`,
  },
  {
    what: 'the currency of a grant is known',
    sql: `SELECT g.id, g.currency AS detail FROM grants g LEFT JOIN currencies c ON c.code = g.currency WHERE c.code IS NULL`,
  },
];
