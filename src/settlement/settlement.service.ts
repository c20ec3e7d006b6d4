import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Database, isDatabaseUnavailable } from '../database/database.js';
import type { Network } from '../domain/network.js';
import { applyReading, rewindCursor } from '../ledger/settlement.js';
import { applySightings } from '../ledger/sightings.js';
import { Outbox } from '../outbox/outbox.js';
import { Queues } from '../outbox/queues.js';
import { Networks, shortMessage } from '../treasury/networks.js';
import { ChainMismatch, ChainReader, type Step } from './chain-reader.js';
import { CodeWatch } from './code-watch.js';

/** How many steps one job takes at most; the next one goes on. A day of 2 s blocks is 44. */
const STEPS_PER_JOB = 100;

/** Follows every network and ends reservations as its chain says. */
@Injectable()
export class SettlementService implements OnModuleInit {
  readonly #log = new Logger('settlement');
  /** Networks whose last reading failed, so that an outage is told once and not every second. */
  readonly #failing = new Map<string, string>();

  constructor(
    private readonly networks: Networks,
    private readonly reader: ChainReader,
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly outbox: Outbox,
    private readonly codes: CodeWatch,
  ) {}

  onModuleInit(): void {
    this.queues.handle('settlement.read', ({ network }) => this.read(network));
    for (const { network, pollMs } of this.networks.all()) {
      const id = `read-${network.replace(':', '-')}`;
      this.queues.schedule(id, 'settlement.read', { network }, pollMs);
    }
  }

  /**
   * Reads a network up to its newest final block, each step written before the next is read, then looks
   * at its head. Safe to run twice at once: of two that read the same step, one writes it.
   */
  async read(name: string): Promise<void> {
    const network = this.networks.find(name);
    if (!network) return;
    for (let taken = 0; taken < STEPS_PER_JOB; taken += 1) {
      const step = await this.tryNext(network);
      if (!step) return;
      try {
        if ((await this.write(network, step)) === 'done') return;
      } catch (error) {
        // What the database refuses is a bug, and is not swallowed.
        if (!isDatabaseUnavailable(error)) throw error;
        return this.failed(name, error);
      }
    }
  }

  /** The next step, or undefined when there is none now. */
  private async tryNext(network: Network): Promise<Step | undefined> {
    const name = network.network;
    try {
      const step = await this.reader.next(network, (views) => this.codes.watch(network, views));
      this.networks.mistrust(name, undefined);
      if (this.#failing.delete(name)) this.#log.log(`${name}: the chain can be read again`);
      return step;
    } catch (error) {
      if (error instanceof ChainMismatch) this.networks.mistrust(name, error.message);
      this.failed(name, error);
      return undefined;
    }
  }

  /** An outage passes, and is told once. */
  private failed(name: string, error: unknown): void {
    const reason = shortMessage(error);
    if (this.#failing.get(name) !== reason) this.#log.warn(`${name}: not read: ${reason}`);
    this.#failing.set(name, reason);
  }

  private async write({ network: name }: Network, step: Step): Promise<'done' | 'more'> {
    switch (step.kind) {
      case 'rewind': {
        const { from, to } = step;
        if (!(await rewindCursor(this.database, name, from, to))) return 'done';
        this.#log.error(
          `${name}: its chain was reorganised below final blocks, from ${from} back to ${to.number}; ` +
            'read again from there. Raise its finality in BURSAR_NETWORKS',
        );
        return 'more';
      }
      case 'read': {
        const ended = await applyReading(this.database, step.reading);
        if (!ended) return 'done';
        this.tell(step.reading.closings.map(({ treasuryId }) => treasuryId));
        if (ended.length > 0) this.#log.log(`${name}: ${ended.length} payments ended`);
        return 'more';
      }
      case 'watch': {
        if (!step.watch) return 'done';
        const { after, head, sightings } = step.watch;
        this.tell(await applySightings(this.database, name, after, head, sightings));
        return 'done';
      }
    }
  }

  private tell(treasuryIds: readonly string[]): void {
    for (const treasuryId of new Set(treasuryIds)) this.outbox.eventsWritten(treasuryId);
  }
}
