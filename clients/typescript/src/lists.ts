import type { Api } from './api.js';
import type {
  AmendedGrant,
  Amendment,
  Grant,
  GrantQuery,
  GrantRequest,
  GrantRequestQuery,
  GrantTerms,
  GrantTree,
  Page,
  Payment,
  PaymentQuery,
  PayOrder,
  Quote,
  Revocation,
  SignedHeader,
  SpendItem,
  SpendQuery,
} from './types.js';

/** Every item of a list, page by page. */
export async function* every<Item>(api: Api, path: string, query: object): AsyncGenerator<Item> {
  let page: Page<Item> | undefined;
  do {
    const call = { query: { ...query, cursor: page?.nextCursor ?? undefined } };
    page = await api.read<Page<Item>>('GET', path, call);
    yield* page.items;
  } while (page.nextCursor !== null);
}

/**
 * A minted grant, with the token of its holder.
 *
 * @example
 * const { grant, token }: GrantWithToken = await admin.grants.mint({ holder: 'agent', budget: '5.00', ttlSeconds: 3600 });
 */
export interface GrantWithToken {
  readonly grant: Grant;
  readonly token: string;
}

/**
 * The grants that the caller may see: its own and those below it; an admin's, all.
 *
 * @example
 * const { exposure } = await bursar.grants.revoke(child.id, { reason: 'done' });
 */
export class Grants {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }

  /** The caller's own grant. */
  async self(): Promise<Grant> {
    return this.#api.read<Grant>('GET', '/v1/grants/self');
  }

  /** One grant. */
  async get(id: string): Promise<Grant> {
    return this.#api.read<Grant>('GET', `/v1/grants/${id}`);
  }

  /** All grants that match, oldest first. */
  list(query: GrantQuery = {}): AsyncGenerator<Grant> {
    return every<Grant>(this.#api, '/v1/grants', query);
  }

  /** A page of the tree below a grant, a parent before its children, and the totals of all of it. */
  async tree(id: string, query: { cursor?: string; limit?: number } = {}): Promise<GrantTree> {
    return this.#api.read<GrantTree>('GET', `/v1/grants/${id}/tree`, { query });
  }

  /**
   * Mints a grant: a root for an admin, a child of its own for a holder. A lost answer is asked for again with
   * the same key, so that it never mints two.
   */
  async mint(
    terms: GrantTerms,
    idempotencyKey: string = crypto.randomUUID(),
  ): Promise<GrantWithToken> {
    const call = { body: terms, idempotencyKey };
    return this.#api.read<GrantWithToken>('POST', '/v1/grants', call);
  }

  /** Raises or lowers the terms of a grant that the caller is above of. What is signed may still be spent. */
  async amend(id: string, amendment: Amendment): Promise<AmendedGrant> {
    const call = { body: amendment };
    return this.#api.read<AmendedGrant>('PATCH', `/v1/grants/${id}`, call);
  }

  /** Pauses a grant and all below it. */
  async suspend(id: string, reason?: string): Promise<Grant> {
    return this.#change(id, 'suspend', reason);
  }

  /** Ends a pause. */
  async resume(id: string, reason?: string): Promise<Grant> {
    return this.#change(id, 'resume', reason);
  }

  /** Ends a grant and all below it, for good. The answer says what may still be spent. */
  async revoke(
    id: string,
    options: { reason?: string; cancelOutstanding?: boolean } = {},
  ): Promise<Revocation> {
    return this.#api.read<Revocation>('POST', `/v1/grants/${id}/revoke`, { body: options });
  }

  /** A fresh token for a grant's holder. The one before stops working. */
  async reissueToken(id: string): Promise<GrantWithToken> {
    return this.#api.read<GrantWithToken>('POST', `/v1/grants/${id}/token`);
  }

  async #change(id: string, change: string, reason: string | undefined): Promise<Grant> {
    const call = { body: { reason } };
    const path = `/v1/grants/${id}/${change}`;
    return (await this.#api.read<{ grant: Grant }>('POST', path, call)).grant;
  }
}

/**
 * The payments that the caller may see.
 *
 * @example
 * for await (const payment of bursar.payments.list({ status: 'settled' })) console.log(payment.amount);
 */
export class Payments {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }

  /** One payment. */
  async get(id: string): Promise<Payment> {
    return this.#api.read<Payment>('GET', `/v1/payments/${id}`);
  }

  /** All payments that match, oldest first. `grantId` includes the tree below it. */
  list(query: PaymentQuery = {}): AsyncGenerator<Payment> {
    return every<Payment>(this.#api, '/v1/payments', query);
  }

  /** One page of them. */
  async page(query: PaymentQuery & { cursor?: string } = {}): Promise<Page<Payment>> {
    return this.#api.read<Page<Payment>>('GET', '/v1/payments', { query });
  }

  /** Quotes a 402 that was met by other means. Changes nothing. */
  async quote(order: PayOrder): Promise<Quote> {
    return this.#api.read<Quote>('POST', '/v1/payments/quote', { body: order });
  }

  /** The header of an open or settled payment, for its own holder. */
  async header(id: string): Promise<SignedHeader> {
    return this.#api.read<SignedHeader>('GET', `/v1/payments/${id}/header`);
  }

  /** Hands in a seller's PAYMENT-RESPONSE header. */
  async receipt(id: string, paymentResponse: string): Promise<Payment> {
    return this.#change(id, 'receipt', { paymentResponse });
  }

  /** Cancels a signed and unsettled payment on chain. */
  async cancel(id: string): Promise<Payment> {
    return this.#change(id, 'cancel', {});
  }

  /** Permits a payment that waits. Its agent must ask again to get it signed. */
  async approve(id: string, reason?: string): Promise<Payment> {
    return this.#change(id, 'approve', { reason });
  }

  /** Refuses a payment that waits, for good. */
  async reject(id: string, reason?: string): Promise<Payment> {
    return this.#change(id, 'reject', { reason });
  }

  async #change(id: string, change: string, body: object): Promise<Payment> {
    const path = `/v1/payments/${id}/${change}`;
    return (await this.#api.read<{ payment: Payment }>('POST', path, { body })).payment;
  }
}

/**
 * Reports of what the caller may see: its own grant and those below it; an admin's, all.
 *
 * @example
 * for await (const { group, settled } of bursar.reports.spend({ groupBy: ['day'] })) console.log(group.day, settled);
 */
export class Reports {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }

  /** Reports who spent what: the sums of each group, exact to the atomic unit. */
  spend({ groupBy = [], ...query }: SpendQuery = {}): AsyncGenerator<SpendItem> {
    return every<SpendItem>(this.#api, '/v1/reports/spend', {
      ...query,
      groupBy: String(groupBy),
    });
  }
}

/**
 * The raises that holders asked for, of the grants that the caller may see.
 *
 * @example
 * for await (const { id } of bursar.raises.list({ status: 'pending' })) await bursar.raises.approve(id);
 */
export class Raises {
  readonly #api: Api;
  constructor(api: Api) {
    this.#api = api;
  }

  /** All requests that match, oldest first. */
  list(query: GrantRequestQuery = {}): AsyncGenerator<GrantRequest> {
    return every<GrantRequest>(this.#api, '/v1/grant-requests', query);
  }

  /** Amends the grant as was asked. For a holder above it, or an admin. */
  async approve(id: string, reason?: string): Promise<GrantRequest> {
    return this.#decide(id, 'approve', reason);
  }

  /** Leaves the grant as it is. */
  async reject(id: string, reason?: string): Promise<GrantRequest> {
    return this.#decide(id, 'reject', reason);
  }

  async #decide(id: string, verdict: string, reason?: string): Promise<GrantRequest> {
    const call = { body: { reason } };
    const path = `/v1/grant-requests/${id}/${verdict}`;
    return (await this.#api.read<{ request: GrantRequest }>('POST', path, call)).request;
  }
}
