// One of the servers that selling is measured with, as a process of its own.
import { randomBytes } from 'node:crypto';
import { HTTPFacilitatorClient } from '@x402/core/server';
import type { Network } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { paymentMiddleware, x402ResourceServer } from '@x402/express';
import express from 'express';
import { Agent, request } from 'undici';
import { serve } from '../sandbox/ports.js';
import { loadConfig } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { startGateway } from '../src/gateway/start-gateway.js';
import { createLogger } from '../src/ops/logger.js';
import { readMasterSecret } from '../src/secrets.js';
import { answerOrders } from './helper.js';
import type { SellerOrder } from './protocol.js';

answerOrders<SellerOrder, { url: string }>(async (order) => {
  switch (order.kind) {
    case 'upstream':
      return startUpstream();
    case 'facilitator':
      return startFacilitator(order.network);
    case 'express':
      return startExpress(order);
    case 'gateway':
      return startBursar(order);
  }
});

/** An API that answers at once. */
function startUpstream() {
  const page = JSON.stringify({ page: 7, rows: ['alpha', 'beta', 'gamma'] });
  return serve((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(page);
  });
}

/** A facilitator that takes every payment, at once, and settles nothing. */
function startFacilitator(network: string) {
  const app = express().use(express.json());
  app.get('/supported', (_request, response) => {
    const kinds = [{ x402Version: 2, scheme: 'exact', network }];
    response.json({ kinds, extensions: [], signers: {} });
  });
  app.post('/verify', ({ body }, response) => {
    response.json({ isValid: true, payer: body.paymentPayload.payload.authorization.from });
  });
  app.post('/settle', ({ body }, response) => {
    const { from: payer } = body.paymentPayload.payload.authorization;
    const transaction = `0x${randomBytes(32).toString('hex')}`;
    response.json({ success: true, transaction, network, payer });
  });
  return serve(app);
}

/** The published middleware, before a handler that passes requests on. */
function startExpress({
  network,
  payTo,
  facilitatorUrl,
  upstreamUrl,
}: SellerOrder & { kind: 'express' }) {
  const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: facilitatorUrl }));
  server.register(network as Network, new ExactEvmScheme());
  const accepts = { scheme: 'exact', network: network as Network, payTo, price: '$0.01' };
  const app = express();
  app.use(paymentMiddleware({ 'GET /data/:page': { accepts } }, server));
  const dispatcher = new Agent({ connections: 256 });
  app.get('/{*path}', async ({ url }, response) => {
    const { statusCode, headers, body } = await request(upstreamUrl + url, { dispatcher });
    response.status(statusCode).type(String(headers['content-type']));
    response.send(await body.text());
  });
  return serve(app);
}

async function startBursar({ file, environment }: SellerOrder & { kind: 'gateway' }) {
  const config = loadConfig(environment);
  const databaseUrl = config.databaseUrl ?? '';
  const gateway = await startGateway(file, {
    config,
    secrets: { masterSecret: await readMasterSecret(config), facilitatorKey: undefined },
    database: new Database(databaseUrl, { maxConnections: 10 }),
    logger: createLogger('error'),
    environment: {},
  });
  return { url: gateway.url };
}
