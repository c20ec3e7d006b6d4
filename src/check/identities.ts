import type { Question } from './snapshot.js';

/**
 * I3: one payment a key, a nonce and a digest. What is unique by an index is counted all the same:
 * an index can be dropped, or be corrupt.
 *
 * The EIP-712 digest of an authorization is made of the chain, the token, payer, payee, value, validity
 * and nonce, and of nothing else: two payments have one digest exactly when all of these are the same.
 */
export const IDENTITIES: readonly Question[] = [
  {
    what: 'a grant uses an Idempotency-Key for one payment',
    sql: `SELECT min(id) AS id, format('%s payments of %s', count(*), grant_id) AS detail
      FROM payments GROUP BY treasury_id, grant_id, idempotency_key HAVING count(*) > 1`,
  },
  {
    what: 'a wallet uses a nonce for one payment',
    sql: `SELECT min(id) AS id, format('%s payments have %s', count(*), nonce) AS detail
      FROM payments WHERE nonce IS NOT NULL
      GROUP BY network, lower(asset), lower(payer), nonce HAVING count(*) > 1`,
  },
  {
    what: 'no two payments have one EIP-712 digest',
    sql: `SELECT min(id) AS id, format('%s payments sign the same', count(*)) AS detail
      FROM payments WHERE nonce IS NOT NULL
      GROUP BY network, lower(asset), lower(payer), lower(pay_to), amount, valid_after, valid_before, nonce
      HAVING count(*) > 1`,
  },
  {
    what: 'its nonce is SHA-256 of its decision',
    sql: `SELECT id, format('%s, due 0x%s', nonce, encode(sha256(convert_to(decision, 'UTF8')), 'hex')) AS detail
      FROM payments p WHERE nonce <> '0x' || encode(sha256(convert_to(decision, 'UTF8')), 'hex')
        -- The decision of an adopted payment is lost: an explained spend of the chain stands for it.
        AND NOT EXISTS (SELECT FROM outside_spends s WHERE s.treasury_id = p.treasury_id AND s.payment_id = p.id
          AND s.nonce = p.nonce AND s.transaction = p.transaction AND s.status = 'adopted')`,
  },
];

/** Rows that I3 looks at. */
export const IDENTITIES_COUNTS = {
  payments: 'SELECT count(*) FROM payments',
  nonces: 'SELECT count(*) FROM payments WHERE nonce IS NOT NULL',
} as const;
