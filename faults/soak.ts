import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from '../bench/sample.js';
import type { Stack } from './stack.js';

const SAMPLE_MS = 5_000;

/** How much more the last quarter may show than the second one: a share, and what is nothing anyway. */
const GROWTH = 1.5;

/** Measures, and how much of each is noise. */
const BOUNDED = {
  'heap of the bigger API, MiB': 40,
  'heap of the bigger worker, MiB': 40,
  'keys or rows of the queues': 500,
  'events not yet sealed': 500,
  'payments past their end': 100,
  'dead tuples': 20_000,
  'connections to Postgres': 10,
} as const;

type Measure = keyof typeof BOUNDED;

/** Traces that steady load left behind. */
export interface Soak {
  readonly minutes: number;
  readonly payments: number;
  /** Medians of the second and the last quarter, and the most there ever was. */
  readonly measures: Readonly<
    Record<Measure, { readonly early: number; readonly late: number; readonly most: number }>
  >;
  readonly failures: readonly string[];
}

/** Watches a stack under the load of its agents, and whether anything grows with time. */
export async function soak(
  stack: Stack,
  minutes: number,
  progress: (what: string) => void,
): Promise<Soak> {
  const samples: Record<Measure, number>[] = [];
  const before = await payments(stack);
  const began = performance.now();
  while (performance.now() - began < minutes * 60_000) {
    await delay(SAMPLE_MS);
    samples.push(await look(stack));
    if (samples.length % 12 === 0) progress(`soak: ${samples.length / 12} min, ${told(samples)}`);
  }
  const quarter = (from: number) =>
    samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * (from + 0.25)));
  const failures: string[] = [];
  const measures = {} as Record<Measure, { early: number; late: number; most: number }>;
  for (const [name, nothing] of Object.entries(BOUNDED) as [Measure, number][]) {
    const of = (list: readonly Record<Measure, number>[]) => list.map((each) => each[name]);
    const early = quantile(of(quarter(0.25)), 0.5);
    const late = quantile(of(quarter(0.75)), 0.5);
    measures[name] = { early, late, most: Math.max(...of(samples)) };
    if (late > Math.max(nothing, early * GROWTH)) {
      failures.push(`${name} grew from ${early.toFixed(0)} to ${late.toFixed(0)}`);
    }
  }
  return { minutes, payments: (await payments(stack)) - before, measures, failures };
}

async function look(stack: Stack): Promise<Record<Measure, number>> {
  const { rows } = await stack.db.query<{
    unsealed: number;
    overdue: number;
    dead: number;
    connections: number;
    bullmq: boolean;
  }>(
    `SELECT (SELECT count(*) FROM unsealed_events)::int AS unsealed,
       (SELECT count(*) FROM payments WHERE status = 'authorized'
         AND valid_before < extract(epoch FROM now()) - 5)::int AS overdue,
       (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables)::int AS dead,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())::int AS connections`,
  );
  const [row] = rows;
  if (!row) throw new Error('Postgres says nothing');
  const heap = async (url: string): Promise<number> => {
    const text = await (await fetch(url)).text();
    const bytes = /^nodejs_heap_size_used_bytes ([0-9.e+]+)$/m.exec(text)?.[1];
    return Number(bytes) / 2 ** 20;
  };
  const most = async (processes: readonly { metricsUrl: string }[]) =>
    Math.max(...(await Promise.all(processes.map(({ metricsUrl }) => heap(metricsUrl)))));
  return {
    'heap of the bigger API, MiB': await most(stack.apis),
    'heap of the bigger worker, MiB': await most(stack.workers),
    'keys or rows of the queues': await queued(stack),
    'events not yet sealed': row.unsealed,
    'payments past their end': row.overdue,
    'dead tuples': row.dead,
    'connections to Postgres': row.connections,
  };
}

/** How much the queues' store holds: jobs that are done are kept for a while, and no longer. */
async function queued({ redis, db }: Stack): Promise<number> {
  if (redis) return redis.client.dbsize();
  const { rows: tables } = await db.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'bullmq'`,
  );
  const counts = tables.map(({ name }) => `(SELECT count(*) FROM ${name})`);
  const { rows } = await db.query<{ count: string }>(`SELECT ${counts.join(' + ')} AS count`);
  return Number(rows[0]?.count);
}

async function payments({ db }: Stack): Promise<number> {
  const { rows } = await db.query<{ count: string }>('SELECT count(*) FROM payments');
  return Number(rows[0]?.count);
}

function told(samples: readonly Record<Measure, number>[]): string {
  const last = samples.at(-1);
  return last === undefined
    ? ''
    : Object.entries(last)
        .map(([name, value]) => `${value.toFixed(0)} ${name}`)
        .join(', ');
}
