import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Fault, type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import type { Api } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { settleCall, submit } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

const VALIDITY_SECONDS = 60;

let stack: TestStack;
let agent: Api;
/** Two ways to one chain, the first of which is tried first. */
let first: RpcProxy;
let other: RpcProxy;

beforeAll(async () => {
  stack = await startTestStack({
    environment: { BURSAR_MAX_VALIDITY_SECONDS: String(VALIDITY_SECONDS) },
    network: async (chain) => {
      first = await startRpcProxy(chain.rpcUrl);
      other = await startRpcProxy(chain.rpcUrl);
      return {
        network: chain.network,
        rpcUrls: [first.url, other.url],
        finality: { blocks: 2 },
        pollMs: 100,
        maxClockSkewSeconds: 3_000,
      };
    },
  });
  const { token } = await stack.admin.mint({ budget: '100.00' });
  agent = stack.admin.as(token);
}, 60_000);

afterEach(async () => {
  first.fault = undefined;
  other.fault = undefined;
  await until('the network is ready', async () => (await ready()).status === 200);
});

afterAll(async () => {
  await stack?.stop();
  await first?.stop();
  await other?.stop();
});

const ready = () => fetch(`${stack.service.url}/readyz`);

const statusOf = async (id: string) => (await stack.admin.payment(id)).status;

/** Pays, settles on chain, and waits until that is final. */
async function settled() {
  const paid = await agent.paid(order(stack.chain));
  const transaction = await submit(stack.chain, settleCall(paid.header.value));
  await stack.chain.mineBlocks(4);
  return { id: paid.payment.id, transaction };
}

const untilSettled = (id: string) =>
  until('it is settled', async () => (await statusOf(id)) === 'settled', 45_000);

/** Waits until this many final blocks more were read. */
async function readOn(): Promise<void> {
  const cursor = async () => {
    const { rows } = await stack.db.query('SELECT block_number FROM chain_cursors');
    return BigInt(rows[0].block_number);
  };
  const before = await cursor();
  await stack.chain.mineBlocks(1);
  await until('the chain is read on', async () => (await cursor()) > before);
}

const TOPIC = {
  transfer: '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
  used: '0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5',
  canceled: '0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81',
};
const word = (hex: string) => `0x${hex.slice(2).toLowerCase().padStart(64, '0')}`;

/** Logs that never were, in the last block asked for. */
function forged(events: { topics: string[]; data: string }[]): Fault {
  return ({ method, params }, result) => {
    if (method !== 'eth_getLogs') return undefined;
    const [filter] = params as [{ toBlock: string; address: string[] }];
    const logs = events.map(({ topics, data }, n) => ({
      address: stack.chain.token.address,
      topics,
      data,
      blockNumber: filter.toBlock,
      blockHash: word('0xaa'),
      transactionHash: word('0xbb'),
      transactionIndex: '0x0',
      logIndex: `0x${n}`,
      removed: false,
    }));
    return { result: [...(result as unknown[]), ...logs] };
  };
}

describe('of two RPCs', () => {
  it.each([
    ['errors', 'error'],
    ['garbage', 'garbage'],
    ['no answer at all', 'hang'],
  ] as const)('one that gives %s is gone round', async (_what, fault) => {
    first.fault = () => fault;
    const { id, transaction } = await settled();
    await untilSettled(id);
    expect(await stack.admin.payment(id)).toMatchObject({ transaction });
  });

  it('one that lags holds things up, and gets nothing wrong', async () => {
    first.fault = async ({ method, params }) => {
      if (method !== 'eth_getBlockByNumber' || params[0] !== 'latest') return undefined;
      const head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
      const older = `0x${(head - 6n).toString(16)}`;
      return { result: await rpc(stack.chain.rpcUrl, 'eth_getBlockByNumber', [older, false]) };
    };
    const { id, transaction } = await settled();
    await untilSettled(id);
    expect(await stack.admin.payment(id)).toMatchObject({ transaction });
  });

  it.each([
    ['first', () => first],
    ['second', () => other],
  ])(
    'a %s that makes up settlements ends nothing, and stops payments until it is honest',
    async (which, liar) => {
      const { payment } = await agent.paid(order(stack.chain));
      const { wallet, nonce, payTo } = payment;
      liar().fault = forged([
        { topics: [TOPIC.used, word(wallet), nonce], data: '0x' },
        {
          topics: [TOPIC.transfer, word(wallet), word(payTo)],
          data: `0x${10_000n.toString(16).padStart(64, '0')}`,
        },
      ]);
      if (which === 'first') {
        await stack.chain.mineBlocks(3);
        await until('the lie is found out', async () => (await ready()).status === 503);
        expect(await (await ready()).text()).toContain('contradict');
      } else {
        await readOn();
      }
      expect(await statusOf(payment.id)).toBe('authorized');
    },
  );

  it('one that makes up cancellations ends nothing', async () => {
    const { payment } = await agent.paid(order(stack.chain));
    first.fault = forged([
      { topics: [TOPIC.canceled, word(payment.wallet), payment.nonce], data: '0x' },
    ]);
    await stack.chain.mineBlocks(3);
    await until('the lie is found out', async () => (await ready()).status === 503);
    expect(await statusOf(payment.id)).toBe('authorized');
  });

  it('one that has another chain since is believed in nothing', async () => {
    const { payment } = await agent.paid(order(stack.chain));
    first.fault = ({ method }, result) =>
      method === 'eth_getBlockByNumber'
        ? { result: { ...(result as object), hash: word('0xdead') } }
        : undefined;
    await stack.chain.mineBlocks(3);
    await until('it is found out', async () => (await ready()).status === 503);
    expect(await statusOf(payment.id)).toBe('authorized');
  });
});

describe('logs', () => {
  it('that come twice count once', async () => {
    const twice: Fault = ({ method }, result) =>
      method === 'eth_getLogs' ? { result: [...(result as []), ...(result as [])] } : undefined;
    first.fault = twice;
    other.fault = twice;
    const { id } = await settled();
    await untilSettled(id);
  });

  it('of a foreign token, of another amount or to somebody else settle nothing', async () => {
    const { payment } = await agent.paid(order(stack.chain));
    const used = { topics: [TOPIC.used, word(payment.wallet), payment.nonce], data: '0x' };
    const cent = `0x${10_000n.toString(16).padStart(64, '0')}`;
    const others = [
      { topics: [TOPIC.transfer, word(payment.wallet), word(payment.wallet)], data: cent },
      {
        topics: [TOPIC.transfer, word(payment.wallet), word(payment.payTo)],
        data: cent.replace(/0$/, '1'),
      },
    ];
    first.fault = forged([used, ...others]);
    other.fault = forged([used, ...others]);
    await readOn();
    await readOn();
    expect(await statusOf(payment.id)).toBe('authorized');
  });

  it('that every RPC lost are found by their nonce once the payment is over, while a lie about the nonce releases nothing', async () => {
    const lost: Fault = ({ method }) => (method === 'eth_getLogs' ? { result: [] } : undefined);
    first.fault = lost;
    other.fault = lost;
    const { id, transaction } = await settled();
    await readOn();
    await readOn();
    expect(await statusOf(id)).toBe('authorized');

    // Only the first lies now: of the logs, and of the nonce, whose state is an answer's last word.
    other.fault = undefined;
    first.fault = ({ method }, result) => {
      if (method === 'eth_getLogs') return { result: [] };
      const isState = method === 'eth_call' && /0{63}1$/.test(result as string);
      return isState ? { result: (result as string).replace(/1$/, '0') } : undefined;
    };
    // By the chain's clock every open payment is over now, those of the tests above too.
    await rpc(stack.chain.rpcUrl, 'evm_increaseTime', [VALIDITY_SECONDS + 5]);
    await stack.chain.mineBlocks(4);
    await until('the lie is found out', async () => (await ready()).status === 503);
    expect(await statusOf(id)).toBe('authorized');

    first.fault = undefined;
    await untilSettled(id);
    expect(await stack.admin.payment(id)).toMatchObject({ transaction });
  });
});

describe('a chain whose clock is off', () => {
  it('takes no payments, and says by how much', async () => {
    const shifted: Fault = ({ method, params }, result) => {
      if (method !== 'eth_getBlockByNumber' || params[0] !== 'latest') return undefined;
      const block = result as { timestamp: string };
      return {
        result: { ...block, timestamp: `0x${(BigInt(block.timestamp) - 4_000n).toString(16)}` },
      };
    };
    first.fault = shifted;
    other.fault = shifted;
    await until('it is noticed', async () => (await ready()).status === 503);
    expect(await (await ready()).text()).toMatch(
      /newest block is [0-9]+ s old by the database's clock/,
    );
    expect((await agent.pay(order(stack.chain))).status).toBe(503);
  });
});

it('leaves every invariant whole', async () => {
  await rpc(stack.chain.rpcUrl, 'evm_increaseTime', [VALIDITY_SECONDS + 5]);
  await stack.chain.mineBlocks(4);
  await until('nothing is open', async () => {
    const { rows } = await stack.db.query(`SELECT 1 FROM payments WHERE status = 'authorized'`);
    return rows.length === 0;
  });
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
});
