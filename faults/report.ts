import { type Machine, machineText } from '../bench/machine.js';
import { quantile } from '../bench/sample.js';
import { table } from '../bench/table.js';
import type { Modest, Overload } from './overload.js';
import type { Soak } from './soak.js';
import type { Queues } from './stack.js';
import { add, type Counts, noCounts } from './tally.js';

/** Effects of one fault over its runs. */
export interface FaultPart {
  readonly name: string;
  readonly what: string;
  readonly pass: string;
  readonly queues: Queues;
  /** Why it was not run, when it was not: that is no pass. */
  readonly notRun?: string;
  readonly seeds: readonly number[];
  readonly runs: number;
  readonly seconds: number;
  readonly counts: Counts;
  /** By kind: how long each run took to recover, in seconds. */
  readonly recoverySeconds: Readonly<Record<string, readonly number[]>>;
  /** Violations of the criterion. */
  readonly failures: readonly string[];
  /** Broken invariants. */
  readonly violations: readonly string[];
}

/** Findings of one or several invocations. */
export interface Report {
  readonly machine: Machine;
  readonly at: string;
  readonly perSecond: number;
  tookSeconds: number;
  readonly faults: FaultPart[];
  readonly overload: (Overload & {
    readonly queues: Queues;
    readonly violations: readonly string[];
  })[];
  readonly soak: (Soak & { readonly queues: Queues; readonly violations: readonly string[] })[];
}

/** Puts the reports of several invocations together: the runs of one fault are added up. */
export function merged(reports: readonly Report[]): Report {
  const [first] = reports;
  if (!first) throw new Error('--merge takes the JSON files of runs');
  const faults: FaultPart[] = [];
  for (const part of reports.flatMap((report) => report.faults)) {
    const at = faults.findIndex((each) => each.name === part.name && each.queues === part.queues);
    const before = faults[at];
    if (before) faults[at] = joined(before, part);
    else faults.push(part);
  }
  return {
    ...first,
    at: reports.map(({ at }) => at).sort()[0] ?? first.at,
    tookSeconds: Math.max(...reports.map(({ tookSeconds }) => tookSeconds)),
    faults,
    overload: reports.flatMap((report) => report.overload),
    soak: reports.flatMap((report) => report.soak),
  };
}

function joined(one: FaultPart, other: FaultPart): FaultPart {
  // Faults that were not run say nothing beside those that were.
  if (one.notRun !== undefined) return other;
  if (other.notRun !== undefined) return one;
  const counts = noCounts();
  add(counts, one.counts);
  add(counts, other.counts);
  const recoverySeconds: Record<string, readonly number[]> = { ...one.recoverySeconds };
  for (const [kind, seconds] of Object.entries(other.recoverySeconds)) {
    recoverySeconds[kind] = [...(recoverySeconds[kind] ?? []), ...seconds];
  }
  return {
    ...one,
    seeds: [...one.seeds, ...other.seeds],
    runs: one.runs + other.runs,
    seconds: one.seconds + other.seconds,
    counts,
    recoverySeconds,
    failures: [...one.failures, ...other.failures],
    violations: [...one.violations, ...other.violations],
  };
}

/** Everything that makes a run fail. */
export function allWrong({ faults, overload, soak }: Report): string[] {
  return [
    ...faults.flatMap(({ name, queues, failures, violations }) =>
      [...violations, ...failures].map((each) => `${name} (${queues}): ${each}`),
    ),
    ...[...overload, ...soak].flatMap(({ failures, violations }) => [...violations, ...failures]),
  ];
}

const HEADINGS = [
  'fault',
  'queues',
  'runs',
  'requests',
  'answered',
  'refusals by code',
  'unanswered',
  'recovery p50, max s',
  'violations',
  'failures',
  'seed',
  'minutes',
];

function cells(part: FaultPart): string[] {
  const { name, queues, runs, counts, recoverySeconds, violations, failures, seeds } = part;
  if (part.notRun !== undefined) return [name, queues, '0', `not run: ${part.notRun}`];
  const all = Object.values(recoverySeconds).flat();
  const waited = counts.requests - counts.lost;
  return [
    name,
    queues,
    String(runs),
    String(counts.requests),
    `${((counts.answered / Math.max(1, waited)) * 100).toFixed(2)} %`,
    listed(counts.refusals),
    listed(counts.failures),
    all.length === 0 ? '' : `${quantile(all, 0.5).toFixed(1)}, ${quantile(all, 1).toFixed(1)}`,
    String(violations.length),
    String(failures.length),
    seeds.join(' '),
    (part.seconds / 60).toFixed(1),
  ];
}

function modest({ requests, answered, p99Ms }: Modest): string {
  return `${answered} of ${requests} answered, p99 ${Number(p99Ms).toFixed(0)} ms`;
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ');
}

/** A report as people read it; with `isMarkdown`, its tables as docs/reliability.md holds them. */
export function asText(report: Report, isMarkdown = false): string {
  const { machine, faults, overload, soak } = report;
  const draw = isMarkdown ? markdown : table;
  const parts = [
    `${machineText(machine)}; ${report.at}, ` +
      `${(report.tookSeconds / 60).toFixed(0)} minutes, ${report.perSecond} payments a second`,
  ];
  if (faults.length > 0) parts.push(draw('Faults', HEADINGS, faults.map(cells)));
  for (const each of overload) {
    const { before, most, after } = each.memoryMiB;
    const rows = [
      ['processes', String(each.processes)],
      ['it can carry', `${each.capacityPerSecond.toFixed(0)} payments a second`],
      ['asked for', `${each.askedPerSecond.toFixed(0)} a second, for ${each.seconds} s`],
      [
        'paid meanwhile',
        `${each.paidPerSecond.toFixed(0)} a second, p99 ${each.paidP99Ms.toFixed(0)} ms`,
      ],
      // Where none was refused JSON knows no figure.
      ['refused', `${listed(each.refused)}; p99 ${Number(each.refusedP99Ms).toFixed(0)} ms`],
      ['a modest grant meanwhile', modest(each.sibling)],
      ['replays meanwhile', modest(each.replays)],
      [
        'events meanwhile',
        `${each.sealedPerSecond.toFixed(0)} sealed a second, none older than ${each.unsealedSeconds.toFixed(1)} s`,
      ],
      ['the clients took', `${each.clientCores.toFixed(2)} cores of this machine`],
      [
        'memory of the bigger API',
        `${before.toFixed(0)}, at most ${most.toFixed(0)}, after ${after.toFixed(0)} MiB`,
      ],
      [
        'p99 at half of what it can carry',
        `${each.normalP99Ms.toFixed(1)} ms before, ${each.againP99Ms.toFixed(1)} ms again after ${each.recoverySeconds.toFixed(1)} s`,
      ],
    ];
    parts.push(draw(`Overload, queues on ${each.queues}`, ['what', 'figure'], rows));
  }
  for (const each of soak) {
    const rows = Object.entries(each.measures).map(([name, { early, late, most }]) => [
      name,
      ...[early, late, most].map((value) => value.toFixed(0)),
    ]);
    parts.push(
      draw(
        `Soak, queues on ${each.queues}: ${each.minutes} minutes, ${each.payments} payments`,
        ['what', 'second quarter', 'last quarter', 'most'],
        rows,
      ),
    );
  }
  const wrong = allWrong(report);
  const notRun = faults.filter((part) => part.notRun !== undefined).length;
  if (notRun > 0)
    parts.push(notRun === 1 ? '1 fault was not run.' : `${notRun} faults were not run.`);
  if (wrong.length > 0) parts.push(`WRONG:\n${wrong.join('\n')}`);
  else if (notRun < faults.length || faults.length === 0) parts.push('Nothing was lost.');
  return `${parts.join('\n\n')}\n`;
}

function markdown(title: string, headings: readonly string[], rows: readonly string[][]): string {
  const line = (cellsOfRow: readonly string[]) => `| ${cellsOfRow.join(' | ')} |`;
  const filled = rows.map((row) => headings.map((_, column) => row[column] ?? ''));
  return [
    `**${title}**`,
    '',
    line(headings),
    line(headings.map(() => '---')),
    ...filled.map(line),
  ].join('\n');
}
