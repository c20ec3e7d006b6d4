import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thisMachine } from '../bench/machine.js';
import { oneOf, positive } from '../bench/options.js';
import { parseOptions, UsageError } from '../src/options.js';
import { runUntilSignalled } from '../src/run.js';
import { aborted } from '../src/stop-request.js';
import { type Agents, startAgents } from './agents.js';
import type { Fault } from './fault.js';
import { FAULTS } from './list.js';
import { overload } from './overload.js';
import { allWrong, asText, type FaultPart, merged, type Report } from './report.js';
import { atRest, runFault } from './run.js';
import { whyNoRedis, whyNoSmallDisk } from './servers.js';
import { soak } from './soak.js';
import { openStack, type Queues, type Stack } from './stack.js';
import { noCounts } from './tally.js';

/** Parts of a run beside the faults. */
const PARTS = ['overload', 'soak'] as const;

const NAMES = [...FAULTS.map(({ name }) => name), ...PARTS];

/** How many times fewer runs there are with the queues on Postgres, unless said. */
const FEWER_ON_POSTGRES = 10;

const HELP = `npm run faults -- [--json] [--only NAME]... [--runs N] [--seed S]

Starts two APIs and two workers on a Postgres, a Redis and a chain of their own, lets agents pay and sellers
settle, injects faults, and runs the checker of the invariants after each. Prints a table, or with --json one
JSON document; progress goes to standard error. It exits 1 when an invariant or a criterion does not hold.

  --only NAME       all when left out:
${FAULTS.map(({ name, what, runs }) => `                    ${name.padEnd(15)} ${what} (${runs})`).join('\n')}
                    ${'overload'.padEnd(15)} three times what it can carry, and back
                    ${'soak'.padEnd(15)} steady load
  --runs N          runs of each fault; those above when left out, a tenth of them with queues on Postgres
  --seed S          of every choice that is made (of the time of day when left out)
  --queues WHERE    redis, postgres; both when left out
  --rate N          payments a second that the agents ask for (12)
  --overload N      seconds of overload (20)
  --soak N          minutes of steady load (20)
  --short           each fault once or a few times, on both; in minutes, for CI
  --merge FILE...   prints the reports of several runs as one; nothing is run
  --markdown        prints the tables as docs/reliability.md holds them

Faults that cannot be injected on this machine are told as "not run", and why.
`;

await runUntilSignalled('faults', async (onStop, stopped) => {
  const { values, positionals } = parseOptions(
    {
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        markdown: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        runs: { type: 'string' },
        seed: { type: 'string' },
        queues: { type: 'string', multiple: true },
        rate: { type: 'string', default: '12' },
        overload: { type: 'string', default: '20' },
        soak: { type: 'string', default: '20' },
        short: { type: 'boolean', default: false },
        merge: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    },
    'npm run faults -- --help',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 'done';
  }
  const print = (report: Report): void => {
    process.stdout.write(
      values.json ? `${JSON.stringify(report, null, 2)}\n` : asText(report, values.markdown),
    );
    const wrong = allWrong(report);
    if (wrong.length > 0) throw new Error(`${wrong.length} things are wrong:\n${wrong.join('\n')}`);
  };
  if (values.merge) {
    const files = await Promise.all(positionals.map((file) => readFile(file, 'utf8')));
    print(merged(files.map((text) => JSON.parse(text) as Report)));
    return 'done';
  }
  if (positionals.length > 0)
    throw new UsageError(
      `there is nothing to do with "${positionals[0]}"; see: npm run faults -- --help`,
    );
  const only = values.only?.map((name) => oneOf('only', NAMES, name));
  const everywhere = ['redis', 'postgres'] as const;
  const kinds = values.queues?.map((each) => oneOf('queues', everywhere, each)) ?? everywhere;
  const perSecond = positive('rate', values.rate);
  const isShort = values.short;
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : positive('seed', values.seed);
  const runs = values.runs === undefined ? undefined : positive('runs', values.runs);
  const overloadSeconds = positive('overload', values.overload);
  const soakMinutes = positive('soak', values.soak);

  const began = performance.now();
  const progress = (what: string): void => {
    const seconds = ((performance.now() - began) / 1_000).toFixed(0).padStart(5);
    process.stderr.write(`faults: ${seconds} s  ${what}\n`);
  };
  const report: Report = {
    machine: thisMachine(),
    at: new Date().toISOString(),
    perSecond,
    tookSeconds: 0,
    faults: [],
    overload: [],
    soak: [],
  };
  const isWanted = (name: string): boolean => only?.includes(name) ?? true;
  const runsOf = (fault: Fault, queues: Queues): number => {
    if (runs !== undefined) return runs;
    if (isShort) return queues === 'redis' ? fault.shortRuns : 1;
    return queues === 'redis' ? fault.runs : Math.ceil(fault.runs / FEWER_ON_POSTGRES);
  };

  const on = async (queues: Queues, faults: readonly Fault[]): Promise<void> => {
    const reasons = await whyNot(queues, faults);
    const possible: Fault[] = [];
    for (const fault of faults) {
      const notRun = reasons(fault);
      if (notRun === undefined) possible.push(fault);
      else report.faults.push(notRunPart(fault, queues, notRun));
    }
    // The short form has its time for faults, and one stack for all of them.
    const parts = isShort && only === undefined ? [] : PARTS.filter(isWanted);
    if (queues === 'redis' && (await whyNoRedis()) !== undefined) return;
    if (isShort && possible.length > 0) await onStack(queues, possible);
    for (const fault of isShort ? [] : possible) await onStack(queues, [fault]);
    for (const part of parts) await partOn(queues, part);
  };

  const withStack = async (
    options: { readonly queues: Queues; readonly smallDisk: boolean },
    work: (stack: Stack, agents: Agents) => Promise<void>,
  ): Promise<void> => {
    const stack = await openStack({ ...options, progress, onStop });
    const agents = await startAgents(stack, seed, perSecond);
    try {
      await work(stack, agents);
    } finally {
      await agents.stop();
      await stack.stop();
    }
  };

  const onStack = (queues: Queues, faults: readonly Fault[]): Promise<void> => {
    const smallDisk = faults.some((fault) => fault.smallDisk);
    return withStack({ queues, smallDisk }, async (stack, agents) => {
      for (const fault of faults) {
        const rests = fault === faults.at(-1);
        const how = { runs: runsOf(fault, queues), seed, isShort, rests, progress };
        report.faults.push(await runFault(stack, agents, fault, how));
      }
    });
  };

  const partOn = (queues: Queues, part: (typeof PARTS)[number]): Promise<void> =>
    withStack({ queues, smallDisk: false }, async (stack, agents) => {
      progress(`${part}, queues on ${queues}`);
      if (part === 'overload') {
        for (const processes of [1, 2] as const) {
          const found = await overload(stack, agents, overloadSeconds, processes, progress);
          report.overload.push({ ...found, queues, violations: await atRest(stack, agents) });
        }
      } else {
        const found = await soak(stack, soakMinutes, progress);
        report.soak.push({ ...found, queues, violations: await atRest(stack, agents) });
      }
    });

  const all = async (): Promise<void> => {
    const wanted = FAULTS.filter(({ name }) => isWanted(name));
    for (const queues of kinds) {
      await on(
        queues,
        wanted.filter(
          (fault) =>
            (fault.queues ?? queues) === queues &&
            !(isShort && queues === 'postgres' && !fault.shortOnPostgres),
        ),
      );
    }
  };
  // A stop ends every wait.
  await Promise.race([all(), aborted(stopped)]);
  report.tookSeconds = (performance.now() - began) / 1_000;
  print(report);
  return 'done';
});
// Something that was awaited may still wait.
process.exit();

/** Programs that each fault lacks on this machine. */
async function whyNot(
  queues: Queues,
  faults: readonly Fault[],
): Promise<(fault: Fault) => string | undefined> {
  const noRedis = queues === 'redis' ? await whyNoRedis() : undefined;
  if (!faults.some(({ smallDisk }) => smallDisk)) return () => noRedis;
  const probe = await mkdtemp(join(tmpdir(), 'bursar-faults-'));
  try {
    const noDisk = await whyNoSmallDisk(probe);
    return (fault) => noRedis ?? (fault.smallDisk ? noDisk : undefined);
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

function notRunPart({ name, what, pass }: Fault, queues: Queues, notRun: string): FaultPart {
  return {
    ...{ name, what, pass, queues, notRun, seeds: [], runs: 0, seconds: 0 },
    ...{ counts: noCounts(), recoverySeconds: {}, failures: [], violations: [] },
  };
}
