import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { grantOfFilter, treasuriesOfFilter } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { labelJson } from '../http/contract.js';
import { addSubtree, findGrants, type GrantRecord } from '../ledger/grant-rows.js';
import { BULK_SHOWN, type BulkBody, type BulkFilter, MAX_BULK } from './bulk.dto.js';
import { exposureOf } from './grant-view.js';
import { GrantsService } from './grants.service.js';
import { LifeService } from './life.service.js';

/** How many ids an error names. */
const NAMED = 10;

/** Suspends and revokes the grants that a filter finds. */
@Injectable()
export class BulkService {
  constructor(
    private readonly database: Database,
    private readonly grants: GrantsService,
    private readonly life: LifeService,
  ) {}

  /** Says which grants an act would change, and what may be spent all the same. Changes nothing. */
  async preview(caller: Caller, filter: BulkFilter) {
    const found = await this.find(caller, filter);
    const first = found.slice(0, BULK_SHOWN).map(({ id }) => this.grants.get(caller, id));
    const topmost = topmostOf(found);
    return {
      grants: found.length,
      ids: found.map(({ id }) => id),
      first: await Promise.all(first),
      stopped: topmost.reduce((sum, { alive }) => sum + alive, 0),
      exposure: exposuresOf(topmost),
    };
  }

  /**
   * Changes each grant that the filter finds, in a transaction of its own, a parent before its children.
   *
   * @throws Problem `conflict` when the filter finds a grant that was not expected; then nothing is changed.
   */
  async act(caller: Caller, body: BulkBody, requestId: string) {
    const { act, expected, reason, cancelOutstanding } = body;
    const found = (await this.find(caller, body)).map(({ id }) => id);
    const others = found.filter((id) => !expected.includes(id));
    if (others.length > 0) {
      const named = others.slice(0, NAMED).join(', ');
      throw new Problem(
        'conflict',
        `the filter finds ${others.length} that were not expected (${named}${others.length > NAMED ? ', ...' : ''}); look at them, then expect or exclude them`,
      );
    }
    const results = [];
    for (const id of found) {
      results.push({
        grantId: id,
        ...(await outcomeOf(async () => {
          if (act === 'suspend') {
            await this.life.suspend(caller, id, { reason }, requestId);
            return true;
          }
          const change = { reason, ...(cancelOutstanding ? { cancelOutstanding } : {}) };
          return (await this.life.revoke(caller, id, change, requestId)).revokedGrants > 0;
        })),
      });
    }
    const gone = expected.filter((id) => !found.includes(id));
    results.push(...gone.map((grantId) => ({ grantId, outcome: 'unchanged' as const })));
    return { changed: results.filter(({ outcome }) => outcome === 'changed').length, results };
  }

  /** The grants of a filter that the act would change, a parent before its children. */
  private async find(caller: Caller, filter: BulkFilter): Promise<GrantRecord[]> {
    const { pool } = this.database;
    const { act, grantId, treasuryId, holder, label, exclude } = filter;
    const treasuries = await treasuriesOfFilter(pool, caller, treasuryId);
    const conditions = new Conditions();
    for (const id of [caller.kind === 'holder' ? caller.grantId : undefined, grantId]) {
      if (id !== undefined) {
        addSubtree(conditions, await grantOfFilter(pool, caller, id, 'grantId'));
      }
    }
    // A holder stops what is below it. Its own grant it names itself, by POST /v1/grants/:id/revoke.
    if (caller.kind === 'holder') conditions.add(caller.grantId, (n) => `g.id <> ${n}`);
    conditions
      .add(treasuries, (n) => `g.treasury_id = ANY (${n}::text[])`)
      .add(holder, (n) => `g.holder = ${n}`)
      .add(label && labelJson(label), (n) => `g.labels @> ${n}::jsonb`)
      .add(exclude, (n) => `g.id <> ALL (${n}::text[])`)
      .always(
        `NOT EXISTS (SELECT FROM grants a WHERE a.treasury_id = g.treasury_id AND a.id = ANY (g.path)
           AND (a.status = 'revoked' OR a.expires_at <= now()))`,
      );
    if (act === 'suspend') conditions.always(`g.status = 'active'`);
    const found = await findGrants(pool, conditions, MAX_BULK + 1);
    if (found.length <= MAX_BULK) return found;
    throw new Problem(
      'invalid_request',
      `the filter finds more than ${MAX_BULK} grants; narrow it, or suspend a grant above them`,
      { field: 'grantId', limit: String(MAX_BULK) },
    );
  }
}

async function outcomeOf(change: () => Promise<boolean>) {
  try {
    return { outcome: (await change()) ? ('changed' as const) : ('unchanged' as const) };
  } catch (error) {
    // One grant that cannot be stopped does not keep the others going.
    if (!(error instanceof Problem)) throw error;
    return { outcome: 'failed' as const, code: error.code, detail: error.detail };
  }
}

/** The grants that stand below none of the others. */
function topmostOf(grants: readonly GrantRecord[]): GrantRecord[] {
  const ids = new Set(grants.map(({ id }) => id));
  return grants.filter(({ path }) => !path.slice(0, -1).some((above) => ids.has(above)));
}

/** The exposure of grants with all below them, by currency. */
function exposuresOf(grants: readonly GrantRecord[]) {
  const sums = new Map<string, Parameters<typeof exposureOf>[0]>();
  for (const { currency, openPayments, reserved, lastValidBefore } of grants) {
    const sum = sums.get(currency);
    const last = sum?.lastValidBefore ?? 0n;
    sums.set(currency, {
      currency,
      openPayments: (sum?.openPayments ?? 0) + openPayments,
      reserved: (sum?.reserved ?? 0n) + reserved,
      lastValidBefore: openPayments > 0 && lastValidBefore > last ? lastValidBefore : last,
    });
  }
  return [...sums].map(([currency, sum]) => ({ currency, ...exposureOf(sum) }));
}
