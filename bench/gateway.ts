import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { closeAll } from '../src/close-all.js';
import { CLIENTS, type Comparison, type Turns, takeTurns } from './comparing.js';
import { type Helper, type Lab, startHelper, type World } from './lab.js';
import { cpuBetween, cpuOf, postgresPids } from './processes.js';
import type { GatewayOrder, SellerOrder } from './protocol.js';
import type { Sample } from './sample.js';

const PAY_TO = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

/** Measures selling: the gateway beside the published middleware, before one API and with one facilitator. */
export interface GatewayPart {
  /** Paid requests of 50 clients. */
  readonly paid: Comparison;
  /** Free requests of 50 clients; the API itself is asked too. */
  readonly free: Comparison;
  /** One client alone: p50 in milliseconds, by what is asked. */
  readonly aloneMs: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

type Server = Helper<SellerOrder, { url: string }>;

/** Something that is asked: where, paid or not, and whose processes answer. */
interface Asked {
  readonly url: string;
  readonly isPaid: boolean;
  readonly pids: () => Promise<readonly number[]>;
}

/** Measures it. The facilitator takes every payment at once, so that the sellers' own work is what differs. */
export async function measureGateway(
  lab: Lab,
  turns: Turns,
  progress: (what: string) => void,
): Promise<GatewayPart> {
  const opened: (() => Promise<unknown>)[] = [];
  const server = (): Server => {
    const started: Server = startHelper('gateway-server');
    opened.push(() => started.stop());
    return started;
  };
  try {
    const world = await lab.world();
    opened.push(() => world.stop());
    const { network } = lab.chain;
    const [upstream, facilitator, middleware, gateway] = [server(), server(), server(), server()];
    const { url: upstreamUrl } = await upstream.run({ kind: 'upstream' });
    const { url: facilitatorUrl } = await facilitator.run({ kind: 'facilitator', network });
    const sold = { network, payTo: PAY_TO, facilitatorUrl, upstreamUrl };
    const { url: expressUrl } = await middleware.run({ kind: 'express', ...sold });
    const file = await writeFiles(world, sold);
    const { environment } = world;
    const { url: gatewayUrl } = await gateway.run({ kind: 'gateway', file, environment });
    const client: Helper<GatewayOrder, Sample> = startHelper('gateway-client');
    opened.push(() => client.stop());
    const ofGateway = async () => [gateway.pid, ...(await postgresPids(world.db))];
    const ofExpress = async () => [middleware.pid];
    const asked = (isPaid: boolean): Readonly<Record<string, Asked>> => {
      const path = isPaid ? '/data/7' : '/free';
      return {
        gateway: { url: gatewayUrl + path, isPaid, pids: ofGateway },
        '@x402/express': { url: expressUrl + path, isPaid, pids: ofExpress },
        ...(isPaid
          ? {}
          : {
              'the API itself': {
                url: upstreamUrl + path,
                isPaid,
                pids: async () => [upstream.pid],
              },
            }),
      };
    };
    let bought = 0;
    const ask = async ({ url, isPaid, pids }: Asked, clients: number, seconds: number) => {
      const before = await cpuOf(await pids());
      const found = await client.run({ url, isPaid, clients, seconds });
      const cpu = cpuBetween(before, await cpuOf(await pids()));
      if (isPaid && url.startsWith(gatewayUrl)) bought += found.count;
      return { ...found, cpuMs: (cpu * 1_000) / found.count };
    };
    const compare = (isPaid: boolean) =>
      takeTurns(
        turns,
        Object.fromEntries(
          Object.entries(asked(isPaid)).map(([name, each]) => [
            name,
            () => ask(each, CLIENTS, turns.seconds),
          ]),
        ),
        [],
        progress,
      );
    const paid = await compare(true);
    const free = await compare(false);
    const aloneMs: Record<string, number> = {};
    for (const isPaid of [true, false]) {
      for (const [name, each] of Object.entries(asked(isPaid))) {
        const { p50Ms } = await ask(each, 1, turns.seconds);
        aloneMs[`${name}, ${isPaid ? 'paid' : 'free'}`] = p50Ms;
      }
    }
    return { paid, free, aloneMs, violations: await wrongSales(world, bought) };
  } finally {
    await closeAll(opened);
  }
}

/** Every paid answer is one settled sale, and there is no other. */
async function wrongSales({ db }: World, bought: number): Promise<string[]> {
  const { rows } = await db.query<{ settled: string; other: string }>(
    `SELECT count(*) FILTER (WHERE charge = 'settled' AND call = 'answered') AS settled,
       count(*) FILTER (WHERE charge <> 'settled' OR call <> 'answered') AS other FROM gateway_sales`,
  );
  const [{ settled = '', other = '' } = {}] = rows;
  return Number(settled) === bought && other === '0'
    ? []
    : [`${bought} paid answers are ${settled} settled sales and ${other} others`];
}

async function writeFiles(
  { environment }: World,
  { network, payTo, facilitatorUrl, upstreamUrl }: Omit<SellerOrder & { kind: 'express' }, 'kind'>,
): Promise<string> {
  const directory = environment.BURSAR_DATA_DIR ?? '';
  await mkdir(directory, { recursive: true });
  const get = (operationId: string) => ({
    get: { operationId, responses: { 200: { description: 'ok' } } },
  });
  const document = {
    openapi: '3.1.0',
    info: { title: 'Data', version: '1' },
    paths: { '/data/{page}': get('getPage'), '/free': get('getFree') },
  };
  await writeFile(join(directory, 'openapi.json'), JSON.stringify(document));
  const path = join(directory, 'gateway.yaml');
  const file = {
    openapi: './openapi.json',
    upstream: upstreamUrl,
    network,
    payTo,
    facilitator: facilitatorUrl,
    price: '0.01',
    operations: { getFree: { free: true } },
    concurrencyPerPayer: 1_000,
    port: 0,
  };
  await writeFile(path, JSON.stringify(file));
  return path;
}
