import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { closeAll } from '../src/close-all.js';
import { type GivenConfig, loadConfig } from '../src/config/config.js';
import type { Asset } from '../src/domain/network.js';
import { openDatabase } from '../src/open-database.js';
import { readWalletKeys } from '../src/secrets.js';
import { type Service, startService } from '../src/service.js';
import { GasAccount } from '../src/treasury/gas-account.js';
import { MnemonicSigner } from '../src/treasury/signer.js';
import { type Chain, type ChainToken, startChain } from './chain.js';
import { type Facilitator, startFacilitator } from './facilitator.js';
import { type Seller, sellerRoutesFor, startSeller } from './seller.js';

/** A public test phrase (BIP-39's own vectors). Never one that holds anything. */
const TEST_MNEMONIC = 'legal winner thank year wave sausage worth useful legal winner thank yellow';

/** Balance of every wallet of the sandbox in each token, in units of the token. */
const WALLET_UNITS = 1_000_000n;

/** Balance of every wallet of the sandbox in test USDC, in atomic units. */
export const WALLET_FUNDS = WALLET_UNITS * 1_000_000n;

/** Balance of the account that pays for cancellations: 10 test ether, in wei. */
const GAS_FUNDS = 10n ** 19n;

/** How many blocks under the head count as final. */
const FINALITY_BLOCKS = 2;

/** Options of a stack. */
export interface StackOptions {
  readonly logger: Logger;
  /** Where the service keeps its files; a new temporary folder, removed at the end, when left out. */
  readonly dataDir?: string | undefined;
  /** An existing database; the embedded one when left out. */
  readonly databaseUrl?: string | undefined;
  /** Queues on Redis; on Postgres when left out. */
  readonly redisUrl?: string | undefined;
  /** The service's port; a free one when left out. */
  readonly port?: number | undefined;
  /** How often the chain is read, in milliseconds. Default 500. */
  readonly pollMs?: number | undefined;
  /** More of the service's environment, such as `BURSAR_MAX_VALIDITY_SECONDS`. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** The chain's entry of `BURSAR_NETWORKS`, when it is to be another one. */
  readonly network?: ((chain: Chain) => object | Promise<object>) | undefined;
  /** Hears what is being started, a few words each. */
  readonly progress?: ((what: string) => void) | undefined;
}

/** The service with everything around it, all real and all local. */
export interface Stack {
  readonly service: Service;
  readonly chain: Chain;
  readonly facilitator: Facilitator;
  readonly seller: Seller;
  readonly dataDir: string;
  /** Variables that the operators' commands need beside those of a shell, which has `DATABASE_URL` where that is set. */
  readonly operatorEnvironment: Readonly<Record<string, string>>;
  /** The service's configuration. */
  readonly config: GivenConfig;
  /** Stops all of it, in the reverse order of starting. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a local chain with its test tokens, funds the treasury's wallets, and starts a facilitator, a
 * paid API and the service. Wallets hold each token that `BURSAR_NETWORKS` names.
 *
 * @throws Error with one line for whatever could not be started; what was started by then is stopped.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { logger, progress = () => {} } = options;
  const opened: (() => Promise<unknown>)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= closeAll(opened);
    return stopping;
  };
  try {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'bursar-sandbox-')));
    if (options.dataDir === undefined) {
      opened.push(() => rm(dataDir, { recursive: true, force: true }));
    }
    progress('a local chain with test tokens');
    const chain = await startChain();
    opened.push(() => chain.stop());
    const operatorEnvironment = {
      BURSAR_DATA_DIR: dataDir,
      BURSAR_WALLET_MNEMONIC: TEST_MNEMONIC,
      BURSAR_NETWORKS: JSON.stringify([
        (await options.network?.(chain)) ?? {
          network: chain.network,
          rpcUrls: [chain.rpcUrl],
          finality: { blocks: FINALITY_BLOCKS },
          pollMs: options.pollMs ?? 500,
          assets: chain.tokens.map(assetOf),
        },
      ]),
    };
    const config = loadConfig({
      ...operatorEnvironment,
      ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
      PORT: String(options.port ?? 0),
      BURSAR_METRICS_PORT: '0',
      BURSAR_WEBHOOK_ALLOW: '127.0.0.0/8,::1/128',
      ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
      ...options.environment,
    });
    const mnemonic = config.secrets.walletMnemonic ?? TEST_MNEMONIC;
    const signer = new MnemonicSigner(mnemonic, config.walletCount);
    const { addresses } = await signer.wallets({ position: 0 });
    const registered = config.networks.flatMap(({ assets }) =>
      assets.map(({ address }) => address),
    );
    await chain.mintAtOnce(
      chain.tokens
        .filter(({ address }) => registered.includes(address))
        .flatMap(({ address: token, decimals }) =>
          addresses.map((wallet) => ({
            token,
            to: wallet as `0x${string}`,
            atomic: WALLET_UNITS * 10n ** BigInt(decimals),
          })),
        ),
    );
    const gasAccount = new GasAccount(config.secrets.gasKey, await readWalletKeys(config)).address;
    if (gasAccount) await chain.setEther(gasAccount, GAS_FUNDS);
    // The service counts on final money only.
    await chain.mineBlocks(FINALITY_BLOCKS + 1);

    const [facilitatorAccount, sellerAccount] = chain.accounts;
    if (!facilitatorAccount || !sellerAccount) throw new Error('the chain has no accounts');
    progress('a facilitator and a paid API');
    const facilitator = await startFacilitator({
      rpcUrl: chain.rpcUrl,
      privateKey: facilitatorAccount.privateKey,
    });
    opened.push(() => facilitator.stop());
    const seller = await startSeller({
      facilitatorUrl: facilitator.url,
      payTo: sellerAccount.address,
      routes: sellerRoutesFor(chain.tokens.filter((token) => token !== chain.token)),
    });
    opened.push(() => seller.stop());

    progress(
      options.databaseUrl === undefined ? 'an embedded Postgres and the service' : 'the service',
    );
    if (options.databaseUrl !== undefined || options.dataDir !== undefined) {
      await forgetOldChain(config, logger, chain.network);
    }
    const service = await startService(config, logger);
    opened.push(() => service.stop());
    return { service, chain, facilitator, seller, dataDir, operatorEnvironment, config, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A token of the chain as `BURSAR_NETWORKS` names it: its symbol is the currency. */
export function assetOf({ symbol, address, decimals, name, version }: ChainToken): Asset {
  return { currency: symbol, address, decimals, name, version };
}

/** A database that served an earlier sandbox has read a chain that is no more: start from this one. */
async function forgetOldChain(config: GivenConfig, logger: Logger, network: string): Promise<void> {
  const { database, close } = await openDatabase(config, logger);
  try {
    await database.pool.query('DELETE FROM chain_cursors WHERE network = $1', [network]);
  } finally {
    await close();
  }
}
