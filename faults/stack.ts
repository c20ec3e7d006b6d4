import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { paymentBody } from '../bench/grants.js';
import { mintAdminToken, type Role, spawnService, TEST_MNEMONIC } from '../bench/service.js';
import { migrate } from '../prisma/migrate.js';
import { type Chain, startChain } from '../sandbox/chain.js';
import { type Facilitator, startFacilitator } from '../sandbox/facilitator.js';
import { type Seller, startSeller } from '../sandbox/seller.js';
import { closeAll } from '../src/close-all.js';
import { loadConfig } from '../src/config/config.js';
import { readWalletKeys } from '../src/secrets.js';
import { GasAccount } from '../src/treasury/gas-account.js';
import { MnemonicSigner } from '../src/treasury/signer.js';
import { Account } from './account.js';
import { type Gateways, startGateways } from './gateways.js';
import { type RpcProxy, startRpcProxy } from './rpc-proxy.js';
import {
  type PostgresServer,
  pickPort,
  type RedisServer,
  startPostgres,
  startRedis,
} from './servers.js';
import { allReady, type Supervised, supervise } from './supervised.js';
import { Tally } from './tally.js';
import { until } from './until.js';

/** Where the queues are kept. */
export type Queues = 'redis' | 'postgres';

/** How many blocks under the head count as final: reorganisations reach less deep. */
export const FINALITY_BLOCKS = 6;
const BLOCK_SECONDS = 0.5;

/** The shortest the service can be told: within seconds a payment settles or is released. */
const VALIDITY_SECONDS = 10;

const WALLET_COUNT = 4;
/** Balance of every wallet: no payment is ever refused for want of money. */
const WALLET_FUNDS = 10n ** 15n;

const START_TIMEOUT_MS = 60_000;

/** A process of the service. */
export interface ServiceProcess extends Supervised {
  readonly role: Role;
  readonly metricsUrl: string;
}

/** Two APIs, two workers, and everything around them: real processes, all of them ours. */
export interface Stack {
  readonly queues: Queues;
  readonly chain: Chain;
  /** The two ways to the chain that the service knows. */
  readonly rpcs: readonly [RpcProxy, RpcProxy];
  readonly seller: Seller;
  readonly facilitator: Facilitator;
  readonly postgres: PostgresServer;
  readonly redis: RedisServer | undefined;
  readonly apis: readonly [ServiceProcess, ServiceProcess];
  readonly workers: readonly [ServiceProcess, ServiceProcess];
  /** All four. */
  readonly processes: readonly ServiceProcess[];
  /** Two gateways, started when they are first asked for. */
  gateways(): Promise<Gateways>;
  readonly adminToken: string;
  /** Past all proxies, for looking behind. */
  readonly db: pg.Pool;
  readonly account: Account;
  readonly tally: Tally;
  /** Starts Postgres again after it ended, and leads everybody to where it is now. */
  restartPostgres(): Promise<void>;
  stop(): Promise<void>;
}

/** Parts of a stack. */
export interface StackOptions {
  readonly queues: Queues;
  /** Whether Postgres gets a disk that can be filled. */
  readonly smallDisk: boolean;
  readonly progress: (what: string) => void;
  readonly onStop: (close: () => Promise<void>) => void;
}

/** Starts a stack, and waits until all of it is ready. */
export async function openStack(options: StackOptions): Promise<Stack> {
  const { queues, progress } = options;
  const closers: (() => Promise<unknown>)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= closeAll(closers);
    return stopping;
  };
  options.onStop(stop);
  const directory = await mkdtemp(join(tmpdir(), 'bursar-faults-'));
  closers.push(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  progress(`starting a chain, a seller, Postgres${queues === 'redis' ? ' and Redis' : ''}`);
  const chain = await startChain({ blockTimeSeconds: BLOCK_SECONDS });
  closers.push(() => chain.stop());
  const rpcs = [await startRpcProxy(chain.rpcUrl), await startRpcProxy(chain.rpcUrl)] as const;
  closers.push(...rpcs.map((rpc) => () => rpc.stop()));
  await fund(chain);
  const { facilitator, seller } = await startSelling(chain, closers);

  const postgres = await startPostgres(join(directory, 'server'), options.smallDisk);
  closers.push(() => postgres.stop());
  await migrate(postgres.url);
  const redis = queues === 'redis' ? await startRedis(join(directory, 'redis')) : undefined;
  if (redis) closers.push(() => redis.stop());

  const environment = (databasePort: number): Record<string, string> => {
    const url = new URL(postgres.url);
    url.port = String(databasePort);
    return {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      // Such as --cpu-prof: where a process under overload spends its time.
      ...(process.env.BENCH_NODE_OPTIONS === undefined
        ? {}
        : { BENCH_NODE_OPTIONS: process.env.BENCH_NODE_OPTIONS }),
      DATABASE_URL: url.href,
      ...(redis ? { REDIS_URL: redis.url } : {}),
      BURSAR_DATA_DIR: join(directory, 'service'),
      BURSAR_WALLET_MNEMONIC: TEST_MNEMONIC,
      BURSAR_WALLET_COUNT: String(WALLET_COUNT),
      BURSAR_MASTER_SECRET: 'the fault runner keeps no secrets from anybody',
      BURSAR_MAX_VALIDITY_SECONDS: String(VALIDITY_SECONDS),
      BURSAR_LOG_LEVEL: 'warn',
      // All agents come from one address here.
      BURSAR_RATE_LIMIT_PER_ADDRESS: '1000000000',
      BURSAR_NETWORKS: JSON.stringify([
        {
          network: chain.network,
          rpcUrls: rpcs.map(({ url: each }) => each),
          finality: { blocks: FINALITY_BLOCKS },
          pollMs: 500,
        },
      ]),
    };
  };
  const adminToken = await mintAdminToken(environment(postgres.port));
  progress('starting two APIs and two workers');
  const started: Supervised[] = [];
  // At once, and with a Redis that answers: each would wait for it.
  closers.push(() => {
    redis?.signal('SIGCONT');
    return Promise.all(started.map((each) => each.stop()));
  });
  const start = async (role: 'api' | 'worker', place: number): Promise<ServiceProcess> => {
    const [port, metricsPort] = [await pickPort(), await pickPort()];
    const ports = { PORT: String(port), BURSAR_METRICS_PORT: String(metricsPort) };
    const each = await supervise({
      name: `${role} ${place}`,
      url: `http://127.0.0.1:${port}`,
      readyPath: '/readyz',
      log: join(directory, `${role}-${place}.log`),
      postgresPort: postgres.port,
      environment: (databasePort) => ({ ...environment(databasePort), ...ports }),
      spawn: (variables, log) => spawnService(role, variables, log),
    });
    started.push(each);
    return Object.assign(each, { role, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` });
  };
  const workers = [await start('worker', 1), await start('worker', 2)] as const;
  const apis = [await start('api', 1), await start('api', 2)] as const;
  const processes = [...apis, ...workers];
  await allReady(processes, START_TIMEOUT_MS).catch(async (error: Error) => {
    const words = await Promise.all(processes.map((each) => each.lastWords()));
    throw new Error(`${error.message}:\n${words.join('\n')}`);
  });

  const openPool = (): pg.Pool => {
    const pool = new pg.Pool({ connectionString: postgres.url, max: 4 });
    // A connection that breaks while nobody uses it; the next query says so.
    pool.on('error', () => {});
    return pool;
  };
  let selling: Promise<Gateways> | undefined;
  const stack = {
    queues,
    chain,
    rpcs,
    seller,
    facilitator,
    postgres,
    redis,
    apis,
    workers,
    processes,
    adminToken,
    db: openPool(),
    account: new Account(join(directory, 'headers.ndjson'), join(directory, 'fresh.ndjson')),
    tally: new Tally(),
    gateways() {
      if (!selling) progress('starting two gateways');
      selling ??= startGateways({
        chain,
        facilitator,
        payTo: seller.payTo,
        directory,
        postgresPort: postgres.port,
        environment,
        onStop: (close) => closers.push(close),
      });
      return selling;
    },
    async restartPostgres() {
      await until('Postgres starts', START_TIMEOUT_MS, async () => {
        await postgres.start();
        return true;
      });
      const gateways = (await selling)?.replicas ?? [];
      for (const { database } of [...processes, ...gateways]) database.target(postgres.port);
      await stack.db.end();
      stack.db = openPool();
    },
    stop,
  };
  closers.push(() => stack.db.end());
  await until('the balances are read', START_TIMEOUT_MS, async () => {
    const { rows } = await stack.db.query(
      'SELECT count(*) > 0 AND bool_and(balance > 0) AS funded FROM wallet_balances',
    );
    return rows[0]?.funded === true;
  });
  return stack;
}

async function fund(chain: Chain): Promise<void> {
  const signer = new MnemonicSigner(TEST_MNEMONIC, WALLET_COUNT);
  const { addresses } = await signer.wallets({ position: 0 });
  await Promise.all(
    addresses.map((wallet) => chain.mintUsdc(wallet as `0x${string}`, WALLET_FUNDS)),
  );
  // For the cancellations that revocations ask for: 10 ether, in wei.
  const { address } = new GasAccount(
    undefined,
    await readWalletKeys(loadConfig({ BURSAR_WALLET_MNEMONIC: TEST_MNEMONIC })),
  );
  if (address) await chain.setEther(address, 10n ** 19n);
  await chain.mineBlocks(FINALITY_BLOCKS + 1);
}

/** The seller and its facilitator speak with the chain itself: the service's RPCs are not theirs. */
async function startSelling(chain: Chain, closers: (() => Promise<unknown>)[]) {
  const [facilitatorAccount, sellerAccount] = chain.accounts;
  if (!facilitatorAccount || !sellerAccount) throw new Error('the chain has no accounts');
  const facilitator = await startFacilitator({
    rpcUrl: chain.rpcUrl,
    privateKey: facilitatorAccount.privateKey,
    confirmationTimeoutMs: 5_000,
  });
  closers.push(() => facilitator.stop());
  const seller = await startSeller({
    facilitatorUrl: facilitator.url,
    payTo: sellerAccount.address,
    routes: {
      'GET /data/:page': {
        offers: [{ price: '$0.01', maxTimeoutSeconds: VALIDITY_SECONDS }],
        description: 'One page of data',
      },
    },
  });
  closers.push(() => seller.stop());
  return { facilitator, seller };
}

/** The body of a payment to a seller that is nobody's: its header is never used. */
export function madeUpOrder({ chain }: Pick<Stack, 'chain'>): string {
  return paymentBody(chain, VALIDITY_SECONDS);
}
