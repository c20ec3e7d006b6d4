import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { type Caller, seesTreasury } from '../access/caller.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { resumeTreasury, suspendTreasury } from '../ledger/suspensions.js';
import { Notifier } from '../outbox/notifier.js';
import type { TreasuryRecord } from './wallets.js';

/** The settings of a treasury, and whether it runs at all. */
@Injectable()
export class TreasurySettings {
  constructor(
    private readonly database: Database,
    private readonly notifier: Notifier,
  ) {}

  /**
   * Sets whether a treasury pays amounts of 0. Batches that begin after this returns obey it.
   *
   * @throws Problem `not_found`, alike for a treasury that the caller may not see.
   */
  change(
    caller: Caller,
    id: string,
    { zeroPayments, reason }: { zeroPayments: boolean; reason?: string | undefined },
    requestId: string,
  ): Promise<TreasuryRecord> {
    return this.changed(caller, id, async (tx) => {
      const before = await lockTreasury(tx, id);
      if (before.zeroPayments === zeroPayments) return;
      await tx.query('UPDATE treasuries SET zero_payments = $2 WHERE id = $1', [id, zeroPayments]);
      await appendEvents(tx, await databaseNow(tx), [
        {
          treasuryId: id,
          kind: 'treasury.changed',
          actor: caller.actor,
          requestId,
          reason,
          data: { zeroPayments: { from: before.zeroPayments, to: zeroPayments } },
        },
      ]);
    });
  }

  /**
   * Stops a treasury: after this returns, no replica reserves, hands over or hands out a payment of it, or mints a grant.
   * Signed payments may still be spent. A treasury that is suspended already stays so, as it was.
   *
   * @throws Problem `not_found`, alike for a treasury that the caller may not see.
   */
  suspend(
    caller: Caller,
    id: string,
    reason: string | undefined,
    requestId: string,
  ): Promise<TreasuryRecord> {
    const { actor } = caller;
    return this.changed(caller, id, (tx) => suspendTreasury(tx, id, { actor, reason, requestId }));
  }

  /**
   * Lets a treasury go on, with its grants as they are. One that is not suspended stays as it is.
   *
   * @throws Problem `not_found`, alike for a treasury that the caller may not see.
   */
  resume(
    caller: Caller,
    id: string,
    reason: string | undefined,
    requestId: string,
  ): Promise<TreasuryRecord> {
    const { actor } = caller;
    return this.changed(caller, id, (tx) => resumeTreasury(tx, id, { actor, reason, requestId }));
  }

  private async changed(
    caller: Caller,
    id: string,
    change: (tx: ClientBase) => Promise<unknown>,
  ): Promise<TreasuryRecord> {
    if (!seesTreasury(caller, id)) throw treasuryNotFound(id);
    const after = await this.database.transaction(async (tx) => {
      await readTreasury(tx, id);
      await change(tx);
      return readTreasury(tx, id);
    });
    this.notifier.eventsWritten(id);
    return after;
  }
}

const READ = `SELECT t.id, t.name, t.position, t.created_at AS "createdAt", t.zero_payments AS "zeroPayments",
    u.open_payments AS "openPayments", CASE WHEN s.treasury_id IS NOT NULL THEN json_build_object(
      'at', s.suspended_at, 'by', s.suspended_by, 'reason', s.reason) END AS suspension
  FROM treasuries t JOIN treasury_usage u ON u.treasury_id = t.id
  LEFT JOIN treasury_suspensions s ON s.treasury_id = t.id WHERE t.id = $1`;

/** @throws Problem `not_found`. */
async function readTreasury(tx: ClientBase, id: string, lock = ''): Promise<TreasuryRecord> {
  const { rows } = await tx.query<
    Omit<TreasuryRecord, 'suspension'> & {
      suspension: { at: string; by: string; reason: string | null } | null;
    }
  >(`${READ} ${lock}`, [id]);
  const [found] = rows;
  if (!found) throw treasuryNotFound(id);
  const { suspension } = found;
  return { ...found, suspension: suspension && { ...suspension, at: new Date(suspension.at) } };
}

/** Keeps other changes of a treasury's settings waiting. @throws Problem `not_found`. */
function lockTreasury(tx: ClientBase, id: string): Promise<TreasuryRecord> {
  return readTreasury(tx, id, 'FOR NO KEY UPDATE OF t');
}

function treasuryNotFound(id: string): Problem {
  return new Problem('not_found', `no treasury ${id.slice(0, 64)}`);
}
