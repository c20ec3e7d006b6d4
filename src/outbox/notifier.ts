import { Injectable, Logger } from '@nestjs/common';
import { Queues } from './queues.js';
import { messageOf } from './stores.js';

/**
 * Time that a notification waits for others, in milliseconds: each seal signs a checkpoint and rewrites the edge of
 * the tree, and under load a few of them a second are enough.
 */
const TOGETHER_MS = 200;

/**
 * Tells the workers that events were committed. The table of events is the outbox: events were written in the
 * transaction that made the change, and stay until they are sealed. A notification only makes it quick; when it is
 * lost, the sweep finds the events.
 */
@Injectable()
export class Notifier {
  readonly #log = new Logger('notifier');
  /** Treasuries whose notification is on its way, and whether another one must follow. */
  readonly #notifying = new Map<string, { again: boolean }>();

  constructor(private readonly queues: Queues) {}

  /**
   * Call after a commit that wrote events. Never waits and never fails: however many commits come while a notification
   * is on its way, they share the next one.
   */
  eventsWritten(treasuryId: string): void {
    const notifying = this.#notifying.get(treasuryId);
    if (notifying) {
      notifying.again = true;
      return;
    }
    this.#notifying.set(treasuryId, { again: false });
    void this.notify(treasuryId);
  }

  /**
   * Has a network read at once instead of at its next time. Never waits for the reading and never
   * fails: lost, it comes when it would have come anyway.
   */
  chainHinted(network: string): void {
    const id = `hint-${network.replace(':', '-')}`;
    this.queues.add('settlement.read', { network }, id).catch((error) => {
      this.#log.warn(`the queue was not told to read ${network} (${messageOf(error)})`);
    });
  }

  private async notify(treasuryId: string): Promise<void> {
    try {
      await this.queues.add('audit.seal', { treasuryId }, `seal-${treasuryId}`, TOGETHER_MS);
    } catch (error) {
      this.#log.warn(
        `the queue was not told of new events (${messageOf(error)}); the sweep will find them`,
      );
    }
    // Until the job that was asked for begins, another one would only be told that it waits.
    setTimeout(() => {
      const again = this.#notifying.get(treasuryId)?.again;
      this.#notifying.delete(treasuryId);
      if (again) this.eventsWritten(treasuryId);
    }, TOGETHER_MS).unref();
  }
}
