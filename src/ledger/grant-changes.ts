import type { ClientBase } from 'pg';
import type { Funding, GrantTerms } from '../domain/grant.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { hasCarveOutsBelow } from './carve-outs.js';
import { GRANT_COLUMNS, type GrantRecord, toGrantRecord, windowsJson } from './grant-rows.js';

// The changes of a grant's row that are neither payments nor amendments. The caller holds the locks of the chain and
// writes the event.

/** Grant to be minted. */
export interface NewGrant {
  readonly treasuryId: string;
  /** The grant above; undefined for a root. */
  readonly parent: GrantRecord | undefined;
  readonly holder: string;
  readonly terms: GrantTerms;
  readonly funding: Funding;
  readonly purpose: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Actor of the minting, named as events name actors. */
  readonly mintedBy: string;
  /** The Idempotency-Key of the minting. */
  readonly mintKey: string | undefined;
  /** SHA-256 of what was asked for with the key. */
  readonly mintHash: string;
  /** The key that the holder must prove to have: a public JWK and its RFC 7638 thumbprint. */
  readonly binding: { readonly key: object; readonly thumbprint: string } | undefined;
}

/**
 * Writes a new grant, and counts it as alive on those above it.
 *
 * @throws Problem `not_found` when there is no such treasury.
 */
export async function mintGrant(tx: ClientBase, order: NewGrant, now: Date): Promise<GrantRecord> {
  const { terms, treasuryId, parent, binding } = order;
  const id = newId('grt');
  const { rows } = await tx.query(
    `INSERT INTO grants AS g (treasury_id, id, parent_id, root_id, path, depth, holder, currency,
       budget, max_per_payment, max_payments, windows, approval_above, scope, starts_at, expires_at,
       delegation_depth, funding, purpose, labels, minted_by, mint_key, mint_hash, created_at,
       holder_key, holder_key_thumbprint, approve_new_payees, breaker_refusals, breaker_seconds)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
       $21, $22, $23, $24, $25, $26, $27, $28, $29 FROM treasuries t WHERE t.id = $1
     RETURNING ${GRANT_COLUMNS}`,
    [
      treasuryId,
      id,
      parent?.id ?? null,
      parent?.rootId ?? id,
      [...(parent?.path ?? []), id],
      parent ? parent.depth + 1 : 0,
      order.holder,
      terms.currency,
      terms.budget.toString(),
      terms.maxPerPayment?.toString() ?? null,
      terms.maxPayments ?? null,
      JSON.stringify(windowsJson(terms.windows)),
      terms.approvalAbove?.toString() ?? null,
      JSON.stringify(terms.scope),
      terms.startsAt,
      terms.expiresAt,
      terms.delegationDepth,
      order.funding,
      order.purpose ?? null,
      JSON.stringify(order.labels ?? {}),
      order.mintedBy,
      order.mintKey ?? null,
      order.mintHash,
      now,
      binding === undefined ? null : JSON.stringify(binding.key),
      binding?.thumbprint ?? null,
      terms.approveNewPayees,
      terms.breaker?.refusals ?? null,
      terms.breaker?.seconds ?? null,
    ],
  );
  if (!rows[0]) throw new Problem('not_found', `no treasury ${treasuryId}`);
  await tx.query(
    'UPDATE grants SET alive = alive + 1 WHERE treasury_id = $1 AND id = ANY ($2::text[])',
    [treasuryId, parent?.path ?? []],
  );
  return toGrantRecord(rows[0]);
}

/**
 * Ends a grant that is not revoked, and with it everything below. It writes the grant's own row and its ancestors'
 * counters, however large the tree below is.
 *
 * @param ended - how many grants end by it: 0 below a revoked one, where they are not counted as alive any more.
 */
export async function endGrant(
  tx: ClientBase,
  grant: GrantRecord,
  ended: number,
  reason: string | undefined,
  now: Date,
): Promise<void> {
  const { treasuryId, id } = grant;
  await tx.query(
    `UPDATE grants SET alive = alive - $3 WHERE treasury_id = $1 AND id = ANY ($2::text[])`,
    [treasuryId, grant.path, ended],
  );
  await tx.query(
    `UPDATE grants SET status = 'revoked', suspended_by = NULL, revoked_at = $3, status_reason = $4,
       returns_below = $5
     WHERE treasury_id = $1 AND id = $2`,
    [treasuryId, id, now, reason ?? null, await hasCarveOutsBelow(tx, grant)],
  );
}

/** Writes the status of a grant that was paused or resumed, and by whom. */
export async function writeStatus(
  tx: ClientBase,
  { treasuryId, id, status, suspendedBy }: GrantRecord,
  reason: string | undefined,
): Promise<void> {
  await tx.query(
    `UPDATE grants SET status = $3, suspended_by = $4, status_reason = $5
     WHERE treasury_id = $1 AND id = $2`,
    [treasuryId, id, status, suspendedBy ?? null, reason ?? null],
  );
}

/**
 * Ends the tokens of a grant: only those of the next generation work from now on.
 *
 * @returns whether it did: a grant of another generation has a newer token, which goes on working.
 */
export async function replaceToken(
  tx: ClientBase,
  { treasuryId, id, tokenGeneration }: Pick<GrantRecord, 'treasuryId' | 'id' | 'tokenGeneration'>,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE grants SET token_generation = token_generation + 1
     WHERE treasury_id = $1 AND id = $2 AND token_generation = $3`,
    [treasuryId, id, tokenGeneration],
  );
  return rowCount === 1;
}
