import type { Question } from './snapshot.js';

/** A member of a canonical JSON text, as it stands in it. A quote inside a string is escaped there. */
const says = (name: string, value: string) =>
  `strpos(p.decision, '"${name}":"' || ${value} || '"') > 0`;

/** Members of a decision, each beside the column that must say the same. */
const TERMS: readonly (readonly [string, string])[] = [
  ['paymentId', says('paymentId', 'p.id')],
  ['treasuryId', says('treasuryId', 'p.treasury_id')],
  ['grants', `strpos(p.decision, '"grants":["' || array_to_string(g.path, '","') || '"]') > 0`],
  ['network', says('network', 'p.network')],
  ['asset', says('asset', 'p.asset')],
  ['from', says('from', 'p.payer')],
  ['to', says('to', 'p.pay_to')],
  ['value', says('value', 'p.amount')],
  ['validAfter', says('validAfter', 'p.valid_after')],
  ['validBefore', says('validBefore', 'p.valid_before')],
  ['decidedAt', says('decidedAt', `to_char(p.authorized_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`)],
];

/**
 * I4, as far as the database alone can tell: what was signed is what was decided and what the log says.
 * A record is canonical JSON, so that the decision stands in it byte for byte.
 */
export const DECISIONS: readonly Question[] = [
  {
    what: 'what is signed is what its decision says',
    sql: `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
        SELECT p.id, array_remove(ARRAY[${TERMS.map(
          ([name, holds]) => `CASE WHEN ${holds} THEN NULL ELSE '${name}' END`,
        ).join(', ')}], NULL) AS wrong
        FROM payments p LEFT JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
        WHERE p.nonce IS NOT NULL) s
      WHERE wrong <> '{}'`,
  },
  {
    what: 'the log has its decision and its nonce',
    sql: `SELECT p.id, coalesce('differs from ' || e.id, 'no payment.authorized of it') AS detail
      FROM payments p LEFT JOIN events e ON e.treasury_id = p.treasury_id AND e.payment_id = p.id
        AND e.kind IN ('payment.authorized', 'payment.adopted')
      WHERE p.nonce IS NOT NULL AND (strpos(e.record, '"decision":' || p.decision || ',') > 0
        AND strpos(e.record, '"nonce":"' || p.nonce || '"') > 0) IS NOT TRUE`,
  },
  {
    what: 'a payment that the log tells of is there',
    sql: `SELECT e.payment_id AS id, min(e.kind) AS detail
      FROM events e LEFT JOIN payments p ON p.treasury_id = e.treasury_id AND p.id = e.payment_id
      WHERE e.payment_id IS NOT NULL AND p.id IS NULL GROUP BY e.payment_id`,
  },
];

/** Rows that I4 looks at. */
export const DECISIONS_COUNTS = {
  decisions: 'SELECT count(*) FROM payments WHERE nonce IS NOT NULL',
} as const;
