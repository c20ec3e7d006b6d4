import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { BaseError } from 'viem';
import { Database, isDatabaseUnavailable } from '../database/database.js';
import { applyReading } from '../ledger/settlement.js';
import { Outbox } from '../outbox/outbox.js';
import { Queues } from '../outbox/queues.js';
import { Networks, shortMessage } from '../treasury/networks.js';
import { ChainMismatch, ChainReader } from './chain-reader.js';

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
  ) {}

  onModuleInit(): void {
    this.queues.handle('settlement.read', ({ network }) => this.read(network));
    for (const { network, pollMs } of this.networks.all()) {
      const id = `read-${network.replace(':', '-')}`;
      this.queues.schedule(id, 'settlement.read', { network }, pollMs);
    }
  }

  /** Reads a network once and writes what it says. Safe to run twice at once: one of them wins. */
  async read(name: string): Promise<void> {
    const network = this.networks.find(name);
    if (!network) return;
    try {
      const reading = await this.reader.read(network);
      this.networks.mistrust(name, undefined);
      if (!reading) return;
      const ended = await applyReading(this.database, reading);
      for (const treasuryId of new Set(reading.closings.map((closing) => closing.treasuryId))) {
        this.outbox.eventsWritten(treasuryId);
      }
      if (ended && ended.length > 0) this.#log.log(`${name}: ${ended.length} payments ended`);
      if (this.#failing.delete(name)) this.#log.log(`${name}: the chain can be read again`);
    } catch (error) {
      // Outages pass and are told once. Anything else is a bug or a wrong chain, and is not swallowed.
      if (error instanceof ChainMismatch) this.networks.mistrust(name, error.message);
      else if (!(error instanceof BaseError) && !isDatabaseUnavailable(error)) throw error;
      const reason = shortMessage(error);
      if (this.#failing.get(name) !== reason) this.#log.warn(`${name}: not read: ${reason}`);
      this.#failing.set(name, reason);
    }
  }
}
