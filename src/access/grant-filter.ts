import type { Pool } from 'pg';
import { Problem } from '../domain/problem.js';
import { findGrant, type GrantRecord } from '../ledger/grant-rows.js';
import { type Caller, seesTreasury, treasuriesOf } from './caller.js';

/**
 * The grant that a parameter of a list names. A wrong one is an error: an empty page would look like an answer.
 *
 * @param field - the parameter.
 * @throws Problem `invalid_request`, alike for a grant that is not there and for one that may not be seen.
 */
export async function grantOfFilter(
  pool: Pool,
  caller: Caller,
  id: string,
  field: string,
): Promise<GrantRecord> {
  const grant = await findGrant(pool, id);
  const isSeen =
    grant !== undefined &&
    seesTreasury(caller, grant.treasuryId) &&
    (caller.kind === 'admin' || grant.path.includes(caller.grantId));
  if (!isSeen) throw notSeen(field, `grant ${id}`);
  return grant;
}

/**
 * The treasuries of a list: the one that its parameter `treasuryId` names, else all that the caller sees. Undefined means all
 * there are.
 *
 * @throws Problem `invalid_request`, alike for a treasury that is not there and for one that the caller does not see.
 */
export async function treasuriesOfFilter(
  pool: Pool,
  caller: Caller,
  treasuryId: string | undefined,
): Promise<readonly string[] | undefined> {
  if (treasuryId === undefined) return treasuriesOf(caller);
  const { rowCount } = await pool.query('SELECT FROM treasuries WHERE id = $1', [treasuryId]);
  if (rowCount !== 1 || !seesTreasury(caller, treasuryId)) {
    throw notSeen('treasuryId', `treasury ${treasuryId}`);
  }
  return [treasuryId];
}

/** The answer to a parameter that names what is not there, or may not be seen. */
export function notSeen(field: string, what: string): Problem {
  return new Problem('invalid_request', `${field}: you see no ${what}`, { field });
}

/** @throws Problem `invalid_request` for a time span that ends before it begins. */
export function checkSpan(from: string | undefined, to: string | undefined): void {
  if (from === undefined || to === undefined || Date.parse(from) <= Date.parse(to)) return;
  throw new Problem('invalid_request', `from: ${from} is after to, ${to}`, { field: 'from' });
}
