import { request as forward } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createWalletClient, http, parseAbi, publicActions } from 'viem';
import { baseSepolia } from 'viem/chains';
import { type HttpService, serve } from '../sandbox/ports.js';
import { ledgerOrder } from './comparing.js';
import { type Helper, type Lab, startHelper, type World } from './lab.js';
import { openPaying } from './payments.js';
import type { LedgerOrder } from './protocol.js';
import type { Sample } from './sample.js';
import type { ServiceProcess } from './service.js';

/** How long a worker may take for all of it, in milliseconds. */
const TIMEOUT_MS = 120_000;

/** How many more payments are only made, so that several transactions' worth of events is to be sealed. */
const EVENTS_PER_SETTLED = 5;

const TOKEN_ABI = parseAbi([
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
]);

/** Time that the work behind the payments takes. */
export interface Settling {
  /** Events of payments that were waiting when the worker started. */
  readonly sealedEvents: number;
  readonly eventsPerSecond: number;
  /** Payments that were settled on chain when the worker started. */
  readonly settledPayments: number;
  /** From the worker's first question about the chain to the last payment's end. */
  readonly paymentsPerSecond: number;
  readonly rpcCallsPer1000Payments: number;
  readonly rpcCalls: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

/** Measures sealing and settlement: what waits for a worker that was away, once it is back. */
export async function measureSettling(
  lab: Lab,
  payments: number,
  progress: (what: string) => void,
): Promise<Settling> {
  const paying = await openPaying(lab, 'hot-root', 'api');
  const { world } = paying;
  const counter = await countRpcCalls(lab.chain.rpcUrl);
  try {
    await paying.worker?.stop();
    const kept: string[] = [];
    const ledgers: Helper<LedgerOrder, Sample> = startHelper('ledgers', world.environment);
    try {
      for (let events = 0; events < payments * EVENTS_PER_SETTLED; ) {
        const { count: wrote } = await ledgers.run(
          ledgerOrder(lab.chain, paying, 'group commit', 1),
        );
        paying.wrote(wrote);
        events += wrote;
      }
    } finally {
      await ledgers.stop();
    }
    while (kept.length < payments) {
      const keep = payments - kept.length;
      const load = await paying.load({ clients: 50, warmUpSeconds: 0, seconds: 2, keep });
      if (load.errors.length > 0) throw new Error(`payments were refused: ${load.errors[0]?.what}`);
      kept.push(...load.kept);
    }
    progress('sealing');
    const sealed = await sealing(world);
    progress(`settling ${kept.length} payments on chain`);
    await settleOnChain(lab, kept);
    progress('reconciling');
    const from = await world.db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    const worker = await world.start('worker', withRpc(world, counter.url));
    await until(
      'all payments are settled',
      world,
      worker,
      async () => (await count(world, `status = 'settled'`)) >= kept.length,
    );
    const { rows } = await world.db.query<{ last: Date }>(
      `SELECT max(ended_at) AS last FROM payments WHERE status = 'settled'`,
    );
    await worker.stop();
    const asked = counter.firstAt ?? from.rows[0]?.now.getTime() ?? 0;
    const calls = Object.values(counter.calls).reduce((sum, each) => sum + each, 0);
    return {
      ...sealed,
      settledPayments: kept.length,
      paymentsPerSecond: (kept.length * 1_000) / ((rows[0]?.last.getTime() ?? 0) - asked),
      rpcCallsPer1000Payments: (calls * 1_000) / kept.length,
      rpcCalls: counter.calls,
      violations: await paying.violations(),
    };
  } finally {
    await counter.stop();
    await paying.stop();
  }
}

/** Starts a worker on a log that is behind, and times it from its first sealed event to its last. */
async function sealing(world: World): Promise<Pick<Settling, 'sealedEvents' | 'eventsPerSecond'>> {
  const unsealed = async () => {
    const { rows } = await world.db.query<{ count: string }>(
      'SELECT count(*) FROM unsealed_events',
    );
    return Number(rows[0]?.count);
  };
  const behind = await unsealed();
  let first: { at: number; left: number } | undefined;
  const worker = await world.start('worker');
  await until('all events are sealed', world, worker, async () => {
    const left = await unsealed();
    if (left < behind) first ??= { at: performance.now(), left };
    return left === 0;
  });
  const at = performance.now();
  await worker.stop();
  if (!first || first.left === 0) return { sealedEvents: behind, eventsPerSecond: Number.NaN };
  return { sealedEvents: behind, eventsPerSecond: (first.left * 1_000) / (at - first.at) };
}

/** Sends what the agents were given to the token, as facilitators would, and makes it final. */
async function settleOnChain({ chain }: Lab, answers: readonly string[]): Promise<void> {
  const [account] = chain.accounts;
  if (!account) throw new Error('the chain has no accounts');
  // anvil signs for its own accounts.
  const client = createWalletClient({
    chain: baseSepolia,
    transport: http(chain.rpcUrl),
  }).extend(publicActions);
  const number = await client.getTransactionCount({ address: account.address });
  const send = (answer: string, index: number) => {
    const { header } = JSON.parse(answer) as { header: { value: string } };
    const { payload } = JSON.parse(Buffer.from(header.value, 'base64').toString('utf8')) as {
      payload: {
        signature: `0x${string}`;
        authorization: {
          from: `0x${string}`;
          to: `0x${string}`;
          value: string;
          validAfter: string;
          validBefore: string;
          nonce: `0x${string}`;
        };
      };
    };
    const { from, to, value, validAfter, validBefore, nonce } = payload.authorization;
    return client.writeContract({
      account: account.address,
      address: chain.token.address,
      abi: TOKEN_ABI,
      functionName: 'transferWithAuthorization',
      args: [
        from,
        to,
        BigInt(value),
        BigInt(validAfter),
        BigInt(validBefore),
        nonce,
        payload.signature,
      ],
      gas: 150_000n,
      nonce: number + index,
    });
  };
  for (let at = 0; at < answers.length; at += 100) {
    const hashes: `0x${string}`[] = [];
    // One after the other: anvil loses transactions of one account that overtake one another.
    for (const answer of answers.slice(at, at + 100)) {
      hashes.push(await send(answer, at + hashes.length));
    }
    await chain.mineBlocks(1);
    const receipts = await Promise.all(
      hashes.map((hash) => client.waitForTransactionReceipt({ hash, timeout: 20_000 })),
    );
    const failed = receipts.find(({ status }) => status !== 'success');
    if (failed) throw new Error(`the token refused the transfer in ${failed.transactionHash}`);
  }
  await chain.mineBlocks(4);
}

interface Counter extends HttpService {
  readonly calls: Record<string, number>;
  /** When the first call came, in milliseconds of the epoch. */
  readonly firstAt: number | undefined;
}

/** A way to the chain that counts what is asked, by method. */
async function countRpcCalls(rpcUrl: string): Promise<Counter> {
  const calls: Record<string, number> = {};
  let firstAt: number | undefined;
  const server = await serve((incoming, answer) => {
    firstAt ??= Date.now();
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const asked = [JSON.parse(body.toString('utf8'))].flat() as { method: string }[];
      for (const { method } of asked) calls[method] = (calls[method] ?? 0) + 1;
      const onward = forward(
        rpcUrl,
        { method: 'POST', headers: { 'content-type': 'application/json' } },
        (reply) => {
          answer.writeHead(reply.statusCode ?? 502, { 'content-type': 'application/json' });
          reply.pipe(answer);
        },
      );
      onward.on('error', () => answer.destroy());
      onward.end(body);
    });
  });
  return {
    ...server,
    calls,
    get firstAt() {
      return firstAt;
    },
  };
}

function withRpc(world: World, rpcUrl: string): Record<string, string> {
  const networks = JSON.parse(world.environment.BURSAR_NETWORKS ?? '[]') as object[];
  return {
    BURSAR_NETWORKS: JSON.stringify(networks.map((each) => ({ ...each, rpcUrls: [rpcUrl] }))),
  };
}

async function count(world: World, where: string): Promise<number> {
  const { rows } = await world.db.query<{ count: string }>(
    `SELECT count(*) FROM payments WHERE ${where}`,
  );
  return Number(rows[0]?.count);
}

async function until(
  what: string,
  world: World,
  worker: ServiceProcess,
  condition: () => Promise<boolean>,
): Promise<void> {
  const giveUpAt = performance.now() + TIMEOUT_MS;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) {
      const { rows } = await world.db.query(
        'SELECT status, count(*) FROM payments GROUP BY status ORDER BY status',
      );
      throw new Error(
        `waited ${TIMEOUT_MS} ms in vain until ${what}; ${JSON.stringify(rows)}; the worker's log ends:\n${await worker.lastWords()}`,
      );
    }
    await delay(10);
  }
}
