import type { ClientBase, Pool } from 'pg';
import { type Bound, tooMany } from '../domain/bounds.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow, type GrantRecord, lockChains } from './grant-rows.js';

/** A raise that a holder asks for. Amounts are atomic units. */
export interface GrantRequestRecord {
  readonly treasuryId: string;
  readonly id: string;
  readonly grantId: string;
  readonly status: 'pending' | 'approved' | 'rejected';
  readonly budget: bigint;
  readonly expiresAt: Date | undefined;
  readonly reason: string;
  readonly createdAt: Date;
  readonly lapsesAt: Date;
  readonly decidedAt: Date | undefined;
  /** Named as events name actors. */
  readonly decidedBy: string | undefined;
  readonly decidedReason: string | undefined;
}

/** The columns that {@link toGrantRequest} reads, of a table aliased `r`. */
export const REQUEST_COLUMNS = `r.treasury_id, r.id, r.grant_id, r.status, r.budget, r.expires_at, r.reason,
  r.created_at, r.lapses_at, r.decided_at, r.decided_by, r.decided_reason`;

interface RequestRow {
  treasury_id: string;
  id: string;
  grant_id: string;
  status: GrantRequestRecord['status'];
  budget: string;
  expires_at: Date | null;
  reason: string;
  created_at: Date;
  lapses_at: Date;
  decided_at: Date | null;
  decided_by: string | null;
  decided_reason: string | null;
}

/** Reads one row of {@link REQUEST_COLUMNS}. */
export function toGrantRequest(row: RequestRow): GrantRequestRecord {
  return {
    treasuryId: row.treasury_id,
    id: row.id,
    grantId: row.grant_id,
    status: row.status,
    budget: BigInt(row.budget),
    expiresAt: row.expires_at ?? undefined,
    reason: row.reason,
    createdAt: row.created_at,
    lapsesAt: row.lapses_at,
    decidedAt: row.decided_at ?? undefined,
    decidedBy: row.decided_by ?? undefined,
    decidedReason: row.decided_reason ?? undefined,
  };
}

/** Reads one request by its id. Its columns but those of the decision never change. */
export async function findGrantRequest(
  pool: Pool | ClientBase,
  id: string,
): Promise<GrantRequestRecord | undefined> {
  const { rows } = await pool.query<RequestRow>(
    `SELECT ${REQUEST_COLUMNS} FROM grant_requests r WHERE r.id = $1`,
    [id],
  );
  return rows[0] && toGrantRequest(rows[0]);
}

/** Raise that a holder asks for. */
export interface NewRequest extends Pick<GrantRequestRecord, 'budget' | 'expiresAt' | 'reason'> {
  readonly actor: string;
  readonly httpRequestId: string;
  readonly lapsesAt: Date;
  readonly bound: Bound;
}

/**
 * Opens a request of a grant whose chain is locked.
 *
 * @returns it, and its event.
 * @throws Problem `conflict` while another one of the grant is open, `rate_limited` when too many are.
 */
export async function openRequest(
  tx: ClientBase,
  grant: GrantRecord,
  asking: NewRequest,
  now: Date,
): Promise<{ request: GrantRequestRecord; event: NewEvent }> {
  const { treasuryId, id: grantId, rootId } = grant;
  await lapseIn(tx, treasuryId, [grantId], now);
  await requireRoom(tx, grant, asking.bound);
  const request: GrantRequestRecord = {
    treasuryId,
    id: newId('grq'),
    grantId,
    status: 'pending',
    budget: asking.budget,
    expiresAt: asking.expiresAt,
    reason: asking.reason,
    createdAt: now,
    lapsesAt: asking.lapsesAt,
    decidedAt: undefined,
    decidedBy: undefined,
    decidedReason: undefined,
  };
  await tx.query(
    `INSERT INTO grant_requests (treasury_id, id, grant_id, root_id, budget, expires_at, reason, created_at, lapses_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      treasuryId,
      request.id,
      grantId,
      rootId,
      request.budget.toString(),
      request.expiresAt ?? null,
      request.reason,
      now,
      request.lapsesAt,
    ],
  );
  const event: NewEvent = {
    treasuryId,
    kind: 'grant_request.created',
    actor: asking.actor,
    grantId,
    requestId: asking.httpRequestId,
    reason: asking.reason,
    data: {
      grantRequestId: request.id,
      budget: request.budget.toString(),
      expiresAt: request.expiresAt?.toISOString() ?? null,
      lapsesAt: request.lapsesAt.toISOString(),
    },
  };
  await appendEvents(tx, now, [event]);
  return { request, event };
}

/** @throws Problem when the grant has an open request, or its tree or treasury has too many. */
async function requireRoom(
  tx: ClientBase,
  { treasuryId, id: grantId, rootId }: GrantRecord,
  bound: NewRequest['bound'],
): Promise<void> {
  const { rows } = await tx.query<{ own: string | null; of_root: string; of_treasury: string }>(
    `SELECT min(id) FILTER (WHERE grant_id = $2) AS own, count(*) FILTER (WHERE root_id = $3) AS of_root,
       count(*) AS of_treasury
     FROM grant_requests WHERE treasury_id = $1 AND status = 'pending'`,
    [treasuryId, grantId, rootId],
  );
  const [open] = rows;
  if (open?.own) {
    throw new Problem(
      'conflict',
      `grant ${grantId} has an open request already, ${open.own}; wait for its decision`,
      { grantId },
    );
  }
  const isRootFull = Number(open?.of_root) >= bound.root;
  if (isRootFull || Number(open?.of_treasury) >= bound.treasury) {
    const full = isRootFull
      ? { grantId: rootId, limit: bound.root }
      : { grantId: undefined, limit: bound.treasury };
    throw tooMany(full, 'requests wait for a decision', grantId, 60);
  }
}

/** Actor who decides about a request, and the reason. */
export interface RequestVerdict {
  readonly status: 'approved' | 'rejected';
  readonly actor: string;
  readonly reason: string | undefined;
  readonly httpRequestId: string | undefined;
}

/** Ends requests of grants that are locked. @returns them as they are then. */
export async function endRequests(
  tx: ClientBase,
  requests: readonly GrantRequestRecord[],
  { status, actor, reason, httpRequestId }: RequestVerdict,
  now: Date,
): Promise<GrantRequestRecord[]> {
  if (requests.length === 0) return [];
  await tx.query(
    `UPDATE grant_requests SET status = $3, decided_at = $4, decided_by = $5, decided_reason = $6
     WHERE treasury_id = $1 AND id = ANY ($2::text[])`,
    [requests[0]?.treasuryId, requests.map(({ id }) => id), status, now, actor, reason ?? null],
  );
  await appendEvents(
    tx,
    now,
    requests.map(({ treasuryId, id, grantId }) => ({
      treasuryId,
      kind: `grant_request.${status}` as const,
      actor,
      grantId,
      requestId: httpRequestId,
      reason,
      data: { grantRequestId: id },
    })),
  );
  return requests.map((each) => ({
    ...each,
    status,
    decidedAt: now,
    decidedBy: actor,
    decidedReason: reason,
  }));
}

/** How many requests lapse in one transaction. */
const LAPSE_BATCH = 1_000;

const LAPSED: RequestVerdict = {
  status: 'rejected',
  actor: 'system:grants',
  reason: 'nobody decided about it in time',
  httpRequestId: undefined,
};

/** Grants with requests that nobody decided about in time, of one treasury. */
export async function lapsingRequests(
  pool: Pool,
): Promise<{ readonly treasuryId: string; readonly grantIds: readonly string[] }[]> {
  const { rows } = await pool.query<{ treasury_id: string; grant_ids: string[] }>(
    `SELECT treasury_id, array_agg(grant_id) AS grant_ids FROM (
       SELECT treasury_id, grant_id FROM grant_requests
       WHERE status = 'pending' AND lapses_at <= now() ORDER BY lapses_at LIMIT ${LAPSE_BATCH}) r
     GROUP BY treasury_id`,
  );
  return rows.map(({ treasury_id, grant_ids }) => ({
    treasuryId: treasury_id,
    grantIds: grant_ids,
  }));
}

/** Ends the requests of grants that nobody decided about in time. */
export async function lapseRequests(
  tx: ClientBase,
  treasuryId: string,
  grantIds: readonly string[],
): Promise<void> {
  await lockChains(tx, treasuryId, grantIds);
  await lapseIn(tx, treasuryId, grantIds, await databaseNow(tx));
}

async function lapseIn(
  tx: ClientBase,
  treasuryId: string,
  grantIds: readonly string[],
  now: Date,
): Promise<void> {
  const { rows } = await tx.query<RequestRow>(
    `SELECT ${REQUEST_COLUMNS} FROM grant_requests r
     WHERE r.treasury_id = $1 AND r.grant_id = ANY ($2::text[]) AND r.status = 'pending' AND r.lapses_at <= $3`,
    [treasuryId, grantIds, now],
  );
  await endRequests(tx, rows.map(toGrantRequest), LAPSED, now);
}
