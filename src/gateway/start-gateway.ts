import { randomUUID } from 'node:crypto';
import { once, setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, isAbsolute, join } from 'node:path';
import type { Logger } from 'pino';
import { createPublicClient, fallback, type Hex, http } from 'viem';
import type { MasterSecret } from '../access/master-secret.js';
import type { Config } from '../config/config.js';
import type { Database } from '../database/database.js';
import { takingRequests } from '../database/treasury-scope.js';
import { registerCurrencies } from '../domain/money.js';
import { treasuryNamed } from '../ledger/service-events.js';
import { Tracing } from '../tracing/tracing.js';
import { Answers } from './answers.js';
import { Asks } from './asks.js';
import { type FacilitatorLike, Facilitators, remoteFacilitators } from './facilitators.js';
import { GatewayCounts } from './gateway-counts.js';
import { GatewayFileError, parseGatewayFile } from './gateway-file.js';
import { gatewayServer } from './gateway-server.js';
import { importOpenApi } from './openapi-import.js';
import { keepPrices } from './quotes.js';
import { Recovery, type RecoveryParts } from './recovery.js';
import { Refunds } from './refunds.js';
import { SaleBooks } from './sale-books.js';
import { Sales } from './sales.js';
import { selfFacilitator } from './self-facilitator.js';
import { ServedPages } from './served.js';
import { Shelves } from './shelves.js';
import { openShop, type Shop } from './shop.js';

const RPC_TIMEOUT_MS = 4_000;

/** How long a stop waits for sales under way, in milliseconds. */
const CLOSE_MS = 10_000;

/** A running gateway. */
export interface Gateway {
  /** Such as `http://127.0.0.1:4030`. */
  readonly url: string;
  /** How many operations are served, and how many of them have a price. */
  readonly operations: { readonly served: number; readonly priced: number };
  /** Lets sales under way end, and closes what it opened. Idempotent. */
  stop(): Promise<void>;
}

/** The surroundings of a gateway. */
export interface GatewayPlace {
  readonly config: Config;
  readonly secrets: {
    readonly masterSecret: MasterSecret;
    readonly facilitatorKey: Hex | undefined;
  };
  readonly database: Database;
  readonly logger: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads a gateway's file and the document it names.
 *
 * @throws GatewayFileError with a line for each problem.
 */
export async function loadShop(
  path: string,
  { config, environment }: Pick<GatewayPlace, 'config' | 'environment'>,
): Promise<Shop> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new GatewayFileError(
      `${path}: cannot be read (${error.code}); give the path of a gateway's file`,
    );
  });
  const { file, placeOf } = parseGatewayFile(text, path, environment);
  const location = locationOf(path, file.openapi);
  const imported = await importOpenApi(location).catch((error: Error) => {
    throw new GatewayFileError(`${placeOf(['openapi'])}${error.message}`);
  });
  return openShop(file, imported, config.networks, placeOf);
}

/** Where the document is: a URL, or a file beside the gateway's. */
function locationOf(path: string, openapi: string): string {
  const isElsewhere = /^https?:\/\//.test(openapi) || isAbsolute(openapi);
  return isElsewhere ? openapi : join(dirname(path), openapi);
}

/** Makes the currencies of the configured tokens known to this process. */
export function registerTokens({ networks }: Pick<Config, 'networks'>): void {
  for (const { assets } of networks) {
    registerCurrencies(assets.map(({ currency, decimals }) => ({ code: currency, decimals })));
  }
}

/**
 * Starts a gateway: its treasury, what looks after sales, and HTTP.
 *
 * @throws GatewayFileError for the file, Error with one line for what is missing around it.
 */
export async function startGateway(path: string, place: GatewayPlace): Promise<Gateway> {
  const { config, secrets, database, logger } = place;
  registerTokens(config);
  const shop = await loadShop(path, place);
  const { file } = shop;
  const stopping = stopController();
  const facilitators = new Facilitators(facilitatorsOf(shop, place, stopping.signal));
  const treasuryId = await database.transaction((tx) =>
    treasuryNamed(tx, { name: file.treasury, actor: 'system:gateway' }),
  );
  const answers = new Answers(secrets.masterSecret.derive('gateway-answers'), file.answerSeconds);
  const books = new SaleBooks(database, answers);
  const shelves = await openShelves(path, place, shop, treasuryId);
  const sales = new Sales({
    database,
    treasuryId,
    process: randomUUID(),
    answers,
    books,
    facilitators,
    upstream: () => shelves.upstream,
    logger,
  });
  const asks = new Asks(treasuryId);
  const recovery = new Recovery({
    database,
    treasuryId,
    sales,
    books,
    answers,
    asks,
    facilitators,
    chains: chainsOf(shop),
    refunds:
      file.refunds &&
      new Refunds(database, treasuryId, file.refunds, facilitators, config.networks, logger),
    keepSeconds: file.answerSeconds,
    logger,
  });
  await recovery.start();
  const tracing = await Tracing.open({ tracesEndpoint: config.tracesEndpoint, role: 'gateway' });
  const server = serverOf({
    treasuryId,
    sales,
    asks,
    recovery,
    shelves,
    database,
    tracing,
    logger,
  });
  takingRequests(() => server.listen(file.port, file.host));
  try {
    await once(server, 'listening');
  } catch (error) {
    await recovery.stop();
    await shelves.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    await closeServer(server, stopping);
    await recovery.stop();
    await shelves.close();
    await sales.quiet();
    await tracing.stop();
  };
  let stopped: Promise<void> | undefined;
  return {
    url: urlOf(server),
    operations: {
      served: shop.operations.length,
      priced: shop.operations.filter(({ prices }) => prices).length,
    },
    stop: () => {
      stopped ??= close();
      return stopped;
    },
  };
}

function openShelves(
  path: string,
  place: GatewayPlace,
  shop: Shop,
  treasuryId: string,
): Promise<Shelves> {
  const { config, database, logger } = place;
  const { openapi } = shop.file;
  return Shelves.open(shop, {
    load: () => loadShop(path, place),
    keep: ({ upstream, quotes }) => keepPrices(database.pool, treasuryId, upstream, quotes.prices),
    networks: config.networks,
    files: /^https?:/.test(openapi) ? [path] : [path, locationOf(path, openapi)],
    logger,
  });
}

/** Ends what waits when the gateway stops. Every settlement under way listens to it, and Node warns of more than ten. */
function stopController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function urlOf(server: Server): string {
  const { address, port } = server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** Parts that the server of a gateway works on. */
interface ServerParts {
  readonly treasuryId: string;
  readonly sales: Sales;
  readonly asks: Asks;
  readonly recovery: Recovery;
  readonly shelves: Shelves;
  readonly database: Database;
  readonly tracing: Tracing;
  readonly logger: Logger;
}

function serverOf(parts: ServerParts): Server {
  const { treasuryId, sales, asks, recovery, shelves, database, tracing, logger } = parts;
  return gatewayServer({
    shops: () => ({ current: shelves.current, earlier: shelves.earlier }),
    treasuryId,
    sales,
    asks,
    upstream: () => shelves.upstream,
    counts: new GatewayCounts(),
    pages: new ServedPages(
      () => shelves.current,
      () => database.pool,
      treasuryId,
      () => recovery.isHealthy,
    ),
    tracing,
    logger,
  });
}

/** Takes no more requests, and lets those under way end. */
async function closeServer(server: Server, stopping: AbortController): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    stopping.abort(new Error('the gateway is stopping'));
    server.closeAllConnections();
  }, CLOSE_MS);
  await closed;
  clearTimeout(timer);
}

/** A reader of each network that payments are taken on. */
function chainsOf({ markets }: Shop): RecoveryParts['chains'] {
  return new Map(
    markets.map(({ network }) => [
      network.network,
      {
        network,
        client: createPublicClient({
          transport: fallback(
            network.rpcUrls.map((url) => http(url, { timeout: RPC_TIMEOUT_MS, retryCount: 1 })),
          ),
          cacheTime: 0,
        }),
      },
    ]),
  );
}

function facilitatorsOf(
  { file, markets }: Shop,
  { secrets: { facilitatorKey }, database }: GatewayPlace,
  stopping: AbortSignal,
): FacilitatorLike[] {
  const settleTimeoutMs = file.settleSeconds * 1_000;
  if (file.facilitator !== 'self') return remoteFacilitators(file.facilitator, settleTimeoutMs);
  if (facilitatorKey === undefined) {
    throw new Error(
      'BURSAR_FACILITATOR_KEY: is required with `facilitator: self`; give the key of an account that holds ether for gas, or name the URL of a facilitator',
    );
  }
  const networks = [...new Set(markets.map(({ network }) => network))];
  return [selfFacilitator(networks, facilitatorKey, database, settleTimeoutMs, stopping)];
}
