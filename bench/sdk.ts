import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { paymentRequired } from './grants.js';
import { type Helper, type Lab, startHelper } from './lab.js';
import { openPaying } from './payments.js';
import type { SdkOrder, SdkResult } from './protocol.js';

/** Measures the time that bursar.fetch adds to a paid call, over the same requests written by hand. */
export interface SdkPart extends Omit<SdkResult, 'bought'> {
  /** p50 of `bursar.fetch` minus p50 by hand. */
  readonly addedMs: number;
  /** p50 of `bursar.fetch` divided by p50 by hand. */
  readonly ratio: number;
  readonly violations: readonly string[];
}

/** The package as built: `npm run build --workspace clients/typescript`. */
const SDK = fileURLToPath(new URL('../../clients/typescript/dist/index.js', import.meta.url));

/** Buys pages of a seller that settles nothing, in turns by either way, one at a time. */
export async function measureSdk(lab: Lab, seconds: number): Promise<SdkPart> {
  const paying = await openPaying(lab, 'hot-root', 'api');
  const client: Helper<SdkOrder, SdkResult> = startHelper('sdk-client');
  const seller = await startSeller(paymentRequired(lab.chain));
  try {
    const [api] = paying.apis;
    const [grant] = paying.grants;
    if (!api || !grant) throw new Error('no process answers');
    const { port } = seller.address() as AddressInfo;
    const sellerUrl = `http://127.0.0.1:${port}/data/7`;
    const order = { sdk: SDK, url: api.url, token: grant.token, sellerUrl, seconds };
    const { bought, ...found } = await client.run(order);
    paying.wrote(bought);
    const { byHand, byFetch } = found;
    const addedMs = byFetch.p50Ms - byHand.p50Ms;
    const ratio = byFetch.p50Ms / byHand.p50Ms;
    return { ...found, addedMs, ratio, violations: await paying.violations() };
  } finally {
    seller.closeAllConnections();
    seller.close();
    await client.stop();
    await paying.stop();
  }
}

/** A seller that takes any payment, answers at once and gives no receipt, for which no call waits anyway. */
async function startSeller(terms: object): Promise<Server> {
  const header = Buffer.from(JSON.stringify(terms)).toString('base64');
  const asked = { 'payment-required': header, 'content-type': 'application/json' };
  const server = createServer((request, response) => {
    if (request.headers['payment-signature']) response.end('page');
    else response.writeHead(402, asked).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
