import { jest } from '@jest/globals';
import pg from 'pg';
import type { Chain } from '../../sandbox/chain.js';
import { type Stack, type StackOptions, startStack } from '../../sandbox/stack.js';
import { loadConfig } from '../../src/config.js';
import { createLogger } from '../../src/ops/logger.js';
import { type Service, startService } from '../../src/service.js';
import { Api } from './api.js';
import { createTestDatabase } from './database.js';
import { rpc } from './rpc.js';
import { until } from './until.js';

export { rpc } from './rpc.js';

/** The phrase a stack's wallets come from; a replica with another one would refuse to start. */
export const STACK_MNEMONIC =
  'legal winner thank year wave sausage worth useful legal winner thank yellow';

// Jest cannot load this package: it requires an ES module from CommonJS, which Node can. Only the assets
// of the /docs page need it; test/boot.e2e-spec.ts asks the real program for them.
jest.unstable_mockModule('@fastify/static', () => ({ default: async () => {} }));

/** A stack on a database of its own, with what a suite asks of it. */
export interface TestStack extends Stack {
  readonly databaseUrl: string;
  /** The suite's own connections, for looking behind the API. */
  readonly db: pg.Pool;
  readonly admin: Api;
  /** Makes what was mined so far final, and waits until the service has read it. */
  finalize(): Promise<void>;
}

/** Starts a stack on a fresh clone of the template database; stopping it drops the database. */
export async function startTestStack(
  options: Partial<
    Pick<StackOptions, 'environment' | 'logger' | 'network' | 'pollMs' | 'redisUrl'>
  > & {
    /** Registers every token of the chain; by default only the test USDC, so that a wallet has one balance. */
    readonly everyToken?: boolean;
  } = {},
): Promise<TestStack> {
  const { everyToken = false, ...given } = options;
  const database = await createTestDatabase();
  const stack = await startStack({
    logger: createLogger('silent'),
    databaseUrl: database.url,
    ...(everyToken ? {} : { network: (chain) => usdcOnly(chain, given.pollMs) }),
    ...given,
  });
  const db = new pg.Pool({ connectionString: database.url, max: 3 });
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

/** What another process of a stack's service is started with. */
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
      BURSAR_ROLE: role,
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
      ...environment,
    }),
    createLogger('silent'),
  );
}
