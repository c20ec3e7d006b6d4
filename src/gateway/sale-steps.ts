import type { Logger } from 'pino';
import { paymentAttributes } from '../tracing/payment-attributes.js';
import { inSpan } from '../tracing/trace-scope.js';
import type { Answer } from './answers.js';
import type { FacilitatorRequest, Facilitators } from './facilitators.js';
import type { Ending, Order } from './orders.js';
import { orUpstreamFailed } from './problems.js';
import type { SaleBooks } from './sale-books.js';
import type { Sale } from './sale-rows.js';
import { isWhole, Relay } from './streamed-answer.js';
import type { Upstream, UpstreamAnswer } from './upstream.js';

/** Parts that the steps of a sale work with. */
export interface SaleStepsParts {
  /** The name of this process. */
  readonly process: string;
  readonly books: SaleBooks;
  readonly facilitators: Facilitators;
  readonly upstream: () => Upstream;
  readonly logger: Logger;
}

/**
 * The steps of one sale: its call and its charge, in the order that it has. What is done is written before it is done; a step
 * starts from the state that the last one left, so that a process that was taken for dead can do nothing more.
 *
 * Every step answers undefined when another process knew better: what became of the sale is in its row.
 */
export class SaleSteps {
  /** The answers that are handed on now. */
  readonly #streams = new Set<Promise<void>>();

  constructor(private readonly parts: SaleStepsParts) {}

  /** Does all steps of a sale that was just reserved. */
  run(sale: Sale, order: Order, request: FacilitatorRequest): Promise<Ending | undefined> {
    switch (sale.settle) {
      case 'free':
        return this.callFree(sale, order);
      case 'after':
        return this.callThenCharge(sale, order, request);
      case 'before':
        return this.chargeThenCall(sale, order, request);
      case 'first_byte':
        return this.chargeAtFirstByte(sale, order, request);
    }
  }

  /** The state of a sale that this process calls for, and that is not charged. */
  private get uncharged() {
    return { call: 'calling', charge: 'none', process: this.parts.process } as const;
  }

  /** Waits until the answers that are handed on have ended. */
  async quiet(): Promise<void> {
    await Promise.all(this.#streams);
  }

  /** One of the payer's free requests: called, and never settled. */
  private async callFree(sale: Sale, order: Order): Promise<Ending | undefined> {
    const answer = await this.call(order);
    return isWhole(answer) ? this.endUncharged(sale, answer) : this.stream(sale, answer, order);
  }

  /** The call comes first: its failure costs nothing, and its answer is held until it is paid for. */
  private async callThenCharge(
    sale: Sale,
    order: Order,
    request: FacilitatorRequest,
  ): Promise<Ending | undefined> {
    const answer = await this.callWhole(order);
    if (answer.status >= 400) return this.endUncharged(sale, answer);
    const to = { call: 'answered', charge: 'settling', statusCode: answer.status } as const;
    const held = await this.parts.books.change(sale, this.uncharged, to, answer);
    // Taken for dead: what was called is lost, and is never settled.
    if (!held) return undefined;
    const charged = await this.charge(held, request);
    return charged?.charge === 'settled' ? { kind: 'sold', sale: charged, answer } : undefined;
  }

  /** The call begins, and its first byte is what is charged for: the rest is handed on while it arrives. */
  private async chargeAtFirstByte(
    sale: Sale,
    order: Order,
    request: FacilitatorRequest,
  ): Promise<Ending | undefined> {
    const answer = await this.call(order);
    if (isWhole(answer)) return this.endUncharged(sale, answer);
    const to = { charge: 'settling', statusCode: answer.status } as const;
    let charged: Sale | undefined;
    try {
      const begun = await this.parts.books.change(sale, this.uncharged, to);
      charged = begun && (await this.charge(begun, request));
    } finally {
      if (charged?.charge !== 'settled') answer.body.destroy();
    }
    return charged?.charge === 'settled' ? this.stream(charged, answer, order) : undefined;
  }

  /** Ends a sale of which nothing was charged: its call failed, or it is free. */
  private async endUncharged(sale: Sale, answer: Answer): Promise<Ending | undefined> {
    const ended = await this.parts.books.change(sale, this.uncharged, endOf(answer), answer);
    return ended ? { kind: 'uncharged', sale: ended, answer } : undefined;
  }

  /** The charge comes first, for calls with effects that must not happen unpaid. */
  private async chargeThenCall(
    sale: Sale,
    order: Order,
    request: FacilitatorRequest,
  ): Promise<Ending | undefined> {
    const charged = await this.charge(sale, request);
    return charged?.charge === 'settled' ? this.callPaid(charged, order) : undefined;
  }

  /** Calls for a sale that is charged, unless another copy does already. */
  async callPaid(sale: Sale, order: Order): Promise<Ending | undefined> {
    const paid = { call: 'none', charge: 'settled' } as const;
    const { books, process } = this.parts;
    const begun = await books.change(sale, paid, { call: 'calling', process });
    if (!begun) return undefined;
    const answer = await this.call(order);
    if (!isWhole(answer)) return this.stream(begun, answer, order);
    const from = { call: 'calling', charge: 'settled', process } as const;
    const ended = await books.change(sale, from, endOf(answer), answer);
    if (!ended) return undefined;
    return ended.call === 'answered'
      ? { kind: 'sold', sale: ended, answer }
      : { kind: 'owed', sale: ended };
  }

  /** Hands an answer on while it arrives, and notes its end. One that is short enough is kept for those who ask again. */
  private stream(sale: Sale, answer: UpstreamAnswer, { operation }: Order): Ending {
    const relay = new Relay(answer, operation.maxAnswerBytes);
    const { charge } = sale;
    const from = { call: 'calling', charge, process: this.parts.process } as const;
    const end = async () => {
      try {
        const kept = await relay.run();
        const to = { call: 'answered', statusCode: answer.status } as const;
        await this.parts.books.change(sale, from, to, kept);
        relay.finish();
      } catch (error) {
        relay.finish(error as Error);
        this.parts.logger.warn(
          { room: 'gateway', sale: sale.id, err: error },
          'an answer broke off',
        );
        await this.parts.books.change(sale, from, {
          call: 'failed',
          reason: 'the answer broke off',
        });
      }
    };
    const over = end()
      .catch((error: unknown) => {
        this.parts.logger.error(
          { room: 'gateway', sale: sale.id, err: error },
          'the end of a sale is lost',
        );
      })
      .finally(() => this.#streams.delete(over));
    this.#streams.add(over);
    return { kind: 'streaming', sale, answer: { ...answer, body: relay.body }, over };
  }

  /** Ends what a process has begun that is no more: a call is lost, and a charge is unknown. */
  async takeOver(sale: Sale): Promise<void> {
    const { call, charge, process } = sale;
    const from = { call, charge, process };
    const reason = 'the gateway ended while it worked on this';
    if (call === 'calling') {
      const cut = charge === 'settling' ? ({ charge: 'unknown', nextTryMs: 0 } as const) : {};
      await this.parts.books.change(sale, from, { call: 'lost', ...cut, reason });
      this.parts.logger.warn(
        { room: 'gateway', sale: sale.id },
        'a call is lost: its process ended',
      );
    } else if (charge === 'settling') {
      await this.parts.books.change(sale, from, { charge: 'unknown', reason, nextTryMs: 0 });
    }
  }

  /** Settles, and writes down what is known of it. @returns undefined when somebody else knew better. */
  private async charge(sale: Sale, request: FacilitatorRequest): Promise<Sale | undefined> {
    const outcome = await inSpan(
      'sale settle',
      async (span) => {
        const settled = await this.parts.facilitators.settle(request);
        span?.setAttribute('bursar.outcome', settled.kind);
        return settled;
      },
      { attributes: { 'bursar.sale': sale.id, ...paymentAttributes(sale) } },
    );
    const { call } = sale;
    if (outcome.kind === 'settled') return this.parts.books.settled(sale, outcome.transaction);
    const { reason } = outcome;
    const from = { call, charge: 'settling', process: this.parts.process } as const;
    // An answer that had only begun is not handed on.
    const cut = call === 'calling' ? ({ call: 'lost' } as const) : {};
    if (outcome.kind === 'refused')
      return this.parts.books.change(sale, from, { ...cut, charge: 'refused', reason });
    this.parts.logger.warn(
      { room: 'gateway', sale: sale.id },
      `a settlement is unknown: ${reason}`,
    );
    return this.parts.books.change(sale, from, { ...cut, charge: 'unknown', reason, nextTryMs: 0 });
  }

  /** Calls the upstream: a streamed operation that does not fail answers with a body that is still arriving. */
  private call(order: Order): Promise<Answer | UpstreamAnswer> {
    const { request, operation } = order;
    if (!operation.isStreamed) return this.callWhole(order);
    const { timeoutMs, maxAnswerBytes } = operation;
    return this.answered(order, () =>
      this.parts.upstream().open(request, timeoutMs, maxAnswerBytes),
    );
  }

  private callWhole(order: Order): Promise<Answer> {
    const { request, operation } = order;
    const { timeoutMs, maxAnswerBytes } = operation;
    return this.answered(order, () =>
      this.parts.upstream().call(request, timeoutMs, maxAnswerBytes),
    );
  }

  /** An answer of the upstream, or the gateway's own where it gave none, which the log is told of. */
  private answered<T>({ operation }: Order, call: () => Promise<T>): Promise<T | Answer> {
    return orUpstreamFailed(inSpan('upstream call', call), (message) =>
      this.parts.logger.warn(
        { room: 'gateway', operation: operation.id },
        `the upstream ${message}`,
      ),
    );
  }
}

/** The end of a call, by its answer. */
function endOf({ status }: Answer) {
  return { call: status >= 400 ? 'failed' : 'answered', statusCode: status } as const;
}
