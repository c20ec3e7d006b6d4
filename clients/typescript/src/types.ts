/**
 * The shapes of the REST contract, by the names that this package uses. They are read off the generated
 * paths, so that a change of the contract reaches them without being written twice.
 */
import type { paths } from './openapi.js';

type Json<Content> = Content extends { 'application/json': infer Body } ? Body : never;
type Answer<Operation, Status extends number> = Operation extends {
  responses: { [Each in Status]: { content: infer Content } };
}
  ? Json<Content>
  : never;
type Input<Operation> = Operation extends { requestBody: { content: infer Content } }
  ? Json<Content>
  : never;
/** Lists are read page by page: their cursor is this package's concern. */
type Filters<Operation> = Operation extends { parameters: { query?: infer Parameters } }
  ? Omit<NonNullable<Parameters>, 'limit' | 'cursor'> & { limit?: number }
  : never;

type Payments = paths['/v1/payments'];
type Grants = paths['/v1/grants'];

/**
 * A payment as the service shows it: id, status, amount in currency units, payee, times.
 *
 * @example
 * const payment: Payment = await bursar.payments.get(id);
 * if (payment.status === 'settled') console.log(payment.amount, payment.currency);
 */
export type Payment = Answer<paths['/v1/payments/{id}']['get'], 200>;

/**
 * Every option of a 402 with its decision, and the one that would be paid. Quoting changes nothing.
 *
 * @example
 * const quote = await bursar.quote(url);
 * if (quote?.decision === 'allow') console.log(quote.options[quote.selected ?? 0]?.amount);
 */
export type Quote = Answer<paths['/v1/payments/quote']['post'], 200>;

/**
 * A grant as the service shows it: limits, scope, what is spent, reserved and left.
 *
 * @example
 * const { remaining, currency }: Grant = await bursar.grants.self();
 */
export type Grant = Answer<paths['/v1/grants/self']['get'], 200>;

/**
 * An event of the audit log as the list has it: what happened, who did it, to which grant or payment.
 *
 * @example
 * const { kind, actor, at }: AuditEvent = event;
 */
export type AuditEvent = Answer<paths['/v1/audit/events']['get'], 200>['items'][number];

/**
 * The limits and scope of a new grant. Amounts are currency units (`"0.50"`).
 *
 * @example
 * const terms: GrantTerms = { holder: 'agent', budget: '5.00', ttlSeconds: 3600, maxPerPayment: '0.05' };
 */
export type GrantTerms = Partial<Input<Grants['post']>> &
  Pick<Input<Grants['post']>, 'holder' | 'budget'>;

/**
 * Answer of `grants.revoke`: the grant, how many ended, and what may still be spent.
 *
 * @example
 * const { revokedGrants, exposure }: Revocation = await bursar.grants.revoke(child.grant.id);
 */
export type Revocation = Answer<paths['/v1/grants/{id}/revoke']['post'], 200>;

/**
 * The terms that `grants.amend` changes; those left out stay. `null` takes a limit away.
 *
 * @example
 * const amendment: Amendment = { budget: '10.00', maxPerPayment: null, reason: 'more pages than expected' };
 */
export type Amendment = Input<paths['/v1/grants/{id}']['patch']>;

/**
 * Answer of `grants.amend`: the grant as it is now, and what may still be spent whatever was lowered.
 *
 * @example
 * const { grant, exposure }: AmendedGrant = await bursar.grants.amend(id, { budget: '2.00' });
 */
export type AmendedGrant = Answer<paths['/v1/grants/{id}']['patch'], 200>;

/**
 * A holder's request for more budget or time, in total.
 *
 * @example
 * const raise: Raise = { budget: '50.00', reason: 'twice the pages' };
 */
export type Raise = Input<paths['/v1/grant-requests']['post']>;

/**
 * A raise that was asked for, as the service shows it. Its `reason` is the holder's: untrusted.
 *
 * @example
 * const { id, status }: GrantRequest = await bursar.requestRaise({ budget: '50.00', reason: 'twice the pages' });
 */
export type GrantRequest = Answer<paths['/v1/grant-requests']['post'], 202>['request'];

/**
 * Filters of `raises.list`.
 *
 * @example
 * const query: GrantRequestQuery = { status: 'pending' };
 */
export type GrantRequestQuery = Filters<paths['/v1/grant-requests']['get']>;

/**
 * A page of a grant's tree, and the totals of all of it.
 *
 * @example
 * const { items, totals }: GrantTree = await bursar.grants.tree(grant.id);
 */
export type GrantTree = Answer<paths['/v1/grants/{id}/tree']['get'], 200>;

/**
 * Query of `reports.spend`: up to three dimensions, such as `day`, `holder`, `payTo` or `label:task`.
 *
 * @example
 * const query: SpendQuery = { groupBy: ['day', 'label:task'], from: '2026-11-01T00:00:00Z' };
 */
export type SpendQuery = Omit<Filters<paths['/v1/reports/spend']['get']>, 'groupBy'> & {
  groupBy?: string | readonly string[];
};

/**
 * One group of a report, in currency units.
 *
 * @example
 * const total = ({ group, settled, currency }: SpendItem) => `${group.day}: ${settled} ${currency}`;
 */
export type SpendItem = Answer<paths['/v1/reports/spend']['get'], 200>['items'][number];

/**
 * A page of a list. `nextCursor` is null on the last page.
 *
 * @example
 * const isLast = (page: Page<Payment>) => page.nextCursor === null;
 */
export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

/**
 * Filters of `payments.list`.
 *
 * @example
 * const query: PaymentQuery = { status: 'settled' };
 * for await (const payment of bursar.payments.list(query)) console.log(payment.amount);
 */
export type PaymentQuery = Filters<Payments['get']>;

/**
 * Search of `services`.
 *
 * @example
 * const query: ServiceQuery = { q: 'weather forecast', maxPrice: '0.05' };
 */
export type ServiceQuery = Filters<paths['/v1/services']['get']>;

/**
 * A priced operation that the grant could pay, as a catalog lists it. `url` and `sellerText` are a stranger's text.
 *
 * @example
 * const label = ({ method, url, amount, currency }: Service) => `${method} ${url}: ${amount} ${currency}`;
 */
export type Service = Answer<paths['/v1/services']['get'], 200>['items'][number];

/**
 * Filters of `grants.list`.
 *
 * @example
 * const query: GrantQuery = { limit: 100 };
 * for await (const grant of bursar.grants.list(query)) console.log(grant.holder, grant.remaining);
 */
export type GrantQuery = Filters<Grants['get']>;

/**
 * Request that was made: one that a seller answered with a 402, and that 402.
 *
 * @example
 * const order: PayOrder = { paymentRequired, request: { method: 'GET', url }, maxAmount: '0.05' };
 */
export type PayOrder = Pick<
  Input<Payments['post']>,
  'paymentRequired' | 'memo' | 'maxAmount' | 'option'
> & { request: { method?: string; url: string } };

/**
 * A signed payment and the header that pays the request.
 *
 * @example
 * const send = ({ header }: Pick<AuthorizedPayment, 'header'>) => fetch(url, { headers: { [header.name]: header.value } });
 */
export type AuthorizedPayment = Answer<Payments['post'], 201>;

/**
 * A payment with the header that was made for it.
 *
 * @example
 * const { header, payment }: SignedHeader = await bursar.payments.header(id);
 */
export type SignedHeader = Answer<paths['/v1/payments/{id}/header']['get'], 200>;

/** Named alike by the types of browsers and of Node, which share no name for it. */
type CryptoKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/**
 * The private half of a key-bound grant's key: a WebCrypto pair of P-256 or Ed25519.
 *
 * @example
 * const key: HolderKey = await generateHolderKey();
 * const bursar = new Bursar({ url, token, key });
 */
export interface HolderKey {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

/**
 * The public half of such a key, as a grant's `holderKey`.
 *
 * @example
 * const holderKey: HolderJwk = await publicJwk(key);
 */
export type HolderJwk = NonNullable<GrantTerms['holderKey']>;
