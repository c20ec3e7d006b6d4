import { ConfigError, loadConfig } from './config.js';
import { createLogger } from './ops/logger.js';
import { type Service, startService } from './service.js';

/** How long a stop may take in all, in milliseconds. Then the process ends whatever hangs. */
const STOP_TIMEOUT_MS = 15_000;

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const logger = createLogger(config.logLevel);
  let service: Service | undefined;
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => {
      logger.error('stopping took too long');
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    await service?.stop();
    logger.info('stopped');
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

main().catch((error: unknown) => {
  const lines = error instanceof ConfigError ? error.problems : [messageOf(error)];
  for (const line of lines) process.stderr.write(`bursar: ${line}\n`);
  process.exitCode = 1;
});

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return `cannot connect: ${message}; is it running?`;
  return message || String(code);
}
