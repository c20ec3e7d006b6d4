import { randomUUID } from 'node:crypto';
import { Server } from 'node:net';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Keys } from './access/keys.js';
import { type AdminIdentity, Tokens } from './access/tokens.js';
import { AppModule } from './app.module.js';
import { closeAll } from './close-all.js';
import type { Config } from './config.js';
import type { Database } from './database/database.js';
import { MAX_HEADER_BYTES, secureEdge } from './http/edge.js';
import { PROBLEM_MEDIA_TYPE, problemBody } from './http/problem.js';
import { RateLimits } from './http/rate-limits.js';
import { openDatabase } from './open-database.js';
import { Draining } from './ops/draining.js';
import { NestLogger } from './ops/logger.js';
import { RequestLog } from './ops/request-log.js';
import { Queues } from './outbox/queues.js';
import { SettlementService } from './settlement/settlement.service.js';
import { Networks } from './treasury/networks.js';
import { Wallets } from './treasury/wallets.js';
import { within } from './within.js';

/** How long the start waits for the chains. A chain that is slower delays nobody else. */
const CHAINS_TIMEOUT_MS = 5_000;

/** How long a connection may take to send its request once no more are taken, in milliseconds. */
const LINGER_MS = 500;

/** How long a stop waits for requests under way, in milliseconds. The queues have a bound of their own. */
const HTTP_CLOSE_MS = 6_000;

/** A running service. */
export interface Service {
  /** Where it listens, such as `http://127.0.0.1:4020`. */
  readonly url: string;
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
export async function startService(given: Config, logger: Logger): Promise<Service> {
  if (given.databaseUrl !== undefined && given.masterSecret === undefined) {
    logger.warn(
      { room: 'access' },
      'BURSAR_MASTER_SECRET is not set: the keys of this database open only with the file "master-secret" in BURSAR_DATA_DIR',
    );
  }
  const { config, database, close } = await openDatabase(given, logger);
  const opened = [close];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= closeAll(opened);
    return stopping;
  };
  try {
    if (!(await database.keepsTreasuriesApart())) {
      logger.warn(
        { room: 'database' },
        'row-level security does not hold for this database user; see docs/security.md, "Treasuries apart"',
      );
    }
    const app = await createApp(config, database, logger);
    const queues = app.get(Queues);
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
    await listen(app, config);
    return {
      url: await app.getUrl(),
      walletAddresses: await wallets.signable(await wallets.mainTreasuryId()),
      mintAdminToken: (identity, ttlSeconds) =>
        app.get(Tokens).mintAdminToken(identity, ttlSeconds),
      drain: async (milliseconds) => {
        app.get(Draining).isDraining = true;
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
 * Takes no more connections, and hears those out that were just taken: to close at once would drop
 * connections whose request is still on its way.
 */
async function hearOut(app: NestFastifyApplication): Promise<void> {
  // Behind the event loop's turn of taking whatever connected so far: the rest is reset by the system.
  await setImmediate();
  // Not its own close, which also closes connections that have not asked for anything yet.
  Server.prototype.close.call(app.getHttpServer());
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
  config: Config,
  database: Database,
  logger: Logger,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    loggerInstance: logger,
    logController: new RequestLog(),
    bodyLimit: config.bodyLimitBytes,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    trustProxy: config.trustedProxies.length > 0 ? [...config.trustedProxies] : false,
    genReqId: () => randomUUID(),
    // Stopping answers what is under way and no more; a client that dawdles is cut off.
    forceCloseConnections: 'idle',
    requestTimeout: 30_000,
    // What the router refuses before any route is found, such as a malformed escape in the path.
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      const body = problemBody('invalid_request', error.message);
      void reply.status(body.status).type(PROBLEM_MEDIA_TYPE).send(body);
    },
  });
  const fastify = adapter.getInstance();
  // Bodies are JSON and nothing else: neither Fastify's plain text nor Nest's forms (bodyParser).
  fastify.removeContentTypeParser('text/plain');
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.of(config, database),
    adapter,
    { logger: new NestLogger(logger), abortOnError: false, bodyParser: false },
  );
  // A connection that is in use when the stop begins would be kept alive after its answer, and the
  // stop with it: only those that are idle at that moment are closed.
  const draining = app.get(Draining);
  fastify.addHook('preClose', async () => {
    draining.isDraining = true;
  });
  fastify.addHook('onSend', async (_request, reply) => {
    if (draining.isDraining) void reply.header('connection', 'close');
  });
  secureEdge(fastify, app.get(RateLimits), {
    isTls: config.publicUrl?.startsWith('https:') ?? false,
  });
  // Without origins no answer says anything of CORS, and browsers keep pages of others out.
  if (config.corsOrigins.length > 0) {
    app.enableCors({
      origin: [...config.corsOrigins],
      exposedHeaders: ['dpop-nonce', 'idempotent-replayed', 'retry-after', 'www-authenticate'],
    });
  }
  const document = SwaggerModule.createDocument(
    app,
    new DocumentBuilder()
      .setTitle('Bursar')
      .setDescription('Bounded, revocable, auditable money that one AI agent can give another.')
      .setVersion('v1')
      .addBearerAuth()
      .addSecurity('dpop', {
        type: 'http',
        scheme: 'DPoP',
        description: 'RFC 9449: the token of a key-bound grant, with a proof in the DPoP header',
      })
      .build(),
  );
  SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: 'openapi.json' });
  return app;
}

async function listen(app: NestFastifyApplication, { port, host }: Config): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`port ${port} on ${host} is in use; set PORT to a free one`);
  }
}
