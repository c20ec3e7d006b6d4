import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import express from 'express';
import type { Logger } from 'pino';
import { closeAll } from '../src/close-all.js';
import { startGateway } from '../src/gateway/start-gateway.js';
import { openDatabase } from '../src/open-database.js';
import type { HttpService } from './ports.js';
import { serve } from './ports.js';
import { sendPage, sendReport } from './seller.js';
import type { Stack } from './stack.js';

const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'Data', version: '1' },
  paths: {
    '/data/{page}': {
      get: {
        operationId: 'getPage',
        summary: 'One page of data',
        parameters: [
          { name: 'page', in: 'path', required: true, schema: { type: 'integer', minimum: 1 } },
        ],
        responses: { 200: { description: 'The page' } },
      },
    },
    '/report': {
      get: {
        operationId: 'getReport',
        summary: 'The full report',
        responses: { 200: { description: 'The report' } },
      },
    },
  },
};

/**
 * Starts an API that knows nothing of payments, with the data of the sandbox's seller, and a gateway that sells it at the same
 * prices. Its sales are in the treasury of the sandbox.
 */
export async function startSandboxGateway(
  { config, chain, dataDir, facilitator, seller }: Stack,
  logger: Logger,
): Promise<HttpService> {
  const opened: (() => Promise<unknown>)[] = [];
  try {
    const app = express().get('/data/:page', sendPage).get('/report', sendReport);
    const api = await serve(app);
    opened.push(() => api.stop());
    const open = await openDatabase(config, logger, 'command');
    opened.push(() => open.close());
    await writeFile(join(dataDir, 'gateway-openapi.json'), JSON.stringify(DOCUMENT, null, 2));
    const path = join(dataDir, 'gateway.yaml');
    // JSON is YAML.
    const file = {
      openapi: './gateway-openapi.json',
      upstream: api.url,
      network: chain.network,
      payTo: seller.payTo,
      facilitator: facilitator.url,
      treasury: 'main',
      price: '0.01',
      operations: { getReport: { price: '2.50' } },
      port: 0,
    };
    await writeFile(path, `${JSON.stringify(file, null, 2)}\n`);
    const { masterSecret } = open.secrets;
    const gateway = await startGateway(path, {
      config,
      secrets: { masterSecret, facilitatorKey: undefined },
      database: open.database,
      logger,
      environment: {},
    });
    opened.push(() => gateway.stop());
    let stopping: Promise<void> | undefined;
    return {
      url: gateway.url,
      stop: () => {
        stopping ??= closeAll(opened);
        return stopping;
      },
    };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}
