import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { migrate } from '../prisma/migrate.js';
import { type Chain, startChain } from '../sandbox/chain.js';
import { closeAll } from '../src/close-all.js';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import { MnemonicSigner } from '../src/treasury/signer.js';
import {
  DIST,
  mintAdminToken,
  type Role,
  type ServiceProcess,
  startService,
  stopper,
  TEST_MNEMONIC,
} from './service.js';

/** Balance of every wallet: enough that no payment is ever refused for want of money. */
const WALLET_FUNDS = 10n ** 18n;
const WALLET_COUNT = 4;
const FINALITY_BLOCKS = 2;

/** The longest the service allows, so that nothing lapses while it is measured. */
export const VALIDITY_SECONDS = 300;

/** A database of one shape's own, with the service's processes on it. */
export interface World {
  readonly databaseUrl: string;
  readonly db: pg.Pool;
  /** Settings of one process of the service. */
  readonly environment: Readonly<Record<string, string>>;
  start(role: Role, changes?: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  /** A bearer token for an admin. */
  adminToken(): Promise<string>;
  /** Stops what was started in it, and drops the database. */
  stop(): Promise<void>;
}

/** A server of databases, a chain and what is started on them. */
export interface Lab {
  readonly chain: Chain;
  readonly postgresVersion: string;
  /** `Redis` or `Postgres`. */
  readonly queues: string;
  /** @param changes - settings of the service that this world has besides. */
  world(changes?: Readonly<Record<string, string>>): Promise<World>;
}

/** Parts of a lab. */
export interface LabOptions {
  /** A server on which databases may be made; an embedded one when left out. */
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  /** Variables of the service that are passed on, such as `BURSAR_MAX_BATCH`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: (what: string) => void;
  readonly onStop: (close: () => Promise<void>) => void;
  /** Aborted when the run is to end at once. */
  readonly stopped: AbortSignal;
}

/** Starts the chain and the databases' server, and migrates the template that every shape gets a copy of. */
export async function openLab(options: LabOptions): Promise<Lab> {
  const { onStop, progress } = options;
  const directory = await mkdtemp(join(tmpdir(), 'bursar-bench-'));
  onStop(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  progress('starting a local chain');
  const chain = await startChain();
  onStop(() => chain.stop());
  const signer = new MnemonicSigner(TEST_MNEMONIC, WALLET_COUNT);
  await Promise.all(
    (await signer.wallets({ position: 0 })).addresses.map((wallet) =>
      chain.mintUsdc(wallet as `0x${string}`, WALLET_FUNDS),
    ),
  );
  await chain.mineBlocks(FINALITY_BLOCKS + 1);

  let { databaseUrl } = options;
  if (databaseUrl === undefined) {
    progress('starting an embedded Postgres');
    const server = await startEmbeddedPostgres({ dataDir: join(directory, 'server') });
    onStop(() => server.stop());
    databaseUrl = server.url;
  }
  const server = databaseUrl;
  const template = `bursar_bench_${randomBytes(6).toString('hex')}`;
  await query(server, `CREATE DATABASE ${template}`);
  const drop = async (name: string): Promise<void> => {
    await query(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  };
  onStop(() => drop(template));
  await migrate(named(server, template));
  // Queries fail from here on, so that nobody waits for a long statement.
  options.stopped.addEventListener('abort', () => {
    query(
      server,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE '${template}%'`,
    ).catch(() => {});
  });
  const [version] = await query<{ server_version: string }>(server, 'SHOW server_version');

  let worlds = 0;
  const world: Lab['world'] = async (changes = {}) => {
    worlds += 1;
    const name = `${template}_${worlds}`;
    await query(server, `CREATE DATABASE ${name} TEMPLATE ${template}`);
    const closers: (() => Promise<unknown>)[] = [() => drop(name)];
    let stopping: Promise<void> | undefined;
    const stop = () => {
      stopping ??= closeAll(closers);
      return stopping;
    };
    onStop(stop);
    const url = named(server, name);
    const db = new pg.Pool({ connectionString: url, max: 4 });
    // A connection that breaks while nobody uses it; the next query says so.
    db.on('error', () => {});
    closers.push(() => db.end());
    const environment = {
      ...options.environment,
      ...changes,
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      PORT: '0',
      BURSAR_METRICS_PORT: 'off',
      // Its clients wait for their answers, however long that takes on a slow machine.
      BURSAR_MAX_PAYMENT_WAIT_MS: '10000',
      DATABASE_URL: url,
      ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
      BURSAR_DATA_DIR: join(directory, name),
      BURSAR_WALLET_MNEMONIC: TEST_MNEMONIC,
      BURSAR_WALLET_COUNT: String(WALLET_COUNT),
      BURSAR_MASTER_SECRET: 'a benchmark keeps no secrets from anybody',
      BURSAR_MAX_VALIDITY_SECONDS: String(VALIDITY_SECONDS),
      BURSAR_NETWORKS: JSON.stringify([
        {
          network: chain.network,
          rpcUrls: [chain.rpcUrl],
          finality: { blocks: FINALITY_BLOCKS },
          pollMs: 500,
        },
      ]),
    };
    let started = 0;
    return {
      databaseUrl: url,
      db,
      environment,
      async start(role, own = {}) {
        started += 1;
        const log = join(directory, `${name}-${started}-${role}.log`);
        const service = await startService(role, { ...environment, ...own }, log);
        closers.push(() => service.stop());
        return service;
      },
      adminToken: () => mintAdminToken(environment),
      stop,
    };
  };
  return {
    chain,
    postgresVersion: version?.server_version ?? '',
    queues: options.redisUrl === undefined ? 'Postgres' : 'Redis',
    world,
  };
}

/** A program of this folder as a process of its own, which answers orders one at a time. */
export interface Helper<Order, Result> {
  readonly pid: number;
  run(order: Order): Promise<Result>;
  stop(): Promise<void>;
}

/**
 * Starts a program of this folder. It ends with this process, however that ends.
 *
 * @param name - such as `load`, for load.ts.
 */
export function startHelper<Order extends object, Result>(
  name: string,
  environment: Readonly<Record<string, string>> = {},
): Helper<Order, Result> {
  const child = fork(join(DIST, 'bench', `${name}.js`), [], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    execArgv: [],
    // A process group of its own, so that Ctrl-C reaches only us and we stop it.
    detached: true,
  });
  return {
    pid: child.pid ?? 0,
    run(order) {
      return new Promise((resolve, reject) => {
        const ended = () => reject(new Error(`${name} ended unasked`));
        child.once('exit', ended);
        child.once('message', (answer: { result: Result } | { error: string }) => {
          child.off('exit', ended);
          if ('error' in answer) reject(new Error(`${name}: ${answer.error}`));
          else resolve(answer.result);
        });
        child.send(order);
      });
    },
    stop: stopper(child),
  };
}

function named(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
