import { Api, type ApiOptions } from './api.js';
import { refuseUnknown } from './errors.js';
import type { BursarEvent, EventOptions } from './events.js';
import {
  type BursarInit,
  type Payer,
  type PaymentOptions,
  paidFetch,
  quoteOf,
  type ResponsePayment,
  requestPayment,
} from './fetch.js';
import { generateHolderKey, publicJwk } from './keys.js';
import { every, Grants, Payments, Raises, Reports } from './lists.js';
import { keyOfIntent, Purchases } from './purchases.js';
import type {
  AuthorizedPayment,
  Grant,
  GrantRequest,
  GrantTerms,
  HolderKey,
  Page,
  Payment,
  PayOrder,
  Quote,
  Raise,
  Service,
  ServiceQuery,
} from './types.js';

/**
 * How a `Bursar` is made.
 *
 * @example
 * const bursar = new Bursar({ url, token, defaults: { maxAmount: '0.05', memo: 'nightly report' } });
 */
export interface BursarOptions extends ApiOptions {
  /** Names this run in the keys of purchases without an intent. Default: random. */
  readonly runId?: string | undefined;
  /** Defaults of each call. */
  readonly defaults?: Omit<PaymentOptions, 'intent'> | undefined;
}

/**
 * A payment signed by `pay`, and the header that pays the request.
 *
 * @example
 * const { payment, header }: PaidOrder = await bursar.pay(order, { intent: 'page 7' });
 */
export interface PaidOrder {
  readonly payment: Payment;
  readonly header: AuthorizedPayment['header'];
  readonly remaining: string;
  readonly replayed: boolean;
}

/**
 * A grant for a sub-agent.
 *
 * @example
 * const terms: Delegation = { holder: 'reader', budget: '1.00', ttlSeconds: 600, maxPerPayment: '0.05', key: true };
 */
export interface Delegation extends Omit<GrantTerms, 'holderKey' | 'parentId' | 'treasuryId'> {
  /** Binds the grant to a key, so that its token alone is worth nothing. True makes a new key. */
  readonly key?: HolderKey | true | undefined;
  /** Makes a repeated call return the same grant, also after a restart. With it, give a `key` that you kept. */
  readonly idempotencyKey?: string | undefined;
  /** Hears of each token that the child's `Bursar` renews. */
  readonly onToken?: ((token: string) => void) | undefined;
}

/**
 * Money that was granted to this agent, and a `fetch` that pays with it.
 *
 * @example
 * const bursar = new Bursar({ url: 'https://bursar.example.com', token });
 * const response = await bursar.fetch('https://api.example.com/data/7', { maxAmount: '0.05' });
 * console.log(await response.json(), bursar.paymentOf(response)?.amount);
 */
export class Bursar {
  /** The grants that this one may see. */
  readonly grants: Grants;
  /** The payments that this one may see. */
  readonly payments: Payments;
  /** Reports of spend. */
  readonly reports: Reports;
  /** The raises that holders asked for. */
  readonly raises: Raises;
  /** The grant of a `Bursar` that `delegate` made, as it was minted. */
  readonly grant: Grant | undefined;
  /** The key of a key-bound grant. */
  readonly key: HolderKey | undefined;

  readonly #options: BursarOptions;
  readonly #api: Api;
  readonly #payer: Payer;
  readonly #tasks = new Set<Promise<unknown>>();

  constructor(options: BursarOptions, grant?: Grant) {
    const { url, token, key, fetch, timeoutMs, renewToken, onToken, runId, defaults, ...unknown } =
      options;
    refuseUnknown(unknown, '; those of calls belong in defaults');
    const api = new Api(options);
    this.#options = options;
    this.#api = api;
    this.grant = grant;
    this.key = key;
    this.grants = new Grants(api);
    this.payments = new Payments(api);
    this.raises = new Raises(api);
    this.reports = new Reports(api);
    this.#payer = {
      api,
      purchases: new Purchases(runId),
      defaults,
      payments: new WeakMap(),
      background: (task) => {
        const done = task.catch(() => {}).finally(() => this.#tasks.delete(done));
        this.#tasks.add(done);
      },
    };
  }

  /**
   * A `Bursar` of the environment: `BURSAR_URL` and `BURSAR_TOKEN`.
   *
   * @throws TypeError naming the variable that is missing.
   * @example
   * const bursar = Bursar.fromEnv();
   */
  static fromEnv(options: Partial<BursarOptions> = {}): Bursar {
    const { process } = globalThis as { process?: { env: Record<string, string | undefined> } };
    const read = (name: string) => {
      const value = process?.env[name];
      if (!value)
        throw new TypeError(`${name} is not set; set it, or use new Bursar({ url, token })`);
      return value;
    };
    return new Bursar({
      ...options,
      url: options.url ?? read('BURSAR_URL'),
      token: options.token ?? read('BURSAR_TOKEN'),
    });
  }

  /** The token in use now: another one than the first after a renewal. */
  get token(): string {
    return this.#api.token;
  }

  /**
   * `fetch`, and pays an x402 402 (v1 or v2) of the origin that was asked. Each purchase has one key, kept over
   * retries and lost answers: without an `intent`, in this process; with one, everywhere. Can be passed on as
   * a plain function.
   *
   * @throws BursarError for a refusal, PaymentOutcomeUnknown, PaidNotDelivered, ApprovalRequired; what `fetch`
   * throws for the rest.
   * @example
   * const response = await bursar.fetch(url, { intent: 'page 7 of the report', maxAmount: '0.05' });
   */
  readonly fetch = (input: string | URL | Request, init: BursarInit = {}): Promise<Response> =>
    paidFetch(this.#payer, input, init);

  /**
   * Tells what a response cost; undefined if it was free.
   *
   * @example
   * const { amount, remaining } = bursar.paymentOf(response) ?? {};
   */
  paymentOf(response: Response): ResponsePayment | undefined {
    return this.#payer.payments.get(response);
  }

  /**
   * Tells what a request would cost and whether the grant allows it, without paying. The request is sent once,
   * unpaid. Undefined if its seller asks for nothing.
   *
   * @throws BursarError `seller_refused` for an answer of 400 or more that has no terms, such as a 404.
   * @example
   * const quote = await bursar.quote('https://api.example.com/report');
   * if (quote?.decision === 'allow') console.log(quote.options[quote.selected ?? 0]?.amount);
   */
  quote(input: string | URL | Request, init: BursarInit = {}): Promise<Quote | undefined> {
    return quoteOf(this.#payer, input, init);
  }

  /**
   * Has a 402 signed that was met by other means, such as an MCP tool. The same key gives the same payment. Of the
   * defaults, `maxAmount` and `memo` and those of waiting hold.
   *
   * @param purchase - its `intent`, or the key itself.
   * @example
   * const { header } = await bursar.pay({ paymentRequired, request: { url } }, { intent: 'page 7' });
   * await fetch(url, { headers: { [header.name]: header.value } });
   */
  async pay(
    order: PayOrder,
    purchase: ({ intent: string } | { idempotencyKey: string }) &
      Pick<PaymentOptions, 'waitForApproval' | 'onApproval' | 'maxWait'> & { signal?: AbortSignal },
  ): Promise<PaidOrder> {
    const { defaults } = this.#payer;
    const key = 'intent' in purchase ? await keyOfIntent(purchase.intent) : purchase.idempotencyKey;
    const bounded = {
      ...order,
      maxAmount: order.maxAmount ?? defaults?.maxAmount,
      memo: order.memo ?? defaults?.memo,
    } as PayOrder;
    return requestPayment(this.#api, bounded, key, { ...defaults, ...purchase });
  }

  /**
   * Gives a sub-agent a part of this grant, and returns the `Bursar` that spends it.
   *
   * @example
   * const child = await bursar.delegate({ holder: 'reader', budget: '1.00', ttlSeconds: 600 });
   * await child.fetch(url);
   * await bursar.grants.revoke(child.grant.id);
   */
  async delegate({
    key: wanted,
    idempotencyKey,
    onToken,
    ...terms
  }: Delegation): Promise<Bursar & { grant: Grant }> {
    const key = wanted === true ? await generateHolderKey() : wanted;
    const holderKey = key && (await publicJwk(key));
    const minting = holderKey ? { ...terms, holderKey } : terms;
    const { grant, token } = await this.grants.mint(minting, idempotencyKey);
    const options = { ...this.#options, runId: undefined, onToken, token, key };
    return new Bursar(options, grant) as Bursar & { grant: Grant };
  }

  /**
   * Finds priced operations that this grant could pay, the best first: by price, and by how payments to their host went.
   * Nothing is bought. A listed price promises nothing: the 402 of the request decides.
   *
   * @example
   * for await (const { url, amount } of bursar.services({ q: 'weather', maxPrice: '0.05' })) console.log(url, amount);
   */
  services(query: ServiceQuery = {}): AsyncGenerator<Service> {
    return every<Service>(this.#api, '/v1/services', query);
  }

  /** One page of {@link services}. */
  async servicesPage(query: ServiceQuery & { cursor?: string } = {}): Promise<Page<Service>> {
    return this.#api.read<Page<Service>>('GET', '/v1/services', { query });
  }

  /**
   * Asks whoever is above for more budget or time, in total. One request of a grant waits at a time.
   *
   * @throws BursarError `conflict` for a request that raises nothing, or while another one waits.
   * @example
   * const { id } = await bursar.requestRaise({ budget: '50.00', reason: 'twice the pages' });
   */
  async requestRaise(raise: Raise): Promise<GrantRequest> {
    const call = { body: raise };
    return (await this.#api.read<{ request: GrantRequest }>('POST', '/v1/grant-requests', call))
      .request;
  }

  /**
   * Follows what happens to this grant and to those below it (an admin: to all it sees), as it happens. The loop lasts
   * until it is left or aborted: it reconnects by itself, and no event is lost or doubled meanwhile. Store the `cursor`
   * of the last event that was handled to go on after a restart.
   *
   * @throws BursarError where another connection would not help, such as `invalid_token`, and `unreachable` when the
   * first connection fails four times.
   * @example
   * for await (const event of bursar.events({ types: ['grant.*', 'payment.settled'], after: stored })) {
   *   console.log(event.kind, event.data);
   *   stored = event.cursor;
   * }
   */
  async *events(options: EventOptions = {}): AsyncGenerator<BursarEvent, void> {
    // Loaded at the first use: most agents follow none.
    const { follow } = await import('./events.js');
    yield* follow(this.#api, options);
  }

  /**
   * Resolves when the receipts that were handed in by the way have arrived. For a process that is about to end.
   *
   * @example
   * context.waitUntil(bursar.idle());
   */
  async idle(): Promise<void> {
    await Promise.all(this.#tasks);
  }
}
