import { loadConfig } from './config.js';
import { failWith } from './ops/exit.js';
import { createLogger } from './ops/logger.js';
import { type Service, startService } from './service.js';

/**
 * How long a stop may take after the draining, with what is left of a start, in milliseconds. Then the
 * process ends whatever hangs.
 */
const STOP_TIMEOUT_MS = 13_000;

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const logger = createLogger(config.logLevel);
  const starting = startService(config, logger);
  let service: Service | undefined;
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    // Who presses Ctrl-C has nobody to tell that this process is leaving, nor has one that nobody found yet.
    const drainMs = signal === 'SIGTERM' && service ? config.drainMs : 0;
    setTimeout(() => {
      logger.error('stopping took too long');
      process.exit(1);
    }, drainMs + STOP_TIMEOUT_MS).unref();
    // What is half started cannot be stopped. Why it does not start at all is told below.
    const started = await starting.catch(() => undefined);
    if (!started) return;
    try {
      await started.drain(drainMs);
      await started.stop();
      logger.info('stopped');
    } catch (error) {
      failWith(error);
    }
    // What did not close in time, such as a connection that nobody answers, holds nobody up.
    process.exit();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop(signal));
  service = await starting;
  if (stopping) return;
  logger.info(
    { role: config.role, url: service.url, wallets: service.walletAddresses },
    `Bursar is ready on ${service.url}; its API is described on ${service.url}/docs`,
  );
}

main().catch(failWith);
