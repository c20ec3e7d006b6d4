import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.js';
import { newId } from '../ids.js';
import { inSpan } from '../tracing/trace-scope.js';
import type { Answers } from './answers.js';
import { type FacilitatorRequest, facilitatorRequest } from './facilitators.js';
import type { Offer } from './offers.js';
import type { Ending, Order } from './orders.js';
import { PayerLimits } from './payer-limits.js';
import { findSale, readSale, type Sale, type SaleTerms } from './sale-rows.js';
import { SaleSteps, type SaleStepsParts } from './sale-steps.js';
import { UpstreamFailure } from './upstream-failure.js';

/** How often a copy looks what became of the one that works, in milliseconds: first, and at most. */
const LOOK_MS = { first: 25, most: 250 };

/** How long a copy waits beyond the operation's own time, in milliseconds. */
const WAIT_BEYOND_MS = 30_000;

/** Parts that sales work with. */
export interface SalesParts extends SaleStepsParts {
  readonly database: Database;
  readonly treasuryId: string;
  readonly answers: Answers;
}

/**
 * The sales: one credential causes at most one call of the upstream and at most one settlement, in whichever process. Whoever
 * reserves it does the steps; copies of the request follow them.
 */
export class Sales {
  /** Sales under way in this process. Copies wait for them here, and hold no connection. */
  readonly #flights = new Map<string, Promise<Ending>>();
  readonly #payers = new PayerLimits();
  /** The sales that this process works on now. One that is its own and not in here was left by an error. */
  readonly working = new Set<string>();

  readonly #steps: SaleSteps;

  constructor(private readonly parts: SalesParts) {
    this.#steps = new SaleSteps(parts);
  }

  /** The name of this process. */
  get process(): string {
    return this.parts.process;
  }

  /** Sells once, however many copies ask. Everything that is not an ending is an error of the database. */
  sell(order: Order): Promise<Ending> {
    const key = `${order.credential.hash} ${order.requestHash}`;
    const flying = this.#flights.get(key);
    if (flying) return flying.then((ending) => this.copyOf(ending, order));
    const flight = this.run(order).finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  /** The ending for a copy of the request that got it: a stream has one reader, and copies wait for its end. */
  private copyOf(ending: Ending, order: Order): Ending | Promise<Ending> {
    return ending.kind === 'streaming' ? this.followAgain(ending.sale, order) : ending;
  }

  private async run(order: Order): Promise<Ending> {
    const known = await this.find(order);
    if (known) return this.follow(known, order);
    const { credential, offer, operation, bounds, namesAnother } = order;
    if (namesAnother) return { kind: 'unpayable', reason: 'payment_is_for_another_resource' };
    if (!offer) return { kind: 'unpayable', reason: 'payment_pays_none_of_the_offers' };
    const needed = operation.timeoutMs / 1_000 + operation.settleSeconds;
    if (credential.validBefore < BigInt(Math.ceil(Date.now() / 1_000 + needed))) {
      return { kind: 'unpayable', reason: 'payment_expires_too_soon' };
    }
    const request = facilitatorRequest(credential, offer, order.sold);
    const verification = await inSpan('sale verify', () => this.parts.facilitators.verify(request));
    if (verification.kind === 'unavailable') return verification;
    if (verification.kind === 'invalid') {
      // Another replica may have sold it meanwhile, and then the nonce is used.
      const sold = await this.find(order);
      return sold ? this.follow(sold, order) : { kind: 'unpayable', reason: verification.reason };
    }
    // Counted once it is verified: whoever only claims to be a payer takes nothing of that payer's.
    const entry = this.#payers.enter(credential.payer, bounds);
    if (typeof entry === 'number') return { kind: 'busy', retryAfterSeconds: entry };
    return during(entry.leave, async () => {
      try {
        await this.parts.upstream().prepare();
      } catch (error) {
        if (!(error instanceof UpstreamFailure)) throw error;
        return { kind: 'unavailable', reason: `the upstream ${error.message}` };
      }
      return this.reserve(order, offer, request);
    });
  }

  private async reserve(order: Order, offer: Offer, request: FacilitatorRequest): Promise<Ending> {
    const terms = this.termsOf(order, offer);
    const { answers, books } = this.parts;
    return this.workOn(terms.id, async () => {
      const plain = Buffer.from(JSON.stringify(request));
      const sealedPayment = answers.seal(plain, terms.id).toString('base64');
      const work = { sealedPayment, process: this.process };
      const sale = await books.open(terms, work, order.bounds.freePerPayer);
      if (!sale) {
        const other = await this.find(order);
        // A sale of another treasury, which is not seen here, may have it.
        return other ? this.follow(other, order) : { kind: 'conflict' };
      }
      return (await this.#steps.run(sale, order, request)) ?? (await this.followAgain(sale, order));
    });
  }

  /** Ends what a process has begun that is no more. */
  takeOver(sale: Sale): Promise<void> {
    return this.#steps.takeOver(sale);
  }

  /** Waits until the answers that are handed on have ended. */
  quiet(): Promise<void> {
    return this.#steps.quiet();
  }

  /** Does work on a sale, which is this process's while it lasts: until a stream is over. */
  private workOn(saleId: string, work: () => Promise<Ending>): Promise<Ending> {
    this.working.add(saleId);
    return during(() => this.working.delete(saleId), work);
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
    if (charge === 'settled' && call === 'none') {
      return this.workOn(
        sale.id,
        async () =>
          (await this.#steps.callPaid(sale, order)) ?? (await this.followAgain(sale, order)),
      );
    }
    if (call === 'lost')
      return charge === 'settled' ? { kind: 'owed', sale } : { kind: 'lost', sale };
    if (call === 'failed' && charge === 'settled') return { kind: 'owed', sale };
    const isUncharged = charge === 'none' && (call === 'failed' || call === 'answered');
    if (!isUncharged && !(charge === 'settled' && call === 'answered')) return undefined;
    const answer = await this.parts.answers.read(this.parts.database.pool, sale);
    if (!answer) return { kind: 'gone', sale };
    return { kind: isUncharged ? 'uncharged' : 'sold', sale, answer };
  }

  private find({ credential: { payer, nonce, offered } }: Order): Promise<Sale | undefined> {
    return findSale(this.parts.database.pool, { network: offered.network, payer, nonce });
  }

  private read(id: string): Promise<Sale | undefined> {
    return readSale(this.parts.database.pool, this.parts.treasuryId, id);
  }

  private termsOf(
    { credential, requestHash, request, operation, configHash }: Order,
    offer: Offer,
  ): SaleTerms {
    return {
      treasuryId: this.parts.treasuryId,
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

/** Does work, and then what follows it; where the work ends in a stream, when that is over. */
async function during(after: () => void, work: () => Promise<Ending>): Promise<Ending> {
  let ending: Ending | undefined;
  try {
    ending = await work();
    return ending;
  } finally {
    if (ending?.kind === 'streaming') void ending.over.finally(after);
    else after();
  }
}
