import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import type { Service } from '../src/service.js';
import type { Api } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { settleCall, submit } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

const VALIDITY_SECONDS = 60;

let stack: TestStack;
let agent: Api;
/** Another process that reads the same chain, and one that only answers requests. */
let worker: Service;
let front: Service;
/** The two RPCs, as every process is told. */
let honest: RpcProxy;
let liar: RpcProxy;

beforeAll(async () => {
  let network: object = {};
  const environment = { BURSAR_MAX_VALIDITY_SECONDS: String(VALIDITY_SECONDS) };
  stack = await startTestStack({
    movableClock: true,
    environment,
    network: async (chain) => {
      honest = await startRpcProxy(chain.rpcUrl);
      liar = await startRpcProxy(chain.rpcUrl);
      network = {
        network: chain.network,
        rpcUrls: [honest.url, liar.url],
        finality: { blocks: 2 },
        pollMs: 200,
        maxClockSkewSeconds: 3_000,
      };
      return network;
    },
  });
  const theirs = { ...environment, BURSAR_NETWORKS: JSON.stringify([network]) };
  worker = await startReplica(stack, 'all', undefined, theirs);
  front = await startReplica(stack, 'api', undefined, theirs);
  const { token } = await stack.admin.mint({ budget: '20.00' });
  agent = stack.admin.as(token);
}, 90_000);

afterEach(() => {
  honest.fault = undefined;
  liar.fault = undefined;
});

afterAll(async () => {
  await front?.stop();
  await worker?.stop();
  await stack?.stop();
  await honest?.stop();
  await liar?.stop();
});

const statusOf = async (id: string) => (await stack.admin.payment(id)).status;

const readyOf = async ({ url }: { url: string }) => {
  const answer = await fetch(`${url}/readyz`);
  return { status: answer.status, text: await answer.text() };
};

/** Waits until every process says something of the network. */
async function allSay(status: number, words: string): Promise<void> {
  for (const service of [stack.service, worker, front]) {
    await until(`a process says "${words}"`, async () => {
      const ready = await readyOf(service);
      return ready.status === status && ready.text.includes(words);
    });
  }
}

describe('two RPCs configured, on two workers', () => {
  it('end nothing while the honest one is away and the other hides a settlement; all processes say so', async () => {
    const used = await agent.paid(order(stack.chain, { amount: '10000000' }));
    const kept = await agent.paid(order(stack.chain));
    const { rows: cursors } = await stack.db.query('SELECT block_number FROM chain_cursors');
    honest.fault = () => 'error';
    // No log, and no nonce is used: as if nothing had happened.
    liar.fault = ({ method, params }, result) => {
      if (method === 'eth_getLogs') return { result: [] };
      const isState = method === 'eth_call' && JSON.stringify(params).includes('e94a0102');
      return isState ? { result: String(result).replaceAll(/0{63}1/g, '0'.repeat(64)) } : undefined;
    };
    const transaction = await submit(stack.chain, settleCall(used.header.value));
    await stack.chain.mineBlocks(4);
    await allSay(200, '1 of its 2 RPCs answer');
    await stack.passTime(VALIDITY_SECONDS + 30);
    await stack.chain.mineBlocks(6);
    // Both workers have looked at the chain past the payments' end, by every clock there is.
    for (const _ of [1, 2, 3]) {
      liar.calls.clear();
      await until('the chain is looked at', () => (liar.calls.get('eth_getLogs') ?? 0) > 2);
      await stack.chain.mineBlocks(1);
    }
    expect(await statusOf(used.payment.id)).toBe('authorized');
    expect(await statusOf(kept.payment.id)).toBe('authorized');
    const { rows: after } = await stack.db.query('SELECT block_number FROM chain_cursors');
    expect(Number(after[0].block_number) - Number(cursors[0].block_number)).toBeLessThan(4);

    // The budget is 20.00: had the first been released, this would be a second payment of 10.00 too many.
    const more = await agent.pay(order(stack.chain, { amount: '10000000' }));
    expect(more.status).toBe(403);

    // Both there, one lying: still nothing.
    honest.fault = undefined;
    await allSay(503, 'contradict');
    expect(await statusOf(used.payment.id)).toBe('authorized');

    liar.fault = undefined;
    await until('it is settled', async () => (await statusOf(used.payment.id)) === 'settled');
    await until('it is released', async () => (await statusOf(kept.payment.id)) === 'released');
    expect(await stack.admin.payment(used.payment.id)).toMatchObject({ transaction });
    await until('every process is ready without a warning', async () => {
      const all = await Promise.all([stack.service, worker, front].map(readyOf));
      return all.every(({ status, text }) => status === 200 && !text.includes('warnings'));
    });
  }, 120_000);

  it('believe no balance from one alone', async () => {
    const balance = async () => {
      const { rows } = await stack.db.query(
        'SELECT sum(balance)::text AS sum FROM wallet_balances',
      );
      return rows[0].sum as string;
    };
    honest.fault = () => 'error';
    await allSay(200, '1 of its 2 RPCs answer');
    const before = await balance();
    const [wallet] = stack.service.walletAddresses;
    await stack.chain.mintUsdc(wallet as `0x${string}`, 1_000_000n);
    await stack.chain.mineBlocks(6);
    liar.calls.clear();
    await until('the chain is looked at', () => (liar.calls.get('eth_getLogs') ?? 0) > 2);
    expect(await balance()).toBe(before);
    honest.fault = undefined;
    await until('the money is there', async () => {
      return BigInt(await balance()) === BigInt(before) + 1_000_000n;
    });
  }, 90_000);
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
});
