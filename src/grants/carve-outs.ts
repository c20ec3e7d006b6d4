import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import {
  type Candidate,
  carveOutsBelow,
  expiredCarveOuts,
  returnCarveOuts,
  returnsDone,
  revokedWithReturns,
} from '../ledger/carve-outs.js';
import { Outbox } from '../outbox/outbox.js';
import { Queues } from '../outbox/queues.js';

/** How often carve-outs that expired, or stand below a revocation, are looked for, in milliseconds. */
const SWEEP_MS = 1_000;

/** How many are given back in one transaction, and how many batches one look takes at most. */
const BATCH = 100;
const MAX_BATCHES = 50;

/**
 * Gives the unused money of ended carve-outs back to the grants above them. One that is revoked itself
 * returns in that transaction, one that is used up when its last payment ends; those that expire, and
 * those below a revocation, return here.
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
    for (const revoked of await revokedWithReturns(this.database.pool, BATCH)) {
      await this.returnBelow(revoked);
    }
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      const expired = await expiredCarveOuts(this.database.pool, BATCH);
      const returned = await this.returnAll(expired);
      if (expired.length < BATCH || returned === 0) return;
    }
  }

  private async returnBelow(revoked: Candidate): Promise<void> {
    let after: string | undefined;
    for (;;) {
      const found = await carveOutsBelow(this.database.pool, revoked, after, BATCH);
      await this.returnAll(found);
      if (found.length < BATCH) break;
      after = found.at(-1)?.id;
    }
    await returnsDone(this.database.pool, revoked);
  }

  /** @returns how many gave back. One treasury's trouble is told, and holds up no other's. */
  private async returnAll(found: readonly Candidate[]): Promise<number> {
    let returned = 0;
    for (const treasuryId of new Set(found.map((each) => each.treasuryId))) {
      const ids = found.filter((each) => each.treasuryId === treasuryId).map(({ id }) => id);
      try {
        returned += await this.database.transaction((tx) => returnCarveOuts(tx, treasuryId, ids));
        this.outbox.eventsWritten(treasuryId);
      } catch (error) {
        this.#log.error(`carve-outs of ${treasuryId} were not given back: ${error}`);
      }
    }
    return returned;
  }
}
