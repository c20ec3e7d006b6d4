import { HTTPFacilitatorClient, type RouteConfig } from '@x402/core/server';
import type { Network, Price } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import {
  paymentMiddlewareFromHTTPServer,
  x402HTTPResourceServer,
  x402ResourceServer,
} from '@x402/express';
import express, { type Express, type RequestHandler } from 'express';
import type { Address } from 'viem';
import { baseSepolia } from 'viem/chains';
import type { ChainToken } from './chain.js';
import { paidMcp } from './mcp-seller.js';
import { type HttpService, serve } from './ports.js';

const NETWORK: Network = `eip155:${baseSepolia.id}`;

/** One way to pay for a route: an entry of the 402's `accepts`. */
export interface SellerOffer {
  /**
   * `'$0.01'` means that much of the network's default token; `{ asset, amount, extra }` names a
   * token and atomic units. A function is asked at each request, so terms may change between two.
   */
  readonly price: Price | (() => Price);
  /** Default: the seller's own. */
  readonly payTo?: Address;
  /** CAIP-2. Default: the seller's own. */
  readonly network?: Network;
  /** How long a payment may stay valid, in seconds. Default: the package's, 300. */
  readonly maxTimeoutSeconds?: number;
  /** Joined to the requirement's `extra`, over what the token's registry entry says. */
  readonly extra?: Record<string, unknown>;
}

/** A paid route. */
export interface SellerRoute {
  /** Offers of the 402, in this order. */
  readonly offers: readonly SellerOffer[];
  readonly description?: string;
  /**
   * Answers once the payment is verified, and before it is settled: with a status of 400 or more
   * nothing is settled, although the signature stays spendable. Default: 200 with
   * `{ path, params }`.
   */
  readonly handler?: RequestHandler;
}

/** Express patterns: `GET /data/:page`. */
export type SellerRoutes = Readonly<
  Record<`${'GET' | 'POST' | 'PUT' | 'DELETE'} /${string}`, SellerRoute>
>;

/** Options of {@link startSeller}. */
export interface SellerOptions {
  readonly facilitatorUrl: string;
  /** Payee, unless an offer says otherwise. */
  readonly payTo: Address;
  /** CAIP-2. Default `eip155:84532`. */
  readonly network?: Network;
  /** Where to listen on 127.0.0.1. Default 0: a free port. */
  readonly port?: number;
  /** The paid routes. Default {@link defaultSellerRoutes}. `GET /free` is there in any case. */
  readonly routes?: SellerRoutes;
}

/** A running paid API. */
export interface Seller extends HttpService {
  readonly payTo: Address;
}

/** Answers with a page of the data. */
export const sendPage: RequestHandler = (request, response) => {
  response.json({ page: request.params.page, rows: ['alpha', 'beta', 'gamma'] });
};

/** Answers with the report. */
export const sendReport: RequestHandler = (_request, response) => {
  response.json({ title: 'The full report', chapters: 12 });
};

/** A page for a cent, and a report dear enough that a small per-payment limit refuses it. */
const defaultSellerRoutes: SellerRoutes = {
  'GET /data/:page': {
    offers: [{ price: '$0.01' }],
    description: 'One page of data',
    handler: sendPage,
  },
  'GET /report': {
    offers: [{ price: '$2.50' }],
    description: 'The full report',
    handler: sendReport,
  },
};

/**
 * The default routes, and one for each further token: `GET /eurc/data/:page` costs a cent of EURC.
 *
 * @param tokens - besides the network's default token, which the default routes are priced in.
 */
export function sellerRoutesFor(tokens: readonly ChainToken[]): SellerRoutes {
  const routes = tokens.map(({ symbol, address, name, version, decimals }) => {
    const amount = (10n ** BigInt(decimals) / 100n).toString();
    const route: SellerRoute = {
      offers: [{ price: { asset: address, amount, extra: { name, version } } }],
      description: `One page of data, for ${symbol}`,
      handler: sendPage,
    };
    return [`GET /${symbol.toLowerCase()}/data/:page`, route] as const;
  });
  return { ...defaultSellerRoutes, ...Object.fromEntries(routes) };
}

/**
 * Starts an API that is paid for with x402 v2, scheme `exact`, made of the published packages:
 * an unpaid request gets 402 and `PAYMENT-REQUIRED`, one with `PAYMENT-SIGNATURE` the data and
 * `PAYMENT-RESPONSE`. `GET /free` answers `{ free: true }` without payment, and `POST /mcp` sells tools
 * ({@link paidMcp}).
 *
 * It has asked the facilitator what it supports, and has its routes checked, when this returns.
 *
 * @throws Error when the facilitator cannot be asked
 * @throws RouteConfigurationError (of `@x402/core`) when it does not support an offer's network
 * @throws Error with Node's code when it cannot listen on the port
 */
export async function startSeller(options: SellerOptions): Promise<Seller> {
  const routes = options.routes ?? defaultSellerRoutes;
  const network = options.network ?? NETWORK;
  const { payTo } = options;

  const networks = new Set([network]);
  const routeConfigs: Record<string, RouteConfig> = {};
  for (const [pattern, { offers, description }] of Object.entries(routes)) {
    routeConfigs[pattern] = {
      accepts: offers.map((offer) => ({ scheme: 'exact', network, payTo, ...offer })),
      ...(description === undefined ? {} : { description }),
    };
    for (const offer of offers) networks.add(offer.network ?? network);
  }

  const resourceServer = new x402ResourceServer(
    new HTTPFacilitatorClient({ url: options.facilitatorUrl }),
  );
  for (const each of networks) resourceServer.register(each, new ExactEvmScheme());
  const httpServer = new x402HTTPResourceServer(resourceServer, routeConfigs);
  // Here, not at the first request as the middleware would: a seller that cannot sell never starts.
  await httpServer.initialize();

  const app = express();
  app.use(allowBrowsers);
  app.get('/free', (_request, response) => {
    response.json({ free: true });
  });
  app.use(paidMcp({ resourceServer, payTo, network }));
  app.use(paymentMiddlewareFromHTTPServer(httpServer, undefined, undefined, false));
  addHandlers(app, routes);

  const service = await serve(app, options.port);
  return { ...service, payTo };
}

/** Lets pages of every origin buy: CORS, with the headers of x402. */
const allowBrowsers: RequestHandler = (request, response, next) => {
  response.set('access-control-allow-origin', '*');
  response.set('access-control-expose-headers', 'payment-required, payment-response, retry-after');
  if (request.method !== 'OPTIONS') return next();
  response.set('access-control-allow-methods', 'GET, POST, PUT, DELETE');
  response.set('access-control-allow-headers', 'content-type, payment-signature, x-payment');
  response.status(204).end();
};

function addHandlers(app: Express, routes: SellerRoutes): void {
  for (const [pattern, { handler }] of Object.entries(routes)) {
    const [method, path] = pattern.split(' ') as ['GET' | 'POST' | 'PUT' | 'DELETE', string];
    const verb = method.toLowerCase() as 'get' | 'post' | 'put' | 'delete';
    app[verb](path, handler ?? answerWithRequest);
  }
}

const answerWithRequest: RequestHandler = (request, response) => {
  response.json({ path: request.path, params: request.params });
};
