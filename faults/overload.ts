import { setTimeout as delay } from 'node:timers/promises';
import { startHelper } from '../bench/lab.js';
import { residentMiB } from '../bench/processes.js';
import type { LoadOrder, LoadResult } from '../bench/protocol.js';
import type { Agents, Payer } from './agents.js';
import { since } from './fault.js';
import { madeUpOrder, type Stack } from './stack.js';

/** How much more is asked for than can be done. */
const TIMES = 3;
/** Grants that pay. */
const PAYERS = 50;
const CLIENTS = 50;
const WARM_UP_SECONDS = 1;
/** Connections of the flood: more than the service lets wait. */
const FLOOD_CLIENTS = 6_000;
/** A refusal "at once", in milliseconds: a slow one costs the caller as much as an answer. */
const REFUSED_WITHIN_MS = 1_000;
const RECOVERED_SECONDS = 30;
/** How much more memory a process may have meanwhile, in MiB: what waits is bounded, and so is this. */
const MEMORY_MIB = 256;
/** Latency is normal again below so many times what it was. */
const NORMAL_TIMES = 2;

/** What three times the load did. */
export interface Overload {
  /** Payments a second that it can carry, by 50 clients that wait for their answers. */
  readonly capacityPerSecond: number;
  readonly askedPerSecond: number;
  readonly seconds: number;
  readonly paidPerSecond: number;
  /** By status and code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly refusedP99Ms: number;
  readonly paidP99Ms: number;
  /** p99 at half of what it can carry: before, and once it is normal again. */
  readonly normalP99Ms: number;
  readonly againP99Ms: number;
  readonly recoverySeconds: number;
  /** Of the bigger API: before, the most meanwhile, and after, in MiB. */
  readonly memoryMiB: { readonly before: number; readonly most: number; readonly after: number };
  readonly failures: readonly string[];
}

/** Asks for three times what the service can carry, and then for what it can again. */
export async function overload(
  stack: Stack,
  agents: Agents,
  seconds: number,
  progress: (what: string) => void,
): Promise<Overload> {
  await agents.pause();
  const client = startHelper<LoadOrder, LoadResult>('load');
  try {
    const body = madeUpOrder(stack);
    const payers: Payer[] = [];
    for (let n = 0; n < PAYERS; n += 1) payers.push(await agents.newPayer());
    const run = (order: Pick<LoadOrder, 'clients' | 'seconds' | 'keep'> & { perSecond?: number }) =>
      client.run({
        urls: stack.apis.map(({ url }) => url),
        requests: payers.map(({ token }) => ({ token, body })),
        warmUpSeconds: WARM_UP_SECONDS,
        ...order,
      });
    const memory = async (): Promise<number> => {
      const all = await Promise.all(stack.apis.map(({ pid }) => residentMiB(pid)));
      return Math.max(...all.map((each) => each ?? 0));
    };

    const { perSecond: capacity } = await run({ clients: CLIENTS, seconds: 5, keep: 0 });
    const normally = { clients: CLIENTS, seconds: 3, keep: 0, perSecond: capacity / 2 };
    const normal = await run(normally);
    const before = await memory();
    progress(`overload: ${capacity.toFixed(0)}/s can be carried; asking for ${TIMES} times that`);
    let most = before;
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        most = Math.max(most, await memory());
        await delay(250);
      }
    })();
    const asked = capacity * TIMES;
    const flood = await run({ clients: FLOOD_CLIENTS, seconds, keep: 500, perSecond: asked });
    const over = performance.now();
    isOver = true;
    await watching;
    for (const answer of flood.kept) stack.account.receivedOnce(JSON.parse(answer));

    let again = await run(normally);
    while (again.p99Ms > normal.p99Ms * NORMAL_TIMES && since(over) < RECOVERED_SECONDS * 2) {
      again = await run(normally);
    }
    const recoverySeconds = since(over);
    const refused: Record<string, number> = {};
    let answers = flood.paid;
    for (const { what, count } of flood.errors) {
      const name = `${what.slice(0, 3)} ${/"code":"([a-z_]+)"/.exec(what)?.[1] ?? ''}`.trim();
      refused[name] = (refused[name] ?? 0) + count;
      answers += count;
    }
    const strange = Object.keys(refused).filter((name) => !/^(429|503) /.test(name));
    const after = await memory();
    return {
      capacityPerSecond: capacity,
      // What the clients came to, on the same machine.
      askedPerSecond: answers / (seconds + WARM_UP_SECONDS),
      seconds,
      paidPerSecond: flood.perSecond,
      refused,
      refusedP99Ms: flood.refusedP99Ms,
      paidP99Ms: flood.p99Ms,
      normalP99Ms: normal.p99Ms,
      againP99Ms: again.p99Ms,
      recoverySeconds,
      memoryMiB: { before, most, after },
      failures: [
        ...strange.map((name) => `refused with ${name}`),
        ...(Object.keys(refused).length === 0 ? ['nothing was refused: it was no overload'] : []),
        ...(flood.refusedP99Ms > REFUSED_WITHIN_MS
          ? [`refusals took ${flood.refusedP99Ms.toFixed(0)} ms at p99, over ${REFUSED_WITHIN_MS}`]
          : []),
        ...(most - before > MEMORY_MIB
          ? [`memory rose by ${(most - before).toFixed(0)} MiB, over ${MEMORY_MIB}`]
          : []),
        ...(recoverySeconds > RECOVERED_SECONDS
          ? [`latency was normal after ${recoverySeconds.toFixed(0)} s, over ${RECOVERED_SECONDS}`]
          : []),
      ],
    };
  } finally {
    await client.stop();
    agents.resume();
  }
}
