import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Server } from 'node:net';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { AdminTokens } from './access/admin-tokens.js';
import { Keys } from './access/keys.js';
import type { AdminIdentity } from './access/tokens.js';
import { AppModule } from './app.module.js';
import { closeAll } from './close-all.js';
import type { Config, GivenConfig, ServiceConfig } from './config/config.js';
import { serveConsole } from './console/serve-console.js';
import type { Database } from './database/database.js';
import { takingRequests } from './database/treasury-scope.js';
import { DEFAULT_CURRENCY } from './domain/money.js';
import { serveDocs } from './http/docs-page.js';
import { DrainSwitch } from './http/draining.js';
import { MAX_HEADER_BYTES, secureEdge } from './http/edge.js';
import { openApiDocument } from './http/openapi.js';
import { PROBLEM_MEDIA_TYPE, problemBody } from './http/problem.js';
import { RateLimits } from './http/rate-limits.js';
import { RequestTimes } from './http/request-times.js';
import { openDatabase } from './open-database.js';
import { HealthService } from './ops/health.service.js';
import { NestLogger } from './ops/logger.js';
import { Metrics } from './ops/metrics.js';
import { serveMetrics } from './ops/metrics-server.js';
import { RequestLog } from './ops/request-log.js';
import { Queues } from './outbox/queues.js';
import { PaymentDoor } from './payments/door.js';
import type { Secrets } from './secrets.js';
import { SettlementService } from './settlement/settlement.service.js';
import { Tracing } from './tracing/tracing.js';
import { Networks } from './treasury/networks.js';
import { Wallets } from './treasury/wallets.js';
import { within } from './within.js';

/** How long the start waits for the chains. A chain that is slower delays nobody else. */
const CHAINS_TIMEOUT_MS = 5_000;

/** Most turns of the event loop that take waiting connections before the port closes. */
const TURNS_BEFORE_CLOSE = 100;
/** How long a connection may take to send its request once no more are taken, in milliseconds. */
const LINGER_MS = 500;

/** How long a stop waits for requests under way, in milliseconds. The queues have a bound of their own. */
const HTTP_CLOSE_MS = 6_000;

/** A running service. */
export interface Service {
  /** Where it listens, such as `http://127.0.0.1:4020`. */
  readonly url: string;
  /** The address of its metrics, such as `http://127.0.0.1:4021/metrics`; undefined for nowhere. */
  readonly metricsUrl: string | undefined;
  /** Faults that keep it from its work now, as `/readyz` says it; nothing when it is ready. */
  missing(): Promise<readonly string[]>;
  /** The addresses of the treasury's wallets. */
  readonly walletAddresses: readonly string[];
  mintAdminToken(identity: AdminIdentity, ttlSeconds: number): Promise<string>;
  /**
   * Begins to leave: takes no more jobs, says on /readyz that it is being stopped, and answers requests
   * for so long, each with `Connection: close`. So nobody has a connection open, or a mind to open one,
   * when {@link stop} ends them; whoever connected to the last is heard out.
   */
  drain(milliseconds: number): Promise<void>;
  /** Answers what is under way, lets jobs finish, closes everything it opened. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the service: database (an embedded one where none is configured), migrations, keys, wallets,
 * queues, HTTP.
 *
 * @throws ConfigError for what the configuration gets wrong, Error with one line for what is missing
 *   around the service. Whatever was started by then is stopped again.
 */
export async function startService(given: GivenConfig, logger: Logger): Promise<Service> {
  if (given.databaseUrl !== undefined && given.secrets.masterSecret === undefined) {
    logger.warn(
      { room: 'access' },
      'BURSAR_MASTER_SECRET is not set: the keys of this database open only with the file "master-secret" in BURSAR_DATA_DIR',
    );
  }
  const { config, secrets, database, close } = await openDatabase(given, logger);
  let tracing: Tracing | undefined;
  // The last spans are sent beside the closing of the database, so that a stop takes no longer.
  const opened: (() => Promise<unknown>)[] = [() => Promise.all([tracing?.stop(), close()])];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= closeAll(opened);
    return stopping;
  };
  try {
    await requireApart(database, logger);
    const app = await createApp(config, database, secrets, logger);
    const queues = app.get(Queues);
    tracing = app.get(Tracing);
    // HTTP closes first: while requests are answered, everything they need is still there.
    opened.push(
      () => queues.stop(),
      () => closeHttp(app, logger),
    );
    await app.get(Keys).load();
    const wallets = app.get(Wallets);
    await wallets.enrol();
    await app.init();
    await queues.start(await wallets.mainTreasuryId());
    await within(readChains(app, config), CHAINS_TIMEOUT_MS);
    const metrics =
      config.metrics && (await serveMetrics(() => app.get(Metrics).text(), config.metrics, logger));
    if (metrics) opened.push(() => metrics.close());
    await takingRequests(() => listen(app, config));
    return {
      url: await app.getUrl(),
      metricsUrl: metrics?.url,
      missing: () => app.get(HealthService).missing(),
      walletAddresses: await wallets.signable(await wallets.mainTreasuryId()),
      mintAdminToken: (identity, ttlSeconds) => app.get(AdminTokens).mint(identity, ttlSeconds),
      drain: async (milliseconds) => {
        app.get(DrainSwitch).begin();
        // Beside the draining and the closing of HTTP; stop() waits for it.
        void queues.rest();
        await delay(milliseconds);
        if (milliseconds > 0) await hearOut(app);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Looks whether row-level security holds, and notes it.
 *
 * @throws Error where it held before: the role is missing on this server, as after a restore, or is no longer the user's.
 */
async function requireApart(database: Database, logger: Logger): Promise<void> {
  if (await database.keepsTreasuriesApart()) return database.markApart();
  if (await database.wasApart()) {
    throw new Error(
      'DATABASE_URL: row-level security held for this database, and does not hold now: the role bursar_service is missing ' +
        'here, or its user may not use it; run: npx bursar restore (without a file), then start again',
    );
  }
  logger.warn(
    { room: 'database' },
    'row-level security does not hold for this database user; see docs/security.md, "Treasuries apart"',
  );
}

/**
 * Takes no more connections, and hears those out that were just taken: to close at once would drop
 * connections whose request is still on its way.
 */
async function hearOut(app: NestFastifyApplication): Promise<void> {
  const server = app.getHttpServer();
  let taken = 0;
  const count = () => {
    taken += 1;
  };
  server.on('connection', count);
  // The system resets connections that nobody has taken by the close. A turn of the event loop may take only one.
  // The first turn may be over already, so that at least two are awaited.
  for (let turn = 0, before = 0; turn < TURNS_BEFORE_CLOSE; turn += 1) {
    await setImmediate();
    if (turn > 0 && taken === before) break;
    before = taken;
  }
  server.off('connection', count);
  // Not its own close, which also closes connections that have not asked for anything yet.
  Server.prototype.close.call(server);
  await delay(LINGER_MS);
}

/** Answers what is under way; a client that dawdles is cut off. */
async function closeHttp(app: NestFastifyApplication, logger: Logger): Promise<void> {
  const closing = app.close();
  if (await within(closing, HTTP_CLOSE_MS)) return;
  logger.warn({ room: 'http' }, 'requests are cut off: they were not answered in time');
  app.getHttpServer().closeAllConnections();
  await closing;
}

/** Checks and reads every chain once, so that a treasury with money can pay from the first request. */
async function readChains(app: NestFastifyApplication, { role }: Config): Promise<void> {
  const networks = app.get(Networks);
  await networks.checkAll();
  if (role === 'api') return;
  const settlement = app.get(SettlementService);
  await Promise.all(networks.all().map(({ network }) => settlement.read(network)));
}

async function createApp(
  config: ServiceConfig,
  database: Database,
  secrets: Secrets,
  logger: Logger,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    loggerInstance: logger,
    logController: new RequestLog(),
    // Few requests write a line. Such a line has the member `req`, so no request needs a logger of its own.
    childLoggerFactory: (parent: FastifyBaseLogger) => parent,
    bodyLimit: config.bodyLimitBytes,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    trustProxy: config.trustedProxies.length > 0 ? [...config.trustedProxies] : false,
    genReqId: () => randomUUID(),
    // Stopping answers what is under way and no more; a client that dawdles is cut off.
    forceCloseConnections: 'idle',
    requestTimeout: 30_000,
    // Answers what the router refuses before any route is found, such as a malformed escape in the path.
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      const body = problemBody('invalid_request', error.message);
      void reply.status(body.status).type(PROBLEM_MEDIA_TYPE).send(body);
    },
  });
  const fastify = adapter.getInstance();
  // Bodies are JSON and nothing else: neither Fastify's plain text nor Nest's forms (bodyParser).
  fastify.removeContentTypeParser('text/plain');
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.of(config, database, secrets),
    adapter,
    { logger: new NestLogger(logger), abortOnError: false, bodyParser: false },
  );
  // A connection that is in use when the stop begins would be kept alive after its answer, and the
  // stop with it: only those that are idle at that moment are closed.
  const draining = app.get(DrainSwitch);
  fastify.addHook('preClose', async () => {
    draining.begin();
  });
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    if (draining.isDraining) void reply.header('connection', 'close');
    done();
  });
  // First: what the others refuse is traced too.
  app.get(Tracing).watch(fastify);
  app.get(RequestTimes).watch(fastify);
  secureEdge(fastify, app.get(RateLimits), {
    isTls: config.publicUrl?.startsWith('https:') ?? false,
  });
  app.get(PaymentDoor).watch(fastify);
  // Without origins no answer says anything of CORS, and browsers keep pages of others out.
  if (config.corsOrigins.length > 0) {
    app.enableCors({
      origin: [...config.corsOrigins],
      // The date corrects the clock of a page that signs DPoP proofs.
      exposedHeaders: [
        'date',
        'dpop-nonce',
        'idempotent-replayed',
        'retry-after',
        'www-authenticate',
        'x-request-id',
      ],
    });
  }
  const [token] = config.networks.flatMap(({ network, assets }) =>
    assets
      .filter(({ currency }) => currency === DEFAULT_CURRENCY.code)
      .map((asset) => ({ network, ...asset })),
  );
  await serveConsole(fastify, consoleFolder());
  serveDocs(app, () => openApiDocument(app, { publicUrl: config.publicUrl, token }));
  return app;
}

/** The built console stands beside the sources; from compiled ones that is a folder further. */
function consoleFolder(): string {
  const folders = ['../console/dist/', '../../console/dist/'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return folders.find((folder) => existsSync(folder)) ?? '';
}

async function listen(app: NestFastifyApplication, { port, host }: Config): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`port ${port} on ${host} is in use; set PORT to a free one`);
  }
}
