import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Fault, type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import type { Api } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { shiftClock } from './support/clock.js';
import { collectGarbage } from './support/garbage.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
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
    movableClock: true,
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
  await until('the network is read as it should be', async () => {
    const { rows } = await stack.db.query(
      'SELECT 1 FROM chain_states WHERE contradiction IS NULL AND quorum IS NULL',
    );
    return rows.length === 1 && (await ready()).status === 200;
  });
});

afterAll(async () => {
  await stack?.stop();
  await first?.stop();
  await other?.stop();
});

const ready = () => fetch(`${stack.service.url}/readyz`);

const statusOf = async (id: string) => (await stack.admin.payment(id)).status;

const readyText = async () => (await ready()).text();

/** The value of the metric of a condition of the network. */
async function condition(name: string): Promise<number> {
  const text = await metricsOf(stack.service);
  const line = text.split('\n').find((each) => each.includes(`condition="${name}"`));
  return Number(line?.split(' ').at(-1));
}

/** Waits until the RPCs are found to contradict each other, and are left with everything as it was. */
const foundOut = () =>
  until('the lie is found out', async () => {
    const answer = await ready();
    return answer.status === 503 && (await answer.text()).includes('contradict');
  });

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
    ['an answer that never ends', 'flood'],
    ['an answer that comes drop by drop', 'drip'],
  ] as const)(
    'one that gives %s ends nothing: payments go on, /readyz and a metric tell, and all ends once it is back',
    async (_what, fault) => {
      first.fault = () => {
        // The waiting call must be held by more than the answer it waits for.
        setTimeout(collectGarbage, 100).unref();
        return fault;
      };
      const { id, transaction } = await settled();
      const warned = await until('the quorum is missed', async () => {
        const text = await readyText();
        return text.includes('1 of its 2 RPCs answer') && text;
      });
      expect(warned).toContain('none is settled or released');
      expect((await ready()).status).toBe(200);
      await until('the metric says so', async () => (await condition('quorum')) === 1);
      expect((await agent.pay(order(stack.chain))).status).toBe(201);
      // The other one's view is seen, and is no ground for anything.
      await until('it is seen', async () => {
        return (await stack.admin.payment(id)).seen?.transaction === transaction;
      });
      expect(await statusOf(id)).toBe('authorized');
      first.fault = undefined;
      await untilSettled(id);
      expect(await stack.admin.payment(id)).toMatchObject({ transaction });
      await until('nothing is missed', async () => !(await readyText()).includes('RPCs answer'));
      await until('the metric says so', async () => (await condition('quorum')) === 0);
    },
    90_000,
  );

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
    async (_which, liar) => {
      const { payment } = await agent.paid(order(stack.chain));
      const { wallet, nonce, payTo } = payment;
      liar().fault = forged([
        { topics: [TOPIC.used, word(wallet), nonce], data: '0x' },
        {
          topics: [TOPIC.transfer, word(wallet), word(payTo)],
          data: `0x${10_000n.toString(16).padStart(64, '0')}`,
        },
      ]);
      await stack.chain.mineBlocks(3);
      await foundOut();
      await until('the metric says so', async () => (await condition('contradiction')) === 1);
      expect((await agent.pay(order(stack.chain))).status).toBe(503);
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

  it('one that has another hash for the block read last, and for no other, stops the reading there', async () => {
    const readUpTo = async () => {
      const { rows } = await stack.db.query('SELECT block_number FROM chain_cursors');
      return BigInt(rows[0].block_number);
    };
    const head = BigInt((await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber')) ?? '0x0');
    const last = head - 2n;
    await until('all that is final is read', async () => (await readUpTo()) === last);
    let isBelow = false;
    first.fault = ({ method, params }, result) => {
      if (method !== 'eth_getBlockByNumber') return undefined;
      const block = result as Record<string, string>;
      // Only once it is not the final block any more, whose hash is compared for itself.
      if (BigInt(block.number ?? '0x0') > head) isBelow = true;
      if (!isBelow || params[0] !== `0x${last.toString(16)}`) return undefined;
      return { result: { ...block, hash: word('0xdead') } };
    };
    await stack.chain.mineBlocks(3);
    await foundOut();
    expect(await readyText()).toContain(`block ${last}, which was read before`);
    expect(await readUpTo()).toBe(last);
  });
});

/** Changes one member of the blocks that an RPC answers, the newest one aside. */
function blocksWith(change: (block: Record<string, string>) => object): Fault {
  return ({ method, params }, result) => {
    if (method !== 'eth_getBlockByNumber' || params[0] === 'latest') return undefined;
    const block = result as Record<string, string>;
    return { result: { ...block, ...change(block) } };
  };
}

function logsWith(answer: (logs: object[]) => unknown): Fault {
  return ({ method }, result) =>
    method === 'eth_getLogs' ? { result: answer(result as object[]) } : undefined;
}

/** The log of a transfer from a wallet, far above the head. */
const elsewhere = () => [
  {
    address: stack.chain.token.address,
    topics: [TOPIC.transfer, word(`0x${'11'.repeat(20)}`), word(`0x${'22'.repeat(20)}`)],
    data: word('0x01'),
    blockNumber: '0xfffffff',
    blockHash: word('0xaa'),
    transactionHash: word('0xbb'),
    transactionIndex: '0x0',
    logIndex: '0x0',
    removed: false,
  },
];

const later = (quantity: string | undefined, by: number) =>
  `0x${(BigInt(quantity ?? 0) + BigInt(by)).toString(16)}`;

/** Changes every word that is a balance of a wallet, in answers about tokens. */
const richer: Fault = ({ method }, result) => {
  if (method !== 'eth_call' || typeof result !== 'string') return undefined;
  const words = result.slice(2).match(/.{64}/g) ?? [];
  // 500,000 USDC and more, and no time, hash or code.
  const isBalance = (each: string) => /^0{50}/.test(each) && BigInt(`0x${each}`) > 10n ** 11n;
  if (!words.some(isBalance)) return undefined;
  const raised = words.map((each) =>
    isBalance(each) ? (BigInt(`0x${each}`) + 7n).toString(16).padStart(64, '0') : each,
  );
  return { result: `0x${raised.join('')}` };
};

describe('one member of the answers of one RPC', () => {
  const both: [string, () => RpcProxy][] = [
    ['first', () => first],
    ['second', () => other],
  ];

  it.each(both)('a final block’s time told late by the %s releases nothing', async (_, liar) => {
    const { payment } = await agent.paid(order(stack.chain));
    // By the database the payment is over. Its chain is not so far, whatever one of two says of it.
    liar().fault = (call, result) => {
      const isBlock = call.method === 'eth_getBlockByNumber';
      const block = result as Record<string, string>;
      const timestamp = later(block?.timestamp, VALIDITY_SECONDS + 30);
      return isBlock ? { result: { ...block, timestamp } } : undefined;
    };
    await shiftClock(stack.db, VALIDITY_SECONDS + 20);
    await stack.chain.mineBlocks(3);
    await foundOut();
    expect(await statusOf(payment.id)).toBe('authorized');
    // The chain's clock follows.
    await rpc(stack.chain.rpcUrl, 'evm_increaseTime', [VALIDITY_SECONDS + 20]);
  });

  it.each(both)('a balance told too high by the %s is not believed', async (_, liar) => {
    const balances = async () => {
      const { rows } = await stack.db.query(
        'SELECT sum(balance)::text AS sum FROM wallet_balances',
      );
      return BigInt(rows[0].sum);
    };
    const before = await balances();
    liar().fault = richer;
    await stack.chain.mineBlocks(3);
    await foundOut();
    expect(await balances()).toBeLessThanOrEqual(before);
  });

  it.each(both)('logs that the %s hides keep a payment open, and are missed', async (_, liar) => {
    liar().fault = ({ method }) => (method === 'eth_getLogs' ? { result: [] } : undefined);
    const { id, transaction } = await settled();
    await foundOut();
    expect(await statusOf(id)).toBe('authorized');
    liar().fault = undefined;
    await untilSettled(id);
    expect(await stack.admin.payment(id)).toMatchObject({ transaction });
  });

  it.each([
    ['a final block’s number', blocksWith(({ number }) => ({ number: later(number, 1) }))],
    [
      'a final block after the newest one',
      blocksWith(({ timestamp }) => ({ timestamp: later(timestamp, 1_000) })),
    ],
    ['a block without a hash', blocksWith(() => ({ hash: null }))],
    ['a list of logs that is none', logsWith(() => ({ logs: 1 }))],
    ['a log of a block that was not asked for', logsWith(elsewhere)],
    [
      'a block’s time that is ahead of the database',
      (({ method }, result) => {
        if (method !== 'eth_getBlockByNumber') return undefined;
        const block = result as Record<string, string>;
        return { result: { ...block, timestamp: later(block.timestamp, 3_600) } };
      }) satisfies Fault as Fault,
    ],
  ])('%s that cannot be is refused: nothing ends, and /readyz says so', async (_, fault) => {
    const { payment } = await agent.paid(order(stack.chain));
    other.fault = fault;
    await stack.chain.mineBlocks(3);
    await until('the quorum is missed', async () => {
      const { rows } = await stack.db.query('SELECT quorum FROM chain_states');
      return typeof rows[0]?.quorum === 'string';
    });
    expect(await statusOf(payment.id)).toBe('authorized');
  });
});

describe('an RPC', () => {
  const quorum = async () => {
    const { rows } = await stack.db.query<{ quorum: string | null }>(
      'SELECT quorum FROM chain_states',
    );
    return rows[0]?.quorum ?? '';
  };

  it('that does not have the block read last is behind: it is waited for, not mistrusted', async () => {
    await stack.chain.pauseMining();
    try {
      await readOn();
      const { rows } = await stack.db.query('SELECT block_number FROM chain_cursors');
      const missing = later('0x0', Number(rows[0].block_number));
      other.fault = ({ method, params }) =>
        method === 'eth_getBlockByNumber' && params[0] === missing ? { result: null } : undefined;
      await stack.chain.mineBlocks(1);
      await until('it is missed', async () => (await quorum()).includes('does not have block'));
      expect((await ready()).status).toBe(200);
    } finally {
      await stack.chain.resumeMining();
    }
  });

  it('that does not say whether nonces are spent keeps payments open, and is told', async () => {
    const { payment } = await agent.paid(order(stack.chain));
    other.fault = ({ method, params }) =>
      method === 'eth_call' && JSON.stringify(params).includes('e94a0102') ? 'error' : undefined;
    await stack.passTime(VALIDITY_SECONDS + 5);
    await stack.chain.mineBlocks(4);
    await until('it is told', async () => (await quorum()) !== '');
    expect(await statusOf(payment.id)).toBe('authorized');
    other.fault = undefined;
    await until('it is released', async () => (await statusOf(payment.id)) === 'released');
  });

  it('whose answer about many blocks is too long is asked about fewer', async () => {
    const { payment, header } = await agent.paid(order(stack.chain));
    await stack.chain.pauseMining();
    try {
      other.fault = ({ method, params }, result) => {
        if (method !== 'eth_getLogs') return undefined;
        const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }];
        return fromBlock === toBlock ? { result } : 'flood';
      };
      await submit(stack.chain, settleCall(header.value));
      await stack.chain.mineBlocks(6);
      await untilSettled(payment.id);
    } finally {
      await stack.chain.resumeMining();
    }
  });
});

describe('a release', () => {
  const isOver = async (id: string) => {
    const { validBefore } = await stack.admin.payment(id);
    const { rows } = await stack.db.query(
      `SELECT block_time::int AS chain, extract(epoch FROM clock_timestamp())::float8 AS database,
         $1::float8 AS end FROM chain_cursors`,
      [Date.parse(validBefore ?? '') / 1000],
    );
    return { byChain: rows[0].chain > rows[0].end, byDatabase: rows[0].database > rows[0].end };
  };

  /** Counts how often the RPCs are asked what became of a payment's nonce. */
  const lookedUp = ({ nonce }: { nonce: string }) => {
    const counted = { times: 0, heads: 0 };
    const count: Fault = ({ method, params }) => {
      if (method === 'eth_getBlockByNumber' && params[0] === 'latest') counted.heads += 1;
      const isIts = method === 'eth_call' && JSON.stringify(params).includes(nonce.slice(2));
      if (isIts) counted.times += 1;
      return undefined;
    };
    first.fault = count;
    other.fault = count;
    return counted;
  };

  it('waits for the chain when the database’s clock is past a payment’s end', async () => {
    const { payment } = await agent.paid(order(stack.chain));
    const looked = lookedUp(payment);
    await shiftClock(stack.db, VALIDITY_SECONDS + 5);
    await readOn();
    await readOn();
    expect(await isOver(payment.id)).toEqual({ byChain: false, byDatabase: true });
    expect(await statusOf(payment.id)).toBe('authorized');
    expect(looked.times).toBe(0);
    await rpc(stack.chain.rpcUrl, 'evm_increaseTime', [VALIDITY_SECONDS + 5]);
    await stack.chain.mineBlocks(4);
    await until('it is released', async () => (await statusOf(payment.id)) === 'released');
  });

  it('waits for the database’s clock when the chain is past a payment’s end, and needs no new block', async () => {
    const { payment } = await agent.paid(order(stack.chain));
    const looked = lookedUp(payment);
    await rpc(stack.chain.rpcUrl, 'evm_increaseTime', [VALIDITY_SECONDS + 5]);
    await readOn();
    await stack.chain.mineBlocks(4);
    await until('the chain is past it', async () => (await isOver(payment.id)).byChain);
    await readOn();
    expect(await isOver(payment.id)).toEqual({ byChain: true, byDatabase: false });
    expect(await statusOf(payment.id)).toBe('authorized');
    expect(looked.times).toBe(0);
    await stack.chain.pauseMining();
    try {
      await until('everything final is read', async () => {
        const head = BigInt((await rpc(stack.chain.rpcUrl, 'eth_blockNumber', [])) as string);
        const { rows } = await stack.db.query('SELECT block_number FROM chain_cursors');
        return BigInt(rows[0].block_number) === head - 2n;
      });
      // The reading that moved the cursor may still look for what is due. Each look asks both RPCs for their heads.
      const heads = looked.heads;
      await until('that reading is over', () => looked.heads >= heads + 4);
      await shiftClock(stack.db, VALIDITY_SECONDS + 5);
      await until('it is released', async () => (await statusOf(payment.id)) === 'released');
    } finally {
      await stack.chain.resumeMining();
    }
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
    await stack.passTime(VALIDITY_SECONDS + 5);
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
  await stack.passTime(VALIDITY_SECONDS + 5);
  await stack.chain.mineBlocks(4);
  await until('nothing is open', async () => {
    const { rows } = await stack.db.query(`SELECT 1 FROM payments WHERE status = 'authorized'`);
    return rows.length === 0;
  });
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
});
