import type { Comparison } from './comparing.js';
import type { GatewayPart } from './gateway.js';
import type { Shape } from './grants.js';
import { type Machine, machineText } from './machine.js';
import type { Measured, Topology } from './payments.js';
import type { Revoking } from './revoking.js';
import type { SdkPart } from './sdk.js';
import type { Settling } from './settling.js';
import { table } from './table.js';

/** Results of one run. Ratios are the result; times are of this machine at that moment. */
export interface Report {
  readonly machine: Machine & { readonly postgres: string; readonly queues: string };
  readonly at: string;
  tookSeconds: number;
  payments: PaymentsPart[];
  peers?: Comparison;
  depth?: Comparison;
  growth?: Comparison & { readonly grants: number; readonly payments: number };
  listening?: Comparison;
  revoking?: { readonly trees: readonly Revoking[]; readonly violations: readonly string[] };
  settling?: Settling;
  sdk?: SdkPart;
  gateway?: GatewayPart;
}

/** One shape in one topology. */
export interface PaymentsPart {
  readonly shape: Shape;
  readonly topology: Topology;
  /** From the start of the first API to its readiness. */
  readonly readyMs: number;
  readonly idleMiB: number | undefined;
  readonly points: readonly Omit<Measured, 'kept'>[];
  readonly violations: readonly string[];
}

/** Everything in a report that breaks an invariant. */
export function allViolations(report: Report): string[] {
  const { machine: _, at: _at, tookSeconds: _took, payments, ...parts } = report;
  return [...payments, ...Object.values(parts)].flatMap((part) => part.violations);
}

/** A report as people read it. */
export function asText(report: Report): string {
  const { machine, payments, peers, depth, growth, listening } = report;
  const { revoking, settling, sdk, gateway } = report;
  const parts: string[] = [
    `${machineText(machine)}, Postgres ${machine.postgres}, queues on ${machine.queues}; ${report.at}, ${report.tookSeconds.toFixed(0)} s`,
  ];
  if (payments.length > 0) parts.push(paymentsTable(payments), memoryTable(payments));
  if (peers) parts.push(comparisonTable('Beside others, 50 clients on one hot root', peers));
  if (depth) parts.push(comparisonTable('Depth, 50 clients', depth));
  if (growth) {
    const title = `Growth, 50 clients: ${growth.grants} grants and ${growth.payments} payments before`;
    parts.push(comparisonTable(title, growth));
  }
  if (listening) parts.push(comparisonTable('Listening, 50 clients on one hot root', listening));
  if (revoking) {
    const rows = revoking.trees.map(({ grants, times, p50Ms, maxMs }) => [
      String(grants),
      String(times),
      ms(p50Ms),
      ms(maxMs),
    ]);
    parts.push(table('Revoking a tree', ['grants', 'times', 'p50 ms', 'max ms'], rows));
  }
  if (settling) {
    parts.push(
      table(
        'Behind the payments',
        ['what', 'of', 'a second'],
        [
          ['events sealed', String(settling.sealedEvents), settling.eventsPerSecond.toFixed(0)],
          [
            'payments reconciled',
            String(settling.settledPayments),
            settling.paymentsPerSecond.toFixed(0),
          ],
        ],
      ),
      `RPC calls for 1,000 payments: ${settling.rpcCallsPer1000Payments.toFixed(1)}`,
    );
  }
  if (sdk) parts.push(sdkTable(sdk));
  if (gateway) parts.push(gatewayTables(gateway));
  const broken = allViolations(report);
  parts.push(broken.length === 0 ? 'The invariants hold.' : `VIOLATIONS:\n${broken.join('\n')}`);
  return `${parts.join('\n\n')}\n`;
}

function sdkTable({ calls, byHand, byFetch, addedMs, ratio }: SdkPart): string {
  const rows = [
    ['bursar.fetch', ms(byFetch.p50Ms), ms(byFetch.p99Ms)],
    ['the same requests by hand', ms(byHand.p50Ms), ms(byHand.p99Ms)],
  ];
  return [
    table(`A paid call, ${calls} of each in turns`, ['', 'p50 ms', 'p99 ms'], rows),
    `bursar.fetch adds ${addedMs.toFixed(2)} ms at p50, x ${ratio.toFixed(2)}`,
  ].join('\n');
}

function gatewayTables({ paid, free, aloneMs }: GatewayPart): string {
  const rows = Object.entries(aloneMs).map(([name, p50Ms]) => [name, p50Ms.toFixed(2)]);
  return [
    comparisonTable('Selling, 50 clients, paid', paid),
    comparisonTable('Selling, 50 clients, free', free),
    table('Selling, one client', ['', 'p50 ms'], rows),
  ].join('\n\n');
}

function paymentsTable(parts: readonly PaymentsPart[]): string {
  const rows = parts.flatMap(({ shape, topology, points }) =>
    points.map((point) => [
      shape,
      topology,
      String(point.clients),
      point.perSecond.toFixed(0),
      ms(point.p50Ms),
      ms(point.p99Ms),
      String(point.errors.reduce((sum, { count }) => sum + count, 0)),
      point.cpuMs.api.toFixed(3),
      point.cpuMs.worker.toFixed(3),
      point.cpuMs.postgres.toFixed(3),
      point.cpuMs.client.toFixed(3),
      point.otherCores?.toFixed(1) ?? '',
    ]),
  );
  return table(
    'Payments over HTTP (CPU ms a payment by process; cores that others kept busy)',
    [
      'shape',
      'API',
      'clients',
      'a second',
      'p50 ms',
      'p99 ms',
      'errors',
      'api',
      'worker',
      'postgres',
      'client',
      'others',
    ],
    rows,
  );
}

function memoryTable(parts: readonly PaymentsPart[]): string {
  const rows = parts.map(({ shape, topology, readyMs, idleMiB, points }) => [
    shape,
    topology,
    readyMs.toFixed(0),
    idleMiB?.toFixed(0) ?? '',
    points.at(-1)?.residentMiB?.toFixed(0) ?? '',
  ]);
  return table(
    'Start and memory of the first API',
    ['shape', 'API', 'ready ms', 'idle MiB', 'loaded MiB'],
    rows,
  );
}

function comparisonTable(title: string, comparison: Comparison): string {
  const { perSecond, cpuMs, timesFaster, timesCpu, leftOut } = comparison;
  const [first = ''] = Object.keys(perSecond);
  const rows = Object.entries(perSecond).map(([name, rounds]) => [
    name,
    rounds.map((each) => each.toFixed(0)).join(' '),
    (cpuMs[name] ?? []).map((each) => each.toFixed(2)).join(' '),
    timesFaster[name]?.toFixed(2) ?? '',
    timesCpu[name]?.toFixed(2) ?? '',
  ]);
  const headings = [
    '',
    'a second, by round',
    'CPU ms each',
    `${first} is x as fast`,
    'takes x the CPU',
  ];
  return [table(title, headings, rows), ...leftOut.map((reason) => `left out: ${reason}`)].join(
    '\n',
  );
}

function ms(value: number): string {
  return value.toFixed(1);
}
