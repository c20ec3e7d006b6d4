import { parseOptions } from '../src/options.js';
import { runUntilSignalled } from '../src/run.js';
import { compareDepths, compareGrowth, comparePeers } from './comparing.js';
import { measureGateway } from './gateway.js';
import { SHAPES, type Shape } from './grants.js';
import { type Lab, openLab } from './lab.js';
import { compareListening } from './listening.js';
import { parseGrowth } from './loading.js';
import { thisMachine } from './machine.js';
import { oneOf, positive } from './options.js';
import { type Measured, openPaying, TOPOLOGIES, type Topology } from './payments.js';
import { allViolations, asText, type PaymentsPart, type Report } from './report.js';
import { measureRevoking } from './revoking.js';
import { measureSdk } from './sdk.js';
import { measureSettling } from './settling.js';

/** Parts of a run beside the shapes. */
const PARTS = [
  'peers',
  'depth',
  'growth',
  'listening',
  'revoking',
  'settling',
  'sdk',
  'gateway',
] as const;

const HELP = `npm run bench -- [--json] [--only PART]... [--seconds N] [--clients N]...

Measures the service as it runs, on this machine, beside what it can be compared with, in one run. Prints
tables, or with --json one JSON document; progress goes to standard error. Ratios are the result. Each part
ends with the invariant checks, in SQL; it exits 1 when one does not hold.

  --only PART     ${[...Object.keys(SHAPES), ...PARTS].join(', ')}; all when left out
  --seconds N     how long each point is measured (4)
  --clients N     clients at once in the shapes; 1, 10, 50 and 200 when left out
  --api HOW       api (one, beside a worker), all (one process), "api x2" (two, beside a worker); all three
                  when left out
  --rounds N      how often things that are compared take turns (3)
  --growth GxP    grants and payments loaded before "growth" is measured (20000x100000)
  --trees N       sizes of the trees that "revoking" revokes; 1, 1000 and 100000 when left out
  --settle N      payments that "settling" settles on chain (2000)

DATABASE_URL (a server where databases may be made, by a superuser) and REDIS_URL are honoured; without them an
embedded Postgres is started, which also holds the queues. The service's BURSAR_ variables are passed on.
BENCH_NODE_OPTIONS are options of node for its processes, such as --cpu-prof.
`;

await runUntilSignalled('bench', async (onStop, stopped) => {
  const { values } = parseOptions(
    {
      options: {
        json: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        seconds: { type: 'string', default: '4' },
        clients: { type: 'string', multiple: true, default: ['1', '10', '50', '200'] },
        api: { type: 'string', multiple: true, default: [...TOPOLOGIES] },
        rounds: { type: 'string', default: '3' },
        growth: { type: 'string', default: '20000x100000' },
        trees: { type: 'string', multiple: true, default: ['1', '1000', '100000'] },
        settle: { type: 'string', default: '2000' },
        help: { type: 'boolean', short: 'h' },
      },
    },
    'npm run bench -- --help',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 'done';
  }
  const only = values.only?.map((part) => oneOf('only', [...Object.keys(SHAPES), ...PARTS], part));
  const topologies = values.api.map((how) => oneOf('api', TOPOLOGIES, how));
  const seconds = positive('seconds', values.seconds);
  const clients = values.clients.map((each) => positive('clients', each));
  const turns = { rounds: positive('rounds', values.rounds), seconds };
  const growth = parseGrowth(values.growth);
  const trees = values.trees.map((each) => positive('trees', each));
  const settle = positive('settle', values.settle);

  const progress = (what: string): void => {
    stopped.throwIfAborted();
    process.stderr.write(`bench: ${what}\n`);
  };
  const began = performance.now();
  const lab = await openLab({
    databaseUrl: process.env.DATABASE_URL || undefined,
    redisUrl: process.env.REDIS_URL || undefined,
    environment: passedOn(),
    progress,
    onStop,
    stopped,
  });
  const report: Report = {
    machine: { ...thisMachine(), postgres: lab.postgresVersion, queues: lab.queues },
    at: new Date().toISOString(),
    tookSeconds: 0,
    payments: [],
  };
  const wanted = (part: string): boolean => only === undefined || only.includes(part);
  for (const shape of Object.keys(SHAPES) as Shape[]) {
    for (const topology of topologies) {
      if (!wanted(shape)) continue;
      progress(`${shape} (${SHAPES[shape]}), ${topology}`);
      report.payments.push(
        await measurePayments(lab, shape, topology, { clients, seconds }, progress),
      );
    }
  }
  if (wanted('peers')) {
    progress('beside others');
    report.peers = await comparePeers(lab, turns, progress);
  }
  if (wanted('depth')) {
    progress('depth');
    report.depth = await compareDepths(lab, turns, progress);
  }
  if (wanted('growth')) {
    progress('growth');
    report.growth = { ...growth, ...(await compareGrowth(lab, growth, turns, progress)) };
  }
  if (wanted('listening')) {
    progress('listening');
    report.listening = await compareListening(lab, turns, progress);
  }
  if (wanted('revoking')) {
    progress('revoking');
    report.revoking = await measureRevoking(lab, trees, turns.rounds, progress);
  }
  if (wanted('settling')) {
    progress('settling');
    report.settling = await measureSettling(lab, settle, progress);
  }
  if (wanted('sdk')) {
    progress('sdk');
    report.sdk = await measureSdk(lab, turns.rounds * turns.seconds);
  }
  if (wanted('gateway')) {
    progress('gateway');
    report.gateway = await measureGateway(lab, turns, progress);
  }
  report.tookSeconds = (performance.now() - began) / 1_000;
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : asText(report));
  const broken = allViolations(report);
  if (broken.length > 0) throw new Error(`invariants do not hold:\n${broken.join('\n')}`);
  return 'done';
});

async function measurePayments(
  lab: Lab,
  shape: Shape,
  topology: Topology,
  { clients, seconds }: { clients: readonly number[]; seconds: number },
  progress: (what: string) => void,
): Promise<PaymentsPart> {
  const paying = await openPaying(lab, shape, topology);
  try {
    // Code that has not run often is slow: a payment gets cheaper until some 25,000 were made.
    await paying.load({ clients: 50, warmUpSeconds: 0, seconds: 3 * seconds });
    const points: PaymentsPart['points'][number][] = [];
    for (const count of clients) {
      const { kept: _, ...point } = await paying.load({
        clients: count,
        warmUpSeconds: Math.min(0.5, seconds),
        seconds,
      });
      points.push(point);
      progress(`  ${inOneLine(point)}`);
    }
    const violations = await paying.violations();
    const readyMs = paying.apis[0]?.readyMs ?? Number.NaN;
    return { shape, topology, readyMs, idleMiB: paying.idleMiB, points, violations };
  } finally {
    await paying.stop();
  }
}

function inOneLine(point: Omit<Measured, 'kept'>): string {
  const { clients, perSecond, p50Ms, p99Ms, errors, cpuMs } = point;
  const failed = errors.map(({ what, count }) => `; ${count} x ${what}`).join('');
  const cpu = Object.entries(cpuMs)
    .map(([who, ms]) => `${who} ${ms.toFixed(2)}`)
    .join(', ');
  return `${clients} clients: ${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms; CPU ms each: ${cpu}${failed}`;
}

/** Variables that the service's processes get of our environment. */
function passedOn(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && /^(BURSAR|BENCH)_/.test(entry[0]),
    ),
  );
}
