import { adminToken, manageKeys, parseTreasuries } from './access-commands.js';
import type { OperatorValues } from './cli/operators.js';
import type { GivenConfig } from './config/config.js';
import type { WithDatabase } from './open-database.js';
import { UsageError } from './options.js';
import { aborted } from './stop-request.js';

/** An operators' command that was asked for. */
interface Order {
  readonly command: string;
  readonly values: OperatorValues;
  readonly words: readonly string[];
}

/** Registers what closes something that the command has opened. */
type OnStop = (close: () => Promise<void>) => void;

/**
 * Runs a command. Each loads what it needs and no more: the service's libraries take longer to load than most
 * commands to run.
 *
 * @param stopped - aborted when the command is to end early.
 * @throws Error with one line for what it cannot do.
 */
export async function runCommand(
  order: Order,
  onStop: OnStop,
  stopped: AbortSignal,
): Promise<'done' | 'running'> {
  const { command, values, words } = order;
  switch (command) {
    case 'signer':
      await runSigner(values.socket, values.maxPerHour, onStop);
      return 'running';
    case 'gateway':
      return runGateway(words[0] ?? '', values.check === true, onStop);
    case 'actor':
      await printActor(words);
      return 'done';
    case 'restore':
      await runRestore(order, stopped);
      return 'done';
  }
  const run = DATABASE_COMMANDS[command];
  if (!run) throw new Error(`unreachable: the command ${command}`);
  await run(order, databaseOpener(onStop, stopped));
  return 'done';
}

/** An operators' command that works on the database, and ends. */
type DatabaseCommand = (order: Order, withDatabase: WithDatabase) => Promise<void>;

const DATABASE_COMMANDS: Readonly<Record<string, DatabaseCommand>> = {
  'admin-token': ({ words, values }, withDatabase) => adminToken(words, values, withDatabase),
  adopt: adoptSpend,
  fence: setFence,
  jobs: manageJobs,
  keys: ({ words, values }, withDatabase) => manageKeys(words, values, withDatabase),
  resume: setStopped,
  stop: setStopped,
  unfence: setFence,
  wallets: manageWallets,
};

async function printActor([subject]: readonly string[]): Promise<void> {
  if (subject === undefined)
    throw new UsageError('actor takes the subject, as the provider names it');
  const config = await configured();
  // The name is derived from issuer and subject: without the issuer it would be a name that stands nowhere.
  if (config.oidc === undefined) {
    const { ConfigError } = await import('./config/config-error.js');
    throw new ConfigError([
      'BURSAR_OIDC_ISSUER: is required; give the issuer that the service has',
    ]);
  }
  const { Oidc } = await import('./access/oidc.js');
  const { readMasterSecret } = await import('./secrets.js');
  const oidc = new Oidc(config, await readMasterSecret(config));
  process.stdout.write(`admin:${oidc.nameOf(subject)}\n`);
}

async function runRestore({ words, values }: Order, stopped: AbortSignal): Promise<void> {
  const { describeDatabase } = await import('./database/describe.js');
  const config = await configured();
  process.stderr.write(`bursar: ${describeDatabase(config)}\n`);
  const { restore } = await import('./restore.js');
  const restoring = restore(config.databaseUrl, words[0], values.reason, process.env);
  await Promise.race([restoring, aborted(stopped)]);
}

async function adoptSpend({ words, values }: Order, withDatabase: WithDatabase): Promise<void> {
  const { adopt } = await import('./treasury/spend-commands.js');
  return withDatabase(({ database, config }) =>
    adopt(database, words[0], values.reason, {
      grantId: values.grant,
      key: values.key,
      networks: config.networks,
    }),
  );
}

async function setFence({ command, values }: Order, withDatabase: WithDatabase): Promise<void> {
  const { setFences } = await import('./treasury/spend-commands.js');
  return withDatabase(async ({ database }) =>
    setFences(
      database,
      command === 'fence' ? 'fence' : 'unfence',
      await parseTreasuries(database, values.treasury),
      values.reason,
    ),
  );
}

async function manageJobs({ words, values }: Order, withDatabase: WithDatabase): Promise<void> {
  const [action, id] = words;
  if (action !== undefined && (action !== 'retry' || id === undefined)) {
    throw new UsageError('jobs takes nothing, or: retry ID, retry all; see: npx bursar help');
  }
  const { printDeadLetters, retryDeadLetters } = await import('./outbox/commands.js');
  return withDatabase(({ database, config }) =>
    id === undefined
      ? printDeadLetters(database, config, values.json)
      : retryDeadLetters(database, config, id),
  );
}

/** Stops a treasury, or all of them, or lets them pay again. */
async function setStopped({ command, values }: Order, withDatabase: WithDatabase): Promise<void> {
  const { all, treasury, reason } = values;
  if ((treasury === undefined) === (all !== true)) {
    throw new UsageError(
      `${command} takes --treasury NAME or --all; see: npx bursar help ${command}`,
    );
  }
  const { setRunning } = await import('./treasury/stop-commands.js');
  const what = command === 'stop' ? 'stop' : 'resume';
  return withDatabase(({ database }) => setRunning(database, what, treasury, reason));
}

async function manageWallets({ words, values }: Order, withDatabase: WithDatabase): Promise<void> {
  const [what, address] = words;
  const { printWallets, setWalletStatus, writeKeystores } = await import('./treasury/commands.js');
  const { WALLET_STATUSES } = await import('./treasury/wallet-status.js');
  if (what === undefined) return withDatabase((open) => printWallets(open, values.json));
  if (what === 'new') {
    const { BURSAR_KEYSTORE_PASSWORD: password } = process.env;
    return writeKeystores(values.dir, parseCount(values.count), password);
  }
  const status = WALLET_STATUSES.find((each) => each === what);
  if (!status || address === undefined) {
    throw new UsageError(`"wallets ${what}" is not known; see: npx bursar help`);
  }
  return withDatabase((open) => setWalletStatus(open, address, status, values.reason));
}

async function runSigner(
  socket: string | undefined,
  maxPerHour: string | undefined,
  onStop: OnStop,
): Promise<void> {
  if (socket === undefined) throw new UsageError('--socket is missing; give the path to listen on');
  const config = await configured();
  if (config.signerSocket !== undefined) {
    const { ConfigError } = await import('./config/config-error.js');
    throw new ConfigError([
      'BURSAR_SIGNER_SOCKET: is for services; a signer needs BURSAR_KEYSTORE or BURSAR_WALLET_MNEMONIC',
    ]);
  }
  const { readWalletKeys } = await import('./secrets.js');
  const { signerOf } = await import('./treasury/signer-of.js');
  const { serveSigner } = await import('./treasury/signer-socket.js');
  const { SignerRules } = await import('./treasury/signer-rules.js');
  const { currencyOf, parseAmount } = await import('./domain/money.js');
  const most = ({ currency }: { currency: string }) =>
    maxPerHour === undefined
      ? undefined
      : parseAmount(maxPerHour, currencyOf(currency), '--max-per-hour');
  for (const { assets } of config.networks) assets.forEach(most);
  const signer = signerOf(await readWalletKeys(config));
  const { addresses } = await signer.wallets({ position: 0, name: 'main' });
  const server = await serveSigner(signer, socket, new SignerRules(config.networks, most));
  onStop(() => server.close());
  process.stdout.write(
    `The signer is ready on ${socket}, with ${addresses.length} wallets of main\n`,
  );
}

async function runGateway(
  path: string,
  isCheck: boolean,
  onStop: OnStop,
): Promise<'done' | 'running'> {
  const config = await configured();
  const { loadShop, registerTokens, startGateway } = await import('./gateway/start-gateway.js');
  const environment = process.env;
  if (isCheck) {
    registerTokens(config);
    const { describeShop } = await import('./gateway/describe-shop.js');
    process.stdout.write(describeShop(await loadShop(path, { config, environment })));
    return 'done';
  }
  const { createLogger } = await import('./ops/logger.js');
  const { openDatabase } = await import('./open-database.js');
  const { describeDatabase } = await import('./database/describe.js');
  process.stderr.write(`bursar: ${describeDatabase(config)}\n`);
  const logger = createLogger(config.logLevel);
  const { close, ...open } = await openDatabase(config, logger, 'gateway');
  onStop(close);
  const gateway = await startGateway(path, { ...open, logger, environment });
  onStop(() => gateway.stop());
  const { served, priced } = gateway.operations;
  process.stdout.write(
    `The gateway is ready on ${gateway.url}, with ${served} operations, ${priced} of them priced\n`,
  );
  return 'running';
}

async function configured(): Promise<GivenConfig> {
  const { loadConfig } = await import('./config/config.js');
  return loadConfig(process.env);
}

function databaseOpener(onStop: OnStop, stopped: AbortSignal): WithDatabase {
  return async (work) => {
    const { createLogger } = await import('./ops/logger.js');
    const { openDatabase } = await import('./open-database.js');
    const config = await configured();
    const { describeDatabase } = await import('./database/describe.js');
    process.stderr.write(`bursar: ${describeDatabase(config)}\n`);
    const open = await openDatabase(config, createLogger('silent'), 'command');
    onStop(() => open.close());
    await Promise.race([work(open), aborted(stopped)]);
  };
}

function parseCount(text: string): number {
  if (!/^([1-9][0-9]?|100)$/.test(text))
    throw new UsageError('--count must be a number from 1 to 100');
  return Number(text);
}
