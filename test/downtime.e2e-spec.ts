import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import { loadConfig } from '../src/config/config.js';
import { createLogger } from '../src/ops/logger.js';
import { type Service, startService } from '../src/service.js';
import { Api, type Paid } from './support/api.js';
import { environmentOf, rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { headOf, settleCall, submit } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Blocks that pass while nobody reads: more than three steps of a thousand. */
const BLOCKS_MISSED = 3_400;

let stack: TestStack;
let proxy: RpcProxy;
let back: Service | undefined;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    network: async (chain) => {
      proxy = await startRpcProxy(chain.rpcUrl);
      return networkOf(chain.network, proxy.url);
    },
  });
}, 60_000);
afterAll(async () => {
  await back?.stop();
  await stack?.stop();
  await proxy?.stop();
});

const networkOf = (network: string, rpcUrl: string) => ({
  network,
  rpcUrls: [rpcUrl],
  finality: { blocks: 2 },
  pollMs: 200,
  maxClockSkewSeconds: 86_400,
});

const cursorOf = async () => {
  const { rows } = await stack.db.query('SELECT block_number::int AS block FROM chain_cursors');
  return rows[0].block as number;
};

it('a long downtime changes nothing but the time: it is caught up in steps, each of which stays', async () => {
  const { chain, admin, db } = stack;
  const { token } = await admin.mint({ budget: '10.00' });
  const agent = admin.as(token);
  const early: Paid[] = [];
  const late: Paid[] = [];
  const never: Paid[] = [];
  for (const list of [early, late, never]) {
    for (let n = 0; n < 5; n += 1) list.push(await agent.paid(order(chain)));
  }
  await chain.pauseMining();
  await stack.service.stop();
  const before = await cursorOf();

  for (const { header } of early) await submit(chain, settleCall(header.value));
  await chain.mineBlocks(1);
  // Blocks of one and the same second: the second half of the payments is still in time.
  for (let block = 0; block < BLOCKS_MISSED - 200; block += 200) {
    await rpc(chain.rpcUrl, 'anvil_mine', ['0xc8', '0x0']).catch(() => chain.mineBlocks(200));
  }
  for (const { header } of late) await submit(chain, settleCall(header.value));
  await chain.mineBlocks(200);
  await stack.passTime(300);
  await chain.mineBlocks(3);

  // The third step fails: the first two are there to stay.
  let queries = 0;
  proxy.fault = ({ method, params }) => {
    if (method !== 'eth_getLogs') return undefined;
    const [{ fromBlock }] = params as [{ fromBlock: string }];
    queries += 1;
    return Number(fromBlock) > before + 2_000 ? 'garbage' : undefined;
  };
  back = await startService(
    loadConfig({
      ...environmentOf(stack),
      PORT: '0',
      BURSAR_METRICS_PORT: 'off',
      BURSAR_NETWORKS: JSON.stringify([networkOf(chain.network, proxy.url)]),
    }),
    createLogger('silent'),
  );
  const again = new Api(back.url, admin.token);
  const statuses = async (list: readonly Paid[]) => {
    const all = await Promise.all(list.map(({ payment }) => again.payment(payment.id)));
    return [...new Set(all.map(({ status }) => status))];
  };
  await until('two steps are read', async () => (await cursorOf()) === before + 2_000);
  expect(await statuses(early)).toEqual(['settled']);
  expect(await statuses([...late, ...never])).toEqual(['authorized']);
  // In the middle of it, no wallet seems to have more than it has.
  expect(await brokenInvariants(db)).toEqual([]);
  const { rows } = await db.query<{ balance: string; address: string }>(
    `SELECT b.balance, w.address FROM wallet_balances b JOIN wallets w ON w.id = b.wallet_id`,
  );
  const spentOf = (address: string, list: readonly Paid[]) =>
    BigInt(list.filter(({ payment }) => payment.wallet === address).length) * 10_000n;
  for (const { balance, address } of rows) {
    const now = await chain.usdcBalance(address as `0x${string}`);
    expect(BigInt(balance)).toBe(now + spentOf(address, late));
  }

  proxy.fault = undefined;
  await until('all is read', async () => BigInt(await cursorOf()) === (await headOf(chain)) - 2n);
  expect(await statuses(early)).toEqual(['settled']);
  expect(await statuses(late)).toEqual(['settled']);
  expect(await statuses(never)).toEqual(['released']);
  expect(queries).toBeLessThan(200);
  expect(await brokenInvariants(db)).toEqual([]);
  expect(await brokenOnChain(db, chain.rpcUrl)).toEqual([]);
});
