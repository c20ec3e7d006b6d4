import type { ClientBase } from 'pg';
import type { Funding, GrantTerms } from '../domain/grant.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { hasCarveOutsBelow } from './carve-outs.js';
import { columnNames, valuesOf } from './columns.js';
import { GRANT_COLUMNS, type GrantRecord, MINTED, toGrantRecord } from './grant-rows.js';

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
  readonly binding:
    | { readonly key: Readonly<Record<string, string>>; readonly thumbprint: string }
    | undefined;
}

/**
 * Writes a new grant, and counts it as alive on those above it.
 *
 * @throws Problem `not_found` when there is no such treasury.
 */
export async function mintGrant(tx: ClientBase, order: NewGrant, now: Date): Promise<GrantRecord> {
  const { terms, treasuryId, parent, binding } = order;
  const id = newId('grt');
  const names = columnNames(MINTED);
  const { rows } = await tx.query(
    `INSERT INTO grants AS g (mint_key, ${names.join(', ')})
     SELECT $2, ${names.map((_, place) => `$${place + 3}`).join(', ')}
     FROM treasuries t WHERE t.id = $1 RETURNING ${GRANT_COLUMNS}`,
    [
      treasuryId,
      order.mintKey ?? null,
      ...valuesOf(MINTED, {
        ...terms,
        treasuryId,
        id,
        parentId: parent?.id,
        rootId: parent?.rootId ?? id,
        path: [...(parent?.path ?? []), id],
        depth: parent ? parent.depth + 1 : 0,
        holder: order.holder,
        funding: order.funding,
        purpose: order.purpose,
        labels: order.labels ?? {},
        mintedBy: order.mintedBy,
        mintHash: order.mintHash,
        createdAt: now,
        holderKey: binding?.key,
        holderKeyThumbprint: binding?.thumbprint,
      }),
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
