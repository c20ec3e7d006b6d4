import type { ClientBase, Pool } from 'pg';
import type { Conditions } from '../database/conditions.js';
import type { Breaker } from '../domain/breaker.js';
import type { ChargedGrant, Counters } from '../domain/charge.js';
import type { AmendableTerms, Funding, GrantSnapshot } from '../domain/grant.js';
import type { Scope } from '../domain/scope.js';
import type { Window, WindowUsage } from '../domain/window.js';

/** State of a grant that changes after minting: read under its lock for every decision. */
export interface GrantState extends Counters, AmendableTerms {
  readonly status: GrantSnapshot['status'];
  /** Actor who suspended it; undefined unless it is suspended itself. */
  readonly suspendedBy: string | undefined;
  /** Tokens of an earlier generation no longer identify the grant. */
  readonly tokenGeneration: number;
  /** Grants of the subtree, itself included, that were neither revoked nor counted out after their end. */
  readonly alive: number;
  /** Payments of the subtree that wait for an approval or to be collected. */
  readonly waiting: number;
  /** When a carve-out's unused money went back to the grants above. */
  readonly returnedAt: Date | undefined;
  /** No open payment of the subtree is valid longer; unix seconds. */
  readonly lastValidBefore: bigint;
}

/** A grant as locked for a decision. */
export interface LockedGrant extends GrantSnapshot, GrantState {
  readonly treasuryId: string;
  readonly parentId: string | undefined;
  readonly rootId: string;
  /** Ancestors from the root down, the grant itself last. */
  readonly path: readonly string[];
  readonly depth: number;
  readonly holder: string;
  /** The holder's public JWK and its RFC 7638 thumbprint, where the grant is bound to a key. */
  readonly holderKey: Readonly<Record<string, string>> | undefined;
  readonly holderKeyThumbprint: string | undefined;
  /** Actor who minted it, as events name actors. */
  readonly mintedBy: string;
  readonly mintHash: string | undefined;
  readonly createdAt: Date;
}

/** Part of a grant that never changes after minting: the trigger `grants_no_rewrite` refuses it. */
export type FixedGrant = Omit<LockedGrant, keyof GrantState>;

/** A grant as stored: everything that a decision is made over, and what its minter says of it. */
export interface GrantRecord extends LockedGrant {
  readonly purpose: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

const STATE_COLUMNS = `g.status, g.suspended_by, g.token_generation, g.alive, g.returned_at, g.budget,
  g.max_per_payment, g.max_payments, g.approval_above, g.expires_at, g.reserved,
  g.spent, g.allocated, g.payments, g.open_payments, g.waiting, g.last_valid_before, g.window_usage`;

const FIXED_COLUMNS = `g.treasury_id, g.id, g.parent_id, g.root_id, g.path, g.depth, g.holder,
  g.currency, g.windows, g.scope, g.starts_at, g.delegation_depth, g.funding, g.holder_key,
  g.holder_key_thumbprint, g.minted_by, g.mint_hash, g.created_at, g.approve_new_payees,
  g.breaker_refusals, g.breaker_seconds`;

/** The columns {@link toGrantRecord} reads, of a table aliased `g`. NUMERIC comes as text. */
export const GRANT_COLUMNS = `${FIXED_COLUMNS}, ${STATE_COLUMNS}, g.purpose, g.labels`;

interface StateRow {
  id: string;
  status: GrantSnapshot['status'];
  suspended_by: string | null;
  token_generation: number;
  alive: number;
  returned_at: Date | null;
  budget: string;
  max_per_payment: string | null;
  max_payments: number | null;
  approval_above: string | null;
  expires_at: Date;
  reserved: string;
  spent: string;
  allocated: string;
  payments: string;
  open_payments: string;
  waiting: number;
  last_valid_before: string;
  window_usage: UsageJson[];
}

interface FixedRow {
  treasury_id: string;
  id: string;
  parent_id: string | null;
  root_id: string;
  path: string[];
  depth: number;
  holder: string;
  currency: string;
  windows: WindowJson[];
  scope: Scope;
  starts_at: Date;
  delegation_depth: number;
  funding: Funding;
  holder_key: Record<string, string> | null;
  holder_key_thumbprint: string | null;
  minted_by: string;
  mint_hash: string | null;
  created_at: Date;
  approve_new_payees: boolean;
  breaker_refusals: number | null;
  breaker_seconds: number | null;
}

interface GrantRow extends FixedRow, StateRow {
  id: string;
  purpose: string | null;
  labels: Record<string, string>;
}

/** A window as its column holds it: amounts as atomic decimal strings. */
interface WindowJson {
  seconds: number;
  amount: string | null;
  payments: number | null;
}

/** A window's usage as its column holds it. */
interface UsageJson {
  period: number;
  amount: string;
  payments: number;
}

/** Reads one row of {@link GRANT_COLUMNS}. */
export function toGrantRecord(row: GrantRow): GrantRecord {
  return {
    ...toFixedGrant(row),
    ...toGrantState(row),
    purpose: row.purpose ?? undefined,
    labels: row.labels,
  };
}

function toFixedGrant(row: FixedRow): FixedGrant {
  return {
    treasuryId: row.treasury_id,
    id: row.id,
    parentId: row.parent_id ?? undefined,
    rootId: row.root_id,
    path: row.path,
    depth: row.depth,
    holder: row.holder,
    currency: row.currency,
    windows: row.windows.map(({ seconds, amount, payments }) => ({
      seconds,
      amount: amount === null ? undefined : BigInt(amount),
      payments: payments ?? undefined,
    })),
    scope: row.scope,
    startsAt: row.starts_at,
    delegationDepth: row.delegation_depth,
    funding: row.funding,
    holderKey: row.holder_key ?? undefined,
    holderKeyThumbprint: row.holder_key_thumbprint ?? undefined,
    mintedBy: row.minted_by,
    mintHash: row.mint_hash ?? undefined,
    createdAt: row.created_at,
    approveNewPayees: row.approve_new_payees,
    breaker: toBreaker(row),
  };
}

/** Both members are there, or none: the CHECK `grants_breaker`. */
function toBreaker({ breaker_refusals, breaker_seconds }: FixedRow): Breaker | undefined {
  if (breaker_refusals === null || breaker_seconds === null) return undefined;
  return { refusals: breaker_refusals, seconds: breaker_seconds };
}

function toGrantState(row: StateRow): GrantState {
  return {
    status: row.status,
    suspendedBy: row.suspended_by ?? undefined,
    tokenGeneration: row.token_generation,
    alive: row.alive,
    returnedAt: row.returned_at ?? undefined,
    budget: BigInt(row.budget),
    maxPerPayment: row.max_per_payment === null ? undefined : BigInt(row.max_per_payment),
    maxPayments: row.max_payments ?? undefined,
    approvalAbove: row.approval_above === null ? undefined : BigInt(row.approval_above),
    expiresAt: row.expires_at,
    reserved: BigInt(row.reserved),
    spent: BigInt(row.spent),
    allocated: BigInt(row.allocated),
    payments: Number(row.payments),
    openPayments: Number(row.open_payments),
    waiting: row.waiting,
    lastValidBefore: BigInt(row.last_valid_before),
    windowUsage: row.window_usage.map(({ period, amount, payments }) => ({
      period,
      amount: BigInt(amount),
      payments,
    })),
  };
}

/** The JSON that the `windows` column holds, and that events show. */
export function windowsJson(windows: readonly Window[]): WindowJson[] {
  return windows.map(({ seconds, amount, payments }) => ({
    seconds,
    amount: amount?.toString() ?? null,
    payments: payments ?? null,
  }));
}

function usageJson(usage: readonly WindowUsage[]): UsageJson[] {
  return usage.map(({ period, amount, payments }) => ({
    period,
    amount: amount.toString(),
    payments,
  }));
}

type CountedGrant = ChargedGrant & Pick<GrantRecord, 'id' | 'lastValidBefore' | 'waiting'>;

/** Writes the counters of grants that are locked, each as it was computed under the lock. */
export const COUNTERS = {
  sql: `UPDATE grants g SET reserved = c.reserved, spent = c.spent, allocated = c.allocated,
      payments = c.payments, open_payments = c.open, last_valid_before = c.last, window_usage = c.usage,
      waiting = c.waiting
    FROM unnest($2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::bigint[], $7::bigint[],
      $8::bigint[], $9::jsonb[], $10::int[])
      AS c (id, reserved, spent, allocated, payments, open, last, usage, waiting),
      LATERAL (${byId('f.ctid AS row, f.id', '$1', 'c.id')}) l
    WHERE l.id = c.id AND g.ctid = l.row`,
  values: (treasuryId: string, grants: readonly CountedGrant[]) => [
    treasuryId,
    grants.map(({ id }) => id),
    grants.map(({ reserved }) => reserved.toString()),
    grants.map(({ spent }) => spent.toString()),
    grants.map(({ allocated }) => allocated.toString()),
    grants.map(({ payments }) => payments),
    grants.map(({ openPayments }) => openPayments),
    grants.map(({ lastValidBefore }) => lastValidBefore.toString()),
    grants.map(({ windowUsage }) => JSON.stringify(usageJson(windowUsage))),
    grants.map(({ waiting }) => waiting),
  ],
};

/**
 * SQL that finds a grant by its id: the first from this one on, which is this one when it exists. A way
 * of asking that only an index over ids can answer, whatever Postgres takes the table for: a plan that is
 * made while there are ten grants must not read all of a million.
 */
function byId(columns: string, treasuryId: string, id: string): string {
  return `SELECT ${columns} FROM grants f WHERE f.treasury_id = ${treasuryId} AND f.id >= ${id}
      ORDER BY f.id LIMIT 1`;
}

/** Writes the counters of grants that are locked, see {@link COUNTERS}. */
export async function writeCounters(
  tx: ClientBase,
  treasuryId: string,
  grants: readonly CountedGrant[],
): Promise<void> {
  if (grants.length === 0) return;
  await tx.query(COUNTERS.sql, COUNTERS.values(treasuryId, grants));
}

/**
 * Locks grants and all their ancestors until the transaction ends, and reads them as they are then.
 *
 * Every transaction that locks grants does so in id order, so that two chains that share ancestors
 * queue up instead of deadlocking. NO KEY: rows that merely refer to a grant need not wait.
 *
 * @returns the grants by id; without those that do not exist.
 */
export async function lockChains(
  tx: ClientBase,
  treasuryId: string,
  grantIds: readonly string[],
): Promise<Map<string, GrantRecord>> {
  const { rows } = await tx.query<GrantRow>(
    `SELECT ${GRANT_COLUMNS} FROM grants g
     WHERE g.treasury_id = $1
       AND g.id IN (SELECT unnest(path) FROM grants WHERE treasury_id = $1 AND id = ANY ($2::text[]))
     ORDER BY g.id FOR NO KEY UPDATE`,
    [treasuryId, grantIds],
  );
  return new Map(rows.map((row) => [row.id, toGrantRecord(row)]));
}

/**
 * The chain of one of the grants that {@link lockChains} read: from the root down, the grant itself
 * last; empty when there is no such grant.
 */
export function chainOf(grants: ReadonlyMap<string, GrantRecord>, grantId: string): GrantRecord[] {
  const path = grants.get(grantId)?.path ?? [];
  return path.map((id) => {
    const grant = grants.get(id);
    if (!grant) throw new Error(`grant ${grantId} has an ancestor ${id} that was not read`);
    return grant;
  });
}

/** Locks one grant and all its ancestors, see {@link lockChains}. */
export async function lockChain(
  tx: ClientBase,
  treasuryId: string,
  grantId: string,
): Promise<GrantRecord[]> {
  return chainOf(await lockChains(tx, treasuryId, [grantId]), grantId);
}

/**
 * Locks grants whose fixed terms are known already, and reads what of them may have changed. In the order of
 * every other lock on grants, see {@link lockChains}.
 */
export async function lockStates(
  tx: ClientBase,
  treasuryId: string,
  ids: readonly string[],
): Promise<Map<string, GrantState>> {
  const { rows } = await tx.query<StateRow>({
    name: 'lock-states',
    text: `SELECT g.id, ${STATE_COLUMNS} FROM unnest($2::text[]) AS k (id),
       LATERAL (${byId('*', '$1', 'k.id')} FOR NO KEY UPDATE) g WHERE g.id = k.id`,
    values: [treasuryId, [...ids].sort()],
  });
  return new Map(rows.map((row) => [row.id, toGrantState(row)]));
}

/**
 * SQL for "the grant aliased `g` is the one of this id, or below it", as a range of the index over
 * lineages: everything below a grant stands between its own and the text that comes just after all that
 * begin with it. Ids are of one length and one alphabet, so this holds in every collation.
 *
 * @param placeholder - of the id's parameter, such as `$1`.
 */
export function inSubtree(placeholder: string): string {
  const of = (what: string) => `(SELECT ${what} FROM grants WHERE id = ${placeholder}::text)`;
  return `g.treasury_id = ${of('treasury_id')} AND g.lineage >= ${of('lineage')}
    AND g.lineage < ${of("lineage || 'z'")}`;
}

/** Reads one grant by its id alone, without locking it. */
export async function findGrant(
  pool: Pick<Pool, 'query'>,
  id: string,
): Promise<GrantRecord | undefined> {
  const { rows } = await pool.query<GrantRow>(
    `SELECT ${GRANT_COLUMNS} FROM grants g WHERE g.id = $1`,
    [id],
  );
  return rows[0] && toGrantRecord(rows[0]);
}

/** Reads grants by conditions on `grants g`, a parent before its children. */
export async function findGrants(
  pool: Pick<Pool, 'query'>,
  conditions: Conditions,
  limit: number,
): Promise<GrantRecord[]> {
  const { rows } = await pool.query<GrantRow>(
    `SELECT ${GRANT_COLUMNS} FROM grants g ${conditions.where} ORDER BY g.treasury_id, g.lineage LIMIT ${limit}`,
    conditions.values,
  );
  return rows.map(toGrantRecord);
}

/**
 * Adds what {@link inSubtree} says of a grant that is at hand. As parameters the bounds let Postgres
 * know how much they hold, which a page that must not read the whole tree depends on.
 */
export function addSubtree(conditions: Conditions, { treasuryId, path }: GrantRecord): Conditions {
  const lineage = path.join('/');
  return conditions
    .add(treasuryId, (n) => `g.treasury_id = ${n}`)
    .add(lineage, (n) => `g.lineage >= ${n}`)
    .add(`${lineage}z`, (n) => `g.lineage < ${n}`);
}

/** Reads what of grants never changes, without locking them. */
export async function readFixedGrants(
  tx: ClientBase,
  treasuryId: string,
  ids: readonly string[],
): Promise<Map<string, FixedGrant>> {
  const { rows } = await tx.query<FixedRow>(
    `SELECT ${FIXED_COLUMNS} FROM grants g WHERE g.treasury_id = $1 AND g.id = ANY ($2::text[])`,
    [treasuryId, ids],
  );
  return new Map(rows.map((row) => [row.id, toFixedGrant(row)]));
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
