import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { drained } from '../check.js';
import { type Fault, inTime, since } from '../fault.js';
import { allReady } from '../supervised.js';

const RECOVERED_SECONDS = 30;
const PATIENCE_MS = 120_000;
const STAYS_MS = 500;

const WAYS = ['stopped immediate', 'killed', 'a session killed'] as const;

/** Postgres ends as it should not, and is started again. */
export const postgresDown: Fault = {
  name: 'postgres',
  what: 'Postgres stopped immediate, or killed (all of it, or one session, which restarts it)',
  pass: 'no acknowledged payment lost; ready again 30 s after it is started again',
  runs: 50,
  shortRuns: 2,
  shortOnPostgres: true,
  async inject({ stack, random, run }) {
    const way = WAYS[run % WAYS.length] ?? 'killed';
    const { postgres } = stack;
    await delay(random.between(0, 200));
    let back: number;
    if (way === 'a session killed') {
      // A crashed session makes the postmaster end all others and recover: ours, too.
      // A connection of its own: those of a pool may have died with the Postgres before.
      const ours = new pg.Client({ connectionString: postgres.url });
      // Not events.once(), which takes the error that comes first for a failure of ours.
      ours.on('error', () => {});
      const ended = new Promise<void>((resolve) => ours.once('end', resolve));
      await ours.connect();
      const { rows } = await ours.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'
           AND datname = current_database() AND pid <> pg_backend_pid() ORDER BY state = 'idle'`,
      );
      const [session] = rows;
      if (!session) throw new Error('nobody is connected to Postgres');
      process.kill(session.pid, 'SIGKILL');
      await ended;
      back = performance.now();
    } else {
      await postgres.end(way === 'killed' ? 'SIGKILL' : 'SIGQUIT');
      await delay(random.between(0, 1_500));
      back = performance.now();
      await stack.restartPostgres();
    }
    await allReady(stack.processes, PATIENCE_MS);
    const recoverySeconds = since(back);
    await drained(stack, STAYS_MS, PATIENCE_MS);
    return {
      kind: way,
      recoverySeconds,
      failures: inTime('ready', recoverySeconds, RECOVERED_SECONDS),
    };
  },
};
