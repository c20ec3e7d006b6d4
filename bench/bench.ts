import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { runUntilSignalled } from '../sandbox/run.js';
import { SHAPES, type Shape } from './grants.js';
import { openLab } from './lab.js';
import { type Measured, openPaying, type Topology } from './payments.js';

const HELP = `npm run bench -- [--json] [--only PART]... [--seconds N] [--clients N]...

Measures the service as it runs, on this machine, and what it can be compared with, in one run. Prints a
table; with --json one JSON document. Progress goes to standard error. Exits 1 when an invariant does not hold.

  --only PART     ${Object.keys(SHAPES).join(', ')}; all when left out
  --seconds N     how long each point is measured (4)
  --clients N     clients at once; 1, 10, 50 and 200 when left out
  --topology T    api (beside a worker), all (one process), "api x2" (beside a worker); all three when left out

DATABASE_URL (a server where databases may be made) and REDIS_URL are honoured, and so are the service's
BURSAR_ variables. BENCH_NODE_OPTIONS are options of node for the service's processes, such as --cpu-prof.
`;

const TOPOLOGIES = ['api', 'all', 'api x2'] as const satisfies Topology[];

await runUntilSignalled('bench', async (onStop, stopped) => {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      seconds: { type: 'string', default: '4' },
      clients: { type: 'string', multiple: true },
      topology: { type: 'string', multiple: true },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 'done';
  }
  const progress = (what: string): void => {
    stopped.throwIfAborted();
    process.stderr.write(`bench: ${what}\n`);
  };
  const seconds = Number(values.seconds);
  const clients = (values.clients ?? ['1', '10', '50', '200']).map(Number);
  const wanted = (part: string) => values.only === undefined || values.only.includes(part);
  const lab = await openLab({
    databaseUrl: process.env.DATABASE_URL || undefined,
    redisUrl: process.env.REDIS_URL || undefined,
    environment: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => /^(BURSAR|BENCH)_/.test(name)),
    ) as Record<string, string>,
    progress,
    onStop,
  });
  const report: {
    payments: {
      shape: Shape;
      topology: Topology;
      idleMiB: number | undefined;
      points: Measured[];
      violations: string[];
    }[];
  } = { payments: [] };
  for (const shape of Object.keys(SHAPES) as Shape[]) {
    if (!wanted(shape)) continue;
    for (const topology of TOPOLOGIES) {
      if (values.topology && !values.topology.includes(topology)) continue;
      progress(`${shape} (${SHAPES[shape]}), ${topology}`);
      const paying = await openPaying(lab, shape, topology);
      await paying.load({ clients: 20, warmUpSeconds: 0, seconds: 2 });
      const points: Measured[] = [];
      for (const count of clients) {
        const point = await paying.load({ clients: count, warmUpSeconds: 0.5, seconds });
        points.push(point);
        progress(`  ${line(point)}`);
      }
      const broken = await paying.violations();
      for (const each of broken) process.stderr.write(`bench: VIOLATION ${each}\n`);
      if (broken.length > 0) process.exitCode = 1;
      report.payments.push({
        shape,
        topology,
        idleMiB: paying.idleMiB,
        points,
        violations: broken,
      });
      await paying.stop();
    }
  }
  const machine = {
    cpus: availableParallelism(),
    model: cpus()[0]?.model,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    postgres: lab.postgresVersion,
    queues: lab.queues,
  };
  process.stdout.write(`${JSON.stringify({ machine, ...report }, null, 2)}\n`);
  return 'done';
});

function line({ clients, perSecond, p50Ms, p99Ms, errors, cpuMs }: Measured): string {
  const failed = errors.map(({ what, count }) => `; ${count} x ${what}`).join('');
  const cpu = Object.entries(cpuMs)
    .map(([who, ms]) => `${who} ${ms.toFixed(2)}`)
    .join(', ');
  return `${clients} clients: ${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms; CPU ms a payment: ${cpu}${failed}`;
}
