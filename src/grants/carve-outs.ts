import { Injectable, Logger } from '@nestjs/common';
import { Database } from '../database/database.js';
import {
  type Candidate,
  carveOutsBelow,
  endedWithReturns,
  expiredCarveOuts,
  returnCarveOuts,
  returnsDone,
} from '../ledger/carve-outs.js';
import { countOut, expiredGrants } from '../ledger/ended-grants.js';
import { Notifier } from '../outbox/notifier.js';
import { OnJob } from '../outbox/on-job.js';
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
export class CarveOuts {
  readonly #log = new Logger('grants');

  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly notifier: Notifier,
  ) {}

  /** Rings for the carve-outs below a grant that was revoked. Never waits and never fails. */
  revoked(): void {
    this.queues.add('grants.return', {}, 'return').catch((error: unknown) => {
      this.#log.warn(`the queue was not told of a revocation (${error}); the sweep will find it`);
    });
  }

  /** Returns every carve-out that has ended. Safe to run twice at once: each returns once. */
  @OnJob('grants.return', { everyMs: SWEEP_MS })
  async returnEnded(): Promise<void> {
    for (const ended of await endedWithReturns(this.database.pool, BATCH)) {
      await this.returnBelow(ended);
    }
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      const expired = await expiredCarveOuts(this.database.pool, BATCH);
      const returned = await this.returnAll(expired);
      if (expired.length < BATCH || returned === 0) break;
    }
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      const ended = await expiredGrants(this.database.pool, BATCH);
      const counted = await this.inEach(ended, async (treasuryId, ids) => {
        await this.database.transaction((tx) => countOut(tx, treasuryId, ids));
        return ids.length;
      });
      if (ended.length < BATCH || counted === 0) return;
    }
  }

  private async returnBelow(ended: Candidate): Promise<void> {
    let after: string | undefined;
    for (;;) {
      const found = await carveOutsBelow(this.database.pool, ended, after, BATCH);
      await this.returnAll(found);
      if (found.length < BATCH) break;
      after = found.at(-1)?.id;
    }
    await returnsDone(this.database.pool, ended);
  }

  /** @returns how many gave back. One treasury's trouble is told, and holds up no other's. */
  private returnAll(found: readonly Candidate[]): Promise<number> {
    return this.inEach(found, async (treasuryId, ids) => {
      const returned = await this.database.transaction((tx) =>
        returnCarveOuts(tx, treasuryId, ids),
      );
      this.notifier.eventsWritten(treasuryId);
      return returned;
    });
  }

  private async inEach(
    found: readonly Candidate[],
    act: (treasuryId: string, ids: string[]) => Promise<number>,
  ): Promise<number> {
    let done = 0;
    for (const treasuryId of new Set(found.map((each) => each.treasuryId))) {
      const ids = found.filter((each) => each.treasuryId === treasuryId).map(({ id }) => id);
      try {
        done += await act(treasuryId, ids);
      } catch (error) {
        this.#log.error(`ended grants of ${treasuryId} were not looked after: ${error}`);
      }
    }
    return done;
  }
}
