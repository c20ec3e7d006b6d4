import type { ClientBase, Pool } from 'pg';
import type { GrantSnapshot } from '../domain/grant.js';
import type { Scope } from '../domain/scope.js';

/** A grant as stored: its snapshot and everything that does not enter a decision. */
export interface GrantRecord extends GrantSnapshot {
  readonly treasuryId: string;
  readonly parentId: string | undefined;
  readonly rootId: string;
  /** Ancestors from the root down, the grant itself last. */
  readonly path: readonly string[];
  readonly depth: number;
  readonly holder: string;
  readonly funding: 'shared' | 'reserved';
  readonly purpose: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Tokens of an earlier generation no longer identify the grant. */
  readonly tokenGeneration: number;
  /** The holder's public JWK and its RFC 7638 thumbprint, where the grant is bound to a key. */
  readonly holderKey: Readonly<Record<string, string>> | undefined;
  readonly holderKeyThumbprint: string | undefined;
  readonly mintHash: string | undefined;
  readonly createdAt: Date;
}

/** The columns {@link toGrantRecord} reads, of a table aliased `g`. NUMERIC comes as text. */
export const GRANT_COLUMNS = `g.treasury_id, g.id, g.parent_id, g.root_id, g.path, g.depth, g.holder,
  g.currency, g.budget, g.max_per_payment, g.max_payments, g.scope, g.starts_at, g.expires_at,
  g.delegation_depth, g.funding, g.purpose, g.labels, g.status, g.token_generation, g.mint_hash,
  g.holder_key, g.holder_key_thumbprint, g.created_at, g.reserved, g.spent, g.allocated, g.payments`;

interface GrantRow {
  treasury_id: string;
  id: string;
  parent_id: string | null;
  root_id: string;
  path: string[];
  depth: number;
  holder: string;
  currency: string;
  budget: string;
  max_per_payment: string | null;
  max_payments: number | null;
  scope: Scope;
  starts_at: Date;
  expires_at: Date;
  delegation_depth: number;
  funding: 'shared' | 'reserved';
  purpose: string | null;
  labels: Record<string, string>;
  status: GrantSnapshot['status'];
  token_generation: number;
  holder_key: Record<string, string> | null;
  holder_key_thumbprint: string | null;
  mint_hash: string | null;
  created_at: Date;
  reserved: string;
  spent: string;
  allocated: string;
  payments: number;
}

/** Reads one row of {@link GRANT_COLUMNS}. */
export function toGrantRecord(row: GrantRow): GrantRecord {
  return {
    treasuryId: row.treasury_id,
    id: row.id,
    parentId: row.parent_id ?? undefined,
    rootId: row.root_id,
    path: row.path,
    depth: row.depth,
    holder: row.holder,
    currency: row.currency,
    budget: BigInt(row.budget),
    maxPerPayment: row.max_per_payment === null ? undefined : BigInt(row.max_per_payment),
    maxPayments: row.max_payments ?? undefined,
    scope: row.scope,
    startsAt: row.starts_at,
    expiresAt: row.expires_at,
    delegationDepth: row.delegation_depth,
    funding: row.funding,
    purpose: row.purpose ?? undefined,
    labels: row.labels,
    status: row.status,
    tokenGeneration: row.token_generation,
    holderKey: row.holder_key ?? undefined,
    holderKeyThumbprint: row.holder_key_thumbprint ?? undefined,
    mintHash: row.mint_hash ?? undefined,
    createdAt: row.created_at,
    reserved: BigInt(row.reserved),
    spent: BigInt(row.spent),
    allocated: BigInt(row.allocated),
    payments: row.payments,
  };
}

/**
 * Locks a grant and all its ancestors until the transaction ends, and reads them as they are then.
 *
 * Every transaction that locks grants does so in id order, so that two chains that share ancestors
 * queue up instead of deadlocking. NO KEY: rows that merely refer to a grant need not wait.
 *
 * @returns the chain from the root down, the grant itself last; empty when there is no such grant.
 */
export async function lockChain(
  tx: ClientBase,
  treasuryId: string,
  grantId: string,
): Promise<GrantRecord[]> {
  const { rows } = await tx.query<GrantRow>(
    `SELECT ${GRANT_COLUMNS} FROM grants g
     WHERE g.treasury_id = $1
       AND g.id = ANY (SELECT unnest(path) FROM grants WHERE treasury_id = $1 AND id = $2)
     ORDER BY g.id FOR NO KEY UPDATE`,
    [treasuryId, grantId],
  );
  return rows.map(toGrantRecord).sort((a, b) => a.depth - b.depth);
}

/** Reads grants without locking them: for showing, never for deciding. */
export async function readGrants(
  pool: Pool | ClientBase,
  treasuryId: string,
  ids: readonly string[],
): Promise<Map<string, GrantRecord>> {
  const { rows } = await pool.query<GrantRow>(
    `SELECT ${GRANT_COLUMNS} FROM grants g WHERE g.treasury_id = $1 AND g.id = ANY ($2::text[])`,
    [treasuryId, ids],
  );
  return new Map(rows.map((row) => [row.id, toGrantRecord(row)]));
}

/**
 * The database's time now (not the transaction's start): what policy is decided by. Read it after the
 * locks, so that waiting for one does not make a decision look earlier than it is.
 */
export async function databaseNow(tx: Pool | ClientBase): Promise<Date> {
  const { rows } = await tx.query<{ now: Date }>(
    `SELECT date_trunc('milliseconds', clock_timestamp()) AS now`,
  );
  const now = rows[0]?.now;
  if (!now) throw new Error('the database did not tell the time');
  return now;
}
