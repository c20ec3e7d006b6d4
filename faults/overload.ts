import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { startHelper } from '../bench/lab.js';
import { residentMiB } from '../bench/processes.js';
import type { LoadOrder, LoadResult } from '../bench/protocol.js';
import { quantile } from '../bench/sample.js';
import type { Agents, Payer } from './agents.js';
import { ask, keptConnections, type Outcome } from './client.js';
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
/** How long a payment that was let in may take (p99), in milliseconds. */
const PAID_WITHIN_MS = 1_000;
/** How long a refusal may take (p99), in milliseconds: a slow one costs the caller as much as an answer. */
const REFUSED_WITHIN_MS = 100;
/** The least that is paid meanwhile, as a part of what can be carried. */
const THROUGHPUT = 0.8;
/** How often each of the modest callers asks, in milliseconds. */
const MODEST_EVERY_MS = 250;
/** The part of its requests that a modest caller gets answered, at the least. */
const MODEST_ANSWERED = 0.99;
/** How old the oldest event may be that is not sealed yet, in seconds. */
const UNSEALED_SECONDS = 15;
const RECOVERED_SECONDS = 30;
/** How much more memory a process may have meanwhile, in MiB: what waits is bounded, and so is this. */
const MEMORY_MIB = 256;
/** Latency is normal again below so many times what it was. */
const NORMAL_TIMES = 2;

/** The outcomes of callers that ask seldom, beside the flood. */
export interface Modest {
  readonly requests: number;
  readonly answered: number;
  readonly p99Ms: number;
}

/** Effects of three times the load. */
export interface Overload {
  /** APIs that were asked. */
  readonly processes: 1 | 2;
  /** Payments a second that it can carry, by 50 clients that wait for their answers. */
  readonly capacityPerSecond: number;
  readonly askedPerSecond: number;
  readonly seconds: number;
  readonly paidPerSecond: number;
  /** A child of one of the grants that flood, with new payments; and the same one again, a key it paid before. */
  readonly sibling: Modest;
  readonly replays: Modest;
  /** The oldest event that was not sealed, at the worst moment, in seconds; and events sealed a second. */
  readonly unsealedSeconds: number;
  readonly sealedPerSecond: number;
  /** CPU of the clients during the flood, in cores: this machine's, and so not the service's. */
  readonly clientCores: number;
  /** By status and code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly refusedP99Ms: number;
  readonly paidP99Ms: number;
  /** p99 at half of what it can carry: before, and once it is normal again. */
  readonly normalP99Ms: number;
  readonly againP99Ms: number;
  readonly recoverySeconds: number;
  /** Memory of the bigger API: before, the most meanwhile, and after, in MiB. */
  readonly memoryMiB: { readonly before: number; readonly most: number; readonly after: number };
  readonly failures: readonly string[];
}

/** Asks for three times what the service can carry, and then for what it can again. */
export async function overload(
  stack: Stack,
  agents: Agents,
  seconds: number,
  processes: 1 | 2,
  progress: (what: string) => void,
): Promise<Overload> {
  const apis = stack.apis.slice(0, processes);
  await agents.pause();
  const client = startHelper<LoadOrder, LoadResult>('load');
  try {
    const body = madeUpOrder(stack);
    const payers: Payer[] = [];
    for (let n = 0; n < PAYERS; n += 1) payers.push(await agents.newPayer());
    const run = (order: Pick<LoadOrder, 'clients' | 'seconds' | 'keep'> & { perSecond?: number }) =>
      client.run({
        urls: apis.map(({ url }) => url),
        requests: payers.map(({ token }) => ({ token, body })),
        warmUpSeconds: WARM_UP_SECONDS,
        ...order,
      });
    const memory = async (): Promise<number> => {
      const all = await Promise.all(apis.map(({ pid }) => residentMiB(pid)));
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
    const modestly = async (every: () => Promise<Outcome>): Promise<Modest> => {
      const took: number[] = [];
      let requests = 0;
      while (!isOver) {
        await delay(MODEST_EVERY_MS);
        requests += 1;
        const began = performance.now();
        const outcome = await every();
        if (outcome.kind === 'answer' && outcome.status === 201) {
          took.push(performance.now() - began);
        }
      }
      return { requests, answered: took.length, p99Ms: quantile(took, 0.99) };
    };
    const modest = await agents.newPayer();
    const connections = keptConnections();
    let turn = 0;
    const pay = (key: string): Promise<Outcome> =>
      ask(`${apis[turn++ % apis.length]?.url}/v1/payments`, {
        token: modest.token,
        body,
        key,
        connections,
      });
    const known = randomUUID();
    for (const _ of apis) await pay(known);
    const sealed = await sealing(stack);
    let unsealedSeconds = 0;
    const sealingWatched = (async () => {
      while (!isOver) {
        unsealedSeconds = Math.max(unsealedSeconds, (await sealing(stack)).unsealedSeconds);
        await delay(1_000);
      }
    })();
    const asked = capacity * TIMES;
    const flooding = run({ clients: FLOOD_CLIENTS, seconds, keep: 500, perSecond: asked });
    const siblings = modestly(() => pay(randomUUID()));
    const replaying = modestly(() => pay(known));
    const flood = await flooding;
    const over = performance.now();
    isOver = true;
    await watching;
    await sealingWatched;
    const sealedPerSecond =
      ((await sealing(stack)).sealed - sealed.sealed) / (seconds + WARM_UP_SECONDS);
    const [sibling, replays] = await Promise.all([siblings, replaying]);
    connections.destroy();
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
    const slow = (name: string, { requests, answered, p99Ms }: Modest): string[] => [
      ...(answered < requests * MODEST_ANSWERED
        ? [`${name}: ${answered} of ${requests} were answered, under ${MODEST_ANSWERED * 100} %`]
        : []),
      ...(p99Ms > PAID_WITHIN_MS
        ? [`${name} waited ${p99Ms.toFixed(0)} ms (p99), over ${PAID_WITHIN_MS}`]
        : []),
    ];
    return {
      processes,
      sibling,
      replays,
      unsealedSeconds,
      sealedPerSecond,
      clientCores: flood.cpuSeconds / (seconds + WARM_UP_SECONDS),
      capacityPerSecond: capacity,
      // Throughput of the clients on the same machine.
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
        ...(flood.p99Ms > PAID_WITHIN_MS
          ? [`payments took ${flood.p99Ms.toFixed(0)} ms at p99, over ${PAID_WITHIN_MS}`]
          : []),
        ...(flood.perSecond < capacity * THROUGHPUT
          ? [
              `${flood.perSecond.toFixed(0)} were paid a second, under ${THROUGHPUT * 100} % of ${capacity.toFixed(0)}`,
            ]
          : []),
        ...slow('a modest grant beside the flood', sibling),
        ...slow('replays beside the flood', replays),
        ...(unsealedSeconds > UNSEALED_SECONDS
          ? [`events waited ${unsealedSeconds.toFixed(0)} s to be sealed, over ${UNSEALED_SECONDS}`]
          : []),
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

/** How far the log is. */
async function sealing({ db }: Stack): Promise<{ sealed: number; unsealedSeconds: number }> {
  const { rows } = await db.query<{ sealed: number; age: number }>(
    `SELECT (SELECT coalesce(sum(size), 0)::int FROM (
         SELECT DISTINCT ON (treasury_id) size FROM log_checkpoints ORDER BY treasury_id, size DESC) c) AS sealed,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float
         FROM unsealed_events JOIN events USING (treasury_id, seq)) AS age`,
  );
  return { sealed: rows[0]?.sealed ?? 0, unsealedSeconds: rows[0]?.age ?? 0 };
}
