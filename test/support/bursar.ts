import pg from 'pg';
import type { Chain } from '../../sandbox/chain.js';
import { type Stack, type StackOptions, startStack } from '../../sandbox/stack.js';
import { loadConfig } from '../../src/config/config.js';
import { createLogger } from '../../src/ops/logger.js';
import { type Service, startService } from '../../src/service.js';
import { Api } from './api.js';
import { installClock, shiftClock } from './clock.js';
import { createTestDatabase } from './database.js';
import { rpc } from './rpc.js';
import { until } from './until.js';

export { rpc } from './rpc.js';

/** The phrase a stack's wallets come from; a replica with another one would refuse to start. */
export const STACK_MNEMONIC =
  'legal winner thank year wave sausage worth useful legal winner thank yellow';

/** A stack on a database of its own, with what a suite asks of it. */
export interface TestStack extends Stack {
  readonly databaseUrl: string;
  /** The suite's own connections, for looking behind the API. */
  readonly db: pg.Pool;
  readonly admin: Api;
  /** Makes what was mined so far final, and waits until the service has read it. */
  finalize(): Promise<void>;
  /**
   * Lets time pass on the chain (from its next block) and, by the `movableClock` option, in the database:
   * a payment is released only when both are past its end.
   */
  passTime(seconds: number): Promise<void>;
  /** The database's time, Unix milliseconds: this machine's and what {@link passTime} let pass. */
  now(): number;
}

/** Lets payments wait however busy this machine is: what is turned away has suites of its own. */
const PATIENT = { BURSAR_MAX_PAYMENT_WAIT_MS: '60000' };

/** Starts a stack on a fresh clone of the template database; stopping it drops the database. */
export async function startTestStack(
  options: Partial<
    Pick<StackOptions, 'environment' | 'logger' | 'network' | 'pollMs' | 'redisUrl'>
  > & {
    /** Registers every token of the chain; by default only the test USDC, so that a wallet has one balance. */
    readonly everyToken?: boolean;
    /** Gives the database a clock that `passTime` can move. */
    readonly movableClock?: boolean;
  } = {},
): Promise<TestStack> {
  const { everyToken = false, movableClock = false, ...given } = options;
  const database = await createTestDatabase();
  if (movableClock) {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await installClock(client);
    await client.end();
  }
  const stack = await startStack({
    logger: createLogger('silent'),
    databaseUrl: database.url,
    ...(everyToken ? {} : { network: (chain) => usdcOnly(chain, given.pollMs) }),
    ...given,
    environment: { ...PATIENT, ...given.environment },
  });
  const db = new pg.Pool({ connectionString: database.url, max: 3 });
  let passed = 0;
  const adminToken = await stack.service.mintAdminToken({ name: 'tester', role: 'admin' }, 3600);
  return {
    ...stack,
    databaseUrl: database.url,
    db,
    admin: new Api(stack.service.url, adminToken),
    async finalize() {
      const head = await blockNumber(stack.chain.rpcUrl);
      await stack.chain.mineBlocks(3);
      await until('the chain is read up to what was mined', async () => {
        const { rows } = await db.query('SELECT block_number FROM chain_cursors');
        return rows[0] !== undefined && BigInt(rows[0].block_number) >= head;
      });
    },
    now: () => Date.now() + passed * 1_000,
    async passTime(seconds) {
      if (!movableClock) throw new Error('this stack was not started with movableClock');
      passed += seconds;
      await shiftClock(db, seconds);
      await rpc(stack.chain.rpcUrl, 'evm_increaseTime', [seconds]);
    },
    async stop() {
      await db.end();
      await stack.stop();
      await database.drop();
    },
  };
}

/** A chain's entry of `BURSAR_NETWORKS` with the tokens that are known without naming them. */
function usdcOnly({ network, rpcUrl }: Chain, pollMs = 500): object {
  return { network, rpcUrls: [rpcUrl], finality: { blocks: 2 }, pollMs };
}

async function blockNumber(rpcUrl: string): Promise<bigint> {
  return BigInt((await rpc<string>(rpcUrl, 'eth_blockNumber')) ?? '0x0');
}

/** Environment for another process of a stack's service. */
export function environmentOf({ chain, dataDir, databaseUrl }: TestStack): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    BURSAR_DATA_DIR: dataDir,
    BURSAR_WALLET_MNEMONIC: STACK_MNEMONIC,
    BURSAR_NETWORKS: JSON.stringify([usdcOnly(chain)]),
  };
}

/**
 * Starts one more process's worth of the service on a stack's database, data directory and chain.
 *
 * @param role - `api` answers requests and leaves the work to the stack's own, `all` works too.
 * @param environment - more of its own.
 */
export function startReplica(
  stack: TestStack,
  role: 'api' | 'all' = 'api',
  redisUrl?: string,
  environment: Record<string, string> = {},
): Promise<Service> {
  return startService(
    loadConfig({
      ...environmentOf(stack),
      PORT: '0',
      BURSAR_METRICS_PORT: '0',
      ...PATIENT,
      BURSAR_ROLE: role,
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
      ...environment,
    }),
    createLogger('silent'),
  );
}
