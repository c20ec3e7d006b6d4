import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import type { Paid } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { settleCall } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** How many payments are open at once; 10,000 by hand (docs/operating.md has the figures). */
const PAYMENTS = Number(process.env.BURSAR_RECONCILE_PAYMENTS || 200);
const AT_ONCE = 8;
const TIMEOUT_MS = 60_000 + PAYMENTS * 60;

let stack: TestStack;
let proxy: RpcProxy;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: { BURSAR_MAX_VALIDITY_SECONDS: '300' },
    network: async (chain) => {
      proxy = await startRpcProxy(chain.rpcUrl);
      return {
        network: chain.network,
        rpcUrls: [proxy.url],
        finality: { blocks: 2 },
        pollMs: 500,
        maxClockSkewSeconds: 86_400,
      };
    },
  });
}, 60_000);
afterAll(async () => {
  await stack?.stop();
  await proxy?.stop();
});

/** Does work for each item, some at once. */
async function forEach<T>(items: readonly T[], work: (item: T, place: number) => Promise<void>) {
  let next = 0;
  const lane = async () => {
    for (let place = next++; place < items.length; place = next++)
      await work(items[place] as T, place);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

const open = async () => {
  const { rows } = await stack.db.query(
    `SELECT count(*)::int AS open FROM payments WHERE status = 'authorized'`,
  );
  return rows[0].open as number;
};

/** The RPC calls and the time it takes until a number of payments is open. */
async function measure(what: string, isDone: (open: number) => boolean): Promise<number> {
  proxy.calls.clear();
  const began = performance.now();
  await until(what, async () => isDone(await open()), TIMEOUT_MS);
  const calls = [...proxy.calls.values()].reduce((a, b) => a + b, 0);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  process.stdout.write(
    `${what}: ${calls} RPC calls (${[...proxy.calls].map(([m, n]) => `${m} ${n}`).join(', ')}), ${seconds} s\n`,
  );
  return calls;
}

it(
  `ends ${PAYMENTS} open payments with calls that grow with blocks, not with payments`,
  async () => {
    const { chain, admin } = stack;
    const grants = await Promise.all(
      Array.from({ length: 8 }, () => admin.mint({ budget: '1000.00' })),
    );
    const headers: string[] = [];
    await forEach(Array.from({ length: PAYMENTS }), async (_, place) => {
      const grant = grants[place % grants.length];
      const agent = admin.as(grant?.token);
      // A busy machine may answer 503: the same key again is the same payment.
      const paid = await until('it is paid', async () => {
        const answer = await agent.pay<Paid>(
          order(chain, { maxTimeoutSeconds: 300 }),
          `n-${place}`,
        );
        return answer.status === 201 && answer.body;
      });
      headers.push(paid.header.value);
    });
    expect(await open()).toBe(PAYMENTS);
    await chain.pauseMining();

    // Half of them settle, each in a transaction of its own; blocks hold 30 million gas.
    const half = headers.slice(0, PAYMENTS / 2);
    const from = chain.accounts[6]?.address;
    await forEach(half, async (header, nonce) => {
      await rpc(chain.rpcUrl, 'eth_sendTransaction', [
        {
          from,
          to: chain.token.address,
          data: settleCall(header),
          gas: '0x1d4c0',
          nonce: `0x${nonce.toString(16)}`,
        },
      ]);
    });
    await chain.mineBlocks(Math.ceil(half.length / 200) + 3);
    const settling = await measure(`${half.length} settled`, (left) => left <= PAYMENTS / 2);

    // The other half is never used. One call asks for the nonces of a hundred, twice.
    await stack.passTime(400);
    await chain.mineBlocks(3);
    let later = 0;
    const timer = setInterval(() => {
      later += 1;
      void chain.mineBlocks(1);
    }, 1_000);
    let releasing: number;
    try {
      releasing = await measure(`${PAYMENTS / 2} released`, (left) => left === 0);
    } finally {
      clearInterval(timer);
    }
    expect(settling).toBeLessThan(60 + PAYMENTS / 50);
    expect(releasing).toBeLessThan(60 + later * 12 + PAYMENTS / 25);
    const { rows } = await stack.db.query(
      'SELECT status, count(*)::int AS payments FROM payments GROUP BY status ORDER BY status',
    );
    expect(rows).toEqual([
      { status: 'released', payments: PAYMENTS / 2 },
      { status: 'settled', payments: PAYMENTS / 2 },
    ]);
    expect(await brokenInvariants(stack.db)).toEqual([]);
    expect(await brokenOnChain(stack.db, chain.rpcUrl)).toEqual([]);
  },
  TIMEOUT_MS * 4,
);
