import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from './config/config.js';
import { failWith } from './ops/exit.js';
import { createLogger } from './ops/logger.js';
import { type Service, startService } from './service.js';
import { hearStopRequests } from './stop-request.js';
import { VERSION } from './version.js';

/**
 * How long a stop may take after the draining, with what is left of a start, in milliseconds. Then the
 * process ends whatever hangs.
 */
const STOP_TIMEOUT_MS = 13_000;

/** How often a start looks whether what was missing is there, in milliseconds. */
const READY_POLL_MS = 1_000;

async function main(): Promise<void> {
  const stopRequest = hearStopRequests();
  const config = loadConfig(process.env);
  const logger = createLogger(config.logLevel);
  logger.info(
    { version: VERSION, node: process.version, role: config.role, pid: process.pid },
    `Bursar ${VERSION} starts`,
  );
  const starting = startService(config, logger);
  let service: Service | undefined;
  let stopping = false;
  const stop = async (signal: string) => {
    stopping = true;
    logger.info({ signal }, 'stopping');
    // Drain only on SIGTERM and only once ready: else no load balancer is watching.
    const drainMs = signal === 'SIGTERM' && service ? config.drainMs : 0;
    setTimeout(() => {
      logger.error('stopping took too long');
      process.exit(1);
    }, drainMs + STOP_TIMEOUT_MS).unref();
    // A service that is half started cannot be stopped. Why it does not start at all is told below.
    const started = await starting.catch(() => undefined);
    if (!started) return;
    try {
      await started.drain(drainMs);
      await started.stop();
      logger.info('stopped');
    } catch (error) {
      failWith(error);
    }
    // A connection that did not close in time holds nobody up.
    process.exit();
  };
  void stopRequest.wait.then(stop, (error) => {
    failWith(error);
    return stop('unwritable output');
  });
  service = await starting;
  if (stopping) return;
  const { url } = service;
  const facts = {
    role: config.role,
    url,
    metrics: service.metricsUrl ?? 'off',
    wallets: service.walletAddresses,
  };
  let told: string | undefined;
  while (!stopping) {
    const missing = (await service.missing()).join('; ');
    if (stopping) return;
    if (missing === '') {
      logger.info(facts, `Bursar is ready on ${url}; its API is described on ${url}/docs`);
      return;
    }
    if (missing !== told) {
      logger.warn(facts, `Bursar listens on ${url}, but is not ready: ${missing}`);
      told = missing;
    }
    await delay(READY_POLL_MS, undefined, { ref: false });
  }
}

main().catch(failWith);
