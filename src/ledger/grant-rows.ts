import type { ClientBase, Pool } from 'pg';
import type { Conditions } from '../database/conditions.js';
import type { Counters } from '../domain/charge.js';
import type { AmendableTerms, GrantSnapshot } from '../domain/grant.js';
import type { Window, WindowUsage } from '../domain/window.js';
import {
  amount,
  arrays,
  arrayWriter,
  asJson,
  bigint,
  blank,
  columnNames,
  count,
  json,
  optional,
  plain,
  reader,
  readerOver,
  selected,
  type Table,
} from './columns.js';

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

/** Counters of a grant: changed by every payment and every carve-out of its subtree. */
type CountedGrant = Counters & Pick<GrantState, 'lastValidBefore' | 'waiting'>;

// How each member of a grant is stored: a new one is a line here, for locking, reading, minting and amending alike.

const AMENDABLE: Table<AmendableTerms> = {
  budget: amount('budget'),
  maxPerPayment: optional(amount('max_per_payment')),
  maxPayments: optional(plain('max_payments', 'int')),
  approvalAbove: optional(amount('approval_above')),
  expiresAt: plain('expires_at', 'timestamptz'),
};

const COUNTED: Table<CountedGrant> = {
  reserved: amount('reserved'),
  spent: amount('spent'),
  allocated: amount('allocated'),
  payments: count('payments'),
  openPayments: count('open_payments'),
  lastValidBefore: bigint('last_valid_before'),
  windowUsage: json<UsageJson[], readonly WindowUsage[]>('window_usage', readUsage, usageJson),
  waiting: plain('waiting', 'int'),
};

const STATE: Table<GrantState> = {
  ...AMENDABLE,
  ...COUNTED,
  status: plain('status', 'text'),
  suspendedBy: optional(plain('suspended_by', 'text')),
  tokenGeneration: plain('token_generation', 'int'),
  alive: plain('alive', 'int'),
  returnedAt: optional(plain('returned_at', 'timestamptz')),
};

const FIXED: Table<FixedGrant> = {
  treasuryId: plain('treasury_id', 'text'),
  id: plain('id', 'text'),
  parentId: optional(plain('parent_id', 'text')),
  rootId: plain('root_id', 'text'),
  path: plain('path', 'text[]'),
  depth: plain('depth', 'int'),
  holder: plain('holder', 'text'),
  currency: plain('currency', 'text'),
  windows: json<WindowJson[], readonly Window[]>('windows', readWindows, windowsJson),
  scope: asJson('scope'),
  startsAt: plain('starts_at', 'timestamptz'),
  delegationDepth: plain('delegation_depth', 'int'),
  funding: plain('funding', 'text'),
  holderKey: optional(asJson('holder_key')),
  holderKeyThumbprint: optional(plain('holder_key_thumbprint', 'text')),
  mintedBy: plain('minted_by', 'text'),
  mintHash: optional(plain('mint_hash', 'text')),
  createdAt: plain('created_at', 'timestamptz'),
  approveNewPayees: plain('approve_new_payees', 'boolean'),
  // Both columns are filled, or none: the CHECK `grants_breaker`.
  breaker: {
    columns: { breaker_refusals: 'int', breaker_seconds: 'int' },
    read: ({ breaker_refusals: refusals, breaker_seconds: seconds }) =>
      refusals === null || seconds === null
        ? undefined
        : { refusals: refusals as number, seconds: seconds as number },
    write: (breaker) => [breaker?.refusals ?? null, breaker?.seconds ?? null],
  },
};

/** Texts that a minter gives a grant; no decision is made by it. */
const SAID: Table<Pick<GrantRecord, 'purpose' | 'labels'>> = {
  purpose: optional(plain('purpose', 'text')),
  labels: asJson('labels'),
};

/** The members that a minting fixes; all others begin as the table's defaults. */
export const MINTED = { ...FIXED, ...AMENDABLE, ...SAID };

/** The members that an amendment writes. */
export const AMENDED = { ...AMENDABLE, ...SAID };

const RECORD: Table<GrantRecord> = { ...FIXED, ...STATE, ...SAID };

/** The columns {@link toGrantRecord} reads, of a table aliased `g`. */
export const GRANT_COLUMNS = selected(RECORD, 'g');

/** Reads one row of {@link GRANT_COLUMNS}. */
export const toGrantRecord = reader(RECORD);

const FIXED_COLUMNS = selected(FIXED, 'g');
const STATE_COLUMNS = selected(STATE, 'g');
const toFixedGrant = readerOver(FIXED);
const toLockedGrant = readerOver(STATE);

/** A grant of which nothing is read yet. The state of a {@link FixedGrant} is put where this one's is. */
const BLANK = blank<FixedGrant & GrantState>({ ...FIXED, ...STATE });

/** The JSON that the `windows` column holds, and that events show. */
export function windowsJson(windows: readonly Window[]): WindowJson[] {
  return windows.map(({ seconds, amount, payments }) => ({
    seconds,
    amount: amount?.toString() ?? null,
    payments: payments ?? null,
  }));
}

function readWindows(windows: readonly WindowJson[]): Window[] {
  return windows.map(({ seconds, amount, payments }) => ({
    seconds,
    amount: amount === null ? undefined : BigInt(amount),
    payments: payments ?? undefined,
  }));
}

function readUsage(usage: readonly UsageJson[]): WindowUsage[] {
  return usage.map(({ period, amount, payments }) => ({
    period,
    amount: BigInt(amount),
    payments,
  }));
}

function usageJson(usage: readonly WindowUsage[]): UsageJson[] {
  return usage.map(({ period, amount, payments }) => ({
    period,
    amount: amount.toString(),
    payments,
  }));
}

const COUNTERS_BY_ID = { id: FIXED.id, ...COUNTED };
const countersOf = arrayWriter<CountedRow>(COUNTERS_BY_ID);

/** Writes the counters of grants that are locked, each as it was computed under the lock. */
export const COUNTERS = {
  sql: `UPDATE grants g SET ${columnNames(COUNTED)
    .map((name) => `${name} = c.${name}`)
    .join(', ')}
    FROM unnest(${arrays(COUNTERS_BY_ID, 2)}) AS c (${columnNames(COUNTERS_BY_ID).join(', ')}),
      LATERAL (${byId('f.ctid AS row, f.id', '$1', 'c.id')}) l
    WHERE l.id = c.id AND g.ctid = l.row`,
  values: (treasuryId: string, grants: readonly CountedRow[]) => [
    treasuryId,
    ...countersOf(grants),
  ],
};

type CountedRow = CountedGrant & Pick<GrantRecord, 'id'>;

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
  grants: readonly CountedRow[],
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
  const { rows } = await tx.query(
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
 *
 * @param known - by id.
 * @returns the grants by id; without those that do not exist.
 */
export async function lockKnown(
  tx: ClientBase,
  treasuryId: string,
  known: ReadonlyMap<string, FixedGrant>,
): Promise<Map<string, LockedGrant>> {
  const { rows } = await tx.query<{ id: string }>({
    name: 'lock-states',
    text: `SELECT g.id, ${STATE_COLUMNS} FROM unnest($2::text[]) AS k (id),
       LATERAL (${byId('*', '$1', 'k.id')} FOR NO KEY UPDATE) g WHERE g.id = k.id`,
    values: [treasuryId, [...known.keys()].sort()],
  });
  const grants = new Map<string, LockedGrant>();
  for (const row of rows) {
    const fixed = known.get(row.id);
    if (fixed) grants.set(row.id, toLockedGrant(row, fixed));
  }
  return grants;
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
  const { rows } = await pool.query(`SELECT ${GRANT_COLUMNS} FROM grants g WHERE g.id = $1`, [id]);
  return rows[0] && toGrantRecord(rows[0]);
}

/** Reads grants by conditions on `grants g`, a parent before its children. */
export async function findGrants(
  pool: Pick<Pool, 'query'>,
  conditions: Conditions,
  limit: number,
): Promise<GrantRecord[]> {
  const { rows } = await pool.query(
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
  const { rows } = await tx.query(
    `SELECT ${FIXED_COLUMNS} FROM grants g WHERE g.treasury_id = $1 AND g.id = ANY ($2::text[])`,
    [treasuryId, ids],
  );
  return new Map(rows.map((row) => [row.id, toFixedGrant(row, BLANK)]));
}

/** Reads grants without locking them: for showing, never for deciding. */
export async function readGrants(
  pool: Pool | ClientBase,
  treasuryId: string,
  ids: readonly string[],
): Promise<Map<string, GrantRecord>> {
  const { rows } = await pool.query(
    `SELECT ${GRANT_COLUMNS} FROM grants g WHERE g.treasury_id = $1 AND g.id = ANY ($2::text[])`,
    [treasuryId, ids],
  );
  return new Map(rows.map((row) => [row.id, toGrantRecord(row)]));
}

/**
 * The database's time now (not the transaction's start): what policy is decided by. Read it after the locks, so that
 * waiting for one does not make a decision look earlier than it is.
 */
export async function databaseNow(tx: Pool | ClientBase): Promise<Date> {
  const sql = `SELECT date_trunc('milliseconds', clock_timestamp()) AS now`;
  const [row] = (await tx.query<{ now: Date }>(sql)).rows;
  if (!row) throw new Error('the database did not tell the time');
  return row.now;
}
