import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { endedCarveOuts, returnCarveOut } from '../ledger/carve-outs.js';
import { databaseNow, lockChain } from '../ledger/grant-rows.js';
import { Outbox } from '../outbox/outbox.js';
import { Queues } from '../outbox/queues.js';

/** How often ended carve-outs are looked for, in milliseconds. */
const SWEEP_MS = 1_000;

/** How many of them one look finds at most. */
const BATCH = 200;

/**
 * Gives the unused money of ended carve-outs back to the grants above them. A carve-out that is revoked
 * itself returns in that transaction; those below it, and those that expire or are used up, return here.
 */
@Injectable()
export class CarveOuts implements OnModuleInit {
  readonly #log = new Logger('grants');

  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly outbox: Outbox,
  ) {}

  onModuleInit(): void {
    this.queues.handle('grants.return', () => this.returnEnded());
    this.queues.schedule('grants-return', 'grants.return', {}, SWEEP_MS);
  }

  /** Rings for the carve-outs below a grant that was revoked. Never waits and never fails. */
  revoked(): void {
    this.queues.add('grants.return', {}, 'return').catch((error: unknown) => {
      this.#log.warn(`the queue was not told of a revocation (${error}); the sweep will find it`);
    });
  }

  /** Returns every carve-out that has ended. Safe to run twice at once: each returns once. */
  async returnEnded(): Promise<void> {
    for (;;) {
      const found = await endedCarveOuts(this.database.pool, BATCH);
      let returned = 0;
      for (const { treasuryId, id } of found) {
        if (await this.return(treasuryId, id)) returned += 1;
      }
      if (found.length < BATCH || returned === 0) return;
    }
  }

  private async return(treasuryId: string, id: string): Promise<boolean> {
    const isReturned = await this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, id);
      const after = await returnCarveOut(tx, chain, await databaseNow(tx));
      return after !== chain;
    });
    if (isReturned) this.outbox.eventsWritten(treasuryId);
    return isReturned;
  }
}
