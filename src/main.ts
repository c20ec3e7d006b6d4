import { loadConfig } from './config.js';
import { failWith } from './ops/exit.js';
import { createLogger } from './ops/logger.js';
import { type Service, startService } from './service.js';

/** How long a stop may take after the draining, in milliseconds. Then the process ends whatever hangs. */
const STOP_TIMEOUT_MS = 13_000;

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const logger = createLogger(config.logLevel);
  let service: Service | undefined;
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    // Who presses Ctrl-C has nobody to tell that this process is leaving.
    const drainMs = signal === 'SIGTERM' && service ? config.drainMs : 0;
    setTimeout(() => {
      logger.error('stopping took too long');
      process.exit(1);
    }, drainMs + STOP_TIMEOUT_MS).unref();
    try {
      await service?.drain(drainMs);
      await service?.stop();
      logger.info('stopped');
    } catch (error) {
      failWith(error);
    }
    // What did not close in time, such as a connection that nobody answers, holds nobody up.
    if (service) process.exit();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop(signal));
  service = await startService(config, logger);
  if (stopping) return service.stop();
  logger.info(
    { role: config.role, url: service.url, wallets: service.walletAddresses },
    `Bursar is ready on ${service.url}; its API is described on ${service.url}/docs`,
  );
}

main().catch(failWith);
