import { createHash } from 'node:crypto';
import { canonicalJson } from '../domain/canonical.js';
import type { Answer } from './answers.js';
import type { Asks } from './asks.js';
import {
  type Credential,
  offerPaidBy,
  readCredential,
  UnreadableCredential,
} from './credential.js';
import { purchaseAnswer, requiredAnswer, soldResource } from './front.js';
import type { GatewayCounts } from './gateway-counts.js';
import type { Order } from './orders.js';
import type { Front } from './payment-page.js';
import type { PricedRequest } from './price-list.js';
import { problemAnswer } from './problems.js';
import type { Quotes } from './quotes.js';
import type { Sales } from './sales.js';
import type { Shop, SoldOperation } from './shop.js';
import { parseTarget } from './target.js';
import type { UpstreamAnswer, UpstreamRequest } from './upstream.js';

/** The shop of the current configuration, and the quotes before it while they hold. */
export interface OpenShops {
  readonly current: Shop;
  readonly earlier: Quotes | undefined;
}

/** Parts that sell. */
export interface SellingParts {
  readonly sales: Sales;
  readonly counts: GatewayCounts;
  readonly asks: Asks;
}

/** A request for a priced operation, by HTTP or as a call of an MCP tool. */
export interface PricedAsk {
  readonly shops: OpenShops;
  readonly operation: SoldOperation;
  /** The request as the upstream gets it. */
  readonly request: UpstreamRequest & { readonly body: Buffer | undefined };
  /** The headers that a price may depend on. */
  readonly headers: PricedRequest['headers'];
  /** The payment in base64; undefined for none. */
  readonly payment: string | undefined;
  /** The URL that the 402 names, and that a payment may name. */
  readonly url: string;
  /** The gateway's, as the caller reached it. */
  readonly origin: string;
  readonly wantsPage: boolean;
}

/** Answers a request for a priced operation: a 402, or what became of its sale. */
export async function purchase(
  parts: SellingParts,
  ask: PricedAsk,
): Promise<Answer | UpstreamAnswer> {
  const { shops, operation, payment, request } = ask;
  const { current, earlier } = shops;
  const priced = { query: request.target.query, headers: ask.headers, body: request.body };
  const front: Front = {
    operation,
    title: current.imported.title,
    url: ask.url,
    offers: current.quotes.offersFor(operation, priced),
    origin: ask.origin,
    wantsPage: ask.wantsPage,
  };
  if (payment === undefined) {
    parts.counts.answered(operation.id, 'required');
    parts.asks.count(operation.id);
    return requiredAnswer(front, 'payment_required');
  }
  let credential: Credential;
  try {
    credential = readCredential(payment);
  } catch (error) {
    if (!(error instanceof UnreadableCredential)) throw error;
    return problemAnswer('invalid_request', `the payment ${error.message}`);
  }
  const offer =
    offerPaidBy(credential, front.offers) ??
    offerPaidBy(credential, earlier?.offersFor(operation, priced) ?? []);
  const ending = await parts.sales.sell(orderOf(ask, front, credential, offer));
  parts.counts.answered(operation.id, ending.kind);
  return purchaseAnswer(ending, credential, front);
}

function orderOf(
  { shops, operation, request }: PricedAsk,
  front: Front,
  credential: Credential,
  offer: Order['offer'],
): Order {
  const { file } = shops.current;
  const { method, target, body = Buffer.alloc(0) } = request;
  const bodyHash = createHash('sha256').update(body).digest('hex');
  return {
    credential,
    offer,
    namesAnother:
      credential.resourceUrl !== undefined && !isSameResource(credential.resourceUrl, front.url),
    sold: soldResource(front),
    requestHash: createHash('sha256')
      .update(canonicalJson([method, target.path, target.query, bodyHash]))
      .digest('hex'),
    request: { ...request, body: body.length > 0 ? body : undefined },
    operation: {
      id: operation.id,
      settle: operation.settle,
      isStreamed: operation.isStreamed,
      timeoutMs: operation.timeoutSeconds * 1_000,
      maxAnswerBytes: file.maxAnswerBytes,
      settleSeconds: file.settleSeconds,
    },
    bounds: file,
    configHash: file.hash,
  };
}

/** Whether the URL that a payer names is the request's: host, path and query, whatever the scheme. */
function isSameResource(named: string, url: string): boolean {
  try {
    const [a, b] = [new URL(named), new URL(url)];
    const target = parseTarget(`${a.pathname}${a.search}`);
    return a.host === b.host && `${target.path}${target.query}` === `${b.pathname}${b.search}`;
  } catch {
    return false;
  }
}
