import { getRequestListener } from '@hono/node-server';
import { HTTPFacilitatorClient } from '@x402/core/server';
import type { Network } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { paymentMiddleware as expressPaymentMiddleware } from '@x402/express';
import { declareDiscoveryExtension } from '@x402/extensions/bazaar';
import {
  createOfferReceiptExtension,
  declareOfferReceiptExtension,
  type OfferReceiptIssuer,
} from '@x402/extensions/offer-receipt';
import { declarePaymentIdentifierExtension } from '@x402/extensions/payment-identifier';
import { paymentMiddleware, x402ResourceServer } from '@x402/hono';
import express from 'express';
import { Hono } from 'hono';
import type { Address } from 'viem';
import { paymentMiddleware as paymentMiddlewareV1 } from 'x402-express';
import { type HttpService, serve } from '../../sandbox/ports.js';

/** Settings that a seller of these is started with. */
export interface SellerTerms {
  readonly facilitatorUrl: string;
  readonly payTo: Address;
  /** CAIP-2. */
  readonly network: Network;
}

/**
 * A paid API on `@x402/hono`, x402 v2. Its `GET /data/:page` offers two prices, the dearer one first,
 * and declares the extensions that sellers in the field declare most: a payment's own id, which it
 * requires, and the discovery of its inputs and outputs.
 */
export async function startHonoSeller(terms: SellerTerms): Promise<HttpService> {
  const { facilitatorUrl, payTo, network } = terms;
  const resourceServer = new x402ResourceServer(
    new HTTPFacilitatorClient({ url: facilitatorUrl }),
  ).register(network, new ExactEvmScheme());
  await resourceServer.initialize();
  const offer = { scheme: 'exact', network, payTo };
  const app = new Hono();
  app.use(
    paymentMiddleware(
      {
        'GET /data/:page': {
          accepts: [
            { ...offer, price: '$0.02' },
            { ...offer, price: '$0.01', maxTimeoutSeconds: 90, extra: { tier: ['basic', 1.5] } },
          ],
          description: 'Eine Seite f\u00fcr 1 \u00a2',
          mimeType: 'application/json',
          extensions: {
            'payment-identifier': declarePaymentIdentifierExtension(true),
            ...declareDiscoveryExtension({
              input: { city: 'Z\u00fcrich' },
              inputSchema: {
                properties: { city: { type: 'string' }, near: { properties: { km: {} } } },
                required: ['city'],
              },
              output: { example: { rows: [{ name: 'alpha', at: { lat: 47.37, lon: 8.54 } }] } },
            }),
          },
        },
      },
      resourceServer,
      undefined,
      undefined,
      false,
    ),
  );
  app.get('/data/:page', (context) => context.json({ page: context.req.param('page') }));
  return serve(getRequestListener(app.fetch));
}

/**
 * A paid API on `@x402/express` with the `offer-receipt` extension, x402 v2: `GET /data/:page` for a cent,
 * with a signed offer in its 402 and a signed receipt in its PAYMENT-RESPONSE.
 */
export async function startReceiptSeller(
  terms: SellerTerms,
  issuer: OfferReceiptIssuer,
): Promise<HttpService> {
  const { facilitatorUrl, payTo, network } = terms;
  const resourceServer = new x402ResourceServer(
    new HTTPFacilitatorClient({ url: facilitatorUrl }),
  ).register(network, new ExactEvmScheme());
  resourceServer.registerExtension(createOfferReceiptExtension(issuer));
  await resourceServer.initialize();
  const app = express();
  app.use(
    expressPaymentMiddleware(
      {
        'GET /data/:page': {
          accepts: [{ scheme: 'exact', network, payTo, price: '$0.01' }],
          description: 'One page of data',
          extensions: declareOfferReceiptExtension({ includeTxHash: true }),
        },
      },
      resourceServer,
      undefined,
      undefined,
      false,
    ),
  );
  app.get('/data/:page', (request, response) => {
    response.json({ page: request.params.page });
  });
  return serve(app);
}

/** A paid API on `x402-express`, x402 v1: `GET /data/:page` for a cent. */
export function startV1Seller(terms: SellerTerms): Promise<HttpService> {
  const { facilitatorUrl, payTo } = terms;
  const app = express();
  app.use(
    paymentMiddlewareV1(
      payTo,
      {
        'GET /data/*': {
          price: '$0.01',
          network: 'base-sepolia',
          config: {
            description: 'One page of data',
            mimeType: 'application/json',
            inputSchema: { queryParams: { city: 'string' } },
            outputSchema: { type: 'object', properties: { page: { type: 'string' } } },
          },
        },
      },
      { url: facilitatorUrl as `http://${string}` },
    ),
  );
  app.get('/data/:page', (request, response) => {
    response.json({ page: request.params.page });
  });
  return serve(app);
}
