import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../database/database.js';
import { newId } from '../ids.js';
import type { Answer, Answers } from './answers.js';
import type { Credential } from './credential.js';
import { type FacilitatorRequest, type Facilitators, facilitatorRequest } from './facilitators.js';
import type { Offer, SoldResource } from './offers.js';
import { upstreamFailed } from './problems.js';
import type { SaleBooks } from './sale-books.js';
import { findSale, insertSale, readSale, type Sale, type SaleTerms } from './sale-rows.js';
import { type Upstream, UpstreamFailure, type UpstreamRequest } from './upstream.js';

/** A paid request, ready to be sold. */
export interface Order {
  readonly credential: Credential;
  /** The offer that the credential pays; undefined when it pays none that stands. */
  readonly offer: Offer | undefined;
  /** Whether the payer says that it pays for another request. */
  readonly namesAnother: boolean;
  readonly sold: SoldResource;
  /** Method, path, query and body in one hash. */
  readonly requestHash: string;
  readonly request: UpstreamRequest;
  readonly operation: {
    readonly id: string;
    readonly settle: 'after' | 'before';
    readonly timeoutMs: number;
    readonly maxAnswerBytes: number;
    readonly settleSeconds: number;
    readonly concurrencyPerPayer: number;
  };
  readonly configHash: string;
}

/** The end of a paid request. */
export type Ending =
  /** Charged, with the answer. */
  | { readonly kind: 'sold'; readonly sale: Sale; readonly answer: Answer }
  /** The upstream failed, and nothing was or will be charged. */
  | { readonly kind: 'uncharged'; readonly sale: Sale; readonly answer: Answer }
  /** The process that called died, and nothing was or will be charged. */
  | { readonly kind: 'lost'; readonly sale: Sale }
  /** Charged, and the upstream failed: a credit note is written. */
  | { readonly kind: 'owed'; readonly sale: Sale }
  /** Charged, or failed; the answer is kept no longer. */
  | { readonly kind: 'gone'; readonly sale: Sale }
  /** The payment is not good. Nothing was reserved. */
  | { readonly kind: 'unpayable'; readonly reason: string }
  /** The settlement was refused for good. */
  | { readonly kind: 'refused'; readonly sale: Sale }
  /** Nobody knows yet whether it was charged, or it takes longer than one waits. */
  | { readonly kind: 'unknown'; readonly sale: Sale }
  /** Nothing was reserved, since something that is needed does not answer. */
  | { readonly kind: 'unavailable'; readonly reason: string }
  /** The credential is another request's. */
  | { readonly kind: 'conflict' }
  /** Its payer has as many sales under way as one may have. Nothing was reserved. */
  | { readonly kind: 'busy' };

/** How often a copy looks what became of the one that works, in milliseconds: first, and at most. */
const LOOK_MS = { first: 25, most: 250 };

/** How long a copy waits beyond the operation's own time, in milliseconds. */
const WAIT_BEYOND_MS = 30_000;

/**
 * The sales: one credential causes at most one call of the upstream and at most one settlement. What is done is written before
 * it is done, by whoever holds the sale; a step starts from the state that the last one left, so that a process that was
 * taken for dead can do nothing more.
 */
export class Sales {
  /** Sales under way in this process. Copies wait for them here, and hold no connection. */
  readonly #flights = new Map<string, Promise<Ending>>();
  /** How many sales of each payer are under way in this process. */
  readonly #running = new Map<string, number>();
  /** The sales that this process works on now. One that is its own and not in here was left by an error. */
  readonly working = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly treasuryId: string,
    /** The name of this process. */
    readonly process: string,
    private readonly answers: Answers,
    private readonly books: SaleBooks,
    private readonly facilitators: Facilitators,
    private readonly upstream: () => Upstream,
    private readonly logger: Logger,
  ) {}

  /** Sells once, however many copies ask. Everything that is not an ending is an error of the database. */
  sell(order: Order): Promise<Ending> {
    const key = `${order.credential.hash} ${order.requestHash}`;
    const flying = this.#flights.get(key);
    if (flying) return flying;
    const flight = this.run(order).finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  private async run(order: Order): Promise<Ending> {
    const known = await this.find(order);
    if (known) return this.follow(known, order);
    const { credential, offer, operation, namesAnother } = order;
    if (namesAnother) return { kind: 'unpayable', reason: 'payment_is_for_another_resource' };
    if (!offer) return { kind: 'unpayable', reason: 'payment_pays_none_of_the_offers' };
    const needed = operation.timeoutMs / 1_000 + operation.settleSeconds;
    if (credential.validBefore < BigInt(Math.ceil(Date.now() / 1_000 + needed))) {
      return { kind: 'unpayable', reason: 'payment_expires_too_soon' };
    }
    const request = facilitatorRequest(credential, offer, order.sold);
    const verification = await this.facilitators.verify(request);
    if (verification.kind === 'unavailable') return verification;
    if (verification.kind === 'invalid') {
      // Another replica may have sold it meanwhile, and then the nonce is used.
      const sold = await this.find(order);
      return sold ? this.follow(sold, order) : { kind: 'unpayable', reason: verification.reason };
    }
    // Counted once it is verified: whoever only claims to be a payer takes nothing of that payer's.
    const { payer } = credential;
    const running = this.#running.get(payer) ?? 0;
    if (running >= operation.concurrencyPerPayer) return { kind: 'busy' };
    this.#running.set(payer, running + 1);
    try {
      return await this.reserve(order, offer, request);
    } finally {
      const left = (this.#running.get(payer) ?? 1) - 1;
      if (left > 0) this.#running.set(payer, left);
      else this.#running.delete(payer);
    }
  }

  private async reserve(order: Order, offer: Offer, request: FacilitatorRequest): Promise<Ending> {
    const terms = this.termsOf(order, offer);
    this.working.add(terms.id);
    try {
      const plain = Buffer.from(JSON.stringify(request));
      const sealedPayment = this.answers.seal(plain, terms.id).toString('base64');
      const isOurs = await insertSale(this.database.pool, terms, {
        sealedPayment,
        process: this.process,
      });
      const sale = isOurs ? await this.read(terms.id) : await this.find(order);
      // A sale of another treasury, which is not seen here, has it.
      if (!sale) return { kind: 'conflict' };
      if (!isOurs) return await this.follow(sale, order);
      return await (terms.settle === 'after'
        ? this.callThenCharge(sale, order, request)
        : this.chargeThenCall(sale, order, request));
    } finally {
      this.working.delete(terms.id);
    }
  }

  /** The call comes first: its failure costs nothing, and its answer is held until it is paid for. */
  private async callThenCharge(
    sale: Sale,
    order: Order,
    request: FacilitatorRequest,
  ): Promise<Ending> {
    const calling = { call: 'calling', charge: 'none', process: this.process } as const;
    const answer = await this.call(order);
    if (answer.status >= 400) {
      const to = { call: 'failed', statusCode: answer.status } as const;
      const failed = await this.books.change(sale, calling, to, answer);
      return failed ? { kind: 'uncharged', sale: failed, answer } : this.followAgain(sale, order);
    }
    const to = { call: 'answered', charge: 'settling', statusCode: answer.status } as const;
    const held = await this.books.change(sale, calling, to, answer);
    // Taken for dead: what was called is lost, and is never settled.
    if (!held) return this.followAgain(sale, order);
    const charged = await this.charge(held, request);
    return charged?.charge === 'settled'
      ? { kind: 'sold', sale: charged, answer }
      : this.followAgain(sale, order);
  }

  /** The charge comes first, for calls with effects that must not happen unpaid. */
  private async chargeThenCall(
    sale: Sale,
    order: Order,
    request: FacilitatorRequest,
  ): Promise<Ending> {
    const charged = await this.charge(sale, request);
    return charged?.charge === 'settled'
      ? this.callPaid(charged, order)
      : this.followAgain(sale, order);
  }

  /** Calls for a sale that is charged, unless another copy does already. */
  private async callPaid(sale: Sale, order: Order): Promise<Ending> {
    const paid = { call: 'none', charge: 'settled' } as const;
    this.working.add(sale.id);
    try {
      const begun = await this.books.change(sale, paid, { call: 'calling', process: this.process });
      if (!begun) return await this.followAgain(sale, order);
      const answer = await this.call(order);
      const call = answer.status >= 400 ? 'failed' : 'answered';
      const from = { call: 'calling', charge: 'settled', process: this.process } as const;
      const ended = await this.books.change(
        sale,
        from,
        { call, statusCode: answer.status },
        answer,
      );
      if (!ended) return await this.followAgain(sale, order);
      return call === 'answered'
        ? { kind: 'sold', sale: ended, answer }
        : { kind: 'owed', sale: ended };
    } finally {
      this.working.delete(sale.id);
    }
  }

  /** Settles, and writes down what is known of it. @returns undefined when somebody else knew better. */
  private async charge(sale: Sale, request: FacilitatorRequest): Promise<Sale | undefined> {
    const outcome = await this.facilitators.settle(request);
    const { call } = sale;
    if (outcome.kind === 'settled') return this.books.settled(sale, outcome.transaction);
    const { reason } = outcome;
    const from = { call, charge: 'settling', process: this.process } as const;
    if (outcome.kind === 'refused')
      return this.books.change(sale, from, { charge: 'refused', reason });
    this.logger.warn({ room: 'gateway', sale: sale.id }, `a settlement is unknown: ${reason}`);
    return this.books.change(sale, from, { charge: 'unknown', reason, nextTryMs: 0 });
  }

  private async call({ request, operation }: Order): Promise<Answer> {
    try {
      return await this.upstream().call(request, operation.timeoutMs, operation.maxAnswerBytes);
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error;
      this.logger.warn(
        { room: 'gateway', operation: operation.id },
        `the upstream ${error.message}`,
      );
      return upstreamFailed(error.message);
    }
  }

  /** Follows a sale to its end: whoever works on it, or whatever became of it. */
  private async follow(sale: Sale, order: Order): Promise<Ending> {
    if (sale.credentialHash !== order.credential.hash || sale.requestHash !== order.requestHash) {
      return { kind: 'conflict' };
    }
    const giveUpAt = performance.now() + order.operation.timeoutMs + WAIT_BEYOND_MS;
    let found = sale;
    for (let wait = LOOK_MS.first; ; wait = Math.min(wait * 2, LOOK_MS.most)) {
      const ending = await this.endingOf(found, order);
      if (ending) return ending;
      const isOurs = found.process === this.process;
      if (isOurs ? !this.working.has(found.id) : !found.isAlive) await this.takeOver(found);
      else if (performance.now() > giveUpAt) return { kind: 'unknown', sale: found };
      else await delay(wait);
      const next = await this.read(found.id);
      if (!next) throw new Error('a sale vanished');
      found = next;
    }
  }

  private async followAgain({ id }: Sale, order: Order): Promise<Ending> {
    const sale = await this.read(id);
    if (!sale) throw new Error('a sale vanished');
    return this.follow(sale, order);
  }

  /** The end of a sale; undefined while somebody works on it. */
  private async endingOf(sale: Sale, order: Order): Promise<Ending | undefined> {
    const { call, charge } = sale;
    if (charge === 'refused') return { kind: 'refused', sale };
    if (charge === 'unknown') return { kind: 'unknown', sale };
    if (charge === 'settled' && call === 'none') return this.callPaid(sale, order);
    if (call === 'lost')
      return charge === 'settled' ? { kind: 'owed', sale } : { kind: 'lost', sale };
    if (call === 'failed' && charge === 'settled') return { kind: 'owed', sale };
    const isOver =
      (call === 'failed' && charge === 'none') || (call === 'answered' && charge === 'settled');
    if (!isOver) return undefined;
    const answer = await this.answers.read(this.database.pool, sale);
    if (!answer) return { kind: 'gone', sale };
    return { kind: call === 'failed' ? 'uncharged' : 'sold', sale, answer };
  }

  /** Ends what a process has begun that is no more: a call is lost, and a charge is unknown. */
  async takeOver(sale: Sale): Promise<void> {
    const { call, charge, process } = sale;
    const from = { call, charge, process };
    const reason = 'the gateway ended while it worked on this';
    if (call === 'calling') {
      await this.books.change(sale, from, { call: 'lost', reason });
      this.logger.warn({ room: 'gateway', sale: sale.id }, 'a call is lost: its process ended');
    } else if (charge === 'settling') {
      await this.books.change(sale, from, { charge: 'unknown', reason, nextTryMs: 0 });
    }
  }

  private find({ credential: { payer, nonce, offered } }: Order): Promise<Sale | undefined> {
    return findSale(this.database.pool, { network: offered.network, payer, nonce });
  }

  private read(id: string): Promise<Sale | undefined> {
    return readSale(this.database.pool, this.treasuryId, id);
  }

  private termsOf(
    { credential, requestHash, request, operation, configHash }: Order,
    offer: Offer,
  ): SaleTerms {
    return {
      treasuryId: this.treasuryId,
      id: newId('sal'),
      network: offer.network.network,
      asset: offer.asset.address,
      payer: credential.payer,
      payTo: offer.payTo,
      nonce: credential.nonce,
      credentialHash: credential.hash,
      requestHash,
      operation: operation.id,
      resource: `${request.method} ${request.target.path}`.slice(0, 1_000),
      currency: offer.asset.currency,
      amount: offer.amount,
      validBefore: credential.validBefore,
      settle: operation.settle,
      configHash,
    };
  }
}
