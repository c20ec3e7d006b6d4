import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Database, isDatabaseUnavailable } from '../database/database.js';
import type { Network } from '../domain/network.js';
import { type ChainState, writeChainState } from '../ledger/chain-states.js';
import { dropFences } from '../ledger/fences.js';
import { finishSpends } from '../ledger/outside-spends.js';
import { applyReading, applyReleases, rewindCursor } from '../ledger/settlement.js';
import { applySightings } from '../ledger/sightings.js';
import type { JobPayload } from '../outbox/jobs.js';
import { Notifier } from '../outbox/notifier.js';
import { OnJob } from '../outbox/on-job.js';
import { Queues } from '../outbox/queues.js';
import { Tracing } from '../tracing/tracing.js';
import { Networks } from '../treasury/networks.js';
import { shortMessage } from '../treasury/rpc-client.js';
import { ChainReader, type Step, type Watch } from './chain-reader.js';
import { CodeWatch } from './code-watch.js';
import { traceEnds } from './ended-spans.js';
import type { Releases } from './releases.js';
import { ChainMismatch } from './views.js';

/** How many steps one job takes at most; the next one goes on. A day of 2 s blocks is 44. */
const STEPS_PER_JOB = 100;

/** How long one job releases at most, in milliseconds: the next one reads new blocks first, then goes on. */
const RELEASING_MS = 10_000;

/** Follows every network and ends reservations as its chain says. */
@Injectable()
export class SettlementService implements OnModuleInit {
  readonly #log = new Logger('settlement');
  /** Networks whose last reading failed, so that an outage is told once and not every second. */
  readonly #failing = new Map<string, string>();
  /** Why wallets of a network could not be looked at for code, if they could not. */
  readonly #unwatched = new Map<string, string | undefined>();

  constructor(
    private readonly networks: Networks,
    private readonly reader: ChainReader,
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly notifier: Notifier,
    private readonly codes: CodeWatch,
    private readonly tracing: Tracing,
  ) {}

  onModuleInit(): void {
    for (const { network, pollMs } of this.networks.all()) {
      const id = `read-${network.replace(':', '-')}`;
      this.queues.schedule(id, 'settlement.read', { network }, pollMs);
    }
  }

  @OnJob('settlement.read')
  async onRead({ network }: JobPayload<'settlement.read'>): Promise<void> {
    // Jobs begin before the RPCs are checked. Once they are, a network without a good one fails to be read and is told.
    if (this.networks.isChecked(network)) await this.read(network);
  }

  /**
   * Reads a network up to its newest final block, each step written before the next is read, then looks
   * at its head. Safe to run twice at once: of two that read the same step, one writes it.
   */
  async read(name: string): Promise<void> {
    const network = this.networks.find(name);
    if (!network) return;
    for (let taken = 0; taken < STEPS_PER_JOB; taken += 1) {
      const step = await this.attempt(name, () =>
        this.reader.next(network, async (views) => {
          this.#unwatched.set(name, await this.codes.watch(network, views));
        }),
      );
      if (!step) return;
      try {
        const outcome = await this.write(network, step);
        if (outcome === 'failed') return;
        await this.succeeded(name, step);
        if (outcome === 'done') return;
      } catch (error) {
        // A refusal by the database is a bug, and is not swallowed.
        if (!isDatabaseUnavailable(error)) throw error;
        return this.failed(name, error);
      }
    }
  }

  /** Reads something of the chain. @returns undefined when it could not be read, which is noted. */
  private async attempt<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const reason = shortMessage(error);
      const isContradiction = error instanceof ChainMismatch;
      await this.note(name, {
        contradiction: isContradiction ? reason : undefined,
        quorum: isContradiction ? undefined : reason,
      });
      this.failed(name, error);
      return undefined;
    }
  }

  /** A step was read and written whole. Only now is a contradiction over: releases are read last. */
  private async succeeded(name: string, step: Step): Promise<void> {
    const quorum = step.kind === 'short' ? step.reason : undefined;
    await this.note(name, { contradiction: undefined, quorum });
    if (quorum !== undefined) this.failed(name, new Error(`nothing may end: ${quorum}`));
    else if (this.#failing.delete(name)) this.#log.log(`${name}: the chain can be read again`);
  }

  /** Tells this process and, where the database can be reached, all others. */
  private async note(name: string, state: Omit<ChainState, 'code'>): Promise<void> {
    this.networks.mistrust(name, state.contradiction);
    const code = this.#unwatched.get(name);
    try {
      await writeChainState(this.database.pool, name, { ...state, code });
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
    }
  }

  /** An outage passes, and is told once. */
  private failed(name: string, error: unknown): void {
    const reason = shortMessage(error);
    if (this.#failing.get(name) !== reason) this.#log.warn(`${name}: not read: ${reason}`);
    this.#failing.set(name, reason);
  }

  private async write({ network: name }: Network, step: Step): Promise<'done' | 'more' | 'failed'> {
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
        const { reading, outside } = step;
        const began = new Date();
        this.tell(await finishSpends(this.database, name, reading.upTo.number, outside));
        const ended = await applyReading(this.database, reading);
        if (!ended) return 'done';
        if (step.releases) this.tell(await dropFences(this.database));
        this.tell(reading.closings.map(({ treasuryId }) => treasuryId));
        await traceEnds(this.database, this.tracing, ended, began);
        if (ended.length > 0) this.#log.log(`${name}: ${ended.length} payments ended`);
        return (await this.release(name, step.releases)) ? 'more' : 'failed';
      }
      case 'watch':
        await this.look(name, step.watch);
        return (await this.release(name, step.releases)) ? 'done' : 'failed';
      case 'short':
        await this.look(name, step.watch);
        return 'done';
    }
  }

  /**
   * Ends what is past its end at a block, page by page, until all of it is done or the job has its share.
   *
   * @returns false when the chain could not be read for it.
   */
  private async release(name: string, releases: Releases | undefined): Promise<boolean> {
    if (!releases) return true;
    const pages = releases.pages[Symbol.asyncIterator]();
    for (const until = performance.now() + RELEASING_MS; performance.now() < until; ) {
      const page = await this.attempt(name, () => pages.next());
      if (!page) return false;
      if (page.done) return true;
      const began = new Date();
      const ended = await applyReleases(this.database, name, releases.at, page.value);
      // Another worker has read on: it releases at its block.
      if (!ended) return true;
      this.tell(page.value.map(({ treasuryId }) => treasuryId));
      await traceEnds(this.database, this.tracing, ended, began);
      if (ended.length > 0) this.#log.log(`${name}: ${ended.length} payments past their end ended`);
    }
    return true;
  }

  private async look(name: string, watch: Watch | undefined): Promise<void> {
    if (!watch) return;
    const { after, head, sightings } = watch;
    this.tell(await applySightings(this.database, name, after, head, sightings));
  }

  private tell(treasuryIds: readonly string[]): void {
    for (const treasuryId of new Set(treasuryIds)) this.notifier.eventsWritten(treasuryId);
  }
}
