import { setTimeout as delay } from 'node:timers/promises';
import { drained } from '../check.js';
import { type Fault, inTime, type Scene, since } from '../fault.js';
import type { Random } from '../random.js';
import { rpc } from '../rpc.js';
import type { Fault as RpcFault } from '../rpc-proxy.js';
import { FINALITY_BLOCKS, type Stack } from '../stack.js';
import { allReady } from '../supervised.js';

const RECOVERED_SECONDS = 60;
const PATIENCE_MS = 150_000;
const SHORT_MS = 1_500;
const STAYS_MS = 1_000;

/** How far an RPC lags that lags, in blocks. */
const LAG_BLOCKS = 20n;

const WAYS = ['member', 'forged', 'reorg', 'time-outs', 'errors', 'garbage', 'lag'] as const;

/** The chain's RPCs misbehave, one or both of them; or the chain itself does. */
export const rpcFaults: Fault = {
  name: 'rpc',
  what: 'RPC time-outs, errors, garbage, lag, of one or both; forged settlements and single changed members, of one; reorgs',
  pass: '0 wrong terminal states; read on 60 s after it is over',
  runs: 100,
  shortRuns: 3,
  async inject({ stack, random, run, isShort }: Scene) {
    const way = WAYS[run % WAYS.length] ?? 'errors';
    if (way === 'reorg') {
      const depth = 1 + random.below(FINALITY_BLOCKS - 1);
      await rpc(stack.chain.rpcUrl, 'anvil_reorg', [depth, []]);
      // anvil puts its clock back to the fork for good. After ten of these the chain would be many seconds
      // behind, and every payment as late as that.
      await rpc(stack.chain.rpcUrl, 'evm_setTime', [Math.floor(Date.now() / 1_000)]);
    } else {
      const [first, second] = stack.rpcs;
      // A lie that both tell is the truth to whoever has but these two.
      const isLie = way === 'forged' || way === 'member';
      const sets = isLie ? [[first], [second]] : [[first], [second], [first, second]];
      const liars = random.pick(sets);
      // Not every call: what fails half way is harder than what fails at once.
      const share = random.pick([0.3, 1]);
      const fault = faultOf(way, stack, random);
      for (const liar of liars) {
        liar.fault = (call, result) => (random.chance(share) ? fault(call, result) : undefined);
      }
      await delay(isShort ? SHORT_MS : random.between(1_500, 8_000));
      for (const liar of liars) liar.fault = undefined;
    }
    const over = performance.now();
    await allReady(stack.processes, PATIENCE_MS);
    const recoverySeconds = since(over) + (await drained(stack, STAYS_MS, PATIENCE_MS));
    return {
      kind: way,
      recoverySeconds,
      failures: inTime('reading on', recoverySeconds, RECOVERED_SECONDS),
    };
  },
};

function faultOf(way: (typeof WAYS)[number], stack: Stack, random: Random): RpcFault {
  switch (way) {
    case 'time-outs':
      return () => 'hang';
    case 'garbage':
      return () => 'garbage';
    case 'lag':
      return async ({ method, params }) => {
        if (method !== 'eth_getBlockByNumber' || params[0] !== 'latest') return undefined;
        const head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
        const older = head > LAG_BLOCKS ? head - LAG_BLOCKS : 0n;
        const block = [`0x${older.toString(16)}`, false];
        return { result: await rpc(stack.chain.rpcUrl, 'eth_getBlockByNumber', block) };
      };
    case 'member':
      return (call, result) => (READS.has(call.method) ? changed(result, random) : undefined);
    case 'forged':
      return forged(stack);
    default:
      return () => 'error';
  }
}

/** The calls that readings are made of. */
const READS = new Set(['eth_getBlockByNumber', 'eth_getLogs', 'eth_call']);

/** An answer with one member changed: a digit of a number, a hash or encoded words, or a flag. */
function changed(result: unknown, random: Random): { result: unknown } | undefined {
  const copy = { result: structuredClone(result) };
  const places: [Record<string, unknown>, string][] = [];
  const visit = (holder: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(holder)) {
      if (typeof value === 'boolean' || /^0x[0-9a-f]+$/i.test(String(value))) {
        places.push([holder, name]);
      } else if (typeof value === 'object' && value !== null) {
        visit(value as Record<string, unknown>);
      }
    }
  };
  visit(copy);
  if (places.length === 0) return undefined;
  const [holder, name] = random.pick(places);
  const value = holder[name];
  if (typeof value === 'string') {
    const place = 2 + random.below(value.length - 2);
    const digit = ((Number.parseInt(value[place] ?? '0', 16) + 1 + random.below(15)) % 16).toString(
      16,
    );
    holder[name] = value.slice(0, place) + digit + value.slice(place + 1);
  } else {
    holder[name] = value !== true;
  }
  return copy;
}

const USED = '0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5';
const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

/** Logs that never were: an open payment, settled to the cent. */
function forged({ db, chain }: Stack): RpcFault {
  const word = (hex: string) => `0x${hex.slice(2).toLowerCase().padStart(64, '0')}`;
  return async ({ method, params }, result) => {
    if (method !== 'eth_getLogs') return undefined;
    const { rows } = await db.query<{
      payer: string;
      pay_to: string;
      nonce: string;
      amount: string;
    }>(
      `SELECT payer, pay_to, nonce, amount::text FROM payments WHERE status = 'authorized' LIMIT 1`,
    );
    const [open] = rows;
    if (!open) return undefined;
    const [filter] = params as [{ toBlock: string }];
    const amount = `0x${BigInt(open.amount).toString(16).padStart(64, '0')}`;
    const logs = [
      { topics: [USED, word(open.payer), open.nonce], data: '0x' },
      { topics: [TRANSFER, word(open.payer), word(open.pay_to)], data: amount },
    ].map((log, place) => ({
      ...log,
      address: chain.token.address,
      blockNumber: filter.toBlock,
      blockHash: word('0xaa'),
      transactionHash: word('0xbb'),
      transactionIndex: '0x0',
      logIndex: `0x${place}`,
      removed: false,
    }));
    return { result: [...(result as unknown[]), ...logs] };
  };
}
