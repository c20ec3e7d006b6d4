import { setTimeout as delay } from 'node:timers/promises';
import { violations } from './checks.js';
import { mintShape, type PayingGrant, type Shape } from './grants.js';
import { type Helper, type Lab, startHelper, type World } from './lab.js';
import { busySeconds, cpuBetween, cpuOf, postgresPids, residentMiB } from './processes.js';
import type { LoadOrder, LoadResult } from './protocol.js';
import type { ServiceProcess } from './service.js';

/** How the API can be run while it is measured. */
export const TOPOLOGIES = ['api', 'all', 'api x2'] as const;

/** One of {@link TOPOLOGIES}. */
export type Topology = (typeof TOPOLOGIES)[number];

/** The service on a database of its own, with a shape's grants, ready to be paid from. */
export interface Paying {
  readonly world: World;
  /** Those that answer. */
  readonly apis: readonly ServiceProcess[];
  readonly worker: ServiceProcess | undefined;
  /** The grants that pay. */
  readonly grants: readonly PayingGrant[];
  /** Resident memory of the first API before its first payment, in MiB. */
  readonly idleMiB: number | undefined;
  /** Runs the clients once, and counts what was answered. */
  load(
    order: Pick<LoadOrder, 'clients' | 'seconds' | 'warmUpSeconds'> & { keep?: number },
  ): Promise<Measured>;
  /** Tells of payments that were written past the API. */
  wrote(payments: number): void;
  /** Everything that breaks an invariant now. */
  violations(): Promise<string[]>;
  stop(): Promise<void>;
}

/** A run of the clients, and what the processes on this machine used for each payment. */
export interface Measured extends LoadResult {
  readonly clients: number;
  /** CPU milliseconds a payment, where there is a /proc. */
  readonly cpuMs: {
    readonly api: number;
    readonly worker: number;
    /** Figures of a Postgres on this machine. */
    readonly postgres: number;
    readonly client: number;
  };
  /** Resident memory of the first API right after, in MiB. */
  readonly residentMiB: number | undefined;
  /** How many cores everything else on this machine kept busy meanwhile. */
  readonly otherCores: number | undefined;
}

/** Starts the service in a topology, with a shape's grants. */
export async function openPaying(
  lab: Lab,
  shape: Shape,
  topology: Topology,
  {
    prepare = async () => {},
    environment,
  }: {
    prepare?: (world: World) => Promise<void>;
    /** Settings of the service besides the lab's. */
    environment?: Readonly<Record<string, string>> | undefined;
  } = {},
): Promise<Paying> {
  const world = await lab.world(environment);
  const client: Helper<LoadOrder, LoadResult> = startHelper('load');
  try {
    const first = await world.start(topology === 'all' ? 'all' : 'worker');
    await funded(world);
    await prepare(world);
    const worker = topology === 'all' ? undefined : first;
    const startApis = async (): Promise<ServiceProcess[]> => {
      if (topology === 'all') return [first];
      const api = await world.start('api');
      return topology === 'api x2' ? [api, await world.start('api')] : [api];
    };
    const [apis, adminToken] = await Promise.all([startApis(), world.adminToken()]);
    const [api] = apis;
    if (!api) throw new Error('no process answers');
    const idleMiB = await residentMiB(api.pid);
    const grants = await mintShape(shape, api.url, adminToken, lab.chain);
    // Autovacuum does the same within a minute, where it is on.
    await world.db.query('ANALYZE');
    let acknowledged = 0;
    return {
      world,
      apis,
      worker,
      idleMiB,
      grants,
      async load({ keep = 0, ...order }) {
        const apiPids = apis.map(({ pid }) => pid);
        const workerPids = worker ? [worker.pid] : [];
        const read = async () => ({
          api: await cpuOf(apiPids),
          worker: await cpuOf(workerPids),
          postgres: await cpuOf(await postgresPids(world.db)),
        });
        const before = await read();
        const busyBefore = await busySeconds();
        const began = performance.now();
        const result = await client.run({
          ...order,
          keep,
          requests: grants,
          urls: apis.map(({ url }) => url),
        });
        const after = await read();
        const busyAfter = await busySeconds();
        const took = (performance.now() - began) / 1_000;
        acknowledged += result.paid;
        const seconds = {
          api: cpuBetween(before.api, after.api),
          worker: cpuBetween(before.worker, after.worker),
          postgres: cpuBetween(before.postgres, after.postgres),
          client: result.cpuSeconds,
        };
        const ours = Object.values(seconds).reduce((sum, each) => sum + each, 0);
        const each = (used: number) => (used * 1_000) / result.paid;
        return {
          ...result,
          clients: order.clients,
          cpuMs: {
            api: each(seconds.api),
            worker: each(seconds.worker),
            postgres: each(seconds.postgres),
            client: each(seconds.client),
          },
          otherCores:
            busyBefore === undefined || busyAfter === undefined
              ? undefined
              : Math.max(0, (busyAfter - busyBefore - ours) / took),
          residentMiB: await residentMiB(api.pid),
        };
      },
      wrote(payments) {
        acknowledged += payments;
      },
      violations: () => violations(world.db, acknowledged),
      async stop() {
        await client.stop();
        await world.stop();
      },
    };
  } catch (error) {
    await client.stop();
    await world.stop();
    throw error;
  }
}

/** Waits until the worker has read the wallets' balances. */
async function funded(world: World): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const { rows } = await world.db.query<{ poor: boolean }>(
      'SELECT count(*) = 0 OR bool_or(balance = 0) AS poor FROM wallet_balances',
    );
    if (rows[0]?.poor === false) return;
    await delay(50);
  }
  throw new Error('the worker did not read the wallets’ balances');
}
