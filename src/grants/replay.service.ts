import { setImmediate as giveWay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Caller } from '../access/caller.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import type { GrantSnapshot } from '../domain/grant.js';
import { type Currency, currencyOf, formatAmount, parseAmount } from '../domain/money.js';
import {
  type PastPayment,
  type PolicyReplay,
  REPLAYED_AT_ONCE,
  replaySteps,
  type Sum,
} from '../domain/policy-replay.js';
import { Problem } from '../domain/problem.js';
import { parseResource, type Resource, resourcesInScope } from '../domain/scope.js';
import { endOfPeriod, periodAt } from '../domain/window.js';
import { addSubtree, databaseNow, findGrant, type GrantRecord } from '../ledger/grant-rows.js';
import { GrantsService, grantNotFound } from './grants.service.js';
import type { ReplayBody } from './replay.dto.js';
import { scopeOf, windowsOf } from './terms.js';

/** How many payments one replay reads at most. */
const MAX_PAYMENTS = 200_000;

const DAY_MS = 86_400_000;

interface PastRow {
  id: string;
  grant_id: string;
  status: string;
  amount: string;
  network: string;
  pay_to: string;
  request_url: string;
  declared_resource: string | null;
  resource_mismatch: boolean;
  authorized_at: Date;
  approved_at: Date | null;
  ended_at: Date | null;
  is_set_aside: boolean;
}

/** Statuses of payments that gave their money back. */
const GAVE_BACK: ReadonlySet<string> = new Set(['released', 'cancelled']);

/** Tries other terms on payments of the past. */
@Injectable()
export class ReplayService {
  constructor(
    private readonly database: Database,
    private readonly grants: GrantsService,
  ) {}

  /**
   * Decides a grant's payments of the last days anew, under the terms of a body. Changes nothing.
   *
   * @throws Problem `invalid_request` for more than {@link MAX_PAYMENTS}.
   */
  async replay(caller: Caller, id: string, body: ReplayBody) {
    await this.grants.visible(caller, id);
    const { grant, changed, from, now, rows } = await this.read(id, body);
    const currency = currencyOf(grant.currency);
    const readsResources = changed.scope.resources !== undefined;
    const payments: PastPayment[] = [];
    for (const [place, row] of rows.entries()) {
      if (place % REPLAYED_AT_ONCE === 0) await giveWay();
      payments.push(pastPayment(row, readsResources));
    }
    const steps = replaySteps(withoutPayments(changed, rows), payments, currency, from);
    let step = steps.next();
    while (!step.done) {
      await giveWay();
      step = steps.next();
    }
    const byId = new Map(rows.map((row) => [row.id, row]));
    return viewReplay(step.value, {
      ...{ grant, currency, from, now },
      rowOf: (paymentId) => byId.get(paymentId),
    });
  }

  /** The counters and the payments, of one snapshot. */
  private read(id: string, body: ReplayBody) {
    return this.database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const grant = await findGrant(tx, id);
      if (!grant) throw grantNotFound(id);
      const now = await databaseNow(tx);
      const changed = changedBy(body, grant, currencyOf(grant.currency));
      const from = new Date(
        Math.max(now.getTime() - body.days * DAY_MS, grant.createdAt.getTime()),
      );
      const rows = await pastPayments(tx, grant, beginOfWindows(changed, from));
      return { grant, changed, from, now, rows };
    });
  }
}

/** The grant with the terms to try. */
function changedBy(body: ReplayBody, grant: GrantRecord, currency: Currency): GrantRecord {
  const limit = (text: string | null | undefined, field: string, now: bigint | undefined) => {
    if (text === undefined) return now;
    return text === null ? undefined : parseAmount(text, currency, field);
  };
  const { budget, maxPayments, windows, scope } = body;
  return {
    ...grant,
    budget: budget === undefined ? grant.budget : parseAmount(budget, currency, 'budget'),
    maxPerPayment: limit(body.maxPerPayment, 'maxPerPayment', grant.maxPerPayment),
    approvalAbove: limit(body.approvalAbove, 'approvalAbove', grant.approvalAbove),
    maxPayments: maxPayments === undefined ? grant.maxPayments : (maxPayments ?? undefined),
    windows: windows === undefined ? grant.windows : windowsOf(windows, currency),
    // The usage is of the windows that the grant has. The replay fills these anew.
    windowUsage: [],
    scope: scope === undefined ? grant.scope : scopeOf(scope),
  };
}

/** When the first of the windows' periods began that an instant falls into. */
function beginOfWindows({ startsAt, windows }: GrantSnapshot, at: Date): Date {
  const begins = windows.map((window) =>
    endOfPeriod(startsAt, window, periodAt(startsAt, window, at) - 1).getTime(),
  );
  return new Date(Math.min(at.getTime(), ...begins));
}

/** The payments of a grant's subtree that were asked for since an instant and signed, as they were decided. */
async function pastPayments(tx: ClientBase, grant: GrantRecord, since: Date): Promise<PastRow[]> {
  const conditions = addSubtree(new Conditions(), grant);
  const carveOuts = await tx.query<{ id: string }>(
    `SELECT g.id FROM grants g ${conditions.where} AND g.funding = 'reserved'`,
    conditions.values,
  );
  const ids = carveOuts.rows.map((row) => row.id).filter((each) => each !== grant.id);
  conditions.add(since, (n) => `p.created_at >= ${n}`);
  const values = [...conditions.values, ids];
  const { rows } = await tx.query<PastRow>(
    `SELECT p.id, p.grant_id, p.status, p.amount, p.network, p.pay_to, p.request_url, p.declared_resource,
       p.resource_mismatch, p.authorized_at, p.approved_at, p.ended_at, g.path && $${values.length}::text[] AS is_set_aside
     FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
     ${conditions.where} AND p.authorized_at IS NOT NULL
     ORDER BY p.authorized_at, p.id LIMIT ${MAX_PAYMENTS + 1}`,
    values,
  );
  if (rows.length <= MAX_PAYMENTS) return rows;
  throw new Problem(
    'invalid_request',
    `days: more than ${MAX_PAYMENTS} payments were made since ${since.toISOString()}; ask for fewer days, or shorter windows`,
    { field: 'days', limit: String(MAX_PAYMENTS) },
  );
}

function pastPayment(row: PastRow, readsResources: boolean): PastPayment {
  return {
    id: row.id,
    amount: BigInt(row.amount),
    network: row.network,
    payTo: row.pay_to,
    resources: readsResources ? resourcesOf(row) : [],
    at: row.authorized_at,
    gaveBackAt: GAVE_BACK.has(row.status) ? (row.ended_at ?? undefined) : undefined,
    staysCounted: row.status === 'cancelled',
    isSetAside: row.is_set_aside,
    wasApproved: row.approved_at !== null,
  };
}

function resourcesOf(row: PastRow): Resource[] {
  const requested = parseResource(row.request_url);
  if (!requested) return [];
  const declared = row.resource_mismatch ? (row.declared_resource ?? undefined) : undefined;
  return resourcesInScope(requested, declared);
}

/** The grant before its payments: without what they still hold, have spent and count. */
function withoutPayments(grant: GrantRecord, payments: readonly PastRow[]): GrantRecord {
  let held = 0n;
  let counted = 0;
  for (const { status, amount, is_set_aside } of payments) {
    if (status === 'released') continue;
    counted += 1;
    if (status !== 'cancelled' && !is_set_aside) held += BigInt(amount);
  }
  return { ...grant, spent: grant.spent - held, payments: grant.payments - counted };
}

function viewReplay(
  replay: PolicyReplay,
  context: {
    readonly grant: GrantRecord;
    readonly currency: Currency;
    readonly from: Date;
    readonly now: Date;
    readonly rowOf: (paymentId: string) => PastRow | undefined;
  },
) {
  const { grant, currency, from, now, rowOf } = context;
  const sum = ({ payments, amount }: Sum) => ({ payments, amount: formatAmount(amount, currency) });
  return {
    grantId: grant.id,
    from: from.toISOString(),
    to: now.toISOString(),
    allowed: sum(replay.allowed),
    waiting: sum(replay.waiting),
    refused: sum(replay.refused),
    refusedBy: [...replay.refusedBy].map(([code, each]) => ({ code, ...sum(each) })),
    examples: replay.examples.map(({ payment, code, limit, detail }) => ({
      paymentId: payment.id,
      grantId: rowOf(payment.id)?.grant_id ?? grant.id,
      at: payment.at.toISOString(),
      amount: formatAmount(payment.amount, currency),
      payTo: payment.payTo,
      url: rowOf(payment.id)?.request_url ?? '',
      code,
      limit: limit ?? null,
      detail,
    })),
  };
}
